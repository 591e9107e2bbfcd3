#!/usr/bin/python
"""Ansible module: patch one of upstream's demo scripts, and write the script that starts it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patch_web_demo
short_description: Make a ChatGLM2 demo script use the local model, the chosen device and the pinned packages
description:
  - Finds the places in upstream's V(web_demo.py), V(cli_demo.py), V(api.py), V(openai_api.py) or V(web_demo2.py) by
    parsing the script, and replaces just those bytes. Comments, indentation, line ends, encoding and byte order mark
    stay.
  - Settles the model's path, the device of the load (never C(device='cuda') inside C(from_pretrained), which needs more
    GPU memory than a 6 GB card has), the address and port of gradio's C(launch) or C(uvicorn.run), what gradio 6 and
    pydantic 2 changed. Streamlit takes its address on the command line, so V(web_demo2.py) gets path and device only.
  - V(openai_api.py) also keeps to the limits of each request, answers one after the other in a thread so that the rest
    of the API answers meanwhile, ends an answer whose client has left, says errors as OpenAI's API does, asks for
    O(password) where there is one (as a bearer token), and lets no web page in (no CORS; where it listens on a
    loopback address, no other host name).
  - gradio is pinned to 6.17.3 rather than to the classic 3.39 of upstream's time, because 3.39 serves the files below
    its working folder to any web page open on the machine, fetches URLs on request of a page, and makes the browser ask
    outside hosts for fonts.
  - Calls of gradio, streamlit and uvicorn are judged by the signatures of the pinned versions. What they do not take is
    renamed where something took its place, dropped with a warning where the versions of upstream's time took it, and
    else refused with its line.
  - A second run changes nothing. Changed settings change the same places from the original text. Edits that the user
    makes after the patch are carried along; where they are in the same place as an edit of this module, the user's stay
    and a warning says so.
  - A script that is in no form that is understood is refused with line and reason, and left as it was.
options:
  path:
    description: The script, absolute.
    type: path
    required: true
  model_path:
    description: The folder of the model on the host, absolute. Needed when O(state=patched).
    type: path
  device:
    description: Where the model runs.
    type: str
    choices: [cuda, cpu]
    default: cuda
  listen:
    description: The address to bind. Anything but a loopback address is open to others.
    type: str
    default: 127.0.0.1
  port:
    description: The TCP port to bind.
    type: int
    default: 7860
  password:
    description:
      - What the page asks for, with the user chatglm, or V(openai_api.py) as its key; empty for nothing.
      - A script that can ask for none is then refused.
    type: str
    default: ""
  password_file:
    description: The file that keeps it, absolute, readable for the user alone; removed when O(password) is empty.
    type: path
    default: ""
  to_be_restored:
    description:
      - Whether a task before has said in check mode that it would restore the script, as source_checkout does
        in its return value restored. Then check mode does not look at what is there now.
    type: bool
    default: false
  record:
    description:
      - The file that keeps the original bytes and the edits, absolute.
      - Without it O(state=original) has nothing to revert.
    type: path
    required: true
  launcher:
    description: A script to write beside the patch, so that an unchanged host costs one module call.
    type: dict
    suboptions:
      path:
        description: Where to write it, absolute; the folder is made.
        type: path
        required: true
      content:
        description: Its text.
        type: str
        required: true
  engine:
    description:
      - The package that multiplies int4 weights, for the launcher to take; written in the same way. What else is in its
        folder, where Python would take it for a part of the package, is put aside, and told.
    type: dict
    suboptions:
      path:
        description: Its folder, absolute; made.
        type: path
        required: true
      files:
        description: Its files, text by name.
        type: dict
        required: true
  state:
    description: V(patched), or V(original) for the bytes from before the first patch.
    type: str
    choices: [patched, original]
    default: patched
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
    description: Reports what would change, and changes nothing. A script that is not there yet counts as a change.
    support: full
  diff_mode:
    description: Shows the script, the launcher and the engine before and after.
    support: full
author: the project
"""

EXAMPLES = r"""
- name: Patch the page
  patch_web_demo:
    path: /home/me/chatglm/source/web_demo.py
    model_path: /home/me/chatglm/models/chatglm2-6b-int4
    device: cuda
    record: /home/me/chatglm/state/web_demo_patch.json

- name: Get upstream's own bytes back
  patch_web_demo:
    path: /home/me/chatglm/source/web_demo.py
    record: /home/me/chatglm/state/web_demo_patch.json
    state: original
"""

RETURN = r"""
changed_at:
  description: When something was changed, in seconds since the host's boot.
  returned: changed
  type: float
edits:
  description: What differs from the original, in the order of the file.
  returned: success
  type: list
  elements: dict
  contains:
    line: {description: Line in the original, type: int, returned: always}
    kind: {description: "model_path, device, listen, gradio, streamlit, pydantic or api", type: str, returned: always}
    before: {description: Text replaced, type: str, returned: always}
    after: {description: Text put there, type: str, returned: always}
sha256:
  description: SHA-256 of the script after the run.
  returned: when the script exists
  type: str
warnings:
  description: User edits kept over the module's own, arguments dropped, an address that is open to others.
  returned: when there are any
  type: list
  elements: str
"""

import contextlib
import os
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock
from ansible.module_utils.chatglm.core.addresses import loopback
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import (
    put_aside,
    read_json,
    sha256_bytes,
    unusable,
    write_atomic,
    write_json,
)
from ansible.module_utils.chatglm.core.guard import guarded, unforeseen
from ansible.module_utils.chatglm.web_demo.edit import Settings
from ansible.module_utils.chatglm.web_demo.patch import revert, settle
from ansible.module_utils.chatglm.web_demo.record import Outcome, Record


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", "a readable file", f"ls -ld {quote(path)}") from None


def _write(path: str, data: bytes, mode: int, like: os.stat_result | None = None) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomic(path, data, mode)
        if like is not None and os.geteuid() == 0:
            os.chown(path, like.st_uid, like.st_gid)  # a run as root must not take the file from its user
    except OSError as error:
        raise unusable(error, path) from None


def _text(data: bytes | None) -> str:
    return "" if data is None else data.decode("utf-8", "replace")


def _check(params: dict[str, Any]) -> None:
    paths = [params["path"], params["record"]]
    paths += [(params[name] or {}).get("path") for name in ("launcher", "engine")]
    if params["state"] == "patched":
        paths.append(params["model_path"])
    for path in paths:
        if path is not None and not os.path.isabs(path):
            raise Failure(f"the path {path!r}", "an absolute path", "give the whole path, from /")
    if params["state"] == "patched" and not 0 < params["port"] < 65536:
        raise Failure(f"port {params['port']}", "a port from 1 to 65535", "set chatglm_port")


def _beside(params: dict[str, Any]) -> list[tuple[str, bytes, int]]:
    """Return what is written beside the patch, path, content and mode: the engine, then the launcher that takes it."""
    engine, launcher = params["engine"] or {"files": {}}, params["launcher"]
    found = [(os.path.join(engine["path"], name), text.encode(), 0o644) for name, text in engine["files"].items()]
    return [*found, (launcher["path"], launcher["content"].encode(), 0o755)] if launcher else found


@dataclass
class Work:
    """What is to be written, and the module's result.

    Attributes:
        path: the script, without links.
        data: its bytes now, None where there is none, or where it would be restored first.
        stored: what the record's file holds.
        record: the same, where it is intact.
        result: what the module returns, with warnings.
        outcome: what the script shall be, None where there is none.
        written: path, bytes and mode of what of launcher and engine is not as it shall be.
        aside: names in the engine's folder that are not the engine's.
        secret: whether the password's file is another than it shall be.

    """

    path: str
    data: bytes | None
    stored: Any
    record: Record | None
    result: dict[str, Any] = field(default_factory=lambda: {"changed": False, "edits": [], "diff": [], "warnings": []})
    outcome: Outcome | None = None
    written: list[tuple[str, bytes, int]] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    secret: bool = False

    @property
    def needed(self) -> bool:
        """Tell whether anything is to be written, be it the record alone."""
        outcome = self.outcome
        of_record = outcome is not None and (
            outcome.record != self.record if outcome.record is not None else self.stored is not None
        )
        return bool(self.result["changed"]) or of_record

    def changes(self, path: str, old: bytes | None, new: bytes, header: str) -> None:
        """Note that a file changes."""
        self.result["changed"] = True
        diff = {"before": _text(old), "after": _text(new), "before_header": path, "after_header": header}
        self.result["diff"].append(diff)


def observe(params: dict[str, Any], check_mode: bool) -> Work:
    """Look at the files and return the work.

    Raises:
        Failure: a script that is refused, or a file that cannot be read.

    """
    path = os.path.realpath(params["path"])
    stored = read_json(params["record"])
    data = None if check_mode and params["to_be_restored"] else _read(path)
    work = Work(path, data, stored, Record.from_json(stored))
    if stored is not None and work.record is None:
        work.result["warnings"].append(f"{params['record']} is no intact record, and is not used")
    if data is not None:
        _plan_script(params, work, data)
    elif check_mode:
        work.result.update(changed=True, msg=f"{path} does not exist yet; it would be fetched and patched")
    else:
        folder, name = os.path.split(path)
        raise Failure(
            f"{path} does not exist",
            f"{name}, which the commit of the source repository has to hold",
            f"git -C {quote(folder)} log -1 -- {quote(name)} tells whether it ever did; choose another "
            "chatglm_source_version, or another chatglm_app",
        )
    if params["state"] == "patched":
        _plan_others(params, work)
    return work


def _plan_script(params: dict[str, Any], work: Work, data: bytes) -> None:
    """Note what becomes of the script.

    Raises:
        Failure: it is refused.

    """
    if params["state"] == "patched":
        password_file = params["password_file"] if params["password"] else ""
        settings = Settings(params["model_path"], params["device"], params["listen"], params["port"], password_file)
        try:
            outcome = settle(data, work.record, settings, work.path)
        except Failure:
            raise
        except Exception as error:  # scripts have more forms than anybody foresees
            raise unforeseen(error, work.path) from error
    else:
        outcome = revert(data, work.record, work.path)
    work.outcome = outcome
    if outcome.data != data:
        work.changes(work.path, data, outcome.data, f"{work.path} ({params['state']})")
    work.result["edits"] = [
        {name: getattr(edit, name) for name in ("line", "kind", "before", "after")} for edit in outcome.edits
    ]
    work.result["sha256"] = sha256_bytes(outcome.data)
    work.result["warnings"] += outcome.warnings


def _plan_others(params: dict[str, Any], work: Work) -> None:
    """Note what becomes of launcher, engine and the password's file, and warn of an open address."""
    for path, text, mode in _beside(params):
        old = _read(path)
        if old != text:
            work.changes(path, old, text, path)
        if old != text or (mode & 0o100 and not os.access(path, os.X_OK)):
            work.result["changed"] = True
            work.written.append((path, text, mode))
    if params["engine"]:
        folder = params["engine"]["path"]
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            work.aside = sorted({*os.listdir(folder)} - {*params["engine"]["files"], "__pycache__"})
        work.result["changed"] |= bool(work.aside)
        warnings = work.result["warnings"]
        for name in work.aside:
            warnings.append(f"{folder}/{name} is not the engine's: it goes to {folder}.kept")
    if params["password_file"] and (_read(params["password_file"]) or b"") != params["password"].encode():
        work.result["changed"] = work.secret = True
    if not params["password"] and not loopback(params["listen"]):
        work.result["warnings"].append(
            f"the demo will listen on {params['listen']} (chatglm_listen): others on that network can use it, "
            "without a password"
        )


def act(params: dict[str, Any], work: Work) -> None:
    """Write what is to be written.

    Raises:
        Failure: a file cannot be written.

    """
    outcome, record_path = work.outcome, params["record"]
    if outcome is not None:
        # The record first: it knows the bytes before and after, so an interruption between the two writes is harmless.
        if outcome.record is not None and outcome.record != work.record:
            try:
                write_json(record_path, outcome.record.to_json())
            except OSError as error:
                raise unusable(error, record_path) from None
        if outcome.data != work.data:
            info = os.stat(work.path)
            _write(work.path, outcome.data, info.st_mode & 0o7777, info)
        if outcome.record is None and work.stored is not None:
            os.unlink(record_path)
    if work.secret and params["password"]:
        _write(params["password_file"], params["password"].encode(), 0o600)
    elif work.secret:
        os.unlink(params["password_file"])
    for name in work.aside:
        try:
            put_aside(params["engine"]["path"], name, f"{params['engine']['path']}.kept")
        except OSError as error:
            raise unusable(error, params["engine"]["path"]) from None
    for path, data, mode in work.written:
        _write(path, data, mode)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Observe, plan and, unless in check mode, write; return the module's result.

    Raises:
        Failure: bad parameters, a script that is refused, or a file that cannot be read or written.

    """
    _check(params)
    work = observe(params, check_mode)
    if check_mode or not work.needed:
        return work.result
    waits: list[str] = []
    with lock.hold(params, f"patching {work.path}", waits.append):
        work = observe(params, check_mode)
        act(params, work)
    work.result["warnings"] += waits
    return work.result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "model_path": {"type": "path"},
            "device": {"type": "str", "choices": ["cuda", "cpu"], "default": "cuda"},
            "listen": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 7860},
            "password": {"type": "str", "default": "", "no_log": True},
            "to_be_restored": {"type": "bool", "default": False},
            "password_file": {"type": "path", "default": "", "no_log": False},
            "record": {"type": "path", "required": True},
            "launcher": {
                "type": "dict",
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str", "required": True},
                },
            },
            "engine": {
                "type": "dict",
                "options": {
                    "path": {"type": "path", "required": True},
                    "files": {"type": "dict", "required": True},
                },
            },
            **lock.OPTIONS,
            "state": {"type": "str", "choices": ["patched", "original"], "default": "patched"},
        },
        required_if=[("state", "patched", ["model_path"])],
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode)
    except Failure as failure:
        module.fail_json(msg=str(failure))
    for text in result.pop("warnings"):
        module.warn(text)
    module.exit_json(**result)


if __name__ == "__main__":
    guarded(main)
