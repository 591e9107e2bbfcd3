"""Filter plugin: lines of a summary in the user's language."""

from __future__ import annotations

DOCUMENTATION = """
name: spoken
short_description: Lines of a summary in the user's language
description:
  - Lines of the roles summary and preflight, which are English, in the language that is asked for.
  - What stands in the first ten columns is shown once for lines that follow each other. A line that holds no command is
    cut to 92 columns.
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

import ansible.module_utils

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from ansible.module_utils.chatglm.language import messages, translations

COLUMNS = 92
"""A hundred, less what Ansible indents."""
TOLD = {"done", "would do", "kept", "proof", "proven", ""}
"""Labels of the lines that may be cut: the others hold commands and addresses."""


def said(text: str, language: str) -> str:
    """Return one sentence in ``language``, en or zh."""
    return str(translations.chinese(text)) if language == "zh" else text


def spoken(lines: Iterable[str], language: str) -> list[str]:
    """Return the lines in ``language``, en or zh."""
    shown, last = [], ""
    for line in lines:
        label = line[: translations.COLUMNS].strip()
        told = translations.summary(line, language, label == last)
        shown.append(messages.fit(told, COLUMNS) if label in TOLD else told)
        last = label
    return shown


class FilterModule:
    """The filters of this project."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"spoken": spoken, "said": said}
