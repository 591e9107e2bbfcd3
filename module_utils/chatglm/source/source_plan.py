"""What to do about a git clone at a pinned commit: reading ``git status``, planning, and naming errors.

Pure: texts and values in, values out. The module ``source_checkout`` runs git and writes files.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field
from typing import Protocol

from ..core.failure import Failure
from ..core.files import sha256_bytes
from ..core.network_remedy import remedy

EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
# git's words for a repository that lost something it needs (seen with git 2.39 and 2.47).
BROKEN = re.compile(
    r"not a git repository|index file (corrupt|smaller)|bad (index|signature|object|tree|config)|corrupt|"
    r"unable to (read|find) [0-9a-f]|unable to read (sha1|tree|object)|object file .* is empty|missing (blob|tree|"
    r"commit|object)|invalid object|could not parse|does not point to a valid|unable to (mmap|open object|unpack)|"
    r"object not found|unexpected line in|unterminated line in|"
    r"reference broken|unable to resolve HEAD|failed to resolve HEAD|not a valid object",
    re.IGNORECASE,
)
# A server's words for "no fetch by commit id" or "no shallow fetch" (smart, dumb and local transports).
REFUSES_ID = re.compile(
    r"unadvertised object|not our ref|does not allow request|no such remote ref|couldn't find remote ref|"
    r"dumb http transport does not support|want .* not valid|cannot obtain needed object",
    re.IGNORECASE,
)
UNREACHABLE = re.compile(
    r"could not resolve|(failed to|couldn't) connect|connection (refused|reset|timed)|timed out|network is unreachable|"
    r"no route to host|too slow|recv error|SSL_(read|ERROR_SYSCALL)|remote end hung up|early EOF|"
    r"transfer closed|empty reply|maximum .*redirects|returned error: (429|5\d\d)|RPC failed|"
    r"unable to access 'https?://",  # whatever else curl says, as "Connection died, tried 5 times"
    re.IGNORECASE,
)


# Words of settings by which a repository makes git run a program; a config file without any of them has none.
PROGRAMS = re.compile(
    rb"filter|diff|merge|include|credential|command|proxy|askpass|editor|pager|program", re.IGNORECASE
)
_PROGRAM = re.compile(
    r"filter\..*\.(clean|smudge|process)|diff\.(.*\.)?(command|textconv|external)|merge\..*\.driver|"
    r"core\.(sshcommand|gitproxy|askpass|alternaterefscommand|editor|pager)|credential\.(.*\.)?helper|gpg\.(.*\.)?program",
    re.IGNORECASE | re.DOTALL,
)
_REQUIRED = re.compile(r"filter\..*\.required", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Change:
    """One tracked file that is not as committed.

    Attributes:
        path: relative to the clone.
        index: blob id in the index, or of HEAD where it is staged otherwise; 40 zeros for none.
        gone: it is missing from the working tree.
        staged: the index differs from HEAD.
        unmerged: a merge left it undecided.
        indexed: the index holds it: what was staged of a file that is gone is there alone.
        new: HEAD does not have it.

    """

    path: str
    index: str
    gone: bool = False
    staged: bool = False
    unmerged: bool = False
    indexed: bool = True
    new: bool = False


@dataclass
class Observed:
    """The state of a clone.

    Attributes:
        kind: ``absent``, ``empty`` (a folder with nothing in it), ``occupied`` (a folder that is no repository),
            ``broken`` (a repository that git cannot read) or ``repository``.
        head: commit id, or None.
        branch: name, or None when HEAD is detached.
        changes: tracked files that are not as committed.
        half: those among them that an interrupted checkout left unfinished.
        interrupted: an earlier run was stopped while it changed the working tree.
        detail: git's words about a broken repository.

    """

    kind: str
    head: str | None = None
    branch: str | None = None
    changes: list[Change] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    interrupted: bool = False
    detail: str = ""


def blob_id(data: bytes) -> str:
    """Return git's id of a blob with this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def parse_status(output: str) -> Observed:
    """Read ``git status --porcelain=v2 --branch -z``.

    Raises:
        ValueError: the text is in no such form.

    """
    seen = Observed("repository")
    parts = iter(output.split("\0"))
    for part in parts:
        mark, _, rest = part.partition(" ")
        if mark == "#":
            name, _, value = rest.partition(" ")
            if name == "branch.oid":
                seen.head = None if value == "(initial)" else value
            elif name == "branch.head":
                seen.branch = None if value == "(detached)" else value
        elif mark in ("1", "2"):
            # 1 XY sub mH mI mW hH hI path; a 2 has a score before the path, and its old path as the next part
            fields = rest.split(" ", 7 if mark == "1" else 8)
            staged, unstaged = fields[0][0], fields[0][1]
            indexed = bool(fields[6].strip("0"))
            index = fields[6] if indexed else fields[5]
            gone, new = unstaged == "D" or staged == "D", not fields[5].strip("0")
            seen.changes.append(Change(fields[-1], index, gone, staged != ".", indexed=indexed, new=new))
            if mark == "2":
                next(parts, None)
        elif mark == "u":
            fields = rest.split(" ", 9)
            seen.changes.append(Change(fields[-1], fields[7], staged=True, unmerged=True))
        elif part and mark not in ("?", "!"):
            raise ValueError(f"unexpected line of git status: {part[:80]!r}")
    return seen


def without_programs(names: str) -> list[str]:
    """Return settings (``name=value``) that take the programs out of a repository's own configuration.

    Args:
        names: what ``git config --list --name-only -z`` prints.

    """
    found = list(dict.fromkeys(names.split("\0")))
    return [f"{name}=" for name in found if _PROGRAM.fullmatch(name)] + [
        f"{name}=false" for name in found if _REQUIRED.fullmatch(name)
    ]


def overlooked(index: bytes) -> dict[str, str]:
    """Return path -> blob id of the files that git's index says to overlook (assume-unchanged, skip-worktree).

    Edits in these are in no status, and a checkout of another commit overwrites them.

    Raises:
        ValueError: this is no index of a form that is known (versions 2 to 4).

    """
    found: dict[str, str] = {}
    try:
        mark, version, count = struct.unpack_from(">4sII", index)
        if mark != b"DIRC" or version not in (2, 3, 4):
            raise ValueError(f"index {mark!r} {version}")
        at, name = 12, b""
        for _ in range(count):
            start = at
            blob, flags = struct.unpack_from(">20sH", index, at + 40)
            at += 62
            more = 0
            if flags & 0x4000:
                (more,) = struct.unpack_from(">H", index, at)
                at += 2
            if version == 4:  # the name is told by what differs from the one before
                cut, shift = index[at] & 0x7F, index[at]
                at += 1
                while shift & 0x80:
                    shift = index[at]
                    cut = ((cut + 1) << 7) | (shift & 0x7F)
                    at += 1
                end = index.index(b"\0", at)
                name = name[: len(name) - cut] + index[at:end]
                at = end + 1
            else:
                end = index.index(b"\0", at)
                name = index[at:end]
                at = start + ((end - start) // 8 + 1) * 8
            if flags & 0x8000 or more & 0x4000:
                found[name.decode("utf-8", "surrogateescape")] = blob.hex()
    except (struct.error, IndexError) as error:
        raise ValueError(f"index: {error}") from error
    return found


class Patched(Protocol):
    """What is asked of the record of a script that was patched, by web_demo, a later stage."""

    original: bytes
    known: list[str]

    @property
    def patched(self) -> bytes:
        """The bytes after the edits."""


def classify(data: bytes | None, change: Change, record: Patched | None) -> str:
    """Return whose the change is: ``patched`` (ours), ``edited`` (the user's) or ``both``.

    Args:
        data: the file's bytes, or None when it is no regular file.
        change: its line of the status.
        record: what ``patch_web_demo`` noted about it, or None.

    """
    if record is None or data is None or change.unmerged:
        return "edited"
    digest = sha256_bytes(data)
    if digest == sha256_bytes(record.original):
        return "edited"
    ours = digest == sha256_bytes(record.patched) or digest in record.known
    return "patched" if ours and blob_id(record.original) == change.index else "both"


def unfinished(data: bytes | None, change: Change, blob: bytes | None) -> bool:
    """Tell whether a file looks like one that git had not finished writing.

    An empty file always does. A file that ends early does only where ``blob``, its whole content, is given, which the
    caller does after an interruption: else it may be the user's edit.
    """
    if data is None or change.staged:
        return False
    if not data:
        return change.index != EMPTY_BLOB
    return blob is not None and len(data) < len(blob) and blob.startswith(data)


def plan(seen: Observed, version: str, dest: str) -> str:
    """Return ``none``, ``clone``, ``fetch``, ``restore`` or ``rebuild``.

    Raises:
        Failure: the folder holds something that is no repository.

    """
    if seen.kind in ("absent", "empty"):
        return "clone"
    if seen.kind == "occupied":
        raise Failure(
            f"{dest} holds files, but is no git repository",
            "a clone, an empty folder or nothing",
            f"move it away, and run the play again: mv {quote(dest)} {quote(dest)}.mine",
        )
    if seen.kind == "broken" or seen.head is None:
        return "rebuild"
    if seen.head != version:
        return "fetch"
    if seen.half or any(change.gone for change in seen.changes):
        return "restore"
    return "none"


def parse_raw_diff(output: str) -> dict[str, tuple[str, str]]:
    """Return path -> (blob before, blob after) from ``git diff --raw -z --no-renames --no-abbrev``.

    An id of 40 zeros means that the file is not there.
    """
    parts = output.split("\0")
    changed: dict[str, tuple[str, str]] = {}
    for head, path in zip(parts[::2], parts[1::2], strict=False):
        fields = head.lstrip(":").split(" ")
        changed[path] = (fields[2], fields[3])
    return changed


def explain(text: str, url: str, version: str, what: str) -> Failure:
    """Return the error for what git said.

    Args:
        text: git's standard error.
        url: the repository's address.
        version: the commit that was wanted.
        what: the step that failed, as "git fetch".

    """
    last = " ".join(line.strip() for line in text.strip().splitlines()[-3:])[:400] or "no message"
    low = text.lower()
    place = f"{what} from {url} failed: {last}"
    if "no space left" in low or "disk quota" in low:
        return Failure(
            place, "room on the disk under chatglm_home", "free some (df -h shows it), and run the play again"
        )
    if re.search(r"certificate|handshake|SSL routines|TLS alert", text):
        return Failure(
            place,
            "a certificate that this host trusts",
            "if a company proxy re-signs traffic, set chatglm_ca_bundle to its CA as a PEM file on the host; "
            "else check the host's clock and the package ca-certificates",
        )
    # The third are the words of git 2.46 and newer where it may not ask.
    asks = (
        "authentication failed",
        "could not read username",
        "unable to get password",
        "permission denied (publickey",
    )
    if any(words in low for words in asks):
        return Failure(place, "a repository that can be read without a password", "check chatglm_source_url")
    if re.search(r"(error:|code|response|HTTP) 40[37]", text):
        return Failure(
            place,
            "a repository, and a proxy, that let this host read",
            "check the proxy variables of the host, or set chatglm_source_url to a mirror",
        )
    if re.search(
        r"bad line length character|protocol error|invalid info/refs|info/refs not valid|not valid: is this", text
    ):
        return no_repository(url, last)
    if UNREACHABLE.search(text):
        return Failure(
            place,
            "the host of the repository to answer",
            remedy(
                text,
                "check the network and the proxy variables of the host, or set chatglm_source_url to a mirror",
                "git",
                url,
            ),
        )
    if "does not appear to be a git repository" in low or "not found" in low or "does not exist" in low:
        return Failure(place, "a git repository at that address", "check chatglm_source_url")
    if REFUSES_ID.search(text):
        return missing_commit(url, version)
    return Failure(place, f"commit {version}", "run the play again; if it fails the same way, try that command by hand")


def no_repository(url: str, told: str) -> Failure:
    """Return the error for an answer that no git server gives."""
    return Failure(
        f"{url} answers, but not as a git repository ({told})",
        "a git repository, and no page of a proxy or of a network that wants a login",
        "open that address in a browser of the host's network, and log in there; or set chatglm_source_url to a mirror",
    )


def missing_commit(url: str, version: str) -> Failure:
    """Return the error for a commit that the repository does not have."""
    return Failure(
        f"{url} has no commit {version}",
        "a commit of that repository",
        "check chatglm_source_version and chatglm_source_url: they belong together",
    )


def overwritten(dest: str, lost: list[Change], untracked: list[str], head: str, version: str) -> Failure:
    """Return the error for edits that another commit would overwrite, with the commands that keep them."""

    def words(changes: list[Change]) -> str:
        return " ".join(quote(change.path) for change in changes)

    found: list[str] = []
    commands: list[str] = []
    deleted, new = [change for change in lost if change.gone], [change for change in lost if change.new]
    edited = [change for change in lost if not change.new]
    if deleted:  # what was staged of them is in the index alone
        commands.append(f"git checkout -- {words(deleted)}")
    if edited:
        found.append(f"edited: {', '.join(change.path for change in edited)}")
        commands.append(f"git diff HEAD -- {words(edited)} > ../my-edits.patch && git checkout HEAD -- {words(edited)}")
    if new:
        commands.append(f"git reset --quiet -- {words(new)}")
    aside = sorted([*untracked, *(change.path for change in new)])
    if aside:
        found.append(f"not tracked, and in the way: {', '.join(aside)}")
        commands += [f"mv {quote(path)} {quote(f'{path}.mine')}" for path in aside]
    again = f"cd {quote(dest)} && git apply --3way ../my-edits.patch" if edited else ""
    return Failure(
        f"your own files in {dest} ({'; '.join(found)}) would be overwritten by "
        f"going from {head[:12]} to {version[:12]}",
        "files that differ between the two commits to be as committed",
        f"keep yours aside: {' && '.join([f'cd {quote(dest)}', *commands])}; then run the play again"
        + (f", and bring them back: {again}" if again else ""),
    )


def quote(text: str) -> str:
    """Return ``text`` as one word for a POSIX shell."""
    return text if re.fullmatch(r"[\w@%+=:,./~-]+", text) else "'" + text.replace("'", "'\"'\"'") + "'"
