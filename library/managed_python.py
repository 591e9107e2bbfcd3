#!/usr/bin/python
"""Ansible module: a Python of python-build-standalone, brought along by uv."""

DOCUMENTATION = r"""
module: managed_python
short_description: Bring, check, mend and remove a managed Python
description:
  - Has C(uv) fetch a build of python-build-standalone into a folder of its own, and keeps it as the archive has it.
  - The archive's SHA-256 is that of the list O(downloads), whatever the source. C(uv) compares it before
    anything of the archive is run.
  - Sources are asked one after another; what each said is in the message when none gives it.
  - A new one is built aside, run once, and swapped in by renaming; the record is written just before. A damaged one
    stays in its place until the new one has been proven. An interruption at any point leaves nothing that a later run
    trusts.
  - Nothing is put into C(~/.local), no other program's Python is touched, and no rights are needed.
  - Looking runs nothing. Files whose size and times are as recorded count as good.
  - Files that the archive has not brought are moved beside, into O(path) with C(.kept) after its name, for Python would
    run them; bytecode is removed.
  - One that is not wanted any more is removed once no virtualenv stands on it.
options:
  path:
    description: Folder that holds them, each in a folder of its own, absolute.
    type: path
    required: true
  state:
    description: V(absent) wants none; what O(environment) stands on stays all the same.
    type: str
    choices: [present, absent]
    default: present
  downloads:
    description:
      - The list, in the format of C(uv python install --python-downloads-json-url), as text. Of its entries the newest
        of Python 3.12, else of 3.11, else of 3.10, is taken. Needed for O(state=present).
    type: json
    default: ""
  mirrors:
    description:
      - Where to ask, in this order. V(official) is the address in the list. Any other address takes the place of all of
        that but C(BUILD/FILE). An absolute path or a V(file://) address names, on the host, a folder with C(BUILD/FILE)
        or C(FILE) in it, or the file.
    type: list
    elements: str
    default: [official]
  record:
    description: File of the record.
    type: path
    required: true
  environment:
    description: Folder of the virtualenv that may stand on one of them.
    type: path
    default: ""
  uv:
    description: The C(uv) binary on the host. It is needed only to fetch.
    type: path
    default: ""
  ca_bundle:
    description: PEM file on the host with certificate authorities that are trusted besides the system's.
    type: path
    default: ""
  verify:
    description:
      - V(quick) reads the files only where a size or time differs from the record.
      - V(full) reads every file.
    type: str
    choices: [quick, full]
    default: quick
  timeout:
    description: Seconds that one source may take.
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
    description: One line per Python, C(+) brought, C(~) fetched again with the reason, C(-) removed or put beside.
requirements:
  - glibc 2.17 or newer on the host, for the archives of python-build-standalone
author:
  - The project's authors
"""

EXAMPLES = r"""
- name: Bring a Python for the virtualenv
  managed_python:
    path: /home/me/chatglm/python
    downloads: "{{ lookup('ansible.builtin.file', 'python.json') }}"
    mirrors:
      - /mnt/d/python
      - official
      - https://cdn.npmmirror.com/binaries/python-build-standalone
    record: /home/me/chatglm/state/python.json
    environment: /home/me/chatglm/venv
    uv: /home/me/chatglm/bin/uv
    lock: /home/me/chatglm/state/lock

- name: Remove it where nothing stands on it
  managed_python:
    path: /home/me/chatglm/python
    state: absent
    record: /home/me/chatglm/state/python.json
    environment: /home/me/chatglm/venv
"""

RETURN = r"""
changed_at:
  description: When something was changed, in seconds since the host's boot.
  returned: changed
  type: float
action:
  description:
    - What was, or in check mode would be, done, one of C(none), C(clean) (leftovers, and what nothing stands on),
      C(tidy) (files of others put beside), C(create), C(repair).
  returned: success
  type: str
  sample: create
reason:
  description: What is wrong with the one that is there, for C(repair).
  returned: success
  type: str
  sample: damaged file lib/python3.12/os.py
refresh:
  description:
    - The record's times are out of date, or bytecode lies about. The real run mends that, which does not count as a
      change.
  returned: success
  type: bool
python:
  description: Path of the interpreter; empty with O(state=absent).
  returned: success
  type: str
  sample: /home/me/chatglm/python/cpython-3.12.16-linux-x86_64-gnu/bin/python3.12
version:
  description: Its full version.
  returned: success
  type: str
  sample: 3.12.16
build:
  description: Its build.
  returned: success
  type: str
  sample: "20261110"
sha256:
  description: Digest of its archive.
  returned: success
  type: str
source:
  description: Where it was fetched from, credentials masked; empty when nothing was fetched.
  returned: success
  type: str
failed_sources:
  description: Sources that were asked before without success, and what they said.
  returned: success
  type: list
  elements: str
bytes_installed:
  description: Size of the files that were brought; 0 in check mode.
  returned: success
  type: int
aside:
  description: Files that no archive has brought, relative to the release's folder; they are moved.
  returned: success
  type: list
  elements: str
later:
  description: Releases to remove once the virtualenv stands on another.
  returned: success
  type: list
  elements: str
stderr:
  description: What uv said, credentials masked.
  returned: when uv failed
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
from ansible.module_utils.chatglm.virtualenv.managed_python import Plan, Wanted, addresses, choose, make_plan, observe
from ansible.module_utils.chatglm.virtualenv.managed_python_work import Builder
from ansible.module_utils.chatglm.virtualenv.uv_command import choose_sources


def describe(plan: Plan, wanted: Wanted, folder: str, *, check: bool) -> dict[str, Any]:
    """Return the module's result as far as it is known before the work."""
    release = wanted.release
    lines = plan.lines()
    # What goes later is announced by a preview; a real run comes back for it.
    changed = plan.changed or (check and bool(plan.later))
    return {
        "changed": changed,
        "diff": {"prepared": "".join(f"{line}\n" for line in lines)} if changed else {},
        "action": plan.action,
        "reason": plan.reason,
        "refresh": plan.refresh,
        "python": release.interpreter(folder) if release else "",
        "version": release.version if release else "",
        "build": release.build if release else "",
        "sha256": release.sha256 if release else "",
        "source": "",
        "failed_sources": [],
        "bytes_installed": 0,
        "aside": list(plan.aside),
        "later": list(plan.later),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "downloads": {"type": "json", "default": ""},
            "mirrors": {"type": "list", "elements": "str", "default": ["official"]},
            "record": {"type": "path", "required": True},
            "environment": {"type": "path", "default": ""},
            "uv": {"type": "path", "default": ""},
            "ca_bundle": {"type": "path", "default": ""},
            "verify": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
            "timeout": {"type": "int", "default": 7200},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    params = module.params
    module.no_log_values.update(secrets(params["mirrors"]))
    progress.begin(params["lock"])
    builder: Builder | None = None
    try:
        for name in ("path", "record"):
            if not os.path.isabs(params[name]):
                raise Failure(f"{name}={params[name]}", "an absolute path", f"correct {name}")
        parent, name = os.path.split(os.path.normpath(params["path"]))
        environment = params["environment"]
        wanted = Wanted(
            folder=os.path.join(os.path.realpath(parent), name),
            record=params["record"],
            release=choose(params["downloads"]) if params["state"] == "present" else None,
            environment=os.path.realpath(environment) if environment else "",
            full=params["verify"] == "full",
        )
        if wanted.release:
            module.no_log_values.update(secrets([wanted.release.url]))
            addresses(wanted.release, params["mirrors"])  # what is wrong with them is told before the work
        observed = observe(wanted)
        plan = make_plan(wanted, observed)
        result = describe(plan, wanted, params["path"], check=module.check_mode)
        if not module.check_mode and (plan.changed or plan.refresh):
            pip = pip_config.read(os.environ)
            sources = choose_sources(pip, "", [], "", params["ca_bundle"])
            module.no_log_values.update(secrets([sources.proxy]))
            with lock.hold(params, f"bringing a Python into {wanted.folder}", module.warn):
                observed = observe(wanted)
                plan = make_plan(wanted, observed)
                result = describe(plan, wanted, params["path"], check=False)
                if plan.action in ("create", "repair") and not params["uv"]:
                    raise Failure("no uv binary named", "one on the host", "set uv (virtualenv_uv)")
                builder = Builder(
                    wanted, params["uv"], params["mirrors"], sources, environ=os.environ, timeout=params["timeout"]
                )
                record = builder.act(plan, observed)
                if wanted.release and plan.action in ("create", "repair"):
                    result.update(
                        source=builder.source,
                        failed_sources=builder.failed,
                        bytes_installed=record[wanted.release.key]["bytes"],
                    )
                if builder.kept:
                    module.warn(
                        f"files of no archive were in {params['path']}; they are kept as {', '.join(builder.kept)}"
                    )
        module.exit_json(**result)
    except Failure as failure:
        module.fail_json(msg=str(failure), stderr=builder.stderr if builder else "")
    except OSError as error:
        module.fail_json(msg=str(unusable(error, params["path"])), stderr=builder.stderr if builder else "")


if __name__ == "__main__":
    guarded(main)
