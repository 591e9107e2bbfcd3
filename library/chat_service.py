#!/usr/bin/python
"""Ansible module: the chat as a service, and the command chatglm; the core is module_utils/chatglm/service/."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chat_service
short_description: Keep the chat running in the background, and install the command chatglm
description:
  - Where systemd is booted, the service is a hardened system unit that runs as the user; where it is not (WSL without
    systemd), a supervisor in a session of its own. Both start the page again after a crash, but not after a death by
    lack of memory.
  - Only O(state=unit) and, of a unit, O(state=stopped) need root; the rest is done as the user who will chat.
  - The service is started again when what it serves has changed since its start (files of launcher, source, weights'
    records, virtualenv's record, settings). Only processes of the service itself are ever stopped.
version_added: "1.0.0"
options:
  home:
    description: Folder of the installation.
    type: path
    required: true
  state:
    description:
      - V(present) writes the command with its modules, link and completion, looks at the service, and returns in
        RV(todo) what is to be done about it; without systemd it does that itself.
      - V(unit) does O(todo) as root.
      - V(answering) waits until the page answers a question.
      - V(stopped) stops the service, so that a proof can have its port and memory.
    type: str
    choices: [present, unit, answering, stopped]
    default: present
  service:
    description: V(auto) for what fits the host; V(none) for no service. A service that runs is then removed.
    type: str
    choices: [auto, none]
    default: auto
  app:
    description: What is started.
    type: str
    choices: [web_demo, openai_api, streamlit]
    default: web_demo
  device:
    description: Where the model runs; V(cuda) makes the service wait for the GPU.
    type: str
    choices: [cuda, cpu]
    default: cpu
  listen:
    description: Address that the page binds.
    type: str
    default: 127.0.0.1
  port:
    description: TCP port that the page binds.
    type: int
    default: 7860
  url:
    description: Where the page is asked.
    type: str
    default: http://127.0.0.1:7860
  question:
    description: With O(state=answering), what is asked.
    type: str
    default: 你好
  timeout:
    description: With O(state=answering), seconds to wait for the page, and for the answer.
    type: int
    default: 900
  language:
    description: Language of the command; V(auto) goes by the locale of the terminal.
    type: str
    choices: [auto, en, zh]
    default: auto
  control:
    description: Where the project is, for C(chatglm doctor). Keys host, path, inventory, settings.
    type: dict
    default: {}
  unit:
    description: With O(state=unit), the unit's text as O(state=present) returned it.
    type: str
    default: ""
  todo:
    description: With O(state=unit), what O(state=present) returned.
    type: list
    elements: str
    default: []
  unit_path:
    description: The unit file.
    type: path
    default: /etc/systemd/system/chatglm.service
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
    support: full
    description: Reports what would change, and changes and starts nothing.
  diff_mode:
    support: full
    description: Shows the unit and the files before and after.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Write the command and look at the service
  chat_service:
    home: ~/chatglm
    device: cuda
  register: found

- name: Write the unit and start the chat
  chat_service:
    home: ~/chatglm
    state: unit
    unit: "{{ found.unit }}"
    todo: "{{ found.todo }}"
  become: true
  when: found.todo | length > 0 and not ansible_check_mode

- name: Wait for an answer
  chat_service:
    home: ~/chatglm
    state: answering
"""

RETURN = r"""
home:
  description: The folder, with no C(~) in it.
  returned: with O(state=present)
  type: str
kind:
  description: systemd, background, or none.
  returned: with O(state=present)
  type: str
todo:
  description:
    - What is to be done about the service; remove, write, enable, start, restart. Not empty means that
      O(state=unit) is to follow as root, but without systemd, where it has been done.
  returned: with O(state=present)
  type: list
root:
  description: Whether RV(todo) needs root.
  returned: with O(state=present)
  type: bool
unit:
  description: Text that the unit file has to have; empty without systemd.
  returned: with O(state=present)
  type: str
started:
  description: Whether the service was, or in check mode would be, started.
  returned: with O(state=present)
  type: bool
runs:
  description: Whether the service runs, or will with RV(todo) done.
  returned: with O(state=present)
  type: bool
found:
  description:
    - The service as it was found; kind, active, pid, current (serves what is installed now), enabled (but for a unit
      that does not start with the distribution), condition (running, activating, crashed, no_memory, failed, gone,
      stopped), why it crashed or failed, unit (whether there is one of this installation).
  returned: with O(state=present)
  type: dict
command:
  description: >-
    Files of the command, and its link and completion, that are to be written, but for settings that differ only in who
    talks to the command, and in which language.
  returned: with O(state=present)
  type: list
outside:
  description: Files elsewhere than below O(home) that are this module's, for M(site_seal).
  returned: with O(state=present)
  type: list
log:
  description: The command that shows the log.
  returned: with O(state=present)
  type: str
answer:
  description: What the page answered.
  returned: with O(state=answering)
  type: str
"""

import json
import os
import shlex
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import (
    failure,
    files,
    host,
    lock,
    network_environment,
    network_remedy,
    processes,
    seal,
    version,
)
from ansible.module_utils.chatglm.core.addresses import loopback
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import read_json, unusable, user_name, write_atomic
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.core.processes import source_of
from ansible.module_utils.chatglm.language import messages, translations
from ansible.module_utils.chatglm.preflight import libcuda_worker
from ansible.module_utils.chatglm.service import command, service, unit
from ansible.module_utils.chatglm.smoke_test import page, streamlit_page, streamlit_worker

PARTS: tuple[ModuleType, ...] = (command, failure, files, host, libcuda_worker, lock, messages, network_environment)
PARTS += (network_remedy, page, processes, seal, service, streamlit_page, streamlit_worker, translations, unit, version)
PROGRAM = """\
#!{python} -IB
# The command chatglm: chatglm help. Written by Ansible: changes here are overwritten by the next run.
import os
import sys

home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.pycache_prefix = "{no_bytecode}"  # what stands in a __pycache__ beside these modules is not run
sys.path.insert(0, os.path.join(home, "lib"))
from chatglm.service.command import main

sys.exit(main(home, sys.argv[1:]))
"""
COMPLETION = """\
# bash completion of chatglm. Written by Ansible.
_chatglm() {{
    local words="{words}"
    case "${{COMP_WORDS[1]}}" in
        start | restart) [ "$COMP_CWORD" -eq 1 ] || words="--no-wait" ;;
        status) [ "$COMP_CWORD" -eq 1 ] || words="--ask" ;;
        logs) [ "$COMP_CWORD" -eq 1 ] || words="--follow" ;;
        *) [ "$COMP_CWORD" -eq 1 ] || words="" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -F _chatglm chatglm
"""


def system_python() -> str:
    """Return the interpreter for the command: the system's own, which outlives virtualenvs and version managers."""
    return "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable


def wanted_files(params: dict[str, Any], kind: str) -> dict[str, tuple[bytes, int]]:
    """Return what belongs below home and in ~/.local/share: content and mode by path."""
    home = params["home"]
    settings = {
        "kind": kind,
        "app": params["app"],
        "url": params["url"],
        "device": params["device"],
        "language": params["language"],
        "control": params["control"],
    }
    data = Path(home, "lib", "chatglm")
    wanted = {
        os.path.join(home, "bin", "chatglm"): (
            PROGRAM.format(python=system_python(), no_bytecode=processes.NO_BYTECODE).encode(),
            0o755,
        ),
        service.settings_path(home): (files.as_json(settings), 0o644),
        completion_path(): (COMPLETION.format(words=" ".join(command.COMMANDS)).encode(), 0o644),
    }
    for part in PARTS:
        stage, name = part.__name__.split(".")[-2:]
        wanted[str(data / stage / f"{name}.py")] = (source_of(part).encode(), 0o644)
        for folder in (data, data / stage):
            wanted[str(folder / "__init__.py")] = (b"", 0o644)
    return wanted


def completion_path() -> str:
    """Return where bash looks for the command's completion."""
    return os.path.expanduser("~/.local/share/bash-completion/completions/chatglm")


def link_path() -> str:
    """Return where the command is linked: on the PATH of Debian's and Ubuntu's login shells, when it is there."""
    return os.path.expanduser("~/.local/bin/chatglm")


def read(path: str) -> bytes | None:
    """Return the content of a file, None for none."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def plan_files(wanted: dict[str, tuple[bytes, int]]) -> dict[str, tuple[bytes, int]]:
    """Return those of ``wanted`` that are not as they should be. A foreign completion stays."""
    stale = {}
    for path, (content, mode) in wanted.items():
        now = read(path)
        if path == completion_path() and now is not None and b"chatglm. Written by Ansible" not in now:
            continue
        if now != content or (mode & 0o100 and not os.access(path, os.X_OK)):
            stale[path] = (content, mode)
    return stale


def talk_only(path: str, content: bytes) -> bool:
    """Tell whether a file of settings differs from ``content`` in nothing that the page is made from."""
    if os.path.basename(path) != os.path.basename(service.settings_path("")):
        return False
    before, after = read_json(path), json.loads(content)
    talk = {"language": "", "control": {}}
    return isinstance(before, dict) and {**before, **talk} == {**after, **talk}


def plan_link(target: str) -> tuple[bool, str]:
    """Tell whether the link to the command is to be made, and what to tell of it."""
    path = link_path()
    # Debian's and Ubuntu's login shells take that folder only where it is there when they start.
    hidden = os.path.dirname(path) not in os.environ.get("PATH", "").split(":") and not os.path.isdir(
        os.path.dirname(path)
    )
    later = (
        f"{target} is this installation's command; in terminals that are open now its short name, chatglm, is not found"
    )
    if os.path.islink(path) and not os.path.exists(path) and os.readlink(path) != target:
        return True, ""  # it leads nowhere
    if not os.path.lexists(path):
        return True, later if hidden else ""
    if os.path.realpath(path) == os.path.realpath(target):
        return False, ""
    return False, f"{path} is not this installation's and stays; the command is {target}"


def readable(home: str) -> tuple[str, ...]:
    """Return the folder of the virtualenv's interpreter where the sandbox would hide it."""
    text = read(os.path.join(home, "venv", "pyvenv.cfg")) or b""
    python = os.path.realpath(host.venv_python(text.decode(errors="replace")) or "/usr/bin/python3")
    prefix = os.path.dirname(os.path.dirname(python))
    return (prefix,) if prefix.startswith(("/home/", "/root/")) else ()


def unit_settings(params: dict[str, Any]) -> unit.Settings:
    """Return what the unit is made from."""
    home = params["home"]
    me = user_name(os.geteuid())
    return unit.Settings(home, me, system_python(), params["device"], loopback(params["listen"]), readable(home))


def plan_service(
    kind: str, state: dict[str, Any], text: str, *, enabled: bool, stale: bool, by_hand: bool = False
) -> list[str]:
    """Return what is to be done about the service.

    Args:
        kind: the wanted one: systemd, background or none.
        state: what service.observe saw.
        text: the wanted unit.
        enabled: whether the unit starts with the distribution.
        stale: whether a file of the service itself is about to change.
        by_hand: whether none was wanted before either, so that what runs was started by ``chatglm start``.

    """
    if kind == "none" and state["unit"] and not state["foreign"]:
        return ["remove"]
    if kind == "none":
        return ["stop"] if state["active"] and not by_hand else []
    todo = []
    if kind == "systemd":
        todo += [] if state["unit"] == text else ["write"]
        todo += [] if enabled else ["enable"]
    if state["active"] and state["kind"] != kind:
        return [*todo, "stop", "start"]  # systemd was switched on, or off, since
    if not state["active"]:
        return [*todo, "start"]
    return [*todo, "restart"] if stale or "write" in todo or not state["current"] else todo


@dataclass
class Seen:
    """What was observed, and what is planned from it.

    Attributes:
        result: the module's result.
        stale: content and mode of the files to write, by path.
        new_link: whether the link to the command is to be made.
        told: what the user has to know.

    """

    result: dict[str, Any]
    stale: dict[str, tuple[bytes, int]]
    new_link: bool
    told: list[str]

    @property
    def needed(self) -> bool:
        """Whether there is something to do, here or as root."""
        return bool(self.stale or self.new_link or self.result["todo"])


def present(module: AnsibleModule) -> dict[str, Any]:
    """Write the command; look at the service, and without systemd start it.

    Raises:
        Failure: a unit of another installation is in the way, or the service cannot be started.
        OSError: a file cannot be written.

    """
    seen = observe(module.params, check=module.check_mode)
    if not module.check_mode and seen.needed:
        with lock.hold(module.params, "setting up the service", module.warn):
            # A rival may have set it up, or started the chat, while this one waited.
            seen = observe(module.params)
            act(module.params, seen)
    for text in seen.told:
        module.warn(text)
    return seen.result


def act(params: dict[str, Any], seen: Seen) -> None:
    """Write the files and, where that needs no root, stop and start the service.

    Raises:
        Failure: the service cannot be stopped or started.
        OSError: a file cannot be written.

    """
    home = params["home"]
    if not seen.needed:
        return
    for path, (content, mode) in seen.stale.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomic(path, content, mode)
    for name in unit.WRITABLE:  # the sandbox shows only what is there
        os.makedirs(os.path.join(home, name), exist_ok=True)
    if seen.new_link:
        link(os.path.join(home, "bin", "chatglm"))
    if not seen.result["root"]:
        run_background(home, seen.result["todo"])


def observe(params: dict[str, Any], check: bool = False) -> Seen:
    """Look at the command's files and at the service, and plan; changes nothing.

    Raises:
        Failure: a unit of another installation is in the way.

    """
    home = params["home"]
    kind = "none" if params["service"] == "none" else "systemd" if service.booted() else "background"
    state = service.observe(home, params["unit_path"])
    if state["foreign"] and kind == "systemd":
        owner = unit.home_of(state["unit"])
        path = params["unit_path"]
        raise Failure(
            f"{path} belongs to the installation in {owner}" if owner else f"{path} belongs to another program",
            "no other unit of that name",
            f"sudo systemctl disable --now {unit.NAME} && sudo rm {shlex.quote(path)}; or install this one without "
            "a service: -e chatglm_service=none",
        )
    text = unit.render(unit_settings(params)) if kind == "systemd" else ""
    stale = plan_files(wanted_files(params, kind))
    new_link, note = plan_link(os.path.join(home, "bin", "chatglm"))
    enabled = state["show"].get("UnitFileState") == "enabled"
    changed = [path for path, (content, _) in stale.items() if not talk_only(path, content)]
    own = [path for path in changed if path != completion_path()]
    before = read_json(service.settings_path(home))
    by_hand = isinstance(before, dict) and before.get("kind") == "none"
    todo = plan_service(kind, state, text, enabled=enabled, stale=bool(own), by_hand=by_hand)
    root = kind == "systemd" or "remove" in todo
    host_name, port = page.Page(params["url"], 1).host, params["port"]
    told: list[str] = []
    # What is to be stopped first holds the port itself.
    if "start" in todo and "stop" not in todo and not processes.port_free(host_name, port):
        todo.remove("start")
        told.append(
            f"port {port} is held by {processes.port_owner(port)}: the service is not started beside it. Stop that, "
            f"then: {service.command_of(home)} start"
        )
    if note:
        told.append(note)
    result: dict[str, Any] = {
        "home": home,  # with no ~ in it, which is another's as root
        "changed": bool(stale or new_link or (todo and (check or not root))),
        "kind": kind,
        "todo": todo,
        "root": root,
        "unit": text,
        "started": bool({"start", "restart"} & set(todo)),
        "runs": kind != "none" and ("start" in todo or (state["active"] and "stop" not in todo)),
        "found": {
            **{name: state[name] for name in ("kind", "active", "pid", "current", "enabled")},
            **dict(zip(("condition", "why"), service.condition(home, state), strict=True)),
            "unit": bool(state["unit"]) and not state["foreign"],
        },
        "command": [*changed, *([link_path()] if new_link else [])],
        "outside": [link_path(), completion_path(), *([params["unit_path"]] if state["unit"] or root else [])],
        "log": "journalctl --unit chatglm" if kind == "systemd" else service.place(home, "chatglm.log"),
        "diff": difference(home, stale),
    }
    if new_link:
        header = {"before_header": link_path(), "after_header": link_path()}
        before = f"-> {os.readlink(link_path())}\n" if os.path.islink(link_path()) else ""
        result["diff"].append({**header, "before": before, "after": f"-> {os.path.join(home, 'bin', 'chatglm')}\n"})
    if "write" in todo or "remove" in todo:
        header = {"before_header": params["unit_path"], "after_header": params["unit_path"]}
        result["diff"].append({**header, "before": state["unit"], "after": text})
    return Seen(result, stale, new_link, told)


def difference(home: str, stale: dict[str, tuple[bytes, int]]) -> list[dict[str, str]]:
    """Return the diff: the files of ``stale``, but of the command's modules (3000 lines) only the digests."""

    def text(content: bytes | None) -> str:
        return "" if content is None else content.decode("utf-8", "replace")

    library = os.path.join(home, "lib", "chatglm")
    modules: dict[str, list[str]] = {"before": [], "after": []}
    parts = []
    for path, (content, _) in stale.items():
        now = read(path)
        if not path.startswith(library + os.sep):
            parts.append({"before_header": path, "after_header": path, "before": text(now), "after": text(content)})
            continue
        name = os.path.relpath(path, library)
        modules["before"] += [] if now is None else [f"{name} sha256 {files.sha256_bytes(now)[:12]}\n"]
        modules["after"].append(f"{name} sha256 {files.sha256_bytes(content)[:12]}\n")
    if modules["after"]:
        texts = {side: "".join(lines) for side, lines in modules.items()}
        parts.append({"before_header": library, "after_header": library, **texts})
    return parts


def link(target: str) -> None:
    """Make the link to the command.

    Raises:
        OSError: it cannot be made.

    """
    path = link_path()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    part = f"{path}.part"
    if os.path.lexists(part):
        os.unlink(part)
    os.symlink(target, part)
    os.replace(part, path)


def run_background(home: str, todo: list[str]) -> None:
    """Stop and start the supervisor as planned.

    Raises:
        Failure: it does not end, or does not start.

    """
    if {"stop", "restart"} & set(todo) and not service.stop_background(home):
        raise Failure(
            "the supervisor does not end",
            "its end",
            f"{service.command_of(home)} stop; then look at {home}/{service.FOLDER}",
        )
    if {"start", "restart"} & set(todo):
        service.start_background(home, system_python())
        if not service.supervisor(home):
            log = service.place(home, "chatglm.log")
            raise Failure("the supervisor has ended at once", "a supervisor that runs", f"look at {log}")


def act_unit(module: AnsibleModule) -> dict[str, Any]:
    """Write, enable, start or remove the unit, as root.

    Raises:
        Failure: systemd refused.
        OSError: the file cannot be written.

    """
    params = module.params
    if module.check_mode or not params["todo"]:
        return {"changed": bool(params["todo"])}
    # What a rival proves needs the port; and it may have done all this meanwhile.
    with lock.hold(params, "starting the service", module.warn):
        state = service.observe(params["home"], params["unit_path"])
        todo = still_to_do(params, state)
        if {"stop", "remove"} & set(todo):
            service.stop_background(params["home"])
        if "remove" in todo:
            service.systemctl("stop", unit.NAME)
            systemd("disable", unit.NAME)
            os.unlink(params["unit_path"])
            service.systemctl("daemon-reload")
        else:
            change_unit(params, todo)
    return {"changed": bool(todo)}


def still_to_do(params: dict[str, Any], state: dict[str, Any]) -> list[str]:
    """Return what of the plan that was made without the lock is to be done in the state that was seen under it.

    Raises:
        Failure: a unit of another installation has come.

    """
    if state["foreign"]:
        raise Failure(
            f"{params['unit_path']} belongs to another program",
            "no other unit of that name",
            "run the play again: it looks at that unit, and says what to do",
        )
    kind = "none" if "remove" in params["todo"] else "systemd"
    enabled = state["show"].get("UnitFileState") == "enabled"
    now = plan_service(kind, state, params["unit"], enabled=enabled, stale=False)
    starts = {"start", "restart"}
    return [word for word in now if word in params["todo"] or (word in starts and starts & set(params["todo"]))]


def change_unit(params: dict[str, Any], todo: list[str]) -> None:
    """Write, enable and start the unit as planned.

    Raises:
        Failure: systemd refused.
        OSError: the file cannot be written.

    """
    if "write" in todo:
        write_atomic(params["unit_path"], params["unit"].encode(), 0o644)
        os.chmod(params["unit_path"], 0o644)
        systemd("daemon-reload")
    if "enable" in todo:
        systemd("enable", unit.NAME)
    if {"start", "restart"} & set(todo):
        service.systemctl("reset-failed", unit.NAME)  # earlier crashes must not count against this start
        systemd("restart", unit.NAME)


def systemd(*words: str) -> None:
    """Run systemctl.

    Raises:
        Failure: it failed.

    """
    status, output = service.systemctl(*words)
    if status and service.systemctl("show", "--property", "ExecMainStatus", "--value", unit.NAME)[1].strip() == "226":
        raise Failure(
            "systemd cannot make the folders and devices that the chat may see (226/NAMESPACE)",
            "a host that may make mount namespaces; a container needs the right CAP_SYS_ADMIN for that",
            "give it that right, or do without a service: -e chatglm_service=none",
        )
    if status:
        journal = shutil.which("journalctl") or "journalctl"
        raise Failure(
            f"systemctl {' '.join(words)} ended with status {status}: {output.strip()[-600:]}",
            "status 0",
            f"look at {journal} --unit {unit.NAME}",
        )


def stopped(module: AnsibleModule) -> dict[str, Any]:
    """Stop the service.

    Raises:
        Failure: it does not end.

    """
    params = module.params
    home = params["home"]
    active = bool(service.observe(home, params["unit_path"])["active"])
    if active and not module.check_mode:
        with lock.hold(params, "stopping the service", module.warn):
            state = service.observe(home, params["unit_path"])
            active = bool(state["active"])
            if active and state["kind"] == "systemd":
                systemd("stop", unit.NAME)
            elif active:
                run_background(home, ["stop"])
    return {"changed": active}


def answering(module: AnsibleModule) -> dict[str, Any]:
    """Wait until the page answers a question.

    Raises:
        Failure: the service has ended, or no answer came.

    """
    params = module.params
    if module.check_mode:
        return {"changed": False, "answer": ""}
    chat = command.Chat(params["home"])
    client = chat.page(params["timeout"])
    begin = time.monotonic()
    while client.status() != 200:
        state = service.observe(params["home"], params["unit_path"])
        told = f"look at {shlex.join(chat.log_command(state))}"
        if not state["active"]:
            raise Failure(f"the service has ended: {command.describe(chat, state)}", "a chat that runs", told)
        if time.monotonic() - begin > params["timeout"]:
            raise Failure(f"no page at {chat.url} within {params['timeout']} s", "a page", told)
        time.sleep(0.2)
    owner = processes.listener(client.port)
    if owner and not service.belongs(owner[0], service.observe(params["home"], params["unit_path"])):
        told = f"port {client.port} is held by {processes.port_owner(client.port)}"
        raise Failure(told, "the page of the service", "stop that process, then run the play again")
    answer = command.ask(chat, client, params["question"])
    if not answer:
        raise Failure("an empty answer: the page is there, but its chat is dead", "a text", "run the play again")
    return {"changed": False, "answer": answer, "seconds": round(time.monotonic() - begin, 1)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "unit", "answering", "stopped"], "default": "present"},
            "service": {"type": "str", "choices": ["auto", "none"], "default": "auto"},
            "app": {"type": "str", "choices": ["web_demo", "openai_api", "streamlit"], "default": "web_demo"},
            "device": {"type": "str", "choices": ["cuda", "cpu"], "default": "cpu"},
            "listen": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 7860},
            "url": {"type": "str", "default": "http://127.0.0.1:7860"},
            "question": {"type": "str", "default": "你好"},
            "timeout": {"type": "int", "default": 900},
            "language": {"type": "str", "choices": ["auto", "en", "zh"], "default": "auto"},
            "control": {"type": "dict", "default": {}},
            "unit": {"type": "str", "default": ""},
            "todo": {"type": "list", "elements": "str", "default": []},
            "unit_path": {"type": "path", "default": unit.PATH},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    actions = {"present": present, "unit": act_unit, "answering": answering, "stopped": stopped}
    try:
        result = actions[module.params["state"]](module)
    except Failure as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=str(unusable(error, module.params["home"])))
    module.exit_json(**result)


if __name__ == "__main__":
    guarded(main)
