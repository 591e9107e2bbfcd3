"""Callback plugin: Ansible's own output, without the tasks that only say that a role's options have the right types."""

from __future__ import annotations

DOCUMENTATION = """
name: calm
type: stdout
short_description: Ansible's own output without its checks of types
description:
  - As C(ansible.builtin.default), but a validation of a role's arguments is shown only where it fails, or with C(-v);
    in each run there are ten of them.
extends_documentation_fragment: [default_callback, result_format_callback]
requirements: [set as stdout in ansible.cfg]
"""

from typing import Any

from ansible.plugins.callback.default import CallbackModule as Default

QUIET = ("validate_argument_spec", "ansible.builtin.validate_argument_spec")


class CallbackModule(Default):  # type: ignore[misc]
    """Ansible's own, but for one kind of task."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "calm"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Show it unless it is such a validation; its banner comes with the first result that is shown."""
        if result._task.action not in QUIET or self._display.verbosity:
            super().v2_runner_on_ok(result)
