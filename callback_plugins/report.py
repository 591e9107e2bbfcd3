"""Callback plugin: what a run of site.yml did, in a few lines at its end, and as report.html."""

from __future__ import annotations

DOCUMENTATION = """
name: report
type: notification
short_description: Each role's outcome and time, and report.html
description:
  - Prints a line for each role at the end of a run of site.yml, with its time and what it fetched. Silent in any other
    play, and where the output is JSON.
  - Writes one HTML file that opens offline to the path in the setting C(chatglm_report), relative to the folder in
    which ansible-playbook was started. In check mode, and for the doctor's play, only where C(-e chatglm_report=FILE)
    asks for it.
  - Takes the doctor's verdicts from the file that C(-e doctor_report=FILE) names, or from the doctor's own play.
requirements: [enabled in ansible.cfg]
"""

import datetime
import json
import os
import time
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants as C  # noqa: N812
from ansible import context
from ansible.plugins.callback import CallbackBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from ansible.module_utils.chatglm.core import files
from ansible.module_utils.chatglm.language import messages
from ansible.module_utils.chatglm.report import report_page

DIGESTS = {
    "source_checkout": ("source", "after"),
    "model_snapshot": ("weights", "digest"),
    "managed_python": ("python", "sha256"),
    "python_env": ("virtualenv", "digest"),
    "patch_web_demo": ("web_demo", "sha256"),
}
FACTS = ("kernel", "wsl", "distribution", "systemd", "memory", "gpus")
COLOURS = {
    "ok": "COLOR_OK",
    "same": "COLOR_OK",
    "changed": "COLOR_CHANGED",
    "would": "COLOR_CHANGED",
    "failed": "COLOR_ERROR",
    "unreachable": "COLOR_UNREACHABLE",
}
SECRET = ("token", "password", "secret")


def told(action: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return what the report needs of a module's result; nothing else of it gets into the report."""
    if action == "host_facts":
        seen = result.get("facts") or {}
        return {
            "facts": {
                **{name: seen[name] for name in FACTS if name in seen},
                "disk": {"free": (seen.get("disk") or {}).get("free")},
                "nvidia": {"driver": (seen.get("nvidia") or {}).get("driver")},
            },
            "plan": result.get("plan") or result.get("likely") or {},
        }
    if action == "int4_smoke_test" and result.get("report"):
        seen = result["report"]
        model = {name: value for name, value in (seen.get("model") or {}).items() if name not in ("files", "gcc")}
        return {
            "proof": {
                "time": result.get("time"),
                "question": (result.get("invocation") or {}).get("module_args", {}).get("question"),
                "verdicts": result.get("verdicts") or [],
                "model": model,
                "page": seen.get("page") or {},
            },
            "versions": model.get("versions") or {},
        }
    name, field = DIGESTS.get(action, ("", ""))
    return {"digests": {name: result[field]}} if result.get(field) else {}


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Collect what the report tells; everything else passes by."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Nothing has been seen yet."""
        super().__init__(*arguments, **named)
        self.hosts: dict[str, dict[str, Any]] = {}
        self.fetched: dict[str, int] = {}
        self.started: dict[tuple[str, str], float] = {}
        self.kind = self.path = ""
        self.language = "en"
        self.secrets: set[str] = set()
        self.sealed: set[str] = set()
        self.asked: dict[str, Any] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Find out whether this is a play to report on, and what its settings are."""
        roles = {role.get_name() for role in play.get_roles()}
        self.kind = "doctor" if "doctor_language" in play.get_vars() else "site" if "summary" in roles else ""
        if not self.kind:
            return
        manager = play.get_variable_manager()
        self.asked = manager.extra_vars
        self.secrets = set()
        path, language = "", "auto"
        for host in manager._inventory.get_hosts(play.hosts):
            variables = manager.get_vars(play=play, host=host)
            path, language = variables.get("chatglm_report", path), variables.get("chatglm_language", language)
            self.secrets |= {
                str(value)
                for name, value in variables.items()
                if any(word in name for word in SECRET) and len(str(value)) > 3 and "{{" not in str(value)
            }
        if os.environ.get("HF_TOKEN"):
            self.secrets.add(os.environ["HF_TOKEN"])
        quiet = self.kind == "doctor" or context.CLIARGS.get("check")
        self.path = str(self.asked.get("chatglm_report", "") if quiet else path or "")
        self.language = messages.spoken(str(language), os.environ)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Start the clock."""
        self.started[host.get_name(), task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take a step's time, and what its module says."""
        self._step(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Take the little time that it took."""
        self._step(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Keep why; where the run goes on all the same, the end will say so."""
        self._step(result, "ok" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Keep why."""
        self._step(result, "unreachable")

    def _step(self, result: Any, outcome: str) -> None:
        """Add a step to its host's."""
        if not self.kind:
            return
        name, task, value = result._host.get_name(), result._task, result._result
        host = self.hosts.setdefault(name, report_page.blank())
        spent = time.monotonic() - self.started.pop((name, task._uuid), time.monotonic())
        role = task._role.get_name() if task._role else ""
        if outcome == "changed" and context.CLIARGS.get("check"):
            outcome = "would"
        step = {"role": role, "name": task.name or task.action, "seconds": round(spent, 3), "outcome": outcome}
        host["steps"].append(step)
        if not host["roles"] or host["roles"][-1]["role"] != role:
            host["roles"].append({"role": role, "seconds": 0.0, "outcome": "ok", "bytes": 0, "told": []})
        part = host["roles"][-1]
        part["seconds"] += spent
        part["outcome"] = outcome if outcome != "ok" else part["outcome"]
        if isinstance(value.get("bytes_fetched"), int):
            part["bytes"] += value["bytes_fetched"]
        # Of packages nobody tells how many bytes came: apt says it in round figures, uv not at all.
        if value.get("fetched"):
            part["told"].append(("fetched", {"size": str(value["fetched"])}))
        if value.get("bytes_installed") and task.action == "managed_python":
            size = report_page.size(value["bytes_installed"])
            part["told"].append(("python", {"version": value["version"], "size": size}))
        elif value.get("bytes_installed"):
            count = len(value["install"]) + len(value["reinstall"])
            part["told"].append(("installed", {"count": count, "size": report_page.size(value["bytes_installed"])}))
        for field, found in told(task.action, value).items():
            host[field].update(found)
        if role in ("summary", "preflight") and task.name == "Sum up" and "msg" in value:
            host["lines"] = str(value["msg"]).splitlines()
            host["outcome"] = "same" if role == "preflight" else "ok"
            self.sealed |= {name} if role == "preflight" else set()
        if outcome in ("failed", "unreachable"):
            host["failure"] = str(value.get("msg") or value.get("module_stderr") or value.get("exception") or "")[:4000]
        if task.action == "doctor" and "checks" in value:
            # The doctor's own callback ends the program, so this is the last moment.
            host["doctor"] = {"time": value["time"], "checks": value["checks"]}
            self.language = value["language"]
            self._write()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print a line for each role, and write the report."""
        if self.kind == "doctor" or not self.hosts:
            return
        for name, host in self.hosts.items():
            summary = stats.summarize(name)
            if summary["unreachable"] or summary["failures"]:
                host["outcome"] = "unreachable" if summary["unreachable"] else "failed"
            else:
                host["failure"] = ""
                if summary["changed"]:  # of a sealed host too: a service that had ended was started again
                    host["outcome"] = "would" if context.CLIARGS.get("check") else "changed"
        path = self._write()
        # Programs that read the output want nothing between its lines.
        if "json" not in str(C.DEFAULT_STDOUT_CALLBACK):
            self._print(path)

    def _print(self, path: str) -> None:
        """Print the lines."""

        def say(code: str, **values: Any) -> str:
            return str(messages.say(self.language, f"report.{code}", **values))

        for name, host in sorted(self.hosts.items()):
            parts = [part for part in host["roles"] if part["role"]]
            width = max([len(part["role"]) for part in parts] or [0])
            self._display.display(f"\n{name}")
            for part in parts:
                told = [*part["told"]]
                if part["bytes"]:
                    told.append(("fetched", {"size": report_page.size(part["bytes"])}))
                words = ", ".join([say("outcome_" + part["outcome"]), *(say(code, **values) for code, values in told)])
                line = f"  {part['role']:{width}}  {part['seconds']:7.1f} s  {words}"
                self._display.display(line, color=getattr(C, COLOURS[part["outcome"]]))
            spent = sum(part["seconds"] for part in host["roles"])
            total = say("total", seconds=report_page.seconds(spent))
            self._display.display(f"  {total}, {say('outcome_' + host['outcome'])}")
        if path:
            self._display.display(say("file", path=path))

    def _write(self) -> str:
        """Write the report, if there is to be one, and return its path."""
        if not self.path:
            return ""
        path = os.path.abspath(os.path.expanduser(self.path))
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        try:
            text = Path(path).read_text(encoding="utf-8") if os.path.isfile(path) else ""
        except (OSError, ValueError):
            text = ""
        before = report_page.earlier(text)
        examined = self._examined()
        for name, host in self.hosts.items():
            host["time"] = now
            host["doctor"] = host["doctor"] or examined.get(name, {})
            if name in self.sealed and before.get(name, {}).get("outcome") in ("ok", "changed", "same"):
                # Nothing was looked at beyond the host itself: what was seen at the proof still stands.
                old = before[name]
                host["since"] = old["since"] or old["time"]
                for field in ("proof", "versions", "digests"):
                    host[field] = host[field] or old[field]
        data = {"time": now, "hosts": report_page.clean(self.hosts, sorted(self.secrets, key=len, reverse=True))}
        try:
            files.write_atomic(path, report_page.page(data, self.language).encode("utf-8", "replace"))
        except OSError as error:
            self._display.warning(f"chatglm_report: {path}: {error.strerror or error}")
            return ""
        return path

    def _examined(self) -> dict[str, Any]:
        """Return what the doctor found, by host, from the file that it wrote."""
        path = os.path.expanduser(str(self.asked.get("doctor_report") or ""))
        if not path or self.kind == "doctor":
            return {}
        try:
            with open(path, encoding="utf-8") as stream:
                hosts = json.load(stream)["hosts"]
            return {name: {"time": host["time"], "checks": host["checks"]} for name, host in hosts.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._display.warning(f"doctor_report: {path}: {type(error).__name__}: {error}")
            return {}
