#!/usr/bin/env python3
"""Write the READMEs' troubleshooting tables, in both languages, from the doctor's registry.

./bootstrap lab/troubleshooting.py; tests/unit/test_readme.py fails when they differ from what this renders.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
READMES = {"en": "README.md", "zh": "README.zh-CN.md"}
BEGIN = "<!-- troubleshooting: written by lab/troubleshooting.py from module_utils/chatglm/checks.py -->\n"
END = "<!-- end of troubleshooting -->\n"
HEADS = {"en": "| symptom | cause | code | do |\n", "zh": "| 症状 | 原因 | 代码 | 处理 |\n"}
AGAIN = {"en": "run the play again", "zh": "再运行一次同样的命令"}
WITH = {"en": "run the play again with", "zh": "再运行一次同样的命令，加上"}
PLACES = {"home": "~/chatglm", "model": "~/chatglm/models/chatglm2-6b-int4", "next_port": "7861"}
SHOWN = 3


def registry() -> Any:
    """Return the registry, outside Ansible."""
    sys.path.insert(0, str(ROOT / "module_utils"))
    from chatglm import checks  # noqa: PLC0415

    return checks


def remedy(checks: Any, check: Any, language: str) -> str:
    """Return what to do, where no host is known."""
    text = checks.fill(check.remedy, language, PLACES)
    text = text.replace("{full}", "{site} -e virtualenv_verify=full")
    text = re.sub(r"\{site\} (-.*)", lambda match: f"{WITH[language]} `{match.group(1)}`", text)
    return text.replace("{site}", AGAIN[language])


def table(language: str) -> str:
    """Return the table: a row for each check that explains error texts, with the first of them."""
    checks = registry()
    rows = [HEADS[language], "| --- | --- | --- | --- |\n"]
    for check in checks.CHECKS:
        if not check.symptoms:
            continue
        symptoms = ", ".join(f"`{symptom}`" for symptom in check.symptoms[:SHOWN])
        cells = (
            symptoms,
            checks.fill(check.cause, language, PLACES),
            f"`{check.code}`",
            remedy(checks, check, language),
        )
        rows.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n")
    return "".join(rows)


def replaced(text: str, language: str) -> str:
    """Return a README's text with its table written anew.

    Raises:
        ValueError: the marks are not there.

    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{READMES[language]} lacks {BEGIN.strip()} or {END.strip()}")
    return f"{before}{BEGIN}{table(language)}{END}{after}"


def main() -> None:
    """Write both."""
    for language, name in READMES.items():
        path = ROOT / name
        path.write_text(replaced(path.read_text(encoding="utf-8"), language), encoding="utf-8")


if __name__ == "__main__":
    main()
