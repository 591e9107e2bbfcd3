"""Checks of the chat in the background, and of the command chatglm."""

from __future__ import annotations

import shlex

from ..language.messages import Text
from .preflight import HOME
from .registry import AGAIN, OK, REPAIRABLE, UNKNOWN, YOURS, Check, Evidence, Finding, listed, plain, split_failure


def _command(evidence: Evidence) -> Finding | None:
    service = evidence.get("service") or {}
    if service.get("failed"):  # which the check of the service names
        return Finding(OK, Text("not looked at", "没有查看"), applies=False)
    changed = service.get("command")
    if changed is None:
        return None
    if not changed:
        return Finding(OK, f"{evidence['context']['home']}/bin/chatglm")
    names = listed(changed)
    return Finding(REPAIRABLE, Text(f"missing or changed: {names}", f"缺失或被改动：{names}"))


def _service(evidence: Evidence) -> Finding | None:
    service = evidence.get("service") or {}
    if service.get("failed"):
        return Finding(YOURS, *split_failure(str(service.get("msg", "no message"))))
    if "todo" not in service:
        return Finding(UNKNOWN, plain(str(service.get("msg", "not looked at"))))
    found, todo = service["found"], set(service["todo"])
    condition, pid = found["condition"], found["pid"]
    if service["kind"] == "none":
        if todo:
            return Finding(REPAIRABLE, Text("it is there, though none is wanted", "设置为不要服务，却有一个"))
        return Finding(OK, Text("none is wanted (chatglm_service)", "设置为不要服务（chatglm_service）"), applies=False)
    home = shlex.quote(evidence["context"]["home"])
    if condition == "no_memory":
        close = Text(
            f"close what uses the GPU (nvidia-smi), then: {home}/bin/chatglm start",
            f"关闭占用显卡的程序（nvidia-smi），然后运行 {home}/bin/chatglm start",
        )
        return Finding(YOURS, Text("it ended because memory ran out", "因内存或显存不足而结束"), close)
    if "write" in todo:
        return Finding(REPAIRABLE, Text("its unit file is missing or changed", "它的单元文件缺失或被改动"))
    if condition == "failed":
        log = service["log"]
        told = Text(f"it failed ({found['why']}); its log: {log}", f"失败（{found['why']}）；日志：{log}")
        return Finding(REPAIRABLE, told)
    if "enable" in todo:
        return Finding(REPAIRABLE, Text("it does not start with the distribution", "它不随发行版启动"))
    if found["unit"] and service["kind"] == "background":
        return Finding(
            REPAIRABLE, Text("systemd, which would run it, is switched off", "本该由 systemd 运行，而它没有启用")
        )
    if condition == "gone":
        return Finding(
            REPAIRABLE, Text("it was killed, or the distribution was stopped", "它被终止了，或者发行版停止过")
        )
    if condition == "stopped":
        told = Text(f"stopped; to start it: {home}/bin/chatglm start", f"已停止；启动：{home}/bin/chatglm start")
        return Finding(OK, told)
    if found["kind"] != service["kind"]:
        return Finding(REPAIRABLE, Text("it runs, but not under systemd", "在运行，但不由 systemd 管理"))
    if condition == "activating":
        return Finding(OK, Text("it is starting", "正在启动"))
    if condition == "crashed":
        told = Text(f"it crashed ({found['why']}) and is started again", f"崩溃了（{found['why']}），正要重新启动")
        return Finding(REPAIRABLE, told)
    if not found["current"]:
        old = Text(f"process {pid} serves what was installed before", f"进程 {pid} 用的是以前安装的内容")
        return Finding(REPAIRABLE, old)
    return _answering(evidence, Text(f"runs, process {pid}", f"在运行，进程 {pid}"))


def _answering(evidence: Evidence, runs: Text) -> Finding | None:
    """Return the finding on a service that runs: only a question shows whether its page is dead."""
    if not evidence["context"]["deep"]:
        return Finding(
            OK, Text(f"{runs.en}; not asked (doctor_deep asks)", f"{runs.zh}；没有提问（doctor_deep 才提问）")
        )
    seen = evidence.get("answer")
    if seen is None:
        return None
    if seen["loading"]:
        return Finding(OK, Text(f"{runs.en}, loads the model", f"{runs.zh}，正在加载模型"))
    if seen["text"]:
        return Finding(OK, Text(f"{runs.en}, answers: {seen['text']}", f"{runs.zh}，回答：{seen['text']}"))
    again = f"{shlex.quote(evidence['context']['home'])}/bin/chatglm restart"
    told = Text(f"{runs.en}, but does not answer: {seen['error']}", f"{runs.zh}，但不回答：{seen['error']}")
    return Finding(YOURS, told, Text(again, again))


CHECKS: tuple[Check, ...] = (
    Check(
        "command",
        Text("the command chatglm", "chatglm 命令"),
        Text(
            "files of the command, its link in ~/.local/bin, its completion or its settings are missing or changed",
            "这个命令的文件、~/.local/bin 里的链接、补全或设置缺失或被改动",
        ),
        AGAIN,
        _command,
        needs=(*HOME, "source_blocked", "source_missing"),
        symptoms=("chatglm: command not found", "bin/chatglm: No such file", "bin/chatglm: Permission denied"),
    ),
    Check(
        "service",
        Text("the chat in the background", "后台的对话"),
        Text(
            "the chat in the background has ended, cannot start, or serves something old",
            "后台的对话结束了、无法启动，或用的是旧的内容",
        ),
        AGAIN,
        _service,
        cost=3,
        needs=("settings", "home_not_folder", "proof"),
        probe="answer",
        symptoms=(
            "memory ran out; it is not started again",
            "Start request repeated too quickly",
            "chatglm.service: Failed",
        ),
    ),
)
