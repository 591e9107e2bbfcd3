"""Sums of a file's blocks: they tell where a damaged file is damaged, so that only those parts are fetched again.

They are taken while a file is hashed anyway, and kept in the record once its digest was right. They only locate: the
digest of the whole decides whether a mended file is accepted. So a checksum is enough, and CRC-32 is the one that
costs least beside SHA-256 (benchmarks/bench_mend.py shows how much). It misses a damaged block once in 2^32; then the
mended file's digest is wrong, and the file is fetched whole.
"""

from __future__ import annotations

import errno
import os
import queue
import struct
import threading
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..core import progress

BLOCK = 1 << 20
"""Bytes of a block (the last one may be shorter): one flipped bit costs that much; 3.9 GB have 3720 sums, 30 KB of
record."""
GAP = 4
"""Good blocks between two damaged ones that are fetched along with them: cheaper than a request of its own."""


@dataclass(frozen=True)
class Blocks:
    """The sums of a file of ``size`` bytes, one CRC-32 for each block."""

    size: int
    sums: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that :meth:`parse` reads."""
        return {"size": self.size, "block": BLOCK, "crc32": struct.pack(f">{len(self.sums)}I", *self.sums).hex()}

    @classmethod
    def parse(cls, value: Any) -> Blocks | None:
        """Return the sums in ``value``; None for anything malformed or of another block size: it tells nothing."""
        try:
            if value["block"] != BLOCK:
                return None
            packed = bytes.fromhex(value["crc32"])
            if not isinstance(value["size"], int) or not len(packed) == 4 * count(value["size"]) > 0:
                return None
        except (KeyError, TypeError, ValueError):
            return None
        return cls(value["size"], struct.unpack(f">{len(packed) // 4}I", packed))


def count(size: int) -> int:
    """Return the number of blocks of a file of ``size`` bytes."""
    return -(-size // BLOCK)


def worth(size: int) -> bool:
    """Tell whether sums of a file of ``size`` bytes are kept: one of a single block is fetched whole anyway."""
    return size > BLOCK


@dataclass(frozen=True)
class Missing:
    """What a file lacks: ranges of bytes (first, end), ascending and apart, and how many blocks are damaged."""

    ranges: tuple[tuple[int, int], ...]
    blocks: int

    @property
    def bytes(self) -> int:
        """Return the bytes to fetch."""
        return sum(end - first for first, end in self.ranges)


def missing(kept: Blocks, there: Sequence[int]) -> Missing:
    """Return what is to be fetched for a file whose blocks should be ``kept`` and are ``there``."""
    bad = [number for number, crc in enumerate(kept.sums) if number >= len(there) or there[number] != crc]
    return Missing(ranges(kept.size, bad), len(bad))


def ranges(size: int, bad: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return the ranges that hold the blocks ``bad`` (ascending); up to :data:`GAP` good ones between do not part."""
    runs: list[list[int]] = []
    for number in bad:
        if runs and number - runs[-1][1] <= GAP:
            runs[-1][1] = number + 1
        else:
            runs.append([number, number + 1])
    return tuple((first * BLOCK, min(end * BLOCK, size)) for first, end in runs)


class Tally:
    """Takes the sums of a file from its content in order.

    Args:
        kept: the sums that it should have, if known.

    Attributes:
        sums: of the blocks that are complete.
        wrong: number of the first block that is not as kept; -1 while there is none.

    """

    def __init__(self, kept: Blocks | None = None) -> None:
        """Begin at the file's first byte."""
        self.kept = kept
        self.sums: list[int] = []
        self.wrong = -1
        self._crc = 0
        self._used = 0

    def update(self, content: memoryview) -> None:
        """Take the next bytes."""
        at = 0
        while at < len(content):
            with content[at : at + BLOCK - self._used] as piece:
                self._crc = zlib.crc32(piece, self._crc)
                self._used += len(piece)
                at += len(piece)
            if self._used == BLOCK or (self.kept and len(self.sums) * BLOCK + self._used == self.kept.size):
                self.take(self._crc)

    def take(self, crc: int) -> None:
        """Take the sum of the whole next block."""
        if self.kept and self.wrong < 0 and [crc] != list(self.kept.sums[len(self.sums) : len(self.sums) + 1]):
            self.wrong = len(self.sums)
        self.sums.append(crc)
        self._crc = self._used = 0

    def blocks(self, size: int) -> Blocks | None:
        """Return the sums of the file, which has ended after ``size`` bytes; None if it is too small to keep them."""
        if self._used:
            self.take(self._crc)
        return Blocks(size, tuple(self.sums)) if worth(size) else None


class Digesting:
    """Hashes buffers in a thread of its own (hashlib and zlib let the interpreter go on) and hands them back.

    The number of buffers bounds the memory, and how far the thread may lag behind. As a context: the thread ends with
    it, after all that was handed over, and what failed there is raised here.

    Args:
        hasher: takes the content; None for none.
        size: bytes of a buffer.
        number: of buffers.
        tally: takes the sums of the blocks in the same go, while the bytes are in the core's cache.

    """

    def __init__(self, hasher: Any, size: int, number: int, tally: Tally | None = None) -> None:
        """Make the buffers; the thread begins with the context."""
        self.hasher, self.tally = hasher, tally
        self._failed: BaseException | None = None
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
        for _ in range(number):
            self._free.put(bytearray(size))
        self._thread = threading.Thread(target=self._run, name="digest", daemon=True)

    def __enter__(self) -> Digesting:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_others: object) -> None:
        """Wait until every buffer handed over has been hashed; the thread ends."""
        self._full.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def empty(self) -> bytearray:
        """Return a buffer to fill; it is the caller's until it is handed over or back."""
        buffer = self._free.get()
        self._raise()
        return buffer

    def take(self, buffer: bytearray, used: int) -> None:
        """Hash the first ``used`` bytes of ``buffer``; until then the caller only reads it."""
        self._full.put((buffer, used))

    def give_back(self, buffer: bytearray) -> None:
        """Take ``buffer`` back unhashed."""
        self._free.put(buffer)

    def _raise(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        while (item := self._full.get()) is not None:
            buffer, used = item
            try:
                if self._failed is None:
                    self._hash(buffer, used)
            except BaseException as error:
                self._failed = error
            self._free.put(buffer)

    def _hash(self, buffer: bytearray, used: int) -> None:
        with memoryview(buffer) as view, view[:used] as content:
            if self.hasher is not None:
                self.hasher.update(content)
            if self.tally is not None:
                self.tally.update(content)


def read_block(handle: int, buffer: bytearray, offset: int, length: int) -> int:
    """Read ``length`` bytes at ``offset`` into ``buffer``.

    Returns:
        How many there are: fewer only at the file's end; -1 where the disk cannot read them, which is damage too.

    Raises:
        OSError: the file cannot be read for another reason.

    """
    done = 0
    with memoryview(buffer) as view:
        while done < length:
            try:
                with view[done:length] as room:
                    got = os.preadv(handle, [room], offset + done)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return -1
            if not got:
                break
            done += got
    return done


def crc(buffer: bytearray, used: int) -> int:
    """Return the sum of the first ``used`` bytes of ``buffer``."""
    with memoryview(buffer) as view, view[:used] as content:
        return zlib.crc32(content)


def scan(path: str | os.PathLike[str], hasher: Any, limit: int | None = None) -> tuple[str, tuple[int, ...], int]:
    """Read a file once for its digest and the sums of its blocks; the two are computed side by side.

    Args:
        path: the file.
        hasher: a fresh hash object, or None if only the sums are wanted.
        limit: bytes after which reading ends; None for all.

    Returns:
        The hex digest (empty without a hasher, or if the disk could not read a block), the sums (-1 for such a
        block), and the number of bytes up to the end.

    Raises:
        OSError: the file cannot be read.

    """
    sums: list[int] = []
    size = 0
    readable = True
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Digesting(hasher, BLOCK, 4) as digesting:
            while True:
                buffer = digesting.empty()
                length = BLOCK if limit is None else min(BLOCK, limit - size)
                used = read_block(handle, buffer, size, length)
                if not used:
                    break
                if used < 0:
                    readable = False
                    sums.append(-1)
                    size += length
                    digesting.give_back(buffer)
                    continue
                # The thread works on it from now on; both only read.
                digesting.take(buffer, used)
                sums.append(crc(buffer, used))
                size += used
                progress.tell("check", os.path.basename(path), size, limit or 0)
    finally:
        os.close(handle)
    return (hasher.hexdigest() if hasher is not None and readable else ""), tuple(sums), size
