#!/usr/bin/python
"""Ansible module: remove an installation and nothing else; module_utils/chatglm/uninstall/removal.py decides."""

from __future__ import annotations

DOCUMENTATION = r"""
module: uninstall
short_description: Remove an installation, and keep what is the user's
description:
  - Removes what this project put below O(home), as far as its records prove that it did. Files of packages count by
    their RECORD, those of the clone by their commit, weights by the record of their verification. What differs, and
    what nobody knows, is kept where it is, with its folder, and named.
  - Symbolic links are never followed. A page that still runs is stopped before; any other program that runs from the
    installation is a reason to refuse.
  - Also removes the command's link and its completion below the user's home, if they lead into O(home), and the
    shortcut on Windows' desktop. Windows' C(.wslconfig) stays and is named.
  - Tells what root has to remove elsewhere (unit, packages, APT source), and does not touch that.
  - May be interrupted at any moment; what proves others goes after them.
  - While files of the user's stay, C(state/removed.json) stays with them, so that a later run knows this folder.
version_added: "1.0.0"
options:
  home:
    description: Folder of the installation.
    type: path
    required: true
  keep_weights:
    description: Leave the folder C(models) as it is, with the record that proves it.
    type: bool
    default: false
  language:
    description: Language of the summary.
    type: str
    choices: [en, zh]
    default: en
  done:
    description: What root has removed by now, the C(root) of an earlier call, for the summary.
    type: dict
  lock:
    description:
      - The file that keeps two runs from changing the installation at once; taken only when there is something to do,
        and dropped by the kernel with its process. Empty takes none.
    type: path
    default: ""
  lock_timeout:
    description: Seconds to wait for another run that holds O(lock), 0 not to wait.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: Returns what the run would, and removes nothing.
  diff_mode:
    support: full
    description: A line for each file or whole folder that goes.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Remove everything but the weights
  uninstall:
    home: ~/chatglm
    keep_weights: true
    lock: ~/chatglm/state/lock
"""

RETURN = r"""
home:
  description: The folder, links resolved.
  returned: success
  type: str
removed:
  description: What goes, sorted; a folder that goes whole ends in a slash and stands for all below it.
  returned: success
  type: list
  elements: str
kept:
  description: What stays, in the same way.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: Relative to home., type: str}
    files: {description: Number of files., type: int}
    reason: {description: Why in one word., type: str, sample: edited}
processes:
  description: Pages that are stopped, as C(pid N (COMMAND)).
  returned: success
  type: list
  elements: str
freed:
  description: Bytes on the disk.
  returned: success
  type: int
root:
  description: >-
    For root to remove. C(units) are the paths of the service's unit and of what enables it, C(booted) tells whether
    systemd runs here, C(become) whether this is not root yet, C(packages) are names, C(sources) the path of the APT
    source; empty where there is nothing.
  returned: success
  type: dict
packages_kept:
  description: Packages of ours that others need by now, each with one that does.
  returned: success
  type: dict
lines:
  description: The summary.
  returned: success
  type: list
  elements: str
"""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import git_blob_id, read_json, sha256_file, unusable, write_json
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.cuda_libs import apt_packages, apt_sources, cuda_packages, cuda_probe
from ansible.module_utils.chatglm.language.messages import say
from ansible.module_utils.chatglm.source import source_plan
from ansible.module_utils.chatglm.uninstall import removal
from ansible.module_utils.chatglm.virtualenv import managed_python, python_env
from ansible.module_utils.chatglm.web_demo.record import Record
from ansible.module_utils.chatglm.weights import snapshot
from ansible.module_utils.chatglm.weights.content import gigabytes
from ansible.module_utils.chatglm.windows import windows_config

UNIT = "/etc/systemd/system/chatglm.service"
WANTS = "/etc/systemd/system/multi-user.target.wants/chatglm.service"
DPKG = "/var/lib/dpkg/status"
OUTSIDE = (".local/bin/chatglm", ".local/share/bash-completion/completions/chatglm")
COMPLETION = "bash completion of chatglm. Written by Ansible."
MOVED = "source.partial/removed-git"  # site.yml removes that folder as well
SHOWN = 20  # lines of a list in the summary
GRACE = 10  # seconds that a page has to end


def text_of(path: str) -> str:
    """Return the text of a file that is no link, or an empty text."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, encoding="utf-8", errors="replace", newline="") as stream:
            return stream.read()
    except OSError:
        return ""


def walk(home: str) -> list[removal.Item]:
    """Return everything below home; nothing is followed.

    Raises:
        OSError: a folder cannot be read.

    """
    items = []
    seen = set()
    folders = [""]
    device = os.stat(home).st_dev
    while folders:
        inside = folders.pop()
        with os.scandir(os.path.join(home, inside)) as listing:
            for entry in listing:
                path = f"{inside}/{entry.name}" if inside else entry.name
                found = entry.stat(follow_symlinks=False)
                # Of files with several names, one counts.
                size = 0 if found.st_ino in seen else found.st_blocks * 512
                if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                    seen.add(found.st_ino)
                if stat.S_ISDIR(found.st_mode):
                    # Nothing of ours is on another file system; what is mounted there is not looked at.
                    mount = found.st_dev != device
                    items.append(removal.Item(path, "folder", size, mount))
                    if not mount:
                        folders.append(path)
                else:
                    regular, link = stat.S_ISREG(found.st_mode), stat.S_ISLNK(found.st_mode)
                    items.append(removal.Item(path, "file" if regular else "link" if link else "other", size))
    return items


def of_virtualenv(home: str, evidence: removal.Evidence) -> None:
    """Prove the files of the packages that the locks brought, and name those of others."""
    path = f"{home}/venv"
    stamp = python_env.read_stamp(path)
    if not stamp:
        # What is left where a user's files stayed is no environment any more.
        if any(os.path.lexists(f"{path}/{name}") for name in ("pyvenv.cfg", "bin/python", removal.STAMP[5:])):
            evidence.whole["venv"] = "unproven"
        return
    evidence.proven.add(removal.STAMP)
    with contextlib.suppress(OSError):
        birth = os.lstat(f"{home}/{removal.BIRTH}").st_mtime
        for name in (os.path.relpath(file, path) for pattern in ("*", "bin/*") for file in Path(path).glob(pattern)):
            if removal.SCRIPTS.fullmatch(f"venv/{name}"):
                # All are written at once; what was edited is younger.
                ours = os.lstat(f"{path}/{name}").st_mtime <= birth + 60
                if ours or (name == "pyvenv.cfg" and text_of(f"{path}/{name}") == stamp["pyvenv"]):
                    evidence.proven.add(f"venv/{name}")
                else:
                    evidence.reasons[f"venv/{name}"] = "edited"
    entries = {**dict.fromkeys(stamp.get("doubtful", [])), **stamp["distributions"]}
    theirs: set[str] = set()
    for site in sorted(Path(path).glob("lib/python3*/site-packages")):
        for name, items in python_env.distributions(str(site)).items():
            for _, folder in items:
                record = python_env.read_record(str(site), folder)
                if record is None:
                    continue
                listed = {os.path.relpath(f"{site}/{item}", home): (item, digest) for item, digest in record.entries}
                entry = entries.get(name)
                if name not in entries or (entry and entry["record"] != record.digest):
                    theirs |= set(listed)
                    continue
                whole = entry and entry["stat"] == python_env.stat_digest(
                    str(site), (item for item, _ in record.entries)
                )
                for place, item in listed.items():
                    if whole or not python_env.damage(str(site), python_env.Record("", (item,))):
                        evidence.proven.add(place)
                    elif os.path.lexists(f"{home}/{place}"):
                        evidence.reasons[place] = "edited"
    evidence.proven -= theirs
    evidence.reasons.update(dict.fromkeys(theirs, "package"))


def of_python(home: str, evidence: removal.Evidence) -> None:
    """Prove the files of the Python that uv has brought, as its record names them."""
    for key, entry in managed_python.read_record(f"{home}/{removal.PYTHON}").items():
        tree = f"{home}/python/{key}"
        record = managed_python.as_record(entry)
        whole = entry["stat"] == python_env.stat_digest(tree, sorted(entry["files"]))
        for path, digest in record.entries:
            place = f"python/{key}/{path}"
            if whole or not python_env.damage(tree, python_env.Record("", ((path, digest),))):
                evidence.proven.add(place)
            elif os.path.lexists(f"{tree}/{path}"):
                evidence.reasons[place] = "edited"
        for path, target in entry["links"].items():
            with contextlib.suppress(OSError):
                if os.readlink(f"{tree}/{path}") == target:
                    evidence.proven.add(f"python/{key}/{path}")


def of_clone(home: str, git: str | None, evidence: removal.Evidence) -> None:
    """Prove the files of the clone that are as committed, or as patched by us."""
    path = f"{home}/source"
    repository = f"{path}/.git"
    if not os.path.lexists(repository):
        return
    names = os.listdir(repository) if os.path.isdir(repository) and not os.path.islink(repository) else [""]
    refs = [
        os.path.relpath(os.path.join(folder, name), repository)
        for top in ("refs", "logs", "info")
        for folder, _, files in os.walk(f"{repository}/{top}")
        for name in files
    ]
    head = text_of(f"{repository}/HEAD").strip()
    if not removal.own_git(names, refs, text_of(f"{repository}/packed-refs"), head, text_of(f"{repository}/logs/HEAD")):
        evidence.whole["source"] = "commits"
        return
    # ls-tree runs nothing that the repository's configuration names.
    command = [git or "git", "-c", f"safe.directory={path}", "-C", path, "ls-tree", "-r", "-z", "--full-tree", head]
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1"}
    env["GIT_DIR"] = repository
    try:
        done = subprocess.run(command, capture_output=True, env=env, timeout=120, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        evidence.whole["source"] = "unproven"
        return
    evidence.whole["source/.git"] = ""
    patches = [Record.from_json(read_json(file)) for file in Path(home, "state").glob("*.json")]
    records = {os.path.realpath(record.path): record for record in patches if record}
    for name, (mode, blob) in removal.parse_tree(done.stdout.decode("utf-8", "surrogateescape")).items():
        place = f"{path}/{name}"
        with contextlib.suppress(OSError):
            if os.path.islink(place):
                ours = mode == "120000" and source_plan.blob_id(os.fsencode(os.readlink(place))) == blob
            else:
                ours = mode != "120000" and git_blob_id(place) == blob
                if not ours and (record := records.get(os.path.realpath(place))):
                    change = source_plan.Change(name, blob)
                    ours = source_plan.classify(Path(place).read_bytes(), change, record) == "patched"
            if ours:
                evidence.proven.add(f"source/{name}")
            else:
                evidence.reasons[f"source/{name}"] = "edited"


def of_weights(home: str, evidence: removal.Evidence) -> None:
    """Prove the files of the model that are as recorded; read those that may not be."""
    record = snapshot.Record.parse(read_json(f"{home}/state/weights.json"))
    folder = os.path.realpath(record.path) if record.path else ""
    if not folder.startswith(f"{home}/"):
        return
    inside = os.path.relpath(folder, home)
    evidence.downloads |= {f"{inside}/{one.path}" for one in record.manifest}
    for name, entry in record.files.items():
        path = f"{folder}/{name}"
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode):
                continue
            now = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            ours = now == tuple(entry["stat"][key] for key in snapshot.STAT_KEYS)
            if not ours and found.st_size == entry["stat"]["size"]:
                ours = (
                    sha256_file(path) == entry["sha256"]
                    if "sha256" in entry
                    else git_blob_id(path) == entry["git_blob_id"]
                )
            if ours:
                evidence.proven.add(f"{inside}/{name}")
            else:
                evidence.reasons[f"{inside}/{name}"] = "edited"


def of_downloads(home: str, items: list[removal.Item], evidence: removal.Evidence) -> None:
    """Find what an interrupted first download left beside a file that no record knows yet."""
    for item in items:
        if item.path.startswith("models/") and item.path.endswith(".part.json") and item.kind == "file":
            note = read_json(f"{home}/{item.path}")
            if isinstance(note, dict) and "digest" in note:
                evidence.downloads.add(item.path[: -len(".part.json")].removesuffix(".copy"))


def gather(home: str, items: list[removal.Item], keep_weights: bool, git: str | None) -> removal.Evidence:
    """Return what the records and the files show."""
    evidence = removal.Evidence()
    kinds = {item.path: item.kind for item in items}
    areas: tuple[tuple[str, Callable[[], None]], ...] = (
        ("python", lambda: of_python(home, evidence)),
        ("venv", lambda: of_virtualenv(home, evidence)),
        ("source", lambda: of_clone(home, git, evidence)),
        ("models", lambda: of_weights(home, evidence)),
    )
    for area, look in areas:
        if kinds.get(area) == "folder":
            look()
    evidence.proven |= {f"cuda/lib64/{name}" for name in cuda_probe.links(f"{home}/cuda")}
    if keep_weights and kinds.get("models") == "folder":
        evidence.whole["models"] = "asked"
    else:
        of_downloads(home, items, evidence)
    if kinds.get("cache/uv") == "folder":
        evidence.whole["cache/uv"] = "" if os.path.isfile(f"{home}/cache/uv/{python_env.CACHE_MARK}") else "unproven"
    return evidence


def outside(homes: tuple[str, ...]) -> list[str]:
    """Return the command's link and completion in the user's home, and the folders that are empty without them."""
    user = os.path.expanduser("~")
    link, completion = (os.path.join(user, name) for name in OUTSIDE)
    found = []
    target = os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link))) if os.path.islink(link) else ""
    ours = any(target.startswith(f"{home}/") for home in homes)
    if ours:
        found.append(link)
    # It names no home: with another installation's command it is that one's.
    if (ours or not os.path.lexists(link)) and COMPLETION in text_of(completion):
        found.append(completion)
    for path in (link, completion):
        folder = os.path.dirname(path)
        while folder != user and not os.path.islink(folder):
            try:
                rest = {f"{folder}/{name}" for name in os.listdir(folder)}
            except FileNotFoundError:  # by an interrupted run
                rest = set()
            if not rest <= {item.rstrip("/") for item in found}:
                break
            if os.path.isdir(folder) and f"{folder}/" not in found:
                found.append(f"{folder}/")
            folder = os.path.dirname(folder)
    return found


def for_root(home: str, homes: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return what root has to remove, packages of ours that stay and for whom, and what is not provably ours."""
    unit = removal.names_home(text_of(UNIT), *homes)
    record = read_json(f"{home}/state/cuda_libs.json")
    noted = apt_packages.Note.from_json(record)
    packages, needed = apt_packages.removable(apt_packages.parse(text_of(DPKG)), noted) if noted else ([], {})
    content = text_of(apt_sources.TARGET)
    sources = apt_sources.TARGET if noted and content and content == noted.sources else ""
    unknown = [apt_sources.TARGET] if content and not sources else []
    unknown += [] if noted else cuda_packages.known(apt_packages.parse(text_of(DPKG)))
    root = {
        "units": [path for path in (UNIT, WANTS) if unit and os.path.lexists(path)],
        "become": os.geteuid() != 0,
        "booted": os.path.isdir("/run/systemd/system"),
        "packages": packages,
        "sources": sources,
    }
    return root, needed, unknown


def running(homes: tuple[str, ...]) -> tuple[dict[int, str], list[str]]:
    """Return the pages that run, by process id, and other programs of the installation, both in words.

    Those of the unit end with it.
    """
    pages, others = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.geteuid() not in (0, folder.stat().st_uid) or int(folder.name) == os.getpid():
                continue
            words = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            told = f"pid {folder.name} ({' '.join(words)[:200]})"
            role = removal.role_of(words, *homes)
            if role and f"/{os.path.basename(UNIT)}" in text_of(f"{folder}/cgroup"):
                continue
            if role == "page":
                pages[int(folder.name)] = told
            elif role:
                others.append(told)
    return pages, sorted(others)


def stop(pages: dict[int, str], homes: tuple[str, ...]) -> None:
    """End the pages.

    Raises:
        Failure: one goes on.

    """
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 5)):
        still = running(homes)[0].keys() & pages.keys()
        for pid in still:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        end = time.monotonic() + seconds
        while still and time.monotonic() < end:
            time.sleep(0.1)
            still = running(homes)[0].keys() & pages.keys()
        if not still:
            return
    left = ", ".join(pages[pid] for pid in sorted(still))
    raise Failure(f"the page does not end: {left}", "it to end when it is told so", "stop it, then run again")


class Folders:
    """Opens folders below home step by step, so that no link leads elsewhere."""

    def __init__(self, home: str) -> None:
        """Open home."""
        self.root = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self.last: tuple[str, int] = ("", self.root)

    def at(self, folder: str) -> int:
        """Return a descriptor of ``folder``, good until the next call.

        Raises:
            OSError: it is not there, or is a link.

        """
        if folder != self.last[0]:
            if self.last[1] != self.root:
                os.close(self.last[1])
            self.last = ("", self.root)
            handle = self.root
            for name in folder.split("/") if folder else ():
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
                if handle != self.root:
                    os.close(handle)
                handle = inner
            self.last = (folder, handle)
        return self.last[1]


def remove(home: str, plan: removal.Plan) -> None:
    """Remove what the plan says.

    Raises:
        OSError: something cannot be removed.

    """
    folders = Folders(home)
    moved = False

    def place(path: str) -> str:
        inside = path == "source/.git" or path.startswith("source/.git/")
        return MOVED + path[len("source/.git") :] if moved and inside else path

    def drop(path: str, call: Any) -> None:
        folder, _, name = path.rpartition("/")
        with contextlib.suppress(FileNotFoundError):
            call(name, dir_fd=folders.at(folder))

    for path in plan.files:
        if not moved and path.startswith("source/.git/"):
            # At once: half a repository would prove nothing of the files beside it, and be nobody's.
            with contextlib.suppress(FileExistsError):
                os.mkdir("source.partial", dir_fd=folders.root)
            above, name = MOVED.split("/")
            os.rename("source/.git", name, src_dir_fd=folders.root, dst_dir_fd=folders.at(above))
            moved = True
        drop(place(path), os.unlink)
    more = ["source.partial"] if moved and "source.partial" not in plan.folders else []
    for path in [*plan.folders, *more]:
        try:
            drop(place(path), os.rmdir)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EBUSY):
                raise
    folders.at("")
    os.close(folders.root)


class Uninstall:
    """One run: observe, plan, and unless it is a check, act."""

    def __init__(self, module: AnsibleModule) -> None:
        """Read the parameters.

        Raises:
            Failure: the folder is none that can be an installation.

        """
        self.module = module
        given = os.path.abspath(module.params["home"])
        self.home = os.path.realpath(given)
        self.homes = tuple(dict.fromkeys((self.home, given)))
        self.linked = os.path.islink(given)
        for home in self.homes:
            if removal.forbidden(home, os.path.expanduser("~")):
                raise Failure(
                    f"chatglm_home is {home}, which holds more than an installation",
                    "the folder that site.yml has filled, such as ~/chatglm",
                    "name it: -e chatglm_home=PATH",
                )

    def observe(self) -> None:
        """See what is there, and plan.

        Raises:
            Failure: there is no installation, or a program of it is at work.
            OSError: a folder cannot be read.

        """
        # An empty one is what is left where its parent is not the user's.
        there = os.path.isdir(self.home) and bool(os.listdir(self.home))
        records = (
            [name for name in os.listdir(f"{self.home}/state") if is_record(name)] if real(self.home, "state") else []
        )
        if there and not records:
            raise Failure(
                f"{self.home} holds no records of an installation (state/)",
                "a folder that site.yml has filled",
                "name the right one: -e chatglm_home=PATH; what is in this one is yours to remove",
            )
        self.pages, others = running(self.homes)
        if others and there:
            raise Failure(
                f"programs of the installation are at work: {', '.join(others)}",
                "none but the page, which is stopped",
                "stop them, then run again",
            )
        items = walk(self.home) if there else []
        # One that this very run has made is nothing to tell.
        self.had_lock = getattr(self, "had_lock", os.path.lexists(f"{self.home}/{removal.LOCK}"))
        # And it holds a name while it is held, which takes room.
        items = [replace(item, size=0) if item.path == removal.LOCK else item for item in items]
        items = [item for item in items if item.path != removal.LOCK or self.had_lock]
        params = self.module.params
        git = self.module.get_bin_path("git")
        self.plan = removal.plan(
            items, gather(self.home, items, params["keep_weights"], git) if there else removal.Evidence()
        )
        self.links = outside(self.homes) if there else []
        windows = read_json(f"{self.home}/state/windows.json") if there else None
        windows = windows if isinstance(windows, dict) else {}
        self.config = str(windows.get("wslconfig") or "")
        link = str(windows.get("shortcut") or "")
        if os.path.basename(link) == windows_config.SHORTCUT and windows_config.is_shortcut(text_of(link).encode()):
            self.links.append(link)
        self.root, self.needed, self.unknown = for_root(self.home, self.homes)
        self.unknown = self.unknown if there else []
        stays = self.plan.kept or self.linked or os.path.ismount(self.home)
        self.goes = there and not stays and os.access(os.path.dirname(self.home), os.W_OK)

    def result(self) -> dict[str, Any]:
        """Return the module's result."""
        plan = self.plan
        removed = [path for path, _, _ in plan.lines] + self.links
        if self.goes:
            removed.append(f"{self.home}/")
        pages = sorted(self.pages.values())
        elsewhere = [*self.root["units"], self.root["sources"], *self.root["packages"]]
        told = [item for item in [*pages, *elsewhere, *removed] if item]
        return {
            "changed": bool(told),
            "home": self.home,
            "removed": removed,
            "kept": [{"path": path, "files": count, "reason": reason} for path, count, reason in plan.stays],
            "processes": pages,
            "freed": plan.freed,
            "root": self.root,
            "packages_kept": self.needed,
            "diff": {"prepared": "".join(f"- {item}\n" for item in told)} if told else {},
            "lines": self.lines(),
        }

    def lines(self) -> list[str]:
        """Return the summary."""
        language, plan = self.module.params["language"], self.plan

        def spoken(code: str, **values: object) -> str:
            return say(language, f"uninstall.{code}", **values)

        lines = [spoken("stopped", process=page) for page in sorted(self.pages.values())]
        if plan.changed:
            code = "would" if self.module.check_mode else "removed"
            lines.append(spoken(code, home=self.home, files=len(plan.files), size=gigabytes(plan.freed)))
        root = {**self.root, **(self.module.params["done"] or {})}
        elsewhere = [*self.links, *root["units"], root["sources"]]
        lines += [spoken("elsewhere", path=path) for path in elsewhere if path]
        if root["packages"]:
            lines.append(spoken("packages", names=" ".join(root["packages"])))
        lines = lines or [spoken("nothing", home=self.home)]
        kept = [item for item in plan.stays if item[2] != "note"]
        if self.linked and not kept:
            kept = [("", 1, "link")]
        for path, count, reason in kept[:SHOWN]:
            code = "kept_folder" if path.endswith("/") else "kept"
            place = os.path.join(self.home, path) if path else self.module.params["home"]
            lines.append(spoken(code, path=place, files=count, why=spoken(reason)))
        if len(kept) > SHOWN:
            lines.append(spoken("more", count=len(kept) - SHOWN))
        lines += [spoken("needed", name=name, by=other) for name, other in sorted(self.needed.items())]
        lines += [spoken("wslconfig", path=self.config)] if self.config else []
        return lines + [spoken("unknown" if "/" in item else "unknown_package", item=item) for item in self.unknown]

    def act(self) -> None:
        """Remove.

        Raises:
            Failure: a page goes on.
            OSError: something cannot be removed.

        """
        if self.pages:
            stop(self.pages, self.homes)
        for path in self.links:
            with contextlib.suppress(FileNotFoundError):
                (os.rmdir if path.endswith("/") else os.unlink)(path)
        kept = sorted(path for path, reason in self.plan.kept.items() if reason != "note")
        if kept and self.plan.changed and read_json(f"{self.home}/{removal.NOTE}") != {"kept": kept}:
            write_json(f"{self.home}/{removal.NOTE}", {"kept": kept})
        if os.path.isdir(self.home):
            if not self.had_lock:
                self.plan.files.append(removal.LOCK)
            remove(self.home, self.plan)
            if self.goes:
                with contextlib.suppress(OSError):
                    os.rmdir(self.home)


def real(home: str, name: str) -> bool:
    """Tell whether a folder of that name is there, and no link."""
    path = os.path.join(home, name)
    return os.path.isdir(path) and not os.path.islink(path)


def is_record(name: str) -> bool:
    """Tell whether a file of ``state/`` is a record of ours."""
    return removal.judge(removal.Item(f"state/{name}"), removal.Evidence()) == ""


def main() -> None:
    """Look, plan, and remove unless in check mode."""
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "keep_weights": {"type": "bool", "default": False},
            "language": {"type": "str", "choices": ["en", "zh"], "default": "en"},
            "done": {"type": "dict"},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    try:
        work = Uninstall(module)
        work.observe()
        result = work.result()
        if not module.check_mode and (work.plan.changed or work.links or work.pages):
            there = os.path.isdir(work.home)
            with lock.hold(module.params if there else {"lock": ""}, f"removing {work.home}", module.warn):
                work.observe()
                result = work.result()
                work.act()
    except Failure as failure:
        module.fail_json(msg=str(failure))
    except OSError as error:
        module.fail_json(msg=str(unusable(error, module.params["home"])))
    module.exit_json(**result)


if __name__ == "__main__":
    guarded(main)
