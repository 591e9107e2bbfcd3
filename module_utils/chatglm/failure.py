"""The one shape of an error that a user may meet."""

from __future__ import annotations


class Failure(Exception):
    """Something the user has to know: what was found, what was expected, what to do next.

    Args:
        found: the value or state that was met, with its place.
        expected: what would have been right.
        remedy: the next command or action, complete enough to be copied.

    """

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        """Keep the three parts; ``str()`` gives them as one text of three sentences."""
        super().__init__(found, expected, remedy)
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the text for ``fail_json(msg=...)``."""
        return f"Found: {self.found}. Expected: {self.expected}. To do: {self.remedy}"
