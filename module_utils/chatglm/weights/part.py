"""The partial file of a target: written, digested while it is written, and put in the target's place when it is right.

The bytes of one target collect in ``<name>.part``; ``<name>.part.json`` beside it says which digest they are meant
to have and which source (with its entity tag) they came from. Both outlive a killed process, so that the next run
goes on where it stopped, from whatever source.

To mend a damaged file is the same with a longer list of what is missing. The damaged file itself becomes the part, by
a rename, once a source has agreed to give ranges: no byte that is good is moved, no room for a second copy is needed,
and nothing stands in the target's place until the whole has been verified. Which blocks are good is read from the part
by their kept sums each time, so that a kill at any moment loses nothing and needs no journal.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core import progress
from ..core.files import read_json
from .blocks import BLOCK, GAP, Blocks, Digesting, Tally, crc, read_block
from .content import HEAD, TransferError, Wanted, gigabytes, what_came

BUFFER = 1 << 17
"""Bytes of one buffer: large enough that Python's own cost vanishes, small enough that they stay in the cores' cache
between the socket, the file and the digest (the fastest of 64 KiB to 512 KiB)."""
BUFFERS = 4
"""Buffers between the socket and the digest: 512 KiB in all, whatever the file's size; with more of them the cores wait
for each other's cache."""
WRITE_BACK = 16 << 20
"""Bytes after which the disk is told to begin with them."""
FLUSH_SECONDS = 1.0
"""On a slow line a buffer is written after this time though not full: a kill then costs little."""
PART = ".part"
COPY = ".copy.part"
NEW = ".new"
LOCAL = 4
"""Buffers of one block between the part and the digest while what is there already is read."""


def movable(path: Path) -> bool:
    """Tell whether a damaged file may itself become the part: it is no link, has no other name, and can be written."""
    state = path.lstat()
    return stat.S_ISREG(state.st_mode) and state.st_nlink == 1 and os.access(path, os.R_OK | os.W_OK)


def _put(handle: int, buffer: bytearray, used: int, offset: int) -> None:
    """Write the first ``used`` bytes of ``buffer`` at ``offset``."""
    with memoryview(buffer) as view:
        done = 0
        while done < used:
            with view[done:used] as rest:
                done += os.pwrite(handle, rest, offset + done)


class Part:
    """The partial file of one target, and the digest of what is good of it so far.

    Args:
        target: the file's final place; its folder must exist.
        wanted: what it has to become. A part that was begun for another digest is dropped.
        suffix: what is added to the target's name.

    Attributes:
        length: bytes, from the start, that are there, good as far as one can tell, and digested.

    """

    def __init__(self, target: Path, wanted: Wanted, suffix: str = PART) -> None:
        """Name the two files; nothing is opened yet."""
        self.target = target
        self.wanted = wanted
        self.path = target.with_name(target.name + suffix)
        self.note = target.with_name(target.name + suffix + ".json")
        self.length = 0
        self.source = ""
        self.etag = ""
        self._handle = -1
        self._hasher: Any = None
        self._tally = Tally()
        self._gap_end = 0
        self._flushed = 0
        self._borrowed = False

    def open(self, *, keep: bool = True, damaged: bool = False) -> None:
        """Open the part; what an earlier run left for the same digest is hashed and kept.

        Args:
            keep: whether anything is kept.
            damaged: begin with the damaged target; it is only read until :meth:`own`. If it is gone, another source has
                made it the part already.

        Raises:
            OSError: the folder cannot be written, or the damaged target not be read.

        """
        damaged = damaged and self.target.exists()
        if damaged:
            self._borrowed = True
            self._handle = os.open(self.target, os.O_RDONLY | os.O_CLOEXEC)
        else:
            note = read_json(self.note)
            note = note if isinstance(note, dict) else {}
            usable = keep and note.get("digest") == str(self.wanted.digest) and self.path.is_file()
            # A link in the part's place would be written through: replaced, not followed.
            if self.path.is_symlink():
                self.path.unlink()
                usable = False
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if not usable:
                self.restart()
                return
            self.source, self.etag = str(note.get("source", "")), str(note.get("etag", ""))
        self._begin()
        if self.wanted.blocks is not None:
            return  # read as far as needed by gap()
        size = self._size()
        if self.wanted.size is not None and size > self.wanted.size:
            if not damaged:
                self.restart()
                return
            size = self.wanted.size
        self._take(size)

    def _begin(self) -> None:
        self.length = self._gap_end = self._flushed = 0
        self._hasher = self.wanted.digest.start(self.wanted.size or 0)
        self._tally = Tally(self.wanted.blocks)

    def _size(self) -> int:
        return os.fstat(self._handle).st_size

    def _take(self, end: int) -> None:
        """Digest what is there up to ``end``; with kept sums only as long as the blocks are good."""
        kept = self.wanted.blocks
        with Digesting(self._hasher, BLOCK, LOCAL, self._tally if kept is None else None) as digesting:
            while self.length < end:
                buffer = digesting.empty()
                used = read_block(self._handle, buffer, self.length, min(BLOCK, end - self.length))
                if used <= 0:
                    break
                if kept is not None:
                    if crc(buffer, used) != kept.sums[self.length // BLOCK]:
                        break
                    self._tally.take(kept.sums[self.length // BLOCK])
                digesting.take(buffer, used)
                self.length += used
                progress.tell("check", self.target.name, self.length, self.wanted.size or end)

    def gap(self) -> tuple[int, int] | None:
        """Return the range (first, end) that is missing next, None if all is there; only with kept sums.

        Raises:
            OSError: the part cannot be read.

        """
        kept = self.wanted.blocks
        assert kept is not None
        if self.length >= self._gap_end:
            self._take(kept.size)
            if self.length >= kept.size:
                return None
            self._gap_end = self._bad_until(kept)
        return self.length, self._gap_end

    def _bad_until(self, kept: Blocks) -> int:
        """Return where the damage that begins at ``length`` ends: as :func:`blocks.ranges`, before any is mended."""
        buffer = bytearray(BLOCK)
        end = at = self.length // BLOCK + 1
        while at < len(kept.sums) and at - end <= GAP:
            first = at * BLOCK
            used = read_block(self._handle, buffer, first, min(BLOCK, kept.size - first))
            if not used:
                return kept.size  # the file ends before here
            at += 1
            if used < 0 or crc(buffer, used) != kept.sums[at - 1]:
                end = at
        return min(end * BLOCK, kept.size)

    def own(self) -> None:
        """Make the damaged target the part, if it is not yet: renamed, or copied if it is linked or not ours.

        Raises:
            TransferError: there is no room for the copy.
            OSError: the folder cannot be written.

        """
        if not self._borrowed:
            return
        if movable(self.target):
            os.replace(self.target, self.path)
            handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        else:
            size = self._size()
            if full := room_for(self.target.parent, size):
                raise full
            self.path.unlink(missing_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            buffer = bytearray(BLOCK)
            try:
                os.ftruncate(handle, size)
                for at in range(0, size, BLOCK):
                    # What cannot be read stays a hole, which is fetched like any damage.
                    _put(handle, buffer, max(0, read_block(self._handle, buffer, at, BLOCK)), at)
            except BaseException:
                os.close(handle)
                raise
        os.close(self._handle)
        self._handle = handle
        self._borrowed = False

    def restart(self) -> None:
        """Drop every byte: they are not the wanted ones, or nobody can say."""
        os.ftruncate(self._handle, 0)
        self._begin()
        self.source = self.etag = ""

    def label(self, source: str, etag: str) -> None:
        """Write down where the following bytes come from; before them, so that no byte is ever without a label."""
        if (self.source, self.etag) == (source, etag) and self.note.exists():
            return
        self.source, self.etag = source, etag
        # Renamed, so that a kill leaves the old label or the new one; of a fixed name, so that it leaves nothing else.
        fresh = self.note.with_name(self.note.name + NEW)
        text = json.dumps({"digest": str(self.wanted.digest), "source": source, "etag": etag})
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, self.note)

    def fill(self, read: Callable[[memoryview], int]) -> None:
        """Take all that ``read`` gives (bytes put into the view; 0 at the end); what came before an error is kept.

        Raises:
            TransferError: a block that came is not as its kept sum says.
            OSError: the disk is full, or whatever ``read`` raises.

        """
        with Digesting(self._hasher, BUFFER, BUFFERS, self._tally) as digesting:
            ended = False
            while not ended:
                self._refuse_wrong()
                buffer = digesting.empty()
                used = 0
                try:
                    due = time.monotonic() + FLUSH_SECONDS
                    with memoryview(buffer) as view:
                        while used < BUFFER:
                            with view[used:] as room:
                                count = read(room)
                            if not count:
                                ended = True
                                break
                            used += count
                            if time.monotonic() > due:
                                break
                finally:
                    self._write(buffer, used)
                    digesting.take(buffer, used)
        self._refuse_wrong()

    def _refuse_wrong(self) -> None:
        """Raise if a block that came is not as its kept sum says."""
        if self._tally.wrong >= 0:
            first = self._tally.wrong * BLOCK
            text = f"its bytes from {first} to {first + BLOCK} are not those that were verified here before"
            raise TransferError("digest", text)

    def _write(self, buffer: bytearray, used: int) -> None:
        _put(self._handle, buffer, used, self.length)
        self.length += used
        if self.length - self._flushed >= WRITE_BACK:
            # The disk begins now, not at the end, where all would wait for it: what this asks for is dropped from the
            # cache only if it is on the disk, which it is not yet.
            os.posix_fadvise(self._handle, self._flushed, self.length - self._flushed, os.POSIX_FADV_DONTNEED)
            self._flushed = self.length
        progress.tell("fetch", self.target.name, self.length, self.wanted.size or 0)

    def head(self) -> bytes:
        """Return the part's first bytes."""
        return os.pread(self._handle, HEAD, 0)

    def digest(self) -> str:
        """Return the hex digest of the bytes so far."""
        return str(self._hasher.copy().hexdigest())

    def right(self) -> bool:
        """Tell whether the part is the wanted file, whole."""
        return self.wanted.size in (None, self.length) and self.digest() == self.wanted.digest.hexadecimal

    def finish(self, check: Callable[[Path], None] | None = None) -> None:
        """Put the part in the target's place, on disk before it is visible.

        Args:
            check: looks at the verified content before it is put in place; raises to refuse it.

        Raises:
            TransferError: the part is not the wanted file; it is dropped.
            OSError: the disk failed.

        """
        if not self.right():
            reason = what_came(self.head(), self.length, self.wanted, self.digest())
            self.restart()
            raise reason
        if self._size() > self.length:
            os.ftruncate(self._handle, self.length)
        if check is not None:
            check(self.path)
        os.fsync(self._handle)
        os.replace(self.path, self.target)
        os.close(self._handle)
        self._handle = -1
        self.note.unlink(missing_ok=True)
        folder = os.open(self.target.parent, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(OSError):  # not every file system can (Windows drives under /mnt)
            os.fsync(folder)
        os.close(folder)

    def close(self) -> None:
        """Close the file; the bytes stay for the next attempt, an empty part goes."""
        if self._handle < 0:
            return
        empty = not self._borrowed and not self._size()
        os.close(self._handle)
        self._handle = -1
        if empty:
            self.drop()

    def blocks(self) -> Blocks | None:
        """Return the sums of the finished file's blocks."""
        return self._tally.blocks(self.length)

    def drop(self) -> None:
        """Remove the part and its label."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def room_for(folder: Path, needed: int) -> TransferError | None:
    """Return the reason why ``needed`` more bytes do not fit into ``folder``'s file system, or None if they do."""
    state = os.statvfs(folder)
    found = state.f_bavail * state.f_frsize
    if needed <= found:
        return None
    return TransferError("disk", f"{gigabytes(found)} free at {folder}, {gigabytes(needed)} needed")
