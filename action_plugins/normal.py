"""Action plugin: run a module as ever; one of this project's with its progress, and its warnings in Chinese.

``normal`` is the action of every module that has none of its own name, and a folder named in ansible.cfg stands in
front of ansible-core's: so one file serves all modules of library/, and any other module passes through it untouched.
Outside a collection ansible-core has no other way (the routing of meta/runtime.yml is for collections alone).

A thread reads the module's progress file through a connection of its own (with SSH: over the same ControlPersist
master) and sends it to callback_plugins/progress.py in the main process. If nobody listens there, nothing is asked;
if anything of this fails, nothing is shown, and the module's result is what it is.

Alternatives that were left: async with polling (two round trips a task more, and a job that outlives a killed run);
the module's standard error (ssh hands it over at the end); Ansible's own result queue (internal).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import secrets
import shlex
import socket
import threading
import time
from pathlib import Path
from typing import Any

import ansible.module_utils
import ansible.plugins.action
from ansible.plugins.loader import become_loader, connection_loader

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

# By its path: the name ansible.plugins.action.normal is this file's while it stands in front.
_path = Path(ansible.plugins.action.__file__).with_name("normal.py")
_spec = importlib.util.spec_from_file_location("ansible_core_normal", _path)
_core = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(_core)  # type: ignore[union-attr]

LIBRARY = Path(__file__).resolve().parents[1] / "library"

LISTENER = "CHATGLM_PROGRESS_SOCKET"
WANTED = "CHATGLM_PROGRESS"  # module_utils/chatglm/core/progress.py
WARNINGS = "CHATGLM_WARNINGS"  # module_utils/chatglm/core/guard.py
FIRST = 1.5
"""Seconds to the first look, so that a short task costs nothing."""
LONGEST = 4096


def progress_file(lock: Any) -> str:
    """Return the file beside ``lock`` as a word for the host's shell, which knows its user's home; or an empty text."""
    found = re.fullmatch(r"(~/|/)(?:(.*)/)?[^/]+", lock) if isinstance(lock, str) else None
    if not found or "$" in lock:
        return ""
    folder = f"{found[2]}/" if found[2] else ""
    return found[1] + shlex.quote(f"{folder}progress.json")


class Watch:
    """Looks again and again, from a thread, and sends what it sees.

    Args:
        connection: the task's own; its like is opened, for two threads cannot share one.
        play_context: the task's.
        about: what every message says: host, language.

    """

    pause = 1.0
    """Seconds between two looks."""

    def __init__(self, connection: Any, play_context: Any, about: dict[str, Any]) -> None:
        """Keep what is needed; nothing is opened yet."""
        self.first, self.play_context, self.about = connection, play_context, about
        self.over = threading.Event()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.thread = threading.Thread(target=self.watch, name="progress", daemon=True)

    def connect(self, become: bool = False) -> Any:
        """Return a connection like the task's own, with its become only if that is asked for."""
        connection = connection_loader.get(self.first.transport, self.play_context, None)
        connection.set_options(direct=self.first.get_options())
        if become and self.first.become:
            plugin = become_loader.get(self.first.become.name)
            plugin.set_options(direct=self.first.become.get_options())
            connection.set_become_plugin(plugin)
        return connection

    @staticmethod
    def ask(connection: Any, command: str) -> str:
        """Return what a command on the host prints, or an empty text."""
        if connection.become:
            command = connection.become.build_become_command(command, connection._shell)
        status, output, _ = connection.exec_command(command, sudoable=bool(connection.become))
        return str(output, "utf-8", "replace") if status == 0 else ""

    def look(self) -> dict[str, Any] | None:
        """Return what the task is at, None if there is nothing to tell."""
        raise NotImplementedError

    def send(self, state: dict[str, Any] | None) -> None:
        """Send a state, None at the end; one that finds no room is lost, another follows."""
        with contextlib.suppress(OSError):
            self.socket.sendto(json.dumps({**self.about, "state": state}).encode(), os.environ[LISTENER])

    def watch(self) -> None:
        """Look until the task is over."""
        with contextlib.suppress(Exception):
            pause = FIRST
            while not self.over.wait(pause):
                begin = time.monotonic()
                state = self.look()
                # On a slow line a look takes its time; it shall not be busy with that.
                pause = max(self.pause, 2 * (time.monotonic() - begin))
                if state is not None and not self.over.is_set():
                    self.send(state)

    def end(self) -> None:
        """Let the thread go; one that hangs in a dead connection is left behind and ends with this process."""
        self.over.set()
        self.thread.join(0.2)
        self.send(None)
        self.socket.close()


class FileWatch(Watch):
    """Reads what a module of this project tells."""

    def __init__(self, path: str, run: str, *rest: Any) -> None:
        """Keep the file, a word for the host's shell, and what a state of this run says."""
        super().__init__(*rest)
        self.command, self.run = f"test -f {path} && head -c {LONGEST} {path}", run
        self.connection: Any = None

    def look(self) -> dict[str, Any] | None:
        """Return the file's content if this run wrote it."""
        self.connection = self.connection or self.connect()
        with contextlib.suppress(ValueError):
            state = json.loads(self.ask(self.connection, self.command))
            if isinstance(state, dict) and state.get("run") == self.run:
                return state
        return None


class ActionModule(_core.ActionModule):  # type: ignore[name-defined,misc]
    """Any module; what is beyond ansible-core's is for those of this project."""

    watching = Watch  # for apt_install.py, which cannot import this file by a name

    def own(self) -> bool:
        """Tell whether the task's module is of this project."""
        return (LIBRARY / f"{self._task.action}.py").is_file()

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, watched if somebody wants to see it."""
        if not self.own():
            return dict(super().run(tmp, task_vars))
        from ansible.module_utils.chatglm.language import messages  # noqa: PLC0415 - this file is read for every task

        watch, environment = None, self._task.environment
        with contextlib.suppress(Exception):
            if os.environ.get(LISTENER) and not self._task.check_mode and not self._task.async_val:
                told = task_vars or {}
                about = {name: str(told.get(name, "")) for name in ("inventory_hostname", "chatglm_language")}
                watch = self.prepare(about)
                if watch is not None:
                    watch.thread.start()
        with contextlib.suppress(Exception):
            # The module itself translates: newer ansible-cores show its warnings whatever is returned here.
            if messages.spoken(str((task_vars or {}).get("chatglm_language", "auto")), os.environ) == "zh":
                self._task.environment = [*(self._task.environment or []), {WARNINGS: "zh"}]
        try:
            result: dict[str, Any] = super().run(tmp, task_vars)
            if "doctor_site" in (task_vars or {}) and "changed" in result:
                # The doctor changes nothing, and its recap is not to count what a run would.
                result["would_change"], result["changed"] = result["changed"], False
            return result
        finally:
            self._task.environment = environment
            if watch is not None:
                with contextlib.suppress(Exception):
                    watch.end()

    def prepare(self, about: dict[str, Any]) -> Watch | None:
        """Return what watches the task, None if there is nothing to see."""
        path = progress_file(self._task.args.get("lock"))
        if not path:
            return None
        run = secrets.token_hex(8)
        self._task.environment = [*(self._task.environment or []), {WANTED: run}]
        return FileWatch(path, run, self._connection, self._play_context, about)
