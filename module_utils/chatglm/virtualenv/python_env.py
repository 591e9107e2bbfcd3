"""What a virtualenv holds, what its lock files want it to hold, and the work between the two.

An environment is trusted when its stamp, written last, says so: the digest of the locks, the interpreter, and for each
distribution the SHA-256 of its RECORD and a digest of the size and the times of every file named there. Only
a distribution that differs from its stamp is read in full, against the hashes in its RECORD.

Looking runs nothing of the environment: its interpreter is told by where its link leads, and a file that Python would
run by itself, or instead of a distribution's, is put aside before anything is run.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core import progress
from ..core.failure import Failure
from ..core.files import digest_of, read_json, sha256_bytes, write_json
from ..core.processes import isolated
from .requirements import Pin, applicable, environment_of, normalise, same_version

STAMP = ".chatglm-env.json"
STAMP_FORMAT = 1
# Left in a uv cache that python_env made itself: only such a cache is ever removed.
CACHE_MARK = ".made-by-python_env"
_PROBE = "import sys; print('.'.join(map(str, sys.version_info[:3])), sys.prefix, sys.executable, sep='\\n')"
# What site runs at every start.
_STARTUP = re.compile(r".*\.pth|(site|user)customize(\..*)?", re.DOTALL)
_MODULE = re.compile(r"([^.]+)(\..*)?\.(py|pyc|so)", re.DOTALL)
OTHERS = 50


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs.

    Attributes:
        version: ``3.11.2``.
        prefix: ``sys.prefix``.
        executable: the real path of ``sys.executable``.
        folders: where pyvenv.cfg may say that it is at home.

    """

    version: str
    prefix: str
    executable: str
    folders: tuple[str, ...] = ()

    @property
    def minor(self) -> str:
        """Return ``3.11`` of ``3.11.2``."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True)
class Wanted:
    """What the environment should be.

    Attributes:
        path: folder of the environment, absolute, links resolved.
        python: path of the interpreter that it is made from.
        locks: texts of the lock files.
        imports: modules that must import before the environment is trusted.
        cache_dir: uv's cache.
        keep_cache: whether the cache outlives the run.
        pythons: supported minor versions, ``3.11``; empty for any.
        machines: supported processor names; empty for any.
        full: whether to read every file even when nothing looks changed.
        managed: full version of ``python`` where that is a managed Python, which is not asked before it was looked at
            (managed_python); while others only look it need not be there yet. Else empty.

    """

    path: str
    python: str
    locks: tuple[str, ...]
    imports: tuple[str, ...] = ()
    cache_dir: str = ""
    keep_cache: bool = False
    pythons: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    full: bool = False
    managed: str = ""

    @property
    def partial(self) -> str:
        """Return the folder in which a new environment is built."""
        return self.path + ".partial"

    @property
    def old(self) -> str:
        """Return where the old environment waits until the new one is in its place."""
        return self.path + ".old"

    @property
    def kept(self) -> str:
        """Return where the user's files are put that cannot stay in the environment."""
        return self.path + ".kept"

    @property
    def old_cache(self) -> str:
        """Return the name under which a cache is removed."""
        return self.cache_dir.rstrip("/") + ".removing"

    @property
    def lock_digest(self) -> str:
        """Return the digest of all lock texts."""
        return digest_of(list(self.locks))


@dataclass
class Observed:
    """What is there.

    Attributes:
        state: ``absent``, ``unusable`` (to be built anew) or ``usable``.
        reason: why it is unusable, or what the stamp lacks.
        interpreter: the environment's own interpreter, when it runs.
        versions: installed versions by distribution; more than one is a fault.
        pins: what the locks want here; empty on the quick path, which needs none.
        stamp: the stamp's content, or an empty dictionary.
        faults: distribution to what is wrong with it, for those that are locked and installed.
        trusted: everything is as the stamp says, and the stamp is for these locks.
        touched: files were touched or moved about but hold what they should; the stamp needs new times.
        unproven: modules whose import the stamp does not vouch for.
        restore_cfg: pyvenv.cfg differs from the stamp's copy.
        leftovers: folders that an interrupted run left behind.
        aside: files in site-packages that are in the way of a distribution's (:func:`intruders`).
        others: other files that are nobody's (:func:`strangers`).

    """

    state: str
    reason: str = ""
    interpreter: Interpreter | None = None
    versions: dict[str, list[str]] = field(default_factory=dict)
    pins: dict[str, Pin] = field(default_factory=dict)
    stamp: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    trusted: bool = False
    touched: bool = False
    unproven: tuple[str, ...] = ()
    restore_cfg: bool = False
    leftovers: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass
class Plan:
    """The work.

    Attributes:
        action: ``none``, ``clean`` (leftovers only), ``verify`` (all there, not yet proven), ``repair``, ``create`` or
            ``rebuild``.
        reason: why, for ``verify`` and ``rebuild``.
        install: pins that are missing.
        reinstall: pins that are there but wrong, each with what is wrong.
        remove: distributions that an earlier lock brought and this one does not, with their versions.
        extras: distributions that the user added; they stay, but for a rebuild.
        restore_cfg: write pyvenv.cfg back.
        refresh: renew the stamp's times quietly.
        leftovers: folders to remove.
        aside: files to put aside, relative to site-packages.
        others: other files that belong to nobody; they stay, but for a rebuild, which puts them aside.

    """

    action: str
    reason: str = ""
    install: list[Pin] = field(default_factory=list)
    reinstall: list[tuple[Pin, str]] = field(default_factory=list)
    remove: list[tuple[str, str]] = field(default_factory=list)
    extras: dict[str, str] = field(default_factory=dict)
    restore_cfg: bool = False
    refresh: bool = False
    leftovers: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Tell whether anything but the stamp's times is to change."""
        return self.action != "none"

    def lines(self) -> list[str]:
        """Return the plan as lines of a diff."""
        lines = [f"- {path} (left over from an interrupted run)" for path in self.leftovers]
        if self.action == "rebuild":
            lines.append(f"! build anew: {self.reason}")
            lines += [f"- {name} {version} (added by hand)" for name, version in sorted(self.extras.items())]
        if self.action == "verify":
            lines.append(f"? verify: {self.reason}")
        lines += [f"- {path} (of no package, and Python would run it: kept beside)" for path in self.aside]
        if self.restore_cfg:
            lines.append("~ pyvenv.cfg (was edited)")
        changes = [(pin.name, f"+ {pin.name} {pin.version}") for pin in self.install]
        changes += [(pin.name, f"~ {pin.name} {pin.version} (reinstall: {why})") for pin, why in self.reinstall]
        changes += [(name, f"- {name} {version} (no longer in the locks)") for name, version in self.remove]
        return lines + [line for _, line in sorted(changes)]

    def summary(self) -> dict[str, Any]:
        """Return the plan for the module's result."""
        return {
            "install": sorted(f"{pin.name}=={pin.version}" for pin in self.install),
            "reinstall": sorted(f"{pin.name}=={pin.version}: {why}" for pin, why in self.reinstall),
            "remove": [f"{name}=={version}" for name, version in self.remove],
            "aside": list(self.aside),
            "other_files": list(self.others[:OTHERS]),
            "lost": sorted(f"{name}=={version}" for name, version in self.extras.items())
            if self.action == "rebuild"
            else [],
        }


def probe(python: str, timeout: float = 60) -> Interpreter:
    """Run an interpreter and return what it is.

    Args:
        python: path of the interpreter.
        timeout: seconds until it counts as broken.

    Raises:
        OSError: it cannot be started, hangs, or fails.

    """
    try:
        done = subprocess.run(
            isolated(python, "-S", "-c", _PROBE), capture_output=True, text=True, timeout=timeout, check=True, cwd="/"
        )
        version, prefix, executable = done.stdout.splitlines()
    except subprocess.SubprocessError as error:
        raise OSError(f"{python} does not run: {error}") from error
    except ValueError as error:
        raise OSError(f"{python} is no Python: it printed {done.stdout[:80]!r}") from error
    real = os.path.realpath(executable)
    folders = (os.path.dirname(real), os.path.dirname(executable), os.path.dirname(python), f"{prefix}/bin")
    return Interpreter(version, prefix, real, folders)


def base_of(wanted: Wanted) -> Interpreter:
    """Return the interpreter to build from.

    Raises:
        Failure: it is missing or broken.

    """
    if wanted.managed:
        real = os.path.realpath(wanted.python)
        folders = (os.path.dirname(real), os.path.dirname(wanted.python))
        return Interpreter(wanted.managed, os.path.dirname(folders[0]), real, folders)
    try:
        return probe(wanted.python)
    except OSError as error:
        raise Failure(
            f"no working Python at {wanted.python} ({error})",
            "the interpreter that the virtualenv is made from" + _alternatives(wanted.pythons),
            "install it (sudo apt-get install python3), or name another one with virtualenv_python",
        ) from error


def planned(wanted: Wanted) -> tuple[Interpreter, dict[str, Pin]]:
    """Return the interpreter to build from, and what the locks want on it.

    Raises:
        Failure: it is missing, is broken, or is none that the locks are made for.

    """
    interpreter = base_of(wanted)
    if wanted.pythons and interpreter.minor not in wanted.pythons:
        raise Failure(
            f"{wanted.python} is Python {interpreter.version}",
            "one that the locked packages have wheels for" + _alternatives(wanted.pythons),
            "install such a Python beside it and name it with virtualenv_python",
        )
    machine = os.uname().machine
    if wanted.machines and machine not in wanted.machines:
        raise Failure(
            f"a {machine} processor",
            "one that the locked packages have wheels for: " + ", ".join(wanted.machines),
            "use another host",
        )
    return interpreter, applicable(list(wanted.locks), environment_of(interpreter.version, machine))


def _alternatives(pythons: tuple[str, ...]) -> str:
    return f" (Python {', '.join(pythons)})" if pythons else ""


def site_packages(path: str, minor: str) -> str:
    """Return the folder of the distributions of a virtualenv."""
    return f"{path}/lib/python{minor}/site-packages"


def distributions(site: str) -> dict[str, list[tuple[str, str]]]:
    """Return version and metadata folder of each installed distribution, by normalised name."""
    found: dict[str, list[tuple[str, str]]] = {}
    try:
        names = os.listdir(site)
    except OSError:
        return found
    for entry in names:
        if entry.endswith((".dist-info", ".egg-info")) and not entry.startswith("~"):
            stem = entry[: -len(".dist-info")]
            name, _, version = stem.partition("-") if entry.endswith(".egg-info") else stem.rpartition("-")
            found.setdefault(normalise(name or stem), []).append((version, entry))
    return found


def record_entries(text: str) -> list[tuple[str, str]]:
    """Return path and hash of each line of a RECORD; the hash is empty for a file that has none.

    Raises:
        ValueError: the text is not a RECORD.

    """
    entries = []
    for row in csv.reader(text.splitlines()) if '"' in text else (line.split(",") for line in text.splitlines()):
        if not row:
            continue
        if len(row) != 3:
            raise ValueError(f"RECORD line with {len(row)} fields")
        entries.append((row[0], row[1]))
    return entries


def stat_digest(site: str, paths: Iterable[str]) -> str:
    """Return a digest of size and times of files; ``paths`` are relative to ``site``.

    The time of modification can be set, the time of the status' change cannot.
    """
    lines = []
    for path in paths:
        try:
            status = os.lstat(f"{site}/{path}")
        except OSError:
            lines.append(f"{path}\0absent")
        else:
            kind = "" if stat.S_ISREG(status.st_mode) else "\0irregular"
            lines.append(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}{kind}")
    return sha256_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))


def installed_bytes(path: str, minor: str, names: Iterable[str]) -> int:
    """Return the size of all files that the distributions ``names`` of an environment list as theirs."""
    site = site_packages(path, minor)
    installed = distributions(site)
    total = 0
    for name in names:
        for _, folder in installed.get(name, []):
            record = read_record(site, folder)
            for item, _ in record.entries if record else ():
                with contextlib.suppress(OSError):
                    total += os.lstat(f"{site}/{item}").st_size
    return total


@dataclass(frozen=True)
class Record:
    """The RECORD of one installed distribution: its SHA-256 and what it lists (bytecode left out)."""

    digest: str
    entries: tuple[tuple[str, str], ...]


def read_record(site: str, folder: str) -> Record | None:
    """Return the RECORD in a metadata folder, or None when it is missing or garbled."""
    try:
        data = Path(site, folder, "RECORD").read_bytes()
        entries = record_entries(data.decode("utf-8"))
    except (OSError, ValueError):
        return None
    return Record(sha256_bytes(data), tuple(entry for entry in entries if not entry[0].endswith(".pyc")))


def content_digest(record: Record) -> str:
    """Return a digest of what a distribution holds; how and from where it was installed does not count."""
    own = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")
    return digest_of(sorted(entry for entry in record.entries if os.path.basename(entry[0]) not in own))


def damage(site: str, record: Record) -> str:
    """Read every file of a distribution and return what is wrong with the first bad one, or an empty text."""
    for path, expected in record.entries:
        full = f"{site}/{path}"
        if not expected:
            if not os.path.lexists(full):
                return f"missing file {path}"
            continue
        algorithm, _, text = expected.partition("=")
        if algorithm not in hashlib.algorithms_guaranteed:
            return f"unknown hash {algorithm} of {path}"
        digest = hashlib.new(algorithm, usedforsecurity=False)
        try:
            if not stat.S_ISREG(os.lstat(full).st_mode):
                return f"damaged file {path}"
            with open(full, "rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
        except FileNotFoundError:
            return f"missing file {path}"
        except OSError as error:
            return f"unreadable file {path} ({error.strerror})"
        if base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() != text.rstrip("="):
            return f"damaged file {path}"
    return ""


def _is_environment(path: str) -> bool:
    """Tell whether a folder is, or was, a virtualenv: only such a folder is ever replaced."""
    return (
        os.path.isfile(f"{path}/pyvenv.cfg")
        or os.path.isfile(f"{path}/{STAMP}")
        or (os.path.isdir(f"{path}/bin") and os.path.isdir(f"{path}/lib") and os.path.lexists(f"{path}/bin/python"))
    )


def _leftovers(wanted: Wanted) -> tuple[str, ...]:
    found = [path for path in (wanted.partial, wanted.old, wanted.old_cache) if os.path.lexists(path)]
    if not wanted.keep_cache and wanted.cache_dir and os.path.isfile(f"{wanted.cache_dir}/{CACHE_MARK}"):
        found.append(wanted.cache_dir)
    return tuple(found)


def read_stamp(path: str) -> dict[str, Any]:
    """Return the stamp of an environment, or an empty dictionary when it is absent or not of our making."""
    stamp = read_json(f"{path}/{STAMP}")
    try:
        entries = stamp["distributions"].values()
        sound = stamp["format"] == STAMP_FORMAT and all(
            isinstance(entry[key], str) for entry in entries for key in ("version", "pin", "record", "content", "stat")
        )
        sound = sound and isinstance(stamp["pyvenv"], str) and isinstance(stamp["imports"], list)
    except (TypeError, KeyError, AttributeError):
        sound = False
    return stamp if sound else {}


def observe(wanted: Wanted) -> Observed:
    """Look at the environment: quickly if its stamp allows it, else file by file. Changes nothing.

    Raises:
        Failure: the folder holds something that is no virtualenv, or the interpreter or the locks cannot be used.

    """
    leftovers = _leftovers(wanted)
    path = wanted.path
    if not os.path.isdir(path) or not os.listdir(path):
        if os.path.lexists(path) and not os.path.isdir(path):
            raise Failure(f"{path} is a file", "a folder, or nothing", f"move {path} away or set virtualenv_path")
        return Observed("absent", pins=planned(wanted)[1], leftovers=leftovers)
    if not _is_environment(path):
        raise Failure(
            f"{path} holds files but no virtualenv ({', '.join(sorted(os.listdir(path))[:3])} ...)",
            "a virtualenv, an empty folder, or nothing",
            f"move {path} away or set virtualenv_path",
        )
    stamp = read_stamp(path)

    def unusable(reason: str) -> Observed:
        minors = [item[6:] for item in sorted(os.listdir(f"{path}/lib"))] if os.path.isdir(f"{path}/lib") else []
        versions: dict[str, list[str]] = {}
        for minor in minors:
            for name, items in distributions(site_packages(path, minor)).items():
                versions.setdefault(name, []).extend(version for version, _ in items)
        return Observed("unusable", reason, versions=versions, pins=planned(wanted)[1], leftovers=leftovers)

    own = base_of(wanted)
    try:
        cfg = Path(path, "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cfg = ""
    fault = interpreter_fault(path, own, cfg, stamp.get("pyvenv", cfg))
    if fault:
        return unusable(fault)
    same_python = stamp.get("python") == wanted.python
    site = site_packages(path, own.minor)
    if not os.path.isdir(site):
        return unusable("it has no site-packages")
    if not stamp and not any(
        line.replace(" ", "") == "include-system-site-packages=false" for line in cfg.splitlines()
    ):
        return unusable("its pyvenv.cfg does not keep the system's packages out")
    installed = distributions(site)
    records = read_records(site, installed)
    claimed = claims(records)
    observed = Observed(
        "usable",
        aside=tuple(intruders(site, claimed)),
        others=tuple(strangers(path, site, claimed)),
        interpreter=own,
        versions={name: [version for version, _ in items] for name, items in installed.items()},
        stamp=stamp,
        restore_cfg=bool(stamp) and cfg != stamp.get("pyvenv"),
        unproven=tuple(item for item in wanted.imports if item not in stamp.get("imports", [])),
        leftovers=leftovers,
    )
    stamped: dict[str, dict[str, str]] = stamp.get("distributions", {})
    unchanged = (
        set()
        if wanted.full
        else {name for name, entry in stamped.items() if _as_stamped(site, installed.get(name, []), records, entry)}
    )
    complete = bool(stamp.get("complete"))
    observed.trusted = (
        complete and same_python and stamp.get("locks") == wanted.lock_digest and len(unchanged) == len(stamped)
    )
    if not observed.trusted:
        _look_deeper(wanted, observed, site, installed, records, unchanged=unchanged)
        observed.touched = complete
        observed.reason = "" if complete else "no finished record of an installation"
    return observed


def _fields(cfg: str) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in cfg.splitlines())}


def interpreter_fault(path: str, base: Interpreter, cfg: str, kept: str) -> str:
    """Return why the environment's interpreter is not the planned one, or an empty text.

    It is not asked: to run it, or to let it find its library where pyvenv.cfg says, would be to run what is to be
    looked at.

    Args:
        path: folder of the environment.
        base: the interpreter that it should be made from.
        cfg: text of pyvenv.cfg.
        kept: the text that it had when the environment was proven, which a repair puts back; or ``cfg``.

    """
    link = os.path.realpath(f"{path}/bin/python")
    if not _fields(cfg).get("home"):
        return f"its interpreter belongs to {base.prefix}"
    if link != base.executable:
        if not re.fullmatch(r"python[0-9.]*", os.path.basename(link)) or not os.access(link, os.X_OK):
            return "its interpreter does not run"
        if link.startswith(path + "/"):
            return "its interpreter does not run as a link to the host's"
        version = _fields(cfg).get("version_info", _fields(cfg).get("version", ""))
        if version.split(".")[:2] != base.version.split(".")[:2]:
            return f"it is Python {version}, planned is {base.version}"
        return f"it is made from {link}, planned is {base.executable}"
    if _fields(kept).get("home") not in base.folders:
        return f"its pyvenv.cfg takes the library from {_fields(kept).get('home')}, planned is {base.executable}"
    return ""


def read_records(site: str, installed: dict[str, list[tuple[str, str]]]) -> dict[str, Record | None]:
    """Return :func:`read_record` of every distribution, by its metadata folder."""
    return {folder: read_record(site, folder) for items in installed.values() for _, folder in items}


def claims(records: dict[str, Record | None]) -> set[str]:
    """Return the paths, relative to site-packages, of all files that the distributions list as theirs."""
    return {os.path.normpath(path) for record in records.values() if record is not None for path, _ in record.entries}


def intruders(site: str, claimed: set[str]) -> list[str]:
    """Return the files and folders of no distribution that Python would run by itself, or instead of a distribution's.

    That is what ``site`` runs at every start, and a module beside a distribution's of the same name: an extension
    comes before a source, and a folder before both.
    """
    modules: dict[str, set[str]] = {"": set()}
    folders = set()
    for path in claimed:
        folder, _, name = path.rpartition("/")
        found = _MODULE.fullmatch(name)
        if found and not folder.startswith(".."):
            modules.setdefault(folder, set()).add(found[1])
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for path in folders & set(modules):
        above, _, name = path.rpartition("/")
        modules.setdefault(above, set()).add(name)
    result = []
    for folder, names in modules.items():
        try:
            entries = list(os.scandir(f"{site}/{folder}"))
        except OSError:
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path in claimed or path in folders:
                continue
            found = _MODULE.fullmatch(entry.name)
            shadows = (found[1] if found else entry.name) in names
            if shadows or (not folder and _STARTUP.fullmatch(entry.name)):
                result.append(path)
    return sorted(result)


def strangers(path: str, site: str, claimed: set[str]) -> list[str]:
    """Return what else lies directly in the environment's own folders, relative to it: of no distribution, not ours."""
    tops = {item.partition("/")[0] for item in claimed}
    usual = re.compile(
        r"activate.*|deactivate.*|pydoc\.bat|python[0-9.]*|pip[0-9.]*|__pycache__|.*\.(dist|egg)-info|_virtualenv\..*"
        r"|pyvenv\.cfg|\.lock|\.gitignore|CACHEDIR\.TAG|bin|lib|lib64|include|share|etc|" + re.escape(STAMP)
    )
    result = []
    for folder in ("", "bin", os.path.relpath(site, path)):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"{path}/{folder}"):
                listed = os.path.normpath(f"{os.path.relpath(path, site)}/{folder}/{name}")
                if not usual.fullmatch(name) and name not in tops and listed not in claimed:
                    result.append(os.path.join(folder, name))
    return sorted(result)


def _as_stamped(
    site: str, items: list[tuple[str, str]], records: dict[str, Record | None], entry: dict[str, str]
) -> bool:
    if len(items) != 1 or items[0][0] != entry["version"]:
        return False
    record = records[items[0][1]]
    return (
        record is not None
        and record.digest == entry["record"]
        and stat_digest(site, (path for path, _ in record.entries)) == entry["stat"]
    )


def _look_deeper(
    wanted: Wanted,
    observed: Observed,
    site: str,
    installed: dict[str, list[tuple[str, str]]],
    records: dict[str, Record | None],
    *,
    unchanged: set[str],
) -> None:
    """Fill in ``pins`` and ``faults``: read all files of the distributions that are not as the stamp says."""
    _, observed.pins = planned(wanted)
    stamped: dict[str, dict[str, str]] = observed.stamp.get("distributions", {})
    suspects: list[tuple[str, Record]] = []
    for name, pin in observed.pins.items():
        items = installed.get(name, [])
        entry = stamped.get(name)
        if not items:
            continue
        if len(items) > 1:
            observed.faults[name] = "installed twice: " + ", ".join(sorted(version for version, _ in items))
        elif not same_version(items[0][0], pin.version):
            observed.faults[name] = f"version {items[0][0]}"
        elif entry and entry.get("pin") != digest_of(list(pin.hashes)):
            observed.faults[name] = "its locked digests changed"
        elif name in observed.stamp.get("doubtful", []):
            observed.faults[name] = "an interrupted run was at work on it"
        elif name not in unchanged:
            record = records[items[0][1]]
            if record is None:
                observed.faults[name] = "its RECORD is missing or garbled"
            elif entry and entry["version"] == items[0][0] and entry["record"] != record.digest:
                observed.faults[name] = "its RECORD changed"
            else:
                suspects.append((name, record))
    observed.faults.update(find_damage(site, suspects))


def unremovable(site: str, names: Iterable[str]) -> list[str]:
    """Return the metadata folders whose RECORD does not describe them, so that no installer can remove them by it."""
    installed = distributions(site)
    found = []
    for name in names:
        for _, folder in installed.get(name, []):
            record = read_record(site, folder)
            if record is None or f"{folder}/RECORD" not in {path for path, _ in record.entries}:
                found.append(f"{site}/{folder}")
    return found


def find_damage(site: str, suspects: list[tuple[str, Record]]) -> dict[str, str]:
    """Return name and first fault of the distributions whose files are not as their RECORD says."""
    # Hashing releases the interpreter's lock, so threads use all cores.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        faults = pool.map(lambda item: damage(site, item[1]), suspects)
        found = {}
        for number, ((name, _), fault) in enumerate(zip(suspects, faults, strict=True), 1):
            progress.tell("verify", "", number, len(suspects), items=1)
            if fault:
                found[name] = fault
        return found


def make_plan(wanted: Wanted, observed: Observed) -> Plan:
    """Compare what is there with what should be."""
    # A cache that an interrupted run left is no rubbish where the work goes on: it saves fetching again.
    rubbish = tuple(path for path in observed.leftovers if path != wanted.cache_dir)
    if observed.state == "absent":
        return Plan("create", install=list(observed.pins.values()), leftovers=rubbish)
    locked = set(observed.pins) or set(observed.stamp.get("distributions", {}))
    # What an interrupted run was about to remove is no longer vouched for, but it is still ours.
    stamped = {*observed.stamp.get("distributions", {}), *observed.stamp.get("doubtful", [])}
    others = {name: versions[0] for name, versions in observed.versions.items() if name not in locked}
    if observed.state == "unusable":
        return Plan(
            "rebuild",
            observed.reason,
            install=list(observed.pins.values()),
            extras=others,
            leftovers=rubbish,
        )
    plan = Plan(
        "none",
        install=[pin for name, pin in observed.pins.items() if name not in observed.versions],
        reinstall=[(observed.pins[name], fault) for name, fault in observed.faults.items()],
        remove=sorted((name, version) for name, version in others.items() if name in stamped),
        extras={name: version for name, version in others.items() if name not in stamped},
        restore_cfg=observed.restore_cfg,
        leftovers=observed.leftovers,
        aside=observed.aside,
        others=tuple(path for path in observed.others if os.path.basename(path) not in observed.aside),
    )
    if plan.install or plan.reinstall or plan.remove or plan.restore_cfg or plan.aside:
        plan.action, plan.leftovers = "repair", rubbish
    elif not observed.stamp.get("complete") or observed.reason:
        plan.action, plan.reason = "verify", observed.reason
    elif observed.unproven:
        plan.action, plan.reason = "verify", "not yet imported: " + ", ".join(observed.unproven)
    elif plan.leftovers:
        plan.action = "clean"
    plan.refresh = plan.action in ("none", "clean") and observed.touched
    return plan


def invalidate(path: str, stamp: dict[str, Any], acted: Iterable[str]) -> None:
    """Mark the stamp as unfinished, and note the distributions that are about to change as doubtful.

    An installer that is killed can leave a RECORD that is cut between two lines: all that it lists is there, and what
    it does not list is looked at by nobody. So what an interrupted run was at work on is installed again.
    """
    gone = set(acted)
    kept = {name: entry for name, entry in stamp.get("distributions", {}).items() if name not in gone}
    cfg = Path(path, "pyvenv.cfg").read_text(encoding="utf-8", errors="replace") if not stamp else ""
    base = stamp or {"format": STAMP_FORMAT, "pyvenv": cfg, "imports": []}
    doubtful = sorted(gone | set(stamp.get("doubtful", [])))
    write_json(f"{path}/{STAMP}", {**base, "complete": False, "distributions": kept, "doubtful": doubtful})


def verify_installed(path: str, minor: str, pins: dict[str, Pin]) -> dict[str, str]:
    """Return what is wrong with the locked distributions of an environment, every file read."""
    site = site_packages(path, minor)
    installed = distributions(site)
    faults = {}
    suspects = []
    for name, pin in pins.items():
        items = installed.get(name, [])
        if len(items) != 1 or not same_version(items[0][0], pin.version):
            faults[name] = f"installed: {', '.join(version for version, _ in items) or 'nothing'}"
            continue
        record = read_record(site, items[0][1])
        if record is None:
            faults[name] = "its RECORD is missing or garbled"
        else:
            suspects.append((name, record))
    return {**faults, **find_damage(site, suspects)}


def make_stamp(path: str, wanted: Wanted, interpreter: Interpreter, pins: dict[str, Pin]) -> dict[str, Any]:
    """Return the stamp of an environment that has just been proven.

    Raises:
        OSError: a RECORD vanished meanwhile.

    """
    site = site_packages(path, interpreter.minor)
    installed = distributions(site)
    entries = {}
    for name, pin in pins.items():
        version, folder = installed[name][0]
        record = read_record(site, folder)
        if record is None:
            raise OSError(f"{site}/{folder}/RECORD changed while it was read")
        entries[name] = {
            "version": version,
            "pin": digest_of(list(pin.hashes)),
            "record": record.digest,
            "content": content_digest(record),
            "stat": stat_digest(site, (item for item, _ in record.entries)),
        }
    return {
        "format": STAMP_FORMAT,
        "complete": True,
        "locks": wanted.lock_digest,
        "python": wanted.python,
        "executable": interpreter.executable,
        "version": interpreter.version,
        "imports": sorted(wanted.imports),
        "pyvenv": Path(path, "pyvenv.cfg").read_text(encoding="utf-8", errors="replace"),
        "distributions": entries,
    }


def renewed(path: str, stamp: dict[str, Any]) -> dict[str, Any]:
    """Return the stamp with the files' present times; for who has just proven them and held all others off."""
    site = site_packages(path, ".".join(stamp["version"].split(".")[:2]))
    installed = distributions(site)
    entries = {}
    for name, entry in stamp["distributions"].items():
        record = read_record(site, installed[name][0][1])
        paths = (item for item, _ in record.entries) if record else ()
        entries[name] = {**entry, "stat": stat_digest(site, paths)}
    return {**stamp, "distributions": entries}


def identity(stamp: dict[str, Any], version: str, extras: dict[str, str]) -> str:
    """Return the digest by which others recognise the environment: interpreter, contents, and what was added."""
    contents = {name: [entry["version"], entry["content"]] for name, entry in stamp["distributions"].items()}
    return digest_of({"python": version, "contents": contents, "extras": extras})
