#!/usr/bin/python
"""Prove the chat by a real generation, and record what was proven."""

from __future__ import annotations

DOCUMENTATION = r"""
module: int4_smoke_test
short_description: Prove an int4 ChatGLM2 installation by real answers
version_added: "0.1.0"
description:
  - Loads the model as the web demo does, answers a question greedily, and judges device, int4 packing, raw logits,
    answer, and speed. Then starts the web demo itself, asks it twice the way its page does (gradio's queue over HTTP,
    or with O(app=streamlit) the websocket), sees the answer grow, and stops it again.
  - With O(app=openai_api) it asks for a streamed answer and for one in one piece, as OpenAI's clients do.
  - The proof is recorded with the digests of what it proves. While they, the settings and the test's own code are the
    same, nothing is loaded and nothing changes.
  - One attempt only. After the GPU's memory has run out nothing is tried again.
options:
  launcher:
    description: The program that runs a command in the demo's environment; without arguments it starts the web demo.
    type: path
    required: true
  python:
    description: Python of the virtualenv.
    type: path
    required: true
  model_path:
    description: Folder of the model.
    type: path
    required: true
  app:
    description: What the launcher starts.
    type: str
    choices: [web_demo, openai_api, streamlit]
    default: web_demo
  device:
    description: Where the model must be.
    type: str
    choices: [cuda, cpu]
    required: true
  url:
    description: Where the web demo listens. Must be an address of this host; C(http) only.
    type: str
    default: http://127.0.0.1:7860
  question:
    description: The question.
    type: str
    default: 你好
  expected:
    description: Text or regular expression that both answers must contain. Empty for no such demand.
    type: str
    default: ""
  max_new_tokens:
    description: Length of an answer, at most, in tokens.
    type: int
    default: 48
  min_tokens_per_second:
    description: Lowest speed after the first token. 0 for no demand.
    type: float
    default: 0.0
  load_timeout:
    description: Seconds for each of the two loads (imports included).
    type: int
    default: 600
  answer_timeout:
    description: Seconds for each answer.
    type: int
    default: 300
  proof:
    description: The file that records the proof.
    type: path
    required: true
  subject:
    description:
      - Digests, versions and identities of what is proven, by name. Any difference to the recorded ones makes a new
        proof due. The digests of the launcher and of the engine, and the time of the password's file are added.
    type: dict
    default: {}
  repaired:
    description:
      - What this run has changed before, in words. Makes a new proof due, whatever the digests say, but where another
        run has begun one after O(repaired_at).
    type: list
    elements: str
    default: []
  repaired_at:
    description: When the last of O(repaired) was changed, in seconds since the host's boot; 0 where that is not known.
    type: float
    default: 0
  mode:
    description: V(auto) proves when it is due, V(always) at every run.
    type: str
    choices: [auto, always]
    default: auto
  lock:
    description:
      - The file that keeps two runs from changing the installation at once; taken only when there is something to do,
        and dropped by the kernel with its process. Empty takes none.
    type: path
    default: ""
  lock_timeout:
    description: Seconds to wait for another run that holds O(lock), 0 not to wait.
    type: int
    default: 600
attributes:
  check_mode:
    description: Says whether the proof is due and why; starts nothing.
    support: full
  diff_mode:
    description: Shows what differs between the recorded subject and the present one.
    support: full
author: The ChatGLM2 WSL project
"""

EXAMPLES = r"""
- name: Prove the chat
  int4_smoke_test:
    launcher: "{{ chatglm_home }}/bin/chatglm-run"
    python: "{{ chatglm_home }}/venv/bin/python"
    model_path: "{{ chatglm_home }}/models/chatglm2-6b-int4"
    device: cuda
    expected: ChatGLM2-6B
    min_tokens_per_second: 1
    proof: "{{ chatglm_home }}/state/proof.json"
    subject:
      source: "{{ source_result.after }}"
      weights: "{{ weights_result.digest }}"
"""

RETURN = r"""
due:
  description: Whether a proof was due.
  type: bool
  returned: always
same:
  description: Whether all that the chat stands on is as it was at the last proof, be it good or bad.
  returned: success
  type: bool
due_reason:
  description: Why it was due; empty if it was not.
  type: str
  returned: always
  sample: weights changed
verdict:
  description: V(ok), V(failed), or V(due) in check mode.
  type: str
  returned: always
verdicts:
  description: Each judgement, with C(name), C(ok), C(found), C(expected), C(remedy).
  type: list
  elements: dict
  returned: when a proof was made or still holds
report:
  description:
    - The measurements. C(model) of the load and the answer (sizes in bytes, times in seconds), C(page) of the two turns
      through the web demo, C(seconds) of the two stages.
  type: dict
  returned: when a proof was made or still holds
time:
  description: When the proof was made (UTC, ISO 8601).
  type: str
  returned: when a proof was made or still holds
suspect_files:
  description: Whether a damaged file can be the cause, so that it is worth while to read all of them.
  type: bool
  returned: failure
log:
  description: End of the log of what failed.
  type: str
  returned: failure
"""

import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import tempfile
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock, progress
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import digest_of, read_json, sha256_file, unusable, write_json
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.core.processes import Child, isolated, port_free, port_owner, source_of
from ansible.module_utils.chatglm.service import service
from ansible.module_utils.chatglm.smoke_test import page as page_client
from ansible.module_utils.chatglm.smoke_test import smoke, smoke_worker, streamlit_page, streamlit_worker

SETTINGS = (
    "model_path",
    "python",
    "app",
    "device",
    "url",
    "question",
    "expected",
    "max_new_tokens",
    "min_tokens_per_second",
)
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StageError(Exception):
    """A stage failed: its verdict, and the end of its log."""

    def __init__(self, verdict: smoke.Verdict, log: str) -> None:
        """Keep both."""
        super().__init__(str(verdict))
        self.verdict, self.log = verdict, log


def stop_on_signal(number: int, _frame: object) -> NoReturn:
    """Turn a signal into an exception, so that the children are cleaned up; a second signal is ignored."""
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    raise Failure(f"the test was stopped by signal {number}", "an undisturbed run", "run the play again")


def check_inputs(params: dict[str, Any]) -> None:
    """Refuse what cannot work before anything is started.

    Raises:
        Failure: a file is missing.

    """
    for name, role in (("launcher", "web_demo"), ("python", "virtualenv")):
        if not os.access(params[name], os.X_OK) or not os.path.isfile(params[name]):
            raise Failure(
                f"{params[name]} is no program",
                f"the {name} of role {role}",
                f"run the play again (role {role} makes it)",
            )
    if not os.path.isfile(os.path.join(params["model_path"], "config.json")):
        raise Failure(
            f"no config.json in {params['model_path']}",
            "a model's folder",
            "run the play again (role weights fills it)",
        )


def parse_url(url: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
        Failure: not an http URL with a port.

    """
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "http" and parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise Failure(f"url is {url!r}", "a URL such as http://127.0.0.1:7860", "correct chatglm_listen and chatglm_port")


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken: the demo would move to another one, or fail, and use the GPU twice.

    Raises:
        Failure: it is taken, or the address is not one of this host.

    """
    try:
        free = port_free(host, port)
    except OSError as error:
        raise Failure(
            f"{host} cannot be bound: {error}", "an address of this host", "correct chatglm_listen"
        ) from error
    if not free:
        raise Failure(
            f"port {port} of {host} is taken by {port_owner(port)}",
            "a free port",
            "stop it (a chat page that runs already? Ctrl+C in its terminal, or kill and the pid), "
            f"or choose another port: -e chatglm_port={port + 1}",
        )


def bytecode_of(launcher: str) -> str:
    """Return the folder in which the launcher keeps bytecode; only a proof writes there."""
    return os.path.join(home_of(launcher), "cache", "pycache")


def home_of(launcher: str) -> str:
    """Return the folder of the installation that ``launcher`` belongs to."""
    return os.path.dirname(os.path.dirname(os.path.realpath(launcher)))


def tell_memory(step: str, child: Child) -> None:
    """Tell how much memory ``child`` has come to in a step."""
    progress.tell(step, memory=progress.of_process(child.process.pid, "status", "VmRSS"))


def run_model(params: dict[str, Any], log: Path) -> dict[str, Any]:
    """Stage 1: run the worker in the virtualenv and return its report.

    Raises:
        StageError: it ended without a report, or took too long.

    """
    request = {name: params[name] for name in ("model_path", "device", "question", "max_new_tokens")}
    folder = bytecode_of(params["launcher"])
    command = [params["launcher"], *isolated(params["python"], "-", json.dumps(request), bytecode=folder, write=True)]
    phase = "start"
    deadline = [time.monotonic() + params["load_timeout"]]
    report: dict[str, Any] | None = None
    with Child(command, log, stdin=source_of(smoke_worker).encode(), read=True) as child:
        try:
            with progress.watched(lambda: tell_memory("answer" if phase == "answer" else "load", child)):
                for line in child.lines(deadline):
                    if not line.startswith(smoke_worker.MARK):
                        continue
                    event = json.loads(line[len(smoke_worker.MARK) :])
                    report = event.get("report", report)
                    phase = event.get("phase", phase)
                    if phase == "answer":
                        deadline[0] = time.monotonic() + params["answer_timeout"]
                    if report is not None:
                        break
        except TimeoutError:
            limit = "answer_timeout" if phase == "answer" else "load_timeout"
            verdict = smoke.timed_out(f"model, {phase}", params[limit], f"smoke_test_{limit}")
            raise StageError(verdict, child.tail()) from None
        if report is None:
            status = child.wait(5)
            verdict = smoke.diagnose_exit(status, child.tail(), {}, f"model, {phase}", params["device"])
            raise StageError(verdict, child.tail())
        report["log"] = child.tail()
    return report


def wait_for_page(child: Child, page: page_client.Page, params: dict[str, Any], model: dict[str, Any]) -> None:
    """Wait until GET / answers 200.

    Raises:
        StageError: the demo ended, or took too long.

    """
    deadline = time.monotonic() + params["load_timeout"]
    status = 0
    while time.monotonic() < deadline:
        ended = child.wait(0)
        if ended is not None:
            verdict = smoke.diagnose_exit(ended, child.tail(), model, "page, start", params["device"])
            raise StageError(verdict, child.tail())
        status = page.status()
        if status == 200:
            return
        tell_memory("page", child)
        time.sleep(0.1)
    verdict = smoke.timed_out(
        f"page, start (GET / answers {status or 'nothing'})", params["load_timeout"], "smoke_test_load_timeout"
    )
    raise StageError(verdict, child.tail())


def run_page(params: dict[str, Any], model: dict[str, Any], log: Path) -> dict[str, Any]:
    """Stage 2: start the web demo, ask it twice as its page does, stop it.

    Raises:
        Failure: the port is taken.
        StageError: the demo does not start, or does not answer.

    """
    host, port = parse_url(params["url"])
    check_port(host, port)
    page = streamlit_page.client(params["app"], params["url"], params["answer_timeout"], home_of(params["launcher"]))
    prompt = model.get("prompt_tokens", 64)
    started = time.monotonic()
    with contextlib.closing(page), Child([params["launcher"]], log) as child:
        wait_for_page(child, page, params, model)
        where = "page, start"
        try:
            with progress.watched(lambda: tell_memory("page", child)):
                page.open(params["load_timeout"])
            ready = time.monotonic() - started
            where = "page, answer"
            progress.tell("ask")
            first, second = page.converse(params["question"], prompt, params["max_new_tokens"])
        except Failure as failure:
            ended = child.wait(0.5)
            if ended is not None:
                verdict = smoke.diagnose_exit(ended, child.tail(), model, where, params["device"])
            else:
                verdict = smoke.blame(child.tail(), where) or smoke.Verdict(
                    where, False, failure.found, failure.expected, failure.remedy
                )
            raise StageError(verdict, child.tail()) from failure
        tail = child.tail()
    return {
        "answer": first.answer,
        "partials": len(first.partials),
        "second_answer": second.answer,
        "second_partials": len(second.partials),
        "bot_messages": len(page_client.bot_texts(second.messages)),
        "same_answer": first.answer.strip() == str(model.get("answer", "")).strip(),
        "ready_seconds": round(ready, 3),
        "first_token_seconds": round(first.first_seconds or 0.0, 3),
        "answer_seconds": round(first.seconds, 3),
        "port_free": port_free(host, port),
        "log": tail,
    }


def prove(params: dict[str, Any], demands: smoke.Demands, folder: Path) -> dict[str, Any]:
    """Run both stages and judge them; the second only when the first is good.

    Raises:
        Failure: nothing could be started.

    """
    report: dict[str, Any] = {"model": {}, "page": {}, "seconds": {}}
    verdicts: list[smoke.Verdict] = []
    log = ""
    # Python believes bytecode that has the time and size of its source: what is run here is made from the source anew,
    # and the launcher keeps it for later starts.
    shutil.rmtree(bytecode_of(params["launcher"]), ignore_errors=True)
    os.environ["CHATGLM_PROOF"] = "1"
    try:
        started = time.monotonic()
        report["model"] = run_model(params, folder / "model.log")
        log = report["model"].pop("log")
        report["seconds"]["model"] = round(time.monotonic() - started, 3)
        verdicts += smoke.judge_model(report["model"], demands)
        if all(verdict.ok for verdict in verdicts):
            started = time.monotonic()
            report["page"] = run_page(params, report["model"], folder / "page.log")
            log = report["page"].pop("log")
            report["seconds"]["page"] = round(time.monotonic() - started, 3)
            verdicts += smoke.judge_page(report["page"], report["model"], demands)
    except StageError as error:
        verdicts.append(error.verdict)
        log = error.log
    return {"report": report, "verdicts": verdicts, "log": log}


@dataclass
class Seen:
    """What was observed: the record of the last proof, what a new one would be made of, and why it is due."""

    old: dict[str, Any]
    new: dict[str, Any]
    reason: str


def boot() -> str:
    """Return the id of this boot, which the monotonic clock counts from."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def covers(record: Any, repaired_at: float) -> bool:
    """Tell whether the recorded proof was begun after that moment of this boot."""
    began = record.get("began") if isinstance(record, dict) else None
    if not repaired_at or not isinstance(began, dict) or not isinstance(began.get("seconds"), float):
        return False
    return began.get("boot") == boot() != "" and repaired_at < began["seconds"] <= time.monotonic()


def observe(params: dict[str, Any], mode: str, repaired: list[str]) -> Seen:
    """Look at the record, and at what it has to hold for; changes nothing."""
    subject = dict(params["subject"])
    launcher = params["launcher"]
    subject["launcher"] = sha256_file(launcher) if os.path.isfile(launcher) else None
    code = sorted(path for path in Path(home_of(launcher), "lib", "engine").glob("*") if path.is_file())
    subject["engine"] = digest_of({path.name: sha256_file(path) for path in code}) if code else None
    with contextlib.suppress(OSError):  # no digest of it: a record that others may read would let them guess
        subject["password"] = os.stat(page_client.password_path(home_of(launcher))).st_mtime_ns
    settings = {name: params[name] for name in SETTINGS}
    test = digest_of([source_of(part) for part in (smoke, smoke_worker, page_client, streamlit_page, streamlit_worker)])
    record = read_json(params["proof"])
    if covers(record, params["repaired_at"]):
        repaired = []
    reason = smoke.due_reason(record, subject, settings, test, mode=mode, repaired=repaired)
    key = smoke.proof_key(subject, settings, test)
    new = {"key": key, "subject": subject, "settings": settings, "test": test}
    return Seen(record if isinstance(record, dict) else {}, new, reason)


def run(module: AnsibleModule) -> None:
    """Observe, plan, act, record."""
    params = module.params
    parse_url(params["url"])
    seen = observe(params, params["mode"], params["repaired"])
    result: dict[str, Any] = {"due": bool(seen.reason), "due_reason": seen.reason, "changed": bool(seen.reason)}
    result["same"] = seen.old.get("key") == seen.new["key"]
    if not seen.reason:
        still_proven(module, seen.old, "and nothing has changed since")
    before = {"verdict": seen.old.get("verdict", "none"), "subject": seen.old.get("subject", {})}
    result["diff"] = {"before": before, "after": {"verdict": "ok", "subject": seen.new["subject"]}}
    if module.check_mode:
        module.exit_json(**result, msg=f"would prove the chat: {seen.reason}", verdict="due")
    with lock.hold(params, "proving the chat", module.warn):
        # A rival may have proven it, changed it, or started the service, while this one waited.
        now = observe(params, "auto", [])
        if now.old != seen.old and not now.reason:
            still_proven(module, now.old, "by another run while this one waited for it")
        refuse_a_rivals_source(params)
        give_way(module, result, service.observe(home_of(params["launcher"])))
        make_proof(module, now.new, result, now.old)


def refuse_a_rivals_source(params: dict[str, Any]) -> None:
    """Refuse to vouch for a commit that is not there any more.

    Raises:
        Failure: another run has brought the source repository to another commit since this one did.

    """
    source = os.path.join(home_of(params["launcher"]), "source")
    expected, found = str(params["subject"].get("source", "")), ""
    with contextlib.suppress(OSError, ValueError):
        found = Path(source, ".git", "HEAD").read_text(encoding="ascii").strip()
    commit = re.compile("[0-9a-f]{40}")
    if commit.fullmatch(expected) and commit.fullmatch(found) and found != expected:
        raise Failure(
            f"{source} at commit {found[:12]}, where another run has brought it meanwhile",
            f"commit {expected[:12]}, as this run left it",
            "run again, with the settings that are to hold",
        )


def give_way(module: AnsibleModule, result: dict[str, Any], running: dict[str, Any]) -> None:
    """End the module where the service holds port and memory and only root may stop it; without systemd, stop it.

    Raises:
        Failure: it does not end.

    """
    if not running["active"]:
        return
    home = home_of(module.params["launcher"])
    if running["kind"] == "systemd":
        busy = Failure(
            "the service chatglm runs, and holds the port and the memory that a proof needs",
            "the right to stop it",
            f"if sudo asks for a password, run again with --ask-become-pass; or first: {service.command_of(home)} stop",
        )
        module.exit_json(**{**result, "changed": False}, verdict="busy", home=home, msg=str(busy), suspect_files=False)
    if not service.stop_background(home):
        raise Failure(
            f"process {running['pid']} does not end",
            "the end of the chat in the background",
            f"run {service.command_of(home)} stop",
        )


def still_proven(module: AnsibleModule, record: dict[str, Any], why: str) -> NoReturn:
    """End the module with a proof that was made before."""
    module.exit_json(
        due=False,
        due_reason="",
        changed=False,
        msg=f"proven on {record.get('time')}, {why}: {smoke.summary(record['report'])}",
        verdict="ok",
        verdicts=record.get("verdicts"),
        report=record["report"],
        time=record.get("time"),
        diff={"before": "", "after": ""},
    )


def make_proof(module: AnsibleModule, new: dict[str, Any], result: dict[str, Any], old: Any) -> None:
    """Prove the chat, record it as ``new`` in place of ``old``, and end the module with ``result``."""
    params, reason = module.params, result["due_reason"]
    host, port = parse_url(params["url"])
    demands = smoke.Demands(params["device"], params["expected"], params["min_tokens_per_second"])
    for number in STOPPING:
        signal.signal(number, stop_on_signal)
    new["began"] = {"boot": boot(), "seconds": time.monotonic()}
    new["time"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    try:
        check_inputs(params)
        check_port(host, port)  # before the long load, not only after it
        with tempfile.TemporaryDirectory(dir=module.tmpdir, prefix="smoke") as folder:
            outcome = prove(params, demands, Path(folder))
    except Failure as failure:
        told = [str(failure)]
        if once_more := smoke.again(old, new["key"], told, params["launcher"]):
            told.append(str(once_more))
        record = {**new, "verdict": "failed", "reasons": told, "report": {}, "yours": bool(once_more)}
        write_json(params["proof"], record)
        module.fail_json(**result, msg="\n".join(told), verdict="failed", suspect_files=False)
    verdicts = outcome["verdicts"]
    failed = [str(verdict) for verdict in verdicts if not verdict.ok]
    new.update(report=outcome["report"], verdicts=smoke.as_dicts(verdicts), verdict="failed" if failed else "ok")
    if failed:
        once_more = None if params["repaired"] else smoke.again(old, new["key"], failed, params["launcher"])
        if once_more:
            failed.append(str(once_more))
        yours = bool(once_more) or any(verdict.yours for verdict in verdicts if not verdict.ok)
        write_json(params["proof"], {**new, "reasons": failed, "yours": yours})
        module.fail_json(
            **result,
            msg="\n".join(["the chat is not proven.", *failed, "End of the log:", smoke.last_lines(outcome["log"])]),
            verdict="failed",
            suspect_files=any(verdict.files for verdict in verdicts if not verdict.ok),
            verdicts=new["verdicts"],
            report=new["report"],
            time=new["time"],
            log=outcome["log"],
        )
    write_json(params["proof"], new)
    module.exit_json(
        **result,
        msg=f"proven ({reason}): {smoke.summary(new['report'])}",
        verdict="ok",
        verdicts=new["verdicts"],
        report=new["report"],
        time=new["time"],
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "launcher": {"type": "path", "required": True},
            "python": {"type": "path", "required": True},
            "model_path": {"type": "path", "required": True},
            "app": {"type": "str", "choices": ["web_demo", "openai_api", "streamlit"], "default": "web_demo"},
            "device": {"type": "str", "required": True, "choices": ["cuda", "cpu"]},
            "url": {"type": "str", "default": "http://127.0.0.1:7860"},
            "question": {"type": "str", "default": "你好"},
            "expected": {"type": "str", "default": ""},
            "max_new_tokens": {"type": "int", "default": 48},
            "min_tokens_per_second": {"type": "float", "default": 0.0},
            "load_timeout": {"type": "int", "default": 600},
            "answer_timeout": {"type": "int", "default": 300},
            "proof": {"type": "path", "required": True},
            "subject": {"type": "dict", "default": {}},
            "repaired": {"type": "list", "elements": "str", "default": []},
            "repaired_at": {"type": "float", "default": 0},
            "mode": {"type": "str", "choices": ["auto", "always"], "default": "auto"},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    progress.begin(module.params["lock"])
    try:
        run(module)
    except Failure as failure:
        module.fail_json(msg=str(failure))
    except OSError as error:
        module.fail_json(msg=str(unusable(error, module.params["proof"])))


if __name__ == "__main__":
    guarded(main)
