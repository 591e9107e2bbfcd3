#!/usr/bin/python
"""Ansible module: what GPUs will hold; the formula is module_utils/chatglm/preflight/capacity.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: capacity
short_description: Tell how long a conversation with ChatGLM2-6B-int4 a GPU holds
description:
  - Computes from the model's shape how much GPU memory a conversation takes, for the GPUs given and, for comparison,
    for cards of 4, 6, 8 and 12 GB. Nothing is measured or looked at.
version_added: "1.0.0"
options:
  gpus:
    description: >-
      The GPUs as M(host_facts) returns them: C(name), C(memory_total), C(memory_free), C(capability). Without
      C(memory_free) a Windows desktop like the reference laptop's is assumed.
    type: list
    elements: dict
    default: []
  language:
    description: Language of RV(lines).
    type: str
    choices: [en, zh]
    default: en
attributes:
  check_mode:
    support: full
    description: Computes only, so check mode does the same.
  diff_mode:
    support: none
    description: Changes nothing.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Tell what a card of 6 GB will hold
  capacity:
    gpus:
      - name: RTX 3060
        memory_total: "{{ 6 * 1024 ** 3 }}"
    language: zh
  register: told
"""

RETURN = r"""
cards:
  description: >-
    For each GPU: name, memory_total, memory_free, memory_held (bytes), known (whether free memory was given),
    capability, kernels (whether upstream's int4 kernels run on it), fits, prompt_tokens, conversation_tokens,
    conversation_tokens_alone (with nothing else on the card), advice (codes of messages).
  returned: always
  type: list
  elements: dict
lines:
  description: The table, and what to change.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.preflight import capacity


def checked(gpu: dict[str, Any]) -> dict[str, Any]:
    """Return the GPU with numbers for numbers: Ansible gives text where a template made them.

    Raises:
        Failure: a size that is none.

    """
    read = dict(gpu)
    for name in ("memory_total", "memory_free"):
        if read.get(name) is None:
            continue
        try:
            read[name] = int(float(read[name]))
        except (TypeError, ValueError, OverflowError):
            read[name] = -1
        if not 0 <= read[name] < 1 << 50:
            raise Failure(
                found=f"{name} of GPU {read.get('name', '')!r} is {gpu[name]!r}",
                expected="a size, for example 6 GB",
                remedy='for example -e capacity_gpu="RTX 3060" -e capacity_memory_gb=6',
            )
    return read


def main() -> None:
    """Compute and answer."""
    module = AnsibleModule(
        argument_spec={
            "gpus": {"type": "list", "elements": "dict", "default": []},
            "language": {"choices": ["en", "zh"], "default": "en"},
        },
        supports_check_mode=True,
    )
    try:
        cards = [capacity.judge(checked(gpu)) for gpu in module.params["gpus"]]
    except Failure as failure:
        module.fail_json(msg=str(failure))
    module.exit_json(changed=False, cards=cards, lines=capacity.lines(cards, module.params["language"]))


if __name__ == "__main__":
    guarded(main)
