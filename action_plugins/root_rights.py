"""Action plugin: ask sudo on the host whether it lets the user become root; see library/root_rights.py.

Not through Ansible's own dance of prompt and password: its end differs with connection and version (a message of its
own, the words of sudo in an error, a module's text taken for passwords), and it waits for ten seconds for what it does
not know.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from ansible.module_utils.chatglm.core import rights


class ActionModule(ActionBase):  # type: ignore[misc]
    """One command on the host."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and fail with the reason."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"instead": {"type": "str", "default": ""}})
        become = self._connection.become
        if not become or self.get_become_option("become_user") == self._get_remote_user():
            return {**result, "asked": False}
        failure = self.ask(become) if become.name == "sudo" else self.try_out(become.name, task_vars)
        if not failure:
            return {**result, "asked": True}
        if arguments["instead"]:
            failure.remedy += f"; or {arguments['instead']}"
        return {**result, "failed": True, "msg": str(failure)}

    def ask(self, become: Any) -> Any:
        """Return why sudo does not let the user become root, None if it does."""
        password = become.get_option("become_pass")
        command = become.build_become_command(":", self._connection._shell)
        # What it says is compared: in the locale C. passwd -S shows a user the state of the own password.
        script = (
            f"LC_ALL=C; export LC_ALL; {command} 2>&1; "
            'printf "\\nstatus %s\\n" $?; id -un; passwd -S 2>/dev/null || echo'
        )
        if self._connection.transport == "local":
            self._connection.cwd = self._loader.get_basedir()
        given = None if password is None else f"{password}\n".encode()
        _, output, errors = self._connection.exec_command(f"/bin/sh -c {shlex.quote(script)}", given, sudoable=False)
        text = str(output, "utf-8", "replace")
        if re.search(rf"(?m){become.success}\s*$", text):  # not as a part of a refused command
            return None
        found = re.search(r"(?s)^(.*)\nstatus (\d+)\n(.*?)\n(.*)", text)
        if not found:  # no shell, no connection
            return rights.refusal(-1, text + str(errors, "utf-8", "replace"), "", "", given=bool(password))
        told, status, user, account = found.groups()
        exe = become.get_option("become_exe") or "sudo"
        return rights.refusal(int(status), told, account, user, exe=exe, given=bool(password))

    def try_out(self, method: str, task_vars: dict[str, Any] | None) -> Any:
        """Return why another method than sudo does not work, None if it does."""
        result = self._execute_module("ansible.legacy.ping", {}, task_vars=task_vars)
        if not result.get("failed"):
            return None
        told = str(result.get("module_stderr") or result.get("msg", ""))
        return rights.refusal(int(result.get("rc", 1)), told, "", "", exe=method)
