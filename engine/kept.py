"""Where compiled kernels are kept: a folder that only this user writes to, each file named by key and content.

A key is the digest of what a kernel is made from. The file's name holds the digest of its content too, which is looked
at before anything is loaded; what is damaged is removed and made anew. Without torch.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["UnavailableError", "find", "folder", "is_private", "key_of", "name_of", "put"]


class UnavailableError(Exception):
    """There is no fused kernel here; its text, one sentence for users, says why."""


def folder() -> Path:
    """Return the folder that CHATGLM_ENGINE_CACHE names, else ``cache/engine`` beside the virtualenv; made.

    Raises:
        UnavailableError: it cannot be made, or others may write to it.

    """
    given = os.environ.get("CHATGLM_ENGINE_CACHE")
    place = Path(given) if given else Path(os.environ.get("VIRTUAL_ENV", sys.prefix)).parent / "cache" / "engine"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"no folder for the compiled int4 kernel: {error}") from error
    if not is_private(place):
        raise UnavailableError(f"{place} is another user's, or others may write to it: nothing is loaded from there")
    return place


def is_private(path: Path) -> bool:
    """Return whether a file or folder is this user's, no link, and nobody else may write to it."""
    status = path.lstat()
    return (
        status.st_uid == os.getuid()
        and not stat.S_ISLNK(status.st_mode)
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def key_of(parts: Sequence[bytes]) -> str:
    """Return the key of what is made from ``parts``."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


def name_of(key: str, suffix: str, content: bytes) -> str:
    """Return the name under which ``content`` is kept."""
    return f"{key}-{hashlib.sha256(content).hexdigest()[:32]}{suffix}"


def find(place: Path, key: str, suffix: str) -> Path | None:
    """Return the whole file that is kept for ``key`` in ``place``, or None; what is not whole goes."""
    for path in place.glob(f"{key}-*{suffix}"):
        if path.name == name_of(key, suffix, path.read_bytes()) and is_private(path):
            return path
        path.unlink()
    return None


def put(place: Path, key: str, suffix: str, content: bytes) -> Path:
    """Keep ``content`` for ``key`` in ``place``, by a rename; return its path."""
    descriptor, name = tempfile.mkstemp(dir=place)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        return Path(name).rename(place / name_of(key, suffix, content))
    except BaseException:
        os.unlink(name)
        raise
