"""A Python that uv brings along ("managed Python"): which one, where it may come from, what is there, what to do.

The list is in uv's own format (``uv python install --python-downloads-json-url``): python-build-standalone's archives
with their SHA-256. Each release stands in a folder of its own, named by uv's key, below one folder of ours. The record
names every file of it with its digest, and a digest of all files' sizes and times: where that is as recorded, no file
is read.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from ..core.failure import Failure
from ..core.files import read_json
from .python_env import Record, damage, stat_digest

FORMAT = 1
OFFICIAL = "official"
MINORS = ("3.12", "3.11", "3.10")
"""Best first; as plan.PYTHONS, which says why."""


@dataclass(frozen=True)
class Release:
    """One archive of the list.

    Attributes:
        key: uv's name for it, and the name of its folder, ``cpython-3.12.16-linux-x86_64-gnu``.
        version: ``3.12.16``.
        build: the day of its making, ``20261110``.
        url: where the list says that it is.
        sha256: of the archive, hexadecimal.
        entry: all that the list says of it.

    """

    key: str
    version: str
    build: str
    url: str
    sha256: str
    entry: dict[str, Any] = field(compare=False, default_factory=dict)

    @property
    def minor(self) -> str:
        """Return ``3.12`` of ``3.12.16``."""
        return ".".join(self.version.split(".")[:2])

    def interpreter(self, folder: str) -> str:
        """Return the path of its interpreter below ``folder``."""
        return f"{folder}/{self.key}/bin/python{self.minor}"

    def __str__(self) -> str:
        """Return ``3.12.16 (build 20261110)``."""
        return f"{self.version} (build {self.build})"


def choose(text: str) -> Release:
    """Return the release to bring: of a minor version that the locks are made for, best first, the newest.

    Args:
        text: the list, JSON.

    Raises:
        Failure: it is no such list, or has none that fits.

    """
    expected = "a list in uv's format with a CPython 3.12, 3.11 or 3.10 for Linux on x86_64, its address and its sha256"
    remedy = "correct the file that virtualenv_python_downloads names, or leave the setting out"
    try:
        listed = json.loads(text)
        entries = [(str(key), dict(entry)) for key, entry in listed.items()]
    except (ValueError, TypeError, AttributeError) as error:
        raise Failure(f"a list of Pythons that cannot be read ({error})", expected, remedy) from error
    found: list[tuple[tuple[int, ...], Release]] = []
    for key, entry in entries:
        try:
            arch = entry["arch"]
            family = arch["family"] if isinstance(arch, dict) else arch
            special = entry.get("variant") or entry.get("prerelease") or (isinstance(arch, dict) and arch["variant"])
            if (entry["name"], family, entry["os"], entry["libc"]) != ("cpython", "x86_64", "linux", "gnu") or special:
                continue
            number = tuple(int(entry[part]) for part in ("major", "minor", "patch"))
            url, sha256 = str(entry["url"]), str(entry["sha256"])
        except (KeyError, TypeError, ValueError):
            continue
        version = ".".join(map(str, number))
        minor = ".".join(map(str, number[:2]))
        sound = re.fullmatch(r"[0-9a-f]{64}", sha256) and re.fullmatch(r"cpython-[\w.+-]+", key)
        if minor in MINORS and sound and re.match(r"(https?|file)://", url):
            build = str(entry.get("build") or "")
            found.append(((-MINORS.index(minor), *number), Release(key, version, build, url, sha256, entry)))
    if not found:
        raise Failure(f"none among {len(entries)} entries of the list of Pythons", expected, remedy)
    return max(found, key=lambda item: item[0])[1]


def addresses(release: Release, mirrors: Iterable[str]) -> list[str]:
    """Return where to ask for the archive, in this order.

    Args:
        release: what is looked for.
        mirrors: ``official`` (the address in the list), base addresses that take the place of all of it but its last
            two parts (``BUILD/FILE``, as uv's own mirrors do), or, as a path or file://, such a folder, a folder
            with the file in it, or the file itself.

    Raises:
        Failure: there is none, or one is of another kind.

    """
    build, _, name = release.url.rstrip("/").rpartition("/")
    build = build.rpartition("/")[2]
    found = []
    for mirror in mirrors:
        if mirror == OFFICIAL:
            found.append(release.url)
        elif re.match(r"https?://[^/]", mirror):
            found.append(f"{mirror.rstrip('/')}/{build}/{name}")
        elif mirror.startswith(("/", "file:///")):
            place = unquote(mirror[len("file://") :]) if mirror.startswith("file:") else mirror
            within = [f"{place}/{build}/{unquote(name)}", f"{place}/{unquote(name)}"]
            path = next((each for each in (place, *within) if os.path.isfile(each)), within[0])
            found.append("file://" + quote(os.path.normpath(path)))
        else:
            raise Failure(
                f"virtualenv_python_mirrors names {mirror!r}",
                "official, an address that starts with https:// or http://, or an absolute path on the host",
                "correct it",
            )
    if not found:
        raise Failure("virtualenv_python_mirrors is empty", "at least one source", "leave it out for the defaults")
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Wanted:
    """What should be there.

    Attributes:
        folder: the folder of all releases, absolute, links resolved.
        record: path of the record.
        release: what to bring, None for nothing.
        environment: folder of the virtualenv that may stand on one of them.
        full: whether to read every file even when nothing looks changed.

    """

    folder: str
    record: str
    release: Release | None = None
    environment: str = ""
    full: bool = False

    @property
    def partial(self) -> str:
        """Return the folder in which a new one is built."""
        return self.folder + ".partial"

    @property
    def old(self) -> str:
        """Return where an old one waits until the new one is in its place."""
        return self.folder + ".old"

    @property
    def kept(self) -> str:
        """Return where files go that no archive has brought."""
        return self.folder + ".kept"


@dataclass
class Observed:
    """What is there.

    Attributes:
        there: the folder of the wanted release exists.
        fault: why it has to be fetched anew; empty for a sound one and where none is there or wanted.
        touched: files were touched but hold what they should; the record needs new times.
        aside: files in it that no archive has brought, relative to its folder.
        bytecode: the same, compiled by Python and never read by ours.
        spare: recorded releases that are not wanted and that the virtualenv does not stand on.
        later: those on which it still stands.
        leftovers: folders that an interrupted run left behind.
        record: what the record says.

    """

    there: bool = False
    fault: str = ""
    touched: bool = False
    aside: tuple[str, ...] = ()
    bytecode: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    record: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Plan:
    """The work.

    Attributes:
        action: ``none``, ``clean`` (leftovers and what nothing stands on), ``tidy`` (files that are not the archive's
            are put beside), ``create`` or ``repair`` (fetched anew).
        reason: why, for ``repair``.
        release: what is wanted.
        refresh: quiet work: the record's times, bytecode.
        aside: files to put beside.
        spare: releases to remove.
        later: releases to remove as soon as the virtualenv has moved.
        leftovers: folders to remove.

    """

    action: str
    reason: str = ""
    release: Release | None = None
    refresh: bool = False
    aside: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Tell whether anything but times and bytecode is to change now."""
        return self.action != "none"

    def lines(self) -> list[str]:
        """Return the plan as lines of a diff."""
        lines = [f"- {path} (left over from an interrupted run)" for path in self.leftovers]
        lines += [f"- {path} (not of the archive, and Python would run it: kept beside)" for path in self.aside]
        if self.action == "create":
            lines.append(f"+ Python {self.release}")
        if self.action == "repair":
            lines.append(f"~ Python {self.release} (fetched again: {self.reason})")
        lines += [f"- Python {version_of(key)} (nothing stands on it any more)" for key in self.spare]
        lines += [f"- Python {version_of(key)} (once the virtualenv stands on another)" for key in self.later]
        return lines


def version_of(key: str) -> str:
    """Return ``3.12.16`` of ``cpython-3.12.16-linux-x86_64-gnu``."""
    return key.split("-")[1] if "-" in key else key


def read_record(path: str) -> dict[str, dict[str, Any]]:
    """Return what is recorded of each release by its key; what is no record of ours proves nothing."""
    found = read_json(path)
    try:
        if found["format"] != FORMAT:
            return {}
        return {
            str(key): entry
            for key, entry in found["pythons"].items()
            if re.fullmatch(r"cpython-[\w.+-]+", key)
            and all(isinstance(entry[name], str) for name in ("version", "build", "sha256", "path", "stat"))
            and all(isinstance(entry[name], dict) for name in ("files", "links"))
            and not any(os.path.isabs(name) or ".." in name.split("/") for name in (*entry["files"], *entry["links"]))
        }
    except (TypeError, KeyError, AttributeError):
        return {}


def as_record(entry: dict[str, Any]) -> Record:
    """Return the files of a recorded release as those of a distribution."""
    return Record("", tuple(sorted(entry["files"].items())))


def walk(tree: str) -> tuple[list[str], dict[str, str]]:
    """Return the files of a release's folder, relative to it, and its links with their targets; links are not followed.

    Raises:
        OSError: a folder cannot be read.

    """
    files, links = [], {}
    folders = [""]
    while folders:
        inside = folders.pop()
        with os.scandir(os.path.join(tree, inside)) as listing:
            for entry in listing:
                path = f"{inside}/{entry.name}" if inside else entry.name
                if entry.is_symlink():
                    links[path] = os.readlink(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                else:
                    files.append(path)
    return sorted(files), links


def is_bytecode(path: str) -> bool:
    """Tell whether a file is what Python leaves of a source that it has run."""
    return re.fullmatch(r"(.*/)?__pycache__/[^/]+\.pyc(\.\d+)?", path, re.DOTALL) is not None


def strangers(tree: str, entry: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the files of a release's folder that no archive has brought, bytecode apart.

    Raises:
        OSError: a folder cannot be read.

    """
    files, links = walk(tree)
    others = [path for path in [*files, *sorted(links)] if path not in entry["files"] and path not in entry["links"]]
    return [path for path in others if not is_bytecode(path)], [path for path in others if is_bytecode(path)]


def stands_on(environment: str, folder: str) -> str:
    """Return the key of the release that a virtualenv stands on, also where that is gone; empty for none."""
    link = os.path.realpath(f"{environment}/bin/python") if environment else ""
    return link[len(folder) + 1 :].partition("/")[0] if link.startswith(f"{folder}/") else ""


def observe(wanted: Wanted) -> Observed:
    """Look at what is there: quickly if the record allows it, else file by file. Runs nothing, changes nothing.

    Raises:
        Failure: something else stands in the place of a folder.
        OSError: a folder cannot be read.

    """
    release = wanted.release
    key = release.key if release else ""
    record = read_record(wanted.record)
    in_use = stands_on(wanted.environment, wanted.folder)
    others = [name for name in sorted(record) if name != key]
    observed = Observed(
        record=record,
        spare=tuple(name for name in others if name != in_use),
        later=tuple(name for name in others if name == in_use),
        leftovers=tuple(path for path in (wanted.partial, wanted.old) if os.path.lexists(path)),
    )
    if release is None:
        return observed
    tree = f"{wanted.folder}/{key}"
    for path in (wanted.folder, tree):
        if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
            raise Failure(f"{path} is not a folder", "a folder, or nothing", f"move {path} away")
    observed.there = os.path.isdir(tree)
    entry = record.get(key)
    if not observed.there:
        observed.fault = "it is missing" if entry or in_use == key else ""
        return observed
    if entry is None:
        observed.fault = "no record of it"
        return observed
    aside, bytecode = strangers(tree, entry)
    observed.aside, observed.bytecode = tuple(aside), tuple(bytecode)
    if entry["sha256"] != release.sha256:
        observed.fault = f"it is build {entry['build']}, planned is {release.build}"
    elif entry["path"] != tree:
        observed.fault = f"it was made for {entry['path']}"
    else:
        observed.fault = fault(tree, entry, release.interpreter(wanted.folder), observed, full=wanted.full)
    return observed


def fault(tree: str, entry: dict[str, Any], interpreter: str, observed: Observed, *, full: bool) -> str:
    """Return what is wrong with a recorded release, and note in ``observed`` whether only times differ."""
    for path, target in entry["links"].items():
        if not os.path.islink(f"{tree}/{path}") or os.readlink(f"{tree}/{path}") != target:
            return f"damaged link {path}" if os.path.lexists(f"{tree}/{path}") else f"missing link {path}"
    same = stat_digest(tree, sorted(entry["files"])) == entry["stat"]
    if not same or full:
        found = damage(tree, as_record(entry))
        if found:
            return found
    observed.touched = not same
    try:
        mode = os.lstat(interpreter).st_mode
    except OSError:
        return "it has no interpreter"
    return "" if stat.S_ISREG(mode) and os.access(interpreter, os.X_OK) else "its interpreter may not be executed"


def make_plan(wanted: Wanted, observed: Observed) -> Plan:
    """Compare what is there with what should be."""
    plan = Plan(
        "none",
        release=wanted.release,
        spare=observed.spare,
        later=observed.later,
        leftovers=observed.leftovers,
    )
    if wanted.release and (observed.fault or not observed.there):
        plan.action = "repair" if observed.fault else "create"
        plan.reason = observed.fault
        plan.aside = observed.aside
    elif observed.aside:
        plan.action, plan.aside = "tidy", observed.aside
    elif plan.spare or plan.leftovers:
        plan.action = "clean"
    plan.refresh = plan.action in ("none", "clean", "tidy") and bool(observed.touched or observed.bytecode)
    return plan


def make_entry(tree: str, path: str, release: Release, files: dict[str, str], links: dict[str, str]) -> dict[str, Any]:
    """Return what is recorded of a release.

    Args:
        tree: where it stands now; moving that folder changes no file's times.
        path: where it is to stand.
        release: what it is.
        files: digest of each file, as in a RECORD (``sha256=...``).
        links: target of each link.

    """
    return {
        "version": release.version,
        "build": release.build,
        "sha256": release.sha256,
        "path": path,
        "files": files,
        "links": links,
        "stat": stat_digest(tree, sorted(files)),
        "bytes": sum(os.lstat(f"{tree}/{name}").st_size for name in files),
    }


def as_text(release: Release, url: str) -> bytes:
    """Return a list with one release, and another address for it, for uv."""
    return json.dumps({release.key: {**release.entry, "url": url}}).encode()


def there(home: str, release: Release) -> bool:
    """Tell cheaply whether an installation has a release already; :func:`observe` tells whether it is sound."""
    return Path(release.interpreter(f"{home}/python")).is_file()
