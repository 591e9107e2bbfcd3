#!/usr/bin/env python3
"""Write what is generated of docs/: ./bootstrap docs/generate.py

reference.md and reference.zh-CN.md: all settings, from the roles' argument_specs, and their Chinese from
settings.zh.yml. troubleshooting.md and troubleshooting.zh-CN.md: below their marks, an entry for each check of the
doctor's registry. tests/unit/project/test_readme.py fails when a file differs from what this writes.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
LANGUAGES = {"en": "", "zh": ".zh-CN"}

# --- reference --------------------------------------------------------------------------------------------------------

HEADS = {
    "en": """\
# All settings

<!-- Written by docs/generate.py from roles/*/meta/argument_specs.yml. -->

Give them with `-e name=value`, or in the inventory. Wrong values are refused by name before anything runs. The first
table is for users; what the roles take beyond it, below, is for hosts that are unlike others, and for tests.

What the doctor takes is in [troubleshooting.md](troubleshooting.md#the-doctor), what `capacity.yml` and `bootstrap`
take in [guide.md](guide.md).
""",
    "zh": """\
# 全部设置

<!-- Written by docs/generate.py from roles/chatglm/meta/argument_specs.yml and docs/settings.zh.yml. -->

用 `-e 名字=值` 给出，或写进 inventory。错误的值会在运行之前按名字拒绝。这里是给用户的设置；各个角色自己的设置
（特殊的主机和测试才需要）见英文的 [reference.md](reference.md)。

诊断的选项见 [troubleshooting.zh-CN.md](troubleshooting.zh-CN.md#诊断)，`capacity.yml` 和 `bootstrap` 的见
[guide.zh-CN.md](guide.zh-CN.md)。
""",
}
COLUMNS = {"en": ("setting", "type", "default", "meaning"), "zh": ("设置", "类型", "默认值", "含义")}
NOTHING = {"en": "empty", "zh": "空"}


def roles() -> list[str]:
    """Return the names of the roles that have settings: as site.yml has them, then the others."""
    order = re.findall(r"- role: (\w+)", (ROOT / "site.yml").read_text(encoding="utf-8"))
    found = sorted(path.parents[1].name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))
    return [name for name in (*order, *(name for name in found if name not in order)) if specification(name)["options"]]


def specification(role: str) -> dict[str, Any]:
    """Return a role's argument specification, with its options as a mapping."""
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]
    return {"options": {}, **found}


def prose(text: str | list[str]) -> str:
    """Return a description as Markdown: Ansible's C(), V(), M() and O() as code."""
    joined = text if isinstance(text, str) else " ".join(text)
    return re.sub(r"\b[CVMO]\(([^)]*)\)", r"`\1`", " ".join(joined.split()))


def cell(text: str) -> str:
    """Return text that stands in a table."""
    return text.replace("|", "\\|")


def kind(option: dict[str, Any]) -> str:
    """Return an option's type, or its choices."""
    if "choices" in option:
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    return f"{option['type']} of {option['elements']}" if "elements" in option else str(option["type"])


def default(role: str, name: str, option: dict[str, Any], language: str, chinese: dict[str, Any]) -> str:
    """Return an option's default: a value as code, words as they are."""
    if option.get("required"):
        return "none: it is required"
    if language == "zh" and "default" in chinese.get(name, {}):
        return str(chinese[name]["default"])
    value = option.get("default", "")
    if value in ("", [], {}):
        return NOTHING[language] if value == "" else f"`{value}`"
    text = (ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8")
    if isinstance(value, str) and "{{" not in value and "{{" in str(yaml.safe_load(text)[name]):
        return value  # a template, told in words
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def table(role: str, language: str, chinese: dict[str, Any]) -> str:
    """Return the table of a role's settings."""
    columns = COLUMNS[language]
    rows = [columns, ("---",) * len(columns)]
    for name, option in specification(role)["options"].items():
        meaning = chinese[name]["meaning"] if language == "zh" else prose(option["description"])
        for part, detail in option.get("options", {}).items() if language == "en" else ():
            told = f" (`{'`, `'.join(detail['choices'])}`)" if "choices" in detail else ""
            meaning += f"<br>`{part}`{told}: {prose(detail['description'])}"
        rows.append((f"`{name}`", kind(option), default(role, name, option, language, chinese), meaning))
    return "".join(f"| {' | '.join(map(cell, row))} |\n" for row in rows)


def reference(language: str) -> str:
    """Return the whole reference: for Chinese the user's settings, in English those of all roles."""
    chinese = yaml.safe_load((DOCS / "settings.zh.yml").read_text(encoding="utf-8"))
    parts = [HEADS[language]]
    if language == "zh":
        return "\n".join([*parts, table("chatglm", language, chinese)])
    for role in roles():
        told = specification(role)
        parts += [f"## {role}\n", f"{told['short_description']}. {prose(told['description'])}\n"]
        parts.append(table(role, language, chinese))
    return "\n".join(parts)


# --- troubleshooting --------------------------------------------------------------------------------------------------

MARK = "<!-- From here on written by docs/generate.py, from the doctor's checks. -->\n"
WORDS: dict[str, dict[str, Any]] = {
    "en": {
        "groups": ("The host, its GPU and its network", "What is installed", "What runs"),
        "and": "; ",
        "stop": ".",
        "site": "`site.yml` repairs it",
        "user": "for you to do",
        "shows": "Shows as: ",
        "cause": "Cause: ",
        "do": "Do: ",
        "again": "run the same command again",
        "with": "run the same command again with",
    },
    "zh": {
        "groups": ("主机、显卡和网络", "已安装的内容", "正在运行的内容"),
        "and": "；",
        "stop": "。",
        "site": "由 `site.yml` 修复",
        "user": "需要你处理",
        "shows": "表现：",
        "cause": "原因：",
        "do": "处理：",
        "again": "再运行一次同样的命令",
        "with": "再运行一次同样的命令，加上",
    },
}
PLACES = {"home": "~/chatglm", "model": "~/chatglm/models/chatglm2-6b-int4", "next_port": "7861"}


def registry() -> Any:
    """Return the doctor's registry, outside Ansible."""
    sys.path.insert(0, str(ROOT / "module_utils"))
    from chatglm.doctor import checks  # noqa: PLC0415

    return checks


def plain(text: str) -> str:
    """Return text that Markdown shows as it is; code in it stays."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*<\[])", r"\\\1", part) for part in parts)


def remedy(checks: Any, check: Any, language: str) -> str:
    """Return what to do, where no host is known."""
    words = WORDS[language]
    text = checks.fill(check.remedy, language, PLACES)
    text = text.replace("{full}", "{site} -e virtualenv_verify=full")
    text = re.sub(r"\{site\} (-.*)", lambda match: f"{words['with']} `{match.group(1)}`", text)
    return plain(text.replace("{site}", words["again"]))


def troubles(language: str) -> str:
    """Return an entry for each check, from cheap to dear, in three groups."""
    checks, words = registry(), WORDS[language]
    groups: tuple[list[str], ...] = ([], [], [])
    for check in (*checks.OUTSIDE, *checks.CHECKS):
        title = plain(checks.fill(check.title, language, {}))
        title = title[0].upper() + title[1:]
        entry = [f"### {check.code}", "", f"{title}{words['and']}{words[check.repairs]}{words['stop']}", ""]
        if check.symptoms:
            entry.append(f"- {words['shows']}{', '.join(f'`{symptom}`' for symptom in check.symptoms)}")
        entry.append(f"- {words['cause']}{plain(checks.fill(check.cause, language, PLACES))}")
        entry += [f"- {words['do']}{remedy(checks, check, language)}", ""]
        groups[min(check.cost, len(groups) - 1)].extend(entry)
    parts = [[f"## {name}", "", *group] for name, group in zip(words["groups"], groups, strict=True)]
    return "\n".join(line for part in parts for line in part)


def troubleshooting(language: str) -> str:
    """Return the whole file: its own head as it is, and the checks anew.

    Raises:
        ValueError: the mark is not there.

    """
    path = DOCS / f"troubleshooting{LANGUAGES[language]}.md"
    head, mark, _ = path.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise ValueError(f"{path.name} lacks {MARK.strip()}")
    return f"{head}{MARK}\n{troubles(language)}"


def generated() -> dict[Path, str]:
    """Return what each generated file has to hold."""
    files = {DOCS / f"reference{suffix}.md": reference(language) for language, suffix in LANGUAGES.items()}
    for language, suffix in LANGUAGES.items():
        files[DOCS / f"troubleshooting{suffix}.md"] = troubleshooting(language)
    return files


if __name__ == "__main__":
    for target, content in generated().items():
        target.write_text(content, encoding="utf-8")
