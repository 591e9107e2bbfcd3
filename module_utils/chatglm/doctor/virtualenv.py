"""Checks of the virtualenv: the Python that it stands on, its files, and whether its packages work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..language.messages import Text
from .preflight import CUDA, LOOK
from .registry import (
    AGAIN,
    FULL,
    INT4,
    LOCALHOST,
    NO_CUDA,
    OK,
    ON_CPU,
    REPAIRABLE,
    UNKNOWN,
    YOURS,
    Check,
    Evidence,
    Finding,
    Judge,
    known,
    listed,
    listed_faults,
    stopped,
)

LOCKED = Text("as locked", "与锁定的一致")

_MANAGED = ("managed_python_missing", "managed_python_damaged")
_VENV = ("venv_blocked", "venv_missing", "venv_interpreter")
PACKAGES = (
    *_VENV,
    "stray_files",
    "venv_interrupted",
    "package_missing",
    "package_version",
    "package_damaged",
    "transformers_version",
    "gradio_version",
    "torch_build",
)
IMPORTS = (*PACKAGES, "pkg_resources", "import_failed")

OWN_CODES = {
    "setuptools": "pkg_resources",
    "cpm-kernels": "cpm_kernels",
    "transformers": "transformers_version",
    "tokenizers": "transformers_version",
    "gradio": "gradio_version",
    "gradio-client": "gradio_version",
    "starlette": "gradio_version",
    "pydantic": "gradio_version",
    "pydantic-core": "gradio_version",
    "huggingface-hub": "gradio_version",
    "fastapi": "gradio_version",
    "torch": "torch_build",
}
"""Distributions whose wrong version has a code of its own, since it has an error text of its own."""

OWN_MISSING = {"setuptools": "pkg_resources", "cpm-kernels": "cpm_kernels"}
"""The same where the distribution is missing."""

INTERRUPTED = "an interrupted run was at work on it"


def package_faults(virtualenv: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the faults of distributions by code, from python_env's plan (``NAME==VERSION: FAULT``)."""
    faults: dict[str, list[str]] = {}
    for pin in virtualenv.get("install") or []:
        name = pin.partition("==")[0]
        faults.setdefault(OWN_MISSING.get(name, "package_missing"), []).append(f"{pin} is missing")
    for each in virtualenv.get("reinstall") or []:
        pin, _, fault = each.partition(": ")
        name = pin.partition("==")[0]
        if fault == INTERRUPTED:
            code = "venv_interrupted"
        elif fault.startswith(("version ", "installed twice", "its locked digests changed")):
            code = OWN_CODES.get(name, "package_version")
        else:
            code = "package_damaged"
        faults.setdefault(code, []).append(f"{pin}: {fault}")
    for pin in virtualenv.get("remove") or []:
        faults.setdefault("package_version", []).append(f"{pin} is in no lock any more")
    return faults


def _prepared(virtualenv: Mapping[str, Any]) -> list[str]:
    diff = virtualenv.get("diff") or {}
    return str(diff.get("prepared", "")).splitlines() if isinstance(diff, dict) else []


_GONE = ("it is missing", "it has no interpreter", "its interpreter may not be executed")


def _managed_python(evidence: Evidence, *, gone: bool) -> Finding | None:
    """Return what is wrong with the Python that uv brings: whether it is ``gone``, or else whether it is damaged."""
    result = evidence.get("managed_python") or {}
    if result.get("failed"):
        return stopped("managed_python")(evidence) if gone else Finding(UNKNOWN, Text("not looked at", "没有检查"))
    if not result.get("action") or not result.get("version"):
        return Finding(OK, Text("none is used", "没有使用"), applies=False)
    if result["action"] == "create":
        return Finding(OK, Text("yet to be brought along", "还没有带来"), applies=False)
    reason = str(result.get("reason", ""))
    away = reason in _GONE or reason.startswith("missing file bin/")
    fine = f"Python {result['version']}"
    if gone:
        return Finding(REPAIRABLE, listed_faults([f"{result['python']}: {reason}"])) if away else Finding(OK, fine)
    seen = [reason] if reason and not away else []
    seen += [f"{path} is not of its archive" for path in result.get("aside") or []]
    seen += [line[2:] for line in _prepared(result) if "left over from an interrupted run" in line]
    return Finding(REPAIRABLE, listed_faults(seen)) if seen else Finding(OK, fine)


def _managed_python_missing(evidence: Evidence) -> Finding | None:
    return _managed_python(evidence, gone=True)


def _managed_python_damaged(evidence: Evidence) -> Finding | None:
    return _managed_python(evidence, gone=False)


def _venv_missing(evidence: Evidence) -> Finding | None:
    virtualenv = known(evidence, "virtualenv")
    if virtualenv.get("action") == "create":
        path = f"{evidence['context']['home']}/venv"
        return Finding(REPAIRABLE, Text(f"no virtualenv in {path}", f"{path} 里没有虚拟环境"))
    return Finding(OK, str(virtualenv.get("python", "there")))


def _venv_interpreter(evidence: Evidence) -> Finding | None:
    virtualenv = known(evidence, "virtualenv")
    if virtualenv.get("action") == "rebuild":
        return Finding(REPAIRABLE, virtualenv["reason"])
    if any(line.startswith("~ pyvenv.cfg") for line in _prepared(virtualenv)):
        return Finding(REPAIRABLE, Text("pyvenv.cfg was edited", "pyvenv.cfg 被改动过"))
    return Finding(OK, f"Python {virtualenv.get('python_version', '')}".strip())


def _stray_files(evidence: Evidence) -> Finding | None:
    stray = known(evidence, "virtualenv").get("aside") or []
    return (
        Finding(REPAIRABLE, listed(stray))
        if stray
        else Finding(OK, Text("none that Python would run", "没有 Python 会运行的"))
    )


def _venv_interrupted(evidence: Evidence) -> Finding | None:
    virtualenv = known(evidence, "virtualenv")
    seen = [f"{line[2:]}" for line in _prepared(virtualenv) if "left over from an interrupted run" in line]
    seen += package_faults(virtualenv).get("venv_interrupted", [])
    if virtualenv.get("action") == "verify":
        seen.append(virtualenv["reason"])
    return Finding(REPAIRABLE, listed_faults(seen)) if seen else Finding(OK, Text("finished", "已装完"))


def _package(code: str, fine: Text) -> Judge:
    """Return the judge of the faults that go by one code."""

    def judge(evidence: Evidence) -> Finding | None:
        faults = package_faults(known(evidence, "virtualenv")).get(code)
        return Finding(REPAIRABLE, listed_faults(faults)) if faults else Finding(OK, fine)

    return judge


def _imported(evidence: Evidence, code: str, names: Iterable[str], fine: Callable[[dict[str, Any]], str]) -> Any:
    """Return the finding on packages: the virtualenv's record first, then the raw import; None asks for the import."""
    faults = package_faults(known(evidence, "virtualenv")).get(code)
    if faults:
        return Finding(REPAIRABLE, listed_faults(faults))
    seen = evidence.get("imports")
    if seen is None:
        return None
    if seen.get("error"):
        return Finding(UNKNOWN, seen["error"])
    errors = [f"import {name}: {seen['modules'][name]}" for name in names if seen["modules"].get(name)]
    if not errors:
        return Finding(OK, fine(seen))
    if evidence["context"]["deep"]:  # every file was read: not the packages are at fault
        todo = "the packages are as locked: look for the library or file that the error names"
        return Finding(YOURS, listed(errors), todo)
    return Finding(REPAIRABLE, listed(errors))


def _version(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda seen: f"{name} {seen['versions'].get(name, 'of unknown version')}"


def _pkg_resources(evidence: Evidence) -> Finding | None:
    return _imported(evidence, "pkg_resources", ["pkg_resources"], _version("setuptools"))  # type: ignore[no-any-return]


def _cpm_kernels(evidence: Evidence) -> Finding | None:
    # It asks the CUDA driver when it is imported, so without a GPU only the record tells.
    if evidence["context"]["device"] == "cpu" and not package_faults(known(evidence, "virtualenv")).get("cpm_kernels"):
        return ON_CPU
    return _imported(  # type: ignore[no-any-return]
        evidence, "cpm_kernels", ["cpm_kernels.kernels.base"], _version("cpm_kernels")
    )


def _import_failed(evidence: Evidence) -> Finding | None:
    return _imported(  # type: ignore[no-any-return]
        evidence,
        "",
        ["torch", "transformers", "gradio", "sentencepiece"],
        lambda seen: listed(f"{name} {version}" for name, version in seen["versions"].items() if name != "python"),
    )


def _on_gpu(judge: Judge) -> Judge:
    """Return the judge for hosts whose model runs on a GPU."""

    def only(evidence: Evidence) -> Finding | None:
        if evidence["context"]["device"] == "cpu":
            return ON_CPU
        return judge(evidence)

    return only


def _cuda_available(evidence: Evidence) -> Finding | None:
    seen = evidence.get("imports")
    if seen is None:
        return None
    if seen.get("error") or not seen.get("cuda"):
        return Finding(UNKNOWN, seen.get("error") or "torch was not asked")
    cuda = seen["cuda"]
    if cuda.get("available"):
        return Finding(OK, f"CUDA {cuda.get('build')}")
    if cuda.get("error"):
        return Finding(YOURS, cuda["error"])
    without = f"torch.cuda.is_available() is False (CUDA {cuda.get('build')})"
    return Finding(YOURS, Text(without, f"torch.cuda.is_available() 为 False（CUDA {cuda.get('build')}）"))


CHECKS: tuple[Check, ...] = (
    Check(
        "managed_python_missing",
        Text("the Python that uv has brought", "uv 带来的 Python"),
        Text(
            "the Python under chatglm_home, which the virtualenv stands on, was deleted",
            "虚拟环境所用的、chatglm_home 里的 Python 被删除了",
        ),
        AGAIN,
        _managed_python_missing,
        needs=(*LOOK, "python", "architecture"),
        symptoms=("bad interpreter", "No such file or directory: 'python", "python3.12: No such file"),
    ),
    Check(
        "managed_python_damaged",
        Text("its files", "它的文件"),
        Text(
            "files of that Python were changed, cut or deleted, or do not belong there",
            "那个 Python 的文件被改动、截断或删除，或有不属于它的文件",
        ),
        AGAIN,
        _managed_python_damaged,
        needs=(*LOOK, "python", "architecture", "managed_python_missing"),
        symptoms=("No module named 'encodings'", "init_fs_encoding", "SyntaxError"),
    ),
    Check(
        "venv_blocked",
        Text("place of the virtualenv", "虚拟环境的位置"),
        Text("something that is no virtualenv stands in its place", "虚拟环境的位置上是别的东西"),
        Text("move it away: mv {home}/venv {home}/venv.mine", "把它移开：mv {home}/venv {home}/venv.mine"),
        stopped("virtualenv"),
        repairs="user",
        needs=(*LOOK, "python", "architecture"),
        symptoms=("holds files but no virtualenv",),
    ),
    Check(
        "venv_missing",
        Text("virtualenv", "虚拟环境"),
        Text("there is no virtualenv yet", "还没有虚拟环境"),
        AGAIN,
        _venv_missing,
        needs=(*_MANAGED, "venv_blocked"),
        symptoms=(
            "externally-managed-environment",
            "ensurepip is not available",
            "venv/bin/python: No such file",
            "No module named 'torch'",
            "No module named 'transformers'",
            "No module named 'gradio'",
        ),
    ),
    Check(
        "venv_interpreter",
        Text("interpreter of the virtualenv", "虚拟环境的解释器"),
        Text(
            "its Python was removed or upgraded, or the folder was moved",
            "它的 Python 被删除或升级了，或者目录被移动过",
        ),
        AGAIN,
        _venv_interpreter,
        needs=(*_MANAGED, "venv_blocked", "venv_missing"),
        symptoms=("bad interpreter", "libpython3", "No module named 'encodings'", "No such file or directory: 'python"),
    ),
    Check(
        "venv_interrupted",
        Text("virtualenv finished", "虚拟环境是否装完"),
        Text("an installation was interrupted, and nothing proves the rest", "安装被中断，其余部分未经证实"),
        AGAIN,
        _venv_interrupted,
        needs=_VENV,
        symptoms=("No module named",),
    ),
    Check(
        "stray_files",
        Text("files of no package", "不属于任何软件包的文件"),
        Text(
            "Python would run them by itself, or instead of a package's; they are put beside, in venv.kept",
            "Python 会自动运行它们，或用它们顶替软件包；修复时移到 venv.kept",
        ),
        AGAIN,
        _stray_files,
        needs=_VENV,
        symptoms=("sitecustomize", "partially initialized module", "cannot import name"),
    ),
    Check(
        "package_missing",
        Text("all packages", "软件包是否齐全"),
        Text("a package that the locks name is not installed", "锁定的某个软件包没有安装"),
        AGAIN,
        _package("package_missing", Text("all there", "齐全")),
        needs=_VENV,
        symptoms=("No module named", "ModuleNotFoundError"),
    ),
    Check(
        "package_version",
        Text("versions of packages", "软件包版本"),
        Text("a package was installed in another version, by hand or by another program", "某个软件包被装成了别的版本"),
        AGAIN,
        _package("package_version", LOCKED),
        needs=_VENV,
        symptoms=("cannot import name", "but you have", "which is incompatible"),
    ),
    Check(
        "package_damaged",
        Text("files of packages", "软件包文件"),
        Text("files of a package were changed, cut or deleted", "某个软件包的文件被改动、截断或删除"),
        AGAIN,
        _package("package_damaged", Text("as recorded", "与记录一致")),
        needs=_VENV,
        symptoms=("SyntaxError", "cannot import name", "undefined symbol", "invalid ELF header", "file too short"),
    ),
    Check(
        "transformers_version",
        Text("version of transformers", "transformers 版本"),
        Text("the model's own code works with the pinned transformers only", "模型自带代码只适用于锁定的 transformers"),
        AGAIN,
        _package("transformers_version", LOCKED),
        needs=_VENV,
        symptoms=(
            "has no attribute 'tokenizer'",
            "padding_side",
            "'ChatGLMConfig' object has no attribute",
            "_get_logits_warper",
            "_extract_past_from_model_output",
            "_eos_token_tensor",
        ),
    ),
    Check(
        "gradio_version",
        Text("version of gradio and what it stands on", "gradio 及其依赖的版本"),
        Text(
            "gradio, starlette, pydantic or huggingface_hub in versions that do not fit",
            "gradio、starlette、pydantic 或 huggingface_hub 版本不配",
        ),
        AGAIN,
        _package("gradio_version", LOCKED),
        needs=_VENV,
        symptoms=(
            "has no attribute 'style'",
            "unhashable type: 'dict'",
            "argument of type 'bool' is not iterable",
            "cannot import name 'HfFolder'",
            "Internal Server Error",
            *LOCALHOST,
        ),
    ),
    Check(
        "torch_build",
        Text("build of torch", "torch 版本"),
        Text(
            "torch is another build than this host needs, such as a CPU build on a GPU host",
            "torch 不是此主机需要的版本，例如显卡主机上的 CPU 版",
        ),
        AGAIN,
        _package("torch_build", LOCKED),
        needs=_VENV,
        symptoms=("Torch not compiled with CUDA enabled", *NO_CUDA),
    ),
    Check(
        "pkg_resources",
        Text("pkg_resources (setuptools)", "pkg_resources（setuptools）"),
        Text(
            "setuptools is missing or too new: from 82 on it has no pkg_resources, which cpm_kernels imports",
            "setuptools 缺失或太新：82 起没有 cpm_kernels 要导入的 pkg_resources",
        ),
        FULL,
        _pkg_resources,
        cost=3,
        needs=PACKAGES,
        probe="imports",
        symptoms=("No module named 'pkg_resources'", INT4),
    ),
    Check(
        "import_failed",
        Text("packages import", "软件包能否导入"),
        Text("a package does not import although it is as recorded", "软件包与记录一致却导入不了"),
        FULL,
        _import_failed,
        cost=3,
        needs=PACKAGES,
        probe="imports",
        symptoms=("ImportError", "cannot open shared object file", "Illegal instruction", "GLIBC"),
    ),
    Check(
        "cpm_kernels",
        Text("cpm_kernels", "cpm_kernels"),
        Text(
            "cpm_kernels does not import; the model's code hides the reason and fails at the first token",
            "cpm_kernels 导入不了；模型代码吞掉了原因，到第一个词才报错",
        ),
        FULL,
        _cpm_kernels,
        cost=3,
        needs=(*PACKAGES, "pkg_resources", "cuda_libs", "cuda_links"),
        probe="imports",
        symptoms=(INT4, "No module named 'cpm_kernels'", "Failed to load cpm_kernels"),
    ),
    Check(
        "cuda_available",
        Text("torch reaches the GPU", "torch 能否使用显卡"),
        Text("torch finds no GPU although the driver answers", "驱动正常，但 torch 找不到显卡"),
        Text(
            "unset CUDA_VISIBLE_DEVICES; in PowerShell: wsl --shutdown; update the driver",
            "unset CUDA_VISIBLE_DEVICES；在 PowerShell 里：wsl --shutdown；更新驱动",
        ),
        _on_gpu(_cuda_available),
        repairs="user",
        cost=3,
        needs=(*IMPORTS, *CUDA, "libcuda_not_in_loader"),
        probe="imports",
        symptoms=(*NO_CUDA, "Error 2: out of memory", "cudaGetDeviceCount"),
    ),
)
