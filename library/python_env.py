#!/usr/bin/python
"""Ansible module: a virtualenv that holds exactly what its lock files say."""

DOCUMENTATION = r"""
module: python_env
short_description: Build, check and mend a virtualenv from hashed lock files
description:
  - Makes a virtualenv with C(uv) from lock files whose every line is pinned and hashed, and keeps it that way.
  - An environment that is missing, half-made, made from another Python, or changed by hand (a version, a file, a
    deleted package) is noticed and mended; only what is wrong is fetched again.
  - A new environment is built aside and swapped in by renaming. A repair invalidates the environment's record first and
    renews it last. An interruption at any point therefore leaves nothing that a later run trusts.
  - Files are hard links to uv's cache while the work lasts, and the cache is removed after it, so that the disk holds
    everything once, 1.2 GB with torch's CPU build, 5.5 GB with torch 2.7.1 and about 7 GB with torch 2.8.0 (measured).
    A change of torch's build needs both for a while. Where hard links are not possible (C(/mnt/c) in WSL), it is twice
    that until the end.
  - Distributions that were added by hand stay and are reported, unless the environment has to be built anew.
  - To look at an environment runs nothing of it. Files of no distribution that Python would run by itself are moved
    beside the environment before anything is run.
  - The host needs a Python, but neither pip nor the venv module; the system's own packages are never touched.
  - When nothing is to do, neither C(uv) nor a network is used, and no file of the environment is read in full but the
    RECORD of each distribution. Files whose size and times are as recorded count as good.
options:
  path:
    description: Folder of the virtualenv, absolute.
    type: path
    required: true
  python:
    description: The interpreter that the virtualenv is made from, absolute path on the host.
    type: path
    required: true
  managed_version:
    description:
      - Full version of O(python) where it is one that M(managed_python) brings. It is then not asked for its version,
        and in check mode need not be there yet.
    type: str
    default: ""
  requirements:
    description: Contents of the lock files. They are installed together, without looking for further dependencies.
    type: list
    elements: str
    required: true
  uv:
    description: The C(uv) binary on the host. It is needed only when there is something to do.
    type: path
  cache_dir:
    description:
      - uv's cache; best on the file system of O(path), so that files are linked and not copied.
      - A cache that this module made is removed after the work unless O(keep_cache) is set. One that was there before
        is kept.
    type: path
    required: true
  keep_cache:
    description: Keep the cache, which then takes about as much room as the environment, for the next installation.
    type: bool
    default: false
  index_url:
    description: The package index. Default is what the host's pip configuration says, else the Python Package Index.
    type: str
    default: ""
  find_links:
    description: Folders or pages with wheels. Default is what the host's pip configuration says.
    type: list
    elements: str
    default: []
  torch_index_url:
    description:
      - The index of builds such as C(torch 2.13.0+cpu) that are not on the package index. It is asked only for those,
        and only when no folder of O(find_links) has the wheel. Empty means never.
    type: str
    default: https://download.pytorch.org/whl/cpu
  ca_bundle:
    description: PEM file on the host with certificate authorities that are trusted besides the system's.
    type: path
  imports:
    description: Modules that must import before the environment is trusted.
    type: list
    elements: str
    default: []
  pythons:
    description: Minor versions of Python that the lock files are made for. Empty means any.
    type: list
    elements: str
    default: []
  machines:
    description: Processors that the lock files are made for, as C(uname -m) names them. Empty means any.
    type: list
    elements: str
    default: []
  verify:
    description:
      - V(quick) reads in full only those distributions that differ from the record in a size or time.
      - V(full) reads every file.
    type: str
    choices: [quick, full]
    default: quick
  timeout:
    description: Seconds that one uv command may take.
    type: int
    default: 7200
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
    description: Reports the same change and diff as the real run, also where nothing is installed yet.
  diff_mode:
    support: full
    description: One line per distribution, C(+) added, C(-) removed, C(~) installed again with the reason.
requirements:
  - Python 3.10 or newer on the host, for this module
author:
  - The project's authors
"""

EXAMPLES = r"""
- name: Look at the virtualenv
  python_env:
    path: /home/me/chatglm/venv
    python: /usr/bin/python3.11
    requirements:
      - "{{ lookup('ansible.builtin.file', 'base.txt') }}"
      - "{{ lookup('ansible.builtin.file', 'torch-cpu.txt') }}"
    cache_dir: /home/me/chatglm/cache/uv
  check_mode: true
  register: virtualenv_plan

- name: Build or mend it
  python_env:
    path: /home/me/chatglm/venv
    python: /usr/bin/python3.11
    requirements:
      - "{{ lookup('ansible.builtin.file', 'base.txt') }}"
      - "{{ lookup('ansible.builtin.file', 'torch-cpu.txt') }}"
    uv: /home/me/chatglm/bin/uv
    cache_dir: /home/me/chatglm/cache/uv
    imports: [torch, transformers, gradio]
"""

RETURN = r"""
changed_at:
  description: When something was changed, in seconds since the host's boot.
  returned: changed
  type: float
action:
  description:
    - What was, or in check mode would be, done, one of C(none), C(clean), C(verify), C(repair), C(create), C(rebuild).
  returned: success
  type: str
  sample: repair
reason:
  description: Why, for C(verify) and C(rebuild).
  returned: success
  type: str
refresh:
  description:
    - Files were touched without being changed, so that the record's times are out of date. The real run renews them,
      which does not count as a change.
  returned: success
  type: bool
python:
  description: The virtualenv's interpreter.
  returned: success
  type: str
  sample: /home/me/chatglm/venv/bin/python
python_version:
  description: Its full version; empty in check mode when there is no environment yet.
  returned: success
  type: str
  sample: 3.11.2
digest:
  description:
    - Identity of the environment, the same on every host with the same Python and contents; it changes with any
      distribution, those added by hand included. Empty in check mode when there is something to do.
  returned: success
  type: str
install:
  description: Distributions that were missing.
  returned: success
  type: list
  elements: str
reinstall:
  description: Distributions that were wrong, and what was wrong with them.
  returned: success
  type: list
  elements: str
  sample: ["gradio==6.17.3: damaged file gradio/blocks.py"]
remove:
  description: Distributions that earlier lock files brought and the present ones do not.
  returned: success
  type: list
  elements: str
bytes_installed:
  description:
    - Size of the files of RV(install) and RV(reinstall) on the disk; 0 in check mode. C(uv) does not tell how much it
      fetched for them.
  returned: success
  type: int
extras:
  description: Distributions that were added by hand, with their versions.
  returned: success
  type: dict
lost:
  description: Those of them that a rebuild leaves out, as C(name==version).
  returned: success
  type: list
  elements: str
aside:
  description:
    - Files in site-packages of no distribution that Python would run by itself (C(*.pth), C(sitecustomize.py)), or
      instead of a distribution's. They are moved to the folder O(path) with C(.kept) after its name.
  returned: success
  type: list
  elements: str
other_files:
  description: Other files of no distribution, relative to O(path) (the first 50). They stay; a rebuild moves them too.
  returned: success
  type: list
  elements: str
stderr:
  description: What uv said, credentials masked.
  returned: when uv ran
  type: str
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock, progress
from ansible.module_utils.chatglm.core.addresses import secrets
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import unusable
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.virtualenv import pip_config
from ansible.module_utils.chatglm.virtualenv.python_env import Observed, Plan, Wanted, identity, make_plan, observe
from ansible.module_utils.chatglm.virtualenv.uv_command import Workshop, choose_sources

DOING = {
    "none": "renewing the record of",
    "clean": "clearing up after",
    "verify": "verifying",
    "repair": "mending",
    "create": "building",
    "rebuild": "building anew",
}


def describe(plan: Plan, observed: Observed, path: str) -> dict[str, Any]:
    """Return the module's result as far as it is known before the work."""
    lines = plan.lines()
    return {
        "changed": plan.changed,
        "diff": {"prepared": "".join(f"{line}\n" for line in lines)} if lines else {},
        "action": plan.action,
        "reason": plan.reason,
        "refresh": plan.refresh,
        "python": f"{path}/bin/python",
        "python_version": observed.interpreter.version if observed.interpreter else "",
        "digest": "",
        "bytes_installed": 0,
        "extras": plan.extras,
        **plan.summary(),
    }


def tell_kept(module: AnsibleModule, workshop: Workshop | None) -> None:
    """Tell which files of the user's were moved; on every way out, for a run that fails has moved them too."""
    if workshop and workshop.kept:
        path = module.params["path"]
        module.warn(f"files of no package were in {path}; they are kept as {', '.join(workshop.kept)}")


def main() -> None:
    """Run the module."""
    texts = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "python": {"type": "path", "required": True},
            "managed_version": {"type": "str", "default": ""},
            "requirements": {"type": "list", "elements": "str", "required": True},
            "uv": {"type": "path"},
            "cache_dir": {"type": "path", "required": True},
            "keep_cache": {"type": "bool", "default": False},
            "index_url": {"type": "str", "default": ""},
            "find_links": texts,
            "torch_index_url": {"type": "str", "default": "https://download.pytorch.org/whl/cpu"},
            "ca_bundle": {"type": "path"},
            "imports": texts,
            "pythons": texts,
            "machines": texts,
            "verify": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
            "timeout": {"type": "int", "default": 7200},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    params = module.params
    module.no_log_values.update(secrets([params["index_url"], params["torch_index_url"], *params["find_links"]]))
    progress.begin(params["lock"])
    workshop: Workshop | None = None
    try:
        for name in ("path", "python", "cache_dir"):
            if not os.path.isabs(params[name]):
                raise Failure(f"{name}={params[name]}", "an absolute path", f"correct {name}")
        wanted = Wanted(
            path=os.path.realpath(params["path"]),
            python=params["python"],
            locks=tuple(params["requirements"]),
            imports=tuple(params["imports"]),
            cache_dir=params["cache_dir"],
            keep_cache=params["keep_cache"],
            pythons=tuple(params["pythons"]),
            machines=tuple(params["machines"]),
            full=params["verify"] == "full",
            managed=params["managed_version"],
        )
        observed = observe(wanted)
        plan = make_plan(wanted, observed)
        if module.check_mode or not (plan.changed or plan.refresh):
            result = describe(plan, observed, params["path"])
            stamp = {} if plan.changed and plan.action != "clean" else observed.stamp
        else:
            pip = pip_config.read(os.environ)
            sources = choose_sources(
                pip, params["index_url"], params["find_links"], params["torch_index_url"], params["ca_bundle"] or ""
            )
            module.no_log_values.update(
                secrets([sources.index_url, sources.proxy, *sources.extra_index_urls, *sources.find_links])
            )
            workshop = Workshop(wanted, params["uv"] or "", sources, os.environ, params["timeout"])
            with lock.hold(params, f"{DOING[plan.action]} {wanted.path}", module.warn):
                observed = observe(wanted)
                plan = make_plan(wanted, observed)
                result = describe(plan, observed, params["path"])
                if plan.action not in ("none", "clean") and not params["uv"]:
                    raise Failure("no uv binary named", "one on the host", "set uv (virtualenv_uv)")
                if plan.changed:
                    outcome = workshop.act(plan, observed)
                    stamp = outcome.stamp
                    result.update(stderr=outcome.stderr, bytes_installed=outcome.installed)
                else:
                    stamp = workshop.refreshed(plan, observed)
        if plan.action == "rebuild":
            result["extras"] = {}
        if stamp:
            result["python_version"] = version = (
                stamp["version"] if plan.action in ("create", "rebuild") else result["python_version"]
            )
            result["digest"] = identity(stamp, version, result["extras"])
        tell_kept(module, workshop)
        if result["lost"]:
            names = " ".join(result["lost"])
            module.warn(f"{params['path']} is built anew without the packages that were added by hand: {names}")
        module.exit_json(**result)
    except Failure as failure:
        tell_kept(module, workshop)
        module.fail_json(msg=str(failure), stderr=workshop.stderr if workshop else "")
    except OSError as error:
        tell_kept(module, workshop)
        module.fail_json(msg=str(unusable(error, params["path"])), stderr=workshop.stderr if workshop else "")


if __name__ == "__main__":
    guarded(main)
