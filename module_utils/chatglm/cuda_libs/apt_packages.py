"""Which packages came with ours, and which of them nobody else needs by now.

Pure; the text is that of dpkg's status file, its fields as in deb-control(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TOOL = "python3-apt"
"""Ansible's apt module installs it where it is missing."""
_FIELDS = ("Package", "Status", "Provides", "Depends", "Pre-Depends", "Essential")


@dataclass(frozen=True)
class Package:
    """An installed package: what it needs (any one of each group), and the names that it stands for."""

    name: str
    needs: tuple[tuple[str, ...], ...] = ()
    provides: tuple[str, ...] = ()
    essential: bool = False


def _names(text: str) -> tuple[str, ...]:
    """Return the names of a list of packages: versions, architectures and restrictions are left out."""
    return tuple(
        re.split(r"[\s(:\[<]", part.strip(), maxsplit=1)[0] for part in re.split(r"[,|]", text) if part.strip()
    )


def parse(status: str) -> dict[str, Package]:
    """Return the installed packages of dpkg's status file, by name."""
    found = {}
    for stanza in status.split("\n\n"):
        fields = dict(re.findall(rf"^({'|'.join(_FIELDS)}): *(.*(?:\n[ \t].*)*)", stanza, re.M))
        if not fields.get("Status", "").endswith(" installed") or "Package" not in fields:
            continue
        needs = ", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends"))))
        groups = tuple(_names(group) for group in needs.split(",") if group.strip())
        provides = _names(fields.get("Provides", ""))
        found[fields["Package"]] = Package(fields["Package"], groups, provides, fields.get("Essential") == "yes")
    return found


def closure(names: Iterable[str], packages: Mapping[str, Package]) -> set[str]:
    """Return those of ``names`` that are installed, and all installed packages that they need."""
    standing: dict[str, set[str]] = {}
    for package in packages.values():
        for name in (package.name, *package.provides):
            standing.setdefault(name, set()).add(package.name)
    found: set[str] = set()
    todo = [name for name in names if name in packages]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [each for group in packages[name].needs for other in group for each in standing.get(other, ())]
    return found


@dataclass(frozen=True)
class Note:
    """What is written down before packages are installed.

    Attributes:
        asked: packages that were absent, and are installed by name.
        before: packages that were there before.
        sources: text of the APT source that is written for them; empty for none.

    """

    asked: tuple[str, ...]
    before: tuple[str, ...]
    sources: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that :meth:`from_json` reads."""
        return {"asked": list(self.asked), "before": list(self.before), "sources": self.sources}

    @classmethod
    def from_json(cls, value: Any) -> Note | None:
        """Return the note in ``value``, or None when it is none: then nothing is known to be ours."""
        try:
            asked, before, sources = value["asked"], value["before"], value["sources"]
        except (KeyError, TypeError):
            return None
        lists = all(isinstance(each, list) and all(isinstance(name, str) for name in each) for each in (asked, before))
        return cls(tuple(asked), tuple(before), sources) if lists and isinstance(sources, str) and before else None


def note(packages: Mapping[str, Package], missing: Iterable[str], sources: str, old: Note | None) -> Note:
    """Return what to write down before ``missing`` are installed.

    Args:
        packages: what is installed now.
        missing: what is about to be installed.
        sources: text of the APT source that is about to be written; empty when it is there already.
        old: what was written down by an earlier run.

    """
    asked = {*missing, TOOL} - packages.keys()
    before = set(packages)
    if old:
        # What came with ours the last time is ours; all else that has come since is the user's.
        before = set(old.before) | (before - closure(old.asked, packages))
        asked |= set(old.asked)
        sources = sources or old.sources
    return Note(tuple(sorted(asked)), tuple(sorted(before)), sources)


def removable(packages: Mapping[str, Package], noted: Note) -> tuple[list[str], dict[str, str]]:
    """Return the packages that may go, and those of ours that stay, each with one that needs it."""
    ours = {name for name in closure(noted.asked, packages) - set(noted.before) if not packages[name].essential}
    kept: dict[str, str] = {}
    todo = [package for package in packages.values() if package.name not in ours]
    while todo:
        package = todo.pop()
        for group in package.needs:
            able = {each.name for each in packages.values() if {each.name, *each.provides} & set(group)}
            if able and able <= ours:
                # The first is as good as any.
                for name in sorted(able):
                    kept[name] = package.name
                    ours.discard(name)
                    todo.append(packages[name])
    return sorted(ours), kept
