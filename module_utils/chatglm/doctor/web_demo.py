"""Checks of the demo's script, its patch and its launcher."""

from __future__ import annotations

import os

from ..language.messages import Text
from .registry import (
    AGAIN,
    LOCALHOST,
    NO_EDITS,
    NO_MODEL,
    OK,
    OOM,
    REPAIRABLE,
    UNKNOWN,
    YOURS,
    Check,
    Evidence,
    Finding,
    known,
    listed,
    listed_faults,
    split_failure,
)

SCRIPTS = ("web_demo.py", "openai_api.py", "web_demo2.py")  # of each app


def _web_demo_edited(evidence: Evidence) -> Finding | None:
    web_demo = evidence.get("web_demo") or {}
    if not web_demo:
        return Finding(UNKNOWN, "not looked at")
    if web_demo.get("failed"):
        found, todo = split_failure(str(web_demo.get("msg", "no message")))
        return Finding(UNKNOWN if web_demo.get("unforeseen") else YOURS, found, todo)
    modified = known(evidence, "source").get("modified") or []
    mixed = any(each["path"] in SCRIPTS and each["kind"] == "both" for each in modified)
    return Finding(OK, Text("your own edits, which are kept", "你自己的修改，会保留") if mixed else NO_EDITS)


def _changes(evidence: Evidence) -> tuple[bool, list[str]]:
    """Return whether patch_web_demo would change the script, and which of launcher and engine; of unknown name: ""."""
    web_demo = known(evidence, "web_demo")
    if not web_demo.get("would_change", web_demo.get("changed")):
        return False, []
    diffs = web_demo.get("diff") or []
    headers = [each.get("before_header", "") for each in diffs if isinstance(each, dict)]
    script = any(os.path.basename(header) in SCRIPTS for header in headers)
    beside = [header for header in headers if os.path.basename(header) not in SCRIPTS]
    return script, beside or ([] if script else [""])


def _web_demo_unpatched(evidence: Evidence) -> Finding | None:
    edits = known(evidence, "web_demo").get("edits") or []
    told = listed_faults(f"line {edit['line']} ({edit['kind']})" for edit in edits)
    if _changes(evidence)[0]:
        return Finding(REPAIRABLE, Text(f"not as patched: {told.en}", f"与打过补丁的不同：{told.zh}"))
    return Finding(OK, Text(f"patched: {told.en}", f"已打补丁：{told.zh}"))


def _launcher(evidence: Evidence) -> Finding | None:
    path = f"{evidence['context']['home']}/bin/chatglm-run"
    if not (changed := _changes(evidence)[1]):
        return Finding(OK, path)
    told = listed(each or path for each in changed)
    return Finding(REPAIRABLE, Text(f"{told} is missing or changed", f"{told} 缺失或被改动"))


CHECKS: tuple[Check, ...] = (
    Check(
        "web_demo_edited",
        Text("your edits of the demo's script", "你对演示脚本的修改"),
        Text("the script has a form in which it cannot be patched", "脚本的写法无法打补丁"),
        Text(
            "correct that line, or get upstream's script back (git -C {home}/source checkout -- SCRIPT), then {site}",
            "改正那一行，或恢复上游的脚本（git -C {home}/source checkout -- 脚本），然后 {site}",
        ),
        _web_demo_edited,
        repairs="user",
        needs=("source_blocked", "source_missing", "source_damaged"),
        symptoms=("SyntaxError", "IndentationError"),
    ),
    Check(
        "web_demo_unpatched",
        Text("patch of the demo's script", "演示脚本的补丁"),
        Text(
            "upstream's page loads from the hub, onto the GPU first, and was written for gradio 3",
            "上游网页从 hub 加载、先放到显卡上，而且是为 gradio 3 写的",
        ),
        AGAIN,
        _web_demo_unpatched,
        needs=("source_blocked", "source_missing", "source_damaged", "web_demo_edited"),
        symptoms=(
            "has no attribute 'style'",
            "Could not create share link",
            "takes messages",
            *OOM,
            *NO_MODEL,
        ),
    ),
    Check(
        "launcher",
        Text("launcher", "启动脚本"),
        Text(
            "the script that starts the page, or the int4 engine that it takes, is missing or was changed",
            "启动网页的脚本，或它要用的 int4 引擎，缺失或被改动",
        ),
        AGAIN,
        _launcher,
        needs=("source_blocked", "source_missing", "source_damaged", "web_demo_edited"),
        symptoms=(
            "chatglm-run: No such file",
            "chatglm-run: Permission denied",
            "No module named 'engine'",
            *LOCALHOST,
        ),
    ),
)
