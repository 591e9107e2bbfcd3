#!/usr/bin/python
"""Ansible module: a git clone at a pinned commit, which may hold the user's edits and our patch."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_checkout
short_description: Keep a git clone at a pinned commit, together with the edits made in it
description:
  - Clones the repository, or brings an existing clone to the commit. The stock git module fails on its second run once
    a tracked file has been patched, or throws the user's edits away when forced.
  - With the clone at its commit it calls git once and asks no server, however many files the user has edited. Those are
    kept and listed, also those that git was told to overlook (assume-unchanged).
  - Nothing that the clone itself configures is run, be it hooks, filters, a monitor or helpers.
  - To go to another commit, a file that holds just the patch of M(patch_web_demo) is set back from its record first. A
    user's edit that would be overwritten is refused, with the commands that keep it.
  - A clone is made beside O(dest) and renamed once it is verified. Tracked files that were deleted, or left
    half-written by an interrupted run, are restored. A repository that git cannot read is rebuilt aside; its old
    C(.git) is kept beside the clone, and the files stay.
options:
  url:
    description: Address of the repository. A user and password in it stay out of messages, arguments and the clone.
    type: str
    required: true
  version:
    description: The commit, 40 hex digits. A branch or tag can move.
    type: str
    required: true
  dest:
    description: The folder of the clone, absolute.
    type: path
    required: true
  ca_bundle:
    description: A PEM file on the host with certificate authorities to trust besides the system's.
    type: str
    default: ""
  patches:
    description: The folder with the records of M(patch_web_demo).
    type: path
  script:
    description:
      - A file that the clone has to hold, relative to it, such as V(web_demo2.py); empty demands none.
      - A commit without it is refused before anything goes to it. Check mode cannot know what a commit holds that is
        yet to be fetched.
    type: str
    default: ""
  timeout:
    description: Seconds that one git command may take.
    type: int
    default: 600
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
    description: Reports what would be done. Asks no server, so a wrong address is not noticed.
    support: full
  diff_mode:
    description: Shows the commit and the files restored.
    support: full
requirements:
  - git 2.25 or newer on the host
author: the project
"""

EXAMPLES = r"""
- name: Clone the demo's repository
  source_checkout:
    url: https://github.com/THUDM/ChatGLM2-6B.git
    version: cb8e8b43c0951b32614f25c03e1ab593a0603a1c
    dest: /home/me/chatglm/source
    patches: /home/me/chatglm/state
"""

RETURN = r"""
changed_at:
  description: When something was changed, in seconds since the host's boot.
  returned: changed
  type: float
plan:
  description: What was to be done, V(none), V(clone), V(fetch), V(restore) or V(rebuild).
  returned: success
  type: str
before:
  description: The commit that was checked out, or an empty string.
  returned: success
  type: str
after:
  description: The commit that is checked out.
  returned: success
  type: str
modified:
  description: Tracked files that differ from the commit.
  returned: success
  type: list
  elements: dict
  contains:
    path: {description: Relative to the clone, type: str, returned: always}
    kind: {description: "patched (by patch_web_demo), edited (by the user) or both", type: str, returned: always}
edits:
  description: SHA-256 of the user's edits of Python files other than the patched one; empty where there are none.
  returned: success
  type: str
restored:
  description: Files that were missing or half-written.
  returned: success
  type: list
  elements: str
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock, progress
from ansible.module_utils.chatglm.core.addresses import secrets, without_password
from ansible.module_utils.chatglm.core.failure import Failure, printable
from ansible.module_utils.chatglm.core.files import read_json, unusable, write_atomic
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.core.network_environment import past_loopback
from ansible.module_utils.chatglm.core.processes import die_with_parent
from ansible.module_utils.chatglm.source.source_plan import (
    BROKEN,
    PROGRAMS,
    REFUSES_ID,
    Change,
    Observed,
    blob_id,
    classify,
    explain,
    missing_commit,
    no_repository,
    overlooked,
    overwritten,
    parse_raw_diff,
    parse_status,
    plan,
    quote,
    unfinished,
    without_programs,
)
from ansible.module_utils.chatglm.web_demo.record import Record

MARKER = "chatglm-checkout"  # in .git while this module changes the working tree
LOCKS = ("index.lock", "HEAD.lock", "shallow.lock", "config.lock", "packed-refs.lock")
# Variables that would make git look at another repository than the one asked for, as inside a git hook.
ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"}
ELSEWHERE |= {"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE"}
STALE_LOCK = 600  # seconds: longer than any git command on a repository of this size


class GitError(Exception):
    """A git command that failed; its text is git's standard error."""

    def __init__(self, what: str, text: str) -> None:
        """Keep the step and git's words."""
        text = printable(text)
        super().__init__(text)
        self.what = what
        self.text = text


def _read(path: Path) -> bytes | None:
    try:
        return None if path.is_symlink() else path.read_bytes()
    except OSError:
        return None


def _trust(ca_bundle: str) -> str:
    """Return a temporary PEM file with the system's authorities and those of ``ca_bundle``.

    git's own option replaces the system's file, and a proxy may re-sign one host and not another.
    """
    try:
        extra = Path(ca_bundle).expanduser().read_bytes()
    except OSError as error:
        raise Failure(
            f"chatglm_ca_bundle {ca_bundle} cannot be read ({error.strerror})",
            "a PEM file on the host",
            f"ls -l {quote(ca_bundle)}",
        ) from None
    own = os.environ.get("GIT_SSL_CAINFO") or ssl.get_default_verify_paths().cafile or ""
    for candidate in (own, "/etc/ssl/certs/ca-certificates.crt"):
        if candidate and os.path.isfile(candidate):
            extra = Path(candidate).read_bytes() + b"\n" + extra
            break
    handle, name = tempfile.mkstemp(suffix=".pem")
    with os.fdopen(handle, "wb") as stream:
        stream.write(extra)
    return name


@dataclass
class Checkout:
    """One clone: what is there, and the steps that change it."""

    url: str
    version: str
    dest: Path
    ca_bundle: str = ""
    patches: str | None = None
    timeout: int = 600
    git: str = "git"
    script: str = ""
    calls: int = 0
    restored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    trust: str = ""
    authorization: str = ""
    programs: dict[Path, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the records of our patches; a password goes out of the address, which others can see."""
        self.url, self.authorization = without_password(self.url)
        self.read_records()

    def read_records(self) -> None:
        """Read the records of our patches, again where they may have changed."""
        self.records: dict[str, tuple[str, Record]] = {}
        for path in sorted(Path(self.patches).glob("*.json")) if self.patches else []:
            record = Record.from_json(read_json(path))
            if record is not None:
                self.records[os.path.realpath(record.path)] = (str(path), record)

    def run(self, *args: str, at: Path | None = None, network: bool = False) -> str:
        """Run one git command in the clone (or ``at``) and return its standard output.

        Raises:
            GitError: git failed, or ran longer than the timeout.

        """
        where = at or self.dest
        env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
        env.update(
            LC_ALL="C",
            GIT_TERMINAL_PROMPT="0",
            GIT_OPTIONAL_LOCKS="0",
            GIT_NO_REPLACE_OBJECTS="1",
            GIT_LITERAL_PATHSPECS="1",
            GIT_SSH_COMMAND=env.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
            GIT_CEILING_DIRECTORIES=str(where.parent),  # a repository further up is not ours
        )
        if network:
            env.update(past_loopback(env))
            env.update(GIT_HTTP_LOW_SPEED_LIMIT="1000", GIT_HTTP_LOW_SPEED_TIME="60")
            if self.ca_bundle:
                self.trust = self.trust or _trust(self.ca_bundle)
                env["GIT_SSL_CAINFO"] = self.trust
            if self.authorization:  # in the environment: arguments are open to all users (git 2.31 and newer read it)
                env["GIT_CONFIG_COUNT"] = "1"
                env["GIT_CONFIG_KEY_0"] = f"http.{self.url}.extraHeader"
                env["GIT_CONFIG_VALUE_0"] = self.authorization
        config = [f"safe.directory={where}", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.fileMode=false"]
        config += ["advice.detachedHead=false", "credential.interactive=false", "gc.auto=0", "maintenance.auto=false"]
        config += ["submodule.recurse=false", "fetch.recurseSubmodules=false", "protocol.ext.allow=never"]
        if args[0] != "config":
            config += self.no_programs(where)
        command = [self.git, "-C", str(where), *(part for item in config for part in ("-c", item)), *args]
        self.calls += 1
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one thread; an orphan would go on writing where the next run clones
        )
        what = f"git {args[0]}"
        try:
            with progress.watched(lambda: progress.tell("source", "", arrived(where))) if network else nullcontext():
                out, err = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)  # git removes its lock files on SIGTERM
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            raise GitError(what, f"timed out after {self.timeout} seconds") from None
        if process.returncode:
            raise GitError(what, err.decode("utf-8", "replace"))
        return out.decode("utf-8", "surrogateescape")

    def no_programs(self, where: Path) -> list[str]:
        """Return settings by which git runs none of the programs that the repository's own configuration names.

        Raises:
            GitError: the configuration cannot be read.
            Failure: it moves the working tree elsewhere.

        """
        if where not in self.programs:
            self.programs[where] = []
            for name in ("config", "config.worktree"):
                path = where / ".git" / name
                text = _read(path) or b""
                if re.search(rb"(?im)^\s*worktree\s*=", text):
                    raise Failure(
                        f"core.worktree is set in {path}: git would write elsewhere",
                        "a clone whose files are beside its .git",
                        f"git config --file {quote(str(path))} --unset core.worktree",
                    )
                if PROGRAMS.search(text):
                    listed = self.run("config", "--file", str(path), "--includes", "--list", "--name-only", "-z")
                    self.programs[where] += without_programs(listed)
        return self.programs[where]

    # -- observing

    def observe(self, torn: bool = False) -> Observed:
        """Return the clone's state; one git call, unless a run was interrupted.

        Args:
            torn: count files that end early as half-written, as after an interruption.

        """
        if not self.dest.is_dir():
            if os.path.lexists(self.dest):
                return Observed("occupied")
            return Observed("absent")
        if not os.path.lexists(self.dest / ".git"):
            return Observed("occupied" if any(self.dest.iterdir()) else "empty")
        marker = (self.dest / ".git" / MARKER).exists()
        try:
            seen = parse_status(self.run("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no"))
        except (GitError, ValueError) as error:
            text = str(error)
            if "dubious ownership" in text or not (BROKEN.search(text) or isinstance(error, ValueError)):
                raise
            return Observed("broken", detail=" ".join(text.split())[:200], interrupted=marker)
        seen.interrupted = marker
        seen.changes += self.hidden({change.path for change in seen.changes})
        for change in seen.changes:
            if change.gone or change.unmerged:
                continue
            data = _read(self.dest / change.path)
            blob = None
            if data and (marker or torn) and change.path not in self.ours(seen):
                blob = self.run("cat-file", "blob", change.index).encode("utf-8", "surrogateescape")
            if unfinished(data, change, blob):
                seen.half.append(change.path)
        return seen

    def hidden(self, known: set[str]) -> list[Change]:
        """Return the edits that git was told to overlook, as it would tell them otherwise."""
        index = _read(self.dest / ".git" / "index")
        try:
            flagged = overlooked(index) if index else {}
        except ValueError:
            return []  # git has just read it: a form that is newer than this
        result = []
        for path, blob in flagged.items():
            data = _read(self.dest / path)
            if path not in known and data is not None and blob_id(data) != blob:
                result.append(Change(path, blob))
        return result

    def record_of(self, change: Change) -> tuple[str, Record] | None:
        """Return the record file and the record of a changed file."""
        return self.records.get(os.path.realpath(self.dest / change.path))

    def kind(self, change: Change) -> str:
        """Return whose a change is."""
        found = self.record_of(change)
        return classify(_read(self.dest / change.path), change, found[1] if found else None)

    def ours(self, seen: Observed) -> set[str]:
        """Return the paths that hold just our patch."""
        return {change.path for change in seen.changes if not change.gone and self.kind(change) == "patched"}

    # -- changing

    def clone(self) -> Path:
        """Make a verified clone at the commit beside ``dest``, and return its folder.

        Raises:
            GitError: git failed.
            Failure: the commit is not in the repository, or the result is not as it should be.

        """
        partial = self.dest.with_name(self.dest.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.run("init", "--quiet", "--template=", at=partial)
        # The files are wanted byte for byte, whatever the user's global setting is.
        self.run("config", "core.autocrlf", "false", at=partial)
        self.run("remote", "add", "origin", self.url, at=partial)
        self.fetch(partial)
        self.demand_script(partial)
        self.run("checkout", "--quiet", "--detach", self.version, at=partial)
        self.run("config", "chatglm.commit", self.version, at=partial)
        self.run("fsck", "--connectivity-only", "--no-dangling", at=partial)
        seen = parse_status(self.run("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no", at=partial))
        if seen.head != self.version or seen.changes:
            raise Failure(
                f"the new clone {partial} is at {seen.head} with {len(seen.changes)} files that differ",
                f"commit {self.version}, unchanged",
                "look at git's global configuration (git config --global --list), and run the play again",
            )
        return partial

    def fetch(self, where: Path) -> None:
        """Bring the commit into the repository ``where``: by its id, else with everything."""
        fresh = where != self.dest
        depth = ["--depth", "1"] if fresh or (where / ".git" / "shallow").exists() else []
        try:
            self.run("fetch", "--quiet", "--no-tags", *depth, self.url, self.version, at=where, network=True)
        except GitError as error:
            if not REFUSES_ID.search(error.text):
                raise
        else:
            return
        whole = ["--unshallow"] if (where / ".git" / "shallow").exists() else []
        # Under names of our own: a tag of the user's, or what was fetched from a fork, is no ref of ours to move.
        refs = [f"+refs/{kind}/*:refs/remotes/chatglm/{kind}/*" for kind in ("heads", "tags")]
        self.run("fetch", "--quiet", "--no-tags", *whole, self.url, *refs, at=where, network=True)
        if not self.has_commit(where):
            if not self.run("ls-remote", self.url, at=where, network=True).strip():
                raise no_repository(self.url, "it has no branches")
            raise missing_commit(self.url, self.version)

    def has_commit(self, where: Path) -> bool:
        """Tell whether the commit's object is here."""
        try:
            self.run("cat-file", "-e", f"{self.version}^{{commit}}", at=where)
        except GitError:
            return False
        return True

    def demand_script(self, where: Path) -> None:
        """Refuse a commit without the script, before anything goes to it; one of the user's own will do.

        Raises:
            Failure: the commit that is in the repository ``where`` does not hold it.

        """
        if not self.script:
            return
        with contextlib.suppress(GitError):
            self.run("cat-file", "-e", f"{self.version}:{self.script}", at=where)
            return
        with contextlib.suppress(GitError):  # of a broken index nobody can tell whose a file is
            if (self.dest / self.script).is_file() and not self.run("ls-files", "--", self.script):
                return
        if where != self.dest:
            shutil.rmtree(where, ignore_errors=True)
        raise self.no_script()

    def no_script(self) -> Failure:
        """Return the error for a commit without the script."""
        return Failure(
            f"commit {self.version} of {self.url} has no {self.script}",
            "the script of the app that is asked for (chatglm_app)",
            "choose another chatglm_app, or a chatglm_source_version that has it",
        )

    def unlock(self, interrupted: bool) -> None:
        """Remove git's lock files that a killed command left.

        Raises:
            Failure: a lock is fresh, and no run of ours was interrupted: another git may be at work.

        """
        for name in LOCKS:
            lock = self.dest / ".git" / name
            try:
                age = time.time() - lock.stat().st_mtime
            except OSError:
                continue
            if not interrupted and age < STALE_LOCK:
                raise Failure(
                    f"{lock} is {age:.0f} s old: another git command may be at work",
                    "no other git in that folder",
                    f"wait for it; if there is none, remove the file: rm {quote(str(lock))}",
                )
            lock.unlink(missing_ok=True)

    def mark(self) -> Path:
        """Note in the repository that the working tree is being changed."""
        marker = self.dest / ".git" / MARKER
        marker.write_text(self.version + "\n", encoding="ascii")
        return marker

    def restore(self, seen: Observed) -> None:
        """Write tracked files that are missing or half-written."""
        paths = sorted({change.path for change in seen.changes if change.gone} | set(seen.half))
        if paths:
            self.unlock(seen.interrupted)
            marker = self.mark()
            self.take_back(paths, seen)
            marker.unlink()
            self.restored += paths

    def take_back(self, paths: list[str], seen: Observed) -> None:
        """Write files as they were staged, which is how they were committed where nothing was staged."""
        unstaged = {change.path for change in seen.changes if not change.indexed}
        for source, chosen in (([], set(paths) - unstaged), (["HEAD"], set(paths) & unstaged)):
            if chosen:
                self.run("checkout", "--quiet", *source, "--", *sorted(chosen))

    def conflicts(self, seen: Observed) -> tuple[list[Change], list[str], list[str], list[str]]:
        """Compare the working tree with the way to the commit.

        Returns:
            Edits that would be lost; untracked paths in the way; paths to set back by their record; paths
            that hold nothing of the user's.

        """
        changed = parse_raw_diff(
            self.run("diff", "--raw", "-z", "--no-renames", "--no-abbrev", "--no-ext-diff", "HEAD", self.version)
        )
        lost: list[Change] = []
        untracked: list[str] = []
        ours: list[str] = []
        void: list[str] = []
        for change in seen.changes:
            if change.path not in changed:
                continue
            target = changed[change.path][1]
            data = _read(self.dest / change.path)
            only_staged = change.gone and change.staged and change.indexed
            void_now = change.gone or change.path in seen.half or self.arriving(seen, target, data)
            if void_now and not only_staged:
                void.append(change.path)
            elif not change.gone and self.kind(change) == "patched":
                ours.append(change.path)
            else:
                lost.append(change)
        known = {change.path for change in seen.changes}
        for path, (before, target) in changed.items():
            place = self.dest / path
            if before.strip("0") or path in known or not os.path.lexists(place):
                continue
            (void if self.arriving(seen, target, _read(place)) else untracked).append(path)
        return lost, sorted(untracked), sorted(ours), sorted(void)

    def arriving(self, seen: Observed, target: str, data: bytes | None) -> bool:
        """Tell whether a file already holds what the commit brings; after an interruption, the beginning of it."""
        if data is None or not target.strip("0"):
            return False
        if blob_id(data) == target or not seen.interrupted:
            return blob_id(data) == target
        return self.run("cat-file", "blob", target).encode("utf-8", "surrogateescape").startswith(data)

    def switch(self, seen: Observed) -> None:
        """Go to the commit, keeping the user's edits.

        Raises:
            GitError: git failed.
            Failure: the user's edits would be lost.

        """
        self.unlock(seen.interrupted)
        if not self.has_commit(self.dest):
            self.fetch(self.dest)
        self.demand_script(self.dest)
        lost, untracked, ours, void = self.conflicts(seen)
        if lost or untracked:
            raise overwritten(str(self.dest), lost, untracked, str(seen.head), self.version)
        if seen.branch is None and self.noted() != seen.head:
            self.warnings.append(f"{self.dest} was at {seen.head}, which is kept as branch {self.keep(str(seen.head))}")
        elif seen.branch is not None:
            self.warnings.append(f"{self.dest} was on branch {seen.branch}, which is kept")
        marker = self.mark()
        for change in seen.changes:
            found = self.record_of(change)
            if change.path in ours and found:
                place = self.dest / change.path
                write_atomic(place, found[1].original, place.stat().st_mode & 0o7777)
                Path(found[0]).unlink(missing_ok=True)  # of the text that is about to go
        tracked = {change.path for change in seen.changes}
        back = [path for path in void if path in tracked]
        self.take_back(back, seen)
        for path in set(void) - tracked:
            (self.dest / path).unlink()
        self.run("checkout", "--quiet", "--detach", self.version)
        self.run("config", "chatglm.commit", self.version)
        marker.unlink()

    def keep(self, commit: str) -> str:
        """Return the branch that holds a commit of the user's, a new one where there is none; none is ever moved."""
        holding = self.branches("--contains", commit)
        if holding:
            return holding[0]
        taken = self.branches()
        name, number = f"before-{self.version[:12]}", 1
        while any(one == name or one.startswith(f"{name}/") for one in taken):
            number += 1
            name = f"before-{self.version[:12]}-{number}"
        self.run("branch", "--no-track", name, commit)
        return name

    def branches(self, *which: str) -> list[str]:
        """Return the names of the branches."""
        listed = self.run("for-each-ref", "--format=%(refname)", *which, "refs/heads")  # its short form depends on tags
        return [line[len("refs/heads/") :] for line in listed.splitlines()]

    def noted(self) -> str:
        """Return the commit that this module checked out last, or an empty string."""
        try:
            return self.run("config", "--get", "chatglm.commit").strip()
        except GitError:
            return ""

    def rebuild(self, seen: Observed) -> None:
        """Put a new ``.git`` under the files, keep the old one beside the clone, restore what is missing."""
        partial = self.clone()
        aside = self.dest.with_name(self.dest.name + ".broken-git")
        number = 1
        while os.path.lexists(aside):
            number += 1
            aside = self.dest.with_name(f"{self.dest.name}.broken-git-{number}")
        os.rename(self.dest / ".git", aside)
        os.rename(partial / ".git", self.dest / ".git")
        shutil.rmtree(partial, ignore_errors=True)
        self.warnings.append(
            f"git could not read {self.dest} ({seen.detail or 'it has no commit'}): rebuilt; the old .git is {aside}"
        )
        self.run("reset", "--quiet")  # file times in the new index are those of the partial clone
        self.restore(self.observe(torn=True))

    def act(self, seen: Observed, action: str) -> None:
        """Carry out a plan; a repository that turns out to be broken is rebuilt.

        Raises:
            GitError: git failed.
            Failure: a user's edit is in the way, or the commit does not exist.

        """
        try:
            if action == "clone":
                partial = self.clone()
                os.rename(partial, self.dest)
            elif action == "fetch":
                self.switch(seen)
                self.restore(self.observe())
            elif action == "restore":
                self.restore(seen)
            else:
                self.rebuild(seen)
        except GitError as error:
            if action not in ("fetch", "restore") or error.what == "git fetch" or not BROKEN.search(error.text):
                raise
            seen.detail = " ".join(error.text.split())[:200]
            self.rebuild(seen)


def arrived(where: Path) -> int:
    """Return the bytes of the packs that git is fetching."""
    return sum(path.stat().st_size for path in (where / ".git" / "objects" / "pack").glob("tmp_pack_*"))


def _dubious(error: GitError, dest: Path) -> Failure:
    return Failure(
        f"git refuses {dest}, which belongs to another user: {' '.join(error.text.split())[:200]}",
        "a folder of the user who runs the play",
        f"ls -ld {quote(str(dest))}; then sudo chown -R USER {quote(str(dest))}, or run the play as its owner",
    )


def describe(checkout: Checkout, seen: Observed, action: str) -> tuple[dict[str, Any], list[str]]:
    """Return the module's result as far as it is known before the work, and the files that are to be restored."""
    before, dest = seen.head or "", str(checkout.dest)
    gone = sorted({change.path for change in seen.changes if change.gone} | set(seen.half))
    result: dict[str, Any] = {"changed": action != "none", "plan": action, "before": before, "after": checkout.version}
    if action != "none":
        result["diff"] = {
            "before_header": dest,
            "after_header": dest,
            "before": "".join([f"commit {before or 'none'}\n", *(f"missing or half-written: {p}\n" for p in gone)]),
            "after": f"commit {checkout.version}\n",
        }
    return result, gone


def run(params: dict[str, Any], check_mode: bool, git: str | None, warnings: list[str] | None = None) -> dict[str, Any]:
    """Observe, plan and, unless in check mode, act; return the module's result.

    Args:
        params: the module's parameters.
        check_mode: change nothing.
        git: the git program, or None when the host has none.
        warnings: gets what the user has to be told, where the run then fails too.

    Raises:
        Failure: anything that the user has to know.

    """
    version = params["version"]
    if not re.fullmatch(r"[0-9a-f]{40}", version):
        raise Failure(
            f"chatglm_source_version {version!r}",
            "a full commit id of 40 hex digits",
            f"git ls-remote {quote(without_password(params['url'])[0])}",
        )
    if not os.path.isabs(params["dest"]):
        raise Failure(f"the path {params['dest']!r}", "an absolute path", "give the whole path, from /")
    if git is None:
        raise Failure("this host has no git", "git 2.25 or newer", "sudo apt-get update; sudo apt-get install -y git")
    dest = Path(os.path.realpath(params["dest"]))
    checkout = Checkout(params["url"], version, dest, params["ca_bundle"], params["patches"], params["timeout"], git)
    checkout.script = params["script"]
    checkout.warnings = [] if warnings is None else warnings
    try:
        seen = checkout.observe()
        action = plan(seen, version, str(dest))
        if check_mode or (action == "none" and not seen.interrupted):
            if action == "fetch" and checkout.has_commit(dest):
                lost, untracked, _, _ = checkout.conflicts(seen)
                if lost or untracked:
                    raise overwritten(str(dest), lost, untracked, seen.head or "", version)
            result, gone = describe(checkout, seen, action)
        else:
            with lock.hold(params, f"bringing {dest} to commit {version[:12]}", checkout.warnings.append):
                checkout.read_records()
                seen = checkout.observe()
                action = plan(seen, version, str(dest))
                result, gone = describe(checkout, seen, action)
                if action != "none":
                    checkout.act(seen, action)
                    seen = checkout.observe()
                    left = plan(seen, version, str(dest))
                    if left != "none":
                        raise Failure(
                            f"{dest} after {action} still needs {left}",
                            f"commit {version}",
                            "run the play again with -vvv",
                        )
                elif seen.interrupted:
                    (dest / ".git" / MARKER).unlink(missing_ok=True)
        result["restored"] = gone if check_mode else checkout.restored
        kinds = [(change.path, checkout.kind(change)) for change in seen.changes if change.path not in gone]
    except GitError as error:
        if "dubious ownership" in error.text:
            raise _dubious(error, dest) from None
        raise explain(error.text, checkout.url, version, error.what) from None
    except OSError as error:
        raise unusable(error, dest) from None
    finally:
        if checkout.trust:
            os.unlink(checkout.trust)
    there = action in ("none", "restore") or not check_mode
    script = checkout.script
    if script and there and script not in gone and not (dest / script).is_file():
        raise checkout.no_script()
    result["modified"] = [{"path": path, "kind": kind} for path, kind in kinds]
    own = [path for path, kind in kinds if kind != "patched"]
    result["edits"] = edits(dest, [path for path in own if path.endswith(".py") and path != "web_demo.py"])
    if own:
        checkout.warnings.append(f"{dest}: your own edits are kept: {', '.join(own)}")
    result["warnings"] = checkout.warnings
    return result


def edits(dest: Path, paths: list[str]) -> str:
    """Return the SHA-256 of files' paths and contents, "" of none; who edits code wants to see it work."""
    whole = hashlib.sha256()
    for path in sorted(paths):
        try:
            content = (dest / path).read_bytes()
        except OSError:  # a link to nowhere, or a folder now
            content = b""
        whole.update(f"{path}\0{blob_id(content)}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest() if paths else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "ca_bundle": {"type": "str", "default": ""},
            "patches": {"type": "path"},
            "script": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 600},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    module.no_log_values.update(secrets([module.params["url"]]))
    progress.begin(module.params["lock"])
    warnings: list[str] = []
    failed = ""
    try:
        result = run(module.params, module.check_mode, module.get_bin_path("git"), warnings)
    except Failure as failure:
        failed = str(failure)
    for text in warnings:
        module.warn(text)
    if failed:
        module.fail_json(msg=failed)
    module.exit_json(**{key: value for key, value in result.items() if key != "warnings"})


if __name__ == "__main__":
    guarded(main)
