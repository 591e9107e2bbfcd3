"""Action plugin: the module apt_install, with the progress of its downloads, and whom it waits for.

apt itself tells nobody but its own terminal. What it is about to fetch is asked by the same question without a lock and
without rights (--print-uris); how much of that is there, is read where it collects, with the rights that the task has.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from ansible.plugins.loader import action_loader

Base = action_loader.get("normal", class_only=True)
ARCHIVES = "/var/cache/apt/archives"


def wanted(text: str) -> dict[str, int]:
    """Return the files, with their bytes, that apt-get --print-uris says it would fetch."""
    return {name: int(size) for name, size in re.findall(r"(?m)^'[^']*' (\S+) (\d+)\b", text)}


def arrived(text: str, files: dict[str, int]) -> int:
    """Return how many bytes of ``files`` are there, by the lines ``size path`` of what is in the folder."""
    there = {name: int(size) for size, name in re.findall(r"(?m)^(\d+) (?:partial/)?([^\s/]+)\s*$", text)}
    return sum(min(size, there.get(name, 0)) for name, size in files.items())


HOLDER = r"""
for file in /var/lib/dpkg/lock-frontend /var/lib/apt/lists/lock; do
    inode=$(stat -c %i "$file" 2>/dev/null) || continue
    of="POSIX *ADVISORY *WRITE"
    pid=$(sed -n "s/^[0-9]*: $of *\([0-9]*\) [0-9a-f]*:[0-9a-f]*:$inode .*/\1/p" /proc/locks | head -n 1)
    [ -n "$pid" ] || continue
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -e --force-confdef && continue
    echo "$(cat "/proc/$pid/comm") ($pid)"
    break
done
true"""
"""Prints who holds apt's locks, unless that is this task's own apt-get."""


class AptWatch(Base.watching):  # type: ignore[name-defined,misc]
    """Compares what apt is about to fetch with what has come."""

    def __init__(self, packages: list[str], *rest: Any) -> None:
        """Keep the packages."""
        super().__init__(*rest)
        self.packages, self.fetched = packages, False
        self.files: dict[str, int] = {}
        self.plain: Any = None
        self.rights: Any = None

    def look(self) -> dict[str, Any]:
        """Return how much has come; while that is not known, or all is there, that they are being installed."""
        names = " ".join(self.packages)
        self.plain = self.plain or self.connect()
        if not self.fetched and (who := self.ask(self.plain, HOLDER).strip()):
            return {"stage": "apt_wait", "name": who}
        if not self.files:  # its lists may be about to be renewed
            quoted = " ".join(map(shlex.quote, self.packages))
            command = f"LC_ALL=C apt-get -qq --print-uris --no-install-recommends install -- {quoted}"
            self.files = wanted(self.ask(self.plain, command))
        if self.files and not self.fetched:
            self.rights = self.rights or self.connect(become=True)
            listed = self.ask(self.rights, f"cd {ARCHIVES} && stat -c '%s %n' partial/* *.deb 2>/dev/null; true")
            done, total = arrived(listed, self.files), sum(self.files.values())
            self.fetched = done >= total
            if done and not self.fetched:
                return {"stage": "fetch", "name": names, "done": done, "total": total}
        return {"stage": "apt", "name": names}


class ActionModule(Base):  # type: ignore[misc, valid-type]
    """The module, watched."""

    def prepare(self, about: dict[str, Any]) -> AptWatch | None:
        """Return what watches the task."""
        names = self._task.args.get("packages")
        names = names if isinstance(names, list) else []
        return AptWatch(names, self._connection, self._play_context, about) if names else None
