"""The catalogue of what users read, in English and Simplified Chinese: one entry a message.

The doctor's texts stand with its checks (doctor/, a file a stage). tests/unit/language/ demands both languages of every
entry, with the same placeholders.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

import unicodedata
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
    "progress.apt_wait": Text("waiting for {name}, which holds apt", "正在等待 {name}，它占着 apt"),
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
    "command.crashed": Text("crashed ({why}); it is started again", "崩溃了（{why}）；会重新启动"),
    "command.failed": Text("failed ({why}); see the log", "失败（{why}）；请看日志"),
    "command.gone": Text(
        "not running: killed, or the distribution was stopped; start it with: chatglm start",
        "没有运行：被终止，或发行版停止过；启动：chatglm start",
    ),
    "unreachable": Text(
        "Found: this host cannot be reached ({why}). Expected: a host that lets this user in over SSH and has a Python."
        " To do: ssh {host} true, which has to work without a question; then run the same command again",
        "发现：连不上这台主机（{why}）\n应为：本用户能通过 SSH 登录、且有 Python 的主机\n"
        "处理：先让 ssh {host} true 不提问就成功，再运行同样的命令",
    ),
    "command.stopped": Text("stopped; start it with: chatglm start", "已停止；启动：chatglm start"),
    "command.answers": Text("answers", "有响应"),
    "command.answers_not": Text("does not answer ({status})", "无响应（{status}）"),
    "command.not_proven": Text("none: the last try failed", "没有：上次验证失败"),
    "command.empty": Text("none: the page is there, but its chat is dead", "没有：网页在，但聊天没有应答"),
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
    "command.version": Text("version", "版本"),
    "command.project": Text("project", "项目"),
    # report.html, and the lines at the end of a run
    "report.title": Text("ChatGLM2-6B-int4: report", "ChatGLM2-6B-int4 安装报告"),
    "report.made": Text(
        "Made {time}. Opens offline, loads nothing.", "生成于 {time}。可离线打开，不加载任何外部内容。"
    ),
    "report.footer": Text(
        "Version {version}. Written at the end of site.yml; run the same command again to repair and for a new report.",
        "版本 {version}。由 site.yml 在结束时写入；再次运行同样的命令即可修复并更新本报告。",
    ),
    "report.earlier": Text(
        "Nothing has changed since {time}; what is below was seen then.",
        "自 {time} 以来没有任何变化；下面是当时的情况。",
    ),
    "report.summary": Text("Summary", "概要"),
    "report.failure": Text("What failed", "失败原因"),
    "report.plan": Text("Host and plan", "主机与方案"),
    "report.steps": Text("Time of each step", "各步骤用时"),
    "report.proof": Text("Proof", "验证"),
    "report.holds": Text("What a card will hold", "显卡能容纳多少"),
    "report.versions": Text("Versions", "版本"),
    "report.digests": Text("Digests", "摘要值"),
    "report.doctor": Text("Doctor", "诊断"),
    "report.digest_source": Text("source repository, commit", "源代码仓库的提交"),
    "report.digest_weights": Text("weights", "模型权重"),
    "report.digest_python": Text("archive of the Python that uv has brought", "uv 带来的 Python 的压缩包"),
    "report.brought": Text("brought along by uv", "由 uv 带来"),
    "report.digest_virtualenv": Text("virtualenv", "虚拟环境"),
    "report.digest_web_demo": Text("web demo", "网页演示"),
    "report.outcome_ok": Text("in order", "正常"),
    "report.outcome_same": Text("unchanged", "无变化"),
    "report.outcome_changed": Text("changed", "已更改"),
    "report.outcome_would": Text("would change", "将会更改"),
    "report.outcome_failed": Text("failed", "失败"),
    "report.outcome_unreachable": Text("not reached", "无法连接"),
    "report.step": Text("step", "步骤"),
    "report.time": Text("time", "用时"),
    "report.total": Text("{seconds} in all", "共 {seconds}"),
    "report.others": Text("{count} quick ones", "其余 {count} 个很快的步骤"),
    "report.fetched": Text("{size} fetched", "下载 {size}"),
    "report.python": Text("Python {version}, {size} on disk", "Python {version}，占磁盘 {size}"),
    "report.installed": Text("{count} packages installed, {size} on disk", "安装 {count} 个软件包，占磁盘 {size}"),
    "report.file": Text("report    {path}", "报告      {path}"),
    "report.proven": Text("Proven {time} with the question: {question}", "于 {time} 验证，问题：{question}"),
    "report.speed": Text("tokens/s", "token/秒"),
    "report.first_token": Text("first token", "首个 token"),
    "report.load": Text("model loaded in", "模型加载"),
    "report.page_ready": Text("page ready in", "网页就绪"),
    "report.ram": Text("memory, at most", "内存峰值"),
    "report.gpu_memory": Text("GPU memory, at most", "显存峰值"),
    "report.memory": Text("GPU memory during the proof", "验证时的显存"),
    "report.memory_other": Text("other programs", "其他程序"),
    "report.memory_weights": Text("weights", "权重"),
    "report.memory_cache": Text("cache and workspace", "缓存与工作区"),
    "report.memory_runtime": Text("CUDA itself", "CUDA 自身"),
    "report.memory_free": Text("free", "空闲"),
    "report.check": Text("check", "检查项"),
    "report.verdict": Text("verdict", "结论"),
    "report.found": Text("found", "实际情况"),
    "report.cause": Text("cause", "原因"),
    "report.remedy": Text("to do", "处理"),
    "report.passed": Text("passed", "通过"),
    "report.not_passed": Text("not passed", "未通过"),
    "report.chart": Text(
        "GPU memory in GB by the tokens of a conversation, computed", "显存（GB）随对话 token 数的变化（计算值）"
    ),
    "report.limit_card": Text("this card", "本显卡"),
    "report.limit_free": Text("usable", "可用"),
    "report.system": Text("system", "系统"),
    "report.kernel": Text("kernel", "内核"),
    "report.ram_total": Text("memory", "内存"),
    "report.disk": Text("disk", "磁盘"),
    "report.disk_free": Text("{free} free", "空闲 {free}"),
    "report.device": Text("device", "设备"),
    "report.engine": Text("int4 engine", "int4 引擎"),
    "report.gpu": Text("GPU", "显卡 GPU"),
    "report.driver": Text("driver", "驱动程序"),
    "report.doctor_ok": Text("ok", "正常"),
    "report.doctor_repairable": Text("repairable", "可修复"),
    "report.doctor_yours": Text("yours", "需要你"),
    "report.doctor_unknown": Text("unknown", "未知"),
    "report.doctor_time": Text("Examined {time}.", "诊断时间 {time}。"),
    # playbooks/capacity.yml
    "capacity.card": Text("card", "显卡"),
    "capacity.total": Text("memory", "显存"),
    "capacity.free": Text("free", "空闲"),
    "capacity.fits": Text("fits", "能否运行"),
    "capacity.prompt": Text("longest prompt", "最长输入"),
    "capacity.conversation": Text("longest conversation (tokens)", "最长对话（token 数）"),
    "capacity.yes": Text("yes", "能"),
    "capacity.no": Text("no", "不能"),
    "capacity.all": Text("{tokens} (all the model takes)", "{tokens}（模型上限）"),
    "capacity.computed": Text(
        "All figures are computed from the model's shape, none is measured. ~ marks an assumption: a Windows desktop"
        " that holds {desktop}; {margin} are kept back. A question counts {question} tokens at most; a token is about"
        " 1.5 Chinese characters.",
        "所有数字均由模型结构计算得出，并非实测。~ 表示假设 Windows 桌面占用 {desktop}；另留 {margin} 余量。"
        "每个问题最多按 {question} 个 token 计；一个 token 约为 1.5 个汉字。",
    ),
    "capacity.good": Text("nothing to change.", "无需改动。"),
    "capacity.card_small": Text(
        "too small, even with nothing else on it: the model needs {needed} free. Expected: a card with 6 GB."
        " To do: -e chatglm_device=cpu (slow).",
        "显存太小，即使没有其他程序占用也不够：模型需要 {needed} 空闲显存。应为：6 GB 的显卡。"
        "处理：-e chatglm_device=cpu（很慢）。",
    ),
    "capacity.desktop": Text(
        "other programs hold {held}. Without them a conversation of {alone} tokens fits, now {tokens}. To do: close"
        " browsers and games on Windows (Task Manager, column GPU memory), or plug the screen into the other graphics.",
        "其他程序占用了 {held} 显存。没有它们可容纳 {alone} 个 token 的对话，现在只有 {tokens} 个。"
        "处理：在 Windows 上关闭浏览器和游戏（任务管理器的“GPU 内存”列），或把显示器接到核显上。",
    ),
    "capacity.desktop_full": Text(
        "other programs hold {held}, so the model does not fit: it needs {needed} free. To do: close browsers and games"
        " on Windows (Task Manager, column GPU memory), or plug the screen into the other graphics.",
        "其他程序占用了 {held} 显存，模型放不下：需要 {needed} 空闲显存。"
        "处理：在 Windows 上关闭浏览器和游戏（任务管理器的“GPU 内存”列），或把显示器接到核显上。",
    ),
    "capacity.assumed": Text(
        "its free memory is not known. To do: run nvidia-smi there when your usual programs are open.",
        "空闲显存未知。处理：打开平时使用的程序后，在那台机器上运行 nvidia-smi 查看。",
    ),
    "capacity.short": Text(
        "less than the {trained} tokens that the model was trained for. To do: press “Clear History” in time, or lower"
        " “Maximum length” on the page to {tokens}.",
        "不足模型训练时的 {trained} 个 token。处理：及时点击“Clear History”，"
        "或把页面上的“Maximum length”调到 {tokens}。",
    ),
    "capacity.kernels": Text(
        "compute capability {capability}: upstream's int4 kernels hold no code for it, so this project's own engine"
        " runs there, in plain torch: slower, with a little less memory, and not tried on such a card yet.",
        "计算能力 {capability}：上游的 int4 内核没有适合它的代码，所以在它上面运行的是本项目用纯 torch 写的引擎："
        "慢一些，显存略省，还没有在这种显卡上试过。",
    ),
    "capacity.torch": Text(
        "compute capability {capability}: neither pinned torch build holds code for it."
        " To do: -e chatglm_device=cpu (slow), or another card.",
        "计算能力 {capability}：锁定的两个 torch 版本都没有适合它的代码。"
        "处理：-e chatglm_device=cpu（很慢），或换一块显卡。",
    ),
    "capacity.none": Text(
        'no GPU was found. For a card that is not here: -e capacity_gpu="RTX 3060" -e capacity_memory_gb=6',
        '本机没有找到 GPU。要计算不在本机的显卡：-e capacity_gpu="RTX 3060" -e capacity_memory_gb=6',
    ),
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


def width(text: str) -> int:
    """Return the columns of a terminal that ``text`` takes: East Asian wide characters take two."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def fit(text: str, columns: int) -> str:
    """Return ``text`` cut to at most so many columns."""
    if width(text) <= columns:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > columns - 2:
            break
        kept += char
    return (kept + "..")[: max(0, columns)]


def spoken(setting: str, environment: Mapping[str, str]) -> str:
    """Return en or zh: ``setting`` (chatglm_language: en, zh or auto), or what the locale of ``environment`` says.

    C and POSIX say nothing: ./bootstrap sets C.UTF-8 where the user's own locale is not installed.
    """
    if setting in LANGUAGES:
        return setting
    values = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    told = next((value for value in values if value and value.partition(".")[0] not in {"C", "POSIX"}), "")
    return "zh" if told.startswith("zh") else "en"
