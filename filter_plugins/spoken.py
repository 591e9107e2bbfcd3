"""Filter plugin: lines of a summary in the user's language."""

from __future__ import annotations

DOCUMENTATION = """
name: spoken
short_description: Lines of a summary in the user's language
description: Lines of the roles summary and preflight, which are English, in the language that is asked for.
positional: language
options:
  _input: {description: The lines., type: list, elements: str, required: true}
  language: {description: V(en) or V(zh)., type: str, required: true}
"""

EXAMPLES = """
- debug:
    msg: "{{ summary_lines | spoken(chatglm_spoken) | join('\\n') }}"
"""

RETURN = """
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def spoken(lines: Iterable[str], language: str) -> list[str]:
    """Return the lines in ``language``, en or zh."""
    if language != "zh":
        return list(lines)
    import ansible.module_utils  # noqa: PLC0415 - as a host would import it

    folder = str(ROOT / "module_utils")
    if folder not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(folder)
    from ansible.module_utils.chatglm import translations  # noqa: PLC0415

    return [translations.summary(line) for line in lines]


class FilterModule:
    """The filters of this project."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"spoken": spoken}
