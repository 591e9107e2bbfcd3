"""What a model folder has to hold, what it holds, and what has to be fetched: decisions without I/O.

The record (a JSON file) remembers each verified file with its digest and the state of its inode at that moment. While
these are unchanged the file counts as good without being read. One entry per file, a mapping that may gain keys: what
this version does not know it keeps as long as the file stays the same.
"""

from __future__ import annotations

import ast
import itertools
import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.failure import Failure
from ..core.files import digest_of
from ..core.network_environment import problems
from ..core.network_remedy import mending, remedy
from .blocks import BLOCK, Blocks, count, missing, worth
from .content import Digest, TransferError, Wanted, amount, what_came

SCHEMA = 1
REVISION = re.compile(r"[0-9a-f]{40}")
REPO = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
STAT_KEYS = ("size", "mtime_ns", "ctime_ns", "inode")
_LENGTH = {"sha256": 64, "git_blob_id": 40}


@dataclass(frozen=True)
class Entry:
    """One file of a revision: its path in the repository, and size (bytes) and digest as far as known."""

    path: str
    size: int | None = None
    digest: Digest | None = None

    @property
    def wanted(self) -> Wanted:
        """Return what a transfer has to deliver; only with a known digest."""
        assert self.digest is not None
        return Wanted(self.digest, self.size)


def entry(raw: Mapping[str, Any], origin: str) -> Entry:
    """Return the entry that ``raw`` (path, size, sha256 or git_blob_id) describes.

    Args:
        raw: from the pinned manifest, the record or the hub.
        origin: which of these, for the message.

    Raises:
        Failure: the path leads out of the folder, or a digest is none.

    """
    path = raw.get("path")
    if not isinstance(path, str) or not _inside(path):
        raise Failure(
            f"{origin} names a file {path!r}", "a relative path inside the model's folder", f"correct {origin}"
        )
    size = raw.get("size")
    if size is not None and (not isinstance(size, int) or size < 0):
        raise Failure(f"{origin} gives {path} the size {size!r}", "a number of bytes", f"correct {origin}")
    for algorithm, length in _LENGTH.items():
        value = raw.get(algorithm)
        if not value:
            continue
        if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
            expected = f"{length} lower-case hex digits"
            raise Failure(f"{origin} gives {path} the {algorithm} {value!r}", expected, f"correct {origin}")
        if algorithm == "git_blob_id" and size is None:
            expected = "its size too, which is part of what is hashed"
            raise Failure(f"{origin} gives {path} a git_blob_id without a size", expected, f"correct {origin}")
        return Entry(path, size, Digest(algorithm, value))
    return Entry(path, size)


def _inside(path: str) -> bool:
    parts = path.split("/")
    plain = "\\" not in path and "\0" not in path and posixpath.normpath(path) == path
    return bool(path) and plain and not path.startswith("/") and not {"", ".", ".."} & set(parts)


def entries(raw: Iterable[Mapping[str, Any]], origin: str) -> list[Entry]:
    """Return :func:`entry` of each, sorted by path.

    Raises:
        Failure: as :func:`entry`, or a path stands there twice.

    """
    result = sorted((entry(item, origin) for item in raw), key=lambda item: item.path)
    for one, other in itertools.pairwise(result):
        if one.path == other.path:
            raise Failure(f"{origin} names {one.path} twice", "each file once", f"correct {origin}")
    return result


# --- the record -------------------------------------------------------------------------------------------------------


@dataclass
class Record:
    """What is known of a repository's revision (``manifest``), and which files of it were verified in ``path``."""

    repo: str = ""
    revision: str = ""
    path: str = ""
    manifest: list[Entry] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Any) -> Record:
        """Return the record in ``value`` (parsed JSON); anything malformed proves nothing and counts as absent."""
        if not isinstance(value, dict) or value.get("schema") != SCHEMA or not isinstance(value.get("files"), dict):
            return cls()
        files = {}
        for path, item in value["files"].items():
            try:
                entry({**item, "path": path}, "the record")
                complete = all(isinstance(item["stat"][key], int) for key in STAT_KEYS)
            except (Failure, KeyError, TypeError):
                continue
            if complete:
                files[path] = item
        try:
            listed = entries(value["manifest"], "the record")
        except (Failure, KeyError, TypeError, AttributeError):
            listed = []
        return cls(str(value.get("repo")), str(value.get("revision")), str(value.get("path")), listed, files)

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that :meth:`parse` reads."""
        return {
            "schema": SCHEMA,
            "repo": self.repo,
            "revision": self.revision,
            "path": self.path,
            "manifest": [described(one) for one in self.manifest],
            "files": self.files,
        }


def described(one: Entry) -> dict[str, Any]:
    """Return the mapping that :func:`entry` reads."""
    result: dict[str, Any] = {"path": one.path, "size": one.size}
    if one.digest is not None:
        result[one.digest.algorithm] = one.digest.hexadecimal
    return result


def remembered(one: Entry, stat: Mapping[str, int], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's mapping for a file verified as ``one`` in the state ``stat``, with ``more`` keys."""
    assert one.digest is not None
    return {**more, "size": stat["size"], one.digest.algorithm: one.digest.hexadecimal, "stat": dict(stat)}


def manifest(
    pinned: list[Entry], record: Record, repo: str, revision: str, hub: list[Entry] | None = None
) -> list[Entry] | None:
    """Return the files of the revision with what is known of them, or None if not even their names are known.

    Digests come from the pinned manifest first, then from the record if it is about this very revision, then from
    the hub; the names from the first of the three that has any (the record's list is always a whole one).
    """
    past = record.manifest if (record.repo, record.revision) == (repo, revision) else []
    names = pinned or past or hub
    if not names:
        return None
    known: dict[str, Entry] = {}
    for source in (pinned, past, hub or []):
        for one in source:
            old = known.get(one.path)
            if old is None:
                known[one.path] = one
            elif old.digest is None:
                known[one.path] = replace(one, size=one.size if old.size is None else old.size)
            elif old.size is None and (one.digest is None or one.digest == old.digest):
                known[one.path] = replace(old, size=one.size)
    return [known[one.path] for one in names]


def contradictions(pinned: list[Entry], hub: list[Entry]) -> list[str]:
    """Return a sentence for each file of which the hub says other than the pinned manifest."""
    said = {one.path: one for one in hub}
    result = []
    for one in pinned:
        other = said.get(one.path)
        if other is None:
            result.append(f"{one.path} is not in the hub's listing")
        elif (
            one.digest
            and other.digest
            and one.digest.algorithm == other.digest.algorithm
            and one.digest != other.digest
        ):
            result.append(f"{one.path} has {other.digest} on the hub, {one.digest} is pinned")
        elif None not in (one.size, other.size) and one.size != other.size:
            result.append(f"{one.path} has {other.size} bytes on the hub, {one.size} are pinned")
    return result


# --- judging what is there --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """A file on the host: the state of its inode, its first bytes, its digest and its blocks' sums if it was read.

    Of a file that is too long, digest and sums are those of its first ``size`` bytes.
    """

    stat: Mapping[str, int]
    head: bytes = b""
    found: str = ""
    sums: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """How a file is to be had.

    ``mend`` says what is mended: ``target`` (the damaged file) or ``left`` (what an interrupted run left of a mended
    file); empty if the whole is fetched, or the rest of it. ``bytes`` is what has to be moved, None if the file's size
    is not known. ``blocks`` is the number of damaged blocks, as far as their sums are kept.
    """

    wanted: Wanted
    mend: str = ""
    bytes: int | None = None
    blocks: int = 0


@dataclass(frozen=True)
class Verdict:
    """What is to be done about one file, and why.

    ``action`` is ``keep``, ``adopt`` (good, but not in the record), ``fetch``, ``mend`` or ``ask`` (there, but no
    digest is known yet).
    """

    entry: Entry
    action: str
    reason: str
    refresh: bool = False
    """The file is good, but what the record has of it is out of date."""
    kind: str = ""
    """What is wrong, in one stable word: ``missing``, ``unknown`` (digest), or the kind of a TransferError."""
    plan: Plan | None = None
    blocks: Blocks | None = None
    """The sums of the blocks of a good file that has been read."""


def kept_blocks(one: Entry, recorded: Mapping[str, Any] | None) -> Blocks | None:
    """Return the sums that the record has of a file verified with this digest."""
    if recorded is None or one.digest is None or recorded.get(one.digest.algorithm) != one.digest.hexadecimal:
        return None
    kept = Blocks.parse(recorded.get("blocks"))
    return kept if kept is not None and one.size in (None, kept.size) else None


def sized(one: Entry, recorded: Mapping[str, Any] | None) -> Entry:
    """Return ``one``, with the size of its kept sums where the manifest has none."""
    kept = kept_blocks(one, recorded)
    return one if kept is None else replace(one, size=kept.size)


def unchanged(one: Entry, seen: Seen, recorded: Mapping[str, Any] | None) -> bool:
    """Tell whether the record shows that the file is the very one that was verified with this digest."""
    if recorded is None or one.digest is None or one.size not in (None, seen.stat["size"]):
        return False
    same = recorded.get(one.digest.algorithm) == one.digest.hexadecimal
    return same and all(recorded["stat"][key] == seen.stat[key] for key in STAT_KEYS)


def must_read(one: Entry, seen: Seen | None, recorded: Mapping[str, Any] | None, deep: bool) -> bool:
    """Tell whether judging the file needs its digest: the size does not already show that it is damaged."""
    if seen is None or one.digest is None or one.size not in (None, seen.stat["size"]):
        return False
    return deep or not unchanged(one, seen, recorded)


def reading(one: Entry, seen: Seen, recorded: Mapping[str, Any] | None, deep: bool) -> tuple[bool, bool]:
    """Return whether a file is to be read for its digest, and whether for the sums of its blocks.

    Args:
        one: what it has to be, :func:`sized`.
        seen: what is there.
        recorded: its mapping in the record, if any.
        deep: every file's digest is taken.

    """
    if must_read(one, seen, recorded, deep):
        return True, True
    size = seen.stat["size"]
    if one.digest is None or one.size in (None, size):
        return False, False
    # Too long: its beginning may be the file. Too short: worth a reading only if that shows which blocks are good.
    return size > (one.size or 0) and worth(size), kept_blocks(one, recorded) is not None


def judge(
    one: Entry, seen: Seen | None, recorded: Mapping[str, Any] | None, deep: bool, left: Seen | None = None
) -> Verdict:
    """Return what is to be done about a file.

    Args:
        one: what it has to be.
        seen: what is there, None for nothing; read as :func:`reading` asks.
        recorded: its mapping in the record, if any.
        deep: the digest was to be taken whatever the record says.
        left: what an interrupted run left of this very file, with the sums of its blocks if the record has some.

    """
    known = sized(one, recorded)
    if seen is not None and one.digest is None:
        return Verdict(one, "ask", "there, but its digest is not known: the hub will be asked", kind="unknown")
    if seen is not None and one.digest is not None:
        if must_read(known, seen, recorded, deep):
            if seen.found == one.digest.hexadecimal:
                return _good(one, seen, recorded)
        elif unchanged(known, seen, recorded):
            return Verdict(one, "keep", "unchanged since it was verified")
    if one.digest is None:
        return Verdict(one, "fetch", "missing", kind="missing")
    kept = kept_blocks(one, recorded)
    wanted = Wanted(one.digest, known.size, kept)
    wrong = None if seen is None else what_came(seen.head, seen.stat["size"], wanted, seen.found)
    kind, reason = ("missing", "missing") if wrong is None else (wrong.kind, str(wrong))
    plans = [Plan(wanted, "", wanted.size)]
    if seen is not None and wrong is not None and wrong.kind in ("short", "long", "digest"):
        plans += _mended(wanted, seen, "target")
    if left is not None:
        plans += _mended(wanted, left, "left")
    # Of equal plans the one that leaves the damaged file alone: the first is the whole.
    plan = min(plans, key=lambda plan: 1 << 62 if plan.bytes is None else plan.bytes)
    how = []
    if plan.mend == "left":
        how.append("an interrupted run left the rest")
    if plan.mend and kept is not None:
        how.append(
            f"{plan.blocks} of {count(kept.size)} blocks {'is' if plan.blocks == 1 else 'are'} damaged or missing"
        )
    if plan.mend:
        how.append(f"{amount(plan.bytes or 0)} to fetch")
    text = f"{reason}; {', '.join(how)}" if how else reason
    return Verdict(one, "mend" if plan.mend else "fetch", text, kind=kind, plan=plan)


def _good(one: Entry, seen: Seen, recorded: Mapping[str, Any] | None) -> Verdict:
    """Return the verdict on a file whose digest is right."""
    assert one.digest is not None
    size = seen.stat["size"]
    blocks = Blocks(size, seen.sums) if worth(size) and len(seen.sums) == count(size) else None
    if recorded is None or recorded.get(one.digest.algorithm) != one.digest.hexadecimal:
        return Verdict(one, "adopt", "already there and good", blocks=blocks)
    stale = not unchanged(one, seen, recorded) or blocks != kept_blocks(one, recorded)
    return Verdict(one, "keep", "verified again", refresh=stale, blocks=blocks)


def _mended(wanted: Wanted, there: Seen, mend: str) -> list[Plan]:
    """Return how the wanted file can be made of what is there: one plan or none."""
    size = there.stat["size"]
    if wanted.blocks is not None:
        lacks = missing(wanted.blocks, there.sums)
        # Nothing damaged, and yet the digest is wrong: the sums cannot help.
        useless = not lacks.blocks and size == wanted.size and there.found
        return [] if useless else [Plan(wanted, mend, lacks.bytes, lacks.blocks)]
    if wanted.size is None:
        return []
    if mend == "left":  # resumed like any download
        return [Plan(wanted, "", wanted.size - size)] if size <= wanted.size else []
    if size > wanted.size and there.found == wanted.digest.hexadecimal:
        return [Plan(wanted, mend, 0)]
    # Never verified here: perhaps it is the file's beginning. The digest of the whole will tell.
    return [Plan(wanted, mend, wanted.size - size)] if BLOCK <= size < wanted.size else []


def diff(verdicts: list[Verdict] | None, dest: str) -> dict[str, str]:
    """Return Ansible's diff: a line for each file that is not simply kept, from what is known before any network."""
    if verdicts is None:
        before, after = "the files of this revision: not verified\n", "the files of this revision: verified\n"
    else:
        due = [item for item in verdicts if item.action != "keep"]
        before = "".join(f"{item.entry.path}: {item.reason}\n" for item in due)
        after = "".join(f"{item.entry.path}: verified\n" for item in due)
    return {"before_header": dest, "after_header": dest, "before": before, "after": after}


def manifest_digest(files: Iterable[Entry]) -> str | None:
    """Return the digest that stands for a verified folder: of its paths and digests; None if one is unknown."""
    pairs = {one.path: str(one.digest) for one in files if one.digest is not None}
    return digest_of(pairs) if len(pairs) == len(list(files)) else None


def too_old(code: str) -> tuple[int, int] | None:
    """Tell whether a tokenizer's code is from before transformers 4.34, whose constructor asks for the vocabulary.

    Args:
        code: the text of tokenization_chatglm.py.

    Returns:
        The lines of ``super().__init__`` and of what it needs and comes only behind it; None for code that works.

    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    for made in ast.walk(tree):
        if not isinstance(made, ast.FunctionDef) or made.name != "__init__":
            continue
        base = own = 0
        for node in ast.walk(made):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
                base = node.lineno
            elif isinstance(node, ast.Assign) and "self.tokenizer" in map(ast.unparse, node.targets):
                own = node.lineno
        if 0 < base < own:
            return base, own
    return None


# --- saying what went wrong -------------------------------------------------------------------------------------------


def failure(
    repo: str, revision: str, dest: str, total: int, reasons: Mapping[str, list[tuple[str, TransferError]]]
) -> Failure:
    """Return the error for files that no source could give.

    Args:
        repo: name of the repository.
        revision: its pinned commit.
        dest: the folder.
        total: number of files in the revision.
        reasons: per file, each source's label and its reason.

    """
    alike: dict[str, list[str]] = {}
    for path, tries in sorted(reasons.items()):
        alike.setdefault("; ".join(f"{label}: {reason}" for label, reason in tries), []).append(path)
    parts = [f"{', '.join(paths)} ({why or 'no source was asked'})" for why, paths in alike.items()]
    every = [reason for tries in reasons.values() for _, reason in tries]
    remedies = []
    if any(reason.status in (401, 403) for reason in every):
        remedies.append("set chatglm_hub_token to a token that may read this repository (or correct it)")
    if any(reason.kind == "tls" for reason in every):
        remedies.append("correct this host's clock, or name the authority's PEM file in chatglm_ca_bundle")
    if any(reason.kind == "library" for reason in every):
        remedies.append("let the role virtualenv make the environment first (site.yml does)")
    if any(reason.kind == "unknown" for reason in every):
        remedies.append("let the hub be reached once, so that the digests of its revision are recorded")
    wrong = ("digest", "pointer", "html", "short", "long", "commit")
    if any(reason.kind in wrong for reason in every):
        remedies.append("leave out the source that holds something else")
    if any(reason.kind == "proxy" for reason in every):
        remedies += [mending(problem) for problem in problems(os.environ) if not problem.safe]
    again = (
        "try again when the network is back (what came so far is kept), or add a mirror or a folder to "
        "chatglm_model_sources"
    )
    remedies.append(remedy("; ".join(map(str, every)), again))
    return Failure(
        f"{len(reasons)} of {total} files of {repo} could not be had: {'; '.join(parts)}",
        f"every file of revision {revision} in {dest}, each with its digest",
        "; ".join(remedies),
    )
