#!/usr/bin/python
"""Look at a host before anything is changed there; the judging is in module_utils/chatglm/preflight/plan.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_facts
short_description: Look at a host and plan the installation
description:
  - Reads what decides whether and how ChatGLM2-6B-int4 can be installed on this host, and makes one plan of it.
  - libcuda is asked for GPUs first, in a process of its own with a time limit, then C(nvidia-smi) by absolute path.
  - Changes nothing and needs no rights. Does not fail when the host is unfit; see RV(refusals).
version_added: "1.0.0"
options:
  home:
    description: Folder that everything is to be installed under; need not exist.
    type: path
    required: true
  model_dir:
    description: Folder of the weights, to see what is there already. Default is O(home)/models.
    type: path
  device:
    description: V(cpu) or V(cuda); V(auto) means V(cuda) and is refused without a usable GPU.
    type: str
    choices: [auto, cuda, cpu]
    default: auto
  listen:
    description: Address that the chat page is to listen on.
    type: str
    default: 127.0.0.1
  port:
    description: TCP port of the chat page.
    type: int
    default: 7860
  language:
    description: Language of RV(report), English or Chinese.
    type: str
    choices: [en, zh]
    default: en
  python:
    description: Interpreter for the virtualenv, as a path or a name on PATH. Empty to take the newest that will do.
    type: str
    default: ""
  python_source:
    description:
      - Whose interpreter it may be. V(host) means one that is installed there, V(managed) one that uv brings along
        (M(managed_python)), V(auto) the host's where one will do, else uv's; what a virtualenv stands on is kept.
      - O(python) comes before V(auto).
    type: str
    choices: [auto, host, managed]
    default: auto
  python_downloads:
    description: The list that M(managed_python) takes its Python from, as text. Empty means that none is brought.
    type: json
    default: ""
  min_gpu_memory_gb:
    description: Refuse a GPU with less memory, or less of it free. GB of 1024 cubed bytes, here and below.
    type: float
    default: 5.0
  warn_gpu_memory_gb:
    description: Warn below this much free GPU memory.
    type: float
    default: 5.5
  min_memory_gb:
    description: Memory available and swap free together that loading the model needs.
    type: float
    default: 5.0
  weights_gb:
    description: Size of the weights on disk.
    type: float
    default: 3.65
  environment_gb:
    description: Size of the virtualenv with the package cache, by torch build (keys V(cpu), V(2.7.1), V(2.8.0)).
    type: dict
    default: {}
  int4_capabilities:
    description:
      - Compute capabilities that the model's int4 kernels run on. Empty for a model whose code runs on any GPU.
      - Also tells that the model's code compiles a kernel with gcc on a CPU, as upstream's does.
    type: list
    elements: str
    default: ["6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.9"]
  engine:
    description:
      - The int4 engine. V(upstream) is the model's own code, V(torch) this project's, which runs wherever torch does.
      - V(auto) takes V(upstream) on a GPU of O(int4_capabilities), V(torch) on any other and on a CPU.
    type: str
    choices: [auto, torch, upstream]
    default: auto
  check_sources:
    description:
      - Groups of addresses of which at least one each has to answer a HEAD request within 5 s, with whatever status.
      - Only http and https addresses are asked; proxies of the environment are used. Empty to ask nothing.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What is fetched there.
        type: str
        required: true
      urls:
        description: Addresses.
        type: list
        elements: str
        required: true
      remedy:
        description: What to do when none answers.
        type: str
        default: ""
      git:
        description: Git asks there, which knows more kinds of proxies than Python does.
        type: bool
        default: false
      hubs:
        description: Those of O(check_sources[].urls) that huggingface_hub asks.
        type: list
        elements: str
        default: []
  check_sources_when:
    description: V(auto) asks only until a proof was tried, for which all had been fetched.
    type: str
    choices: [auto, always, never]
    default: auto
  ca_bundle:
    description: PEM file with the certificate authorities to trust; empty for the system's.
    type: path
    default: ""
  seal:
    description: Record of an installation that was proven, written by M(site_seal); empty to look at none.
    type: path
    default: ""
  password:
    description: What the page is to ask for; a seal of an installation with another one is not intact.
    type: str
    default: ""
  inject:
    description:
      - Facts to take as given instead of as observed, of the structure of RV(facts), to rehearse a host that one does
        not have. Dicts are laid over key by key, anything else is replaced. They are named in RV(warnings).
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Reads only, so check mode does the same.
  diff_mode:
    support: none
    description: Changes nothing.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Look at the host
  host_facts:
    home: ~/chatglm
    check_sources:
      - name: source repository
        urls: [https://github.com/THUDM/ChatGLM2-6B.git]
  register: host

- name: Rehearse the reference laptop
  host_facts:
    home: ~/chatglm
    inject:
      wsl: 2
      nvidia: {driver: "528.79", driver_cuda: 12000}
      gpus:
        - name: NVIDIA GeForce RTX 3060 Laptop GPU
          capability: "8.6"
          memory_total: 6442450944
          memory_free: 5469372416
"""

RETURN = r"""
facts:
  description: What was seen. Sizes in bytes.
  returned: always
  type: dict
  contains:
    kernel: {type: str, description: Release of the kernel.}
    wsl: {type: int, description: Version of WSL; 0 for none.}
    wsl_distribution: {type: str, description: Name that Windows gives the distribution, if the environment tells.}
    architecture: {type: str, description: For example V(x86_64).}
    distribution: {type: dict, description: "id, version, codename, name; base, base_codename: whose packages it uses."}
    systemd: {type: bool, description: Whether systemd was booted.}
    user: {type: str, description: Who runs this.}
    uid: {type: int, description: The user's number.}
    pythons:
      type: list
      description: "Interpreters of the host: path, version, minor, asked (by the user), in_use (by the virtualenv)."
    managed_python:
      type: dict
      description: "The Python that uv would bring, or has brought: path, version (minor), release (full), digest (of
        its archive), there (an interpreter is in that place), recorded (one is recorded), in_use (the virtualenv stands
        on one)."
    git: {type: str, description: Path of git; empty for none.}
    gcc: {type: str, description: Path of gcc; empty for none.}
    clock: {type: dict, description: "now (UTC), sane: not before 2025."}
    memory: {type: dict, description: "total, available, swap_total, swap_free."}
    disk:
      type: dict
      description: "Of the nearest existing parent of the folder (path): free, total, mount, type, options,
        windows_drive, writable, foreign (files of other users),
        read_only (folders of one's own that are so by their mode), blocked_by (a file in the way)."
    port:
      type: dict
      description: "free, error, and owner (pid, command, ours, service: whether it is the service's) where that can be
        seen."
    service:
      type: dict
      description: "The chat as a service: kind (systemd, background, none), active, pid, current (serves what is
        installed now), enabled (but for a unit that does not start with the distribution)."
    gpus: {type: list, description: "index, uuid, name, memory_total, memory_free, capability, usable (by libcuda)."}
    nvidia:
      type: dict
      description: "dxg, wsl_libcuda, libcuda (path, error, code), loader_libcuda, driver, driver_cuda, smi (path, rc,
        error, trouble), linux_driver_packages (looked for in WSL only)."
    installed: {type: dict, description: "weights (bytes there), torch (build in the virtualenv), tried (a proof was
      made, whatever it showed), proven, and proven_on (its device)."}
    sources: {type: list, description: "The groups asked, with reachable, status, error of each address."}
    network: {type: list, description: "Network variables that cannot work, with found, expected, remedy, whether
      the roles put them right for themselves (safe), and the groups of check_sources that they stop (stops)."}
    injected: {type: list, description: Names of the facts that were given.}
plan:
  description:
    - device, gpu, python (path, version, source, and of a managed one release and digest), torch, transformers,
      torch_cuda, apt_component, engine, notes; empty when refused.
  returned: always
  type: dict
likely:
  description:
    - The same as RV(plan), also where the host is refused, its gaps filled by what is installed (the virtualenv's
      interpreter and torch build) and by what most hosts have. For looking at an installation, not for making one.
  returned: always
  type: dict
refusals:
  description: "All reasons why the installation cannot go on: code, found, expected, remedy, text."
  returned: always
  type: list
warnings_found:
  description: What will work, but not as well as it could.
  returned: always
  type: list
seal:
  description: "key and lines of the seal, and intact: whether every file is as it was then, and O(password) the same;
    empty without O(seal)."
  returned: always
  type: dict
by_hand:
  description:
    - What to tell where a page of this installation runs that was started by hand, for a run that needs its port; empty
      where none does. The service's own page gives way by itself.
  returned: always
  type: str
report:
  description: The plan as lines to read, in O(language).
  returned: always
  type: list
"""

import errno
import json
import os
import platform
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import guard, host, network_environment, nvidia
from ansible.module_utils.chatglm.core.addresses import secrets, without_password
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import read_json
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.core.processes import isolated, listener, source_of
from ansible.module_utils.chatglm.core.seal import look
from ansible.module_utils.chatglm.language import translations
from ansible.module_utils.chatglm.language.messages import LANGUAGES
from ansible.module_utils.chatglm.preflight import libcuda_worker
from ansible.module_utils.chatglm.preflight.plan import EARLIEST_CLOCK, ENGINES, Settings, make_plan
from ansible.module_utils.chatglm.service import service
from ansible.module_utils.chatglm.smoke_test.page import stored_password
from ansible.module_utils.chatglm.virtualenv import managed_python

DRIVER_TIMEOUT = 20.0  # seconds; a cold WSL driver may take several
SOURCE_TIMEOUT = 5.0
GPU_DEFAULTS = {
    "index": 0,
    "uuid": "",
    "name": "GPU",
    "memory_total": None,
    "memory_free": None,
    "capability": "",
    "usable": True,
}


def read(path: str) -> str:
    """Return the text of the file at ``path``, empty when it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def run(command: list[str], timeout: float, stdin: str = "") -> tuple[int, str, str]:
    """Return (exit status, stdout, stderr) of ``command`` in the C locale; status -1 and a text if it cannot run."""
    environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C"}
    try:
        done = subprocess.run(
            command,
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return -1, "", f"no answer within {timeout:.0f} s"
    except OSError as error:
        return -1, "", str(error)
    return done.returncode, done.stdout, done.stderr


def ask_libcuda(path: str) -> dict[str, Any]:
    """Return what the libcuda at ``path`` says, asked in a process of its own."""
    status, out, err = run(isolated(sys.executable, "-", path), DRIVER_TIMEOUT, source_of(libcuda_worker))
    try:
        return dict(json.loads(out.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        how = f"{path} crashed with signal {-status}" if status < -1 else f"{path}: {err.strip()[-300:] or 'no answer'}"
        return {"path": path, "error": how, "code": -1, "driver_cuda": 0, "gpus": []}


def find_libcuda(wsl: int) -> dict[str, Any]:
    """Return the answer of the first libcuda that works; on WSL the one that Windows brings is asked by its path."""
    paths = [f"{nvidia.WSL_FOLDER}/libcuda.so.1"] if wsl else []
    answer: dict[str, Any] = {}
    for path in [path for path in paths if os.path.exists(path)] + ["libcuda.so.1"]:
        new = ask_libcuda(path)
        if not new["error"]:
            return new
        # A library that is there and fails tells more than one that is not there.
        if not answer or (answer["code"] == 0 and new["code"] != 0):
            answer = new
    if answer["error"] and answer["code"] == 0:
        answer["path"] = ""
    return answer


def ask_smi() -> dict[str, Any]:
    """Return path, rc, error, trouble and the GPUs that nvidia-smi lists."""
    candidates = [path for path in nvidia.SMI_PATHS if os.access(path, os.X_OK)]
    path = candidates[0] if candidates else shutil.which("nvidia-smi") or ""
    if not path:
        return {"path": "", "rc": 0, "error": "not found", "trouble": "absent", "gpus": []}
    fields: tuple[str, ...] = nvidia.SMI_FIELDS
    status, out, err = run(nvidia.smi_command(path), DRIVER_TIMEOUT)
    if nvidia.smi_lacks_field(out + err):
        fields = nvidia.SMI_FIELDS_OLD
        status, out, err = run(nvidia.smi_command(path, fields), DRIVER_TIMEOUT)
    gpus = nvidia.parse_smi(out, fields)
    text = " ".join((out + " " + err).split())[:400]
    bad = status != 0 or not gpus
    return {
        "path": path,
        "rc": status,
        "error": (text or f"exit status {status}") if bad else "",
        "trouble": nvidia.smi_trouble(text) if bad else "",
        "gpus": gpus,
    }


def find_pythons(asked: str, in_use: str = "") -> list[dict[str, Any]]:
    """Return the interpreters that run: the one asked for or in use alone, or those looked for up to the first hit."""
    folders = ["/usr/bin", "/usr/local/bin", *os.get_exec_path()]
    if asked:
        names = [os.path.expanduser(asked) if "/" in asked else shutil.which(asked) or asked]
    else:
        names = [os.path.join(folder, name) for name in host.PYTHON_NAMES for folder in folders]
        names[:0] = [in_use] if in_use else []
    found: list[dict[str, Any]] = []
    seen = set()
    for name in names:
        real = os.path.realpath(name)
        if real in seen or not os.access(name, os.X_OK):
            continue
        seen.add(real)
        python = host.parse_python_report(run(isolated(name, "-S", "-c", host.PYTHON_PROBE), 10)[1])
        if python and python["path"] not in [old["path"] for old in found]:
            found.append({**python, "asked": bool(asked), "in_use": name == in_use})
            # Names are in order of preference: what follows the first hit is not needed.
            if os.path.basename(name) == f"python{python['minor']}":
                break
    return found


def look_at_disk(home: str, uid: int) -> dict[str, Any]:
    """Return the state of ``home``'s nearest existing parent and the file system there."""
    parent, blocked = home, ""
    while not os.path.isdir(parent):
        if os.path.lexists(parent):
            blocked = parent
        parent = os.path.dirname(parent)
    mount = host.mount_of(os.path.realpath(parent), read("/proc/self/mountinfo"))
    space = os.statvfs(parent)
    foreign, read_only = [], []
    if uid and parent == home:
        for path in [home, *sorted(child for pattern in ("*", "*/*") for child in map(str, Path(home).glob(pattern)))]:
            status = os.lstat(path)
            if status.st_uid != uid and not os.path.islink(path) and not os.access(path, os.W_OK):
                foreign.append(path)
            elif status.st_uid == uid and os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK):
                read_only.append(path)
    return {
        "path": parent,
        "blocked_by": blocked,
        "free": space.f_bavail * space.f_frsize,
        "total": space.f_blocks * space.f_frsize,
        "mount": mount.point if mount else "",
        "type": mount.type if mount else "",
        "options": list(mount.options) if mount else [],
        "windows_drive": bool(mount and mount.windows_drive),
        # A folder of another user inside home is told as foreign, not twice.
        "writable": home in foreign or home in read_only or os.access(parent, os.W_OK | os.X_OK),
        "foreign": foreign[:5],
        "read_only": read_only[:5],
    }


def port_owner(port: int, home: str, running: dict[str, Any]) -> dict[str, Any] | None:
    """Return pid, command, ours (started from ``home``) and service of who listens, None where that is hidden."""
    found = listener(port)
    if found is None:
        return None
    pid, words = found
    try:
        folder = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None
    # The demo's working folder and program are below home; venv/bin/python is a link to outside, so unresolved too.
    places = [folder, *(word for word in words[:3] if word.startswith("/"))]
    below = os.path.realpath(home) + "/"
    ours = any(f"{os.path.realpath(place)}/".startswith(below) or place.startswith(home + "/") for place in places)
    mine = service.belongs(pid, running)
    return {"pid": pid, "command": " ".join(words).strip()[:200], "ours": ours or mine, "service": mine}


def look_at_port(listen: str, port: int, home: str, running: dict[str, Any]) -> dict[str, Any]:
    """Return whether the page could listen there; tried as a server would, for an instant."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(listen, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind(address)
            attempt.listen(1)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        return {"free": False, "error": str(error), "owner": port_owner(port, home, running) if taken else None}
    return {"free": True, "error": "", "owner": None}


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer too: do not go after it."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        """Return no request, which makes urllib report the redirect as a status."""


def ask_source(url: str, ca_bundle: str) -> dict[str, Any]:
    """Return url, reachable, status and error of one address; any HTTP status counts as reachable."""
    url, _ = without_password(url)  # who answers 401 is there
    try:
        context = ssl.create_default_context(cafile=ca_bundle or None)
        opener = urllib.request.build_opener(NoRedirect, urllib.request.HTTPSHandler(context=context))
        with opener.open(urllib.request.Request(url, method="HEAD"), timeout=SOURCE_TIMEOUT) as answer:
            return {"url": url, "reachable": True, "status": answer.status, "error": ""}
    except urllib.error.HTTPError as error:
        return {"url": url, "reachable": True, "status": error.code, "error": ""}
    except urllib.error.URLError as error:
        return {"url": url, "reachable": False, "status": 0, "error": str(error.reason)}
    except (OSError, ValueError) as error:
        return {"url": url, "reachable": False, "status": 0, "error": str(error)}


def look_at_network(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the network variables that cannot work, each with the groups that have no other way than through it."""
    found = guard.network or network_environment.problems(os.environ)
    stops: dict[str, set[str]] = {}
    for group in groups:
        stopped = []
        for url in group["urls"]:
            client = "git" if group.get("git") else "hub" if url in group.get("hubs", ()) else "web"
            stopped.append(network_environment.stopped(client, url, os.environ))
        for problem in filter(None, stopped) if all(stopped) else ():
            stops.setdefault(problem.variables[0], set()).add(group["name"])
    return [
        dict(
            zip(("found", "expected", "remedy"), problem.said()),  # noqa: B905
            safe=problem.safe,
            stops=sorted(set().union(*(stops.get(name, ()) for name in problem.variables))),
        )
        for problem in found
    ]


def look_at_installation(home: str, model_dir: str) -> dict[str, Any]:
    """Return what is installed already: bytes of weights, torch build, and what the record of the last proof says."""
    weights = 0
    for folder, _, names in os.walk(model_dir):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            # A file with holes (a preallocated download) has less on disk than its size says.
            weights += min(status.st_size, status.st_blocks * 512) if status.st_blocks else status.st_size
    torch = ""
    for path in Path(home, "venv").glob("lib/python3*/site-packages/torch-*.dist-info"):
        version = path.name[len("torch-") : -len(".dist-info")]
        torch = "cpu" if version.endswith("+cpu") else version.partition("+")[0]
    proof = read_json(os.path.join(home, "state", "proof.json"))
    proof = proof if isinstance(proof, dict) else {}
    settings = proof.get("settings")
    return {
        "weights": weights,
        "torch": torch,
        "tried": bool(proof),
        "proven": proof.get("verdict") == "ok",  # a record of a proof that failed is no proof
        "proven_on": str(settings.get("device", "")) if isinstance(settings, dict) else "",
    }


def look_at_managed_python(home: str, downloads: str, in_use: str) -> dict[str, Any]:
    """Return which Python uv would bring, and whether it has; nothing of it is run.

    Raises:
        Failure: the list cannot be used.

    """
    recorded = bool(managed_python.read_record(f"{home}/state/python.json"))
    if not downloads:
        return {"path": "", "recorded": recorded, "in_use": False, "there": False}
    release = managed_python.choose(downloads)
    return {
        "path": release.interpreter(f"{home}/python"),
        "version": release.minor,
        "release": release.version,
        "digest": release.sha256,
        "there": managed_python.there(home, release),
        "recorded": recorded,
        "in_use": in_use.startswith(f"{home}/python/"),
    }


def gather(params: dict[str, Any]) -> dict[str, Any]:
    """Return the facts; programs that may be slow run side by side."""
    home = params["home"]
    uid = os.getuid()
    kernel = read("/proc/sys/kernel/osrelease").strip() or platform.release()
    interop = "/proc/sys/fs/binfmt_misc/WSLInterop"
    dxg = os.path.exists("/dev/dxg")
    wsl = host.wsl_version(kernel, read("/proc/version"), dxg or os.path.exists(interop))
    installed = look_at_installation(home, params["model_dir"] or os.path.join(home, "models"))
    groups = []
    when = params["check_sources_when"]
    if when == "always" or (when == "auto" and not installed["tried"]):
        groups = [{**group, "urls": host.http_urls(group["urls"])} for group in params["check_sources"]]
    # As it was when the virtualenv was proven: an interpreter that was written there since is not run.
    stamp = read_json(os.path.join(home, "venv", ".chatglm-env.json"))  # python_env's
    proven = stamp.get("pyvenv") if isinstance(stamp, dict) else None
    in_use = host.venv_python(str(proven or read(os.path.join(home, "venv", "pyvenv.cfg"))))
    # Where links on the way to the folder are resolved, as uv does.
    real = os.path.realpath(home)
    if in_use.startswith(f"{real}/python/"):
        in_use = home + in_use[len(real) :]
    managed = look_at_managed_python(home, params["python_downloads"], in_use)
    if in_use.startswith(f"{home}/python/"):
        in_use = ""  # not the host's, and not to be run before it was looked at
    with ThreadPoolExecutor(max_workers=16) as pool:
        cuda_later = pool.submit(find_libcuda, wsl)
        smi_later = pool.submit(ask_smi)
        pythons_later = pool.submit(find_pythons, params["python"], in_use)
        loader_later = pool.submit(run, ["/sbin/ldconfig", "-p"], 10) if wsl else None
        sources_later = [
            [pool.submit(ask_source, url, params["ca_bundle"]) for url in group["urls"]] for group in groups
        ]
        running = service.observe(home)
        disk, port = look_at_disk(home, uid), look_at_port(params["listen"], params["port"], home, running)
        packages = nvidia.driver_packages(read("/var/lib/dpkg/status")) if wsl else []
        cuda, smi, pythons = cuda_later.result(), smi_later.result(), pythons_later.result()
        sources = [
            {"name": group["name"], "remedy": group["remedy"], "urls": [later.result() for later in row]}
            for group, row in zip(groups, sources_later)  # noqa: B905
            if row
        ]
    now = time.time()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    listed = smi.pop("gpus")
    return {
        "kernel": kernel,
        "wsl": wsl,
        "wsl_distribution": os.environ.get("WSL_DISTRO_NAME", ""),
        "architecture": platform.machine(),
        "distribution": host.distribution(
            host.parse_os_release(read("/etc/os-release") or read("/usr/lib/os-release"))
        ),
        "systemd": os.path.isdir("/run/systemd/system"),
        "user": user,
        "uid": uid,
        "pythons": pythons,
        "managed_python": managed,
        "git": shutil.which("git") or "",
        "gcc": shutil.which("gcc") or "",
        "clock": {"sane": now >= EARLIEST_CLOCK, "now": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now)) + " UTC"},
        "memory": host.parse_meminfo(read("/proc/meminfo")),
        "disk": disk,
        "port": port,
        "service": {name: running[name] for name in ("kind", "active", "pid", "current", "enabled")},
        "gpus": nvidia.merge_gpus(cuda["gpus"], listed),
        "nvidia": {
            "dxg": dxg,
            "wsl_libcuda": os.path.exists(f"{nvidia.WSL_FOLDER}/libcuda.so.1"),
            "libcuda": {name: cuda[name] for name in ("path", "error", "code")},
            "loader_libcuda": host.loader_library(loader_later.result()[1], "libcuda.so.1") if loader_later else "",
            "driver": next((gpu["driver"] for gpu in listed if gpu["driver"]), ""),
            "driver_cuda": cuda["driver_cuda"],
            "smi": smi,
            "linux_driver_packages": packages,
        },
        "installed": installed,
        "sources": sources,
        "network": look_at_network(groups),
        "injected": [],
    }


def started_by_hand(owner: dict[str, Any] | None) -> str:
    """Return what to tell of a page of ours that is not the service's: nobody knows who is using it."""
    if not owner or not owner["ours"] or owner.get("service"):
        return ""
    pid = owner["pid"]
    return str(
        Failure(
            f"a chat page that was started by hand, process {pid}, while something is to be looked at or mended",
            "its port and its memory free",
            f"stop it with Ctrl+C in its terminal, or: kill {pid}; then run again",
        )
    )


def inject(facts: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return ``facts`` with those ``given`` laid over, named in ``injected``.

    Raises:
        Failure: a name that no fact has.

    """
    unknown = sorted(set(given) - set(facts) | ({"injected"} & set(given)))
    if unknown:
        raise Failure(f"inject names {', '.join(unknown)}", f"names of facts: {', '.join(sorted(facts))}", "correct it")
    merged = host.merge(facts, given)
    merged["injected"] = sorted(given)
    if "gpus" in given:
        merged["gpus"] = [{**GPU_DEFAULTS, "index": index, **gpu} for index, gpu in enumerate(given["gpus"])]
    return merged


def settings_from(params: dict[str, Any]) -> Settings:
    """Return the planner's settings from the module's options."""
    defaults = Settings()
    names = (
        "device",
        "home",
        "listen",
        "port",
        "python",
        "python_source",
        "min_gpu_memory_gb",
        "warn_gpu_memory_gb",
        "min_memory_gb",
        "weights_gb",
    )
    environment = {str(name): float(value) for name, value in params["environment_gb"].items()}
    return Settings(
        **{name: params[name] for name in names},
        environment_gb={**defaults.environment_gb, **environment},
        int4_capabilities=tuple(params["int4_capabilities"]),
        engine=params["engine"],
    )


def main() -> None:
    """Gather, inject, judge, report."""
    group = {
        "name": {"type": "str", "required": True},
        "urls": {"type": "list", "elements": "str", "required": True},
        "remedy": {"type": "str", "default": ""},
        "git": {"type": "bool", "default": False},
        "hubs": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "model_dir": {"type": "path"},
            "device": {"type": "str", "choices": ["auto", "cuda", "cpu"], "default": "auto"},
            "listen": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 7860},
            "language": {"type": "str", "choices": list(LANGUAGES), "default": "en"},
            "python": {"type": "str", "default": ""},
            "python_source": {"type": "str", "choices": ["auto", "host", "managed"], "default": "auto"},
            "python_downloads": {"type": "json", "default": ""},
            "min_gpu_memory_gb": {"type": "float", "default": 5.0},
            "warn_gpu_memory_gb": {"type": "float", "default": 5.5},
            "min_memory_gb": {"type": "float", "default": 5.0},
            "weights_gb": {"type": "float", "default": 3.65},
            "environment_gb": {"type": "dict", "default": {}},
            "int4_capabilities": {"type": "list", "elements": "str", "default": list(nvidia.INT4_CAPABILITIES)},
            "engine": {"type": "str", "choices": ["auto", *ENGINES], "default": "auto"},
            "check_sources": {"type": "list", "elements": "dict", "default": [], "options": group},
            "check_sources_when": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
            "ca_bundle": {"type": "path", "default": ""},
            "seal": {"type": "path", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "inject": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    module.no_log_values.update(secrets(url for group in params["check_sources"] for url in group["urls"]))
    try:
        if not os.path.isabs(params["home"]):
            raise Failure(f"home is {params['home']!r}", "an absolute path", "set chatglm_home to one")
        params["home"] = os.path.normpath(params["home"])
        if not 0 < params["port"] < 65536:
            raise Failure(f"port is {params['port']}", "a number from 1 to 65535", "set chatglm_port to one")
        if params["ca_bundle"] and not os.access(params["ca_bundle"], os.R_OK):
            raise Failure(
                f"ca_bundle is {params['ca_bundle']}, which cannot be read",
                "a PEM file on the host",
                "correct the path",
            )
        try:
            settings = settings_from(params)
        except (TypeError, ValueError) as error:
            raise Failure(f"environment_gb holds {error}", "numbers", "correct it") from error
        facts = gather(params)
        try:
            facts = inject(facts, params["inject"])
            outcome = make_plan(facts, settings).as_dict()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if not params["inject"]:
                raise
            raise Failure(
                f"inject has a value of the wrong shape ({type(error).__name__}: {error})",
                "the structure of the returned facts",
                "compare with: ansible-doc -M library -t module host_facts",
            ) from error
    except Failure as failure:
        module.fail_json(msg=str(failure))
    if params["language"] == "zh":
        outcome["report"] = [translations.report(line) for line in outcome["report"]]
    outcome["by_hand"] = started_by_hand(facts["port"]["owner"])
    outcome["warnings_found"] = outcome.pop("warnings")
    outcome["seal"] = look(params["home"], params["seal"]) if params["seal"] else {}
    if outcome["seal"] and stored_password(params["home"]) != params["password"]:
        outcome["seal"]["intact"] = False
    module.exit_json(changed=False, facts=facts, **outcome)


if __name__ == "__main__":
    guarded(main)
