"""Tell cheaply whether anything under a folder has changed since a moment when all of it was proven.

A seal holds the key of the settings and the code that the proof was made with, and a fingerprint of every file's
status. It only ever saves work: whatever differs, by a nanosecond even, makes the roles look themselves.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from typing import Any

from .files import read_json

FORMAT = 1
WORKING = frozenset({"cache", "run"})
"""Folders directly under home in which the demo itself writes."""
SERVICE = "state/service"
PASSING = ("state/lock", "state/progress.json", "state/progress.json.new", SERVICE)
"""What keeps two runs apart, what one tells while it works, and where a running service writes: they say nothing about
the installation."""


def _status(found: os.stat_result) -> str:
    """Return what of a file's status its content cannot change without: ctime moves with every write, rename, chmod."""
    return f"{found.st_mode:o} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def fingerprint(home: str, outside: Iterable[str] = (), ignore: Iterable[str] = ()) -> str:
    """Return a hex SHA-256 over the names and the status of all files below ``home``, and of those in ``outside``.

    Args:
        home: the folder; its ``cache``, ``run``, what is :data:`PASSING` and every ``__pycache__`` are left out, as are
            times of folders. A link to a folder is followed there and in ``models``.
        outside: absolute paths of further files; an absent one counts as such.
        ignore: paths relative to ``home`` to leave out.

    Raises:
        OSError: a folder cannot be read.

    """
    digest, skipped = hashlib.sha256(), {os.path.join(home, name) for name in (*WORKING, *PASSING, *ignore)}
    folders = [home]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            if entry.path in skipped or entry.name == "__pycache__":
                continue
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                folders.append(entry.path)
                line = f"{entry.path} {found.st_mode:o}"
            elif stat.S_ISLNK(found.st_mode):
                line = f"{entry.path} -> {os.readlink(entry.path)}"
                if entry.is_dir() and os.path.relpath(folder, home) in (".", "models"):
                    folders.append(entry.path)  # weights on another disk, say
            else:
                line = f"{entry.path} {_status(found)}"
            digest.update(os.fsencode(line) + b"\n")
    for path in sorted(outside):
        try:
            line = f"{os.path.realpath(path)} {_status(os.stat(path))}"
        except OSError as error:
            line = f"{path} {error.errno}"
        digest.update(os.fsencode(line) + b"\n")
    return digest.hexdigest()


def make(home: str, path: str, key: str, outside: list[str], lines: list[str]) -> dict[str, Any]:
    """Return the seal of ``home`` as it is now, to be written to ``path`` (below ``home``).

    Raises:
        OSError: as :func:`fingerprint`.

    """
    return {
        "format": FORMAT,
        "key": key,
        "outside": outside,
        "lines": lines,
        "fingerprint": fingerprint(home, outside, [os.path.relpath(path, home)]),
    }


def look(home: str, path: str) -> dict[str, Any]:
    """Return the seal's ``key`` and ``lines`` and whether it is ``intact``; a seal that cannot be read is not."""
    nothing = {"key": "", "lines": [], "intact": False}
    seal = read_json(path)
    try:
        if seal["format"] != FORMAT:
            return nothing
        now = fingerprint(home, seal["outside"], [os.path.relpath(path, home)])
        return {"key": str(seal["key"]), "lines": list(seal["lines"]), "intact": now == seal["fingerprint"]}
    except (KeyError, TypeError, OSError):
        return nothing
