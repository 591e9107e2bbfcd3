"""Chinese for what fails and for preflight's report: texts found again by their English form.

Modules speak English, so that a message can be looked up anywhere; what a failure.Failure or plan.Refusal says is
said once more in the user's language (callback_plugins/translate.py). An entry's key is the English text with ``{}``
for each value, its value the Chinese one with ``{0}``, ``{1}``... tests/unit/language/ collects the texts from the code
itself, and fails for one without an entry.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

import functools
import re

from ..core import network_environment, network_remedy
from .messages import width

FOUND, EXPECTED, REMEDY = "发现：", "应为：", "处理："

CHINESE = {
    # several modules
    "run again": "再运行一次",
    "run the play again": "再运行一次",
    "run the play again with -vvv": "加上 -vvv 再运行一次",
    "correct it": "请更正",
    "correct {}": "更正 {0}",
    "an absolute path": "绝对路径",
    "the path {}": "路径 {0}",
    "give the whole path, from /": "给出从 / 开始的完整路径",
    "a readable file": "可读的文件",
    "move {} away": "把 {0} 移到别处",
    "{} is not a folder": "{0} 不是文件夹",
    "{} is a file": "{0} 是文件",
    "a folder, or nothing": "文件夹，或者什么都没有",
    "a PEM file on the host": "主机上的 PEM 文件",
    "{} cannot be read ({})": "{0} 读不了（{1}）",
    "owner/name": "形如 owner/name",
    "correct chatglm_model_repo": "更正 chatglm_model_repo",
    "a commit id of 40 hex digits": "40 位十六进制的提交号",
    "a full commit id of 40 hex digits": "完整的 40 位十六进制提交号",
    "commit {}": "提交 {0}",
    "numbers": "数字",
    "an error that this project does not foresee, at {}: {}": "本项目没有料到的错误，位于 {0}：{1}",
    "an error that this project does not foresee, at {}: {} (about {})": (
        "本项目没有料到的错误，位于 {0}：{1}（涉及 {2}）"
    ),
    "none: this is a fault of the project, not yours": "没有错误：这是本项目的问题，不是你的",
    "report it, with this text, the output of git log -1 in the project's folder, and what the same command prints "
    "with -vvv at its end; neither holds a password": (
        "请报告：附上这段文字、在项目目录里执行 git log -1 的输出，以及同一命令末尾加 -vvv 时的输出；这些都不含密码"
    ),
    "report it, with this text, the output of git log -1 in the project's folder, the file {}, and what the same "
    "command prints with -vvv at its end; neither holds a password": (
        "请报告：附上这段文字、在项目目录里执行 git log -1 的输出、文件 {0}，"
        "以及同一命令末尾加 -vvv 时的输出；这些都不含密码"
    ),
    # warnings and reasons
    "{} is not this installation's and stays; the command is {}": "{0} 不是本安装的，保持不动；命令是 {1}",
    "run the play again: it looks at that unit, and says what to do": "再运行一次：它会查看那个单元，并说明该做什么",
    "{} is not the engine's: it goes to {}": "{0} 不属于 int4 引擎：移到 {1}",
    "its digest is not known, and no hub could be asked for it": "不知道它的摘要，也问不到任何 hub",
    "the revision has no files": "这个版本里没有文件",
    "{} is no intact record, and is not used": "{0} 不是完好的记录，不予使用",
    "{} is built anew without the packages that were added by hand: {}": "{0} 重新建立，手工加装的软件包不再包含：{1}",
    "{} was at {}, which is kept as branch {}": "{0} 原在 {1}，已保留为分支 {2}",
    "{} was on branch {}, which is kept": "{0} 原在分支 {1}，该分支保留",
    "git could not read {} ({}): rebuilt; the old .git is {}": "git 读不了 {0}（{1}）：已重建；旧的 .git 在 {2}",
    "the file system of {} has no locks: see to it that no second run is at work there": (
        "{0} 所在的文件系统没有锁：请确保没有另一次运行同时在那里工作"
    ),
    "{}; a proof is due, which needs the port": "{0}；需要重新验证，而验证要用这个端口",
    "{} is missing ({})": "{0} 缺失（{1}）",
    "{} is damaged: {} bytes, it begins {}": "{0} 已损坏：{1} 字节，开头是 {2}",
    "{} is dropped: {} has no such argument": "去掉了 {0}：{1} 没有这个参数",
    "the load of {} is left as it is: another model": "{0} 的加载保持原样：是另一个模型",
    "{} is dropped: the model is int4 already, and is placed after its load": (
        "去掉了 {0}：模型已经是 int4，加载之后才放到设备上"
    ),
    "{} is left as it is": "{0} 保持原样",
    "the model is loaded on one GPU: several need accelerate, which is not installed, and int4 fits into one": (
        "模型加载到一块 GPU 上：用多块需要 accelerate，这里没有安装，而 int4 一块就放得下"
    ),
    "your own edit is kept; the settings would have made it {} instead of {}": (
        "保留了你自己的改动；按设置本应是 {0}，而不是 {1}"
    ),
    "its size too, which is part of what is hashed": "还有它的大小，那也是摘要的一部分",
    "there, but its digest is not known: the hub will be asked": "已在，但不知道它的摘要：将询问 hub",
    "it answers with commit {} instead of the pinned revision {}": "它给出的是提交 {0}，而不是锁定的版本 {1}",
    "{} is not an http or https address": "{0} 不是 http 或 https 地址",
    "the proxy {} is not an http:// proxy: the only kind supported": "代理 {0} 不是 http:// 代理：只支持这一种",
    "the certificate of {} is not trusted ({}): an intercepting proxy, or a wrong host": (
        "{0} 的证书不受信任（{1}）：有拦截流量的代理，或者主机不对"
    ),
    "the certificate of {} is outside its dates ({}); this host's clock says {}": (
        "{0} 的证书不在有效期内（{1}）；本机时钟显示 {2}"
    ),
    "the listing at {} is longer than {} bytes": "{0} 的列表超过 {1} 字节",
    "what is there is not whole": "已有的部分不完整",
    "there is no {}": "没有 {0}",
    "it gives the whole file where a part is asked for": "要的是一部分，它却给出整个文件",
    # the service
    "{} belongs to the installation in {}": "{0} 属于 {1} 里的安装",
    "{} is this installation's command; in terminals that are open now its short name, chatglm, is not found": (
        "{0} 是本安装的命令；在已打开的终端里，短名 chatglm 还找不到"
    ),
    "{} belongs to another program": "{0} 属于别的程序",
    "no other unit of that name": "没有别的同名单元",
    "sudo systemctl disable --now {} && sudo rm {}; or install this one without a service: -e chatglm_service=none": (
        "sudo systemctl disable --now {0} && sudo rm {1}；或者不装服务：-e chatglm_service=none"
    ),
    "the supervisor does not end": "后台的监管进程没有结束",
    "its end": "它结束",
    "{} stop; then look at {}/{}": "运行 {0} stop；再查看 {1}/{2}",
    "the supervisor has ended at once": "后台的监管进程一启动就结束了",
    "a supervisor that runs": "监管进程在运行",
    "look at {}": "查看 {0}",
    "look at {} --unit {}": "查看 {0} --unit {1}",
    "systemd cannot make the folders and devices that the chat may see (226/NAMESPACE)": (
        "systemd 无法建立对话可见的目录和设备（226/NAMESPACE）"
    ),
    "a host that may make mount namespaces; a container needs the right CAP_SYS_ADMIN for that": (
        "可以建立挂载命名空间的主机；容器为此需要 CAP_SYS_ADMIN 权限"
    ),
    "give it that right, or do without a service: -e chatglm_service=none": (
        "给它这个权限，或者不装服务：-e chatglm_service=none"
    ),
    "systemctl {} ended with status {}: {}": "systemctl {0} 以状态 {1} 结束：{2}",
    "status 0": "状态 0",
    "port {} is held by {}": "端口 {0} 被占用：{1}",
    "the page of the service": "服务自己的网页",
    "stop that process, then run the play again": "停止那个进程，再运行一次",
    "an empty answer: the page is there, but its chat is dead": "回答是空的：网页在，但对话没有应答",
    "a text": "一段文字",
    "the service has ended: {}": "服务已结束：{0}",
    "a chat that runs": "对话在运行",
    "no page at {} within {} s": "{1} 秒内 {0} 没有网页",
    "a page": "网页",
    "the service chatglm runs, and holds the port and the memory that a proof needs": (
        "服务 chatglm 在运行，占着证明所需的端口和内存"
    ),
    "the right to stop it": "停止它的权限",
    "if sudo asks for a password, run again with --ask-become-pass; or first: {} stop": (
        "如果 sudo 要密码，请加上 --ask-become-pass 再运行；或先运行 {0} stop"
    ),
    # becoming root
    "this host has no {}": "这台主机没有 {0}",
    "{}, by which {} becomes root": "{0}，{1} 用它取得 root 权限",
    "{}, then run the same command again": "{0}，再运行一次同样的命令",
    "{}, log in anew, then run the same command again": "{0}，重新登录，再运行一次同样的命令",
    "{}, then run the same command again with --ask-become-pass": ("{0}，再加上 --ask-become-pass 运行一次同样的命令"),
    "WSL, from Windows: {}": "WSL 里从 Windows 运行：{0}",
    "{} does not let {} become root on this host": "这台主机的 {0} 不允许用户 {1} 取得 root 权限",
    "a user in the group sudo, or another with that right": "sudo 组里的用户，或有此权限的其他用户",
    "the password of {} on this host has expired": "用户 {0} 在这台主机上的密码已过期",
    "one that is valid": "有效的",
    "passwd on that host, as that user, then run the same command again with the new one": (
        "在那台主机上以该用户运行 passwd，再用新密码运行一次同样的命令"
    ),
    "the account of {} on this host has expired or is locked": "用户 {0} 在这台主机上的账户已过期或被锁定",
    "the password of {} on this host is locked, or was never set": "用户 {0} 在这台主机上的密码被锁定，或从未设置",
    "one, which {} asks for": "设置好的密码，{0} 会问它",
    "{} on this host asks {} for a password, and none was given": "这台主机的 {0} 要用户 {1} 的密码，而没有给出",
    "the password": "密码",
    "run the same command again with --ask-become-pass": "加上 --ask-become-pass 再运行一次同样的命令",
    "{} on this host does not take the password that was given for {}": ("这台主机的 {0} 不接受给出的密码（用户 {1}）"),
    "the password of {} there": "那里 {0} 的密码",
    "type it again (--ask-become-pass), or correct the file or the vault that holds it; where it is forgotten: {}": (
        "重新输入（--ask-become-pass），或更正存放它的文件或 vault；忘记了的话：{0}"
    ),
    "{} failed on this host (status {}): {}": "这台主机上的 {0} 失败了（状态 {1}）：{2}",
    "that this works there: sudo true": "那里能运行：sudo true",
    "sudo true on that host, as that user; mend what it says, then run the same command again": (
        "在那台主机上以该用户运行 sudo true，按它说的修好，再运行一次同样的命令"
    ),
    "{}; or do without a service: -e chatglm_service=none": "{0}；或者不装服务：-e chatglm_service=none",
    "{}; or first: {} stop": "{0}；或先运行 {1} stop",
    "{}; or use the virtualenv's, without root: -e cuda_libs_origin=virtualenv": (
        "{0}；或者用虚拟环境里的，不需要 root：-e cuda_libs_origin=virtualenv"
    ),
    "process {} does not end": "进程 {0} 没有结束",
    "the end of the chat in the background": "后台的对话结束",
    "run {} stop": "运行 {0} stop",
    "POST /login answered {}": "POST /login 的回应是 {0}",
    "the password of {}": "用户 {0} 的密码",
    "a chat page that was started by hand, process {}, while something is to be looked at or mended": (
        "手动启动的聊天网页在运行（进程 {0}），而有东西需要检查或修复"
    ),
    "its port and its memory free": "它的端口和内存是空闲的",
    "stop it with Ctrl+C in its terminal, or: kill {}; then run again": (
        "在它的终端按 Ctrl+C，或运行 kill {0}；然后再运行一次"
    ),
    "chatglm_listen is {}, where others reach the chat, and chatglm_page_password is empty": (
        "chatglm_listen 是 {0}，他人可以访问对话，而 chatglm_page_password 是空的"
    ),
    "a password, or an address of this machine only": "密码，或者只限本机的地址",
    "set chatglm_page_password in a vault, or leave chatglm_listen out": (
        "在 vault 里设置 chatglm_page_password，或者不写 chatglm_listen"
    ),
    "chatglm_app is streamlit, which can ask for no password, and chatglm_page_password is set": (
        "chatglm_app 是 streamlit，它不能要求密码，而设置了 chatglm_page_password"
    ),
    "chatglm_app is streamlit, which can ask for no password, and chatglm_listen is {}": (
        "chatglm_app 是 streamlit，它不能要求密码，而 chatglm_listen 是 {0}"
    ),
    "no password, and an address of this machine only; or web_demo, or openai_api": (
        "不设密码，并且是只限本机的地址；或者 web_demo、openai_api"
    ),
    "leave out chatglm_page_password and chatglm_listen, or choose another chatglm_app": (
        "去掉 chatglm_page_password 和 chatglm_listen，或者换一个 chatglm_app"
    ),
    "chatglm_page_password has {} characters": "chatglm_page_password 有 {0} 个字符",
    "8 or more, of ASCII without spaces": "8 个或更多 ASCII 字符，不含空格",
    "choose another": "换一个",
    # files.py
    "{} cannot be used ({})": "{0} 无法使用（{1}）",
    "{} cannot be used ({}), it belongs to {}": "{0} 无法使用（{1}），它属于 {2}",
    "room on the disk, for bytes and for files": "磁盘上有空间，也有空闲的 inode",
    "make room (look at: df -h {}; df -i {}), then run again; what is good is kept": (
        "腾出空间（查看：df -h {0}; df -i {1}），再运行一次；已经好的部分会保留"
    ),
    "a file system that can be written": "可写的文件系统",
    "mount it for writing (after a fault of the disk: look at dmesg), then run again": (
        "以可写方式挂载（磁盘出过错时请看 dmesg），再运行一次"
    ),
    "it to be there": "它存在",
    "run again, unless {} was meant to be elsewhere": "再运行一次，除非 {0} 本该在别处",
    "a file of this project in that place, or nothing": "那里是本项目的文件，或者什么都没有",
    "move {} away, then run again": "把 {0} 移到别处，再运行一次",
    "a file that {} may read and write": "{0} 可读写的文件",
    "sudo chown -R {} {}; then run again": "sudo chown -R {0} {1}；再运行一次",
    "chmod u+rwX {}; then run again": "chmod u+rwX {0}；再运行一次",
    "ls -ld {} shows who may write; where lsattr -d {} shows an i: sudo chattr -i {}; then run again": (
        "ls -ld {0} 显示谁可以写；如果 lsattr -d {1} 显示 i：sudo chattr -i {2}；再运行一次"
    ),
    "{} at commit {}, where another run has brought it meanwhile": "{0} 在提交 {1}，是另一次运行在此期间换过去的",
    "commit {}, as this run left it": "提交 {0}，与本次运行留下的一致",
    "run again, with the settings that are to hold": "用应当生效的设置再运行一次",
    "folders that are read-only by their mode: {}": "按权限位只读的目录：{0}",
    "write permission for {}, whose folders they are": "{0} 对自己的这些目录有写入权限",
    # what a run is at, for those who wait for it
    "process {} of {}, since {}, {}": "{1} 的进程 {0}，始于 {2}，{3}",
    "a process that gives no name": "一个没有说明身份的进程",
    "waited {} s for {}": "等待了 {0} 秒：{1}",
    "setting up the service": "正在设置服务",
    "starting the service": "正在启动服务",
    "stopping the service": "正在停止服务",
    "starting the chat": "正在启动聊天",
    "proving the chat": "正在证明对话",
    "fetching {} into {}": "正在把 {0} 下载到 {1}",
    "clearing up in {}": "正在清理 {0}",
    "patching {}": "正在给 {0} 打补丁",
    "sealing {}": "正在记录 {0} 的状态",
    "linking the CUDA libraries": "正在链接 CUDA 库",
    "bringing {} to commit {}": "正在把 {0} 换到提交 {1}",
    "removing {}": "正在删除 {0}",
    "setting up the Windows side": "正在设置 Windows 一侧",
    "renewing the record of {}": "正在更新 {0} 的记录",
    "clearing up after {}": "正在清理 {0} 的残留",
    "verifying {}": "正在校验 {0}",
    "mending {}": "正在修复 {0}",
    "building {}": "正在建立 {0}",
    "building anew {}": "正在重建 {0}",
    # warnings of several modules
    "the demo will listen on {} (chatglm_listen): others on that network can use it, without a password": (
        "演示将监听 {0}（chatglm_listen）：该网络上的他人不用密码就能使用"
    ),
    "files of no package were in {}; they are kept as {}": "{0} 里有不属于任何软件包的文件，已保留为 {1}",
    "{}: your own edits are kept: {}": "{0}：你自己的修改会保留：{1}",
    # the doctor
    "your own packages in the virtualenv, which are kept: {}": "虚拟环境里你自己的软件包，会保留：{0}",
    "your own packages in the virtualenv, which a virtualenv that is built anew will lack: {}": (
        "虚拟环境里你自己的软件包，重建之后不会再有：{0}"
    ),
    "files of yours in the virtualenv, which are kept: {}": "虚拟环境里你自己的文件，会保留：{0}",
    "other files beside the weights, which are kept: {}": "权重旁边的其他文件，会保留：{0}",
    "can be looked at": "可以检查",
    "not looked at": "没有检查",
    "nothing to look at": "没有可检查的",
    "left to you (cuda_libs_install)": "由你自己安装（cuda_libs_install）",
    "{} does not load": "{0} 加载不了",
    "pyvenv.cfg was edited": "pyvenv.cfg 被改动过",
    "the packages are as locked: look for the library or file that the error names": (
        "软件包与锁定的一致：请查找报错点名的库或文件"
    ),
    "torch was not asked": "没有询问 torch",
    "kill {}, then {}/bin/chatglm-run": "kill {0}，然后运行 {1}/bin/chatglm-run",
    "{} tokens of {}": "{1} 的 {0} 个 token",
    "{}, which loopback goes through too; the launcher unsets them": "{0}，回环地址也经过它；启动脚本会取消这些设置",
    "{}; the launcher unsets them": "{0}；启动脚本会取消这些设置",
    "our own page, process {} ({})": "我们自己的网页，进程 {0}（{1}）",
    "our own page, process {} ({}); a proof is due, which needs the port": (
        "我们自己的网页，进程 {0}（{1}）；需要证明对话，要用这个端口"
    ),
    "held by another program: see port": "被另一个程序占用：见 port",
    "held by the service, process {}; a run stops it where that is needed": (
        "服务正在使用，进程 {0}；需要时运行会停止它"
    ),
    "GET / answers {}": "GET / 的回应是 {0}",
    "GET / is not answered: {}": "GET / 没有回应：{0}",
    "curl.exe on Windows: {}": "Windows 的 curl.exe：{0}",
    "the probe {} saw nothing": "检测 {0} 没有看到什么",
    "the model runs on the CPU": "模型在 CPU 上运行",
    "{} may write in {}": "{0} 可以写 {1}",
    "{} available, {} swap free": "可用 {0}，空闲交换空间 {1}",
    "{} free on {}": "{1} 空闲 {0}",
    # why a proof is due
    "asked for": "按要求",
    "never proven": "从未证明过",
    "the last proof failed": "上次证明失败",
    "changed in this run: {}": "本次运行中有改动：{0}",
    "{} changed": "{0} 有变化",
    "the test itself": "测试本身",
    "the record": "记录",
    # roles
    "no CUDA libraries are needed: {}": "不需要 CUDA 库：{0}",
    "cuda_libs_install is never": "cuda_libs_install 是 never",
    "the device is cpu": "设备是 cpu",
    "would install {}": "将会安装 {0}",
    "would remove {}": "将会删除 {0}",
    "that this works as root; nothing below chatglm_home was removed": (
        "以 root 身份能成功；chatglm_home 之下什么都没有删除"
    ),
    "mend what it says, then run the same command again": "按它说的修好，再运行一次同样的命令",
    "uv could not be copied to {} ({})": "uv 无法复制到 {0}（{1}）",
    "a folder of this user with 40 MB free": "属于这个用户、有 40 MB 空间的文件夹",
    "make room there, or correct the owner (df -h, ls -ld {}), then run again": (
        "在那里腾出空间，或更正所有者（df -h, ls -ld {0}），再运行一次"
    ),
    "no uv on the control side": "控制端没有 uv",
    "the Python package uv in its environment": "它的环境里有 Python 软件包 uv",
    "start the playbook with ./bootstrap, or name a uv binary on the host with -e virtualenv_uv=PATH": (
        "用 ./bootstrap 启动 playbook，或用 -e virtualenv_uv=路径 指定主机上的 uv"
    ),
    "capacity_memory_gb is {}": "capacity_memory_gb 是 {0}",
    "not set": "未设置",
    "the memory of {} in GB": "{0} 的显存（GB）",
    'for example -e capacity_gpu="RTX 3060" -e capacity_memory_gb=6': (
        '例如 -e capacity_gpu="RTX 3060" -e capacity_memory_gb=6'
    ),
    # lock.py
    "another run at work on this installation{}: {} ({})": "另一个运行正在改动这个安装{0}：{1}（{2}）",
    "one run at a time": "同一时间只有一个运行",
    "wait for it to end, then run again (chatglm_lock_timeout: how many seconds a run waits by itself)": (
        "等它结束再运行一次（chatglm_lock_timeout：运行自己等待的秒数）"
    ),
    # uninstall.py, windows_side.py
    "the page does not end: {}": "页面没有结束：{0}",
    "it to end when it is told so": "收到通知后结束",
    "stop it, then run again": "停止它，再运行一次",
    "chatglm_home is {}, which holds more than an installation": "chatglm_home 是 {0}，其中不只有一个安装",
    "the folder that site.yml has filled, such as ~/chatglm": "site.yml 建立的文件夹，例如 ~/chatglm",
    "name it: -e chatglm_home=PATH": "指明它：-e chatglm_home=路径",
    "{} holds no records of an installation (state/)": "{0} 中没有安装的记录（state/）",
    "a folder that site.yml has filled": "site.yml 建立的文件夹",
    "name the right one: -e chatglm_home=PATH; what is in this one is yours to remove": (
        "指明正确的文件夹：-e chatglm_home=路径；这一个里面的内容由您自行删除"
    ),
    "programs of the installation are at work: {}": "安装中的程序正在运行：{0}",
    "none but the page, which is stopped": "只有页面，它会被停止",
    "stop them, then run again": "停止它们，再运行一次",
    "{} is no text ({})": "{0} 不是文本（{1}）",
    "text in UTF-8 or UTF-16": "UTF-8 或 UTF-16 的文本",
    "look at it with an editor, and save it as UTF-8": "用编辑器查看，并存为 UTF-8",
    # roles/chatglm/vars
    'chatglm_source_version is "{}"': "chatglm_source_version 是“{0}”",
    "a full commit id of 40 hex digits (a branch or tag can move, and what it names would be executed unverified)": (
        "完整的 40 位十六进制提交号（分支和标签会移动，它指向的内容会不经校验就被执行）"
    ),
    "git ls-remote {} shows the ids": "git ls-remote {0} 列出提交号",
    'chatglm_model_revision is "{}"': "chatglm_model_revision 是“{0}”",
    "a full commit id of 40 hex digits (a branch can move, and what it names would be executed unverified)": (
        "完整的 40 位十六进制提交号（分支会移动，它指向的内容会不经校验就被执行）"
    ),
    'copy the id from the "Files" page of the model on the hub': "从 hub 上模型的 Files 页面复制提交号",
    'chatglm_model_repo is "{}"': "chatglm_model_repo 是“{0}”",
    "for example -e chatglm_model_repo=THUDM/chatglm2-6b-int4": "例如 -e chatglm_model_repo=THUDM/chatglm2-6b-int4",
    'chatglm_hub_endpoint is "{}"': "chatglm_hub_endpoint 是“{0}”",
    "an address that starts with https://": "以 https:// 开头的地址",
    "-e chatglm_hub_endpoint=https://hf-mirror.com, or leave it out": (
        "-e chatglm_hub_endpoint=https://hf-mirror.com，或去掉这项设置"
    ),
    "chatglm_port is {}": "chatglm_port 是 {0}",
    "1024 to 65535 (lower ports need root)": "1024 到 65535（更小的端口需要 root）",
    "for example -e chatglm_port=7860": "例如 -e chatglm_port=7860",
    'chatglm_home is "{}"': "chatglm_home 是“{0}”",
    "an absolute path, or one below ~, of a folder of its own": "绝对路径或 ~ 之下的路径，指向单独的文件夹",
    "for example -e chatglm_home=~/chatglm": "例如 -e chatglm_home=~/chatglm",
    "chatglm_model_sources is empty": "chatglm_model_sources 是空的",
    "at least one source": "至少一个来源",
    "leave it out for the defaults": "去掉这项设置，使用默认值",
    # host_facts
    "inject names {}": "inject 里有 {0}",
    "names of facts: {}": "facts 的名字：{0}",
    "home is {}": "home 是 {0}",
    "set chatglm_home to one": "把 chatglm_home 设为绝对路径",
    "port is {}": "端口是 {0}",
    "port {}": "端口 {0}",
    "a number from 1 to 65535": "1 到 65535 的数字",
    "a port from 1 to 65535": "1 到 65535 的端口",
    "set chatglm_port to one": "把 chatglm_port 设为这样的数字",
    "set chatglm_port": "设置 chatglm_port",
    "ca_bundle is {}, which cannot be read": "ca_bundle 是 {0}，读不了",
    "correct the path": "更正路径",
    "environment_gb holds {}": "environment_gb 里有 {0}",
    "inject has a value of the wrong shape ({}: {})": "inject 里的值结构不对（{0}：{1}）",
    "the structure of the returned facts": "与返回的 facts 相同的结构",
    "compare with: ansible-doc -M library -t module host_facts": ("对照：ansible-doc -M library -t module host_facts"),
    # plan.py: the GPU
    "run again with -e chatglm_device=cpu (slow, needs no GPU)": (
        "加上 -e chatglm_device=cpu 再运行一次（慢，不需要 GPU）"
    ),
    "NVIDIA driver {}, which supports CUDA {}": "NVIDIA 驱动 {0}，支持到 CUDA {1}",
    "NVIDIA driver {}": "NVIDIA 驱动 {0}",
    "of unknown number": "（版本不明）",
    "driver {} or newer (CUDA {}) for a GPU of compute capability {}": (
        "计算能力 {2} 的 GPU 需要驱动 {0} 或更新（CUDA {1}）"
    ),
    "install the current driver on Windows from https://www.nvidia.com/drivers, then in PowerShell: wsl --shutdown": (
        "在 Windows 上安装最新驱动（https://www.nvidia.com/drivers），再在 PowerShell 里运行：wsl --shutdown"
    ),
    "install the driver package of your distribution, version {} or newer, and reboot": (
        "安装发行版的驱动软件包（{0} 或更新），然后重启"
    ),
    "an NVIDIA GPU that libcuda can use": "libcuda 能用的 NVIDIA GPU",
    "libcuda: {} ({})": "libcuda：{0}（{1}）",
    "libcuda: {}": "libcuda：{0}",
    "no GPU": "没有 GPU",
    "a GPU that Windows shares with WSL": "Windows 与 WSL 共享的 GPU",
    "in PowerShell: wsl --update; wsl --shutdown; then update the NVIDIA driver on Windows": (
        "在 PowerShell 里运行：wsl --update; wsl --shutdown；再更新 Windows 上的 NVIDIA 驱动"
    ),
    "no /dev/dxg: WSL offers no GPU; {}": "没有 /dev/dxg：WSL 不提供 GPU；{0}",
    "in PowerShell: wsl --update; wsl --shutdown (Windows 10 21H2 or newer); or {}": (
        "在 PowerShell 里运行：wsl --update; wsl --shutdown（需要 Windows 10 21H2 或更新）；或者：{0}"
    ),
    "{} (looked in {}, then where the loader looks)": "{0}（找过 {1}，又找过加载器会找的地方）",
    "{}/libcuda.so.1, which the NVIDIA driver on Windows brings": "{0}/libcuda.so.1，由 Windows 上的 NVIDIA 驱动带来",
    "install or update the NVIDIA driver on Windows, then in PowerShell: wsl --shutdown; never a Linux driver inside "
    "WSL. Without an NVIDIA GPU: {}": (
        "在 Windows 上安装或更新 NVIDIA 驱动，再在 PowerShell 里运行：wsl --shutdown；切勿在 WSL 里装 Linux 驱动。"
        "没有 NVIDIA GPU 时：{0}"
    ),
    "update the driver on Windows, then in PowerShell: wsl --shutdown; or {}": (
        "更新 Windows 上的驱动，再在 PowerShell 里运行：wsl --shutdown；或者：{0}"
    ),
    "reboot, or mend the driver; or {}": "重启，或修好驱动；或者：{0}",
    "update the NVIDIA driver on Windows, then in PowerShell: wsl --shutdown; without an NVIDIA GPU {}": (
        "更新 Windows 上的 NVIDIA 驱动，再在 PowerShell 里运行：wsl --shutdown；没有 NVIDIA GPU 时：{0}"
    ),
    "{}, whose compute capability neither libcuda nor nvidia-smi tells": (
        "{0}，libcuda 和 nvidia-smi 都没说出它的计算能力"
    ),
    "a driver that tells it": "能说出计算能力的驱动",
    "update the NVIDIA driver; or {}": "更新 NVIDIA 驱动；或者：{0}",
    "{}, compute capability {}": "{0}，计算能力 {1}",
    "{}, compute capability {}, and chatglm_engine is upstream": "{0}，计算能力 {1}，而 chatglm_engine 是 upstream",
    "run again with -e chatglm_engine=auto (an int4 engine that needs no such kernels)": (
        "加 -e chatglm_engine=auto 再运行一次（不需要这种内核的 int4 引擎）"
    ),
    "one of {}: the model's int4 kernels are machine code for these alone, nothing that a driver could translate for "
    "others": "{0} 之一：模型的 int4 内核只有这些型号的机器码，驱动无法为其他型号翻译",
    "5.0 to 9.0 (torch 2.7.1), 10.x or 12.x (torch 2.8.0)": "5.0 至 9.0（torch 2.7.1），10.x 或 12.x（torch 2.8.0）",
    "{} with {}": "{0}，{1}",
    "{} GB of GPU memory for the int4 model": "int4 模型需要 {0} GB 显存",
    "{} free of {} on {}": "{2} 共 {1}，空闲 {0}",
    "{} GB free": "空闲 {0} GB",
    "close what uses the GPU (browser, games, another model; see nvidia-smi), then run again; to try all the same: "
    "-e preflight_min_gpu_memory_gb={}": (
        "关掉占用 GPU 的程序（浏览器、游戏、另一个模型；nvidia-smi 可查），再运行一次；仍要一试："
        "-e preflight_min_gpu_memory_gb={0}"
    ),
    "a Linux NVIDIA driver is installed inside WSL: {}; the loader takes {}": (
        "WSL 里装了 Linux 的 NVIDIA 驱动：{0}；加载器用的是 {1}"
    ),
    "a Linux NVIDIA driver is installed inside WSL: {}": "WSL 里装了 Linux 的 NVIDIA 驱动：{0}",
    "only the driver on Windows, whose libraries are in {}": "只有 Windows 上的驱动，它的库在 {0}",
    "sudo apt-get purge -y {} && sudo ldconfig; then in PowerShell: wsl --shutdown": (
        "sudo apt-get purge -y {0} && sudo ldconfig；再在 PowerShell 里运行：wsl --shutdown"
    ),
    "the loader takes {}": "加载器用的是 {0}",
    "{}/libcuda.so.1, the driver on Windows": "{0}/libcuda.so.1，即 Windows 上的驱动",
    "sudo rm {} && sudo ldconfig   (left by a Linux driver; dpkg -S {} names its package)": (
        "sudo rm {0} && sudo ldconfig   （Linux 驱动留下的；dpkg -S {1} 说出它属于哪个软件包）"
    ),
    "{}/libcuda.so.1 exists, but the loader does not look there": "{0}/libcuda.so.1 存在，但加载器不去那里找",
    "the folder in the loader's cache, or torch finds no GPU": "这个文件夹在加载器的缓存里，否则 torch 找不到 GPU",
    # plan.py: the rest of the host
    "no Python 3.12, 3.11 or 3.10; interpreters: {}": "没有 Python 3.12、3.11 或 3.10；现有解释器：{0}",
    "one of them: {}": "其中之一：{0}",
    "no unmodified combination of transformers and the model's code exists for others": (
        "其他版本没有不经修改就能配上模型代码的 transformers"
    ),
    "no Python 3.12, 3.11 or 3.10, and virtualenv_python_source is host; interpreters: {}": (
        "没有 Python 3.12、3.11 或 3.10，而 virtualenv_python_source 是 host；解释器：{0}"
    ),
    "one of them on the host: {}": "主机上有其中一个：{0}",
    "leave virtualenv_python_source out, and uv brings a Python along": (
        "不设 virtualenv_python_source，就由 uv 带来一个 Python"
    ),
    "name one with -e preflight_python=PATH": "用 -e preflight_python=路径 指定一个",
    "preflight_python is {}, and virtualenv_python_source is managed": (
        "preflight_python 是 {0}，而 virtualenv_python_source 是 managed"
    ),
    "one of the two": "两者之一",
    "leave one of them out": "去掉其中一个",
    "preflight_python is {}, which {}": "preflight_python 是 {0}：{1}",
    "a Python 3.12, 3.11 or 3.10 ({})": "Python 3.12、3.11 或 3.10（{0}）",
    "name one with -e preflight_python=PATH, or leave the setting out to have it found": (
        "用 -e preflight_python=路径 指定一个，或去掉这项设置，让程序自己找"
    ),
    "WSL version 1 (kernel {})": "WSL 版本 1（内核 {0}）",
    "WSL version 2: version 1 has no GPU and no Linux kernel": "WSL 版本 2：版本 1 没有 GPU，也没有 Linux 内核",
    "in PowerShell: wsl --set-version {} 2   (wsl --list --verbose shows the names)": (
        "在 PowerShell 里运行：wsl --set-version {0} 2   （wsl --list --verbose 列出名字）"
    ),
    "x86_64: the locked packages are for this architecture only": "x86_64：锁定的软件包只有这种架构的",
    "use a 64-bit Intel or AMD machine": "换一台 64 位 Intel 或 AMD 的机器",
    "the clock says {}": "时钟显示 {0}",
    "a date after 2025-01-01: TLS rejects every certificate before": (
        "2025-01-01 之后的日期：更早的话 TLS 会拒绝所有证书"
    ),
    "no git on PATH": "PATH 上没有 git",
    "git, which fetches the source repository": "git，用来取源码仓库",
    "no gcc on PATH": "PATH 上没有 gcc",
    "sudo apt-get update; sudo apt-get install -y gcc; or leave chatglm_engine out": (
        "sudo apt-get update; sudo apt-get install -y gcc；或不设 chatglm_engine"
    ),
    "gcc: on a CPU the model compiles its int4 kernel when it is loaded": "gcc：在 CPU 上，模型加载时要编译 int4 内核",
    "{}:{} is not to be had: {}": "{0}:{1} 不可用：{2}",
    "process {} ({})": "进程 {0}（{1}）",
    "another program": "另一个程序",
    "a free port for the chat page": "给聊天页面的空闲端口",
    "stop it (kill {}), or choose another port: -e chatglm_port={}": (
        "停掉它（kill {0}），或换一个端口：-e chatglm_port={1}"
    ),
    "choose another port: -e chatglm_port={}": "换一个端口：-e chatglm_port={0}",
    "a folder, for {}": "文件夹，给 {0} 用",
    "remove or rename it, or choose another place: -e chatglm_home=PATH": (
        "删除或改名，或者换个地方：-e chatglm_home=路径"
    ),
    "{} may not write in {}": "{0} 不能写 {1}",
    "write permission, for {}": "写权限，给 {0} 用",
    "files of another user that {} may not write: {}": "{0} 不能写的、属于别的用户的文件：{1}",
    "everything under {} to belong to {} (left by a run with sudo?)": (
        "{0} 下的一切都属于 {1}（是用 sudo 运行时留下的吗？）"
    ),
    "{} is mounted noexec": "{0} 是以 noexec 方式挂载的",
    "{} is of type {}": "{0} 是 {1} 类型的",
    "a file system for {} that runs programs and holds symbolic links": "能运行程序、能放符号链接的文件系统，给 {0} 用",
    "choose another place: -e chatglm_home=PATH": "换个地方：-e chatglm_home=路径",
    "an answer within 5 s": "5 秒内有回答",
    "an answer of at least one within 5 s": "至少一个在 5 秒内有回答",
    "name your company's certificates: -e chatglm_ca_bundle=/path/on/the/host.pem": (
        "给出公司的证书：-e chatglm_ca_bundle=/主机上的/路径.pem"
    ),
    "check the network and the proxy (https_proxy), or set another source: {}; to go on all the same: "
    "-e preflight_check_sources=never": (
        "检查网络和代理（https_proxy），或设置别的来源：{0}；仍要继续：-e preflight_check_sources=never"
    ),
    "check the network and the proxy (https_proxy), or set another source: see README.md, Settings; to go on all the "
    "same: -e preflight_check_sources=never": (
        "检查网络和代理（https_proxy），或设置别的来源（见 README.zh-CN.md 的设置）；仍要继续："
        "-e preflight_check_sources=never"
    ),
    "{}, together {}": "{0}，共 {1}",
    "{} of memory available and {} of swap free": "可用内存 {0}，空闲交换空间 {1}",
    "{} GB in all to load the model": "加载模型共需 {0} GB",
    "write the lines [wsl2], memory={}GB and swap={}GB into %UserProfile%\\.wslconfig on Windows, then in PowerShell: "
    "wsl --shutdown": (
        "在 Windows 的 %UserProfile%\\.wslconfig 里写入 [wsl2]、memory={0}GB 和 swap={1}GB 三行，"
        "再在 PowerShell 里运行：wsl --shutdown"
    ),
    "close programs, or add swap: sudo fallocate -l {}G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile "
    "&& sudo swapon /swapfile": (
        "关掉一些程序，或增加交换空间：sudo fallocate -l {0}G /swapfile && sudo chmod 600 /swapfile && "
        "sudo mkswap /swapfile && sudo swapon /swapfile"
    ),
    "{} free on {} ({})": "{1}（{2}）空闲 {0}",
    "{} for what is still to be installed": "还要安装的部分需要 {0}",
    "free some space there, or choose another place: -e chatglm_home=PATH": (
        "在那里腾出空间，或换个地方：-e chatglm_home=路径"
    ),
    # plan.py: warnings and notes
    "{}: too little to load the model once more ({} GB)": "{0}：不够再加载一次模型（{1} GB）",
    "{}: just enough to load the model, close other programs": "{0}：刚够加载模型，请关掉其他程序",
    "{} is on a Windows drive ({}, {}): loading is several times slower there, and permissions are Windows'; a folder "
    "of Linux's own, such as ~/chatglm, is better": (
        "{0} 在 Windows 盘上（{1}，{2}）：那里加载要慢好几倍，权限也由 Windows 管；"
        "最好用 Linux 自己的文件夹，例如 ~/chatglm"
    ),
    "{}; put right for this run, to mend it: {}": "{0}；这次运行已改正，要彻底改好：{1}",
    "{}; nothing is fetched that way now, to mend it: {}": "{0}；现在没有要这样下载的，要改好：{1}",
    "mend that variable: {}": "把这个变量改好：{0}",
    "{}; then run again (for good where it is set: ~/.profile, /etc/environment, inventory)": (
        "{0}；再运行一次（要长久有效，就在设置它的地方改：~/.profile、/etc/environment、inventory）"
    ),
    network_remedy.WSL_NAMES: (
        "在 PowerShell 里：wsl --shutdown，再打开 WSL；如果还是找不到域名，给它指定服务器："
        "printf '[network]\\ngenerateResolvConf=false\\n' | sudo tee -a /etc/wsl.conf && "
        "sudo rm -f /etc/resolv.conf && echo nameserver 223.5.5.5 | sudo tee /etc/resolv.conf"
    ),
    "{}: {}; another source answers": "{0}：{1}；另一个来源有回答",
    "not observed but given (preflight_inject): {}": "不是看到的，而是给定的（preflight_inject）：{0}",
    "how much memory is free on {} is unknown (nvidia-smi does not tell)": "{0} 空闲多少显存不明（nvidia-smi 没说）",
    "{} free on {}: enough for short conversations, {} GB are needed for long ones; close what uses the GPU on "
    "Windows": "{1} 空闲 {0}：够短对话，长对话需要 {2} GB；请关掉 Windows 上占用 GPU 的程序",
    "{} free on {}: enough for short conversations, {} GB are needed for long ones": (
        "{1} 空闲 {0}：够短对话，长对话需要 {2} GB"
    ),
    "{} GPUs; number {} is used ({})": "{0} 块 GPU；使用第 {1} 块（{2}）",
    "the int4 engine torch is unproven on this card ({}): proven here by the run's own check": (
        "int4 引擎 torch 还没有在这块显卡（{0}）上证明过：由本次运行自己的检查在这里证明"
    ),
    # plan.py: the report
    "{}, {}, systemd": "{0}，{1}，有 systemd",
    "{}, {}, without systemd": "{0}，{1}，没有 systemd",
    "{} in WSL {}": "{0}（WSL {1}）",
    "{} ({} available), swap {} ({} free)": "{0}（可用 {1}），交换空间 {2}（空闲 {3}）",
    "{} free under {} ({}); still needed: {}": "{1} 下空闲 {0}（{2}）；还需要 {3}",
    "cpu, as asked": "cpu，按你的设置",
    "cuda  {}, {} ({} free), compute capability {}, {}": "cuda  {0}，{1}（空闲 {2}），计算能力 {3}，{4}",
    "none  {}, {} ({} free), compute capability {}, {}": "无  {0}，{1}（空闲 {2}），计算能力 {3}，{4}",
    "none: no NVIDIA GPU found": "无：没有找到 NVIDIA GPU",
    "none of 3.12, 3.11, 3.10": "没有 3.12、3.11、3.10",
    "{}  brought along by uv": "{0}  由 uv 带来",
    "driver unknown": "驱动不明",
    "unknown": "不明",
    "{}; its libraries: the system's, apt's, else the virtualenv's own": (
        "{0}；它的库：系统已有的、apt 的，否则用虚拟环境自带的"
    ),
    "torch: this project's own, in plain torch": "torch：本项目自己的，用纯 torch 写成",
    "upstream: the model's own kernels": "upstream：模型自带的内核",
    "{} (free)": "{0}（空闲）",
    "{} (held by the service)": "{0}（服务正在使用）",
    "{} (held by our own demo)": "{0}（我们自己的页面正在用）",
    "{} (taken)": "{0}（被占用）",
    # roles/summary
    "nothing: all is as it was when it was proven": "无：一切都和上次证明时一样",
    "nothing: all was in order": "无：一切正常",
    "CUDA libraries: {}": "CUDA 库：{0}",
    "installed": "已安装",
    "Python: {}": "Python：{0}",
    "brought along": "已带来",
    "brought along anew": "已重新带来",
    "virtualenv: {}": "虚拟环境：{0}",
    "built": "已建立",
    "built anew": "已重建",
    "repaired": "已修复",
    "verified": "已校验",
    "cleared up": "已清理",
    "{} packages": "{0} 个软件包",
    "{} on disk": "占磁盘 {0}",
    "source repository: {}": "源码仓库：{0}",
    "clone": "克隆",
    "fetch": "取新提交",
    "restore": "恢复文件",
    "rebuild": "重新克隆",
    "weights: {}": "权重：{0}",
    "{} files": "{0} 个文件",
    "all files": "全部文件",
    "{} mended": "已修补 {0}",
    "{} fetched": "下载 {0}",
    "to be fetched": "需要下载",
    "{} to be fetched": "需要下载 {0}",
    "found in place and verified": "已在原处并通过校验",
    "web demo: {}": "网页演示：{0}",
    "patched": "已打补丁",
    "service: {}": "服务：{0}",
    "started": "已启动",
    "started anew": "已重新启动",
    "stopped": "已停止",
    "removed": "已删除",
    "unit written": "已写入单元文件",
    "starts with the distribution": "随发行版启动",
    "command written": "已写入命令",
    "your changes to {}": "你对 {0} 的修改",
    "your packages {}": "你的软件包 {0}",
    "other files beside the weights: {}": "权重旁边的其他文件：{0}",
    "would be made: {}": "将会进行：{0}",
    "{}, {} tokens/s, first after {} s, on {}": "{0}，{1} token/秒，首个 {2} 秒后，设备 {3}",
    "{}, {} tokens/s, first after {} s, on {}, GPU memory {}": "{0}，{1} token/秒，首个 {2} 秒后，设备 {3}，显存 {4}",
    "{} stop; of chatglm-run in a terminal: Ctrl+C": "{0} stop；终端里的 chatglm-run 用 Ctrl+C",
    "does not run; to start it: {} start": "没有运行；启动：{0} start",
    "runs in the background, and starts with the distribution": "在后台运行，随发行版启动",
    "runs in the background until the distribution stops": "在后台运行，直到发行版停止",
    "the same command without --check": "去掉 --check 再运行同样的命令",
    "run the same command again": "再运行一次同样的命令",
    # cuda_lookup.py
    "{} of CUDA {}, with a driver that supports CUDA {}": "CUDA {1} 的 {0}，而驱动支持到 CUDA {2}",
    "a runtime of no newer major version than the driver's": "主版本不高于驱动所支持的运行库",
    "update the NVIDIA driver, or move that toolkit away ($CUDA_PATH and /usr/local/cuda come before the system's)": (
        "更新 NVIDIA 驱动，或把那个工具包移开（$CUDA_PATH 和 /usr/local/cuda 排在系统之前）"
    ),
    "cuda_libs_origin is virtualenv, and the torch build of this plan brings no CUDA libraries": (
        "cuda_libs_origin 是 virtualenv，而这个计划的 torch 版本不带 CUDA 库"
    ),
    "a CUDA build of torch, or the libraries from elsewhere": "CUDA 版的 torch，或来自别处的库",
    "leave cuda_libs_origin out": "不要设置 cuda_libs_origin",
    "a library that loads, as cpm_kernels tries no other": "能加载的库，因为 cpm_kernels 不会再试别的",
    "move it away, it comes before the system's: sudo mv {} {}.broken": (
        "把它移开，它排在系统的库之前：sudo mv {0} {1}.broken"
    ),
    "{}; apt has no packages of it that fit": "{0}；apt 里没有合适的软件包",
    "{}; apt has no packages of it that fit ({})": "{0}；apt 里没有合适的软件包（{1}）",
    # apt_install.py
    "apt is held by {}, for {} s": "apt 被 {0} 占用，已 {1} 秒",
    "apt and dpkg free; Ubuntu's own updates (unattended-upgr) may take some minutes after a start": (
        "apt 和 dpkg 空闲；Ubuntu 自己的更新（unattended-upgr）在启动后可能要几分钟"
    ),
    "wait until it is done, then run again": "等它结束，再运行一次",
    "waited {} s for apt, which was held by {}": "等了 {0} 秒 apt，当时占用它的是 {1}",
    "apt-get cannot be run ({})": "apt-get 运行不了（{0}）",
    "Debian, Ubuntu or one of their kin": "Debian、Ubuntu 或它们的同类",
    "apt could not renew these lists: {}; the installation goes on without them": (
        "apt 更新不了这些软件源：{0}；安装会在没有它们的情况下继续"
    ),
    "apt-get could not install {}: {}": "apt-get 装不了 {0}：{1}",
    "apt-get could not remove {}: {}": "apt-get 删不了 {0}：{1}",
    "{}; these lists could not be renewed before: {}": "{0}；在此之前这些软件源更新不了：{1}",
    "lists that apt can read": "apt 能读的软件源",
    "mend them, or switch off those of others (in /etc/apt/sources.list.d), then: sudo apt-get update": (
        "修好它们，或关掉别人的（在 /etc/apt/sources.list.d 里），然后：sudo apt-get update"
    ),
    "packages that apt can install and remove": "apt 能安装和删除的软件包",
    "sudo dpkg --configure -a && sudo apt-get --fix-broken install, then run again": (
        "sudo dpkg --configure -a && sudo apt-get --fix-broken install，再运行一次"
    ),
    # cuda_links.py
    "no {} among the packages of {} that fits CUDA {}": "{1} 的软件包里没有适合 CUDA {2} 的 {0}",
    "the libraries that torch's CUDA build brings": "CUDA 版 torch 自带的库",
    "run again with -e virtualenv_verify=full": "加 -e virtualenv_verify=full 再运行一次",
    "{}, which is not of this project": "{0}，不是本项目的",
    "a link of this project in that place, or nothing": "那里是本项目的链接，或者什么都没有",
    "move it away: mv {} {}.mine; then run again": "把它移开：mv {0} {1}.mine；然后再运行一次",
    "in the virtualenv: {}": "虚拟环境里：{0}",
    "CUDA libraries: those of the virtualenv": "CUDA 库：用虚拟环境里的",
    "CUDA libraries: those of the virtualenv (the system has none that fit, nor has apt)": (
        "CUDA 库：用虚拟环境里的（系统里没有合适的，apt 里也没有）"
    ),
    "CUDA libraries: those of the virtualenv (apt: {})": "CUDA 库：用虚拟环境里的（apt：{0}）",
    "linked from the virtualenv": "已链接虚拟环境里的",
    "links to those of the virtualenv removed": "已删除指向虚拟环境的链接",
    "libraries that load": "能加载的库",
    'install the CUDA runtime, then name its packages: -e \'{"cuda_libs_packages": ["NAME", "NAME"]}\'': (
        '安装 CUDA 运行库，再给出软件包名：-e \'{{"cuda_libs_packages": ["名字", "名字"]}}\''
    ),
    "{}, though {} are installed": "{0}，尽管已装有 {1}",
    # the Python that uv brings
    "{} runs, but not in a virtualenv": "{0} 能运行，但在虚拟环境里不能",
    "a Python that finds its library from there; one that is reached by a link may not": (
        "在那里也能找到自己的库的 Python；经由链接找到的可能不行"
    ),
    "name the file itself (readlink -f {}) with preflight_python, or take uv's: -e virtualenv_python_source=managed": (
        "用 preflight_python 指定文件本身（readlink -f {0}），或用 uv 的：-e virtualenv_python_source=managed"
    ),
    "a list of Pythons that cannot be read ({})": "读不了的 Python 列表（{0}）",
    "none among {} entries of the list of Pythons": "Python 列表的 {0} 项里没有合用的",
    "a list in uv's format with a CPython 3.12, 3.11 or 3.10 for Linux on x86_64, its address and its sha256": (
        "uv 格式的列表，里面有 Linux x86_64 的 CPython 3.12、3.11 或 3.10、它的地址和 sha256"
    ),
    "correct the file that virtualenv_python_downloads names, or leave the setting out": (
        "更正 virtualenv_python_downloads 指定的文件，或不设它"
    ),
    "virtualenv_python_mirrors names {}": "virtualenv_python_mirrors 里有 {0}",
    "official, an address that starts with https:// or http://, or an absolute path on the host": (
        "official、以 https:// 或 http:// 开头的地址，或主机上的绝对路径"
    ),
    "virtualenv_python_mirrors is empty": "virtualenv_python_mirrors 是空的",
    "bringing a Python into {}": "正在把 Python 带到 {0}",
    "files of no archive were in {}; they are kept as {}": "{0} 里有不是压缩包带来的文件，已移到：{1}",
    "no source gave Python {}: {}": "没有来源给出 Python {0}：{1}",
    "{} is not of its archive": "{0} 不是压缩包带来的",
    "one that gives the archive with sha256 {}": "有一个来源给出 sha256 为 {0} 的压缩包",
    "check network and proxy, or name a mirror or the archive's path on this host: "
    '-e \'{"virtualenv_python_mirrors": ["/path/to/FOLDER"]}\'; or install Python 3.12 or 3.11 yourself': (
        "检查网络和代理，或指定镜像或压缩包在主机上的路径："
        '-e \'{{"virtualenv_python_mirrors": ["/目录的路径"]}}\'；或自己安装 Python 3.12 或 3.11'
    ),
    "uv has put nothing into {}": "uv 没有往 {0} 里放东西",
    "Python {} there": "那里有 Python {0}",
    "Python {}, as the list says by its sha256, does not run here: {}": (
        "Python {0} 与列表的 sha256 相符，却不能在这里运行：{1}"
    ),
    "an interpreter that says {}": "解释器报出 {0}",
    "install Python 3.12 or 3.11 on this host, and run again with -e virtualenv_python_source=host": (
        "在主机上安装 Python 3.12 或 3.11，再加上 -e virtualenv_python_source=host 运行一次"
    ),
    "another content than the list says, by its sha256": "内容与列表的 sha256 不符",
    "its name cannot be resolved": "域名解析不了",
    "not there (404)": "不存在（404）",
    "a certificate that this host does not trust (chatglm_ca_bundle)": "证书不受本机信任（chatglm_ca_bundle）",
    "the connection is refused": "连接被拒绝",
    "no answer in time": "没有及时应答",
    "it was cut off": "传输中断",
    "no archive, or a damaged one": "不是压缩包，或已损坏",
    "no such file": "没有这个文件",
    "it may not be read": "没有读取权限",
    "it is missing": "它不见了",
    "no record of it": "没有它的记录",
    "it is build {}, planned is {}": "它是构建 {0}，计划的是 {1}",
    "it was made for {}": "它是为 {0} 做的",
    "damaged link {}": "链接 {0} 已损坏",
    "missing link {}": "缺少链接 {0}",
    "it has no interpreter": "它没有解释器",
    "its interpreter may not be executed": "它的解释器没有执行权限",
    # the virtualenv: locks, pip's configuration, uv
    'line "{}" in a lock file': "锁定文件里有一行“{0}”",
    "name==version, optionally a marker, and at least one --hash=sha256:<64 hex digits>": (
        "name==version，可以带标记，至少一个 --hash=sha256:<64 位十六进制>"
    ),
    "regenerate the lock with roles/virtualenv/files/relock": "用 roles/virtualenv/files/relock 重新生成锁定文件",
    'marker "{}" in a lock file ({})': "锁定文件里的标记“{0}”（{1}）",
    "a marker of comparisons joined by and/or": "由 and/or 连接的比较构成的标记",
    "{} {} and {} in the lock files": "锁定文件里有 {0} {1} 和 {2}",
    "one version of each distribution": "每个软件包只有一个版本",
    "regenerate the locks together with roles/virtualenv/files/relock": (
        "用 roles/virtualenv/files/relock 一起重新生成锁定文件"
    ),
    "pip configuration file {}, which cannot be read ({})": "pip 配置文件 {0} 读不了（{1}）",
    "[sections] with key = value lines, as pip itself demands": "带 key = value 行的 [节]，正如 pip 自己要求的",
    "correct {} (pip config debug shows what pip makes of it)": "更正 {0}（pip config debug 显示 pip 读到了什么）",
    "no uv binary named": "没有指定 uv 程序",
    "one on the host": "主机上的一个",
    "set uv (virtualenv_uv)": "设置 uv（virtualenv_uv）",
    "{} is Python {}": "{0} 是 Python {1}",
    "one that the locked packages have wheels for{}": "锁定的软件包有 wheel 的版本{0}",
    "install such a Python beside it and name it with virtualenv_python": (
        "另装这样的 Python，用 virtualenv_python 指定"
    ),
    "a {} processor": "{0} 处理器",
    "one that the locked packages have wheels for: {}": "锁定的软件包有 wheel 的：{0}",
    "use another host": "换一台主机",
    # what is wrong with a file of the model, a package, a library
    "a Git LFS pointer of {} bytes came instead of the file": "来的是 {0} 字节的 Git LFS 指针，不是文件本身",
    "an HTML page of {} bytes came instead of the file": "来的是 {0} 字节的 HTML 网页，不是文件本身",
    "too short: {} of {} bytes": "太短：应有 {1} 字节，只有 {0}",
    "too long: {} bytes, expected {}": "太长：有 {0} 字节，应为 {1}",
    "right size but {}": "大小正确，但 {0}",
    "wrong {}: {}, expected {}": "{0} 不对：{1}，应为 {2}",
    "{}wrong {}: {}, expected {}": "{0}{1} 不对：{2}，应为 {3}",
    "set chatglm_hub_token to a token that may read this repository (or correct it)": (
        "把 chatglm_hub_token 设为有权读取这个仓库的令牌（或更正它）"
    ),
    "correct this host's clock, or name the authority's PEM file in chatglm_ca_bundle": (
        "校准这台主机的时钟，或用 chatglm_ca_bundle 指定证书机构的 PEM 文件"
    ),
    "let the role virtualenv make the environment first (site.yml does)": (
        "先让角色 virtualenv 建立虚拟环境（site.yml 会这样做）"
    ),
    "let the hub be reached once, so that the digests of its revision are recorded": (
        "让主机连上一次 hub，这样会记下该版本的摘要"
    ),
    "leave out the source that holds something else": "去掉内容不同的那个来源",
    "try again when the network is back (what came so far is kept), or add a mirror or a folder to "
    "chatglm_model_sources": "网络恢复后再试（已下载的会保留），或在 chatglm_model_sources 里加一个镜像或文件夹",
    # connection.py, part.py, transfer.py and sources.py: why a source did not give a file
    "the share's listing has an unknown form": "网盘的目录列表形式不明",
    "the share has no {}": "网盘里没有 {0}",
    "{} bytes in {}, expected {}": "{1}里是 {0} 字节，应为 {2}",
    "the share": "网盘",
    "the repository": "仓库",
    "it says: {}": "它说：{0}",
    "its listing has an unknown form": "它的文件列表形式不明",
    "the repository has no {}": "仓库里没有 {0}",
    "huggingface_hub gave no answer for {} s": "huggingface_hub {0} 秒没有回应",
    "the virtualenv's Python {} cannot be run: {}": "虚拟环境的 Python {0} 无法运行：{1}",
    "HTTP {}: {}": "HTTP {0}：{1}",
    "{} comes from commit {}, not from the pinned revision": "{0} 来自提交 {1}，不是锁定的版本",
    "it announces {} {}, expected {}": "它说 {0} 是 {1}，应为 {2}",
    "its bytes from {} to {} are not those that were verified here before": (
        "它的第 {0} 到 {1} 字节与这里以前校验过的不同"
    ),
    "{} free at {}, {} needed": "{1} 剩余 {0}，需要 {2}",
    "the CA file {} cannot be used: {}": "CA 证书文件 {0} 不能用：{1}",
    "{} has no valid port": "{0} 的端口无效",
    "{} redirects (HTTP {}) to nowhere": "{0} 重定向（HTTP {1}）却没有目标",
    "{} redirects in a loop, back to {}": "{0} 循环重定向，回到 {1}",
    "more than {} redirects, last to {}": "重定向超过 {0} 次，最后到 {1}",
    "no answer from {} for {} s": "{0} 在 {1} 秒内没有回应",
    "the name {} cannot be resolved ({})": "域名 {0} 无法解析（{1}）",
    "{} closed the connection without an answer": "{0} 没有回应就关闭了连接",
    "no connection to {}: {}": "连不上 {0}：{1}",
    "{} gave no valid HTTP answer ({})": "{0} 的回应不是有效的 HTTP（{1}）",
    "{}; it asks to wait {} s": "{0}；它要求等待 {1} 秒",
    "HTTP {} from {}: {}": "{1} 回应 HTTP {0}：{2}",
    "HTTP {} from {}": "{1} 回应 HTTP {0}",
    "it asks for a token, or refuses the one given": "它要求令牌，或不接受给出的令牌",
    "access refused": "拒绝访问",
    "it has no such file": "没有这个文件",
    "the proxy asks for a password": "代理要求密码",
    "the file is gone": "文件已不在",
    "it refuses the range": "它拒绝分段",
    "too many requests": "请求过多",
    "the server failed": "服务器出错",
    "nothing came for {} s, after {} bytes": "收到 {1} 字节后，{0} 秒没有数据",
    "the connection broke after {} bytes: {}": "收到 {0} 字节后连接断开：{1}",
    "the connection ended after {} bytes, {} missing": "收到 {0} 字节后连接结束，还差 {1} 字节",
    "stalled: {} bytes/s over {} s": "停滞：{1} 秒内每秒 {0} 字节",
    "{} gave no JSON": "{0} 给的不是 JSON",
    "the source sends the file compressed, though asked not to": "来源不顾要求，发来了压缩的文件",
    "asked for bytes from {}, the answer gives {}, length {}": "要的是第 {0} 字节起，给的却是 {1}，长度 {2}",
    "no space left at {} ({})": "{0} 没有空间了（{1}）",
    "{} cannot be read: {}": "{0} 无法读取：{1}",
    "{} ended after {} bytes": "{0} 在 {1} 字节后结束",
    "missing file {}": "缺少文件 {0}",
    "unknown hash {} of {}": "{1} 的哈希算法 {0} 不明",
    "unreadable file {} ({})": "文件 {0} 无法读取（{1}）",
    "it is made from {}, planned is {}": "它由 {0} 建成，计划用 {1}",
    "its pyvenv.cfg takes the library from {}, planned is {}": "它的 pyvenv.cfg 从 {0} 取标准库，计划用 {1}",
    "line {} ({})": "第 {0} 行（{1}）",
    "the files and digests of this revision are not known: the hub will be asked": (
        "还不知道这个版本有哪些文件和摘要：会去问 hub"
    ),
    "{} is missing": "缺少 {0}",
    "{} is in no lock any more": "{0} 已不在锁定文件里",
    "installed twice: {}": "装了两次：{0}",
    "version {}": "版本是 {0}",
    "its locked digests changed": "锁定的摘要变了",
    "an interrupted run was at work on it": "中断的运行正处理到它",
    "its RECORD is missing or garbled": "它的 RECORD 缺失或损坏",
    "its RECORD changed": "它的 RECORD 被改动过",
    "damaged file {}": "文件 {0} 损坏",
    "{} (left over from an interrupted run)": "{0}（中断的运行留下的）",
    "no finished record of an installation": "没有完整安装的记录",
    "its interpreter does not run": "它的解释器运行不了",
    "its interpreter does not run as a link to the host's": "它的解释器不能作为主机解释器的链接运行",
    "its interpreter belongs to {}": "它的解释器属于 {0}",
    "it is Python {}, planned is {}": "它是 Python {0}，计划用 {1}",
    "not found": "没有找到",
    "{} is empty": "{0} 是空的",
    "{} holds files but no virtualenv ({} ...)": "{0} 里有文件，却不是虚拟环境（{1} …）",
    "a virtualenv, an empty folder, or nothing": "虚拟环境、空文件夹，或者什么都没有",
    "move {} away or set virtualenv_path": "把 {0} 移到别处，或设置 virtualenv_path",
    "no working Python at {} ({})": "{0} 没有能用的 Python（{1}）",
    "the interpreter that the virtualenv is made from{}": "用来建虚拟环境的解释器{0}",
    "install it (sudo apt-get install python3), or name another one with virtualenv_python": (
        "安装它（sudo apt-get install python3），或用 virtualenv_python 指定另一个"
    ),
    "uv failed while {}: {}": "uv 在{0}时失败：{1}",
    "a finished installation": "完成的安装",
    "see stderr in the result, then run again": "看结果里的 stderr，再运行一次",
    "CA bundle {} ({})": "CA 证书文件 {0}（{1}）",
    "correct chatglm_ca_bundle (or cert in the host's pip configuration)": (
        "更正 chatglm_ca_bundle（或主机 pip 配置里的 cert）"
    ),
    "{} ({}) while {}: {}": "{2}时：{0}（{1}）：{3}",
    "{} while {}: {}": "{1}时：{0}：{2}",
    "installing {} packages": "安装 {0} 个软件包",
    "removing {} packages": "卸载 {0} 个软件包",
    "checking dependencies": "检查依赖关系",
    "creating the environment": "建立虚拟环境",
    "a full disk": "磁盘满了",
    "room for the environment: about 1.2 GB with torch's CPU build, 7 GB with a CUDA build": (
        "虚拟环境要有地方放：用 torch 的 CPU 版约 1.2 GB，CUDA 版 7 GB"
    ),
    "make room under chatglm_home, then run again": "在 chatglm_home 下腾出空间，再运行一次",
    "a package whose content differs from the lock": "有软件包的内容与锁定文件不同",
    "the files that the lock names": "锁定文件里写明的文件",
    "run again in case a proxy or mirror damaged it; if it stays, distrust that index: set virtualenv_index_url": (
        "再运行一次，也许是代理或镜像损坏了它；仍然如此就别信这个索引：设置 virtualenv_index_url"
    ),
    "a server certificate that this host does not trust": "服务器的证书不被这台主机信任",
    "one signed by a known authority": "由已知机构签发的证书",
    "name your company's authority with chatglm_ca_bundle (a PEM file on the host)": (
        "用 chatglm_ca_bundle 指定公司的证书机构（主机上的 PEM 文件）"
    ),
    "an index that refuses access": "索引拒绝访问",
    "an index that is open, or credentials that it takes": "开放的索引，或它认可的用户名和密码",
    "put user and password into virtualenv_index_url (from a vault), or choose another index": (
        "把用户名和密码写进 virtualenv_index_url（放在 vault 里），或换一个索引"
    ),
    "no wheel of a locked package for this Python and processor": "锁定的软件包没有适合此 Python 和处理器的 wheel",
    "a wheel in the index or in a find-links folder": "索引或 find-links 目录里有 wheel",
    "choose another Python with virtualenv_python, or put the wheel into a folder named by virtualenv_find_links": (
        "用 virtualenv_python 另选 Python，或把 wheel 放进 virtualenv_find_links 指定的目录"
    ),
    "a locked package that no source has": "锁定的软件包在任何来源里都没有",
    "all locked packages in the index or in a find-links folder": "索引或 find-links 目录里有全部锁定的软件包",
    "use a complete index or mirror (virtualenv_index_url), or add its wheel (virtualenv_find_links)": (
        "换用完整的索引或镜像（virtualenv_index_url），或补上它的 wheel（virtualenv_find_links）"
    ),
    "an address that answers, but not as a package index": "这个地址有回应，但不是软件包索引",
    "a package index, and no page of a proxy or of a network that wants a login": (
        "软件包索引，而不是代理或要求登录的网络的页面"
    ),
    "check virtualenv_index_url and virtualenv_torch_index_url; log in to the network first, if it asks for it": (
        "检查 virtualenv_index_url 和 virtualenv_torch_index_url；网络要求登录时先登录"
    ),
    "a package source that cannot be reached": "连不上软件包来源",
    "a working connection to it": "能连上它",
    "check network and proxy, or set virtualenv_index_url (in China a mirror) and virtualenv_torch_index_url": (
        "检查网络和代理，或设置 virtualenv_index_url（在中国用镜像）和 virtualenv_torch_index_url"
    ),
    "locked packages that exclude each other": "锁定的软件包互相排斥",
    "locks that were made together": "一起生成的锁定文件",
    "a folder that may not be written": "有目录不可写",
    "chatglm_home owned by the user who runs this": "chatglm_home 属于运行本程序的用户",
    "correct its owner (a run with sudo may have left files of root)": (
        "更正它的所有者（用 sudo 运行过会留下 root 的文件）"
    ),
    "{} faulty packages after two installations, {}: {}": "装了两次仍有 {0} 个软件包有问题，{1}：{2}",
    "files as in the packages' own lists": "文件与软件包自己的清单一致",
    "check disk and memory (dmesg), then run again": "检查磁盘和内存（dmesg），再运行一次",
    "the import of {} ended with {}: {}": "导入 {0} 时以 {1} 结束：{2}",
    "an import without error": "导入不出错",
    "check the host's memory (dmesg), then run again": "检查主机的内存（dmesg），再运行一次",
    "import {} fails with {}": "导入 {0} 失败：{1}",
    "every package to import: {}": "每个软件包都能导入：{0}",
    "install the system library that the message names, then run again": "安装报错里点名的系统库，再运行一次",
    "uv still at work after {} s while {}": "uv {0} 秒后仍未做完（{1}）",
    "an end within that time": "在这段时间内结束",
    "run again: what was fetched is kept; raise virtualenv_timeout on a slow line": (
        "再运行一次：已下载的会保留；网速慢时调大 virtualenv_timeout"
    ),
    "{} cannot be run ({})": "{0} 无法运行（{1}）",
    "a uv binary for this host's processor": "适合本机处理器的 uv 程序",
    "name one on the host with virtualenv_uv (https://docs.astral.sh/uv)": (
        "用 virtualenv_uv 指定主机上的一个（https://docs.astral.sh/uv）"
    ),
    "locked packages that do not fit together ({})": "锁定的软件包互不相容（{0}）",
    "regenerate them with roles/virtualenv/files/relock": "用 roles/virtualenv/files/relock 重新生成",
    "importing {} takes more than 600 s": "导入 {0} 超过 600 秒",
    "seconds": "几秒",
    "check the host's load and memory": "检查主机的负载和内存",
    # the source repository
    "{} from {} failed: {}": "从 {1} 执行 {0} 失败：{2}",
    "git refuses {}, which belongs to another user: {}": "git 拒绝 {0}，它属于别的用户：{1}",
    "a folder of the user who runs the play": "属于运行者的文件夹",
    "ls -ld {}; then sudo chown -R USER {}, or run the play as its owner": (
        "ls -ld {0}；然后 sudo chown -R 用户 {1}，或以它的所有者身份运行"
    ),
    "chatglm_source_version {}": "chatglm_source_version 是 {0}",
    "this host has no git": "本机没有 git",
    "git 2.25 or newer": "git 2.25 或更新",
    "chatglm_ca_bundle {} cannot be read ({})": "chatglm_ca_bundle {0} 读不了（{1}）",
    "the new clone {} is at {} with {} files that differ": "新的克隆 {0} 在 {1}，有 {2} 个文件不同",
    "commit {}, unchanged": "提交 {0}，没有改动",
    "look at git's global configuration (git config --global --list), and run the play again": (
        "查看 git 的全局配置（git config --global --list），再运行一次"
    ),
    "{} is {} s old: another git command may be at work": "{0} 已有 {1} 秒：可能有另一个 git 命令在运行",
    "no other git in that folder": "那个文件夹里没有别的 git",
    "wait for it; if there is none, remove the file: rm {}": "等它结束；如果没有，删除这个文件：rm {0}",
    "core.worktree is set in {}: git would write elsewhere": "{0} 里设了 core.worktree：git 会写到别处",
    "a clone whose files are beside its .git": "文件就在 .git 旁边的克隆",
    "{} after {} still needs {}": "{0} 做完 {1} 之后仍需要 {2}",
    "run the play again; if it fails the same way, try that command by hand": (
        "再运行一次；如果还是这样失败，手动试试那条命令"
    ),
    "{} answers, but not as a git repository ({})": "{0} 有回答，但不是 git 仓库的回答（{1}）",
    "a git repository, and no page of a proxy or of a network that wants a login": (
        "git 仓库，而不是代理的页面或要求登录的网络页面"
    ),
    "open that address in a browser of the host's network, and log in there; or set chatglm_source_url to a mirror": (
        "用同一网络里的浏览器打开那个地址并登录；或把 chatglm_source_url 设为镜像"
    ),
    "{} has no commit {}": "{0} 没有提交 {1}",
    "a commit of that repository": "那个仓库里的提交",
    "check chatglm_source_version and chatglm_source_url: they belong together": (
        "检查 chatglm_source_version 和 chatglm_source_url：两者要对得上"
    ),
    "your own files in {} ({}) would be overwritten by going from {} to {}": (
        "从 {2} 换到 {3} 会覆盖你在 {0} 里的文件（{1}）"
    ),
    "files that differ between the two commits to be as committed": "两个提交之间不同的文件与提交时一致",
    "keep yours aside: {}; then run the play again, and bring them back: {}": (
        "先把你的放到一边：{0}；再运行一次，然后取回：{1}"
    ),
    "keep yours aside: {}; then run the play again": "先把你的放到一边：{0}；再运行一次",
    "{} holds files, but is no git repository": "{0} 里有文件，却不是 git 仓库",
    "a clone, an empty folder or nothing": "克隆、空文件夹，或者什么都没有",
    "move it away, and run the play again: mv {} {}.mine": "把它移到别处，再运行一次：mv {0} {1}.mine",
    "room on the disk under chatglm_home": "chatglm_home 所在磁盘有空间",
    "free some (df -h shows it), and run the play again": "腾出一些空间（df -h 可查），再运行一次",
    "a certificate that this host trusts": "本机信任的证书",
    "if a company proxy re-signs traffic, set chatglm_ca_bundle to its CA as a PEM file on the host; else check the "
    "host's clock and the package ca-certificates": (
        "如果公司代理重新签发证书，把 chatglm_ca_bundle 设为主机上该 CA 的 PEM 文件；"
        "否则检查主机的时钟和软件包 ca-certificates"
    ),
    "a repository that can be read without a password": "不用密码就能读的仓库",
    "check chatglm_source_url": "检查 chatglm_source_url",
    "a repository, and a proxy, that let this host read": "允许本机读取的仓库和代理",
    "check the proxy variables of the host, or set chatglm_source_url to a mirror": (
        "检查主机的代理变量，或把 chatglm_source_url 设为镜像"
    ),
    "the host of the repository to answer": "仓库的主机有回答",
    "check the network and the proxy variables of the host, or set chatglm_source_url to a mirror": (
        "检查主机的网络和代理变量，或把 chatglm_source_url 设为镜像"
    ),
    "a git repository at that address": "那个地址上有 git 仓库",
    # the weights
    "free space there, or choose another chatglm_home; what came so far is kept": (
        "在那里腾出空间，或换一个 chatglm_home；已下载的会保留"
    ),
    "copy the id of the commit from the model's page on the hub": "从 hub 上模型的页面复制提交号",
    "make {} readable for this user, or remove it": "让这个用户能读 {0}，或删掉它",
    "room for the files of {} ({} in all)": "有空间放 {0} 的文件（共 {1}）",
    "{} lower-case hex digits": "{0} 位小写十六进制",
    "the revision {}": "版本 {0}",
    "the repository {}": "仓库 {0}",
    "the folder for the weights": "放权重的文件夹",
    "{} changes while it is looked at": "{0} 在查看时正在变化",
    "a file at rest": "不在变化的文件",
    "{} is not a file": "{0} 不是文件",
    "the model's file, or nothing": "模型的文件，或者什么都没有",
    "a checkpoint as torch.save writes it": "torch.save 写出的检查点",
    "take the weights from elsewhere": "从别处取权重",
    "{} would import {} when it is loaded": "{0} 加载时会导入 {1}",
    "a checkpoint that imports nothing but {}": "除 {0} 以外什么都不导入的检查点",
    "take the weights from a repository you trust; if these names are harmless and meant, add them to "
    "weights_pickle_globals": "从你信任的仓库取权重；如果这些名字无害且确是所需，加入 weights_pickle_globals",
    "no digest of {}: {}": "没有给出 {0} 的校验值：{1}",
    "{} of {} files of {} could not be had: {}": "{2} 的 {1} 个文件中有 {0} 个拿不到：{3}",
    "every file of revision {} in {}, each with its digest": "版本 {0} 的每个文件都在 {1}，且摘要正确",
    "{} names a file {}": "{0} 里有文件名 {1}",
    "a relative path inside the model's folder": "模型文件夹里的相对路径",
    "{} gives {} the size {}": "{0} 给 {1} 的大小是 {2}",
    "a number of bytes": "字节数",
    "{} gives {} the {} {}": "{0} 给 {1} 的 {2} 是 {3}",
    "{} gives {} a git_blob_id without a size": "{0} 给了 {1} git_blob_id，却没有大小",
    "{} names {} twice": "{0} 里 {1} 出现两次",
    "each file once": "每个文件一次",
    # snapshot.py
    "missing": "缺失",
    "unchanged since it was verified": "校验之后没有变化",
    "verified again": "重新校验过",
    "already there and good": "已在原处，完好",
    # smoke.py: what the proof judges
    "read the log at the end of this message": "看这条消息末尾的日志",
    "torch in the virtualenv is a CPU build (torch.version.cuda is None)": (
        "虚拟环境里的 torch 是 CPU 版（torch.version.cuda 是 None）"
    ),
    "a CUDA build of torch": "CUDA 版的 torch",
    "{} with -e chatglm_device=cuda: role virtualenv installs that build": (
        "{0}，加上 -e chatglm_device=cuda：角色 virtualenv 会装上它"
    ),
    "no NVIDIA driver: libcuda.so.1 does not load ({})": "没有 NVIDIA 驱动：libcuda.so.1 加载不了（{0}）",
    "on WSL install the NVIDIA driver on Windows (never inside WSL), then run wsl --shutdown there; without a GPU: "
    "-e chatglm_device=cpu": (
        "在 WSL 上，请在 Windows 里安装 NVIDIA 驱动（绝不要装在 WSL 里），再在那里运行 wsl --shutdown；"
        "没有 GPU：-e chatglm_device=cpu"
    ),
    "the driver supports CUDA {}, torch was built for {}": "驱动支持到 CUDA {0}，而 torch 是为 {1} 构建的",
    "a driver for CUDA {}": "支持 CUDA {0} 的驱动",
    "update the NVIDIA driver (on WSL: the one on Windows), or {} to get a torch for this driver": (
        "更新 NVIDIA 驱动（WSL 上是 Windows 的驱动），或{0}，换成适合这个驱动的 torch"
    ),
    "a CUDA device": "CUDA 设备",
    "close other programs that use the GPU, on WSL run wsl --shutdown on Windows, then run the play again": (
        "关闭占用 GPU 的其他程序，WSL 上在 Windows 里运行 wsl --shutdown，再运行一次"
    ),
    "GPU memory ran out; {} of {} were free before the load": "显存不足；加载之前 {1} 中空闲 {0}",
    "5.1 GiB or more free": "空闲 5.1 GiB 或更多",
    "close what uses the GPU (nvidia-smi lists it; on Windows the browser, games), or a demo that still runs; then run "
    "the play again": (
        "关闭占用 GPU 的程序（nvidia-smi 会列出；Windows 上的浏览器、游戏），或还在运行的演示；再运行一次"
    ),
    "GPU {} with compute capability {}": "GPU {0}，计算能力 {1}",
    "one that the int4 kernels hold code for: {}": "int4 内核有对应代码的：{0}",
    "run on another GPU, or with -e chatglm_device=cpu": "换一块 GPU，或加上 -e chatglm_device=cpu",
    "run the play again with -e chatglm_engine=torch, which needs no such kernels": (
        "加 -e chatglm_engine=torch 再运行一次，它不需要这种内核"
    ),
    "upstream: the model's own code, not compared": "upstream：模型自己的代码，没有比较",
    "{}: {} of {} layers compute wrongly, the first {}": "{0}：{2} 层中有 {1} 层算错，第一个是 {3}",
    "{}: {} layers compared, the largest error {} of what is allowed": "{0}：比较了 {1} 层，最大误差是允许值的 {2}",
    "every layer within the bounds of rounding (engine/int4.py)": "每一层都在舍入误差之内（engine/int4.py）",
    "run the play again with -e chatglm_engine=upstream on a GTX 10 to RTX 40, on another card with -e "
    "chatglm_device=cpu": (
        "在 GTX 10 到 RTX 40 上加 -e chatglm_engine=upstream 再运行一次，在别的显卡上加 -e chatglm_device=cpu"
    ),
    "run the play again with -e chatglm_engine=upstream (it needs gcc)": (
        "加 -e chatglm_engine=upstream 再运行一次（需要 gcc）"
    ),
    "cpm_kernels cannot be imported: {}": "cpm_kernels 导入不了：{0}",
    "cpm_kernels with setuptools below 81 (it needs pkg_resources)": (
        "cpm_kernels 配 81 以下的 setuptools（它需要 pkg_resources）"
    ),
    "run the play again: {}": "再运行一次：{0}",
    "{}: role virtualenv mends the environment": "{0}：角色 virtualenv 会修复环境",
    "the loader finds no CUDA library for cpm_kernels: {}": "加载器为 cpm_kernels 找不到 CUDA 库：{0}",
    "cuda, cudart and cublasLt where cpm_kernels looks": "cuda、cudart 和 cublasLt 在 cpm_kernels 会找的地方",
    "{}: role cuda_libs installs them": "{0}：角色 cuda_libs 会安装它们",
    "a package of the virtualenv is missing or broken: {}": "虚拟环境里有软件包缺失或损坏：{0}",
    "an import that works": "能够导入",
    "role weights fetches it anew (installing CUDA libraries does not help here)": (
        "角色 weights 会重新下载（安装 CUDA 库对此没有用）"
    ),
    "role weights fetches it anew": "角色 weights 会重新下载",
    "the true file": "真正的文件",
    "the true file (1,018,370 bytes for chatglm2-6b-int4)": "真正的文件（chatglm2-6b-int4 的是 1,018,370 字节）",
    "transformers {} and the model's code do not fit: {}": "transformers {0} 与模型代码不配：{1}",
    "the locked transformers with the pinned revision of the model": "锁定的 transformers 和锁定的模型版本",
    "{}: roles virtualenv and weights install that pair": "{0}：角色 virtualenv 和 weights 会装上这一对",
    "no gcc, which the model's code needs to build its CPU kernel": "没有 gcc，模型代码要用它编译 CPU 内核",
    "install it (sudo apt-get update; sudo apt-get install -y gcc) and run the play again": (
        "安装它（sudo apt-get update; sudo apt-get install -y gcc），再运行一次"
    ),
    "the port was taken while the demo started": "演示启动时端口被占用了",
    "stop what listens there, or choose another with -e chatglm_port=": (
        "停止占用它的程序，或用 -e chatglm_port= 换一个"
    ),
    "gradio cannot reach its own page": "gradio 访问不到自己的网页",
    "a direct connection to this machine": "与本机的直接连接",
    "check the variables http_proxy and no_proxy (127.0.0.1 belongs in no_proxy); then run the play again": (
        "检查变量 http_proxy 和 no_proxy（127.0.0.1 应在 no_proxy 里）；再运行一次"
    ),
    "no error": "没有错误",
    "it ended with status {} and said nothing": "它以状态 {0} 结束，什么都没说",
    "a report": "一份报告",
    "run the launcher by hand to see more": "手动运行启动脚本，可以看到更多",
    "the process was killed by signal {}": "进程被信号 {0} 终止",
    "an end of its own": "自行结束",
    "out of memory, most likely: give it more RAM (on WSL: memory= and swap= under [wsl2] in .wslconfig on Windows, "
    "then wsl --shutdown), or close other programs": (
        "多半是内存不足：增加内存（WSL 上：在 Windows 的 .wslconfig 的 [wsl2] 下写 memory= 和 swap=，"
        "再运行 wsl --shutdown），或关闭其他程序"
    ),
    "this CPU lacks an instruction that the installed torch needs: use another machine, or an older torch": (
        "这个 CPU 缺少所装 torch 需要的指令：换一台机器，或用较旧的 torch"
    ),
    "no end within {} s": "{0} 秒内没有结束",
    "an end within {} s": "在 {0} 秒内结束",
    "look at the log; if the machine is just slow, raise {}": "看日志；如果只是机器慢，调大 {0}",
    "{} tensors on {}": "{1} 上有 {0} 个张量",
    "no tensors": "没有张量",
    "all on {}": "都在 {0} 上",
    "{}; if it stays so, the model's own code moves them: is it the pinned revision?": (
        "{0}；如果还是这样，就是模型自己的代码移动了它们：是锁定的版本吗？"
    ),
    "{} layers with two weights in a byte": "{0} 层每字节存两个权重",
    "{} such layers": "{0} 层如此",
    "point chatglm_model_repo at an int4 model": "把 chatglm_model_repo 指向 int4 模型",
    "{} nan or inf among the logits of {} tokens": "{1} 个 token 的 logits 中有 {0} 个 nan 或 inf",
    "none, in at least one token": "一个也没有，且至少有一个 token",
    "{}: role weights verifies every file; if they are good, the GPU's memory or driver is not": (
        "{0}：角色 weights 会校验每个文件；如果文件都好，就是显存或驱动有问题"
    ),
    "{} different ones among {} tokens": "{1} 个 token 中有 {0} 种",
    "more than one token repeated": "不只是重复同一个 token",
    "{}: role weights verifies every file": "{0}：角色 weights 会校验每个文件",
    "{} tokens/s": "{0} token/秒",
    "too few tokens to measure": "token 太少，无法测量",
    "{} tokens/s or more": "{0} token/秒或更多",
    "close other programs that use the GPU (Windows moves GPU memory to RAM when it is short: about a token a minute), "
    "or lower smoke_test_min_tokens_per_second": (
        "关闭占用 GPU 的其他程序（显存不足时 Windows 会把它移到内存：大约一分钟一个 token），"
        "或调低 smoke_test_min_tokens_per_second"
    ),
    "{} in it": "其中有 {0}",
    "is it the right model? chatglm_model_repo and smoke_test_expected belong together": (
        "模型对吗？chatglm_model_repo 和 smoke_test_expected 要对得上"
    ),
    "the page is there, but its chat is dead: is its script the patched one? Run the play again, and read the log": (
        "网页在，但对话没有应答：它的脚本是打过补丁的吗？再运行一次，并看日志"
    ),
    "{} distinct partial answers": "{0} 段不同的中间回答",
    "2 or more": "2 段或更多",
    "1 or more": "1 段或更多",
    "the page does not stream: is its script the patched one? Run the play again": (
        "网页不是逐步输出的：它的脚本是打过补丁的吗？再运行一次"
    ),
    "{} bot messages, the last {}": "{0} 条机器人消息，最后一条 {1}",
    "2, both with a text": "2 条，都有文字",
    "free": "空闲",
    "still taken": "仍被占用",
    "a free port after the demo's end": "演示结束后端口空闲",
    "stop the process that still listens there": "停止仍在监听的进程",
    # the page and its proof
    "{} of revision {} is from before transformers 4.34: what line {} needs comes in line {} only": (
        "版本 {1} 的 {0} 早于 transformers 4.34：第 {2} 行需要的，第 {3} 行才有"
    ),
    "the model's code is from before transformers 4.34: {}": "模型的代码早于 transformers 4.34：{0}",
    "the pinned revision {}, or one whose code is as new": "锁定的版本 {0}，或代码同样新的版本",
    "leave chatglm_model_revision out, or give -e chatglm_model_revision={}": (
        "不要设置 chatglm_model_revision，或者用 -e chatglm_model_revision={0}"
    ),
    "{}, line {}: {}": "{0} 第 {1} 行：{2}",
    "a script that works with the installed packages": "能与已安装的软件包一起运行的脚本",
    "correct that line, or get upstream's script back: git -C {} checkout -- {}; then run the play again": (
        "改正那一行，或恢复上游的脚本：git -C {0} checkout -- {1}；然后再运行一次"
    ),
    "the failure of {}, with everything as it was then": "与 {0} 的失败相同，而一切都与当时一样",
    "another outcome, which the same run does not bring": "不同的结果，而同样的运行不会带来",
    "do what stands above, if it is for you to do; else start the chat by hand to see all that it says ({}), have "
    "every file read (-e virtualenv_verify=full -e weights_verify=deep), and report it with that log": (
        "如果上面有你该做的，请先做；否则手动启动对话，看它的全部输出（{0}），检查每个文件"
        "（-e virtualenv_verify=full -e weights_verify=deep），并附上日志报告"
    ),
    "read the log of the demo at the end of this message, repair its cause and run the play again": (
        "看这条消息末尾的演示日志，解决其中的原因，再运行一次"
    ),
    "{} does not exist": "{0} 不存在",
    "{}, which the commit of the source repository has to hold": "{0}，源码仓库的提交里应当有它",
    "git -C {} log -1 -- {} tells whether it ever did; choose another chatglm_source_version, or another chatglm_app": (
        "git -C {0} log -1 -- {1} 可以看它是否曾经有过；换一个 chatglm_source_version，或者换一个 chatglm_app"
    ),
    "commit {} of {} has no {}": "{1} 的提交 {0} 里没有 {2}",
    "the script of the app that is asked for (chatglm_app)": "要用的程序（chatglm_app）的脚本",
    "choose another chatglm_app, or a chatglm_source_version that has it": (
        "换一个 chatglm_app，或者换一个有它的 chatglm_source_version"
    ),
    "the file was left as it is; correct that line; or, where you have edited it, move it away and run the play again, "
    "which brings the commit's own text; if that is what is refused, choose another chatglm_source_version": (
        "文件保持原样；更正那一行；如果你改过它，也可以把它移走再运行一次，会取回该提交自己的版本；"
        "如果被拒绝的正是那个版本，请换一个 chatglm_source_version"
    ),
    "the test was stopped by signal {}": "测试被信号 {0} 中止",
    "an undisturbed run": "不受打扰的运行",
    "url is {}": "url 是 {0}",
    "a URL such as http://127.0.0.1:7860": "形如 http://127.0.0.1:7860 的 URL",
    "correct chatglm_listen and chatglm_port": "更正 chatglm_listen 和 chatglm_port",
    "no config.json in {}": "{0} 里没有 config.json",
    "a model's folder": "模型的文件夹",
    "run the play again (role weights fills it)": "再运行一次（角色 weights 会填好它）",
    "port {} of {} is taken by {}": "{1} 的端口 {0} 被 {2} 占用",
    "a free port": "空闲的端口",
    "stop it (a chat page that runs already? Ctrl+C in its terminal, or kill and the pid), or choose another port: "
    "-e chatglm_port={}": (
        "停掉它（是已在运行的聊天页面吗？在它的终端按 Ctrl+C，或 kill 加进程号），或换一个端口：-e chatglm_port={0}"
    ),
    "{} is no program": "{0} 不是程序",
    "the {} of role {}": "角色 {1} 的 {0}",
    "run the play again (role {} makes it)": "再运行一次（角色 {0} 会生成它）",
    "{} cannot be bound: {}": "{0} 无法绑定：{1}",
    "an address of this host": "本机的地址",
    "correct chatglm_listen": "更正 chatglm_listen",
    "the page offers the events {}, none named {}": "页面提供的事件有 {0}，没有 {1}",
    "an event {}, as in the source repository's web_demo.py": "事件 {0}，与源码仓库的 web_demo.py 一样",
    "run the play again (role web_demo patches web_demo.py; a file of your own cannot be proven this way)": (
        "再运行一次（角色 web_demo 会给 web_demo.py 打补丁；你自己的文件无法这样证明）"
    ),
    "the stream of events ended before the answer was complete": "回答完成之前事件流就断了",
    "a completed answer": "完整的回答",
    "an answer": "一个回答",
    "GET /config answered no object": "GET /config 没有返回对象",
    "the page's configuration": "页面的配置",
    "the chat is dead: its event failed ({})": "聊天不工作：它的事件失败了（{0}）",
    "the page's queue failed: {}": "页面的队列失败：{0}",
    "{} {} answered {}: {}": "{0} {1} 返回 {2}：{3}",
    "status 200": "状态 200",
    "GET /config failed: {}": "GET /config 失败：{0}",
    "no complete answer from the page within {} s": "页面在 {0} 秒内没有给出完整的回答",
    "look at the log below; on a slow machine raise smoke_test_answer_timeout": (
        "看下面的日志；机器慢时调大 smoke_test_answer_timeout"
    ),
    "the answer's stream ended without a finish_reason": "回答的数据流结束时没有 finish_reason",
    "no complete answer from the API within {} s": "API 在 {0} 秒内没有给出完整的回答",
    "the connection to the API broke: {}": "与 API 的连接断了：{0}",
    "the API has failed: {}": "API 出错：{0}",
    "GET {} without the key answered {}": "不带密钥的 GET {0} 返回 {1}",
    "status 401": "状态 401",
    "begin a new conversation": "开始新的对话",
    "an answer of another form ({})": "回答的格式不对（{0}）",
    "OpenAI's chat completion": "OpenAI 的 chat completion",
    "the page's script is not done within {} s": "页面的脚本在 {0} 秒内没有运行完",
    "a page that is drawn": "画好的页面",
    "look at the log below; on a slow machine raise smoke_test_load_timeout": (
        "看下面的日志；机器慢时调大 smoke_test_load_timeout"
    ),
    "the page refuses its websocket with status {}": "页面拒绝 websocket，状态 {0}",
    "status 101": "状态 101",
    "the page shows an error: {}": "页面显示错误：{0}",
    "the client in the virtualenv ended with status {}: {}": "虚拟环境中的客户端结束了，状态 {0}：{1}",
    "a message of streamlit's": "streamlit 的消息",
    "the page shows {} text areas and {} buttons": "页面有 {0} 个输入框和 {1} 个按钮",
    # cuda_lookup.py and pickle_imports.py
    "{} cannot be loaded: {}": "{0} 无法加载：{1}",
    "{} cannot be read as one ({})": "{0} 不能当作检查点读取（{1}）",
    "{} is an archive with two members of one name": "{0} 是含有同名成员的归档",
    "{} is an archive with other bytes before it": "{0} 是前面有其他字节的归档",
    "{} is an archive without data.pkl": "{0} 是没有 data.pkl 的归档",
    # web_demo: scripts that are left as they are
    "bytes that are not valid {}": "有不是 {0} 的字节",
    "a Python script in the form of one of upstream's demo scripts": "与上游某个演示脚本形式相同的 Python 脚本",
    "its encoding cannot be told ({})": "看不出它的编码（{0}）",
    "its encoding {} does not give the same bytes back": "按它的编码 {0} 写回时字节会不同",
    "UTF-8 or GBK": "UTF-8 或 GBK",
    "Python cannot parse it ({})": "Python 解析不了（{0}）",
    "arguments given as **mapping": "参数以 **mapping 的形式给出",
    "the arguments {} by name": "按名字给出参数 {0}",
    "the model's path is computed ({})": "模型的路径是算出来的（{0}）",
    "the path as a string, or as a name that is set to a string": "路径是字符串，或是赋值为字符串的名字",
    "several models are loaded ({}), and none is named as a ChatGLM model": (
        "加载了几个模型（{0}），没有一个以 ChatGLM 命名"
    ),
    "one model, or one whose name contains chatglm": "一个模型，或名字里有 chatglm 的那个",
    "no call that loads the model": "没有加载模型的调用",
    "gradio is imported, and no .launch() call follows": "导入了 gradio，后面却没有 .launch() 调用",
    "an older patch that asks for no key": "是旧的补丁，不要求密钥",
    "upstream's text": "上游的文本",
    "{} places of the form {}": "形如 {1} 的地方有 {0} 处",
    "one, as in upstream's script": "一处，与上游脚本相同",
    "not in an async function of its own": "不在单独的 async 函数里",
    "the form of upstream's script": "上游脚本的形式",
    "nothing in it can ask for a password": "里面没有能要求密码的地方",
    "web_demo.py, openai_api.py, or no password": "web_demo.py、openai_api.py，或不设密码",
    "an edit here would break the script: {}": "在这里修改会弄坏脚本：{0}",
    "{} takes no arguments by place": "{0} 没有按位置的参数",
    "upstream's script": "上游的脚本",
    "load_model_on_gpus needs accelerate, which is not installed": "load_model_on_gpus 需要 accelerate，而它没有安装",
    "gradio {} has no {}": "gradio {0} 没有 {1}",
    "what gradio {} has": "gradio {0} 有的",
    "{} of gradio {} has no {}": "gradio {1} 的 {0} 没有 {2}",
    "a method that it has": "它有的方法",
    "{} has no st.{}": "{0} 没有 st.{1}",
    "what {} has": "{0} 有的",
    "{} is given {} arguments by place": "{0} 按位置给了 {1} 个参数",
    "at most {}": "最多 {0} 个",
    "{} is given {}": "{0} 给了参数 {1}",
    "an argument that {} takes": "{0} 接受的参数",
    "an edit here does not settle": "在这里修改得不到稳定的结果",
    "a form as upstream's": "与上游相同的形式",
    "one to ask in and one to send it, as in the source repository's web_demo2.py": (
        "一个用来提问，一个用来发送，与源码仓库的 web_demo2.py 一样"
    ),
    "run the play again (role web_demo patches web_demo2.py; a file of your own cannot be proven this way)": (
        "再运行一次（角色 web_demo 会给 web_demo2.py 打补丁；你自己的文件无法这样证明）"
    ),
    "the connection to the page broke: {}": "与页面的连接断了：{0}",
    "{} {} answered no JSON: {}": "{0} {1} 返回的不是 JSON：{2}",
    "gradio's JSON": "gradio 的 JSON",
}
CHINESE.update(network_environment.chinese())
"""English to Chinese."""

VERDICTS = {
    "device": "设备",
    "int4": "int4",
    "engine": "引擎",
    "finite": "数值",
    "answer": "回答",
    "variety": "多样性",
    "speed": "速度",
    "page answer": "网页的回答",
    "page grows": "网页逐步输出",
    "second turn": "第二轮",
    "port freed": "端口释放",
    "once more": "再次失败",
    "model": "模型",
    "page": "网页",
    "start": "启动",
    "load": "加载",
    "imports": "导入",
    "probe": "检测",
    "place": "放到设备上",
    "script": "脚本",
    "tokenizer": "分词器",
}
"""Names of what the proof judges, and the parts of the names of what stopped it ("model, load")."""

LABELS = {
    "host": "主机",
    "memory": "内存",
    "disk": "磁盘",
    "device": "设备",
    "python": "Python",
    "packages": "软件包",
    "engine": "引擎",
    "cuda": "CUDA",
    "page": "页面",
    "done": "完成",
    "would do": "将会",
    "kept": "保留",
    "proof": "证明",
    "proven": "已证明",
    "start": "启动",
    "chat": "聊天",
    "open": "打开",
    "stop": "停止",
    "next": "下一步",
    "repair": "修复",
    "note": "说明",
    "warning": "注意",
}
"""What stands in the first ten columns of the report's lines, and of the summary's."""
COLUMNS = 10

_HOLE = "{}"
ENOUGH = 8
"""Letters of its own that an entry needs to be looked for inside a value: "{} is {}" would be found anywhere."""


def needs_none(template: str) -> bool:
    """Tell whether there is nothing to translate in an English text: values alone, or a command alone."""
    own = template.replace(_HOLE, "")
    return not re.search(r"[A-Za-z]{2}", own) or bool(
        re.fullmatch(
            r"(sudo apt-get update; )?(sudo|git|ls|echo|kill|chmod|-e) [^;,()]*"
            r"|\{\}/\S*|(Python|CUDA) \{\}|\w+\.\w+\(\.\.\.\)|gcc|\S+\.so\.1",
            template,
        )
    )


@functools.lru_cache(maxsize=1)
def _entries() -> list[tuple[re.Pattern[str], str, int]]:
    """Return pattern, Chinese and length of its own text for each entry, the longest first."""
    made = [
        (
            re.compile("(.*?)".join(map(re.escape, english.split(_HOLE))), re.DOTALL),
            text,
            len(english.replace(_HOLE, "")),
        )
        for english, text in CHINESE.items()
    ]
    return sorted(made, key=lambda entry: -entry[2])


def chinese(text: str, enough: int = 0, names: bool = False) -> str:
    """Return one part of a failure in Chinese; the text itself where no entry has its form.

    Args:
        text: the English.
        enough: letters of its own that an entry with values needs.
        names: the values in it are names, which are nobody's text.

    """
    for pattern, translation, length in _entries():
        found = pattern.fullmatch(text)
        if found and (length >= enough or not found.groups()):
            return translation.format(*(value if names else several(value) for value in found.groups()))
    return text


def item(text: str) -> str:
    """Return one of several things that modules found (``WHAT: FAULT``) in Chinese: the whole, or else the fault."""
    whole = chinese(text, ENOUGH)
    what, _, fault = text.partition(": ")
    told = chinese(fault, ENOUGH)
    if whole != text or told == fault:
        return whole
    return re.sub(r", line (\d+)$", r"，第 \1 行", what) + f"：{told}"


def several(text: str) -> str:
    """Return what stands in a row, a semicolon between, or in brackets, in Chinese, if all of it has some."""
    whole = chinese(text, ENOUGH)
    if whole != text:
        return whole
    pieces, depth, start = [], 0, 0
    for mark in re.finditer(r"[()]|; ", text):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if mark[0] == "; " and depth <= 0:
            pieces.append(text[start : mark.start()])
            start = mark.end()
    pieces.append(text[start:])
    told = []
    for piece in pieces:
        inner = re.fullmatch(r"(.*?) \((.*)\)", piece, re.DOTALL)
        told.append(f"{inner[1]}（{several(inner[2])}）" if inner and several(inner[2]) != inner[2] else item(piece))
    return text if any(map(str.__eq__, told, pieces)) else "；".join(told)


def report(line: str) -> str:
    """Return a line of preflight's report in Chinese; its label is as wide as before."""
    label = line[:COLUMNS].strip()
    word = LABELS.get(label, label)
    return word + " " * (COLUMNS - width(word)) + chinese(line[COLUMNS:].strip())


def summary(line: str, language: str, again: bool = False) -> str:
    """Return a line of the role summary; in Chinese what was done item by item. ``again``: the label stood above."""
    label, text = line[:COLUMNS].strip(), line[COLUMNS:]
    if language != "zh":
        return " " * COLUMNS + text if again else line
    name, colon, items = text.partition(": ")
    if label in {"done", "would do"} and colon and f"{name}: {{}}" in CHINESE:
        text = CHINESE[f"{name}: {{}}"].format("，".join(map(chinese, items.split(", "))))
    elif label:  # below "proven" stands the answer, which is nobody's text here
        text = chinese(text, names=label == "kept")
    return report(" " * COLUMNS if again else line[:COLUMNS]) + text


def verdict(name: str) -> str:
    """Return the name of a verdict of the proof in Chinese."""
    return VERDICTS.get(name) or "，".join(VERDICTS.get(part, part) for part in name.split(", "))


def failure(message: str) -> str:
    """Return what a Failure, Refusals or a failed proof says, in Chinese, a line a part; "" for another form."""
    proof = re.findall(r"(?m)^([a-z][^:\n]*): found (.*); expected (.*)\. To do: (.*)$", message)
    if proof:  # what was found may be the answer, which is nobody's text here
        return "\n".join(
            f"{verdict(name)}\n{FOUND}{chinese(found, ENOUGH)}\n{EXPECTED}{chinese(wanted)}\n{REMEDY}{several(todo)}"
            for name, found, wanted, todo in proof
        )
    paragraphs = []
    for part in re.split(r"\n+(?=(?:\w+\. )?Found: |chatglm_\w+ (?:is|has) )", message):
        found = re.match(r"(?:(?:\w+\. )?Found: )?(.*?)\. Expected: (.*?)\. To do: ([^\n]*)", part, re.DOTALL)
        if not found:
            return ""
        met, wanted, todo = (text.strip().rstrip(".") for text in found.groups())
        seen, right = (several(text) if chinese(text) == text else chinese(text) for text in (met, wanted))
        paragraphs.append(f"{FOUND}{seen}\n{EXPECTED}{right}\n{REMEDY}{several(todo)}")
    return "\n\n".join(paragraphs)
