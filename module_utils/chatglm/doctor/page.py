"""Checks of the page that runs: its port, whether it answers, and what proxies do to it."""

from __future__ import annotations

from ..language.messages import Text
from .registry import FREE, FULL, LOCALHOST, OK, OOM, REPAIRABLE, YOURS, Check, Evidence, Finding, known, listed


def _proxies(evidence: Evidence) -> Finding | None:
    seen = evidence.get("proxies")
    if seen is None:
        return None
    if not seen["set"]:
        return Finding(OK, Text("none set", "没有设置"))
    told = listed(f"{name}={value}" for name, value in sorted(seen["set"].items()))
    files = known(evidence, "weights").get("files") or []
    if seen["unusable"] and (not files or any(each.get("kind") for each in files)):
        unusable = listed(seen["unusable"])
        return Finding(YOURS, Text(f"for what is to be fetched: {unusable}", f"下载用的代理不能用：{unusable}"))
    bypass = "" if seen["loopback"] else ", which loopback goes through too"
    return Finding(OK, f"{told}{bypass}; the launcher unsets them")


def _page_port(evidence: Evidence) -> Finding | None:
    port = known(evidence, "host").get("facts", {}).get("port") or {"free": True}
    if port["free"]:
        return Finding(OK, FREE)
    owner = port.get("owner") or {}
    if not owner.get("ours"):
        return Finding(OK, "held by another program: see port", applies=False)
    if owner.get("service"):
        return Finding(OK, f"held by the service, process {owner['pid']}; a run stops it where that is needed")
    told = f"our own page, process {owner['pid']} ({owner['command']})"
    if known(evidence, "proof").get("due"):
        return Finding(YOURS, f"{told}; a proof is due, which needs the port", f"kill {owner['pid']}")
    return Finding(OK, told)


def _page_status(evidence: Evidence) -> Finding | None:
    seen = evidence.get("page")
    if seen is None:
        return None
    if not seen["listening"]:
        return Finding(OK, Text("no page runs", "网页没有运行"))
    if seen["status"] == 200:
        return Finding(OK, "GET / answers 200")
    if seen["status"] >= 500:
        return Finding(REPAIRABLE, f"GET / answers {seen['status']}")
    told = f"GET / answers {seen['status']}" if seen["status"] else f"GET / is not answered: {seen['error']}"
    return Finding(YOURS, told)


def _windows_page(evidence: Evidence) -> Finding | None:
    seen = evidence.get("windows_page")
    if seen is None:
        return None
    if not seen["asked"]:
        return Finding(OK, seen["why"], applies=False)
    if seen["status"] == "200":
        return Finding(OK, Text("Windows reads the page", "Windows 能打开"))
    return Finding(YOURS, f"curl.exe on Windows: {seen['error'] or seen['status']}")


CHECKS: tuple[Check, ...] = (
    Check(
        "proxy_variables",
        Text("proxy variables", "代理变量"),
        Text(
            "Python's clients stop at a SOCKS proxy; and through any proxy gradio misses its own page",
            "Python 的客户端用不了 SOCKS 代理；而且 gradio 经代理访问不到自己的网页",
        ),
        Text(
            "export https_proxy=http://HOST:PORT; unset all_proxy; start the page by {home}/bin/chatglm-run",
            "export https_proxy=http://主机:端口；unset all_proxy；用 {home}/bin/chatglm-run 启动网页",
        ),
        _proxies,
        repairs="user",
        needs=("settings", "network_variables"),
        probe="proxies",
        symptoms=(
            *LOCALHOST,
            "ProxyError",
            "Using SOCKS proxy",
            "Missing dependencies for SOCKS",
            "Cannot connect to proxy",
            "Unknown scheme for proxy",
        ),
    ),
    Check(
        "page_port",
        Text("our own page", "我们自己的网页"),
        Text("a page that still runs holds the port, and the GPU's memory", "还在运行的网页占着端口和显存"),
        Text("stop it with Ctrl+C in its terminal, or kill its process", "在它的终端按 Ctrl+C，或结束进程"),
        _page_port,
        repairs="user",
        needs=("settings", "port"),
        symptoms=("Cannot find empty port", "Address already in use", *OOM),
    ),
    Check(
        "page_status",
        Text("the page answers", "网页是否应答"),
        Text(
            "the page was started and fails: packages (500), or it hangs",
            "网页已启动但出错：软件包问题（500），或卡住",
        ),
        FULL,
        _page_status,
        cost=2,
        needs=("settings", "port"),
        probe="page",
        symptoms=(
            *LOCALHOST,
            "Internal Server Error",
            "ERR_CONNECTION_REFUSED",
            "can't be reached",
            "refused to connect",
        ),
    ),
    Check(
        "windows_page",
        Text("Windows reads the page", "Windows 能否打开网页"),
        Text("WSL's forwarding of localhost is stuck", "WSL 的 localhost 转发卡住了"),
        Text(
            "in PowerShell: wsl --shutdown, then start the page again",
            "在 PowerShell 里：wsl --shutdown，再启动网页",
        ),
        _windows_page,
        repairs="user",
        cost=2,
        needs=("settings", "port", "page_status"),
        probe="windows_page",
        symptoms=("ERR_CONNECTION_REFUSED", "can't be reached", "refused to connect", "ERR_ADDRESS_INVALID"),
    ),
)
