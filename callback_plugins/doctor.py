"""Callback plugin: print what the module doctor found, write it as JSON, and end with the status of the worst host."""

from __future__ import annotations

DOCUMENTATION = """
name: doctor
type: notification
short_description: The doctor's results for people and for programs
description:
  - Prints a table for each host that the module C(doctor) judged, after the play's recap. Silent in any other play.
  - Writes a JSON file when the extra variable C(doctor_report) names one.
  - Ends ansible-playbook with status 0 (all is well), 1 (site.yml repairs it) or 2 (only the user can).
requirements: [enabled in ansible.cfg]
"""

import json
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.plugins.callback import CallbackBase

ROOT = Path(__file__).resolve().parents[1]
STATUS = {"ok": 0, "repairable": 1, "yours": 2}
WORDS = {
    "en": {
        "ok": "ok",
        "repairable": "repairable",
        "yours": "yours",
        "unknown": "unknown",
        "cause": "cause",
        "remedy": "do",
        "skipped": "not looked at, because of {}",
        "others": "and {} more, not looked at because of these",
        "error": "the text you gave",
        "nobody": "no check knows this text; what this host shows is above",
        "shown": "shown here",
        "not_shown": "not shown here",
        "open": "cannot be told",
        "note": "note",
        "end_ok": "all is well ({ok} checks)",
        "end_repairable": "{repairable} to repair: {site}",
        "end_yours": "{yours} for you to do, {repairable} that site.yml repairs then",
        "report": "report",
    },
    "zh": {
        "ok": "正常",
        "repairable": "可修复",
        "yours": "需要你",
        "unknown": "未知",
        "cause": "原因",
        "remedy": "处理",
        "skipped": "未检查，因为 {}",
        "others": "另有 {} 项因此未检查",
        "error": "你给出的报错",
        "nobody": "没有检查项认识这段文字；本机的情况见上",
        "shown": "本机有此问题",
        "not_shown": "本机没有",
        "open": "无法判断",
        "note": "说明",
        "end_ok": "一切正常（{ok} 项检查）",
        "end_repairable": "{repairable} 项可修复：{site}",
        "end_yours": "{yours} 项需要你处理，其余 {repairable} 项之后由 site.yml 修复",
        "report": "报告",
    },
}


def width(text: str) -> int:
    """Return the columns of a terminal that ``text`` takes: East Asian wide characters take two."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def pad(text: str, columns: int) -> str:
    """Return ``text`` filled with blanks to so many columns."""
    return text + " " * max(0, columns - width(text))


def wrap(text: str, columns: int) -> list[str]:
    """Return ``text`` in lines of at most so many columns, broken at blanks, or within a word that is wider."""
    lines: list[str] = []
    line = ""
    for word in " ".join(text.split()).split(" "):
        rest = word
        if line and width(line) + 1 + width(rest) <= columns:
            line += " " + rest
            continue
        if line:
            lines.append(line)
        line = ""
        for char in rest:
            # Only Chinese text may be broken anywhere: a path or a command stays whole, to be copied.
            if width(line) + width(char) > columns and width(char) == 2:
                lines.append(line)
                line = ""
            line += char
    return [*lines, line] if line or not lines else lines


def table(host: str, result: dict[str, Any], language: str, full: bool, columns: int) -> list[tuple[str, str]]:
    """Return the lines for one host, each with its verdict, which decides the colour.

    Args:
        host: name in the inventory.
        result: what the module returned.
        language: en or zh.
        full: show what is ok too.
        columns: width of the terminal.

    """
    words = WORDS[language]
    checks = [check for check in result["checks"] if check.get("applies", True)]
    bad = [check for check in checks if check["verdict"] != "ok" and not check["skipped_by"]]
    skipped = [check for check in checks if check["skipped_by"]]
    shown = [check for check in checks if not check["skipped_by"] and (full or check["verdict"] != "ok")]
    first = max([width(words[name]) for name in STATUS] + [width(words["unknown"])])
    second = max([len(check["code"]) for check in shown] or [0])
    indent = first + second + 6
    lines = [("", host)]
    for check in shown:
        head = f"  {pad(words[check['verdict']], first)}  {pad(check['code'], second)}  "
        for number, text in enumerate(wrap(check["evidence"] or "-", max(40, columns - indent))):
            lines.append((check["verdict"], (head if not number else " " * indent) + text))
        for name in ("cause", "remedy"):
            if check[name]:
                label = f"{pad(words[name], max(width(words['cause']), width(words['remedy'])))}  "
                more = wrap(check[name], max(40, columns - indent - width(label)))
                lines += [
                    (check["verdict"], " " * indent + (label if not number else " " * width(label)) + text)
                    for number, text in enumerate(more)
                ]
    if skipped and bad:
        lines.append(("unknown", "  " + words["others"].format(len(skipped))))
    error = result.get("error") or {}
    if error.get("text"):
        lines.append(("", f"  {words['error']}: {' '.join(error['text'].split())[:200]}"))
        titles = {check["code"]: check.get("title", "") for check in result["checks"]}
        state = {"ok": words["not_shown"], "unknown": words["open"]}
        for cause in error["causes"]:
            text = state.get(cause["verdict"], words["shown"])
            lines.append((cause["verdict"], f"    {pad(cause['code'], 22)}  {text}  ({titles[cause['code']]})"))
        if not error["causes"]:
            lines.append(("unknown", f"    {words['nobody']}"))
    lines += [("", f"  {words['note']}: {text}") for text in result.get("notes") or []]
    counts = {name: sum(check["verdict"] == name for check in checks) for name in STATUS}
    status = result["status"]
    lines.append((status, "  " + words[f"end_{status}"].format(**counts, site=result.get("site", "site.yml"))))
    return lines


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Collect the doctor's results; everything else passes by."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "doctor"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Nothing has been seen yet."""
        super().__init__(*arguments, **named)
        self.hosts: dict[str, dict[str, Any]] = {}
        self.examining = False
        self.report = ""
        self.language = "en"

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Find out whether this is the doctor's play, and where its report goes."""
        self.examining = "doctor_language" in play.get_vars()
        if self.examining:
            self.report = str(play.get_variable_manager().extra_vars.get("doctor_report") or "")

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take the module's result."""
        if self.examining and result._task.action == "doctor":
            found = result._result
            self.language = found["language"]
            self.hosts[result._host.get_name()] = {
                name: found[name] for name in ("time", "status", "checks", "error", "notes", "site")
            }

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note that the module did not run."""
        if self.examining and result._task.action == "doctor":
            self._outside(result, "host_python")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note that the host was not reached."""
        if self.examining:
            self._outside(result, "unreachable")

    def _outside(self, result: Any, code: str) -> None:
        """Judge a host on which no module ran."""
        import ansible.module_utils  # noqa: PLC0415 - for the doctor's play alone

        ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
        from ansible.module_utils.chatglm import checks  # noqa: PLC0415

        check = checks.BY_CODE[code]
        text = " ".join(str(result._result.get("msg") or result._result.get("module_stderr") or "").split())[:300]
        self.hosts[result._host.get_name()] = {
            "time": "",
            "status": "yours",
            "checks": [
                {
                    "code": code,
                    "title": checks.fill(check.title, self.language, {}),
                    "verdict": "yours",
                    "evidence": text,
                    "cause": checks.fill(check.cause, self.language, {}),
                    "remedy": checks.fill(check.remedy, self.language, {}),
                    "skipped_by": "",
                    "applies": True,
                }
            ],
            "error": {"text": "", "causes": []},
            "notes": [],
            "site": "",
        }

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print, write, and end with the worst host's status."""
        if not self.hosts:
            return
        colours = {
            "ok": C.COLOR_OK,
            "repairable": C.COLOR_CHANGED,
            "yours": C.COLOR_ERROR,
            "unknown": C.COLOR_SKIP,
            "": None,
        }
        full = len(self.hosts) == 1 or self._display.verbosity > 0
        for host, result in self.hosts.items():
            self._display.display("")
            for verdict, line in table(host, result, self.language, full, self._display.columns):
                self._display.display(line, color=colours[verdict])
        status = max(STATUS[result["status"]] for result in self.hosts.values())
        if self.report:
            value = {
                "schema": 1,
                "exit_status": status,
                "hosts": {
                    host: {name: part for name, part in result.items() if name != "site"}
                    for host, result in self.hosts.items()
                },
            }
            path = os.path.abspath(os.path.expanduser(self.report))
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
            self._display.display(f"\n{WORDS[self.language]['report']}: {path}")
        sys.stdout.flush()
        raise SystemExit(status)
