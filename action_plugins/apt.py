"""Action plugin: apt, with the progress of its downloads, for the task that names ansible.legacy.apt and no other.

apt itself tells nobody but its own terminal. What it is about to fetch is asked by the same question without a lock and
without rights (--print-uris); how much of that is there, is read where it collects, with the rights that the task has.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from ansible.plugins.loader import action_loader

Base = action_loader.get("with_progress", class_only=True)
ARCHIVES = "/var/cache/apt/archives"


def wanted(text: str) -> dict[str, int]:
    """Return the files, with their bytes, that apt-get --print-uris says it would fetch."""
    return {name: int(size) for name, size in re.findall(r"(?m)^'[^']*' (\S+) (\d+)\b", text)}


def arrived(text: str, files: dict[str, int]) -> int:
    """Return how many bytes of ``files`` are there, by the lines ``size path`` of what is in the folder."""
    there = {name: int(size) for size, name in re.findall(r"(?m)^(\d+) (?:partial/)?([^\s/]+)\s*$", text)}
    return sum(min(size, there.get(name, 0)) for name, size in files.items())


def fetched(text: str) -> str:
    """Return how much apt-get says it has fetched, as 206 MB; an empty text where it says nothing."""
    found = re.search(r"(?m)^Fetched ([\d.,]+ [kMGT]?B) in ", text)
    return found[1] if found else ""


class AptWatch(Base.watching):  # type: ignore[misc]
    """Compares what apt is about to fetch with what has come."""

    def __init__(self, packages: list[str], *rest: Any) -> None:
        """Keep the packages."""
        super().__init__(*rest)
        self.packages, self.files, self.fetched = packages, {}, False
        self.plain: Any = None
        self.rights: Any = None

    def look(self) -> dict[str, Any]:
        """Return how much has come; while that is not known, or all is there, that they are being installed."""
        names = " ".join(self.packages)
        self.plain = self.plain or self.connect()
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
    """The module apt of ansible-core, watched."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, and take from its output how much was fetched."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        return {**result, "fetched": fetched(str(result.get("stdout", "")))}

    def prepare(self, about: dict[str, Any]) -> AptWatch | None:
        """Return what watches the task."""
        names = self._task.args.get("name")
        names = names if isinstance(names, list) else []
        return AptWatch(names, self._connection, self._play_context, about) if names else None
