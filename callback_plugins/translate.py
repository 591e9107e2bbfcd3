"""Callback plugin: say once more, in the user's language, why a task failed."""

from __future__ import annotations

DOCUMENTATION = """
name: translate
type: notification
short_description: What failed, in the user's language
description:
  - Below an error of this project's own modules and roles, prints its three parts (what was found, what was expected,
    what to do) in Chinese when C(chatglm_language) is V(zh), or V(auto) on a Chinese system.
  - Silent in English, for other errors, and in the doctor's play, which speaks for itself.
requirements: [enabled in ansible.cfg]
"""

import os
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.callback import CallbackBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from ansible.module_utils.chatglm.language import messages, translations


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Look at failed tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "translate"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """No play has begun."""
        super().__init__(*arguments, **named)
        self.play: Any = None

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Keep the play, whose variables name the language."""
        self.play = play

    def language(self, result: Any) -> str:
        """Return en or zh; empty in the doctor's play, which speaks for itself."""
        variables = self.play.get_variable_manager().get_vars(play=self.play, host=result._host)
        if "doctor_language" in variables:
            return ""
        return str(messages.spoken(str(variables.get("chatglm_language", "auto")), os.environ))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Say it of a host that cannot be reached too, which Ansible tells in English."""
        if self.language(result) == "zh":
            told = " ".join(str(result._result.get("msg", "")).split())[:300]
            host = result._host.vars.get("ansible_host", result._host.get_name())
            text = messages.say("zh", "unreachable", why=told, host=host)
            self._display.display(f"\n{result._host.get_name()}:\n{text}\n", color="red")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print the error's parts in the user's language."""
        message = result._result.get("msg")
        own = isinstance(message, str) and ("Expected: " in message or "; expected " in message)
        if own and self.language(result) == "zh":
            text = translations.failure(message)
            if text:
                self._display.display(f"\n{result._host.get_name()}:\n{text}\n", color="red")
