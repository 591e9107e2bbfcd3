"""What a file has to be, and what came instead: digests and the reasons of a failed transfer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ..core.failure import printable
from .blocks import Blocks

HEAD = 512
"""Bytes that are looked at to say what came instead of a file."""


@dataclass(frozen=True)
class Digest:
    """The expected digest of a file: ``sha256`` of its content, or its ``git_blob_id``."""

    algorithm: str
    hexadecimal: str

    def __str__(self) -> str:
        """Return ``algorithm:hex``."""
        return f"{self.algorithm}:{self.hexadecimal}"

    def start(self, size: int) -> Any:
        """Return a hash object ready for the content of a file of ``size`` bytes."""
        if self.algorithm == "sha256":
            return hashlib.sha256()
        # Git names a blob by the SHA-1 of this header and the content.
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


@dataclass(frozen=True)
class Wanted:
    """What the target has to be: its digest, and its size in bytes where known (a git blob id needs it).

    ``blocks`` are the sums of its blocks, if it was verified on this host before.
    """

    digest: Digest
    size: int | None = None
    blocks: Blocks | None = None


@dataclass
class Moved:
    """What a transfer did: bytes that were moved, offset of the first resume, size of the file, sums of its blocks."""

    received: int = 0
    resumed_at: int = 0
    size: int = 0
    blocks: Blocks | None = None


class TransferError(Exception):
    """Why a source did not give the file.

    Args:
        kind: a short stable word: ``http``, ``pointer``, ``html``, ``short``, ``long``, ``digest``, ``range``,
            ``redirect``, ``network``, ``proxy``, ``tls``, ``timeout``, ``stall``, ``cut``, ``disk``, ``missing``,
            ``read``.
        text: the reason, for a reader; never holds a token, a query string or a password.
        again: whether another attempt at the same source makes sense.
        wait: seconds that the source asked to be left alone, if it did.
        status: the HTTP status, if that is the reason.

    Attributes:
        received: bytes that were moved in vain, or for a later attempt.

    """

    def __init__(
        self, kind: str, text: str, *, again: bool = False, wait: float | None = None, status: int = 0
    ) -> None:
        """Keep the parts; ``str()`` gives the text."""
        super().__init__(printable(text))
        self.kind = kind
        self.again = again
        self.wait = wait
        self.status = status
        self.received = 0


def gigabytes(size: float) -> str:
    """Return ``size`` bytes as text in GB (10^9 bytes), with more digits for less."""
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e9:.6f} GB"


def amount(size: int) -> str:
    """Return ``size`` bytes as text in the unit (of powers of 1000) that suits it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def what_came(head: bytes, size: int, wanted: Wanted, found: str = "") -> TransferError:
    """Return the reason why ``size`` bytes that begin with ``head`` are not the wanted file.

    Args:
        head: the first bytes, up to :data:`HEAD`.
        size: bytes that came, or that were announced.
        wanted: what was expected.
        found: hex digest of what came, where it was taken.

    """
    lower = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"version https://git-lfs"):
        return TransferError("pointer", f"a Git LFS pointer of {size} bytes came instead of the file")
    if lower.startswith((b"<!doctype html", b"<html")):
        return TransferError("html", f"an HTML page of {size} bytes came instead of the file")
    if wanted.size is not None and size < wanted.size:
        return TransferError("short", f"too short: {size} of {wanted.size} bytes")
    if wanted.size is not None and size > wanted.size:
        return TransferError("long", f"too long: {size} bytes, expected {wanted.size}")
    same = "right size but " if wanted.size is not None else ""
    return TransferError(
        "digest", f"{same}wrong {wanted.digest.algorithm}: {found}, expected {wanted.digest.hexadecimal}"
    )
