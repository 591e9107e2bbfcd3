"""One engine for every download: to a partial file, resumed, digested while written, renamed when right.

Only the digest decides whether bytes are accepted; sizes, ranges and status codes decide earlier, and say why.
:mod:`connection` asks for the bytes, :mod:`part` holds them; here are the attempts at one source.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from .connection import Answer, Body, Options, content_range, origin, refusal, request, shown
from .content import HEAD, Moved, TransferError, Wanted, what_came
from .part import COPY, PART, Part, room_for

PROGRESS = 1 << 20
"""Bytes beyond the furthest point so far that count as progress and renew the attempts."""
TARGET, LEFT = "target", "left"
"""What a file is mended from: the damaged target, or the part that an earlier run left."""


@dataclass
class _Download:
    """One file from one address: the attempts share the part and the count.

    ``mend`` asks for ranges only, and takes no answer that would begin the file anew.
    """

    url: str
    part: Part
    options: Options
    source: str
    authorization: str = ""
    mend: bool = False
    moved: Moved = field(default_factory=Moved)
    ranges: bool = True

    def attempt(self, end: int | None = None) -> None:
        """Ask once, from where the part ends; return when the source has given all it has.

        Args:
            end: where the range that is asked for ends; None for the file's end.

        """
        part, wanted = self.part, self.part.wanted
        headers: dict[str, str] = {}
        if end is not None:
            # No If-Range: the blocks' sums guard better than a tag, which changes from mirror to mirror.
            headers["Range"] = f"bytes={part.length}-{end - 1}"
        elif part.length and self.ranges:
            headers["Range"] = f"bytes={part.length}-"
            # Another source's tag would mean nothing here; the digest guards against a mixture.
            if part.etag and part.source == self.source:
                headers["If-Range"] = part.etag
        answer = request(self.url, headers, self.authorization, self.options)
        try:
            total = self._accept(answer, end)
            # Where the length is not announced, one byte more than wanted is taken: it shows what is too long.
            left = total if total is not None else None if wanted.size is None else wanted.size + 1
            left = end if end is not None else left
            left = None if left is None else left - part.length
            if full := room_for(part.target.parent, left or 0):
                raise full
            tag = answer.response.getheader("ETag") or ""
            part.label(self.source, tag if tag.startswith('"') else "")
            part.own()
            if part.length and end is None and not self.moved.resumed_at:
                self.moved.resumed_at = part.length
            body = Body(answer, left, self.options, self.moved, part.length)
            body.exact = total is not None or end is not None
            part.fill(body.read)
            if end is None and wanted.size is not None and part.length < wanted.size:
                text = f"the connection ended after {part.length} bytes, {wanted.size - part.length} missing"
                raise TransferError("cut", text, again=True)
        finally:
            answer.close()

    def _accept(self, answer: Answer, end: int | None) -> int | None:
        """Judge the answer's head; return the whole file's size if it says so. The part is cut to match."""
        part, wanted, response = self.part, self.part.wanted, answer.response
        if response.status not in (200, 206):
            reason = refusal(answer, self.options)
            if response.status == 416 and self.mend:
                raise TransferError("range", str(reason), status=416)
            if response.status == 416 and part.length:
                # Shorter at the source than what we hold, or no ranges after all: from the start, once.
                self.ranges = False
                reason.again, reason.wait = True, 0.0
            elif response.status == 403 and origin(answer.url) != origin(self.url):
                reason.again = True  # a signed link that ran out; the next attempt gets a new one
            raise reason
        if (response.getheader("Content-Encoding") or "identity").lower() != "identity":
            raise TransferError("http", "the source sends the file compressed, though asked not to")
        length = response.length if not getattr(response, "chunked", False) else None
        if response.status == 200:
            total = length
        else:
            got = content_range(response.getheader("Content-Range"))
            right = got is not None and got[0] == part.length and length in (None, got[1] - got[0] + 1)
            last = end if end is not None else got[2] if got is not None else None
            if got is None or not right or (last is not None and got[1] != last - 1):
                self.ranges = False
                answer_says = response.getheader("Content-Range")
                text = f"asked for bytes from {part.length}, the answer gives {answer_says!r}, length {length}"
                raise TransferError("range", text, again=not self.mend, wait=0.0)
            total = got[2] if got[2] is not None else None if end is not None else got[1] + 1
        if total is not None and wanted.size is not None and total != wanted.size:
            view = memoryview(bytearray(HEAD))
            head = b""
            if response.status == 200:
                body = Body(answer, min(HEAD, total), self.options, self.moved)
                while len(head) < min(HEAD, total) and (count := body.read(view)):
                    head += bytes(view[:count])
            raise what_came(head, total, wanted)
        if response.status == 200 and self.mend:
            raise TransferError("range", "it gives the whole file where a part is asked for")
        if response.status == 200 and part.length:
            part.restart()  # the range was ignored or the file has changed: these bytes begin at 0
        return total


def fetch(
    url: str,
    target: Path,
    wanted: Wanted,
    options: Options,
    *,
    source: str = "",
    authorization: str = "",
    check: Callable[[Path], None] | None = None,
    mend: str = "",
) -> Moved:
    """Download ``url`` to ``target`` and verify it; a damaged target stays until the new file is whole.

    Args:
        url: http or https address.
        target: final place; its folder must exist.
        wanted: digest, and size if known.
        options: limits.
        source: name of the source, for the part's label; the address (without its query) by default.
        authorization: the Authorization header's value; sent to the address's own host only.
        check: as :meth:`Part.finish`.
        mend: fetch only what is missing, by ranges: of the damaged :data:`TARGET`, or of the :data:`LEFT` part. The
            damaged target becomes the part as soon as the source has agreed to the first range.

    Raises:
        TransferError: this source cannot give the file; what is good of it stays in the part. Of the kind ``range`` or
            ``digest`` with ``mend``: it may still give the whole.
        OSError: the target's folder cannot be written.

    """
    part = Part(target, wanted if mend else replace(wanted, blocks=None))
    job = _Download(url, part, options, source or shown(url), authorization, bool(mend))
    try:
        part.open(damaged=mend == TARGET)
        failed, furthest, fresh = 0, part.length, not part.length
        while True:
            try:
                if part.wanted.blocks is not None:
                    while (gap := part.gap()) is not None:
                        job.attempt(gap[1])
                    part.own()
                elif not (part.length and part.right()):
                    fresh = fresh or not part.length
                    if wanted.size is not None and part.length == wanted.size:
                        if mend:
                            raise what_came(part.head(), part.length, wanted, part.digest())
                        part.restart()  # whole and wrong: nothing to resume
                        fresh = True
                    job.attempt()
                try:
                    part.finish(check)
                except TransferError as error:
                    if mend or fresh or error.kind not in ("digest", "long", "html", "pointer", "short"):
                        raise
                    fresh, job.ranges = True, False  # the resumed bytes may be the culprit: once more, from zero
                    continue
                job.moved.size, job.moved.blocks = part.length, part.blocks()
                if part.wanted.blocks is not None:
                    job.moved.resumed_at = part.length - job.moved.received
                return job.moved
            except TransferError as error:
                failed = 1 if part.length >= furthest + PROGRESS else failed + 1
                furthest = max(furthest, part.length)
                if not error.again or failed >= options.attempts:
                    error.received = job.moved.received
                    raise
                pause = min(options.backoff * 2 ** (failed - 1), 30.0) if error.wait is None else error.wait
                options.sleep(pause)
    except OSError as error:
        raise _disk(error, target) from error
    finally:
        part.close()


def settle(target: Path, wanted: Wanted, *, check: Callable[[Path], None] | None = None, mend: str) -> Moved:
    """Put in place what is whole already: a file that only is too long, or the part of a run killed at its very end.

    Args:
        target: final place.
        wanted: digest, and size if known.
        check: as :meth:`Part.finish`.
        mend: as in :func:`fetch`.

    Raises:
        TransferError: it is not whole after all.
        OSError: the folder cannot be written.

    """
    part = Part(target, wanted)
    try:
        part.open(damaged=mend == TARGET)
        if (part.wanted.blocks is not None and part.gap() is not None) or not part.right():
            raise TransferError("digest", "what is there is not whole")
        part.label("what was there", "")
        part.own()
        part.finish(check)
        return Moved(0, part.length, part.length, part.blocks())
    except OSError as error:
        raise _disk(error, target) from error
    finally:
        part.close()


def _disk(error: OSError, target: Path) -> OSError | TransferError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return room_for(target.parent, 1) or TransferError(
            "disk", f"no space left at {target.parent} ({error.strerror})"
        )
    return error


def copy(
    source: Path, target: Path, wanted: Wanted, *, check: Callable[[Path], None] | None = None, mend: str = ""
) -> Moved:
    """Copy the file at ``source`` to ``target`` and verify it while it is copied.

    Args:
        source: a file on this host.
        target: final place; its folder must exist.
        wanted: digest, and size if known.
        check: as :meth:`Part.finish`.
        mend: as in :func:`fetch`; needs kept sums, otherwise the whole file is copied.

    Raises:
        TransferError: the source has no such file, cannot be read, or holds something else.
        OSError: the target's folder cannot be written.

    """
    try:
        stream = open(source, "rb", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        text = f"there is no {source}" if missing else f"{source} cannot be read: {error.strerror}"
        raise TransferError("missing" if missing else "read", text) from error
    moved = Moved()
    mending = bool(mend) and wanted.blocks is not None
    with stream:
        size = os.fstat(stream.fileno()).st_size
        if wanted.size not in (None, size):
            raise what_came(stream.read(HEAD) or b"", size, wanted)
        if not mending and (full := room_for(target.parent, size)):
            raise full
        # What was downloaded so far is not touched by a whole copy: the folder may hold something else.
        part = Part(target, wanted if mending else replace(wanted, blocks=None), PART if mending else COPY)
        try:
            part.open(keep=mending, damaged=mending and mend == TARGET)
            part.label(str(source), "")
            for first, end in iter(part.gap, None) if mending else [(0, size)]:
                part.own()
                stream.seek(first)
                part.fill(_reader(stream, end, moved))
                if mending and part.length < end:
                    raise TransferError("read", f"{source} ended after {part.length} bytes")
            part.own()
            part.finish(check)
        except OSError as error:
            raise _disk(error, target) from error
        except TransferError as error:
            error.received = moved.received
            raise
        finally:
            part.close()
    moved.size, moved.resumed_at, moved.blocks = size, size - moved.received, part.blocks()
    return moved


def _reader(stream: io.FileIO, end: int, moved: Moved) -> Callable[[memoryview], int]:
    """Return a function that reads ``stream`` up to ``end``."""

    def read(view: memoryview) -> int:
        try:
            with view[: max(0, end - stream.tell())] as room:
                count = stream.readinto(room) or 0
        except OSError as error:
            raise TransferError("read", f"{stream.name!s} cannot be read: {error.strerror}") from error
        moved.received += count
        return count

    return read
