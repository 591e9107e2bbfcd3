#!/usr/bin/python
"""Ansible module: judge a host and its installation by the checks of module_utils/chatglm/doctor/checks.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Name the true causes of what is broken on a host
description:
  - Judges what the site's own modules said in check mode, adds probes of its own where the cheaper evidence leaves it
    open, and gives each check a verdict, the value found, the cause and one line to do.
  - Checks run from cheap to dear. What a failed check makes pointless is not looked at.
  - Causes are found by probe, never by the text of an error.
  - Nothing of the virtualenv is run before its files are as recorded, no code of the model before its digest.
  - Changes nothing and needs no rights. For people, C(callback_plugins/doctor.py) prints the result.
version_added: "1.0.0"
options:
  home:
    description: Folder of the installation; need not exist.
    type: path
    required: true
  model_path:
    description: Folder of the weights.
    type: path
    required: true
  record:
    description: Record of the verified weights, written by M(model_snapshot).
    type: path
    required: true
  sums:
    description: The sums that the launcher compares the model's small files with, written by M(model_snapshot).
    type: path
    required: true
  proof:
    description: Record of the last proof, written by M(int4_smoke_test).
    type: path
    required: true
  lock:
    description: Lock of the installation; held while a run changes it.
    type: path
    required: true
  url:
    description: Address of the chat page.
    type: str
    default: http://127.0.0.1:7860
  evidence:
    description:
      - What is known already. C(settings) (problems), C(host) (of M(host_facts)), and of the site's modules in check
        mode C(cuda_libs), C(cuda_links), C(managed_python), C(virtualenv), C(source), C(weights), C(web_demo),
        C(proof), C(service).
        What is left out counts as not looked at.
    type: dict
    required: true
  site:
    description: The command that repairs this host, for the lines to do.
    type: str
    default: ./bootstrap ansible-playbook site.yml -i INVENTORY
  deep:
    description: The site's modules have read every file; the service is asked a question.
    type: bool
    default: false
  language:
    description: Language of all texts but what other modules and tools say.
    type: str
    choices: [en, zh]
    default: en
  timeout:
    description: Seconds for one answer of the virtualenv's Python.
    type: int
    default: 180
  answer_timeout:
    description: Seconds for the answer of the service.
    type: int
    default: 300
attributes:
  check_mode:
    description: Reads only, so check mode does the same.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
author: The authors of this project
"""

EXAMPLES = r"""
- name: Judge
  doctor:
    home: /home/me/chatglm
    model_path: /home/me/chatglm/models/chatglm2-6b-int4
    record: /home/me/chatglm/state/weights.json
    sums: /home/me/chatglm/state/weights.sha256
    proof: /home/me/chatglm/state/proof.json
    lock: /home/me/chatglm/state/lock
    evidence:
      host: "{{ preflight_found }}"
      virtualenv: "{{ virtualenv_result }}"
      weights: "{{ weights_result }}"
"""

RETURN = r"""
status:
  description: The worst verdict, V(ok), V(repairable) or V(yours). V(unknown) alone counts as V(ok).
  returned: success
  type: str
time:
  description: When this host was judged (UTC, ISO 8601).
  returned: success
  type: str
checks:
  description: Each check, from cheap to dear.
  returned: success
  type: list
  elements: dict
  contains:
    code: {description: Stable name., type: str, sample: weights_digest}
    title: {description: What is looked at., type: str}
    verdict:
      description: V(ok), V(repairable) (by site.yml), V(yours) (only the user can), V(unknown).
      type: str
    evidence: {description: "The value found, as the tools say it; empty when it was not looked at.", type: str}
    cause: {description: Why; empty unless V(repairable) or V(yours)., type: str}
    remedy: {description: One line to do; empty unless V(repairable) or V(yours)., type: str}
    skipped_by:
      description: Code of the failed check that makes this one pointless; else empty.
      type: str
    applies: {description: Whether this host has what the check looks at., type: bool}
notes:
  description: What is no fault but worth knowing.
  returned: success
  type: list
  elements: str
site:
  description: As given.
  returned: success
  type: str
language:
  description: As given.
  returned: success
  type: str
seconds:
  description: What the doctor's own probes took.
  returned: success
  type: dict
"""

import contextlib
import datetime
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import network_environment
from ansible.module_utils.chatglm.core.addresses import masked
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import git_blob_id, read_json, sha256_file
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.core.lock import holder
from ansible.module_utils.chatglm.core.processes import NO_BYTECODE, die_with_parent, isolated, source_of
from ansible.module_utils.chatglm.doctor import checks, doctor_worker
from ansible.module_utils.chatglm.language import messages
from ansible.module_utils.chatglm.service import command, service
from ansible.module_utils.chatglm.weights import snapshot

IMPORTS = (["torch", "transformers", "sentencepiece"], ["gradio", "pkg_resources"])
"""What two processes import side by side, each about as long as the other."""
CURL = "/mnt/c/Windows/System32/curl.exe"


class Worker:
    """The virtualenv's Python, kept for several questions so that torch is imported once.

    Args:
        python: the interpreter.
        bytecode: the folder whose bytecode it may use.
        scratch: folder for whatever the libraries write.
        timeout: seconds for one answer.

    """

    def __init__(self, python: str, bytecode: str, scratch: str, timeout: float, variables: Mapping[str, str]) -> None:
        """Remember what to start, with which further variables; nothing runs yet."""
        self.python, self.bytecode, self.scratch, self.timeout = python, bytecode, scratch, timeout
        self.variables = variables
        self.process: subprocess.Popen[str] | None = None
        self.error = ""

    def start(self) -> None:
        """Start it with the launcher's environment, but for places to write to. Not from a thread."""
        environment = {
            **{name: value for name, value in os.environ.items() if name not in network_environment.VARIABLES},
            "PATH": f"{os.path.dirname(self.python)}:/usr/lib/wsl/lib:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HOME": self.scratch,
            **{
                name: os.path.join(self.scratch, name.lower())
                for name in ("HF_HOME", "GRADIO_TEMP_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
            },
            **self.variables,
        }
        for name in ("PYTHONPATH", "PYTHONHOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_MODULES_CACHE"):
            environment.pop(name, None)
        try:
            self.process = subprocess.Popen(
                isolated(self.python, "-c", source_of(doctor_worker), bytecode=self.bytecode),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                env=environment,
                cwd=self.scratch,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - no other thread runs now
            )
        except OSError as error:
            self.error = f"{self.python}: {error.strerror or error}"

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer, or a dict with ``error``."""
        process = self.process
        if process is None:
            return {"error": self.error or "it was not started"}
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self.timeout, stop)
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError):
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            for line in process.stdout:
                if line.startswith(doctor_worker.MARK):
                    return dict(json.loads(line[len(doctor_worker.MARK) :]))
        finally:
            timer.cancel()
        status = process.wait()
        if late.is_set():
            return {"error": f"no answer within {self.timeout:.0f} s"}
        return {"error": f"Python ended by signal {-status}" if status < 0 else f"Python ended with status {status}"}

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):  # a request that nobody read
                    if stream is not None:
                        stream.close()


def seen_proxies(environment: dict[str, str]) -> dict[str, Any]:
    """Return the proxy variables (passwords masked), those that the hub cannot be asked through, what loopback does."""
    found = {}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if environment.get(variable):
                found[variable] = environment[variable]
    bypass = {
        part.strip().lower()
        for variable in ("no_proxy", "NO_PROXY")
        for part in environment.get(variable, "").split(",")
    }
    return {
        "set": {name: masked(value) for name, value in found.items()},
        # The hub's client knows no SOCKS; uv and git do, urllib does not look at these.
        "unusable": [
            f"{name}={masked(value)}" for name, value in sorted(found.items()) if value.lower().startswith("socks")
        ],
        "loopback": "*" in bypass or {"127.0.0.1", "localhost"} <= bypass,
    }


def ask_page(url: str, listening: bool) -> dict[str, Any]:
    """Return the status of GET /, asked straight, whatever proxies are set."""
    seen: dict[str, Any] = {"listening": listening, "status": 0, "error": ""}
    if not listening:
        return seen
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=10)
    try:
        connection.request("GET", "/")
        seen["status"] = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        seen["error"] = str(error) or type(error).__name__
    finally:
        connection.close()
    return seen


def ask_windows(url: str, wsl: int, status: int) -> dict[str, Any]:
    """Return what curl of Windows says about the page."""
    seen = {"asked": False, "why": "no WSL", "status": "", "error": ""}
    if not wsl:
        return seen
    curl = CURL if os.access(CURL, os.X_OK) else shutil.which("curl.exe") or ""
    if status != 200 or not curl:
        return {**seen, "why": "no page runs" if status != 200 else "Windows' curl.exe is not to be had from here"}
    try:
        done = subprocess.run(
            [
                curl,
                "--silent",
                "--show-error",
                "--max-time",
                "10",
                "--output",
                "NUL",
                "--write-out",
                "%{http_code}",
                url,
            ],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {**seen, "asked": True, "error": str(error)[:200]}
    return {**seen, "asked": True, "status": done.stdout.strip(), "error": done.stderr.strip()[:200]}


def digests(value: Any, model_path: str) -> dict[str, tuple[str, str]]:
    """Return algorithm and digest by path of the files that were verified in ``model_path``."""
    record = snapshot.Record.parse(value)
    found = {}
    for path, item in record.files.items() if record.path == model_path else ():
        algorithm = "sha256" if item.get("sha256") else "git_blob_id"
        found[path] = (algorithm, item[algorithm])
    return found


def differs(path: str, algorithm: str, digest: str) -> bool:
    """Tell whether a file is not of that content."""
    try:
        return (sha256_file(path) if algorithm == "sha256" else git_blob_id(path)) != digest
    except OSError:
        return True


def read_sums(path: str) -> dict[str, Any]:
    """Compare the sums for the launcher with the files, as ``sha256sum --check`` does."""
    found: dict[str, Any] = {"error": "", "files": 0}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        return {**found, "error": f"{path}: {getattr(error, 'strerror', '') or error}"}
    for line in lines:
        digest, _, name = line.partition("  ")
        if differs(os.path.join(os.path.dirname(path), name), "sha256", digest):
            return {**found, "error": f"{path} has another sum of {name}"}
        found["files"] += 1
    return found if lines else {**found, "error": f"{path} is empty"}


def read_module_cache(home: str, record: Any, model_path: str) -> dict[str, Any]:
    """Compare the copies of the model's code that running pages use with what was verified.

    The launcher makes one at each start, named by its process; the next start removes those of processes that ended.
    """
    known = digests(record, model_path)
    seen: dict[str, Any] = {"files": 0, "differing": [], "pid": 0}
    for top in sorted(Path(home, "cache", "modules").glob("[0-9]*")):
        if not os.path.isdir(f"/proc/{top.name}"):
            continue
        own = top / "transformers_modules" / os.path.basename(model_path)
        for path in (top / "__init__.py", own.parent / "__init__.py", *sorted(own.rglob("*.py"))):
            if not path.is_file():
                continue
            seen["files"] += 1
            name = os.path.relpath(path, own)
            if path.name == "__init__.py":
                bad = path.stat().st_size > 0
            else:
                bad = name not in known or differs(str(path), *known[name])
            if bad:
                seen["differing"].append(str(path))
                seen["pid"] = int(top.name)
    return seen


def bytecode(home: str, proof: str) -> str:
    """Return the folder of the proof's bytecode if none of it is younger, as the launcher does; else one without any.

    Other bytecode is never used: whether it belongs to the source cannot be seen.
    """
    folder = os.path.join(home, "cache", "pycache")
    try:
        proven = os.stat(proof).st_mtime_ns
        for place, _, names in os.walk(folder):
            if any(os.lstat(os.path.join(place, name)).st_ctime_ns > proven for name in (".", *names)):
                return NO_BYTECODE
    except OSError:
        return NO_BYTECODE
    return folder if os.path.isdir(folder) else NO_BYTECODE


class Probes:
    """The doctor's own looks, by name; each runs when a check asks for it.

    Args:
        params: the module's.
        evidence: what is known.
        scratch: a folder of the module's own.

    """

    def __init__(self, params: dict[str, Any], evidence: dict[str, Any], scratch: str) -> None:
        """Read the record of the weights."""
        self.params, self.evidence = params, evidence
        self.record = read_json(params["record"])
        self.scratch = scratch
        self.workers: list[Worker] = []
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str) -> dict[str, Any]:
        """Run the probe ``name``."""
        begin = time.monotonic()
        answer: dict[str, Any] = getattr(self, name)()
        self.seconds[name] = round(time.monotonic() - begin, 3)
        return answer

    def lock(self) -> dict[str, Any]:
        """Return who holds the installation's lock."""
        return {"holder": holder(self.params["lock"])}

    def proxies(self) -> dict[str, Any]:
        """Return the proxy variables of the user's environment."""
        return seen_proxies(dict(os.environ))

    def page(self) -> dict[str, Any]:
        """Ask the page."""
        return ask_page(self.params["url"], not self.evidence["host"]["facts"]["port"]["free"])

    def windows_page(self) -> dict[str, Any]:
        """Ask the page from Windows."""
        return ask_windows(
            self.params["url"], self.evidence["host"]["facts"]["wsl"], self.evidence.get("page", {}).get("status", 0)
        )

    def sums(self) -> dict[str, Any]:
        """Read what the launcher compares."""
        return read_sums(self.params["sums"])

    def module_cache(self) -> dict[str, Any]:
        """Read the copy of the model's code."""
        return read_module_cache(self.params["home"], self.record, self.params["model_path"])

    def imports(self) -> dict[str, Any]:
        """Import the packages."""
        cuda = self.evidence["context"]["device"] == "cuda"
        folder = bytecode(self.params["home"], self.params["proof"])
        python = f"{self.params['home']}/venv/bin/python"
        path = (self.evidence.get("cuda_libs") or {}).get("cuda_path")
        for _ in IMPORTS:
            self.workers.append(
                Worker(python, folder, self.scratch, self.params["timeout"], {"CUDA_PATH": path} if path else {})
            )
            self.workers[-1].start()
        names = [list(group) for group in IMPORTS]
        names[0] += ["cpm_kernels.kernels.base"] if cuda else []
        requests = [{"imports": group, "cuda": cuda and group is names[0]} for group in names]
        with ThreadPoolExecutor(len(requests)) as pool:
            first, *others = pool.map(Worker.ask, self.workers, requests)
        for answer in others:
            first.setdefault("modules", {}).update(answer.get("modules", {}))
            first["error"] = first.get("error") or answer.get("error", "")
        return first

    def tokenizer(self) -> dict[str, Any]:
        """Build the tokenizer, in the process that has imported torch."""
        return self.workers[0].ask({"tokenizer": self.params["model_path"], "text": "你好 hello"})

    def answer(self) -> dict[str, Any]:
        """Ask the service a question."""
        chat = command.Chat(self.params["home"])
        page = chat.page(self.params["answer_timeout"])
        young = service.age(chat.state()["pid"]) < command.LOAD_TIMEOUT
        if young and page.status() == 0:  # to start it again would begin the load anew
            return {"text": "", "error": "", "loading": True}
        try:
            text = command.ask(chat, page, "你好")[:60]
        except Failure as failure:
            return {"text": "", "error": failure.found, "loading": False}
        finally:
            page.close()
        return {"text": text, "error": "" if text else "an empty answer", "loading": False}

    def stop(self) -> None:
        """End what was started."""
        for worker in self.workers:
            worker.stop()

    def proof_record(self) -> dict[str, Any]:
        """Read why the last proof failed."""
        record = read_json(self.params["proof"])
        record = record if isinstance(record, dict) else {}
        reasons = record.get("reasons")
        return {
            "verdict": str(record.get("verdict", "")),
            "time": str(record.get("time", "")),
            "reasons": [str(reason) for reason in reasons] if isinstance(reasons, list) else [],
            "yours": record.get("yours") is True,
        }


def context(params: dict[str, Any], host: dict[str, Any]) -> dict[str, Any]:
    """Return the values that texts and judges ask for."""
    port = urllib.parse.urlsplit(params["url"]).port or 80
    return {
        "device": (host.get("likely") or {}).get("device", "cuda"),
        "home": params["home"],
        "model": params["model_path"],
        "next_port": port + 1,
        "site": params["site"],
        "full": params["site"] + ("" if params["deep"] else " -e virtualenv_verify=full"),
        "deep": params["deep"],
        "python": list(sys.version_info[:2]),
    }


def notes(evidence: dict[str, Any]) -> list[str]:
    """Return what is no fault: preflight's warnings, and what of the user's is kept."""
    texts = [str(text) for text in evidence["host"].get("warnings_found") or []]
    extras = (evidence.get("virtualenv") or {}).get("extras") or {}
    if extras:
        lost = evidence["virtualenv"].get("lost")
        names = ", ".join(sorted(extras))
        texts.append(
            f"your own packages in the virtualenv, which a virtualenv that is built anew will lack: {names}"
            if lost
            else f"your own packages in the virtualenv, which are kept: {names}"
        )
    strange = (evidence.get("virtualenv") or {}).get("other_files") or []
    if strange:
        texts.append("files of yours in the virtualenv, which are kept: " + ", ".join(strange[:5]))
    others = (evidence.get("weights") or {}).get("extra_files") or []
    if others:
        texts.append("other files beside the weights, which are kept: " + ", ".join(others[:5]))
    return texts


def main() -> None:
    """Judge, and report."""
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "model_path": {"type": "path", "required": True},
            "record": {"type": "path", "required": True},
            "sums": {"type": "path", "required": True},
            "proof": {"type": "path", "required": True},
            "lock": {"type": "path", "required": True},
            "url": {"type": "str", "default": "http://127.0.0.1:7860"},
            "evidence": {"type": "dict", "required": True},
            "site": {"type": "str", "default": "./bootstrap ansible-playbook site.yml -i INVENTORY"},
            "deep": {"type": "bool", "default": False},
            "language": {"type": "str", "choices": list(messages.LANGUAGES), "default": "en"},
            "timeout": {"type": "int", "default": 180},
            "answer_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    params = module.params
    evidence: dict[str, Any] = {name: value for name, value in params["evidence"].items() if value}
    evidence.setdefault("host", {})
    evidence["context"] = context(params, evidence["host"])
    with tempfile.TemporaryDirectory(dir=module.tmpdir, prefix="doctor") as scratch:
        probes = Probes(params, evidence, scratch)
        try:
            results = checks.examine(evidence, probes, params["language"])
        finally:
            probes.stop()
    module.exit_json(
        changed=False,
        time=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        status=checks.status_of(results),
        checks=results,
        notes=[checks.in_words(text, params["language"]) for text in notes(evidence)],
        site=params["site"],
        language=params["language"],
        seconds=probes.seconds,
    )


if __name__ == "__main__":
    guarded(main)
