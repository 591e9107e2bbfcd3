"""Digests and atomic replacement of files, shared by the modules."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pwd
import shlex
import tempfile
from pathlib import Path
from typing import Any

from .failure import Failure

CHUNK = 1 << 20


def sha256_bytes(data: bytes) -> str:
    """Return the hex SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the hex SHA-256 of the file at ``path``, read in chunks of 1 MiB.

    Raises:
        OSError: the file cannot be read.

    """
    return _digest(path, hashlib.sha256())


def git_blob_id(path: str | os.PathLike[str]) -> str:
    """Return the git blob id (SHA-1 of ``blob <size>``, a NUL byte and the content) of the file at ``path``.

    Raises:
        OSError: the file cannot be read.

    """
    return _digest(path, hashlib.sha1(b"blob %d\0" % os.path.getsize(path), usedforsecurity=False))


def _digest(path: str | os.PathLike[str], digest: hashlib._Hash) -> str:
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def unusable(error: OSError, place: str | os.PathLike[str]) -> Failure:
    """Return what to tell of a file that could not be read or written, by its cause.

    Args:
        error: the system's answer.
        place: the file or folder, where the error does not name it.

    """
    path = error.filename or place
    folder = os.path.dirname(path) or "/"
    quoted = shlex.quote(str(folder))
    found = f"{path} cannot be used ({error.strerror or error})"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = f"make room (look at: df -h {quoted}; df -i {quoted}), then run again; what is good is kept"
        return Failure(found, "room on the disk, for bytes and for files", remedy)
    if error.errno == errno.EROFS:
        remedy = "mount it for writing (after a fault of the disk: look at dmesg), then run again"
        return Failure(found, "a file system that can be written", remedy)
    if isinstance(error, FileNotFoundError):
        return Failure(found, "it to be there", f"run again, unless {folder} was meant to be elsewhere")
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP):
        return Failure(found, "a file of this project in that place, or nothing", f"move {path} away, then run again")
    # A file that is gone, as a temporary one is by now, was refused by its folder; so is one that is to be replaced.
    barred = next((one for one in (path, folder) if os.path.lexists(one) and not os.access(one, os.W_OK)), "") or (
        path if os.path.lexists(path) else folder
    )
    found = f"{barred} cannot be used ({error.strerror or error})"
    me, expected = user_name(os.geteuid()), "a file that {} may read and write"
    with contextlib.suppress(OSError):
        owner = os.lstat(barred).st_uid
        found += f", it belongs to {user_name(owner)}"
        quoted = shlex.quote(str(barred))
        if owner == os.geteuid() and error.errno == errno.EPERM:  # the mode would be EACCES
            return Failure(
                found,
                expected.format(me),
                f"ls -ld {quoted} shows who may write; where lsattr -d {quoted} shows an i: sudo chattr -i {quoted}; "
                "then run again",
            )
        if owner == os.geteuid():
            return Failure(found, expected.format(me), f"chmod u+rwX {quoted}; then run again")
    remedy = f"sudo chown -R {os.geteuid()} {shlex.quote(str(barred))}; then run again"
    return Failure(found, expected.format(me), remedy)


def user_name(number: int) -> str:
    """Return the name of a user id, or words with the number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def write_atomic(path: str | os.PathLike[str], data: bytes, mode: int = 0o644) -> None:
    """Replace the file at ``path`` by ``data`` so that a reader sees the old or the new content, never a part.

    Args:
        path: the target; its folder must exist.
        data: the whole new content.
        mode: permission bits of the new file, less those that the umask takes away.

    Raises:
        OSError: the folder cannot be written or the disk is full; the old file is then untouched.

    """
    target = Path(path)
    handle, partial = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0o077)
        os.umask(mask)
        os.chmod(partial, mode & ~mask)
        os.replace(partial, target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def put_aside(tree: str, path: str, backup: str) -> str:
    """Move a file out of a tree to the same place in a backup, with a number behind it where there is one already.

    Args:
        tree: the folder that it is in.
        path: the file, relative to ``tree``.
        backup: the other folder, on the same file system; made when missing.

    Returns:
        Where the file is now.

    Raises:
        OSError: it cannot be moved.

    """
    target = first = f"{backup}/{path}"
    number = 1
    while os.path.lexists(target):
        number += 1
        target = f"{first}.{number}"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.rename(f"{tree}/{path}", target)
    return target


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return the parsed JSON file at ``path``, or None when it is absent, unreadable or not JSON.

    A record that cannot be read proves nothing, so it counts as absent.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as JSON with sorted keys, atomically; creates the folder.

    Raises:
        OSError: as :func:`write_atomic`.

    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, as_json(value))


def as_json(value: Any) -> bytes:
    """Return ``value`` as :func:`write_json` writes it."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def digest_of(value: Any) -> str:
    """Return the hex SHA-256 of ``value``'s canonical JSON (sorted keys, no spaces)."""
    return sha256_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
