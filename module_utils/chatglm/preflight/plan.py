"""From the facts of a host and the settings to one plan, or to the reasons why it cannot be made.

Pure: library/host_facts.py gathers the facts, roles/preflight shows the result. The versions and limits come from the
notes on the upstreams that docs/how-it-works.md sums up under "What is pinned, and why".
"""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..core.host import GIB, NO_SYMLINK_TYPES, gigabytes, version_tuple
from ..core.network_remedy import of_names
from ..core.nvidia import CUDA_ERRORS, INT4_CAPABILITIES, WSL_FOLDER, cuda_version

PYTHONS = ("3.12", "3.11", "3.10")
"""Interpreters with wheels for everything that is locked, best first: tokenizers of transformers 4.41 ends at 3.12."""

TRANSFORMERS = "4.41.2"
"""Newest whose private methods are as the model's own stream_chat calls them; 4.42 changed _get_logits_warper."""

MANAGED_PYTHON_GB = 0.3
"""Disk for a managed Python while it is unpacked; estimated, the true archives could not be had."""

TORCH_CUDA = {"2.7.1": "12.6", "2.8.0": "12.8"}
"""CUDA of each pinned torch build."""

COMPONENTS = {"debian": "non-free", "ubuntu": "multiverse"}
"""Of each archive: the component that holds the CUDA runtime."""

DRIVER_MINIMUM = ((525, 60), (527, 41), "12.0")
"""Linux driver, Windows driver and the CUDA that libcuda names: NVIDIA's minor-version compatibility of CUDA 12.x."""
DRIVER_BLACKWELL = ((570,), (570,), "12.8")
"""The same for compute capability 10.0 and up."""

ENGINES = {
    "torch": "this project's own, in plain torch",
    "upstream": "the model's own kernels",
}
"""The int4 engines: what multiplies the quantized weights. ``torch`` is the package engine/."""

EARLIEST_CLOCK = 1735689600
"""2025-01-01 UTC: certificates in use are younger, so TLS fails on a host whose clock is behind this."""


@dataclass(frozen=True)
class Settings:
    """What the user may set; sizes in GB of 1024 cubed bytes.

    min_memory_gb: measured on a checkpoint of the true shape: 4.1 GB let it load, 3.8 GB did not (the file itself is
        mapped); CUDA adds its context (estimated), a CPU copies the half-precision parts to full precision (5.5 GB).
    environment_gb: disk for the virtualenv and the package cache by torch build (measured peaks: 1.2, 5.5, 6.8).
    int4_capabilities: empty for a model whose code runs on any GPU, and needs no gcc on a CPU.
    engine: the int4 engine: one of ENGINES, or auto.
    """

    device: str = "auto"
    home: str = "~/chatglm"
    listen: str = "127.0.0.1"
    port: int = 7860
    python: str = ""
    python_source: str = "auto"
    min_gpu_memory_gb: float = 5.0
    warn_gpu_memory_gb: float = 5.5
    min_memory_gb: float = 5.0
    weights_gb: float = 3.65
    environment_gb: dict[str, float] = field(default_factory=lambda: {"cpu": 1.5, "2.7.1": 6.0, "2.8.0": 7.5})
    margin_gb: float = 1.0
    int4_capabilities: tuple[str, ...] = INT4_CAPABILITIES
    engine: str = "auto"


@dataclass(frozen=True)
class Refusal:
    """One reason why this host cannot take the installation as asked.

    Args:
        code: short stable name.
        found: what the host has.
        expected: what it should have.
        remedy: one line to do: a command, complete; for Windows a line for PowerShell.

    """

    code: str
    found: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        """Return the text for the user, in the shape of failure.Failure."""
        return f"{self.code}. Found: {self.found.rstrip('.')}. Expected: {self.expected}. To do: {self.remedy}"


@dataclass(frozen=True)
class Plan:
    """What the roles take their values from."""

    device: str
    gpu: dict[str, Any] | None
    python: dict[str, str]
    torch: str
    transformers: str
    torch_cuda: str
    apt_component: str
    engine: str
    notes: list[str]


@dataclass(frozen=True)
class Outcome:
    """plan is None exactly when refusals is not empty.

    likely: the plan as if nothing had been refused, from what is installed and what most hosts have: an installation
        can be judged by it on a host whose driver, disk or clock stopped the run. It is ``plan`` where there is one.
    """

    plan: Plan | None
    likely: Plan
    refusals: list[Refusal]
    warnings: list[str]
    report: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; each refusal is its text and its parts."""
        return {
            "plan": asdict(self.plan) if self.plan else {},
            "likely": asdict(self.likely),
            "refusals": [{**asdict(refusal), "text": str(refusal)} for refusal in self.refusals],
            "warnings": self.warnings,
            "report": self.report,
        }


CPU_OPTION = "run again with -e chatglm_device=cpu (slow, needs no GPU)"
ENGINE_OPTION = "run again with -e chatglm_engine=auto (an int4 engine that needs no such kernels)"


def choose_engine(settings: Settings, gpu: dict[str, Any] | None) -> str:
    """Return the int4 engine: on a GPU upstream's where its kernels run; else, and on a CPU, the project's own.

    On a CPU that was measured to be several times as fast with the same tokens (benchmarks/measure_engine.py).
    """
    if settings.engine != "auto":
        return settings.engine
    any_gpu = not settings.int4_capabilities
    return "upstream" if gpu and (any_gpu or gpu["capability"] in settings.int4_capabilities) else "torch"


def torch_build(capability: str) -> str:
    """Return the torch build for a GPU of this compute capability, or empty when neither pinned build runs on it.

    2.7.1 (CUDA 12.6) holds code for 5.0 to 9.0, 2.8.0 (CUDA 12.8) for 10.0 and 12.0; code runs on later minor versions
    of the same major one.
    """
    major = (version_tuple(capability) or (0,))[0]
    if 5 <= major <= 9:
        return "2.7.1"
    return "2.8.0" if major in (10, 12) else ""


def driver_refusal(facts: dict[str, Any], capability: str) -> Refusal | None:
    """Return why the driver is too old for the torch build of ``capability``, or None.

    The CUDA version that libcuda names decides; without it, the driver's own number.
    """
    linux, windows, cuda = DRIVER_BLACKWELL if torch_build(capability) == "2.8.0" else DRIVER_MINIMUM
    wsl, nvidia = facts["wsl"] > 0, facts["nvidia"]
    needed = windows if wsl else linux
    found_cuda, found = cuda_version(nvidia["driver_cuda"]), nvidia["driver"]
    if found_cuda:
        enough = version_tuple(found_cuda) >= version_tuple(cuda)
    elif found:
        enough = version_tuple(found) >= needed
    else:
        return None
    if enough:
        return None
    needed_text = ".".join(map(str, needed))
    return Refusal(
        "driver_too_old",
        f"NVIDIA driver {found or 'of unknown number'}" + (f", which supports CUDA {found_cuda}" if found_cuda else ""),
        f"driver {needed_text} or newer (CUDA {cuda}) for a GPU of compute capability {capability}",
        "install the current driver on Windows from https://www.nvidia.com/drivers, then in PowerShell: wsl --shutdown"
        if wsl
        else f"install the driver package of your distribution, version {needed_text} or newer, and reboot",
    )


def no_gpu_refusal(facts: dict[str, Any]) -> Refusal:
    """Return why there is no GPU to compute on, told from the evidence: files first, then what the driver said."""
    nvidia, wsl = facts["nvidia"], facts["wsl"]
    libcuda, smi = nvidia["libcuda"], nvidia["smi"]
    seen = ", ".join(f"nvidia-smi sees {gpu['name']}" for gpu in facts["gpus"] if not gpu["usable"])
    expected = "an NVIDIA GPU that libcuda can use"
    reason = CUDA_ERRORS.get(libcuda["code"], "")
    found = f"libcuda: {libcuda['error'] or 'no GPU'}" + (f" ({reason})" if reason else "")
    if seen:
        found += f"; {seen}"
    elif smi["error"]:
        found += f"; nvidia-smi: {smi['error']}"
    if smi["trouble"] == "blocked":
        return Refusal(
            "gpu_blocked",
            found,
            "a GPU that Windows shares with WSL",
            "in PowerShell: wsl --update; wsl --shutdown; then update the NVIDIA driver on Windows",
        )
    if wsl and not nvidia["dxg"]:
        return Refusal(
            "no_gpu",
            f"no /dev/dxg: WSL offers no GPU; {found}",
            expected,
            f"in PowerShell: wsl --update; wsl --shutdown (Windows 10 21H2 or newer); or {CPU_OPTION}",
        )
    if wsl and not libcuda["path"]:
        return Refusal(
            "no_windows_driver",
            f"{found} (looked in {WSL_FOLDER}, then where the loader looks)",
            f"{WSL_FOLDER}/libcuda.so.1, which the NVIDIA driver on Windows brings",
            "install or update the NVIDIA driver on Windows, then in PowerShell: wsl --shutdown; "
            f"never a Linux driver inside WSL. Without an NVIDIA GPU: {CPU_OPTION}",
        )
    if libcuda["path"] and libcuda["code"] not in (0, 100):
        return Refusal(
            "gpu_not_usable",
            found,
            expected,
            (
                "update the driver on Windows, then in PowerShell: wsl --shutdown"
                if wsl
                else "reboot, or mend the driver"
            )
            + f"; or {CPU_OPTION}",
        )
    windows = "update the NVIDIA driver on Windows, then in PowerShell: wsl --shutdown; without an NVIDIA GPU "
    return Refusal("no_gpu", found, expected, (windows if wsl else "") + CPU_OPTION)


def choose_gpu(facts: dict[str, Any], settings: Settings) -> tuple[dict[str, Any] | None, list[Refusal], list[str]]:
    """Return the GPU to compute on, or the reasons against every one, and notes.

    Of several that will do, one that upstream's kernels run on, of those the one with the most free memory (unknown:
    total).
    """
    usable = [gpu for gpu in facts["gpus"] if gpu["usable"]]
    if not usable:
        return None, [no_gpu_refusal(facts)], []
    judged = [(gpu, gpu_refusals(gpu, facts, settings)) for gpu in usable]
    good = [gpu for gpu, refusals in judged if not refusals]
    notes = []
    if good:
        best = max(
            good,
            key=lambda gpu: (
                choose_engine(settings, gpu) == "upstream",
                gpu["memory_free"] or gpu["memory_total"] or 0,
            ),
        )
        if len(usable) > 1:
            notes.append(f"{len(usable)} GPUs; number {best['index']} is used ({best['name']})")
        return best, [], notes
    return None, judged[0][1], notes


def gpu_refusals(gpu: dict[str, Any], facts: dict[str, Any], settings: Settings) -> list[Refusal]:
    """Return the reasons against this GPU: its generation, the driver, its memory."""
    refusals = []
    capability, name = gpu["capability"], gpu["name"]
    if not capability:
        return [
            Refusal(
                "capability_unknown",
                f"{name}, whose compute capability neither libcuda nor nvidia-smi tells",
                "a driver that tells it",
                f"update the NVIDIA driver; or {CPU_OPTION}",
            )
        ]
    if not torch_build(capability):
        refusals.append(
            Refusal(
                "gpu_not_in_torch",
                f"{name}, compute capability {capability}",
                "5.0 to 9.0 (torch 2.7.1), 10.x or 12.x (torch 2.8.0)",
                CPU_OPTION,
            )
        )
    elif settings.engine == "upstream" and settings.int4_capabilities and capability not in settings.int4_capabilities:
        refusals.append(
            Refusal(
                "no_int4_kernels",
                f"{name}, compute capability {capability}, and chatglm_engine is upstream",
                "one of " + ", ".join(settings.int4_capabilities) + ": the model's int4 kernels are machine code for"
                " these alone, nothing that a driver could translate for others",
                ENGINE_OPTION,
            )
        )
    if driver := driver_refusal(facts, capability):
        refusals.append(driver)
    total, free = gpu["memory_total"], gpu["memory_free"]
    need = settings.min_gpu_memory_gb * GIB
    if total and total < need:
        refusals.append(
            Refusal(
                "gpu_memory",
                f"{name} with {gigabytes(total)}",
                f"{settings.min_gpu_memory_gb:.1f} GB of GPU memory for the int4 model",
                CPU_OPTION,
            )
        )
    elif free is not None and free < need and not _busy_with_ours(facts, "cuda"):
        refusals.append(
            Refusal(
                "gpu_memory",
                f"{gigabytes(free)} free of {gigabytes(total or 0)} on {name}",
                f"{settings.min_gpu_memory_gb:.1f} GB free",
                "close what uses the GPU (browser, games, another model; see nvidia-smi), then run again; "
                f"to try all the same: -e preflight_min_gpu_memory_gb={free / GIB:.1f}",
            )
        )
    return refusals


def _busy_with_ours(facts: dict[str, Any], device: str) -> bool:
    """Whether memory in use says nothing: all is proven on that device, or the own chat runs and holds the memory."""
    ours = (facts["port"]["owner"] or {}).get("ours") or facts.get("service", {}).get("active")
    installed = facts["installed"]
    return bool((installed["proven"] and installed.get("proven_on", device) == device) or ours)


def choose_python(facts: dict[str, Any], settings: Settings) -> tuple[dict[str, str], Refusal | None]:
    """Return path, version and source of the interpreter for the virtualenv, or the refusal.

    The one that an existing virtualenv stands on is kept: a newer one that appears on the host is no reason to make
    gigabytes anew. One of the host comes before one that uv brings along (which has its release and archive named).
    """
    found, managed, source = facts["pythons"], facts.get("managed_python") or {}, settings.python_source
    brought = {}
    if managed.get("path"):
        brought = {name: managed[name] for name in ("path", "version", "release", "digest")}
        brought["source"] = "managed"
    if settings.python and source == "managed":
        return {}, Refusal(
            "python",
            f"preflight_python is {settings.python}, and virtualenv_python_source is managed",
            "one of the two",
            "leave one of them out",
        )

    def of_host(python: dict[str, Any]) -> tuple[dict[str, str], None]:
        return {"path": python["path"], "version": python["minor"], "source": "host"}, None

    for python in found:
        if settings.python and python.get("asked") and python["minor"] in PYTHONS:
            return of_host(python)
    if brought and not settings.python and (source == "managed" or (source == "auto" and managed["in_use"])):
        return brought, None
    if not settings.python and source != "managed":
        for python in found:
            if python.get("in_use") and python["minor"] in PYTHONS:
                return of_host(python)
        for minor in PYTHONS:
            for python in found:
                if python["minor"] == minor:
                    return of_host(python)
        if brought and source == "auto":
            return brought, None
    listed = ", ".join(f"{python['path']} ({python['version']})" for python in found) or "none"
    asked = [python for python in found if python.get("asked")]
    reason = "no unmodified combination of transformers and the model's code exists for others"
    if settings.python:
        what = f"is {asked[0]['version']}" if asked else "does not run as a 64-bit CPython"
        return {}, Refusal(
            "python",
            f"preflight_python is {settings.python}, which {what}",
            f"a Python 3.12, 3.11 or 3.10 ({reason})",
            "name one with -e preflight_python=PATH, or leave the setting out to have it found",
        )
    if source == "host":
        return {}, Refusal(
            "python",
            f"no Python 3.12, 3.11 or 3.10, and virtualenv_python_source is host; interpreters: {listed}",
            f"one of them on the host: {reason}",
            "leave virtualenv_python_source out, and uv brings a Python along",
        )
    return {}, Refusal(
        "python",
        f"no Python 3.12, 3.11 or 3.10; interpreters: {listed}",
        f"one of them: {reason}",
        "name one with -e preflight_python=PATH",
    )


def disk_needed(facts: dict[str, Any], settings: Settings, torch: str) -> float:
    """Return the bytes that are still to be written: weights, environment and Python less what is there."""
    installed = facts["installed"]
    weights: float = max(0.0, settings.weights_gb * GIB - installed["weights"])
    environment = 0.0 if installed["torch"] == torch else settings.environment_gb.get(torch, 0.0) * GIB
    managed = facts.get("managed_python") or {}
    brought = choose_python(facts, settings)[0].get("source") == "managed" and not managed["there"]
    python = MANAGED_PYTHON_GB * GIB if brought else 0.0
    if not weights and not environment:
        return python + 0.25 * GIB  # logs, records, a package or two
    return weights + environment + python + settings.margin_gb * GIB


def host_refusals(facts: dict[str, Any], settings: Settings) -> list[Refusal]:
    """Return what speaks against the host whatever the device: cheap checks first."""
    refusals = []
    if facts["wsl"] == 1:
        refusals.append(
            Refusal(
                "wsl1",
                f"WSL version 1 (kernel {facts['kernel']})",
                "WSL version 2: version 1 has no GPU and no Linux kernel",
                "in PowerShell: wsl --set-version "
                f"{facts['wsl_distribution'] or 'NAME'} 2   (wsl --list --verbose shows the names)",
            )
        )
    if facts["architecture"] != "x86_64":
        refusals.append(
            Refusal(
                "architecture",
                facts["architecture"],
                "x86_64: the locked packages are for this architecture only",
                "use a 64-bit Intel or AMD machine",
            )
        )
    if not facts["clock"]["sane"]:
        refusals.append(
            Refusal(
                "clock",
                f"the clock says {facts['clock']['now']}",
                "a date after 2025-01-01: TLS rejects every certificate before",
                "sudo hwclock --hctosys" if facts["wsl"] else "sudo timedatectl set-ntp true",
            )
        )
    if not facts["git"]:
        refusals.append(
            Refusal(
                "git",
                "no git on PATH",
                "git, which fetches the source repository",
                "sudo apt-get update; sudo apt-get install -y git",
            )
        )
    refusals += home_refusals(facts, settings)
    owner = facts["port"]["owner"] or {}
    if not facts["port"]["free"] and not owner.get("ours"):
        who = f"process {owner['pid']} ({owner['command']})" if owner else facts["port"]["error"] or "another program"
        refusals.append(
            Refusal(
                "port",
                f"{settings.listen}:{settings.port} is not to be had: {who}",
                "a free port for the chat page",
                (f"stop it (kill {owner['pid']}), or " if owner else "")
                + f"choose another port: -e chatglm_port={settings.port + 1}",
            )
        )
    return refusals


def home_refusals(facts: dict[str, Any], settings: Settings) -> list[Refusal]:
    """Return what speaks against the folder that everything goes to, other than its size."""
    disk, home = facts["disk"], settings.home
    if disk["blocked_by"]:
        return [
            Refusal(
                "home_not_folder",
                f"{disk['blocked_by']} is not a folder",
                f"a folder, for {home}",
                "remove or rename it, or choose another place: -e chatglm_home=PATH",
            )
        ]
    refusals = []
    if not disk["writable"]:
        refusals.append(
            Refusal(
                "home_not_writable",
                f"{facts['user']} may not write in {disk['path']}",
                f"write permission, for {home}",
                f"sudo install -d -o {shlex.quote(facts['user'])} {shlex.quote(home)}",
            )
        )
    if disk.get("read_only"):
        refusals.append(
            Refusal(
                "home_read_only",
                "folders that are read-only by their mode: " + ", ".join(disk["read_only"]),
                f"write permission for {facts['user']}, whose folders they are",
                f"chmod u+rwX {' '.join(map(shlex.quote, disk['read_only']))}",
            )
        )
    if disk["foreign"]:
        refusals.append(
            Refusal(
                "home_foreign_files",
                f"files of another user that {facts['user']} may not write: " + ", ".join(disk["foreign"]),
                f"everything under {home} to belong to {facts['user']} (left by a run with sudo?)",
                f"sudo chown -R {shlex.quote(facts['user'])}: {shlex.quote(home)}",
            )
        )
    if "noexec" in disk["options"] or disk["type"] in NO_SYMLINK_TYPES:
        refusals.append(
            Refusal(
                "home_file_system",
                f"{disk['mount']} is mounted noexec"
                if "noexec" in disk["options"]
                else f"{disk['mount']} is of type {disk['type']}",
                f"a file system for {home} that runs programs and holds symbolic links",
                "choose another place: -e chatglm_home=PATH",
            )
        )
    return refusals


def size_checks(facts: dict[str, Any], settings: Settings, torch: str) -> tuple[list[Refusal], list[str]]:
    """Return refusals and warnings on RAM and disk."""
    refusals, warnings = [], []
    memory = facts["memory"]
    have, need = memory["available"] + memory["swap_free"], settings.min_memory_gb * GIB
    parts = f"{gigabytes(memory['available'])} of memory available and {gigabytes(memory['swap_free'])} of swap free"
    if have < need and _busy_with_ours(facts, "cpu" if settings.device == "cpu" else "cuda"):
        warnings.append(f"{parts}: too little to load the model once more ({settings.min_memory_gb:.1f} GB)")
    elif have < need:
        size = int(settings.min_memory_gb) + 1
        refusals.append(
            Refusal(
                "memory",
                f"{parts}, together {gigabytes(have)}",
                f"{settings.min_memory_gb:.1f} GB in all to load the model",
                f"write the lines [wsl2], memory={size}GB and swap={size}GB into %UserProfile%\\.wslconfig on Windows, "
                "then in PowerShell: wsl --shutdown"
                if facts["wsl"]
                else f"close programs, or add swap: sudo fallocate -l {size}G /swapfile && sudo chmod 600 /swapfile && "
                "sudo mkswap /swapfile && sudo swapon /swapfile",
            )
        )
    elif have < need + GIB:
        warnings.append(f"{parts}: just enough to load the model, close other programs")
    disk = facts["disk"]
    if torch and not disk["blocked_by"]:
        needed = disk_needed(facts, settings, torch)
        if disk["free"] < needed:
            refusals.append(
                Refusal(
                    "disk",
                    f"{gigabytes(disk['free'])} free on {disk['mount']} ({disk['path']})",
                    f"{gigabytes(needed)} for what is still to be installed",
                    "free some space there, or choose another place: -e chatglm_home=PATH",
                )
            )
    if facts["disk"]["windows_drive"]:
        warnings.append(
            f"{settings.home} is on a Windows drive ({disk['mount']}, {disk['type']}): loading is several times slower "
            "there, and permissions are Windows'; a folder of Linux's own, such as ~/chatglm, is better"
        )
    return refusals, warnings


def wsl_driver_refusals(facts: dict[str, Any]) -> list[Refusal]:
    """Return refusals of a Linux driver inside WSL, and of a loader that finds another libcuda than WSL's, or none."""
    nvidia = facts["nvidia"]
    if facts["wsl"] != 2:
        return []
    packages, loader = nvidia["linux_driver_packages"], nvidia["loader_libcuda"]
    if packages:
        return [
            Refusal(
                "linux_driver_in_wsl",
                "a Linux NVIDIA driver is installed inside WSL: "
                + ", ".join(packages)
                + (f"; the loader takes {loader}" if loader else ""),
                f"only the driver on Windows, whose libraries are in {WSL_FOLDER}",
                f"sudo apt-get purge -y {' '.join(packages)} && sudo ldconfig; then in PowerShell: wsl --shutdown",
            )
        ]
    if not nvidia["wsl_libcuda"]:
        return []
    if loader and not loader.startswith(WSL_FOLDER + "/"):
        quoted = shlex.quote(loader)
        return [
            Refusal(
                "other_libcuda_in_wsl",
                f"the loader takes {loader}",
                f"{WSL_FOLDER}/libcuda.so.1, the driver on Windows",
                f"sudo rm {quoted} && sudo ldconfig   (left by a Linux driver; dpkg -S {quoted} names its package)",
            )
        ]
    if not loader:
        return [
            Refusal(
                "libcuda_not_in_loader",
                f"{WSL_FOLDER}/libcuda.so.1 exists, but the loader does not look there",
                "the folder in the loader's cache, or torch finds no GPU",
                f"echo {WSL_FOLDER} | sudo tee /etc/ld.so.conf.d/ld.wsl.conf && sudo ldconfig",
            )
        ]
    return []


def network_checks(facts: dict[str, Any]) -> tuple[list[Refusal], list[str]]:
    """Return refusals and warnings on network variables that cannot work."""
    refusals, warnings = [], []
    for each in facts.get("network") or []:
        if each["safe"]:
            warnings.append(f"{each['found']}; put right for this run, to mend it: {each['remedy']}")
        elif each["stops"]:
            refusals.append(
                Refusal(
                    "network_variables",
                    each["found"],
                    each["expected"],
                    f"{each['remedy']}; then run again "
                    "(for good where it is set: ~/.profile, /etc/environment, inventory)",
                )
            )
        else:
            warnings.append(f"{each['found']}; nothing is fetched that way now, to mend it: {each['remedy']}")
    return refusals, warnings


def source_checks(facts: dict[str, Any]) -> tuple[list[Refusal], list[str]]:
    """Return refusals and warnings on the sources asked: of each group at least one has to answer."""
    refusals, warnings = [], []
    for group in facts["sources"]:
        silent = [source for source in group["urls"] if not source["reachable"]]
        told = "; ".join(f"{source['url']}: {source['error']}" for source in silent)
        if not silent:
            continue
        if len(silent) < len(group["urls"]):
            warnings.append(f"{group['name']}: {told}; another source answers")
            continue
        tls = "certificate" in told.lower()
        refusals.append(
            Refusal(
                "sources",
                f"{group['name']}: {told}",
                "an answer within 5 s" if len(silent) == 1 else "an answer of at least one within 5 s",
                "name your company's certificates: -e chatglm_ca_bundle=/path/on/the/host.pem"
                if tls
                else of_names(
                    told,
                    "check the network and the proxy (https_proxy), or set another source: "
                    + (group.get("remedy") or "see README.md, Settings")
                    + "; to go on all the same: -e preflight_check_sources=never",
                    bool(facts["wsl"]),
                ),
            )
        )
    return refusals, warnings


def make_plan(facts: dict[str, Any], settings: Settings) -> Outcome:
    """Judge ``facts`` (the structure that host_facts documents) under ``settings``.

    Every refusal is found, not only the first, so that a host is mended in one go.
    """
    refusals = host_refusals(facts, settings)
    warnings: list[str] = []
    notes: list[str] = []
    gpu: dict[str, Any] | None = None
    torch = "cpu" if settings.device == "cpu" else ""
    if settings.device != "cpu":
        refusals += wsl_driver_refusals(facts)
        # WSL1 has no GPU, and a Linux driver inside WSL hides the true one: what is seen now is not the reason.
        if not any(refusal.code in ("wsl1", "linux_driver_in_wsl", "other_libcuda_in_wsl") for refusal in refusals):
            gpu, reasons, notes = choose_gpu(facts, settings)
            refusals += reasons
            torch = torch_build(gpu["capability"]) if gpu else ""
    engine = choose_engine(settings, gpu)
    if gpu:
        warnings += gpu_warnings(gpu, facts, settings)
        if engine == "torch":
            notes.append(
                f"the int4 engine torch is unproven on this card ({gpu['name']}): proven here by the run's own check"
            )
    if settings.device == "cpu" and engine == "upstream" and settings.int4_capabilities and not facts["gcc"]:
        refusals.append(
            Refusal(
                "gcc",
                "no gcc on PATH",
                "gcc: on a CPU the model compiles its int4 kernel when it is loaded",
                "sudo apt-get update; sudo apt-get install -y gcc; or leave chatglm_engine out",
            )
        )
    python, refusal = choose_python(facts, settings)
    refusals += [refusal] if refusal else []
    # Without a device the disk is judged for the usual GPU build, so that this too is known at once.
    more, sizes = size_checks(facts, settings, torch or "2.7.1")
    refusals += more
    warnings += sizes
    more, silent = network_checks(facts)
    refusals += more
    warnings += silent
    more, silent = source_checks(facts)
    refusals += more
    warnings += silent
    if facts["injected"]:
        warnings.append("not observed but given (preflight_inject): " + ", ".join(sorted(facts["injected"])))
    component = COMPONENTS.get(facts["distribution"]["base"], "")
    cuda = TORCH_CUDA.get(torch, "")
    seen = Plan("", gpu, python, torch, TRANSFORMERS, cuda, component, engine, notes)
    plan = None if refusals else replace(seen, device="cuda" if gpu else "cpu")
    return Outcome(
        plan,
        plan or likely_plan(facts, settings, seen),
        refusals,
        warnings,
        report(facts, settings, plan=plan, gpu=gpu, python=python, torch=torch, notes=notes, warnings=warnings),
    )


def likely_plan(facts: dict[str, Any], settings: Settings, seen: Plan) -> Plan:
    """Return ``seen`` (what is known although the host was refused) with its gaps filled by what is installed.

    Where ``auto`` found no GPU that will do, an installed CPU build tells that this installation was made without one.
    Of the interpreters, the one that the virtualenv stands on counts even where no new one would be made from it.
    """
    installed = facts["installed"]["torch"]
    cpu = settings.device == "cpu" or (settings.device == "auto" and not seen.gpu and installed == "cpu")
    gpu = None if cpu else seen.gpu or next((gpu for gpu in facts["gpus"] if gpu["usable"]), None)
    torch = "cpu" if cpu else seen.torch or torch_build(gpu["capability"] if gpu else "")
    if not torch:
        torch = installed if installed in ("2.7.1", "2.8.0") else "2.7.1"
    python = seen.python or next(
        (
            {"path": each["path"], "version": each["minor"], "source": "host"}
            for each in facts["pythons"]
            if each.get("in_use")
        ),
        {},
    )
    cuda = TORCH_CUDA.get(torch, "")
    engine = choose_engine(settings, gpu)
    device = "cpu" if cpu else "cuda"
    return replace(seen, device=device, gpu=gpu, torch=torch, torch_cuda=cuda, python=python, engine=engine)


def gpu_warnings(gpu: dict[str, Any], facts: dict[str, Any], settings: Settings) -> list[str]:
    """Return warnings on the memory of the chosen GPU."""
    free = gpu["memory_free"]
    if _busy_with_ours(facts, "cuda"):
        return []
    if free is None:
        return [f"how much memory is free on {gpu['name']} is unknown (nvidia-smi does not tell)"]
    if free < settings.warn_gpu_memory_gb * GIB:
        return [
            f"{gigabytes(free)} free on {gpu['name']}: enough for short conversations, "
            f"{settings.warn_gpu_memory_gb:.1f} GB are needed for long ones; close what uses the GPU on Windows"
            if facts["wsl"]
            else f"{gigabytes(free)} free on {gpu['name']}: enough for short conversations, "
            f"{settings.warn_gpu_memory_gb:.1f} GB are needed for long ones"
        ]
    return []


def report(
    facts: dict[str, Any],
    settings: Settings,
    *,
    plan: Plan | None,
    gpu: dict[str, Any] | None,
    python: dict[str, str],
    torch: str,
    notes: list[str],
    warnings: list[str],
) -> list[str]:
    """Return the block that the user reads: one line per subject, then notes and warnings."""
    disk, memory, nvidia = facts["disk"], facts["memory"], facts["nvidia"]
    kind = {0: "", 1: " in WSL 1", 2: " in WSL 2"}[facts["wsl"]]
    lines = [
        f"host      {facts['distribution']['name']}{kind}, {facts['architecture']}, "
        + ("systemd" if facts["systemd"] else "without systemd"),
        f"memory    {gigabytes(memory['total'])} ({gigabytes(memory['available'])} available), swap "
        f"{gigabytes(memory['swap_total'])} ({gigabytes(memory['swap_free'])} free)",
        f"disk      {gigabytes(disk['free'])} free under {settings.home} ({disk['type'] or 'unknown'}); "
        f"still needed: {gigabytes(disk_needed(facts, settings, torch or '2.7.1'))}",
    ]
    shown = gpu or next(iter(facts["gpus"]), None)
    if settings.device == "cpu":
        lines.append("device    cpu, as asked")
    elif shown:
        free = "unknown" if shown["memory_free"] is None else f"{shown['memory_free'] / GIB:.1f}"
        driver = ", ".join(
            part
            for part in (
                f"driver {nvidia['driver']}" if nvidia["driver"] else "",
                f"CUDA {cuda_version(nvidia['driver_cuda'])}" if nvidia["driver_cuda"] else "",
            )
            if part
        )
        lines.append(
            f"device    {'cuda' if gpu else 'none'}  {shown['name']}, {gigabytes(shown['memory_total'] or 0)} "
            f"({free} free), compute capability {shown['capability'] or 'unknown'}, {driver or 'driver unknown'}"
        )
    else:
        lines.append("device    none: no NVIDIA GPU found")
    if python.get("source") == "managed":
        lines.append(f"python    {python['release']}  brought along by uv")
    else:
        none = "python    none of 3.12, 3.11, 3.10"
        lines.append(f"python    {python['version']}  {python['path']}" if python else none)
    if plan:
        lines.append(f"packages  torch {plan.torch}, transformers {plan.transformers}")
        lines.append(f"engine    {plan.engine}: {ENGINES[plan.engine]}")
        if plan.device == "cuda":
            lines.append(f"cuda      {plan.torch_cuda}; its libraries: the system's, apt's, else the virtualenv's own")
    owner = facts["port"]["owner"] or {}
    ours = "held by the service" if owner.get("service") else "held by our own demo" if owner.get("ours") else "taken"
    state = "free" if facts["port"]["free"] else ours
    lines.append(f"page      http://{settings.listen}:{settings.port} ({state})")
    return lines + [f"note      {note}" for note in notes] + [f"warning   {warning}" for warning in warnings]
