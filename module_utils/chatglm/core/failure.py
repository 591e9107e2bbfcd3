"""The one shape of an error that a user may meet."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")


def printable(text: str) -> str:
    """Return a text of a tool or a file as a terminal can show it: without colours, control bytes in hex digits.

    A terminal follows what it is sent; logs and JSON readers stumble over a NUL.
    """
    text = _COLOUR.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)


class Failure(Exception):
    """Something the user has to know: what was found, what was expected, what to do next.

    Args:
        found: the value or state that was met, with its place.
        expected: what would have been right.
        remedy: the next command or action, complete enough to be copied.

    """

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        """Keep the three parts; ``str()`` gives them as one text of three sentences."""
        found, expected, remedy = printable(found), printable(expected), printable(remedy)
        super().__init__(found, expected, remedy)
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the text for ``fail_json(msg=...)``."""
        return f"Found: {self.found}. Expected: {self.expected}. To do: {self.remedy}"
