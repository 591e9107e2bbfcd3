"""The registry of the doctor: one entry a check, from cheap to dear, in English and Simplified Chinese.

To add a check, add one :class:`Check` to :data:`CHECKS` and its two samples to tests/unit/doctor_evidence.py. An
entry's ``judge`` is pure: evidence in, finding out. Evidence is what the site's own modules said in check mode (so that
the doctor and site.yml never disagree) and what the probes of library/doctor.py saw; its keys are in :class:`Evidence`.

Runs on the host's own Python, which may be as old as 3.8: preflight says itself that this is too old.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Optional  # noqa: UP035

from ..language.messages import Text
from ..language.translations import ENOUGH, chinese, item
from ..smoke_test.smoke import PINNED_REVISION
from ..virtualenv.managed_python import MINORS

OK, REPAIRABLE, YOURS, UNKNOWN = "ok", "repairable", "yours", "unknown"


Evidence = Dict[str, Any]  # noqa: UP006
"""What is known of a host.

``context``: device, home, port and the like (see :data:`FIELDS`); ``settings``: problems; ``host``: what host_facts
returned; ``cuda_libs``, ``cuda_links``, ``virtualenv``, ``source``, ``weights``, ``web_demo``, ``proof``,
``service``: what the site's modules returned in check mode (``failed`` and ``msg`` when they failed). Then the
doctor's own probes, each only when a judge asked for it by returning None: ``lock``, ``proxies``, ``page``,
``windows_page``, ``sums``, ``module_cache``, ``imports``, ``tokenizer``, ``proof_record``, ``answer``.
"""


@dataclass(frozen=True)
class Finding:
    """What a judge says.

    Attributes:
        verdict: ok, repairable (by site.yml), yours (only the user can) or unknown.
        evidence: the value found: as the tools say it, or in words of our own in both languages.
        todo: the exact line for this host where the entry's remedy is only the general one; in both languages where it
            takes the place of that in both.
        applies: False where the check has nothing to look for on this host (a GPU's on ``chatglm_device=cpu``).

    """

    verdict: str
    evidence: str | Text
    todo: str | Text = ""
    applies: bool = True


NO_WSL = Text("no WSL", "不是 WSL")
NO_EDITS = Text("no edits of yours", "没有你的修改")
FREE = Text("free", "空闲")
LOCKED = Text("as locked", "与锁定的一致")

LEFT = "left to you (cuda_libs_install)"
ON_CPU = Finding(OK, "the model runs on the CPU", applies=False)

Judge = Callable[[Evidence], Optional[Finding]]  # noqa: UP045


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes:
        code: stable name.
        title: what is looked at, a few words.
        cause: why it is wrong, when it is.
        remedy: what to do, with the command.
        judge: evidence to finding; None asks for the evidence of ``probe``.
        repairs: ``site`` or ``user``: who can repair it.
        cost: 0 facts of the host, 1 status of files, 2 content of files and sockets, 3 programs of the virtualenv.
        needs: codes of checks which, when failed, make this one pointless.
        probe: the doctor's own probe that the judge may ask for.
        symptoms: pieces of the error texts that users paste and that this can be the cause of.

    """

    code: str
    title: Text
    cause: Text
    remedy: Text
    judge: Judge
    repairs: str = "site"
    cost: int = 1
    needs: tuple[str, ...] = ()
    probe: str = ""
    symptoms: tuple[str, ...] = field(default=())


AGAIN = Text("{site}", "{site}")
FULL = Text("{full}", "{full}")


# --- helpers of the judges --------------------------------------------------------------------------------------------


def split_failure(text: str) -> tuple[str, str]:
    """Return what was found and what is to be done, from the text of a failure.Failure (or of a Refusal)."""
    found, _, todo = text.partition(" To do: ")
    return _plain(found), todo.strip()


def _plain(found: str) -> str:
    found = found.partition(" Expected: ")[0].strip()
    return (found[len("Found: ") :] if found.startswith("Found: ") else found).rstrip(".")


def _listed(items: Iterable[str], limit: int = 4) -> str:
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _faults(items: Iterable[str], limit: int = 4) -> Text:
    """Return a list of what modules say (``WHAT: FAULT``) in both languages."""
    items = list(items)
    more = f" 等 {len(items)} 个" if len(items) > limit else ""
    return Text(_listed(items, limit), "；".join(map(item, items[:limit])) + more)


def _stopped(name: str) -> Judge:
    """Return the judge of whether a module of the site could look at all."""

    def judge(evidence: Evidence) -> Finding | None:
        result = evidence.get(name)
        if result is None:
            return Finding(UNKNOWN, "not looked at")
        if result.get("failed"):
            text = str(result.get("msg", "no message"))
            found, todo = split_failure(text)
            if result.get("unforeseen"):
                return Finding(UNKNOWN, found, todo)
            return Finding(YOURS, found, todo) if " Expected: " in text else Finding(UNKNOWN, text)
        return Finding(OK, "can be looked at", applies=False)

    return judge


def _known(evidence: Evidence, name: str) -> dict[str, Any]:
    """Return what a module of the site said; empty when it said nothing or failed."""
    result = evidence.get(name) or {}
    return {} if result.get("failed") else result


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
            return Finding(UNKNOWN, _plain(str(host.get("msg", "the host was not looked at"))))
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
    return _listed(gpu["name"] for gpu in facts["gpus"] if gpu["usable"])


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


def _network(facts: dict[str, Any]) -> str | Text:
    names = _listed(each["found"].partition(" is ")[0] for each in facts.get("network") or [])
    return Text(f"put right by the run: {names}", f"运行时会改正：{names}") if names else Text("can work", "可以使用")


def _port(facts: dict[str, Any]) -> Text:
    pid = (facts["port"]["owner"] or {}).get("pid", "?")
    return FREE if facts["port"]["free"] else Text(f"our own page, process {pid}", f"我们自己的网页，进程 {pid}")


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


def _lock(evidence: Evidence) -> Finding | None:
    lock = evidence.get("lock")
    if lock is None:
        return None
    if lock["holder"]:
        return Finding(YOURS, lock["holder"])
    return Finding(OK, Text("no run is at work", "没有别的运行"))


# --- cuda_libs --------------------------------------------------------------------------------------------------------


def _on_gpu(judge: Judge) -> Judge:
    """Return the judge for hosts whose model runs on a GPU."""

    def only(evidence: Evidence) -> Finding | None:
        if evidence["context"]["device"] == "cpu":
            return ON_CPU
        return judge(evidence)

    return only


def _cuda_libs(evidence: Evidence) -> Finding | None:
    result = evidence.get("cuda_libs") or {}
    if result.get("skipped") or (not result and evidence["context"]["device"] == "cpu"):
        return ON_CPU if evidence["context"]["device"] == "cpu" else Finding(OK, LEFT, applies=False)
    if result.get("failed") or "missing" not in result:
        return Finding(UNKNOWN, _plain(str(result.get("msg", "not looked at"))))
    errors = [f"{library['name']}: {library['error']}" for library in result["libraries"] if library.get("error")]
    if result.get("origin") == "virtualenv":
        return Finding(OK, Text("those of the virtualenv", "用虚拟环境里的"), applies=False)
    if result["refusal"]:
        found, todo = split_failure(result["refusal"])
        return Finding(YOURS, found, todo)
    if result["missing"]:
        return Finding(REPAIRABLE, _faults(errors or [f"{name} does not load" for name in result["missing"]]))
    return Finding(OK, _listed(f"{each['name']} {each.get('version', '')}".strip() for each in result["libraries"]))


def _cuda_links(evidence: Evidence) -> Finding | None:
    result = evidence.get("cuda_links") or {}
    if not result or result.get("skipped"):
        return Finding(OK, Text("none are needed", "不需要"), applies=False)
    if result.get("failed"):
        found, todo = split_failure(str(result.get("msg", "")))
        return Finding(YOURS, found, todo) if todo else Finding(UNKNOWN, found)
    lines = str((result.get("diff") or {}).get("prepared", "")).splitlines()
    if result.get("would_change", result.get("changed")):
        names = _listed(line.partition(" -> ")[0][2:] for line in lines)
        return Finding(REPAIRABLE, Text(f"broken or missing: {names}", f"坏了或缺失：{names}"))
    library = (evidence.get("cuda_libs") or {}).get("missing")
    if library:  # the links are right, what they lead to is not
        return Finding(REPAIRABLE, _faults(f"{name} does not load" for name in library))
    return Finding(OK, _listed(sorted(result.get("links") or {})))


# --- virtualenv -------------------------------------------------------------------------------------------------------

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


def _chosen_python(facts: dict[str, Any]) -> str:
    """Return the interpreter that the virtualenv is made from, as plan.choose_python chooses where nothing is set."""
    own = [each["path"] for each in facts["pythons"] if each.get("asked") or each["minor"] in MINORS]
    managed = facts.get("managed_python") or {}
    return _listed(own, 1) if own and not managed.get("in_use") else str(managed.get("path") or "")


_GONE = ("it is missing", "it has no interpreter", "its interpreter may not be executed")


def _managed_python(evidence: Evidence, *, gone: bool) -> Finding | None:
    """Return what is wrong with the Python that uv brings: whether it is ``gone``, or else whether it is damaged."""
    result = evidence.get("managed_python") or {}
    if result.get("failed"):
        return _stopped("managed_python")(evidence) if gone else Finding(UNKNOWN, Text("not looked at", "没有检查"))
    if not result.get("action") or not result.get("version"):
        return Finding(OK, Text("none is used", "没有使用"), applies=False)
    if result["action"] == "create":
        return Finding(OK, Text("yet to be brought along", "还没有带来"), applies=False)
    reason = str(result.get("reason", ""))
    away = reason in _GONE or reason.startswith("missing file bin/")
    fine = f"Python {result['version']}"
    if gone:
        return Finding(REPAIRABLE, _faults([f"{result['python']}: {reason}"])) if away else Finding(OK, fine)
    seen = [reason] if reason and not away else []
    seen += [f"{path} is not of its archive" for path in result.get("aside") or []]
    seen += [line[2:] for line in _prepared(result) if "left over from an interrupted run" in line]
    return Finding(REPAIRABLE, _faults(seen)) if seen else Finding(OK, fine)


def _managed_python_missing(evidence: Evidence) -> Finding | None:
    return _managed_python(evidence, gone=True)


def _managed_python_damaged(evidence: Evidence) -> Finding | None:
    return _managed_python(evidence, gone=False)


def _venv_missing(evidence: Evidence) -> Finding | None:
    virtualenv = _known(evidence, "virtualenv")
    if virtualenv.get("action") == "create":
        path = f"{evidence['context']['home']}/venv"
        return Finding(REPAIRABLE, Text(f"no virtualenv in {path}", f"{path} 里没有虚拟环境"))
    return Finding(OK, str(virtualenv.get("python", "there")))


def _venv_interpreter(evidence: Evidence) -> Finding | None:
    virtualenv = _known(evidence, "virtualenv")
    if virtualenv.get("action") == "rebuild":
        return Finding(REPAIRABLE, virtualenv["reason"])
    if any(line.startswith("~ pyvenv.cfg") for line in _prepared(virtualenv)):
        return Finding(REPAIRABLE, Text("pyvenv.cfg was edited", "pyvenv.cfg 被改动过"))
    return Finding(OK, f"Python {virtualenv.get('python_version', '')}".strip())


def _stray_files(evidence: Evidence) -> Finding | None:
    stray = _known(evidence, "virtualenv").get("aside") or []
    return (
        Finding(REPAIRABLE, _listed(stray))
        if stray
        else Finding(OK, Text("none that Python would run", "没有 Python 会运行的"))
    )


def _venv_interrupted(evidence: Evidence) -> Finding | None:
    virtualenv = _known(evidence, "virtualenv")
    seen = [f"{line[2:]}" for line in _prepared(virtualenv) if "left over from an interrupted run" in line]
    seen += package_faults(virtualenv).get("venv_interrupted", [])
    if virtualenv.get("action") == "verify":
        seen.append(virtualenv["reason"])
    return Finding(REPAIRABLE, _faults(seen)) if seen else Finding(OK, Text("finished", "已装完"))


def _package(code: str, fine: Text) -> Judge:
    """Return the judge of the faults that go by one code."""

    def judge(evidence: Evidence) -> Finding | None:
        faults = package_faults(_known(evidence, "virtualenv")).get(code)
        return Finding(REPAIRABLE, _faults(faults)) if faults else Finding(OK, fine)

    return judge


def _imported(evidence: Evidence, code: str, names: Iterable[str], fine: Callable[[dict[str, Any]], str]) -> Any:
    """Return the finding on packages: the virtualenv's record first, then the raw import; None asks for the import."""
    faults = package_faults(_known(evidence, "virtualenv")).get(code)
    if faults:
        return Finding(REPAIRABLE, _faults(faults))
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
        return Finding(YOURS, _listed(errors), todo)
    return Finding(REPAIRABLE, _listed(errors))


def _version(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda seen: f"{name} {seen['versions'].get(name, 'of unknown version')}"


def _pkg_resources(evidence: Evidence) -> Finding | None:
    return _imported(evidence, "pkg_resources", ["pkg_resources"], _version("setuptools"))  # type: ignore[no-any-return]


def _cpm_kernels(evidence: Evidence) -> Finding | None:
    # It asks the CUDA driver when it is imported, so without a GPU only the record tells.
    if evidence["context"]["device"] == "cpu" and not package_faults(_known(evidence, "virtualenv")).get("cpm_kernels"):
        return ON_CPU
    return _imported(  # type: ignore[no-any-return]
        evidence, "cpm_kernels", ["cpm_kernels.kernels.base"], _version("cpm_kernels")
    )


def _import_failed(evidence: Evidence) -> Finding | None:
    return _imported(  # type: ignore[no-any-return]
        evidence,
        "",
        ["torch", "transformers", "gradio", "sentencepiece"],
        lambda seen: _listed(f"{name} {version}" for name, version in seen["versions"].items() if name != "python"),
    )


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


# --- source -----------------------------------------------------------------------------------------------------------


def _source_plan(plans: tuple[str, ...], told: Callable[[dict[str, Any]], str | Text]) -> Judge:
    def judge(evidence: Evidence) -> Finding | None:
        source = _known(evidence, "source")
        if source.get("plan") in plans:
            return Finding(REPAIRABLE, told(source))
        return Finding(OK, str(source.get("before", ""))[:12])

    return judge


def _source_edited(evidence: Evidence) -> Finding | None:
    own = [each["path"] for each in _known(evidence, "source").get("modified") or [] if each["kind"] != "patched"]
    kept = Text(f"your own edits, which are kept: {_listed(own)}", f"你自己的修改，会保留：{_listed(own)}")
    return Finding(OK, kept if own else NO_EDITS)


# --- weights ----------------------------------------------------------------------------------------------------------


def _weights(kinds: tuple[str, ...]) -> Judge:
    def judge(evidence: Evidence) -> Finding | None:
        files = _known(evidence, "weights").get("files") or []
        bad = [f"{each['path']}: {each['reason']}" for each in files if each.get("kind") in kinds]
        there = sum(each.get("kind") != "missing" for each in files)
        return (
            Finding(REPAIRABLE, _faults(bad))
            if bad
            else Finding(OK, Text(f"none of {there} files", f"{there} 个文件都不是"), applies=there > 0)
        )

    return judge


def _model_bytes(evidence: Evidence) -> int:
    """Return how much lies in the model's folder; the files' names are not known before a hub was asked."""
    return int(_known(evidence, "host").get("facts", {}).get("installed", {}).get("weights", 0))


def _weights_missing(evidence: Evidence) -> Finding | None:
    weights = _known(evidence, "weights")
    files = weights.get("files") or []
    bad = [each["path"] for each in files if each.get("kind") == "missing"]
    if not files and not _model_bytes(evidence):
        path = evidence["context"]["model"]
        return Finding(REPAIRABLE, Text(f"no files in {path}", f"{path} 里没有文件"))
    if bad:
        told = f"{len(bad)} of {len(files)} missing: {_listed(bad)}"
        return Finding(REPAIRABLE, Text(told, f"{len(files)} 个中缺 {len(bad)} 个：{_listed(bad)}"))
    return Finding(OK, Text(f"{len(files)} files", f"{len(files)} 个文件"))


def _weights_unrecorded(evidence: Evidence) -> Finding | None:
    files = _known(evidence, "weights").get("files") or []
    bad = [f"{each['path']}: {each['reason']}" for each in files if each["action"] == "adopted"]
    if not files and _model_bytes(evidence):
        bad = ["the files and digests of this revision are not known: the hub will be asked"]
    if bad:
        return Finding(REPAIRABLE, _faults(bad))
    recorded = sum(each["action"] == "kept" for each in files)
    if recorded < len(files) or not files:  # others name what is wrong
        return Finding(OK, Text(f"{recorded} files", f"{recorded} 个文件"), applies=recorded > 0)
    seen = evidence.get("sums")
    if seen is None:
        return None
    if seen["error"]:
        return Finding(REPAIRABLE, seen["error"])
    sums = seen["files"]
    told = Text(f"{recorded} files, the sums of {sums} for the launcher", f"{recorded} 个文件，启动脚本核对 {sums} 个")
    return Finding(OK, told)


def _weights_digest(evidence: Evidence) -> Finding | None:
    finding = _weights(("digest", "long"))(evidence)
    if finding is None or finding.verdict != OK:
        return finding
    quick = Text("the small ones read, the big ones by size and times", "小文件已读，大文件按大小和时间")
    return Finding(OK, Text("all read", "全部已读") if evidence["context"]["deep"] else quick)


def _module_cache(evidence: Evidence) -> Finding | None:
    seen = evidence.get("module_cache")
    if seen is None:
        return None
    if seen["differing"]:
        todo = f"kill {seen['pid']}, then {shlex.quote(evidence['context']['home'])}/bin/chatglm-run"
        return Finding(YOURS, _listed(seen["differing"]), todo)
    count = seen["files"]
    same = Text(f"{count} files, as verified", f"{count} 个文件，与校验过的一致")
    return Finding(OK, same if count else Text("none in use", "没有在用的"))


def _tokenizer(evidence: Evidence) -> Finding | None:
    seen = evidence.get("tokenizer")
    if seen is None:
        return None
    if "Tokenizer' object has no attribute" in str(seen.get("error")):  # code from before transformers 4.34
        return Finding(YOURS, seen["error"], f"-e chatglm_model_revision={PINNED_REVISION}")
    if seen.get("error"):
        return Finding(REPAIRABLE, seen["error"])
    return Finding(OK, f"{seen['tokens']} tokens of {seen['text']}")


# --- web demo and page ------------------------------------------------------------------------------------------------


SCRIPTS = ("web_demo.py", "openai_api.py", "web_demo2.py")  # of each app


def _web_demo_edited(evidence: Evidence) -> Finding | None:
    web_demo = evidence.get("web_demo") or {}
    if not web_demo:
        return Finding(UNKNOWN, "not looked at")
    if web_demo.get("failed"):
        found, todo = split_failure(str(web_demo.get("msg", "no message")))
        return Finding(UNKNOWN if web_demo.get("unforeseen") else YOURS, found, todo)
    modified = _known(evidence, "source").get("modified") or []
    mixed = any(each["path"] in SCRIPTS and each["kind"] == "both" for each in modified)
    return Finding(OK, Text("your own edits, which are kept", "你自己的修改，会保留") if mixed else NO_EDITS)


def _changes(evidence: Evidence) -> tuple[bool, list[str]]:
    """Return whether patch_web_demo would change the script, and which of launcher and engine; of unknown name: ""."""
    web_demo = _known(evidence, "web_demo")
    if not web_demo.get("would_change", web_demo.get("changed")):
        return False, []
    diffs = web_demo.get("diff") or []
    headers = [each.get("before_header", "") for each in diffs if isinstance(each, dict)]
    script = any(os.path.basename(header) in SCRIPTS for header in headers)
    beside = [header for header in headers if os.path.basename(header) not in SCRIPTS]
    return script, beside or ([] if script else [""])


def _web_demo_unpatched(evidence: Evidence) -> Finding | None:
    edits = _known(evidence, "web_demo").get("edits") or []
    told = _faults(f"line {edit['line']} ({edit['kind']})" for edit in edits)
    if _changes(evidence)[0]:
        return Finding(REPAIRABLE, Text(f"not as patched: {told.en}", f"与打过补丁的不同：{told.zh}"))
    return Finding(OK, Text(f"patched: {told.en}", f"已打补丁：{told.zh}"))


def _launcher(evidence: Evidence) -> Finding | None:
    path = f"{evidence['context']['home']}/bin/chatglm-run"
    if not (changed := _changes(evidence)[1]):
        return Finding(OK, path)
    told = _listed(each or path for each in changed)
    return Finding(REPAIRABLE, Text(f"{told} is missing or changed", f"{told} 缺失或被改动"))


def _command(evidence: Evidence) -> Finding | None:
    service = evidence.get("service") or {}
    if service.get("failed"):  # which the check of the service names
        return Finding(OK, Text("not looked at", "没有查看"), applies=False)
    changed = service.get("command")
    if changed is None:
        return None
    if not changed:
        return Finding(OK, f"{evidence['context']['home']}/bin/chatglm")
    listed = _listed(changed)
    return Finding(REPAIRABLE, Text(f"missing or changed: {listed}", f"缺失或被改动：{listed}"))


def _proxies(evidence: Evidence) -> Finding | None:
    seen = evidence.get("proxies")
    if seen is None:
        return None
    if not seen["set"]:
        return Finding(OK, Text("none set", "没有设置"))
    told = _listed(f"{name}={value}" for name, value in sorted(seen["set"].items()))
    files = _known(evidence, "weights").get("files") or []
    if seen["unusable"] and (not files or any(each.get("kind") for each in files)):
        unusable = _listed(seen["unusable"])
        return Finding(YOURS, Text(f"for what is to be fetched: {unusable}", f"下载用的代理不能用：{unusable}"))
    bypass = "" if seen["loopback"] else ", which loopback goes through too"
    return Finding(OK, f"{told}{bypass}; the launcher unsets them")


def _page_port(evidence: Evidence) -> Finding | None:
    port = _known(evidence, "host").get("facts", {}).get("port") or {"free": True}
    if port["free"]:
        return Finding(OK, FREE)
    owner = port.get("owner") or {}
    if not owner.get("ours"):
        return Finding(OK, "held by another program: see port", applies=False)
    if owner.get("service"):
        return Finding(OK, f"held by the service, process {owner['pid']}; a run stops it where that is needed")
    told = f"our own page, process {owner['pid']} ({owner['command']})"
    if _known(evidence, "proof").get("due"):
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


def _proof(evidence: Evidence) -> Finding | None:
    proof = evidence.get("proof") or {}
    if proof.get("failed") or "due" not in proof:
        return Finding(UNKNOWN, _plain(str(proof.get("msg", "not looked at"))))
    if not proof["due"]:
        when = proof.get("time", "an unknown date")
        return Finding(OK, Text(f"answered on {when}", f"{when} 答过"))
    record = evidence.get("proof_record")
    if record is None:
        return None
    if record["verdict"] == "failed" and record["reasons"] and record.get("yours") and proof.get("same"):
        # Nothing has changed since: the same run would fail in the same way.
        reasons, todo = zip(*(split_failure(reason) for reason in record["reasons"]))  # noqa: B905
        return Finding(YOURS, _faults(reasons), "; ".join(dict.fromkeys(text for text in todo if text)))
    if record["verdict"] == "failed" and record["reasons"]:
        return Finding(REPAIRABLE, _faults([f"{proof['due_reason']}: {'; '.join(record['reasons'])}"]))
    return Finding(REPAIRABLE, proof["due_reason"])


def _service(evidence: Evidence) -> Finding | None:
    service = evidence.get("service") or {}
    if service.get("failed"):
        return Finding(YOURS, *split_failure(str(service.get("msg", "no message"))))
    if "todo" not in service:
        return Finding(UNKNOWN, _plain(str(service.get("msg", "not looked at"))))
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


# --- the registry -----------------------------------------------------------------------------------------------------

_HOME = ("settings", "home_not_folder")
_LOOK = (*_HOME, "host_python")
_GPU = ("settings", "wsl1", "linux_driver_in_wsl", "other_libcuda_in_wsl")
_NO_GPU = (*_GPU, "no_windows_driver", "no_gpu", "gpu_blocked", "gpu_not_usable")
_MANAGED = ("managed_python_missing", "managed_python_damaged")
_VENV = ("venv_blocked", "venv_missing", "venv_interpreter")
_PACKAGES = (
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
_SOURCE = ("source_blocked", "source_missing", "source_commit", "source_damaged")
_WEIGHTS = (
    "weights_blocked",
    "weights_missing",
    "weights_pointer",
    "weights_html",
    "weights_truncated",
    "weights_unrecorded",
    "weights_digest",
)
_CUDA = (*_NO_GPU, "capability_unknown", "no_int4_kernels", "gpu_not_in_torch", "driver_too_old", "gpu_memory")
_IMPORTS = (*_PACKAGES, "pkg_resources", "import_failed")

_OOM = ("CUDA out of memory", "OutOfMemoryError", "CUDA error: out of memory")
_NO_CUDA = (
    "CUDA is not available",
    "cuda.is_available",
    "No CUDA GPUs are available",
    "Found no NVIDIA driver",
    "libcuda.so",
    "addmm_impl_cpu_",
    "not implemented for 'Half'",
)
_NO_DRIVER = ("couldn't communicate with the NVIDIA driver", "nvidia-smi: command not found", "NVIDIA-SMI has failed")
_INT4 = "int4WeightExtractionHalf"
_LOCALHOST = ("localhost is not accessible", "a shareable link must be created")
_TOKENIZER_FILE = ("ParseFromArray", "sentencepiece_processor.cc", "could not parse ModelProto")
_NO_MODEL = ("not a valid model identifier", "is not a local folder", "not the path to a directory containing")
_NO_FILE = ("does not appear to have a file named", "Error no file named", "stat: path should be string")
_TLS = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "SSLError", "server certificate verification failed")

CHECKS: tuple[Check, ...] = (
    # 0: facts of the host, which one module gathers side by side
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
        symptoms=("WSL 1", *_NO_CUDA),
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
        needs=_HOME,
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
        needs=_HOME,
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
        needs=_HOME,
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
        needs=_HOME,
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
        needs=_HOME,
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
        symptoms=(*_NO_DRIVER, *_NO_CUDA, "driver/library version mismatch", _INT4),
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
        symptoms=(*_NO_DRIVER, *_NO_CUDA, _INT4),
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
        symptoms=(*_NO_CUDA, "Library cuda is not initialized", _INT4),
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
        symptoms=(*_NO_DRIVER, *_NO_CUDA, "Library cuda is not initialized", _INT4),
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
        symptoms=(*_NO_DRIVER, *_NO_CUDA, "No devices were found", _INT4),
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
        symptoms=("GPU access blocked by the operating system", *_NO_CUDA),
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
        symptoms=("cudaGetDeviceCount", "Error 2: out of memory", "CUDA unknown error", *_NO_DRIVER, *_NO_CUDA, *_OOM),
    ),
    Check(
        "capability_unknown",
        Text("compute capability", "计算能力"),
        Text("neither libcuda nor nvidia-smi tells the compute capability", "libcuda 和 nvidia-smi 都没有给出计算能力"),
        Text("update the NVIDIA driver; or -e chatglm_device=cpu", "更新 NVIDIA 驱动；或 -e chatglm_device=cpu"),
        refused("capability_unknown", lambda facts: _listed(gpu["capability"] for gpu in facts["gpus"]), gpu=True),
        repairs="user",
        cost=0,
        needs=_NO_GPU,
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
        needs=(*_NO_GPU, "capability_unknown"),
        symptoms=("no kernel image is available", "not compatible with the current PyTorch installation", _INT4),
    ),
    Check(
        "gpu_not_in_torch",
        Text("torch build for this GPU", "此显卡的 torch 版本"),
        Text("no pinned torch build has code for this GPU", "锁定的 torch 没有此显卡的代码"),
        Text("{site} -e chatglm_device=cpu", "{site} -e chatglm_device=cpu"),
        refused("gpu_not_in_torch", _gpu, gpu=True),
        repairs="user",
        cost=0,
        needs=(*_NO_GPU, "capability_unknown"),
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
        needs=_NO_GPU,
        symptoms=(
            "driver on your system is too old",
            "CUDA driver version is insufficient",
            *_NO_CUDA,
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
            lambda facts: _listed(
                f"{_gb(gpu['memory_free'])} free of {_gb(gpu['memory_total'])}" for gpu in facts["gpus"]
            ),
            gpu=True,
        ),
        repairs="user",
        cost=0,
        needs=_NO_GPU,
        symptoms=_OOM,
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
                _listed(group["name"] for group in facts["sources"]) + " answer"
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
            *_NO_MODEL,
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
        needs=_HOME,
        probe="lock",
        symptoms=("another run at work", "is fetching into", "one run at a time"),
    ),
    # 1: status of files, through the site's own modules in check mode
    Check(
        "cuda_libs",
        Text("CUDA libraries load", "CUDA 库能否加载"),
        Text(
            "cpm_kernels looks for cudart and cublasLt in the system only, not among pip's packages",
            "cpm_kernels 只在系统里找 cudart 和 cublasLt，不找 pip 装的",
        ),
        Text("{site} --ask-become-pass", "{site} --ask-become-pass"),
        _cuda_libs,
        needs=_NO_GPU,
        symptoms=(
            "Library cudart is not initialized",
            "Library cublasLt is not initialized",
            "Unable to locate package libcudart",
            "libcudart.so",
            "libcublasLt.so",
            _INT4,
        ),
    ),
    Check(
        "managed_python_missing",
        Text("the Python that uv has brought", "uv 带来的 Python"),
        Text(
            "the Python under chatglm_home, which the virtualenv stands on, was deleted",
            "虚拟环境所用的、chatglm_home 里的 Python 被删除了",
        ),
        AGAIN,
        _managed_python_missing,
        needs=(*_LOOK, "python", "architecture"),
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
        needs=(*_LOOK, "python", "architecture", "managed_python_missing"),
        symptoms=("No module named 'encodings'", "init_fs_encoding", "SyntaxError"),
    ),
    Check(
        "venv_blocked",
        Text("place of the virtualenv", "虚拟环境的位置"),
        Text("something that is no virtualenv stands in its place", "虚拟环境的位置上是别的东西"),
        Text("move it away: mv {home}/venv {home}/venv.mine", "把它移开：mv {home}/venv {home}/venv.mine"),
        _stopped("virtualenv"),
        repairs="user",
        needs=(*_LOOK, "python", "architecture"),
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
            *_LOCALHOST,
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
        symptoms=("Torch not compiled with CUDA enabled", *_NO_CUDA),
    ),
    Check(
        "cuda_links",
        Text("links to the virtualenv's CUDA libraries", "指向虚拟环境 CUDA 库的链接"),
        Text(
            "cpm_kernels finds the virtualenv's own libraries by links in chatglm_home/cuda only, which are broken",
            "cpm_kernels 只能通过 chatglm_home/cuda 里的链接找到虚拟环境自带的库，而链接坏了",
        ),
        AGAIN,
        _cuda_links,
        needs=(*_PACKAGES, *_NO_GPU),
        symptoms=("Library cudart is not initialized", "Library cublasLt is not initialized", _INT4),
    ),
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
        _stopped("source"),
        repairs="user",
        needs=(*_LOOK, "git"),
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
                _listed(source.get("restored") or []) or Text("git cannot read the repository", "git 读不了这个仓库")
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
        needs=_SOURCE,
    ),
    Check(
        "weights_blocked",
        Text("place of the weights", "权重的位置"),
        Text("the folder or a file in it cannot be read, or is something else", "目录或其中的文件读不了，或是别的东西"),
        Text("make {model} readable, or move it away", "让 {model} 可读，或把它移开"),
        _stopped("weights"),
        repairs="user",
        needs=_LOOK,
        symptoms=("Permission denied", "Is a directory", "IsADirectoryError"),
    ),
    Check(
        "weights_missing",
        Text("files of the model", "模型文件"),
        Text("files of the model are missing; some shares have the weights only", "缺少模型文件；有的网盘只有权重"),
        AGAIN,
        _weights_missing,
        needs=("weights_blocked",),
        symptoms=(*_NO_MODEL, *_NO_FILE, "No such file or directory: 'pytorch_model.bin'"),
    ),
    Check(
        "weights_pointer",
        Text("Git LFS pointers", "Git LFS 指针"),
        Text("a clone without git-lfs left a pointer of some 130 bytes", "没有 git-lfs 的克隆只留下约 130 字节的指针"),
        AGAIN,
        _weights(("pointer",)),
        needs=("weights_blocked",),
        symptoms=("invalid load key, 'v'", "git-lfs", *_TOKENIZER_FILE),
    ),
    Check(
        "weights_html",
        Text("web pages saved as files", "被存成文件的网页"),
        Text("a proxy's or a share's page was saved instead of the file", "存下来的是代理或网盘的网页，而不是文件"),
        AGAIN,
        _weights(("html",)),
        needs=("weights_blocked",),
        symptoms=("invalid load key, '<'", "Consistency check failed", *_TOKENIZER_FILE),
    ),
    Check(
        "weights_truncated",
        Text("sizes of the files", "文件大小"),
        Text("a download was cut", "下载被截断"),
        AGAIN,
        _weights(("short",)),
        needs=("weights_blocked",),
        symptoms=(
            "PytorchStreamReader failed",
            "central directory",
            "Consistency check failed",
            "unexpected EOF",
            "Ran out of input",
            *_TOKENIZER_FILE,
        ),
    ),
    Check(
        "weights_digest",
        Text("content of the weights", "权重内容"),
        Text("a file has another content than the pinned revision", "文件内容与锁定版本不同"),
        AGAIN,
        _weights_digest,
        needs=("weights_blocked", "weights_missing"),
        symptoms=(
            "probability tensor contains either",
            "invalid load key",
            "UnpicklingError",
            "size mismatch for",
            "central directory",
            *_TOKENIZER_FILE,
        ),
    ),
    Check(
        "weights_unrecorded",
        Text("record of the weights", "权重记录"),
        Text("a file is there that was never verified", "有文件从未校验过"),
        AGAIN,
        _weights_unrecorded,
        needs=("weights_blocked",),
        probe="sums",
        symptoms=("files of the model that are not as they were verified",),
    ),
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
            *_OOM,
            *_NO_MODEL,
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
            *_LOCALHOST,
        ),
    ),
    Check(
        "command",
        Text("the command chatglm", "chatglm 命令"),
        Text(
            "files of the command, its link in ~/.local/bin, its completion or its settings are missing or changed",
            "这个命令的文件、~/.local/bin 里的链接、补全或设置缺失或被改动",
        ),
        AGAIN,
        _command,
        needs=(*_HOME, "source_blocked", "source_missing"),
        symptoms=("chatglm: command not found", "bin/chatglm: No such file", "bin/chatglm: Permission denied"),
    ),
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
            *_LOCALHOST,
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
        symptoms=("Cannot find empty port", "Address already in use", *_OOM),
    ),
    # 2: sockets, and the copies that a running page uses
    Check(
        "module_cache",
        Text("transformers' copy of the model's code", "transformers 缓存的模型代码"),
        Text(
            "the page that runs has another copy of the model's code than the verified one",
            "正在运行的网页所用的模型代码副本与校验过的不同",
        ),
        Text("stop the page, start it again: {home}/bin/chatglm-run", "停掉网页再启动：{home}/bin/chatglm-run"),
        _module_cache,
        repairs="user",
        cost=2,
        needs=_WEIGHTS,
        probe="module_cache",
        symptoms=("transformers_modules", "unexpected keyword argument"),
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
            *_LOCALHOST,
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
    # 3: programs of the virtualenv, none of which is run before its files are as recorded
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
        needs=_PACKAGES,
        probe="imports",
        symptoms=("No module named 'pkg_resources'", _INT4),
    ),
    Check(
        "import_failed",
        Text("packages import", "软件包能否导入"),
        Text("a package does not import although it is as recorded", "软件包与记录一致却导入不了"),
        FULL,
        _import_failed,
        cost=3,
        needs=_PACKAGES,
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
        needs=(*_PACKAGES, "pkg_resources", "cuda_libs", "cuda_links"),
        probe="imports",
        symptoms=(_INT4, "No module named 'cpm_kernels'", "Failed to load cpm_kernels"),
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
        needs=(*_IMPORTS, *_CUDA, "libcuda_not_in_loader"),
        probe="imports",
        symptoms=(*_NO_CUDA, "Error 2: out of memory", "cudaGetDeviceCount"),
    ),
    Check(
        "tokenizer",
        Text("the tokenizer works", "分词器能否工作"),
        Text(
            "the tokenizer cannot be built from verified files: packages do not fit the model's code",
            "用校验过的文件也建不起分词器：软件包与模型代码不配",
        ),
        FULL,
        _tokenizer,
        cost=3,
        needs=(*_IMPORTS, *_WEIGHTS),
        probe="tokenizer",
        symptoms=("ChatGLMTokenizer", "has no attribute 'tokenizer'", "trust_remote_code", *_TOKENIZER_FILE),
    ),
    Check(
        "proof",
        Text("proof by a real answer", "以真实回答证明"),
        Text(
            "the chat has not answered since something changed, or failed at the last try",
            "有变动之后对话还没有答过，或者上次没有答出来",
        ),
        AGAIN,
        _proof,
        cost=3,
        needs=(
            *_IMPORTS,
            "cpm_kernels",
            *_SOURCE,
            *_WEIGHTS,
            *_CUDA,
            "libcuda_not_in_loader",
            "proxy_variables",
            "cuda_libs",
            "cuda_links",
            "cuda_available",
            "web_demo_unpatched",
            "launcher",
            "page_port",
            "tokenizer",
        ),
        probe="proof_record",
        symptoms=("Connection errored out", *_OOM, _INT4),
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

UNREACHABLE = Check(
    "unreachable",
    Text("the host answers", "主机是否应答"),
    Text("Ansible cannot reach the host", "Ansible 连不上主机"),
    Text("ssh to it by hand, and correct the inventory", "先手动 ssh 连上，再改正 inventory"),
    lambda evidence: None,
    repairs="user",
    cost=0,
)
OUTSIDE = (UNREACHABLE,)
"""Judged on the control side, by the callback, as host_python is where no module ran on the host."""

BY_CODE = {check.code: check for check in (*OUTSIDE, *CHECKS)}

FIELDS = ("device", "home", "model", "next_port", "site", "full", "deep", "python")
"""Names of ``context``: ``device``, ``deep`` and ``python`` for judges, the rest for texts."""
PATHS = ("home", "model")


# --- judging a host ---------------------------------------------------------------------------------------------------


def fill(text: Text, language: str, context: Mapping[str, Any]) -> str:
    """Return ``text`` in one language, its ``{names}`` replaced."""
    chosen = text.zh if language == "zh" else text.en

    def value(name: str, hole: str) -> str:
        told = str(context.get(name, hole))
        plain = name not in PATHS or name not in context or re.fullmatch(r"~[\w./-]*", told)
        return told if plain else shlex.quote(told)  # in commands that are pasted

    return re.sub(r"\{(\w+)\}", lambda match: value(match.group(1), match.group(0)), chosen)


def examine(
    evidence: Evidence, probe: Callable[[str], Any], language: str = "en", checks: Iterable[Check] = CHECKS
) -> list[dict[str, Any]]:
    """Judge a host by all checks, in their order, and return a dict for each: see the module doctor's RETURN.

    Args:
        evidence: what is known; what probes say is added to it.
        probe: runs the probe of that name, when the first judge asks for it.
        language: en or zh.
        checks: the registry.

    """
    context = evidence["context"]
    results: list[dict[str, Any]] = []
    blocked: dict[str, str] = {}
    for check in checks:
        causes = [blocked[need] for need in check.needs if need in blocked]
        result = {"code": check.code, "title": fill(check.title, language, {}), "skipped_by": "", "applies": True}
        if causes:
            blocked[check.code] = causes[0]
            results.append(
                {**result, "verdict": UNKNOWN, "evidence": "", "cause": "", "remedy": "", "skipped_by": causes[0]}
            )
            continue
        finding = check.judge(evidence)
        if finding is None and check.probe and check.probe not in evidence:
            evidence[check.probe] = probe(check.probe)
            finding = check.judge(evidence)
        if finding is None:
            finding = Finding(UNKNOWN, f"the probe {check.probe} saw nothing")
        told = in_words(finding.evidence, language)
        result.update(verdict=finding.verdict, evidence=told, applies=finding.applies)
        result["cause"] = result["remedy"] = ""
        if finding.verdict != OK:
            blocked[check.code] = check.code
        if finding.verdict in (REPAIRABLE, YOURS):
            result["cause"] = fill(check.cause, language, context)
            result["remedy"] = remedy(check, finding, language, context)
        results.append(result)
    return results


def in_words(text: str | Text, language: str, context: Mapping[str, Any] | None = None) -> str:
    """Return what a judge says; a tool's own words as they are."""
    if not isinstance(text, str):
        return fill(text, language, context or {})
    return chinese(text, ENOUGH) if language == "zh" else text


def remedy(check: Check, finding: Finding, language: str, context: Mapping[str, Any]) -> str:
    """Return the one line to do: the exact one for this host where there is one."""
    general = fill(check.remedy, language, context)
    if not finding.todo:
        return general
    told = in_words(finding.todo, language, context)
    return f"{general}（{told}）" if language == "zh" and told == finding.todo else told


def outside(code: str, evidence: str, language: str) -> dict[str, Any]:
    """Return the result of a check that fails on a host where no module ran, in the shape of :func:`examine`'s."""
    check = BY_CODE[code]
    return {
        "code": code,
        "title": fill(check.title, language, {}),
        "verdict": YOURS,
        "evidence": evidence,
        "cause": fill(check.cause, language, {}),
        "remedy": fill(check.remedy, language, {}),
        "skipped_by": "",
        "applies": True,
    }


def status_of(results: Iterable[Mapping[str, Any]]) -> str:
    """Return ok, repairable or yours: the worst verdict of a host."""
    verdicts = {result["verdict"] for result in results}
    return YOURS if YOURS in verdicts else REPAIRABLE if REPAIRABLE in verdicts else OK


def explain(text: str, results: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return code and verdict of each check that knows a pasted error text, those that this host shows first."""
    verdicts = {each["code"]: each["verdict"] for each in results}
    order = {REPAIRABLE: 0, YOURS: 0, UNKNOWN: 1, OK: 2}
    found = [{"code": check.code, "verdict": verdicts.get(check.code, UNKNOWN)} for check in causes_of(text)]
    return sorted(found, key=lambda each: order[each["verdict"]])


def causes_of(text: str) -> list[Check]:
    """Return the checks of whose symptoms one stands in ``text``; case and white space do not count."""
    plain = _flat(text)
    return [check for check in CHECKS if any(_flat(symptom) in plain for symptom in check.symptoms)]


def _flat(text: str) -> str:
    return " ".join(text.replace("\u2019", "'").replace("`", "'").lower().split())
