"""The user's own edits since a patch: which lines are theirs, and the original text with their edits in it."""

from __future__ import annotations

import bisect
import difflib
import re
from dataclasses import dataclass

from .edit import Edit, apply
from .record import Record

LINE_BYTES = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
Span = tuple[int, int, int, int]
"""An edit of ours: offsets of its start and end in the original, and in the patched file."""


def line_starts(data: bytes) -> list[int]:
    """Return the offsets in bytes at which the lines start."""
    return [match.start() for match in LINE_BYTES.finditer(data)] or [0]


def line_range(starts: list[int], start: int, end: int) -> tuple[int, int]:
    """Return first and last+1 line (from 0) of the lines that a span of bytes touches."""
    first = bisect.bisect_right(starts, start) - 1
    return first, max(first + 1, bisect.bisect_left(starts, end))


def line_before(data: bytes, edits: list[Edit], line: int | None) -> int | None:
    """Return the line of ``data`` that a line of what the edits make of it comes from."""
    if line is None:
        return None
    starts = line_starts(apply(data, edits))
    at = starts[min(line, len(starts)) - 1]
    shift = 0
    for edit in edits:
        if edit.start + shift + len(edit.new) > at:
            return edit.line if edit.start + shift <= at else bisect.bisect_right(line_starts(data), at - shift)
        shift += len(edit.new) - (edit.end - edit.start)
    return bisect.bisect_right(line_starts(data), at - shift)


@dataclass
class Hunk:
    """Lines that our edits touch: in the original, in the patched file, and the edits as offsets in both."""

    original: tuple[int, int]
    patched: tuple[int, int]
    spans: list[Span]


@dataclass
class Region:
    """Lines that the user changed, with our hunks that they touch: in the patched file, and in the user's."""

    patched: tuple[int, int]
    current: tuple[int, int]
    hunks: list[Hunk]


def _hunks(record: Record) -> list[Hunk]:
    before, after = line_starts(record.original), line_starts(record.patched)
    hunks: list[Hunk] = []
    shift = 0
    for edit in record.edits:
        start, end = edit.start + shift, edit.start + shift + len(edit.new)
        hunk = Hunk(
            line_range(before, edit.start, edit.end),
            line_range(after, start, end),
            [(edit.start, edit.end, start, end)],
        )
        shift += len(edit.new) - (edit.end - edit.start)
        last = hunks[-1] if hunks else None
        if last and (hunk.original[0] < last.original[1] or hunk.patched[0] < last.patched[1]):
            last.original = (last.original[0], max(last.original[1], hunk.original[1]))
            last.patched = (last.patched[0], max(last.patched[1], hunk.patched[1]))
            last.spans += hunk.spans
        else:
            hunks.append(hunk)
    return hunks


def _changes(old: list[bytes], new: list[bytes]) -> list[tuple[int, int, int, int]]:
    """Return the spans of ``old`` and ``new`` that differ."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(i1, i2, j1, j2) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"]


def _regions(changes: list[tuple[int, int, int, int]], hunks: list[Hunk]) -> list[Region]:
    """Return the runs of changes and of our hunks that touch one another."""
    regions: list[Region] = []
    rest = list(hunks)
    for i1, i2, j1, j2 in changes:
        touched = [h for h in rest if (i1 < h.patched[1] and i2 > h.patched[0])]
        rest = [h for h in rest if h not in touched]
        start = min([i1, *(h.patched[0] for h in touched)])
        end = max([i2, *(h.patched[1] for h in touched)])
        low, high = j1 - (i1 - start), j2 + (end - i2)
        if regions and regions[-1].patched[1] > start:
            last = regions.pop()
            last_end = last.patched[1]
            start, low, touched = last.patched[0], last.current[0], last.hunks + touched
            end, high = max(last_end, end), high + max(0, last_end - end)
        regions.append(Region((start, end), (low, high), touched))
    return regions


def _by_words(original: bytes, patched: bytes, current: bytes, spans: list[Span]) -> bytes | None:
    """Return ``original`` with the user's changes from ``patched`` to ``current``; None when they touch ``spans``."""
    token = re.compile(rb"\w+|\s+|.", re.DOTALL)
    old, new = token.findall(patched), token.findall(current)
    offsets = [0]
    for piece in old:
        offsets.append(offsets[-1] + len(piece))
    parts: list[bytes] = []
    at = 0
    for i1, i2, j1, j2 in _changes(old, new):
        start, end = offsets[i1], offsets[i2]
        shift = 0
        for _, a2, b1, b2 in spans:
            if start < b2 and end > b1:
                return None
            if b2 <= start:
                shift = a2 - b2
        parts += [original[at : start + shift], b"".join(new[j1:j2])]
        at = end + shift
    return b"".join([*parts, original[at:]])


def rebase(record: Record, current: bytes, fine: bool) -> tuple[bytes, set[int]]:
    """Return the record's original with the user's edits since, and the lines that stay as they are in ``current``.

    Args:
        record: of the patch.
        current: the file's bytes now.
        fine: tell edits apart within a line, too.

    """
    original, patched, now = map(_split, (record.original, record.patched, current))
    hunks = _hunks(record)

    def in_original(line: int) -> int:
        return line + next((h.original[1] - h.patched[1] for h in reversed(hunks) if h.patched[1] <= line), 0)

    result: list[tuple[bytes, bool]] = []
    at = 0
    for region in _regions(_changes(patched, now), hunks):
        start, end = map(in_original, region.patched)
        result += [(line, number in record.own_lines) for number, line in enumerate(original[at:start], at)]
        own, flag = now[slice(*region.current)], bool(region.hunks)
        if region.hunks and fine:
            first, first_patched = sum(map(len, original[:start])), sum(map(len, patched[: region.patched[0]]))
            spans = [
                (s1 - first, s2 - first, t1 - first_patched, t2 - first_patched)
                for hunk in region.hunks
                for s1, s2, t1, t2 in hunk.spans
            ]
            before, after = b"".join(original[start:end]), b"".join(patched[slice(*region.patched)])
            by_words = _by_words(before, after, b"".join(own), spans)
            if by_words is not None:
                own, flag = _split(by_words), False
        result += [(line, flag) for line in own]
        at = end
    result += [(line, number in record.own_lines) for number, line in enumerate(original[at:], at)]
    return b"".join(line for line, _ in result), {number for number, (_, flag) in enumerate(result) if flag}


def _split(data: bytes) -> list[bytes]:
    return LINE_BYTES.findall(data)


def likeness(a: bytes, b: bytes) -> int:
    """Return how many lines two texts have in common."""
    matcher = difflib.SequenceMatcher(None, _split(a), _split(b), autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())
