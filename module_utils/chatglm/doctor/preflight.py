"""Checks of preflight: settings, host, GPU and sources, which one module gathers side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..language.messages import Text
from ..virtualenv.managed_python import MINORS
from .registry import (
    FREE,
    INT4,
    NO_CUDA,
    NO_MODEL,
    OK,
    ON_CPU,
    OOM,
    UNKNOWN,
    YOURS,
    Check,
    Evidence,
    Finding,
    Judge,
    listed,
    plain,
    split_failure,
)

NO_WSL = Text("no WSL", "不是 WSL")

HOME = ("settings", "home_not_folder")
LOOK = (*HOME, "host_python")
_GPU = ("settings", "wsl1", "linux_driver_in_wsl", "other_libcuda_in_wsl")
NO_GPU = (*_GPU, "no_windows_driver", "no_gpu", "gpu_blocked", "gpu_not_usable")
CUDA = (*NO_GPU, "capability_unknown", "no_int4_kernels", "gpu_not_in_torch", "driver_too_old", "gpu_memory")

_NO_DRIVER = ("couldn't communicate with the NVIDIA driver", "nvidia-smi: command not found", "NVIDIA-SMI has failed")
_TLS = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "SSLError", "server certificate verification failed")


def _settings(evidence: Evidence) -> Finding | None:
    problems = [str(text) for text in evidence.get("settings", {}).get("problems") or []]
    host = evidence.get("host") or {}
    if (
        not problems and host.get("failed") and not host.get("unforeseen")
    ):  # it fails on a setting only, such as a file that cannot be read
        problems = [str(host.get("msg", "the host could not be looked at"))]
    if not problems:
        return Finding(OK, Text("as they should be", "没有问题"))
    found, todo = zip(*(split_failure(text) for text in problems))  # noqa: B905
    return Finding(YOURS, "; ".join(found), "; ".join(text.rstrip(".") for text in todo if text))


def _host_python(evidence: Evidence) -> Finding | None:
    version = evidence["context"]["python"]
    return Finding(OK if tuple(version) >= (3, 10) else YOURS, "Python " + ".".join(map(str, version)))


def refused(code: str, fine: Callable[[dict[str, Any]], str | Text], gpu: bool = False) -> Judge:
    """Return the judge of one of preflight's refusals.

    Args:
        code: of plan.Refusal.
        fine: the value found on a host that was not refused, from the facts.
        gpu: only of interest where the model runs on a GPU.

    """

    def judge(evidence: Evidence) -> Finding | None:
        host = evidence.get("host") or {}
        if host.get("failed") or "facts" not in host:
            return Finding(UNKNOWN, plain(str(host.get("msg", "the host was not looked at"))))
        for refusal in host["refusals"]:
            if refusal["code"] == code:
                return Finding(YOURS, refusal["found"], refusal["remedy"])
        if gpu and evidence["context"]["device"] == "cpu":
            return ON_CPU
        found = fine(host["facts"])
        return Finding(OK, found or "nothing to look at", applies=bool(found))

    return judge


def _gb(size: Any) -> str:
    return "unknown" if size is None else f"{size / 1024**3:.1f} GB"


def _gpu(facts: dict[str, Any]) -> str:
    return listed(gpu["name"] for gpu in facts["gpus"] if gpu["usable"])


def _wsl(facts: dict[str, Any]) -> str | Text:
    return f"WSL {facts['wsl']}" if facts["wsl"] else NO_WSL


def _not_wsl(name: str, value: Callable[[dict[str, Any]], str | Text]) -> Judge:
    """Return the judge of a refusal that only a host in WSL can have."""
    inner = refused(name, value, gpu=True)

    def judge(evidence: Evidence) -> Finding | None:
        found = inner(evidence)
        if found and found.verdict == OK and not evidence["host"]["facts"]["wsl"]:
            return Finding(OK, NO_WSL, applies=False)
        return found

    return judge


def _port(facts: dict[str, Any]) -> Text:
    pid = (facts["port"]["owner"] or {}).get("pid", "?")
    return FREE if facts["port"]["free"] else Text(f"our own page, process {pid}", f"我们自己的网页，进程 {pid}")


def _chosen_python(facts: dict[str, Any]) -> str:
    """Return the interpreter that the virtualenv is made from, as plan.choose_python chooses where nothing is set."""
    own = [each["path"] for each in facts["pythons"] if each.get("asked") or each["minor"] in MINORS]
    managed = facts.get("managed_python") or {}
    return listed(own, 1) if own and not managed.get("in_use") else str(managed.get("path") or "")


def _network(facts: dict[str, Any]) -> str | Text:
    names = listed(each["found"].partition(" is ")[0] for each in facts.get("network") or [])
    return Text(f"put right by the run: {names}", f"运行时会改正：{names}") if names else Text("can work", "可以使用")


def _lock(evidence: Evidence) -> Finding | None:
    lock = evidence.get("lock")
    if lock is None:
        return None
    if lock["holder"]:
        return Finding(YOURS, lock["holder"])
    return Finding(OK, Text("no run is at work", "没有别的运行"))


CHECKS: tuple[Check, ...] = (
    Check(
        "settings",
        Text("the settings", "设置"),
        Text("a setting has a value that cannot work", "某个设置的值不可能生效"),
        Text("correct the setting (docs/reference.md)", "改正该设置（见 docs/reference.zh-CN.md）"),
        _settings,
        repairs="user",
        cost=0,
        symptoms=("cannot be converted to", "value of chatglm_"),
    ),
    Check(
        "host_python",
        Text("Python that Ansible's modules run on", "运行 Ansible 模块的 Python"),
        Text("it is missing, or older than 3.10", "没有 Python，或版本低于 3.10"),
        Text(
            "sudo apt-get update; sudo apt-get install -y python3; or name a newer one: "
            "-e ansible_python_interpreter=/usr/bin/python3.10",
            "sudo apt-get update; sudo apt-get install -y python3；或指定较新的："
            "-e ansible_python_interpreter=/usr/bin/python3.10",
        ),
        _host_python,
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("module interpreter", "discovered_interpreter_python", "probably need to set the interpreter"),
    ),
    Check(
        "wsl1",
        Text("version of WSL", "WSL 版本"),
        Text("the distribution runs under WSL 1, which has no GPU", "发行版运行在 WSL 1 下，它没有 GPU"),
        Text("in PowerShell: wsl --set-version NAME 2", "在 PowerShell 里：wsl --set-version 发行版名 2"),
        refused("wsl1", _wsl),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("WSL 1", *NO_CUDA),
    ),
    Check(
        "architecture",
        Text("processor", "处理器架构"),
        Text("the locked packages are for x86_64 only", "锁定的软件包只支持 x86_64"),
        Text("use a 64-bit Intel or AMD machine", "换一台 64 位 Intel 或 AMD 机器"),
        refused("architecture", lambda facts: str(facts["architecture"])),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("no matching distribution found", "is not a supported wheel on this platform"),
    ),
    Check(
        "clock",
        Text("clock", "系统时钟"),
        Text("the clock is behind: TLS rejects every certificate", "时钟落后：TLS 会拒绝所有证书"),
        Text(
            "sudo hwclock --hctosys (WSL), sudo timedatectl set-ntp true (elsewhere)",
            "sudo hwclock --hctosys（WSL），其他系统 sudo timedatectl set-ntp true",
        ),
        refused("clock", lambda facts: str(facts["clock"]["now"])),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("certificate is not yet valid", *_TLS),
    ),
    Check(
        "git",
        Text("git", "git"),
        Text("there is no git, which fetches the source repository", "没有 git，无法获取源码仓库"),
        Text("sudo apt-get update; sudo apt-get install -y git", "sudo apt-get update; sudo apt-get install -y git"),
        refused("git", lambda facts: str(facts["git"])),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("git: command not found", "No such file or directory: 'git'", "this host has no git"),
    ),
    Check(
        "gcc",
        Text("C compiler", "C 编译器"),
        Text(
            "chatglm_engine is upstream, and on a CPU the model's own code compiles its int4 kernel when it is loaded",
            "chatglm_engine 是 upstream，在 CPU 上，模型自己的代码加载时要编译 int4 内核",
        ),
        Text("sudo apt-get update; sudo apt-get install -y gcc", "sudo apt-get update; sudo apt-get install -y gcc"),
        refused("gcc", lambda facts: str(facts["gcc"])),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("gcc: not found", "gcc: command not found", "Compile default cpu kernel failed"),
    ),
    Check(
        "home_not_folder",
        Text("the folder for everything", "安装目录"),
        Text("a file stands where the folder for everything should be", "安装目录的位置上是一个文件"),
        Text("remove or rename it, or: -e chatglm_home=PATH", "删除或改名，或者：-e chatglm_home=路径"),
        refused("home_not_folder", lambda facts: str(facts["disk"]["path"])),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("Not a directory", "NotADirectoryError", "File exists"),
    ),
    Check(
        "home_not_writable",
        Text("permission to write there", "写入权限"),
        Text("this user may not write in the folder", "当前用户不能写入该目录"),
        Text("sudo install -d -o USER {home}", "sudo install -d -o 用户名 {home}"),
        refused("home_not_writable", lambda facts: f"{facts['user']} may write in {facts['disk']['path']}"),
        repairs="user",
        cost=0,
        needs=HOME,
        symptoms=("Permission denied", "PermissionError", "Read-only file system"),
    ),
    Check(
        "home_read_only",
        Text("mode of the folders", "目录权限位"),
        Text("folders of this user's own are read-only by their mode", "当前用户自己的目录按权限位是只读的"),
        Text("chmod -R u+rwX {home}", "chmod -R u+rwX {home}"),
        refused("home_read_only", lambda facts: f"{facts['user']} may write"),
        repairs="user",
        cost=0,
        needs=HOME,
        symptoms=("Permission denied", "PermissionError"),
    ),
    Check(
        "home_foreign_files",
        Text("owner of the files", "文件所有者"),
        Text("files belong to another user, left by a run with sudo", "有文件属于别的用户（多半是用 sudo 运行过）"),
        Text("sudo chown -R USER: {home}", "sudo chown -R 用户名: {home}"),
        refused("home_foreign_files", lambda facts: str(facts["user"])),
        repairs="user",
        cost=0,
        needs=HOME,
        symptoms=("Permission denied", "PermissionError", "dubious ownership"),
    ),
    Check(
        "home_file_system",
        Text("file system", "文件系统"),
        Text("it runs no programs, or has no symbolic links", "该文件系统不能运行程序，或不支持符号链接"),
        Text("choose another place: -e chatglm_home=PATH", "换个位置：-e chatglm_home=路径"),
        refused("home_file_system", lambda facts: f"{facts['disk']['type']} at {facts['disk']['mount']}"),
        repairs="user",
        cost=0,
        needs=HOME,
        symptoms=("Operation not permitted", "failed to map segment from shared object"),
    ),
    Check(
        "memory",
        Text("memory and swap", "内存与交换空间"),
        Text(
            "too little memory to load the model; WSL takes half of Windows' unless told otherwise",
            "内存不够加载模型；WSL 默认只用 Windows 内存的一半",
        ),
        Text(
            "memory= and swap= under [wsl2] in %UserProfile%\\.wslconfig, then in PowerShell: wsl --shutdown",
            "在 %UserProfile%\\.wslconfig 的 [wsl2] 下写 memory= 和 swap=，然后在 PowerShell 里：wsl --shutdown",
        ),
        refused(
            "memory",
            lambda facts: (
                f"{_gb(facts['memory']['available'])} available, {_gb(facts['memory']['swap_free'])} swap free"
            ),
        ),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=(
            "Killed",
            "Loading checkpoint shards",
            "MemoryError",
            "DefaultCPUAllocator",
            "SIGKILL",
            "exit code 137",
        ),
    ),
    Check(
        "disk",
        Text("free disk", "空闲磁盘"),
        Text("too little room for what is still to be installed", "剩余空间装不下还要安装的内容"),
        Text("free some space, or: -e chatglm_home=PATH", "腾出空间，或者：-e chatglm_home=路径"),
        refused("disk", lambda facts: f"{_gb(facts['disk']['free'])} free on {facts['disk']['mount']}"),
        repairs="user",
        cost=0,
        needs=HOME,
        symptoms=("No space left on device", "Disk quota exceeded", "Errno 28"),
    ),
    Check(
        "port",
        Text("port of the page", "网页端口"),
        Text("another program holds the page's port", "别的程序占用了网页端口"),
        Text(
            "stop it, or choose another: -e chatglm_port={next_port}", "停掉它，或换一个：-e chatglm_port={next_port}"
        ),
        refused("port", _port),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("Cannot find empty port", "Address already in use", "address already in use", "Errno 98"),
    ),
    Check(
        "linux_driver_in_wsl",
        Text("Linux driver inside WSL", "WSL 里的 Linux 驱动"),
        Text(
            "a Linux NVIDIA driver in WSL hides the one of Windows",
            "WSL 里装了 Linux NVIDIA 驱动，遮住了 Windows 的驱动",
        ),
        Text(
            "sudo apt-get purge its packages, sudo ldconfig; then in PowerShell: wsl --shutdown",
            "用 sudo apt-get purge 卸载，再 sudo ldconfig；然后在 PowerShell 里：wsl --shutdown",
        ),
        _not_wsl("linux_driver_in_wsl", lambda facts: "none"),
        repairs="user",
        cost=0,
        needs=("settings", "wsl1"),
        symptoms=(*_NO_DRIVER, *NO_CUDA, "driver/library version mismatch", INT4),
    ),
    Check(
        "other_libcuda_in_wsl",
        Text("libcuda that the loader takes", "加载器选用的 libcuda"),
        Text("the loader finds another libcuda than WSL's", "加载器找到的不是 WSL 的 libcuda"),
        Text("sudo rm that file && sudo ldconfig", "sudo rm 删除那个文件，再 sudo ldconfig"),
        _not_wsl("other_libcuda_in_wsl", lambda facts: str(facts["nvidia"]["loader_libcuda"])),
        repairs="user",
        cost=0,
        needs=("settings", "wsl1", "linux_driver_in_wsl"),
        symptoms=(*_NO_DRIVER, *NO_CUDA, INT4),
    ),
    Check(
        "libcuda_not_in_loader",
        Text("libcuda in the loader's cache", "加载器缓存里的 libcuda"),
        Text(
            "the loader does not look in WSL's folder, so torch finds no GPU", "加载器不查 WSL 的目录，torch 找不到 GPU"
        ),
        Text(
            "echo /usr/lib/wsl/lib | sudo tee /etc/ld.so.conf.d/ld.wsl.conf && sudo ldconfig",
            "echo /usr/lib/wsl/lib | sudo tee /etc/ld.so.conf.d/ld.wsl.conf && sudo ldconfig",
        ),
        _not_wsl("libcuda_not_in_loader", lambda facts: str(facts["nvidia"]["loader_libcuda"])),
        repairs="user",
        cost=0,
        needs=("settings", "wsl1", "linux_driver_in_wsl"),
        symptoms=(*NO_CUDA, "Library cuda is not initialized", INT4),
    ),
    Check(
        "no_windows_driver",
        Text("NVIDIA driver on Windows", "Windows 上的 NVIDIA 驱动"),
        Text(
            "the driver on Windows is missing, or an update took its files away",
            "Windows 上没有驱动，或系统更新弄丢了它的文件",
        ),
        Text(
            "install the driver on Windows (never inside WSL), then in PowerShell: wsl --shutdown",
            "在 Windows 上安装驱动（绝不要装在 WSL 里），然后在 PowerShell 里：wsl --shutdown",
        ),
        _not_wsl("no_windows_driver", lambda facts: str(facts["nvidia"]["libcuda"]["path"])),
        repairs="user",
        cost=0,
        needs=_GPU,
        symptoms=(*_NO_DRIVER, *NO_CUDA, "Library cuda is not initialized", INT4),
    ),
    Check(
        "no_gpu",
        Text("NVIDIA GPU", "NVIDIA 显卡"),
        Text("libcuda sees no GPU", "libcuda 看不到显卡"),
        Text(
            "in PowerShell: wsl --update; wsl --shutdown; without an NVIDIA GPU: -e chatglm_device=cpu",
            "在 PowerShell 里：wsl --update; wsl --shutdown；没有 NVIDIA 显卡时：-e chatglm_device=cpu",
        ),
        refused("no_gpu", _gpu, gpu=True),
        repairs="user",
        cost=0,
        needs=(*_GPU, "no_windows_driver"),
        symptoms=(*_NO_DRIVER, *NO_CUDA, "No devices were found", INT4),
    ),
    Check(
        "gpu_blocked",
        Text("Windows shares the GPU", "Windows 是否共享显卡"),
        Text(
            "Windows keeps the GPU to itself: TCC mode, or an old WSL or driver",
            "Windows 独占显卡：TCC 模式，或 WSL、驱动太旧",
        ),
        Text(
            "in PowerShell: wsl --update; wsl --shutdown; then update the driver on Windows",
            "在 PowerShell 里：wsl --update; wsl --shutdown；再更新 Windows 上的驱动",
        ),
        refused("gpu_blocked", _gpu, gpu=True),
        repairs="user",
        cost=0,
        needs=(*_GPU, "no_windows_driver", "no_gpu"),
        symptoms=("GPU access blocked by the operating system", *NO_CUDA),
    ),
    Check(
        "gpu_not_usable",
        Text("the driver answers", "驱动是否应答"),
        Text(
            "the driver is there and fails: it does not fit the WSL version, or needs a restart",
            "驱动存在但出错：与 WSL 版本不配，或需要重启",
        ),
        Text(
            "update the driver on Windows, then in PowerShell: wsl --shutdown (elsewhere: reboot)",
            "更新 Windows 上的驱动，然后在 PowerShell 里：wsl --shutdown（其他系统：重启）",
        ),
        refused("gpu_not_usable", _gpu, gpu=True),
        repairs="user",
        cost=0,
        needs=(*_GPU, "no_windows_driver", "no_gpu"),
        symptoms=("cudaGetDeviceCount", "Error 2: out of memory", "CUDA unknown error", *_NO_DRIVER, *NO_CUDA, *OOM),
    ),
    Check(
        "capability_unknown",
        Text("compute capability", "计算能力"),
        Text("neither libcuda nor nvidia-smi tells the compute capability", "libcuda 和 nvidia-smi 都没有给出计算能力"),
        Text("update the NVIDIA driver; or -e chatglm_device=cpu", "更新 NVIDIA 驱动；或 -e chatglm_device=cpu"),
        refused("capability_unknown", lambda facts: listed(gpu["capability"] for gpu in facts["gpus"]), gpu=True),
        repairs="user",
        cost=0,
        needs=NO_GPU,
    ),
    Check(
        "no_int4_kernels",
        Text("int4 kernels for this GPU", "此显卡的 int4 内核"),
        Text(
            "chatglm_engine is upstream, whose int4 kernels are machine code for compute capability 6.1 to 8.9 only (no"
            " RTX 50, no Hopper)",
            "chatglm_engine 是 upstream，它的 int4 内核只有计算能力 6.1 到 8.9 的机器码（不含 RTX 50 和 Hopper）",
        ),
        Text("{site} -e chatglm_engine=auto", "{site} -e chatglm_engine=auto"),
        refused("no_int4_kernels", _gpu, gpu=True),
        repairs="user",
        cost=0,
        needs=(*NO_GPU, "capability_unknown"),
        symptoms=("no kernel image is available", "not compatible with the current PyTorch installation", INT4),
    ),
    Check(
        "gpu_not_in_torch",
        Text("torch build for this GPU", "此显卡的 torch 版本"),
        Text("no pinned torch build has code for this GPU", "锁定的 torch 没有此显卡的代码"),
        Text("{site} -e chatglm_device=cpu", "{site} -e chatglm_device=cpu"),
        refused("gpu_not_in_torch", _gpu, gpu=True),
        repairs="user",
        cost=0,
        needs=(*NO_GPU, "capability_unknown"),
        symptoms=("no kernel image is available", "not compatible with the current PyTorch installation"),
    ),
    Check(
        "driver_too_old",
        Text("version of the driver", "驱动版本"),
        Text("the driver is older than the CUDA version that torch is built for", "驱动比 torch 所用的 CUDA 版本旧"),
        Text(
            "install the current driver on Windows, then in PowerShell: wsl --shutdown",
            "在 Windows 上安装最新驱动，然后在 PowerShell 里：wsl --shutdown",
        ),
        refused("driver_too_old", lambda facts: f"driver {facts['nvidia']['driver'] or 'of unknown number'}", gpu=True),
        repairs="user",
        cost=0,
        needs=NO_GPU,
        symptoms=(
            "driver on your system is too old",
            "CUDA driver version is insufficient",
            *NO_CUDA,
        ),
    ),
    Check(
        "gpu_memory",
        Text("GPU memory", "显存"),
        Text("too little GPU memory is free: other programs hold it", "空闲显存太少：被别的程序占用"),
        Text(
            "close what uses the GPU (browser, games, another model; nvidia-smi lists it)",
            "关掉占用显卡的程序（浏览器、游戏、另一个模型；nvidia-smi 可查看）",
        ),
        refused(
            "gpu_memory",
            lambda facts: listed(
                f"{_gb(gpu['memory_free'])} free of {_gb(gpu['memory_total'])}" for gpu in facts["gpus"]
            ),
            gpu=True,
        ),
        repairs="user",
        cost=0,
        needs=NO_GPU,
        symptoms=OOM,
    ),
    Check(
        "python",
        Text("Python for the virtualenv", "虚拟环境用的 Python"),
        Text("no Python 3.10 to 3.12, which the locked packages need", "没有锁定的软件包所需的 Python 3.10 到 3.12"),
        Text(
            "leave out virtualenv_python_source and preflight_python: uv brings one along",
            "不设 virtualenv_python_source 和 preflight_python：由 uv 带来一个",
        ),
        refused("python", _chosen_python),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("Rust compiler", "Could not build wheels for tokenizers", "Failed building wheel for tokenizers"),
    ),
    Check(
        "network_variables",
        Text("network variables", "网络变量"),
        Text(
            "a proxy, a list of hosts or a file of certificates in a variable that no client can use",
            "变量里的代理、主机列表或证书文件，客户端用不了",
        ),
        Text("unset it, or give it a value that works", "取消它，或换成能用的值"),
        refused("network_variables", _network),
        repairs="user",
        cost=0,
        needs=("settings",),
        symptoms=("Missing dependencies for SOCKS support", "Unknown scheme for proxy URL", "Invalid port", "socksio"),
    ),
    Check(
        "sources",
        Text("sources of repository and weights", "仓库与权重的来源"),
        Text(
            "no source answers: blocked network, a proxy, or certificates of a company",
            "没有来源应答：网络被挡、代理，或公司证书",
        ),
        Text(
            "-e chatglm_hub_endpoint=https://hf-mirror.com (in China); -e chatglm_ca_bundle=PEM (company proxy)",
            "国内：-e chatglm_hub_endpoint=https://hf-mirror.com；公司代理：-e chatglm_ca_bundle=PEM 文件",
        ),
        refused(
            "sources",
            lambda facts: (
                listed(group["name"] for group in facts["sources"]) + " answer"
                if facts["sources"]
                else Text("not asked: nothing is to be fetched", "没有询问：不需要下载")
            ),
        ),
        repairs="user",
        cost=0,
        needs=("settings", "clock", "network_variables"),
        symptoms=(
            "Max retries exceeded",
            "Connection refused",
            "Connection reset",
            "Temporary failure in name resolution",
            "Could not resolve host",
            "Read timed out",
            "429 Too Many Requests",
            "LocalEntryNotFoundError",
            "We couldn't connect to",
            *_TLS,
            *NO_MODEL,
        ),
    ),
    Check(
        "lock",
        Text("another run", "别的运行"),
        Text("another run is at work on this installation", "另一次运行正在修改此安装"),
        Text("wait until it is done", "等它结束"),
        _lock,
        repairs="user",
        cost=0,
        needs=HOME,
        probe="lock",
        symptoms=("another run at work", "is fetching into", "one run at a time"),
    ),
)
