"""Ansible callback: write the result of every task as a line of JSON to the file named by CHATGLM_TASK_RECORD."""

from __future__ import annotations

DOCUMENTATION = r"""
name: task_record
type: aggregate
short_description: Every task's result as a line of JSON
description: For the tests in molecule/repair.
requirements: [the environment variable CHATGLM_TASK_RECORD]
"""

import json
import os
import time

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Appends; the reader takes one file for each run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_record"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.begin = time.monotonic()

    def _write(self, status, result):
        task, seconds = result._task, round(time.monotonic() - self.begin, 2)
        role = task._role.get_name() if task._role else ""
        line = {"role": role, "task": task.name, "action": task.action, "status": status, "seconds": seconds}
        line["result"] = result._result
        with open(os.environ["CHATGLM_TASK_RECORD"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self._write("changed" if result._result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result):
        self._write("unreachable", result)
