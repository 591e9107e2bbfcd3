"""Become plugin: ansible-core's sudo, for sudo-rs as well."""

from __future__ import annotations

DOCUMENTATION = """
    name: sudo
    short_description: Become root through sudo, the classic one and sudo-rs
    description:
        - ansible-core's own plugin of this name, in front of which this one stands (become_plugins in ansible.cfg). It
          knows sudo-rs too, the sudo of Ubuntu since 25.10, which puts the prompt that it is given into one of its own.
        - The options are ansible-core's.
    author: The authors of this project
    version_added: "1.0.0"
    options:
        become_user:
            description: User you 'become' to execute the task
            default: root
            ini:
              - section: privilege_escalation
                key: become_user
              - section: sudo_become_plugin
                key: user
            vars:
              - name: ansible_become_user
              - name: ansible_sudo_user
            env:
              - name: ANSIBLE_BECOME_USER
              - name: ANSIBLE_SUDO_USER
            keyword:
              - name: become_user
        become_exe:
            description: Sudo executable
            default: sudo
            ini:
              - section: privilege_escalation
                key: become_exe
              - section: sudo_become_plugin
                key: executable
            vars:
              - name: ansible_become_exe
              - name: ansible_sudo_exe
            env:
              - name: ANSIBLE_BECOME_EXE
              - name: ANSIBLE_SUDO_EXE
            keyword:
              - name: become_exe
        become_flags:
            description: Options to pass to sudo
            default: -H -S -n
            ini:
              - section: privilege_escalation
                key: become_flags
              - section: sudo_become_plugin
                key: flags
            vars:
              - name: ansible_become_flags
              - name: ansible_sudo_flags
            env:
              - name: ANSIBLE_BECOME_FLAGS
              - name: ANSIBLE_SUDO_FLAGS
            keyword:
              - name: become_flags
        become_pass:
            description: Password to pass to sudo
            required: False
            vars:
              - name: ansible_become_password
              - name: ansible_become_pass
              - name: ansible_sudo_pass
            env:
              - name: ANSIBLE_BECOME_PASS
              - name: ANSIBLE_SUDO_PASS
            ini:
              - section: sudo_become_plugin
                key: password
        sudo_chdir:
            description: Directory to change to before sudo is invoked (ansible-core 2.19 and newer).
            type: string
            required: False
            version_added: '2.19'
            vars:
              - name: ansible_sudo_chdir
            env:
              - name: ANSIBLE_SUDO_CHDIR
            ini:
              - section: sudo_become_plugin
                key: chdir
"""

import importlib.util
from pathlib import Path

import ansible.plugins.become
from ansible.module_utils.common.text.converters import to_bytes

# By its path: the name ansible.plugins.become.sudo is this file's while it stands in front.
_path = Path(ansible.plugins.become.__file__).with_name("sudo.py")
_spec = importlib.util.spec_from_file_location("ansible_core_sudo", _path)
_core = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(_core)  # type: ignore[union-attr]


class BecomeModule(_core.BecomeModule):  # type: ignore[name-defined,misc]
    """ansible-core's waits for a line that begins with its prompt; sudo-rs says [sudo: PROMPT] Password:."""

    fail = (*_core.BecomeModule.fail, "sudo: Authentication failed, try again.")
    missing = (
        *_core.BecomeModule.missing,
        "sudo: interactive authentication is required",
        "sudo: Authentication required but not attempted",
    )

    def check_password_prompt(self, b_output: bytes) -> bool:
        """Tell whether sudo asks for the password; the key in the prompt is made anew for each command."""
        return bool(self.prompt) and to_bytes(self.prompt) in b_output

    def strip_become_prompt(self, data: bytes) -> bytes:
        """Return ``data`` without the prompt and what sudo-rs puts around it (ansible-core 2.19 and newer)."""
        if not self.prompt or to_bytes(self.prompt) not in data:
            return data
        rest = data.partition(to_bytes(self.prompt))[2].lstrip()
        return rest.removeprefix(b"] Password:").lstrip()
