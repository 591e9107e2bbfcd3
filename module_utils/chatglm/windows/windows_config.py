"""What Windows and WSL are to be told for the chat: .wslconfig, wsl.conf, a shortcut. Pure: bytes in, bytes out.

The texts are the user's: what is there stays byte for byte, but for the one value that has to change.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

GB = 1 << 30
SHORTCUT = "ChatGLM2-6B.url"
_UNITS = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": GB, "tb": GB << 10}


def parse_size(text: str) -> int | None:
    """Return the bytes of a size as WSL writes it (8GB, 512MB), or None."""
    found = re.fullmatch(r"\s*(\d+)\s*([KMGT]?B?)\s*", text, re.IGNORECASE)
    if not found:
        return None
    unit = found[2].lower()
    return int(found[1]) * _UNITS[unit if unit in _UNITS else f"{unit}b"]


def _decoded(data: bytes) -> tuple[str, str, bytes]:
    """Return text, encoding and byte order mark.

    Raises:
        ValueError: it is no text in UTF-8 or UTF-16.

    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding), encoding, mark
    return data.decode("utf-8"), "utf-8", b""


_SECTION = re.compile(r"\s*\[([^\]]*)\]")
_ENTRY = re.compile(r"(\s*([^=#;\s\[][^=]*?)\s*=[ \t]*)(.*?)([ \t]*)", re.DOTALL)


@dataclass(frozen=True)
class _Line:
    """A line with where its value stands."""

    number: int
    before: str
    value: str
    after: str


def _find(lines: list[str], section: str, key: str) -> tuple[_Line | None, int]:
    """Return the last line that sets ``key`` in ``section``, and after which line a new one goes (-1: no section)."""
    inside, found, place = False, None, -1
    for number, line in enumerate(lines):
        text = line.rstrip("\r\n")
        if match := _SECTION.match(text):
            inside = match[1].strip().lower() == section.lower()
            place = number if inside else place
        elif inside and text.strip():
            entry = _ENTRY.fullmatch(text)
            # After the last entry or comment of the section, not after the blank lines below it.
            place = number
            if entry and entry[2].lower() == key.lower():
                # WSL knows no comments after a value.
                found = _Line(number, entry[1], entry[3], entry[4] + line[len(text) :])
    return found, place


def get(data: bytes, section: str, key: str) -> str | None:
    """Return the value of ``key``, or None.

    Raises:
        ValueError: as :func:`merged`.

    """
    found, _ = _find(_decoded(data)[0].splitlines(keepends=True), section, key)
    return found.value if found else None


def merged(data: bytes, section: str, values: Mapping[str, str], newline: str) -> bytes:
    """Return the text with ``values`` in ``section``; comments, order, line ends and byte order mark stay.

    Args:
        data: the file, empty for none.
        section: name of the section; made at the end where it is missing.
        values: what is to be set.
        newline: the line end of a file that has none yet.

    Raises:
        ValueError: it is no text in UTF-8 or UTF-16.

    """
    text, encoding, mark = _decoded(data)
    ends = re.findall(r"\r?\n", text)
    end = max(set(ends), key=ends.count) if ends else newline
    lines = text.splitlines(keepends=True)
    for key, value in values.items():
        found, place = _find(lines, section, key)
        known = place >= 0
        if found:
            lines[found.number] = f"{found.before}{value}{found.after}"
            continue
        place = len(lines) if place < 0 else place + 1
        if place == len(lines) and lines and not lines[-1].endswith(("\n", "\r")):
            lines[-1] += end
        new = [] if known else [*([end] if lines and lines[-1].strip() else []), f"[{section}]{end}"]
        lines[place:place] = [*new, f"{key}={value}{end}"]
    return mark + "".join(lines).encode(encoding)


@dataclass
class Memory:
    """What .wslconfig is to say.

    Attributes:
        values: memory and swap to set, as WSL writes them; empty when nothing is to be done.
        pending: it says enough, but WSL was not restarted since.
        notes: codes of messages with their values, about what stays or cannot be helped.

    """

    values: dict[str, str] = field(default_factory=dict)
    pending: bool = False
    notes: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def plan_memory(data: bytes, ram: int, needed: int, present: int = 0) -> Memory:
    """Return memory and swap for the chat, of a Windows with ``ram`` bytes.

    Windows keeps 4 GB, or half of what it has if that is less; what the chat needs beyond comes from swap. A value of
    the user's is raised when it is too small, and never lowered.

    Args:
        data: the present .wslconfig, empty for none.
        ram: Windows' memory in bytes; 0 when it is not known.
        needed: memory and swap together that WSL has to have, in bytes.
        present: memory and swap together that it has now.

    Raises:
        ValueError: it is no text in UTF-8 or UTF-16.

    """
    result = Memory()
    whole = -(-needed // GB)
    if present >= needed:
        return result
    told = {name: get(data, "wsl2", name) for name in ("memory", "swap")}
    have = {name: parse_size(value) if value else None for name, value in told.items()}
    for name, value in told.items():
        if value and have[name] is None:
            result.notes.append(("unread", {"key": name, "value": value}))
            return result
    if not ram:
        # Swap alone does no harm, however much memory there is.
        if (have["swap"] or 0) < needed:
            result.values["swap"] = f"{whole}GB"
        result.notes.append(("ram_unknown", {}))
        return result
    # WSL's own choice where nothing is said: half of the memory, and a quarter of that as swap.
    memory = have["memory"] if have["memory"] is not None else ram // 2
    swap = have["swap"] if have["swap"] is not None else max(ram // 2 // 4, 1)
    if memory + swap >= needed:
        result.pending = any(told.values())
        return result
    best = min(whole, (ram - min(4 * GB, ram // 2)) // GB)
    if best * GB > memory:
        result.values["memory"] = f"{best}GB"
        memory = best * GB
    if memory + swap < needed:
        result.values["swap"] = f"{-(-(needed - memory) // GB)}GB"
        result.notes.append(("swap", {"swap": result.values["swap"]}))
    for name in ("memory", "swap"):
        if name in result.values and told[name]:
            result.notes.append(("raised", {"key": name, "before": str(told[name]), "after": result.values[name]}))
    return result


def plan_systemd(data: bytes) -> bytes:
    """Return wsl.conf with systemd switched on; its line ends are those of Linux, which WSL demands there.

    Raises:
        ValueError: it is no text in UTF-8.

    """
    value = get(data, "boot", "systemd")
    plain = data.replace(b"\r\n", b"\n").removeprefix(codecs.BOM_UTF8)
    if value and value.strip().strip("\"'").lower() == "true":
        return plain
    return merged(plain, "boot", {"systemd": "true"}, "\n")


def shortcut(url: str) -> bytes:
    """Return an internet shortcut for Windows' desktop."""
    return f"[InternetShortcut]\r\nURL={url}\r\n".encode()


def is_shortcut(data: bytes) -> bool:
    """Tell whether this is a shortcut as :func:`shortcut` makes them, to any loopback address, and unchanged."""
    return re.fullmatch(rb"\[InternetShortcut\]\r\nURL=http://[\w.:\[\]-]+\r\n", data) is not None
