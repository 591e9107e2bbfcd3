#!/usr/bin/python
"""Ansible module: links to the virtualenv's CUDA libraries, where cpm_kernels looks by CUDA_PATH."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_links
short_description: Link the virtualenv's CUDA libraries into a folder for CUDA_PATH
description:
  - cpm_kernels looks for C(libcudart.so), C(libcublasLt.so) and C(libnvrtc.so) in C($CUDA_PATH/lib64), and not among
    the virtualenv's packages, where torch has its own. Links in O(folder)C(/lib64) bring the two together, without
    root. The launcher names O(folder) in CUDA_PATH.
  - Ends by loading them as cpm_kernels does.
  - Links that lead into the virtualenv are this module's; anything else in their place is refused, and stays.
version_added: "1.0.0"
options:
  folder:
    description: The folder, beside O(virtualenv).
    type: path
    required: true
  virtualenv:
    description: The virtualenv whose packages hold the libraries.
    type: path
    required: true
  cuda:
    description: CUDA of the torch build; libraries of a later major version are not linked.
    type: str
    default: "12.8"
  expected:
    description:
      - Whether a task before has said in check mode that it would change the virtualenv. Then check mode does not
        demand its libraries.
    type: bool
    default: false
  state:
    description: V(present), or V(absent) to remove the links.
    type: str
    choices: [present, absent]
    default: present
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
    description: Tells the same change, and makes none; where the virtualenv is not there yet, without its paths.
  diff_mode:
    support: full
    description: A line for each link.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Link the virtualenv's CUDA libraries
  cuda_links:
    folder: /home/me/chatglm/cuda
    virtualenv: /home/me/chatglm/venv
    cuda: "12.6"
"""

RETURN = r"""
changed_at:
  description: When something was changed, in seconds since the host's boot.
  returned: changed
  type: float
links:
  description: The links, name to target.
  returned: success
  type: dict
  sample: {libcudart.so: ../../venv/lib/python3.12/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12}
report:
  description: What was loaded, as lines to read; empty in check mode and where links were removed.
  returned: success
  type: list
"""

import contextlib
import os
import shlex
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import unusable
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.cuda_libs import cuda_lookup, cuda_probe


def wanted(params: dict[str, Any], check_mode: bool) -> dict[str, str]:
    """Return the links to have, name to target; an unknown target is empty.

    Raises:
        Failure: the virtualenv has no such libraries.

    """
    if params["state"] == "absent":
        return {}
    found = cuda_probe.of_virtualenv(params["virtualenv"], params["cuda"])
    inside = os.path.join(params["folder"], "lib64")
    lacking = [name for name in cuda_lookup.REQUIRED if name not in found]
    if lacking and check_mode and params["expected"]:
        return {f"lib{name}.so": "" for name in cuda_probe.LINKED}
    if lacking:
        raise Failure(
            f"no {', '.join(lacking)} among the packages of {params['virtualenv']} that fits CUDA {params['cuda']}",
            "the libraries that torch's CUDA build brings",
            "run again with -e virtualenv_verify=full",
        )
    return {f"lib{name}.so": os.path.relpath(path, inside) for name, path in found.items()}


def observe(folder: str, links: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the links to make, and the names of those to remove.

    Raises:
        Failure: something else stands in the place of a link.

    """
    inside = os.path.join(folder, "lib64")
    ours = cuda_probe.links(folder)
    make = {name: target for name, target in links.items() if not target or ours.get(name) != target}
    for path in (folder, inside, *(os.path.join(inside, name) for name in make if name not in ours)):
        fine = os.path.isdir(path) if path in (folder, inside) else False
        if make and os.path.lexists(path) and not fine:
            raise Failure(
                f"{path}, which is not of this project",
                "a link of this project in that place, or nothing",
                f"move it away: mv {shlex.quote(path)} {shlex.quote(path)}.mine; then run again",
            )
    return make, sorted(ours.keys() - links.keys())


def act(folder: str, make: dict[str, str], remove: list[str]) -> None:
    """Make and remove links; each takes the place of an old one at once.

    Raises:
        OSError: a folder cannot be written.

    """
    inside = os.path.join(folder, "lib64")
    if make:
        os.makedirs(inside, exist_ok=True)
    for name, target in make.items():
        beside = tempfile.mktemp(prefix=f".{name}.", dir=inside)  # noqa: S306 - symlink fails where the name is taken
        os.symlink(target, beside)
        os.replace(beside, os.path.join(inside, name))
    for name in remove:
        os.unlink(os.path.join(inside, name))
    if not make:
        for place in (inside, folder):
            with contextlib.suppress(OSError):  # somebody else's files are in it
                os.rmdir(place)


def lines(before: dict[str, str], make: dict[str, str], remove: list[str]) -> list[str]:
    """Return a line for each link that is made, changed or removed."""
    told = [
        f"{'~' if name in before else '+'} lib64/{name}" + (f" -> {target}" if target else "")
        for name, target in sorted(make.items())
    ]
    return told + [f"- lib64/{name}" for name in remove]


def run(params: dict[str, Any], check_mode: bool, warn: Any) -> dict[str, Any]:
    """Observe, plan, and, unless in check mode, act and verify; return the module's result.

    Raises:
        Failure: see :func:`wanted` and :func:`observe`; or the libraries do not load.
        OSError: a folder cannot be read or written.

    """
    folder = params["folder"]
    links = wanted(params, check_mode)
    before = cuda_probe.links(folder)
    make, remove = observe(folder, links)
    report: list[str] = []
    if (make or remove) and not check_mode:
        with lock.hold(params, "linking the CUDA libraries", warn):
            make, remove = observe(folder, wanted(params, check_mode))
            act(folder, make, remove)
    if params["state"] == "present" and not check_mode:
        answers = cuda_probe.probe(folder)
        report = cuda_lookup.describe(answers)
        lacking = [answer for answer in answers if answer["name"] in cuda_lookup.missing(answers)]
        if lacking:
            raise Failure(
                "in the virtualenv: "
                + "; ".join(f"{answer['name']} cannot be loaded: {answer['error']}" for answer in lacking),
                "libraries that load",
                "run again with -e virtualenv_verify=full",
            )
    told = lines(before, make, remove)
    return {
        "changed": bool(told),
        "links": links,
        "report": report,
        "diff": {"prepared": "".join(f"{line}\n" for line in told)} if told else {},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "virtualenv": {"type": "path", "required": True},
            "cuda": {"type": "str", "default": "12.8"},
            "expected": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode, module.warn)
    except Failure as failure:
        module.fail_json(msg=str(failure))
    except OSError as error:
        module.fail_json(msg=str(unusable(error, module.params["folder"])))
    module.exit_json(**result)


if __name__ == "__main__":
    guarded(main)
