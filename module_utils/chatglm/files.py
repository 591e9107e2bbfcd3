"""Digests and atomic replacement of files, shared by the modules."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def sha256_bytes(data: bytes) -> str:
    """Return the hex SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the hex SHA-256 of the file at ``path``, read in chunks of 1 MiB.

    Raises:
        OSError: the file cannot be read.

    """
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def git_blob_id(path: str | os.PathLike[str]) -> str:
    """Return the git blob id (SHA-1 of ``blob <size>``, a NUL byte and the content) of the file at ``path``.

    Raises:
        OSError: the file cannot be read.

    """
    digest = hashlib.sha1(b"blob %d\0" % os.path.getsize(path), usedforsecurity=False)
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


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
    write_atomic(path, (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def digest_of(value: Any) -> str:
    """Return the hex SHA-256 of ``value``'s canonical JSON (sorted keys, no spaces)."""
    return sha256_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
