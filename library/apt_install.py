#!/usr/bin/python
"""Ansible module: install or remove packages with apt-get, whatever else is at work on this host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_install
short_description: Install or remove packages with apt-get
description:
  - As M(ansible.builtin.apt), but waits for whoever holds the locks of apt and dpkg, and says who that is; a list of
    somebody else's that cannot be renewed is a warning, and the installation decides; no program can ask anything.
  - Installs no Python module on the host, and nothing that packages recommend.
  - Needs the rights of root.
version_added: "1.0.0"
options:
  packages:
    description: Names of packages.
    type: list
    elements: str
    required: true
  state:
    description: V(present), or V(absent) to purge exactly these.
    type: str
    choices: [present, absent]
    default: present
  lock_timeout:
    description: Seconds to wait for the locks.
    type: int
    default: 600
attributes:
  check_mode:
    support: none
    description: Is left out, since packages of a component that is not enabled yet are not known.
  diff_mode:
    support: none
    description: The names say it.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Install the CUDA runtime
  apt_install:
    packages: [libcudart11.0, libcublaslt11]
  become: true
"""

RETURN = r"""
changed_at:
  description: When something was changed, in seconds since the host's boot.
  returned: changed
  type: float
stdout:
  description: What apt-get said.
  returned: success
  type: str
fetched:
  description: How much was fetched, as apt-get says it; empty for nothing.
  returned: success
  type: str
  sample: 206 MB
"""

import contextlib
import errno
import fcntl
import os
import re
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.guard import guarded

LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock")
QUIET = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "APT_LISTBUGS_FRONTEND": "none",
    "NEEDRESTART_MODE": "l",
    "NEEDRESTART_SUSPEND": "1",
    "UCF_FORCE_CONFFOLD": "1",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}
"""Nobody is there to answer; a service that would have to be restarted is not this project's."""
OPTIONS = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
HELD = re.compile(r"Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock ")
PAUSE = 1.0  # seconds between two looks at the locks
FLOCK = "hhqqi4x"  # struct flock of Linux on 64 bits


def holder(paths: tuple[str, ...]) -> str:
    """Return who holds one of the locks, in words; empty for nobody."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                continue
            raise
        kind, _, _, _, pid = struct.unpack(FLOCK, answer)
        if kind != fcntl.F_UNLCK:
            name = ""
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"process {pid} ({name or 'of a name that is hidden'})"
    return ""


def wait(deadline: float, warn: Callable[[str], object]) -> None:
    """Wait until nobody holds a lock.

    Raises:
        Failure: somebody does at ``deadline``, a time of time.monotonic.

    """
    begin, told = time.monotonic(), ""
    while who := holder(LOCKS):
        told = told or who
        if time.monotonic() >= deadline:
            raise Failure(
                f"apt is held by {who}, for {round(time.monotonic() - begin)} s",
                "apt and dpkg free; Ubuntu's own updates (unattended-upgr) may take some minutes after a start",
                "wait until it is done, then run again",
            )
        time.sleep(PAUSE)
    if told:
        warn(f"waited {round(time.monotonic() - begin)} s for apt, which was held by {told}")


def apt_get(words: list[str], deadline: float, warn: Callable[[str], object]) -> subprocess.CompletedProcess[str]:
    """Run apt-get when nobody holds the locks; again if somebody came first.

    Raises:
        Failure: as :func:`wait`; or there is no apt-get.

    """
    while True:
        wait(deadline, warn)
        left = max(1, round(deadline - time.monotonic()))
        try:
            done = subprocess.run(
                ["apt-get", "--yes", "--quiet", "-o", f"DPkg::Lock::Timeout={left}", *OPTIONS, *words],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env={**os.environ, **QUIET},
            )
        except OSError as error:
            raise Failure(
                f"apt-get cannot be run ({error.strerror or error})", "Debian, Ubuntu or one of their kin", "correct it"
            ) from error
        if done.returncode == 0 or not HELD.search(done.stderr) or time.monotonic() >= deadline:
            return done


def failed_lists(text: str) -> list[str]:
    """Return the addresses of the lists that apt-get update could not renew, from all that it said."""
    found = re.findall(
        r"(?m)^[WE]: (?:Failed to fetch|The repository '|GPG error:|Conflicting values.*?for source)\s*(\S+)", text
    )
    return list(dict.fromkeys(address.strip("',") for address in found))


def errors(text: str) -> str:
    """Return apt's errors in one line."""
    found = [line[3:].strip() for line in text.splitlines() if line.startswith("E: ")]
    return "; ".join(found)[:500] or " ".join(text.split())[-300:] or "no reason given"


def run(packages: list[str], state: str, seconds: float, warn: Callable[[str], object]) -> str:
    """Install or remove, and return what apt-get said.

    Raises:
        Failure: the locks stay held, or apt-get failed.

    """
    deadline = time.monotonic() + seconds
    if state == "absent":
        done = apt_get(["--no-auto-remove", "purge", *packages], deadline, warn)
        lists: list[str] = []
    else:
        update = apt_get(["update"], deadline, warn)
        lists = failed_lists(update.stderr + update.stdout)
        if update.returncode and not lists:
            lists = [errors(update.stderr)]
        if lists:
            warn(f"apt could not renew these lists: {', '.join(lists)}; the installation goes on without them")
        done = apt_get(["--no-install-recommends", "install", "--", *packages], deadline, warn)
    if done.returncode:
        names = ", ".join(packages)
        why = errors(done.stderr)
        found = f"apt-get could not remove {names}: {why}"
        if state == "present":
            found = f"apt-get could not install {names}: {why}"
        if lists:
            raise Failure(
                f"{found}; these lists could not be renewed before: {', '.join(lists)}",
                "lists that apt can read",
                "mend them, or switch off those of others (in /etc/apt/sources.list.d), then: sudo apt-get update",
            )
        raise Failure(
            found,
            "packages that apt can install and remove",
            "sudo dpkg --configure -a && sudo apt-get --fix-broken install, then run again",
        )
    return done.stdout


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "lock_timeout": {"type": "int", "default": 600},
        },
    )
    params = module.params
    try:
        told = run(params["packages"], params["state"], params["lock_timeout"], module.warn)
    except Failure as failure:
        module.fail_json(msg=str(failure))
    fetched = re.search(r"(?m)^Fetched ([\d.,]+ [kMGT]?B) in ", told)
    module.exit_json(changed=True, stdout=told, fetched=fetched[1] if fetched else "")


if __name__ == "__main__":
    guarded(main)
