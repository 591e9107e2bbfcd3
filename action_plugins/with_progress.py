"""Action plugin: run a module as ever, and pass on meanwhile what it tells of its progress.

A thread reads the module's progress file through a connection of its own (with SSH: over the same ControlPersist
master) and sends it to callback_plugins/progress.py in the main process. If nobody listens there, nothing is asked;
if anything of this fails, nothing is shown, and the module's result is what it is.

Alternatives that were left: async with polling (two round trips a task more, and a job that outlives a killed run);
the module's standard error (ssh hands it over at the end); Ansible's own result queue (internal).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shlex
import socket
import threading
import time
from typing import Any

from ansible.plugins.action.normal import ActionModule as Normal
from ansible.plugins.loader import connection_loader

LISTENER = "CHATGLM_PROGRESS_SOCKET"
WANTED = "CHATGLM_PROGRESS"  # module_utils/chatglm/progress.py
FIRST, PAUSE = 1.5, 1.0
"""Seconds to the first look, so that a short task costs nothing, and between two."""
LONGEST = 4096


def progress_file(lock: Any) -> str:
    """Return the file beside ``lock`` as a word for the host's shell, which knows its user's home; or an empty text."""
    found = re.fullmatch(r"(~/|/)(?:(.*)/)?[^/]+", lock) if isinstance(lock, str) else None
    if not found or "$" in lock:
        return ""
    folder = f"{found[2]}/" if found[2] else ""
    return found[1] + shlex.quote(f"{folder}progress.json")


class Watch:
    """Reads the file, again and again, and sends what is new."""

    def __init__(self, connection: Any, play_context: Any, command: str, run: str, about: dict[str, Any]) -> None:
        """Keep what is needed; nothing is opened yet."""
        self.first, self.play_context, self.command, self.run = connection, play_context, command, run
        self.about = about
        self.over = threading.Event()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.thread = threading.Thread(target=self.watch, name="progress", daemon=True)

    def send(self, state: dict[str, Any] | None) -> None:
        """Send a state, None at the end; one that finds no room is lost, another follows."""
        with contextlib.suppress(OSError):
            self.socket.sendto(json.dumps({**self.about, "state": state}).encode(), os.environ[LISTENER])

    def connect(self) -> Any:
        """Return a connection like the task's own, but without its become: two threads cannot share one."""
        connection = connection_loader.get(self.first.transport, self.play_context, None)
        connection.set_options(direct=self.first.get_options())
        return connection

    def watch(self) -> None:
        """Read until the task is over."""
        with contextlib.suppress(Exception):
            pause, connection = FIRST, None
            while not self.over.wait(pause):
                begin = time.monotonic()
                connection = connection or self.connect()
                status, output, _ = connection.exec_command(self.command, sudoable=False)
                # On a slow line a look takes its time; it shall not be busy with that.
                pause = max(PAUSE, 5 * (time.monotonic() - begin))
                with contextlib.suppress(ValueError):
                    state = json.loads(output) if status == 0 else None
                    if isinstance(state, dict) and state.get("run") == self.run and not self.over.is_set():
                        self.send(state)

    def end(self) -> None:
        """Let the thread go; one that hangs in a dead connection is left behind and ends with this process."""
        self.over.set()
        self.thread.join(0.2)
        self.send(None)
        self.socket.close()


class ActionModule(Normal):  # type: ignore[misc]
    """Any module that tells its progress: its own plugin is one line."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, watched."""
        watch = None
        with contextlib.suppress(Exception):
            watch = self.prepare(task_vars or {})
        try:
            return super().run(tmp, task_vars)
        finally:
            if watch is not None:
                with contextlib.suppress(Exception):
                    watch.end()

    def prepare(self, task_vars: dict[str, Any]) -> Watch | None:
        """Start to watch if somebody wants to see it."""
        path = progress_file(self._task.args.get("lock"))
        if not os.environ.get(LISTENER) or self._task.check_mode or self._task.async_val or not path:
            return None
        run = secrets.token_hex(8)
        self._task.environment = [*(self._task.environment or []), {WANTED: run}]
        about = {"host": task_vars.get("inventory_hostname", ""), "task": self._task.get_name(), "run": run}
        about["language"] = str(task_vars.get("chatglm_language", ""))
        command = f"test -f {path} && head -c {LONGEST} {path}"
        watch = Watch(self._connection, self._play_context, command, run, about)
        watch.thread.start()
        return watch
