"""Checks of the source repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..language.messages import Text
from .preflight import LOOK
from .registry import AGAIN, NO_EDITS, OK, REPAIRABLE, Check, Evidence, Finding, Judge, known, listed, stopped

SOURCE = ("source_blocked", "source_missing", "source_commit", "source_damaged")


def _source_plan(plans: tuple[str, ...], told: Callable[[dict[str, Any]], str | Text]) -> Judge:
    def judge(evidence: Evidence) -> Finding | None:
        source = known(evidence, "source")
        if source.get("plan") in plans:
            return Finding(REPAIRABLE, told(source))
        return Finding(OK, str(source.get("before", ""))[:12])

    return judge


def _source_edited(evidence: Evidence) -> Finding | None:
    own = [each["path"] for each in known(evidence, "source").get("modified") or [] if each["kind"] != "patched"]
    kept = Text(f"your own edits, which are kept: {listed(own)}", f"你自己的修改，会保留：{listed(own)}")
    return Finding(OK, kept if own else NO_EDITS)


CHECKS: tuple[Check, ...] = (
    Check(
        "source_blocked",
        Text("place of the source repository", "源码仓库的位置"),
        Text(
            "no clone, edits of yours that another commit would overwrite, or a commit without the script",
            "那里的目录不是克隆，你的修改会被新提交覆盖，或者那个提交没有要用的脚本",
        ),
        Text(
            "move it away: mv {home}/source {home}/source.mine; or commit your edits",
            "把它移开：mv {home}/source {home}/source.mine；或提交你的修改",
        ),
        stopped("source"),
        repairs="user",
        needs=(*LOOK, "git"),
        symptoms=("is no git repository", "would be overwritten", "dubious ownership"),
    ),
    Check(
        "source_missing",
        Text("source repository", "源码仓库"),
        Text("the repository is not cloned yet", "仓库还没有克隆"),
        AGAIN,
        _source_plan(("clone",), lambda source: Text("no clone", "没有克隆")),
        needs=("source_blocked",),
        symptoms=("can't open file", "web_demo.py: No such file", "web_demo.py does not exist"),
    ),
    Check(
        "source_damaged",
        Text("files of the repository", "仓库文件"),
        Text(
            "files were deleted or half-written, or git cannot read the clone",
            "文件被删除或只写了一半，或 git 读不了它",
        ),
        AGAIN,
        _source_plan(
            ("restore", "rebuild"),
            lambda source: (
                listed(source.get("restored") or []) or Text("git cannot read the repository", "git 读不了这个仓库")
            ),
        ),
        needs=("source_blocked", "source_missing"),
        symptoms=("not a git repository", "object file", "index file corrupt", "can't open file"),
    ),
    Check(
        "source_commit",
        Text("commit of the repository", "仓库的提交"),
        Text("another commit is checked out than the pinned one", "检出的不是锁定的提交"),
        AGAIN,
        _source_plan(
            ("fetch",),
            lambda source: Text(
                f"at {source['before'][:12]}, pinned is {source['after'][:12]}",
                f"现在是 {source['before'][:12]}，锁定的是 {source['after'][:12]}",
            ),
        ),
        needs=("source_blocked", "source_missing", "source_damaged"),
    ),
    Check(
        "source_edited",
        Text("your own edits", "你自己的修改"),
        Text("files differ by your own edits, which are kept", "文件有你自己的修改，会保留"),
        AGAIN,
        _source_edited,
        needs=SOURCE,
    ),
)
