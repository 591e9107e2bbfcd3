#!/usr/bin/python
"""Ansible module: seal an installation that has just been proven; the core is module_utils/chatglm/core/seal.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_seal
short_description: Remember the state of an installation that has just been proven
description:
  - Writes down the status (size, times, inode) of every file of the installation, with the key of the settings and the
    code it was proven with. While both are the same, M(host_facts) tells so, and a run has nothing to look for.
  - Any difference makes the roles look themselves, so a seal never stands for a check that would fail.
  - A record only, so it never counts as a change.
version_added: "1.0.0"
options:
  home:
    description: Folder of the installation.
    type: path
    required: true
  path:
    description: The file to write, below O(home).
    type: path
    required: true
  key:
    description: Digest of the settings and the code.
    type: str
    required: true
    no_log: false
  outside:
    description: Files elsewhere that the installation depends on, such as the loader's cache.
    type: list
    elements: path
    default: []
  lines:
    description: What to show when nothing has changed.
    type: list
    elements: str
    default: []
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
    description: Writes nothing.
  diff_mode:
    support: none
    description: A record of times and inodes is nothing to read.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Remember what was proven
  site_seal:
    home: ~/chatglm
    path: ~/chatglm/state/seal.json
    key: "{{ preflight_key }}"
"""

RETURN = r"""
seconds:
  description: What it took to read the status of all files.
  returned: always
  type: float
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock, seal
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import unusable, write_json
from ansible.module_utils.chatglm.core.guard import guarded


def main() -> None:
    """Make the seal and write it, unless in check mode."""
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "path": {"type": "path", "required": True},
            "key": {"type": "str", "required": True, "no_log": False},
            "outside": {"type": "list", "elements": "path", "default": []},
            "lines": {"type": "list", "elements": "str", "default": []},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    params = module.params
    begin = time.monotonic()
    try:
        if not module.check_mode:
            # What a rival is at work on must not be sealed.
            with lock.hold(params, f"sealing {params['home']}", module.warn):
                write_json(
                    params["path"],
                    seal.make(params["home"], params["path"], params["key"], params["outside"], params["lines"]),
                )
    except Failure as failure:
        module.fail_json(msg=str(failure))
    except OSError as error:
        module.fail_json(msg=str(unusable(error, params["path"])))
    module.exit_json(changed=False, seconds=round(time.monotonic() - begin, 3))


if __name__ == "__main__":
    guarded(main)
