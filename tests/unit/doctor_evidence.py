"""Evidence of a healthy host, and of each fault: through the site's own planners where they are pure."""

import copy

from ansible.module_utils.chatglm.preflight import plan
from ansible.module_utils.chatglm.virtualenv import managed_python, python_env
from ansible.module_utils.chatglm.virtualenv.requirements import Pin
from ansible.module_utils.chatglm.weights import snapshot
from ansible.module_utils.chatglm.weights.content import Digest
from plan_facts import facts, gpu

HOME = "/home/me/chatglm"
MODEL = f"{HOME}/models/chatglm2-6b-int4"
DIGEST = Digest("sha256", "a" * 64)
STAT = {"size": 100, "mtime_ns": 1, "ctime_ns": 1, "inode": 1}


def host(given=None, **settings):
    """What host_facts returns of these facts."""
    given = given or facts(release="jammy")
    outcome = plan.make_plan(given, plan.Settings(home=HOME, **settings)).as_dict()
    outcome["warnings_found"] = outcome.pop("warnings")
    return {"facts": given, **outcome}


def virtualenv(action="none", reason="", leftovers=(), restore_cfg=False, **work):
    """What python_env returns of a plan; ``install``, ``reinstall`` and ``remove`` by name, version and fault."""
    made = python_env.Plan(
        action,
        reason,
        install=[Pin(name, version, ()) for name, version in work.get("install", [])],
        reinstall=[(Pin(name, version, ()), fault) for name, version, fault in work.get("reinstall", [])],
        remove=work.get("remove", []),
        restore_cfg=restore_cfg,
        leftovers=leftovers,
        aside=work.get("aside", ()),
    )
    lines = made.lines()
    return {
        "action": action,
        "reason": reason,
        "python": f"{HOME}/venv/bin/python",
        "python_version": "3.10.12",
        "extras": {},
        "diff": {"prepared": "".join(f"{line}\n" for line in lines)} if lines else {},
        **made.summary(),
    }


def brought(action="none", reason="", **work):
    """What managed_python returns of a plan."""
    release = managed_python.Release("cpython-3.12.16-linux-x86_64-gnu", "3.12.16", "20261110", "https://h/b/f", DIGEST)
    made = managed_python.Plan(action, reason, release=release, **work)
    return {
        "action": action,
        "reason": reason,
        "python": release.interpreter(f"{HOME}/python"),
        "version": release.version,
        "aside": list(made.aside),
        "diff": {"prepared": "".join(f"{line}\n" for line in made.lines())},
    }


def weights(**seen):
    """What model_snapshot returns; ``seen``: file name (dots as __) to a Seen, None (missing), or left out (good)."""
    names = ("config.json", "pytorch_model.bin", "tokenizer.model")
    files = []
    for name in names:
        one = snapshot.Entry(name, 100, DIGEST)
        good = snapshot.remembered(one, STAT, {})
        state = seen.get(name.replace(".", "__"), snapshot.Seen(STAT))
        recorded = good if state is None or state.stat is STAT else None
        judged = snapshot.judge(one, state, recorded, False)
        word = {"keep": "kept", "adopt": "adopted", "ask": "adopted", "fetch": "fetched", "mend": "mended"}[
            judged.action
        ]
        files.append({"path": name, "action": word, "reason": judged.reason, "kind": judged.kind})
    return {"files": files, "extra_files": []}


def file(size=100, head=b"", found=""):
    """A file of the model that is not the one that was verified."""
    return snapshot.Seen({**STAT, "size": size, "inode": 2}, head, found)


SERVICE = {
    "kind": "systemd",
    "todo": [],
    "command": [],
    "log": "journalctl --unit chatglm",
    "found": {
        "kind": "systemd",
        "active": True,
        "pid": 42,
        "current": True,
        "enabled": True,
        "condition": "running",
        "why": "",
        "unit": True,
    },
}


def service(todo=(), wanted="systemd", command=(), **found):
    """What chat_service returns in check mode."""
    return {
        **SERVICE,
        "kind": wanted,
        "todo": list(todo),
        "command": list(command),
        "found": {**SERVICE["found"], **found},
    }


LINKED = {"libraries": [], "missing": [], "refusal": "", "origin": "virtualenv"}
SOCKS = {
    "found": "all_proxy is socks5://h:1, a SOCKS proxy, and no other proxy is set",
    "expected": "an HTTP proxy: pip and Python's other clients know no SOCKS (a mixed port, as of Clash, speaks both)",
    "remedy": "unset all_proxy",
    "safe": False,
    "stops": ["weights"],
}
DEAD = {"active": False, "pid": 0, "current": False}
BACKGROUND = {"kind": "background", "unit": False}

HEALTHY = {
    "settings": {"problems": []},
    "host": host(),
    "cuda_libs": {
        "libraries": [{"name": "cudart", "version": "11080", "error": ""}, {"name": "cublasLt", "error": ""}],
        "missing": [],
        "refusal": "",
        "origin": "system",
        "cuda_path": "/usr/local/cuda",
    },
    "cuda_links": {"skipped": True},
    "virtualenv": virtualenv(),
    "source": {"plan": "none", "before": "c" * 40, "after": "c" * 40, "modified": [], "restored": []},
    "weights": weights(),
    "web_demo": {"changed": False, "edits": [{"line": 6, "kind": "model_path"}], "diff": []},
    "proof": {"due": False, "verdict": "ok", "time": "2026-11-22T12:00:00+00:00"},
    "lock": {"holder": ""},
    "proxies": {"set": {}, "unusable": [], "loopback": False},
    "page": {"listening": False, "status": 0, "error": ""},
    "windows_page": {"asked": True, "why": "", "status": "200", "error": ""},
    "sums": {"error": "", "files": 2},
    "module_cache": {"files": 5, "differing": [], "pid": 7},
    "imports": {
        "versions": {"python": "3.10.12", "torch": "2.7.1", "setuptools": "80.10.2", "cpm_kernels": "1.0.11"},
        "modules": {"torch": "", "pkg_resources": "", "cpm_kernels.kernels.base": ""},
        "cuda": {"build": "12.6", "available": True},
    },
    "tokenizer": {"error": "", "tokens": 4, "text": "你好"},
    "proof_record": {"verdict": "ok", "time": "", "reasons": []},
    "service": SERVICE,
    "answer": {"text": "你好", "error": "", "loading": False},
    "context": {
        "device": "cuda",
        "home": HOME,
        "model": MODEL,
        "next_port": 7861,
        "site": "./bootstrap ansible-playbook site.yml -i inventory/wsl",
        "full": "./bootstrap ansible-playbook site.yml -i inventory/wsl -e virtualenv_verify=full",
        "deep": False,
        "python": [3, 10],
    },
}


def evidence(**parts):
    """The healthy host with ``parts`` in place of its own."""
    return {**copy.deepcopy(HEALTHY), **parts}


def imports(**modules):
    """Imports of which those named failed; dots as __."""
    errors = {name.replace("__", "."): error for name, error in modules.items()}
    healthy = HEALTHY["imports"]
    return {**healthy, "modules": {**healthy["modules"], **errors}}


WRONG_KERNEL = {"wsl": 1, "kernel": "4.4.0-19041-Microsoft"}
DXG = {"dxg": True}
NO_LIBCUDA = {"path": "", "error": "libcuda.so.1: cannot open shared object file", "code": 0}
PAGE_OWNER = {"pid": 77, "command": "python web_demo.py", "ours": True}
CHANGED = {"web_demo": {"changed": True, "edits": [{"line": 6, "kind": "model_path"}]}}

FAULTS = [
    # code, verdict, a piece of the evidence, what differs from the healthy host
    ("settings", "yours", "chatglm_port is 80", {
        "settings": {"problems": ["chatglm_port is 80. Expected: 1024 to 65535. To do: for example 7860."]}}),
    ("settings", "yours", "cannot be read", {
        "host": {"failed": True, "msg": "Found: ca_bundle is /x, which cannot be read. Expected: a file. To do: y"}}),
    ("host_python", "yours", "Python 3.8", {"context": {**HEALTHY["context"], "python": [3, 8]}}),
    ("wsl1", "yours", "WSL version 1", {"host": host(facts(**WRONG_KERNEL))}),
    ("architecture", "yours", "aarch64", {"host": host(facts(architecture="aarch64"))}),
    ("clock", "yours", "2019-01-01", {"host": host(facts(clock={"sane": False, "now": "2019-01-01"}))}),
    ("git", "yours", "no git", {"host": host(facts(git=""))}),
    ("gcc", "yours", "no gcc", {"host": host(facts(gcc=""), device="cpu", engine="upstream")}),
    ("home_not_folder", "yours", "/home/me is not", {"host": host(facts(disk={"blocked_by": "/home/me"}))}),
    ("home_not_writable", "yours", "me may not write", {"host": host(facts(disk={"writable": False}))}),
    ("home_read_only", "yours", "/home/me/x/bin", {"host": host(facts(disk={"read_only": ["/home/me/x/bin"]}))}),
    ("home_foreign_files", "yours", "/home/me/x", {"host": host(facts(disk={"foreign": ["/home/me/x"]}))}),
    ("home_file_system", "yours", "noexec", {"host": host(facts(disk={"options": ["noexec"]}))}),
    ("memory", "yours", "together", {"host": host(facts(memory={"available": 1 << 30, "swap_free": 0}))}),
    ("disk", "yours", "free on /", {"host": host(facts(disk={"free": 1 << 20}))}),
    ("port", "yours", "process 9", {
        "host": host(facts(port={"free": False, "owner": {"pid": 9, "command": "x", "ours": False}}))}),
    ("linux_driver_in_wsl", "yours", "nvidia-driver-535", {
        "host": host(facts(nvidia={"linux_driver_packages": ["nvidia-driver-535"]}))}),
    ("other_libcuda_in_wsl", "yours", "/usr/lib/x", {
        "host": host(facts(nvidia={"loader_libcuda": "/usr/lib/x/libcuda.so.1"}))}),
    ("libcuda_not_in_loader", "yours", "does not look there", {"host": host(facts(nvidia={"loader_libcuda": ""}))}),
    ("no_windows_driver", "yours", "libcuda", {
        "host": host(facts(gpus=[], nvidia={"wsl_libcuda": False, "libcuda": NO_LIBCUDA}))}),
    ("no_gpu", "yours", "no /dev/dxg", {"host": host(facts(gpus=[], nvidia={"dxg": False}))}),
    ("gpu_blocked", "yours", "libcuda", {
        "host": host(facts(gpus=[], nvidia={"smi": {"trouble": "blocked", "error": "GPU access blocked"}}))}),
    ("gpu_not_usable", "yours", "out of memory", {
        "host": host(facts(gpus=[], nvidia={"libcuda": {"error": "cuInit failed", "code": 2}}))}),
    ("capability_unknown", "yours", "compute capability", {"host": host(facts(gpus=[gpu(capability="")]))}),
    ("no_int4_kernels", "yours", "12.0", {"host": host(
        facts(gpus=[gpu(capability="12.0")], nvidia={"driver_cuda": 12080}), engine="upstream")}),
    ("gpu_not_in_torch", "yours", "3.0", {"host": host(facts(gpus=[gpu(capability="3.0")]), int4_capabilities=())}),
    ("driver_too_old", "yours", "470.14", {
        "host": host(facts(nvidia={"driver": "470.14", "driver_cuda": 11040}))}),
    ("gpu_memory", "yours", "2.0 GB free", {"host": host(facts(gpus=[gpu(free=2.0)]))}),
    ("python", "yours", "no Python 3.12", {"host": host(facts(pythons=[]))}),
    ("network_variables", "yours", "a SOCKS proxy, and no other", {"host": host(facts(
        network=[SOCKS], sources=[{"name": "weights", "remedy": "", "urls": []}]))}),
    ("sources", "yours", "timed out", {"host": host(facts(sources=[{
        "name": "weights", "remedy": "", "urls": [{"url": "https://h", "reachable": False, "error": "timed out"}]}]))}),
    ("lock", "yours", "process 5 of me", {"lock": {"holder": "process 5 of me, since today, fetching"}}),
    ("cuda_libs", "repairable", "cudart: not found", {"cuda_libs": {
        "libraries": [{"name": "cudart", "error": "not found"}], "missing": ["cudart"], "refusal": ""}}),
    ("cuda_libs", "yours", "is of version 9", {"cuda_libs": {
        "libraries": [], "missing": ["cudart"],
        "refusal": "Found: cudart is of version 9. Expected: 11. To do: remove it"}}),
    ("managed_python_missing", "repairable", "it is missing", {"managed_python": brought("repair", "it is missing")}),
    ("managed_python_missing", "repairable", "missing file bin/", {
        "managed_python": brought("repair", "missing file bin/python3.12")}),
    ("managed_python_missing", "yours", "is not a folder", {"managed_python": {
        "failed": True, "msg": "Found: x is not a folder. Expected: a folder, or nothing. To do: move x away"}}),
    ("managed_python_damaged", "repairable", "lib/python3.12/os.py", {
        "managed_python": brought("repair", "damaged file lib/python3.12/os.py")}),
    ("managed_python_damaged", "repairable", "sitecustomize.py is not of", {
        "managed_python": brought("tidy", aside=("lib/python3.12/sitecustomize.py",))}),
    ("managed_python_damaged", "repairable", "python.partial", {
        "managed_python": brought("clean", leftovers=("python.partial",))}),
    ("cuda_links", "repairable", "lib64/libcudart.so, lib64/libnvrtc.so", {"cuda_libs": LINKED, "cuda_links": {
        "changed": True,
        "diff": {"prepared": "~ lib64/libcudart.so -> ../../venv/x\n- lib64/libnvrtc.so\n"}}}),
    ("cuda_links", "repairable", "cudart does not load", {
        "cuda_libs": {**LINKED, "missing": ["cudart"]},
        "cuda_links": {"changed": False, "links": {"libcudart.so": "x"}}}),
    ("cuda_links", "yours", "which is not of this project", {"cuda_libs": LINKED, "cuda_links": {
        "failed": True, "msg": "Found: x, which is not of this project. Expected: a link. To do: move it away"}}),
    ("venv_blocked", "yours", "holds files but no virtualenv", {"virtualenv": {
        "failed": True, "msg": "Found: x holds files but no virtualenv. Expected: one. To do: move it"}}),
    ("venv_missing", "repairable", "no virtualenv in", {"virtualenv": virtualenv("create", install=[("torch", "1")])}),
    ("venv_interpreter", "repairable", "does not run", {
        "virtualenv": virtualenv("rebuild", "its interpreter does not run")}),
    ("venv_interpreter", "repairable", "pyvenv.cfg", {"virtualenv": virtualenv("repair", restore_cfg=True)}),
    ("venv_interrupted", "repairable", "no finished record", {
        "virtualenv": virtualenv("verify", "no finished record of an installation")}),
    ("venv_interrupted", "repairable", "venv.partial", {
        "virtualenv": virtualenv("clean", leftovers=("venv.partial",))}),
    ("venv_interrupted", "repairable", "at work on it", {
        "virtualenv": virtualenv("repair", reinstall=[("torch", "1", "an interrupted run was at work on it")])}),
    ("stray_files", "repairable", "evil.pth", {"virtualenv": virtualenv("repair", aside=("evil.pth",))}),
    ("package_missing", "repairable", "mdtex2html==1.3 is missing", {
        "virtualenv": virtualenv("repair", install=[("mdtex2html", "1.3")])}),
    ("package_version", "repairable", "version 2.0", {
        "virtualenv": virtualenv("repair", reinstall=[("numpy", "1.26", "version 2.0")])}),
    ("package_version", "repairable", "in no lock", {"virtualenv": virtualenv("repair", remove=[("old", "1")])}),
    ("package_damaged", "repairable", "damaged file x.py", {
        "virtualenv": virtualenv("repair", reinstall=[("gradio", "6.17.3", "damaged file x.py")])}),
    ("transformers_version", "repairable", "version 4.44.2", {
        "virtualenv": virtualenv("repair", reinstall=[("transformers", "4.41.2", "version 4.44.2")])}),
    ("gradio_version", "repairable", "starlette", {
        "virtualenv": virtualenv("repair", reinstall=[("starlette", "1.10.0", "version 0.37")])}),
    ("torch_build", "repairable", "2.13.0+cpu", {
        "virtualenv": virtualenv("repair", reinstall=[("torch", "2.7.1", "version 2.13.0+cpu")])}),
    ("source_blocked", "yours", "no git repository", {"source": {
        "failed": True, "msg": "Found: x holds files, but is no git repository. Expected: a clone. To do: mv x y"}}),
    ("source_missing", "repairable", "no clone", {"source": {"plan": "clone", "before": ""}}),
    ("source_damaged", "repairable", "utils.py", {"source": {"plan": "restore", "restored": ["utils.py"]}}),
    ("source_damaged", "repairable", "git cannot read", {"source": {"plan": "rebuild", "restored": []}}),
    ("source_commit", "repairable", "at ddd", {"source": {"plan": "fetch", "before": "d" * 40, "after": "c" * 40}}),
    ("weights_blocked", "yours", "is not a folder", {"weights": {
        "failed": True, "msg": "Found: x is not a folder. Expected: one. To do: move x away"}}),
    ("weights_missing", "repairable", "1 of 3 missing: config.json", {"weights": weights(config__json=None)}),
    ("weights_missing", "repairable", "no files in", {"weights": {"files": []}}),
    ("weights_pointer", "repairable", "Git LFS pointer", {
        "weights": weights(pytorch_model__bin=file(50, b"version https://git-lfs.github.com/spec/v1"))}),
    ("weights_html", "repairable", "HTML", {"weights": weights(tokenizer__model=file(50, b"<!DOCTYPE html>"))}),
    ("weights_truncated", "repairable", "too short: 50", {"weights": weights(pytorch_model__bin=file(50, b"PK"))}),
    ("weights_unrecorded", "repairable", "already there", {
        "weights": weights(config__json=file(found="a" * 64))}),
    ("weights_unrecorded", "repairable", "not known", {
        "weights": {"files": []}, "host": host(facts(installed={"weights": 7}))}),
    ("weights_digest", "repairable", "wrong sha256", {"weights": weights(pytorch_model__bin=file(found="b" * 64))}),
    ("weights_digest", "repairable", "too long", {"weights": weights(pytorch_model__bin=file(150, b"PK"))}),
    ("weights_unrecorded", "repairable", "weights.sha256", {"sums": {"error": "state/weights.sha256 is empty"}}),
    ("module_cache", "yours", "quantization.py", {
        "module_cache": {"files": 5, "differing": ["quantization.py"], "pid": 7}}),
    ("web_demo_edited", "yours", "line 3", {"web_demo": {
        "failed": True, "msg": "Found: web_demo.py, line 3: Python cannot parse it. Expected: one. To do: correct"}}),
    ("web_demo_unpatched", "repairable", "line 6 (model_path)", {"web_demo": {
        **CHANGED["web_demo"], "diff": [{"before_header": f"{HOME}/source/web_demo.py"}]}}),
    ("launcher", "repairable", "chatglm-run", {"web_demo": {
        **CHANGED["web_demo"], "diff": [{"before_header": f"{HOME}/bin/chatglm-run"}]}}),
    ("launcher", "repairable", "chatglm-run", {"web_demo": {**CHANGED["web_demo"], "diff": []}}),  # not executable
    ("command", "repairable", "lib/chatglm/smoke_test/page.py", {
        "service": service(["restart"], command=[f"{HOME}/lib/chatglm/smoke_test/page.py"])}),
    ("command", "repairable", "/home/me/.local/bin/chatglm", {
        "service": service([], "none", ["/home/me/.local/bin/chatglm"], **DEAD, kind="none", unit=False)}),
    ("proxy_variables", "yours", "socks", {
        "proxies": {"set": {"all_proxy": "socks://h"}, "unusable": ["all_proxy=socks://h"], "loopback": False},
        "weights": weights(pytorch_model__bin=file(50, b"version https://git-lfs.github.com/spec/v1"))}),
    ("page_port", "yours", "process 77", {
        "host": host(facts(port={"free": False, "owner": PAGE_OWNER})),
        "proof": {"due": True, "due_reason": "weights changed"}}),
    ("page_status", "repairable", "500", {"page": {"listening": True, "status": 500, "error": ""}}),
    ("page_status", "yours", "refused", {"page": {"listening": True, "status": 0, "error": "refused"}}),
    ("windows_page", "yours", "Failed to connect", {
        "windows_page": {"asked": True, "status": "000", "error": "Failed to connect"}}),
    ("pkg_resources", "repairable", "version 84", {
        "virtualenv": virtualenv("repair", reinstall=[("setuptools", "80.10.2", "version 84")])}),
    ("pkg_resources", "repairable", "No module named", {
        "imports": imports(pkg_resources="ModuleNotFoundError: No module named 'pkg_resources'")}),
    ("import_failed", "repairable", "libstdc++", {"imports": imports(torch="ImportError: libstdc++.so.6")}),
    ("import_failed", "yours", "libstdc++", {
        "imports": imports(torch="ImportError: libstdc++.so.6"), "context": {**HEALTHY["context"], "deep": True}}),
    ("cpm_kernels", "repairable", "cpm-kernels==1.0.11 is missing", {
        "virtualenv": virtualenv("repair", install=[("cpm-kernels", "1.0.11")])}),
    ("cpm_kernels", "repairable", "cudart", {"imports": imports(cpm_kernels__kernels__base="RuntimeError: cudart")}),
    ("cuda_available", "yours", "is False", {
        "imports": {**HEALTHY["imports"], "cuda": {"build": "12.6", "available": False}}}),
    ("tokenizer", "repairable", "padding_side", {"tokenizer": {"error": "TypeError: padding_side"}}),
    ("proof", "yours", "line 7: TypeError", {
        "proof": {"due": True, "due_reason": "the last proof failed", "same": True},
        "proof_record": {"verdict": "failed", "time": "t", "yours": True, "reasons": [
            "page, start: found /h/source/web_demo.py, line 7: TypeError: x; expected y. To do: correct that line"]}}),
    ("proof", "repairable", "line 7: TypeError", {  # something has changed since
        "proof": {"due": True, "due_reason": "the last proof failed", "same": False},
        "proof_record": {"verdict": "failed", "time": "t", "yours": True, "reasons": [
            "page, start: found /h/source/web_demo.py, line 7: TypeError: x; expected y. To do: correct that line"]}}),
    ("tokenizer", "yours", "has no attribute 'tokenizer'", {
        "tokenizer": {"error": "AttributeError: 'ChatGLMTokenizer' object has no attribute 'tokenizer'"}}),
    ("proof", "repairable", "never proven", {"proof": {"due": True, "due_reason": "never proven"}}),
    ("proof", "repairable", "the answer is empty", {
        "proof": {"due": True, "due_reason": "the last proof failed"},
        "proof_record": {"verdict": "failed", "time": "", "reasons": ["the answer is empty"]}}),
    ("service", "yours", "memory ran out", {"service": service(["start"], **DEAD, condition="no_memory")}),
    ("service", "yours", "another program", {"service": {
        "failed": True, "msg": "Found: the unit belongs to another program. Expected: no other unit. To do: rm it"}}),
    ("service", "repairable", "start-limit-hit", {
        "service": service(["start"], **DEAD, condition="failed", why="start-limit-hit, status 1")}),
    ("service", "repairable", "killed", {
        "service": service(["start"], "background", **DEAD, **BACKGROUND, condition="gone")}),
    ("service", "repairable", "unit file", {
        "service": service(["write", "enable", "start"], **DEAD, kind="none", unit=False, condition="stopped")}),
    ("service", "repairable", "unit file", {"service": service(["write", "restart"])}),
    ("service", "repairable", "does not start with", {"service": service(["enable"], enabled=False)}),
    ("service", "repairable", "switched off", {
        "service": service(["start"], "background", **DEAD, kind="none", condition="stopped")}),
    ("service", "repairable", "not under systemd", {
        "service": service(["stop", "start"], kind="background", unit=True)}),
    ("service", "repairable", "process 42 serves", {"service": service(["restart"], current=False)}),
    ("service", "repairable", "none is wanted", {"service": service(["remove"], "none")}),
    ("service", "yours", "does not answer: status 500", {
        "context": {**HEALTHY["context"], "deep": True},
        "answer": {"text": "", "error": "status 500", "loading": False}}),
    ("service", "repairable", "it crashed (exit-code, status 1) and is started again", {
        "service": service(["restart"], pid=0, current=False, condition="crashed", why="exit-code, status 1")}),
]  # fmt: skip
"""Each fault, planted alone in the evidence of a healthy host: exactly one check must name it."""

HARMLESS = [
    # what looks like a fault and is none: code, a piece of the evidence, what differs
    ("source_edited", "your own edits", {"source": {**HEALTHY["source"], "modified": [
        {"path": "web_demo.py", "kind": "both"}]}}),
    ("web_demo_edited", "your own edits", {"source": {**HEALTHY["source"], "modified": [
        {"path": "web_demo.py", "kind": "both"}]}}),
    ("page_port", "our own page", {"host": host(facts(port={"free": False, "owner": PAGE_OWNER}))}),
    ("port", "our own page", {"host": host(facts(port={"free": False, "owner": PAGE_OWNER}))}),
    ("page_port", "held by the service", {
        "host": host(facts(port={"free": False, "owner": {**PAGE_OWNER, "service": True}}))}),
    ("page_status", "200", {"page": {"listening": True, "status": 200, "error": ""}}),
    ("proxy_variables", "http_proxy=http://p:8080", {
        "proxies": {"set": {"http_proxy": "http://p:8080"}, "unusable": [], "loopback": False}}),
    ("proxy_variables", "the launcher unsets", {
        "proxies": {"set": {"all_proxy": "socks://h"}, "unusable": ["all_proxy=socks://h"], "loopback": True}}),
    ("cuda_libs", "left to you", {"cuda_libs": {"skipped": True}}),
    ("cuda_libs", "those of the virtualenv", {"cuda_libs": {**LINKED, "missing": ["cudart"]}}),
    ("cuda_links", "libcudart.so", {
        "cuda_libs": LINKED, "cuda_links": {"changed": False, "links": {"libcudart.so": "../../venv/x"}}}),
    ("module_cache", "none in use", {"module_cache": {"files": 0, "differing": []}}),
    ("network_variables", "put right by the run: no_proxy", {"host": host(facts(network=[
        {"found": "no_proxy is [::1]", "expected": "x", "remedy": "unset no_proxy", "safe": True, "stops": []}]))}),
    ("sources", "weights answer", {"host": host(facts(sources=[{
        "name": "weights", "remedy": "", "urls": [{"url": "https://h", "reachable": True, "error": ""}]}]))}),
    ("weights_digest", "all read", {"context": {**HEALTHY["context"], "deep": True}}),
    ("service", "not asked", {"service": service()}),
    ("service", "it is starting", {  # systemd tells no process while it waits for the GPU
        "service": service(["restart"], pid=0, current=False, condition="activating")}),
    ("service", "loads the model", {"context": {**HEALTHY["context"], "deep": True},
        "answer": {"text": "", "error": "", "loading": True}}),
    ("service", "answers: 你好", {"context": {**HEALTHY["context"], "deep": True}}),
    ("service", "stopped; to start it", {"service": service(["start"], **DEAD, condition="stopped")}),
    ("service", "stopped; to start it", {
        "service": service(["start"], "background", **{**DEAD, **BACKGROUND, "kind": "none"}, condition="stopped")}),
    ("service", "starting", {"service": service(condition="activating")}),
    ("service", "not asked", {"service": service(["restart"])}),  # only the language of the command is another
    ("service", "none is wanted", {"service": service([], "none", **DEAD, kind="none", unit=False)}),
    ("windows_page", "no WSL", {"windows_page": {"asked": False, "why": "no WSL", "status": "", "error": ""}}),
]  # fmt: skip
