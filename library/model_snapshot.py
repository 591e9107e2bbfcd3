#!/usr/bin/python
# Copyright: the authors of this project
"""Ansible module: a pinned revision of a model repository in a folder, every file verified."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_snapshot
short_description: Hold every file of a pinned model revision, each verified by its digest
description:
  - Fetches the files of one revision of a model repository into a folder, file by file from the first source that can
    give it. A file is accepted by its digest alone, whatever its source; one whose digest is not known is not accepted.
  - What is there and good is kept. A damaged file stays until its replacement is complete and verified; or, if it can
    be mended, until a source begins to give what it lacks. Then it is C(NAME.part) until it is whole and verified.
  - To mend is to fetch only the damaged parts of a file that was verified here before (sums of its blocks of 1 MiB
    are in O(record)), and only the end of one that is too short. If no source can give parts, the whole is fetched.
  - Downloads collect in C(NAME.part) beside the target and go on there after an interruption.
  - Files that do not belong to the revision are kept and reported.
  - A second run reads no file and needs no network as long as size, times and inode of every file are as they were when
    it was verified.
  - A pickle (C(.bin), C(.pt), C(.pth), C(.ckpt), C(.pkl)) is accepted only if it imports nothing beyond
    O(pickle_globals).
options:
  dest:
    description:
      - Folder that holds the files; made if absent. A damaged file that is a symbolic link is replaced, not followed.
    type: path
    required: true
  repo:
    description: Repository on the hub, owner/name.
    type: str
    required: true
  revision:
    description: Commit of the repository, 40 hex digits. A hub that answers with another commit is refused.
    type: str
    required: true
  files:
    description:
      - The pinned files of the revision. If empty, the hub is asked for the list at the revision once, and the answer
        is recorded.
      - Digests that are missing here come from the record or from the hub's metadata at the revision.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path in the repository.
        type: str
        required: true
      size:
        description: Size in bytes.
        type: int
      sha256:
        description: SHA-256 of the content, 64 hex digits.
        type: str
      git_blob_id:
        description: Git blob id of the content, 40 hex digits; needs the size.
        type: str
  sources:
    description: Where files may come from, tried in this order for each file.
    type: list
    elements: dict
    required: true
    suboptions:
      type:
        description: A hub, a folder on the host, a Seafile share, a web folder, or a repository on ModelScope.
        type: str
        choices: [hub, folder, seafile, url, modelscope]
        required: true
      endpoint:
        description: Address of the hub.
        type: str
      path:
        description: Folder on the host, for example C(/mnt/d/chatglm2-6b-int4). Files are copied.
        type: path
      url:
        description: Address of the Seafile server, of ModelScope, or of the web folder that holds the files.
        type: str
      share:
        description: Id of the Seafile share.
        type: str
      folder:
        description: Folder in the Seafile share.
        type: str
      repo:
        description: Repository on ModelScope, as OWNER/NAME.
        type: str
      revision:
        description: Branch or tag on ModelScope; empty for C(master). What comes is judged by its digest alone.
        type: str
  token:
    description: Token for the hub. Sent to the hub sources' own hosts only, never to where they redirect.
    type: str
    default: ""
  python:
    description: Python that has huggingface_hub, to ask a hub; need not exist in check mode, or if no hub is asked.
    type: path
    default: ""
  ca_bundle:
    description: PEM file with further certificate authorities; the system's store counts too.
    type: path
    default: ""
  verify:
    description:
      - V(quick) trusts a file whose size, times and inode are as recorded at its verification, and reads any other.
      - V(deep) reads every file.
    type: str
    choices: [quick, deep]
    default: quick
  record:
    description: JSON file that remembers what was verified; its folder is made if absent.
    type: path
    required: true
  sums:
    description:
      - A file for the SHA-256 of the model's smaller files, its code among them, as C(sha256sum) writes and checks
        them, with paths relative to its own folder. Written once all files are verified. Empty for none.
      - With it these files (up to 16 MB) are read at every run, whatever the record says, and so is what a pickle
        imports.
    type: path
    default: ""
  pickle_globals:
    description: The only names that a pickle may import, with their module.
    type: list
    elements: str
    default: [collections.OrderedDict, torch.CharStorage, torch.HalfStorage, torch._utils._rebuild_tensor_v2]
  timeout:
    description: Seconds of silence after which a connection counts as dead; the rate is judged over this time too.
    type: int
    default: 30
  retries:
    description: Attempts without progress at one source before the next one is tried.
    type: int
    default: 5
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
    description: Announces what would be fetched from what is on the host; asks no network.
    support: full
  diff_mode:
    description: A line for each file that is missing, damaged or not yet verified.
    support: full
author: the authors of this project
"""

EXAMPLES = r"""
- name: Hold the int4 weights
  model_snapshot:
    dest: /home/me/chatglm/models/chatglm2-6b-int4
    repo: THUDM/chatglm2-6b-int4
    revision: d93643f303743236b43cd79335e8a093e68d8524
    sources:
      - {type: hub, endpoint: https://hf-mirror.com}
      - {type: folder, path: /mnt/d/chatglm2-6b-int4}
    python: /home/me/chatglm/venv/bin/python
    record: /home/me/chatglm/state/weights.json

- name: Read every file again and replace what is damaged
  model_snapshot:
    dest: /home/me/chatglm/models/chatglm2-6b-int4
    repo: THUDM/chatglm2-6b-int4
    revision: d93643f303743236b43cd79335e8a093e68d8524
    sources: [{type: url, url: http://files.example/chatglm2-6b-int4}]
    record: /home/me/chatglm/state/weights.json
    verify: deep
"""

RETURN = r"""
changed_at:
  description: When something was changed, in seconds since the host's boot.
  returned: changed
  type: float
files:
  description: Each file of the revision, sorted by path; empty in check mode while their names are not known.
  returned: always
  type: list
  elements: dict
  contains:
    path: {description: Path in the repository and below O(dest)., type: str}
    action:
      description:
        - What was done, or would be; V(kept), V(adopted), V(fetched) or V(mended).
        - Check mode says V(adopted) of a file that is there but of unknown digest, and V(mended) where the real run may
          have to fetch the whole, because no source gives parts or what is there was never verified.
      type: str
      sample: mended
    reason:
      description: Why, and for a file to mend what it lacks.
      type: str
      sample: "too short: 100 of 1018370 bytes"
    kind:
      description: What was wrong, one of C(missing), C(unknown) (its digest), C(short), C(long), C(pointer) (of Git
        LFS), C(html), C(digest); empty for a file that was kept or adopted.
      type: str
    source: {description: The source that gave it; empty if it was there., type: str}
    bytes: {description: Bytes that were moved for it., type: int}
    planned_bytes: {description: Bytes that have to be moved for it; null if its size is not known., type: int}
    blocks: {description: Blocks of 1 MiB of it that were damaged or missing; 0 if it is fetched whole., type: int}
    resumed_at: {description: Bytes of what was there that did not have to be moved again., type: int}
bytes_fetched:
  description: Bytes that came over the wire or from a folder, refused ones included.
  returned: always
  type: int
digest:
  description: Stands for the verified folder, made of all paths and digests; null in check mode while one is not known.
  returned: always
  type: str
extra_files:
  description: What else lies in the folder (the first 50); kept.
  returned: always
  type: list
  elements: str
folder:
  description: The folder that holds the files.
  returned: always
  type: str
"""

import contextlib
import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock, progress
from ansible.module_utils.chatglm.core.addresses import secrets
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import read_json, sha256_bytes, unusable, write_atomic, write_json
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.smoke_test.smoke import PINNED_REVISION
from ansible.module_utils.chatglm.weights import blocks, pickle_imports, snapshot
from ansible.module_utils.chatglm.weights.content import HEAD, TransferError, gigabytes

EXTRA = 50
SMALL = 16_000_000
"""Bytes up to which a file is read at every run with ``sums``: code is of that size, and a few ms to read."""
# What a download keeps beside its target (see part.py, whose import this run may not need).
PARTS = tuple(part + end for part in (".part", ".copy.part") for end in ("", ".json", ".json.new"))


def stat_of(path: Path) -> dict[str, int]:
    """Return the state of a file's inode that changes when its content does."""
    state = path.stat()
    return {
        "size": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        "ctime_ns": state.st_ctime_ns,
        "inode": state.st_ino,
    }


class Snapshot:
    """One run: observe, plan, and unless it is a check, act."""

    def __init__(self, module: AnsibleModule) -> None:
        """Read the parameters, and see what is there.

        Raises:
            Failure: a parameter is wrong in a way that its type cannot say.

        """
        self.module = module
        self.p: dict[str, Any] = module.params
        if not snapshot.REVISION.fullmatch(self.p["revision"]):
            remedy = "copy the id of the commit from the model's page on the hub"
            raise Failure(f"the revision {self.p['revision']!r}", "a commit id of 40 hex digits", remedy)
        if not snapshot.REPO.fullmatch(self.p["repo"]):
            raise Failure(f"the repository {self.p['repo']!r}", "owner/name", "correct chatglm_model_repo")
        self.dest = Path(self.p["dest"])
        if self.dest.exists() and not self.dest.is_dir():
            raise Failure(f"{self.dest} is not a folder", "the folder for the weights", f"move {self.dest} away")
        self.pinned = snapshot.entries(self.p["files"], "the list of files")
        self.record_path = Path(self.p["record"])
        self.deep = self.p["verify"] == "deep"
        self.verdicts: list[Any] | None = None
        # By path, state and purpose: looking twice does not read gigabytes twice.
        self.was_read: dict[tuple[Any, ...], Any] = {}
        self.result: dict[str, Any] = {
            "changed": False,
            "folder": str(self.dest),
            "files": [],
            "bytes_fetched": 0,
            "digest": None,
            "extra_files": [],
        }

    # --- observe ------------------------------------------------------------------------------------------------------

    def look(self, one: Any) -> Any:
        """Return the verdict on one file.

        Raises:
            Failure: something that is no file is in its place, or it cannot be read.

        """
        path = self.dest / one.path
        recorded = self.record.files.get(one.path)
        known = snapshot.sized(one, recorded)
        seen = left = None
        deep = self.deep
        try:
            if path.exists():
                deep = deep or self.small(path)
                if not path.is_file():
                    raise Failure(f"{path} is not a file", "the model's file, or nothing", f"move {path} away")
                seen = snapshot.Seen(stat_of(path))
                if not snapshot.unchanged(known, seen, recorded) or deep:
                    seen = self.read(path, known, seen, *snapshot.reading(known, seen, recorded, deep))
            verdict = snapshot.judge(one, seen, recorded, deep)
            part = path.with_name(path.name + PARTS[0])
            if verdict.plan is not None and verdict.plan.bytes != 0 and part.is_file() and not part.is_symlink():
                note = read_json(part.with_name(part.name + ".json"))
                if isinstance(note, dict) and note.get("digest") == str(one.digest):
                    left = snapshot.Seen(stat_of(part))
                    left = self.read(part, known, left, False, snapshot.kept_blocks(one, recorded) is not None)
        except OSError as error:
            remedy = f"make {path} readable for this user, or remove it"
            raise Failure(f"{path} cannot be read ({error.strerror})", "a readable file", remedy) from error
        return verdict if left is None else snapshot.judge(one, seen, recorded, deep, left)

    def read(self, path: Path, one: Any, seen: Any, digest: bool, sums: bool) -> Any:
        """Return ``seen`` with the file's head, and with its digest and the sums of its blocks where asked for."""
        key = (path, digest, sums, *seen.stat.values())
        if key not in self.was_read:
            head = self.head(path)
            found = ""
            each: tuple[int, ...] = ()
            if digest or sums:
                # A file that is too long may begin with the right one.
                size = seen.stat["size"] if one.size is None else min(one.size, seen.stat["size"])
                found, each, _ = blocks.scan(path, one.digest.start(size) if digest else None, size)
                if digest and not found:
                    found = "a content that the disk cannot read"
                # Written to meanwhile: what was hashed is not what is there now.
                if stat_of(path) != seen.stat:
                    found, each = "a content that changes", ()
            self.was_read[key] = replace(seen, head=head, found=found, sums=each)
        return self.was_read[key]

    @staticmethod
    def head(path: Path) -> bytes:
        """Return the file's first bytes; none if the disk cannot read them, which reading the whole finds too."""
        try:
            with open(path, "rb") as stream:
                return stream.read(HEAD)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""

    def read_record(self) -> None:
        """Read the record; what it says of another folder is of no use."""
        self.record = snapshot.Record.parse(read_json(self.record_path))
        if self.record.path != str(self.dest):
            self.record.files = {}

    def small(self, path: Path) -> bool:
        """Tell whether a file is one of those that are read at every run."""
        return bool(self.p["sums"]) and path.stat().st_size <= SMALL

    def vouch(self) -> None:
        """Write the sums of the smaller files, and look at the pickles: the model is about to be loaded.

        Raises:
            Failure: a file has changed since it was verified, or a pickle imports others than allowed.
            OSError: the sums cannot be written.

        """
        if not self.p["sums"]:
            return
        self.refuse_old()
        sums, text = Path(self.p["sums"]), ""
        for item in self.verdicts or []:
            one, path = item.entry, self.dest / item.entry.path
            self.imports(one, path)
            if not self.small(path) or "\n" in one.path:
                continue
            data = path.read_bytes()
            digest = one.digest.start(len(data))
            digest.update(data)
            if digest.hexdigest() != one.digest.hexadecimal:
                raise Failure(f"{path} changes while it is looked at", "a file at rest", "run again")
            text += f"{sha256_bytes(data)}  {os.path.relpath(path, sums.parent)}\n"
        try:
            same = sums.read_text(encoding="utf-8") == text
        except OSError:
            same = False
        if not same:
            sums.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(sums, text.encode())

    def observe(self, hub: list[Any] | None = None) -> None:
        """Judge every file of the revision as far as they are known."""
        files = snapshot.manifest(self.pinned, self.record, self.p["repo"], self.p["revision"], hub)
        self.verdicts = None if files is None else [self.look(one) for one in files]

    def others(self) -> tuple[list[str], list[str]]:
        """Return what lies in the folder besides the files: of strangers, and of our own unfinished downloads.

        A repository's .git counts as one.
        """
        if self.verdicts is None:
            return [], []
        files_own = {item.entry.path for item in self.verdicts}
        own = {path + end for path in files_own for end in PARTS}
        found: set[str] = set()
        for folder, names, files in os.walk(self.dest):
            inside = os.path.relpath(folder, self.dest)
            for name in list(names):
                if name in (".git", "__pycache__"):
                    names.remove(name)
                    files.append(name)
            found |= {os.path.normpath(os.path.join(inside, name)) for name in files}
        return sorted(found - files_own - own)[:EXTRA], sorted(found & own)

    # --- act ----------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the record if it differs from what is on disk."""
        value = self.record.as_json()
        if read_json(self.record_path) != value:
            write_json(self.record_path, value)

    def remember(self, one: Any, names: list[str] | None, sums: Any) -> None:
        """Put one verified file into the record, on disk at once: a later kill loses nothing."""
        more = dict(self.record.files.get(one.path) or {})
        if more.get(one.digest.algorithm) != one.digest.hexadecimal:
            more = {}  # what was noted was about another content
        if names is not None:
            more["pickle_globals"] = names
        if sums is not None:
            more["blocks"] = sums.as_json()
        self.record.files[one.path] = snapshot.remembered(one, stat_of(self.dest / one.path), more)
        self.save()

    def imports(self, one: Any, path: Path) -> list[str] | None:
        """Return the names that a pickle imports, None if the file is none.

        Raises:
            Failure: it imports others than allowed.

        """
        if not pickle_imports.is_pickle(one.path):
            return None
        return pickle_imports.refuse_imports(path, self.p["pickle_globals"], one.path)

    def known_pickle(self, one: Any) -> bool:
        """Tell whether the record shows that the file is no pickle or imports allowed names only."""
        recorded = (self.record.files.get(one.path) or {}).get("pickle_globals")
        return not pickle_imports.is_pickle(one.path) or (
            isinstance(recorded, list) and set(recorded) <= set(self.p["pickle_globals"])
        )

    def act(self) -> None:
        """Fetch and adopt what the plan says; then every file of the revision is verified and recorded.

        Raises:
            Failure: a file cannot be had from any source, or the disk is too small.

        """
        # Not needed to find that nothing is to be done, and half of the time of such a run to import.
        from ansible.module_utils.chatglm.weights import connection, part, sources, transfer  # noqa: PLC0415

        options = connection.Options(
            timeout=self.p["timeout"], attempts=max(1, self.p["retries"]), ca_bundle=self.p["ca_bundle"]
        )
        names = None
        if self.verdicts is not None:
            names = [item.entry.path for item in self.verdicts if item.action in ("fetch", "mend", "ask")]
        question = sources.Question(self.p["repo"], self.p["revision"], self.p["token"], self.p["python"], names)
        places = sources.build(self.p["sources"], question, options)
        unknown = self.ask(places)
        assert self.verdicts is not None
        files = [item.entry for item in self.verdicts]
        self.record.repo, self.record.revision = self.p["repo"], self.p["revision"]
        self.record.path = str(self.dest)
        self.record.manifest = files
        present = {one.path for one in files}
        self.record.files = {path: item for path, item in self.record.files.items() if path in present}
        for item in self.verdicts:
            if item.plan is not None and item.entry.path in self.record.files:
                # Known to be bad now: if it cannot be had, a later quick run does not trust it by size and times.
                self.record.files[item.entry.path]["stat"] = dict.fromkeys(snapshot.STAT_KEYS, 0)
        self.save()
        self.dest.mkdir(parents=True, exist_ok=True)
        self.check_room(part, transfer.TARGET)
        reasons: dict[str, list[tuple[str, TransferError]]] = {}
        down: dict[str, TransferError] = {}
        # Small files first: what is wrong with a source shows before the gigabytes.
        for item in sorted(self.verdicts, key=lambda item: (item.entry.size or 1 << 62, item.entry.path)):
            one = item.entry
            if (one.size or 0) > SMALL:
                self.refuse_old()
            if item.action in ("keep", "adopt"):
                if item.action == "adopt" or item.refresh or not self.known_pickle(one):
                    self.remember(one, self.imports(one, self.dest / one.path), item.blocks)
                self.note(item, {"keep": "kept", "adopt": "adopted"}[item.action])
            elif one.digest is None:
                reasons[one.path] = unknown
            else:
                tries = self.fetch(item, places, down)
                if tries:
                    reasons[one.path] = tries
        self.result["files"].sort(key=lambda file: file["path"])
        if reasons:
            raise snapshot.failure(self.p["repo"], self.p["revision"], str(self.dest), len(files), reasons)
        self.result["digest"] = snapshot.manifest_digest(files)

    def ask(self, places: list[Any]) -> list[tuple[str, TransferError]]:
        """Complete the plan by the hub's metadata where names or digests are missing.

        Returns:
            Why no hub could tell, as reasons for the files whose digest stays unknown.

        Raises:
            Failure: not even the names of the files are known.

        """
        from ansible.module_utils.chatglm.weights import sources  # noqa: PLC0415

        if self.verdicts is not None and all(item.entry.digest is not None for item in self.verdicts):
            return []
        why: list[tuple[str, TransferError]] = []
        for place in places:
            if not isinstance(place, sources.Hub):
                continue
            try:
                told = place.files()
            except TransferError as error:
                why.append((place.label, error))
                continue
            wrong = snapshot.contradictions(self.pinned, told)
            if wrong:
                why.append((place.label, TransferError("digest", "; ".join(wrong))))
                continue
            self.observe(told)
            lacking = [item.entry.path for item in self.verdicts or [] if item.entry.digest is None]
            if self.verdicts is not None and not lacking:
                return []
            reason = next((place.silent[path] for path in lacking if path in place.silent), "it names none")
            text = f"no digest of {', '.join(lacking)}: {reason}" if lacking else "the revision has no files"
            why.append((place.label, TransferError("missing", text)))
        text = "its digest is not known, and no hub could be asked for it"
        why.append(("no source is trusted with it", TransferError("unknown", text)))
        if self.verdicts is None:
            reasons = {"the list of files": why}
            raise snapshot.failure(self.p["repo"], self.p["revision"], str(self.dest), 1, reasons)
        return why

    def refuse_old(self) -> None:
        """Refuse code that the pinned transformers cannot run, before the gigabytes that go with it.

        Raises:
            Failure: the tokenizer is from before transformers 4.34.

        """
        path = self.dest / "tokenization_chatglm.py"
        try:
            lines = snapshot.too_old(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if lines:
            raise Failure(
                f"{path} of revision {self.p['revision']} is from before transformers 4.34: what line {lines[0]} needs "
                f"comes in line {lines[1]} only",
                f"the pinned revision {PINNED_REVISION}, or one whose code is as new",
                f"leave chatglm_model_revision out, or give -e chatglm_model_revision={PINNED_REVISION}",
            )

    def check_room(self, part: Any, target: str) -> None:
        """Refuse to begin what cannot end.

        Raises:
            Failure: with the space needed and found.

        """
        assert self.verdicts is not None
        needed = 0
        for item in self.verdicts:
            if item.plan is None or item.plan.bytes is None:
                continue
            path = self.dest / item.entry.path
            copied = item.plan.mend == target and not part.movable(path)
            needed += path.stat().st_size if copied else item.plan.bytes
        if error := part.room_for(self.dest, needed):
            raise self.no_room(error)

    def no_room(self, error: TransferError) -> Failure:
        """Return the error for a full disk."""
        sizes = [item.entry.size or 0 for item in self.verdicts or []]
        expected = f"room for the files of {self.p['repo']} ({gigabytes(sum(sizes))} in all)"
        return Failure(
            str(error), expected, "free space there, or choose another chatglm_home; what came so far is kept"
        )

    def fetch(self, item: Any, places: list[Any], down: dict[str, TransferError]) -> list[tuple[str, TransferError]]:
        """Get one file from the first source that can; return why each could not, empty on success."""
        from ansible.module_utils.chatglm.weights import transfer  # noqa: PLC0415

        one, plan = item.entry, item.plan
        target = self.dest / one.path
        target.parent.mkdir(parents=True, exist_ok=True)
        tries: list[tuple[str, TransferError]] = []
        found: list[list[str] | None] = []

        def check(path: Path) -> None:
            found.append(self.imports(one, path))

        def done(moved: Any, mend: str, reason: str, source: str = "") -> None:
            self.result["bytes_fetched"] += moved.received
            self.remember(one, found[-1] if found else None, moved.blocks)
            self.note(item, "mended" if mend else "fetched", reason, source, moved)

        if plan.bytes == 0:
            with contextlib.suppress(TransferError):
                done(transfer.settle(target, plan.wanted, check=check, mend=plan.mend), plan.mend, item.reason)
                return []
        # Where a mend is possible every source is asked for parts before any is asked for the whole.
        rounds = [(place, plan.mend) for place in places]
        reason = item.reason
        for place, mend in rounds:
            if place.label in down:
                tries.append((place.label, down[place.label]))
                continue
            try:
                moved = place.get(one.path, target, plan.wanted, check, mend)
            except TransferError as error:
                self.result["bytes_fetched"] += error.received
                if error.kind == "disk":
                    raise self.no_room(error) from error
                tries.append((place.label, error))
                if error.kind in ("network", "proxy", "tls", "timeout", "library", "commit") or error.status >= 429:
                    down[place.label] = error  # as it was for this file it is for the next
                elif mend and error.kind in ("range", "digest"):
                    rounds.append((place, ""))
                    reason += f"; {place.label} cannot mend it ({error})"
                continue
            done(moved, mend, reason, place.label)
            return []
        return tries

    def note(self, item: Any, action: str, reason: str = "", source: str = "", moved: Any = None) -> None:
        """Add one file to the result; ``moved`` is what its transfer did, if there was one."""
        self.result["files"].append(
            {
                "path": item.entry.path,
                "action": action,
                "reason": reason or item.reason,
                "kind": item.kind,
                "source": source,
                "bytes": moved.received if moved else 0,
                "planned_bytes": item.plan.bytes if item.plan is not None else 0,
                "blocks": item.plan.blocks if item.plan is not None and action == "mended" else 0,
                "resumed_at": moved.resumed_at if moved else 0,
            }
        )

    def look_around(self) -> bool:
        """Observe, and return whether there is anything to do, be it to the record alone."""
        self.read_record()
        self.observe()
        self.result["diff"] = snapshot.diff(self.verdicts, str(self.dest))
        verdicts = self.verdicts or []
        self.result["changed"] = self.verdicts is None or any(item.action != "keep" for item in verdicts)
        current = (self.record.repo, self.record.revision, self.record.path, self.record.manifest) == (
            self.p["repo"],
            self.p["revision"],
            str(self.dest),
            [item.entry for item in verdicts],
        )
        stale = not current or any(item.refresh or not self.known_pickle(item.entry) for item in verdicts)
        return bool(self.result["changed"] or stale)

    def tell(self) -> None:
        """Add to the result what is there, or would be fetched."""
        verdicts = self.verdicts or []
        words = {"keep": "kept", "adopt": "adopted", "ask": "adopted", "fetch": "fetched", "mend": "mended"}
        for item in verdicts:
            self.note(item, words[item.action])
        if verdicts:
            self.result["digest"] = snapshot.manifest_digest([item.entry for item in verdicts])

    def run(self) -> dict[str, Any]:
        """Do what is to be done and return the module's result.

        Raises:
            Failure: see :meth:`act`.
            OSError: the folder or the record cannot be written.

        """
        if self.look_around() and not self.module.check_mode:
            with lock.hold(self.p, f"fetching {self.p['repo']} into {self.dest}", self.module.warn):
                for left in self.record_path.parent.glob(f".{self.record_path.name}.*.part"):
                    left.unlink(missing_ok=True)  # the record of a run that was killed while it wrote
                if self.look_around():
                    self.act()
                else:
                    self.tell()
        else:
            self.tell()
        if not self.module.check_mode:
            self.vouch()
        self.result["extra_files"], unfinished = self.others()
        if unfinished and not self.module.check_mode:
            with lock.hold(self.p, f"clearing up in {self.dest}", self.module.warn):
                # Unless another run is to go on with them: one that wants another revision, say.
                unfinished = [] if self.look_around() else self.others()[1]
                for name in unfinished:  # every file is good now: nobody will go on with these
                    (self.dest / name).unlink(missing_ok=True)
        return self.result


def main() -> None:
    """Run the module."""
    source = {
        "type": {"type": "str", "choices": ["hub", "folder", "seafile", "url", "modelscope"], "required": True},
        "endpoint": {"type": "str"},
        "path": {"type": "path"},
        "url": {"type": "str"},
        "share": {"type": "str"},
        "folder": {"type": "str"},
        "repo": {"type": "str"},
        "revision": {"type": "str"},
    }
    needs = [
        ("type", "hub", ["endpoint"]),
        ("type", "folder", ["path"]),
        ("type", "seafile", ["url", "share"]),
        ("type", "url", ["url"]),
        ("type", "modelscope", ["url", "repo"]),
    ]
    file = {
        "path": {"type": "str", "required": True},
        "size": {"type": "int"},
        "sha256": {"type": "str"},
        "git_blob_id": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "repo": {"type": "str", "required": True},
            "revision": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "default": [], "options": file},
            "sources": {"type": "list", "elements": "dict", "required": True, "options": source, "required_if": needs},
            "token": {"type": "str", "default": "", "no_log": True},
            "python": {"type": "path", "default": ""},
            "ca_bundle": {"type": "path", "default": ""},
            "verify": {"type": "str", "choices": ["quick", "deep"], "default": "quick"},
            "record": {"type": "path", "required": True},
            "sums": {"type": "path", "default": ""},
            "pickle_globals": {"type": "list", "elements": "str", "default": list(pickle_imports.WEIGHTS_ONLY)},
            "timeout": {"type": "int", "default": 30},
            "retries": {"type": "int", "default": 5},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    addresses = [place[name] or "" for place in module.params["sources"] for name in ("endpoint", "url")]
    module.no_log_values.update(secrets(addresses))
    progress.begin(module.params["lock"])
    run: Snapshot | None = None
    try:
        run = Snapshot(module)
        result = run.run()
    except Failure as failure:
        module.fail_json(msg=str(failure), **(run.result if run else {}))
    except OSError as error:
        module.fail_json(msg=str(unusable(error, module.params["dest"])), **(run.result if run else {}))
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    guarded(main)
