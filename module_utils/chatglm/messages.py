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
    # the command chatglm on the host
    "command.help": Text(
        "chatglm: the ChatGLM2-6B chat on this machine\n"
        "  start [--no-wait]  start it in the background\n"
        "  stop, restart      only what was started this way\n"
        "  status [--ask]     does it run and answer; --ask puts a real question\n"
        "  logs [--follow]    what it says\n"
        "  chat               talk in this terminal\n"
        "  doctor             what is broken, and what to do\n"
        "  where              what lies where",
        "chatglm：本机上的 ChatGLM2-6B 聊天\n"
        "  start [--no-wait]  在后台启动\n"
        "  stop, restart      停止、重启（只针对这样启动的）\n"
        "  status [--ask]     是否在运行、能否应答；--ask 真的提一个问题\n"
        "  logs [--follow]    日志\n"
        "  chat               在本终端聊天\n"
        "  doctor             哪里坏了，该做什么\n"
        "  where              各种文件在哪里",
    ),
    "command.runs": Text("runs: {command}", "执行：{command}"),
    "command.open": Text("the chat is there: {url}", "聊天已就绪：{url}"),
    "command.loading": Text("loading the model ({seconds} s) ...", "正在加载模型（{seconds} 秒）……"),
    "command.ended": Text("it has ended; why: {command}", "它已结束；查看原因：{command}"),
    "command.silent": Text("no page within {seconds} s; see: {command}", "{seconds} 秒内没有网页；请看：{command}"),
    "command.taken": Text(
        "port {port} is taken by {owner}; stop that first", "端口 {port} 被占用：{owner}；请先停止它"
    ),
    "command.not_running": Text("it does not run as a service", "没有作为服务在运行"),
    "command.stopped_now": Text("stopped", "已停止"),
    "command.stays": Text("process {pid} does not end", "进程 {pid} 没有结束"),
    "command.activating": Text("starting", "正在启动"),
    "command.running": Text("running ({kind}, process {pid})", "运行中（{kind}，进程 {pid}）"),
    "command.systemd": Text("systemd", "systemd 服务"),
    "command.background": Text("in the background", "后台"),
    "command.no_memory": Text(
        "stopped: memory ran out. Close what uses the GPU (nvidia-smi), then: chatglm start",
        "已停止：内存或显存不足。请关闭占用显卡的程序（nvidia-smi），然后运行 chatglm start",
    ),
    "command.failed": Text("failed ({why}); see the log", "失败（{why}）；请看日志"),
    "command.stopped": Text("stopped; start it with: chatglm start", "已停止；启动：chatglm start"),
    "command.answers": Text("answers", "有响应"),
    "command.answers_not": Text("does not answer ({status})", "无响应（{status}）"),
    "command.not_proven": Text("none: the last try failed", "没有：上次验证失败"),
    "command.empty": Text("none: the page is there, but its chat is dead", "没有：网页在，但聊天没有应答"),
    "command.browser_only": Text("not asked: only a browser can", "没有提问：只有浏览器可以"),
    "command.page_only": Text(
        "this talks to web_demo's page only; {app} runs", "只能与 web_demo 的网页对话；现在运行的是 {app}"
    ),
    "command.no_log": Text("no log yet: {path}", "还没有日志：{path}"),
    "command.start_first": Text("no page answers; first: chatglm start", "网页没有响应；请先运行 chatglm start"),
    "command.how": Text("clear: a new conversation; exit: leave", "“清空”开始新的对话，“退出”离开"),
    "command.elsewhere": Text(
        "the doctor runs where the project is: on {host}, in {path}:\n  {command}",
        "诊断在本项目所在处运行：主机 {host}，目录 {path}：\n  {command}",
    ),
    "command.chat": Text("chat", "聊天"),
    "command.page": Text("page", "网页"),
    "command.model": Text("model", "模型"),
    "command.proof": Text("proven", "验证"),
    "command.log": Text("log", "日志"),
    "command.answer": Text("answer", "回答"),
    "command.time": Text("time", "用时"),
    "command.folder": Text("folder", "目录"),
    "command.weights": Text("weights", "权重"),
    "command.unit": Text("unit", "单元"),
    "command.project": Text("project", "项目"),
    # the Windows side of WSL (library/windows_side.py)
    "windows.config": Text("on Windows, write into {path}:", "在 Windows 上，在 {path} 中写入："),
    "windows.config_done": Text("written into {path}:", "已写入 {path}："),
    "windows.unread": Text(
        "{key}={value} in .wslconfig is no size that is known; it stays as it is",
        ".wslconfig 中的 {key}={value} 不是可识别的大小，保持不变",
    ),
    "windows.ram_unknown": Text(
        "(Windows could not be asked for its memory: with some to spare, memory= of the same size is faster)",
        "（无法向 Windows 查询内存大小：如有富余，再写同样大小的 memory= 会更快）",
    ),
    "windows.swap": Text(
        "{swap} of it is swap, because Windows needs memory of its own; loading then takes longer",
        "其中 {swap} 是交换空间，因为 Windows 自己也需要内存；加载会因此变慢",
    ),
    "windows.raised": Text("your {key}={before} is raised to {after}", "您设置的 {key}={before} 提高到 {after}"),
    "windows.systemd": Text(
        "in {path} (for a chat that starts with the distribution):", "在 {path} 中（让聊天随发行版启动）："
    ),
    "windows.shutdown": Text(
        "last of all, in PowerShell; it ends all that runs in WSL:",
        "最后，在 PowerShell 中执行；它会结束 WSL 中的一切：",
    ),
    "windows.shortcut": Text(
        "a shortcut to {url} on the Windows desktop: -e chatglm_windows=apply",
        "在 Windows 桌面上创建 {url} 的快捷方式：-e chatglm_windows=apply",
    ),
    "windows.shortcut_done": Text("shortcut to {url}: {path}", "{url} 的快捷方式：{path}"),
    # the way out (library/uninstall.py)
    "uninstall.removed": Text(
        "removed    {files} files in {home}: {size} freed", "已删除    {home} 中的 {files} 个文件，释放 {size}"
    ),
    "uninstall.would": Text(
        "would remove  {files} files in {home}: {size}", "将会删除  {home} 中的 {files} 个文件，共 {size}"
    ),
    "uninstall.stopped": Text("stop       {process}", "停止      {process}"),
    "uninstall.elsewhere": Text("remove     {path}", "删除      {path}"),
    "uninstall.packages": Text("remove     packages {names}", "删除      软件包 {names}"),
    "uninstall.nothing": Text("nothing to remove in {home}", "{home} 中没有可删除的内容"),
    "uninstall.kept": Text("kept       {path}: {why}", "保留      {path}：{why}"),
    "uninstall.kept_folder": Text("kept       {path} ({files} in it): {why}", "保留      {path}（{files} 项）：{why}"),
    "uninstall.more": Text(
        "kept       {count} more (ansible-playbook -v shows all)",
        "保留      另有 {count} 项（ansible-playbook -v 显示全部）",
    ),
    "uninstall.needed": Text("kept       package {name}: {by} needs it", "保留      软件包 {name}：{by} 需要它"),
    "uninstall.wslconfig": Text(
        "kept       {path}: memory and swap of WSL, for you to lower again",
        "保留      {path}：WSL 的内存和交换空间，可自行调低",
    ),
    "uninstall.unknown": Text(
        "kept       {item}: no record shows that it came from here; if not needed: sudo rm {item}",
        "保留      {item}：没有记录表明它来自本项目；如不需要：sudo rm {item}",
    ),
    "uninstall.unknown_package": Text(
        "kept       package {item}: no record shows that it came from here; if not needed: sudo apt-get remove {item}",
        "保留      软件包 {item}：没有记录表明它来自本项目；如不需要：sudo apt-get remove {item}",
    ),
    "uninstall.yours": Text("not put there by this project", "不是本项目放置的"),
    "uninstall.edited": Text("changed since it was installed", "安装后被修改过"),
    "uninstall.package": Text("of a package that you installed", "属于您自己安装的软件包"),
    "uninstall.commits": Text("the clone has commits, branches or hooks of yours", "该克隆中有您的提交、分支或钩子"),
    "uninstall.link": Text("a symbolic link, which is not followed", "符号链接，不会跟随"),
    "uninstall.asked": Text("kept as asked for (chatglm_keep_weights)", "按要求保留（chatglm_keep_weights）"),
    "uninstall.unproven": Text(
        "no record shows what of it is yours; if nothing is, remove it",
        "没有记录表明其中哪些是您的；如果都不是，请自行删除",
    ),
    "uninstall.mount": Text("another file system is mounted there", "那里挂载了另一个文件系统"),
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
