"""The catalogue of what users read, in English and Simplified Chinese: one entry a message.

The doctor's texts stand with its checks (checks.py). tests/unit/test_messages.py demands both languages of every entry,
with the same placeholders.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple  # noqa: UP035

LANGUAGES = ("en", "zh")


class Text(NamedTuple):
    """A text in both languages; ``{names}`` in it are filled when it is said."""

    en: str
    zh: str


MESSAGES: Mapping[str, Text] = {
    # at the end of a run
    "summary.again": Text("run the same command again", "再运行一次同样的命令"),
}


def say(language: str, code: str, **values: object) -> str:
    """Return the message ``code`` in ``language`` (en or zh), with ``values`` in its placeholders.

    Raises:
        KeyError: no such message, or a placeholder without a value.

    """
    text = MESSAGES[code]
    return (text.zh if language == "zh" else text.en).format_map(values)


def spoken(setting: str, environment: Mapping[str, str]) -> str:
    """Return en or zh: ``setting`` (chatglm_language: en, zh or auto), or what the locale of ``environment`` says.

    C and POSIX say nothing: ./bootstrap sets C.UTF-8 where the user's own locale is not installed.
    """
    if setting in LANGUAGES:
        return setting
    values = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    told = next((value for value in values if value and value.partition(".")[0] not in {"C", "POSIX"}), "")
    return "zh" if told.startswith("zh") else "en"
