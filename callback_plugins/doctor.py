"""Callback plugin: print what the module doctor found, write it as JSON, and end with the status of the worst host."""

from __future__ import annotations

DOCUMENTATION = """
name: doctor
type: notification
short_description: The doctor's results for people and for programs
description:
  - Prints a table for each host that the module C(doctor) judged, after the play's recap. Silent in any other play.
  - Names the possible causes of the text in the extra variable C(error), or in the file that C(error=@FILE) names.
  - Writes a JSON file when the extra variable C(doctor_report) names one.
  - Ends ansible-playbook with status 0 (all is well), 1 (site.yml repairs it) or 2 (only the user can).
requirements: [enabled in ansible.cfg]
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants as C  # noqa: N812
from ansible import context
from ansible.plugins.callback import CallbackBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from ansible.module_utils.chatglm.language import messages

STATUS = {"ok": 0, "repairable": 1, "yours": 2}
WORDS = {
    "en": {
        "ok": "ok",
        "repairable": "repairable",
        "yours": "yours",
        "unknown": "unknown",
        "cause": "cause",
        "remedy": "do",
        "below": "run the command of the last line",
        "skipped": "not looked at, because of what is broken: {}",
        "error": "your text",
        "nobody": "no check knows this text; what this host shows is above",
        "shown": "shown here",
        "not_shown": "not shown here",
        "open": "cannot be told yet",
        "note": "note",
        "end_ok": "{ok} checks: all is well",
        "end_repairable": "{repairable} to repair: {site}",
        "end_yours": "{yours} for you to do",
        "end_both": "{yours} for you to do; then {repairable} to repair: {site}",
        "report": "report",
    },
    "zh": {
        "ok": "正常",
        "repairable": "可修复",
        "yours": "需要你",
        "unknown": "未知",
        "cause": "原因",
        "remedy": "处理",
        "below": "运行最后一行的命令",
        "skipped": "因上面的问题而未检查：{}",
        "error": "你的报错",
        "nobody": "没有检查项认识这段文字；本机的情况见上",
        "shown": "本机有此问题",
        "not_shown": "本机没有此问题",
        "open": "目前无法判断",
        "note": "说明",
        "end_ok": "{ok} 项检查：一切正常",
        "end_repairable": "{repairable} 项可修复：{site}",
        "end_yours": "{yours} 项需要你处理",
        "end_both": "{yours} 项需要你处理；之后 {repairable} 项可修复：{site}",
        "report": "报告",
    },
}
# Never repeated in a command line that is printed: what may be secret, and what is the doctor's own.
UNTOLD = re.compile(r"token|passw|secret|//[^/\s]*@|^@", re.IGNORECASE)
OWN = re.compile(r"(error|doctor_\w+)=")


def width(text: str) -> int:
    """Return the columns of a terminal that ``text`` takes."""
    return int(messages.width(text))


def pad(text: str, columns: int) -> str:
    """Return ``text`` filled with blanks to so many columns."""
    return text + " " * max(0, columns - width(text))


def wrap(text: str, columns: int) -> list[str]:
    """Return ``text`` in lines of at most so many columns, broken at blanks and between Chinese characters.

    A word that is wider stays whole: it is a path, to be copied.
    """
    lines, line = [], ""
    pieces = re.findall(r" +|[^ \u2e80-\uffef]+|[\u2e80-\uffef]", " ".join(text.split()))
    for piece in pieces:
        if line and width(line) + width(piece.rstrip()) > columns:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line] if line or not lines else lines


def rows(checks: Iterable[dict[str, Any]], words: dict[str, str], site: str, columns: int) -> list[tuple[str, str]]:
    """Return the table's lines, each with its verdict: verdict, code, evidence; for what is not ok, cause and remedy.

    Cause and remedy begin at the left, so that a command is in one piece even on a narrow terminal. The command
    ``site`` stands at the end, once for all rows.
    """
    checks = list(checks)
    first = max(width(words[verdict]) for verdict in (*STATUS, "unknown"))
    second = max([len(check["code"]) for check in checks] or [0])
    label = max(width(words["cause"]), width(words["remedy"]))
    lines = []
    for check in checks:
        head = f"  {pad(words[check['verdict']], first)}  {pad(check['code'], second)}  "
        for number, text in enumerate(wrap(check["evidence"] or "-", max(30, columns - width(head) - 1))):
            lines.append((check["verdict"], (" " * width(head) if number else head) + text))
        for name in ("cause", "remedy"):
            if check[name]:
                text = words["below"] if check[name] == site else check[name]
                lines.append((check["verdict"], f"      {pad(words[name], label)}  {text}"))
    return lines


def table(host: str, result: dict[str, Any], language: str, full: bool, columns: int) -> list[tuple[str, str]]:
    """Return the lines for one host, each with the verdict that decides its colour.

    Args:
        host: name in the inventory.
        result: what the module returned, and ``error``.
        language: en or zh.
        full: show what is ok too.
        columns: width of the terminal.

    """
    words = WORDS[language]
    looked = [check for check in result["checks"] if check["applies"] and not check["skipped_by"]]
    good = [check for check in looked if check["verdict"] == "ok"]
    # What is wrong stands last, next to the prompt.
    bad = [check for check in looked if check["verdict"] != "ok"]
    skipped = [check["code"] for check in result["checks"] if check["skipped_by"]]
    lines = [("", host), *rows([*(good if full else []), *bad], words, result["site"], columns)]
    if skipped:
        indent = " " * 6
        text = words["skipped"].format(", ".join(skipped) if full else len(skipped))
        lines += [("unknown", indent + line) for line in wrap(text, max(30, columns - 7))]
    error = result["error"]
    if error["text"]:
        lines.append(("", f"  {words['error']}: {' '.join(error['text'].split())[:200]}"))
        state = {"ok": words["not_shown"], "unknown": words["open"]}
        first = max([len(cause["code"]) for cause in error["causes"]] or [0])
        second = max(width(words[name]) for name in ("shown", "not_shown", "open"))
        for cause in error["causes"]:
            text = pad(state.get(cause["verdict"], words["shown"]), second)
            lines.append((cause["verdict"], f"      {pad(cause['code'], first)}  {text}  {cause['title']}"))
        if not error["causes"]:
            lines.append(("unknown", f"      {words['nobody']}"))
    lines += [("", f"  {words['note']}: {text}") for text in result["notes"]]
    counts = {name: sum(check["verdict"] == name for check in looked) for name in STATUS}
    status = result["status"]
    end = "both" if status == "yours" and counts["repairable"] else status
    return [*lines, (status, "  " + words[f"end_{end}"].format(**counts, site=result["site"]))]


def repeated(extra_vars: Iterable[str]) -> str:
    """Return the ``-e`` options of this run that a run of site.yml needs too, without what may be secret."""
    kept, untold = [], False
    for option in extra_vars:
        if OWN.match(option):
            continue
        if UNTOLD.search(option):
            untold = True
        else:
            kept.append(f" -e {shlex.quote(option)}")
    return "".join(kept) + (" -e ..." if untold else "")


def pasted(options: Iterable[str], given: Any) -> str:
    """Return the text of the extra variable ``error``.

    Args:
        options: all ``-e`` as typed: Ansible takes ``error=two words`` apart at the blank.
        given: the variable as Ansible understood it.

    """
    text = next((option[len("error=") :] for option in options if option.startswith("error=")), str(given or ""))
    if text.startswith("@"):
        with open(os.path.expanduser(text[1:]), encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    return text.strip()


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
        self.report = self.error = self.options = ""
        self.language = "en"

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Find out whether this is the doctor's play, and what it was asked."""
        self.examining = "doctor_language" in play.get_vars()
        if self.examining:
            typed = [str(option) for option in context.CLIARGS["extra_vars"] or ()]
            given = play.get_variable_manager().extra_vars
            self.report = str(given.get("doctor_report") or "")
            self.options = repeated(typed)
            if str(given.get("chatglm_language")) in WORDS:
                self.language = str(given["chatglm_language"])
            try:
                self.error = pasted(typed, given.get("error"))
            except OSError as error:
                self._display.warning(f"error: {error}")

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take the module's result."""
        if self.examining and result._task.action == "doctor":
            found = result._result
            self.language = found["language"]
            site = found["site"] + self.options
            self.hosts[result._host.get_name()] = {
                "time": found["time"],
                "status": found["status"],
                "checks": [
                    {**check, "remedy": check["remedy"].replace(found["site"], site)} for check in found["checks"]
                ],
                "notes": found["notes"],
                "seconds": found["seconds"],
                "site": site,
            }

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note it: where the doctor answers later all the same, this gives way to what it says."""
        if self.examining:
            self._outside(result, "host_python")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note that the host was not reached."""
        if self.examining:
            self._outside(result, "unreachable")

    def _outside(self, result: Any, code: str) -> None:
        """Judge a host on which no module ran."""
        from ansible.module_utils.chatglm.doctor import checks  # noqa: PLC0415 - large, and for the doctor's play alone

        told = result._result
        text = told.get("module_stderr") or told.get("msg") or told.get("exception") or "no reason given"
        self.hosts[result._host.get_name()] = {
            "time": "",
            "status": "yours",
            "checks": [checks.outside(code, " ".join(str(text).split())[:300], self.language)],
            "notes": [],
            "seconds": {},
            "site": "",
        }

    def _causes(self, results: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Return what is known of the pasted text, with the checks' titles."""
        from ansible.module_utils.chatglm.doctor import checks  # noqa: PLC0415 - large, and for the doctor's play alone

        titles = {check.code: checks.fill(check.title, self.language, {}) for check in checks.CHECKS}
        return [{**cause, "title": titles[cause["code"]]} for cause in checks.explain(self.error, results)]

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
        for host, result in sorted(self.hosts.items()):
            result["error"] = {"text": self.error, "causes": self._causes(result["checks"]) if self.error else []}
            self._display.display("")
            for verdict, line in table(host, result, self.language, full, self._display.columns):
                self._display.display(line, color=colours[verdict])
        status = max(STATUS[result["status"]] for result in self.hosts.values())
        if self.report:
            try:
                self._write(status)
            except OSError as error:
                self._display.error(f"doctor_report: {error}")
        sys.stdout.flush()
        raise SystemExit(status)  # the one thing that Ansible lets pass from a callback

    def _write(self, status: int) -> None:
        """Write the report."""
        path = os.path.abspath(os.path.expanduser(self.report))
        hosts = {
            host: {name: value for name, value in result.items() if name != "site"}
            for host, result in sorted(self.hosts.items())
        }
        value = {"schema": 1, "exit_status": status, "hosts": hosts}
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
        self._display.display(f"\n{WORDS[self.language]['report']}: {path}")
