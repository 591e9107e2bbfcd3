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
    # while a long task runs (callback_plugins/progress.py)
    "progress.fetch": Text("fetching {name}", "正在下载 {name}"),
    "progress.check": Text("checking {name}", "正在校验 {name}"),
    "progress.packages": Text("fetching packages {name}", "正在下载软件包 {name}"),
    "progress.place": Text("installing packages {name}", "正在安装软件包 {name}"),
    "progress.verify": Text("checking packages {name}", "正在校验软件包 {name}"),
    "progress.import": Text("importing the packages {name}", "正在试导入软件包 {name}"),
    "progress.source": Text("fetching the source {name}", "正在下载源代码 {name}"),
    "progress.apt": Text("installing {name}", "正在安装 {name}"),
    "progress.load": Text("loading the model {name}", "正在加载模型 {name}"),
    "progress.answer": Text("generating an answer {name}", "正在生成回答 {name}"),
    "progress.page": Text("starting the page {name}", "正在启动网页 {name}"),
    "progress.ask": Text("asking the page {name}", "正在向网页提问 {name}"),
    "progress.working": Text("working {name}", "正在进行 {name}"),
    "progress.of": Text("{done} of {total}", "{done}，共 {total}"),
    "progress.written": Text("{size} written", "已写入 {size}"),
    "progress.memory": Text("{size} in memory", "占用内存 {size}"),
    "progress.left": Text("{time} left", "剩余 {time}"),
    "progress.since": Text("for {time}", "已用 {time}"),
    "progress.seconds": Text("{s} s", "{s} 秒"),
    "progress.minutes": Text("{m} min {s} s", "{m} 分 {s} 秒"),
    "progress.hours": Text("{h} h {m} min", "{h} 小时 {m} 分"),
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
