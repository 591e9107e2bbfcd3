#!/usr/bin/python
"""Ansible module: what is to be done on the Windows side of WSL; the texts are planned in windows_config.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: windows_side
short_description: Show, or do, what the chat needs on the Windows side of WSL
description:
  - Plans memory and swap in C(%UserProfile%\\.wslconfig), C(systemd=true) in C(/etc/wsl.conf), and a shortcut to the
    page on the Windows desktop, and returns the lines for a user to do it by hand.
  - When asked to, writes C(.wslconfig) and the shortcut itself, through the drive that WSL mounts. A C(.wslconfig) that
    was there is kept beside it. C(/etc/wsl.conf) is for root, so its new text is returned only.
  - What is in these files stays, comments and line ends included. A value of the user's is raised when it is too small,
    and never lowered.
  - Never runs C(wsl --shutdown), which would end this very run.
version_added: "1.0.0"
options:
  state:
    description: V(shown) only plans; V(applied) writes too.
    type: str
    choices: [shown, applied]
    default: shown
  needed_gb:
    description: Memory and swap together that WSL has to have.
    type: float
    required: true
  present_gb:
    description: Memory and swap together that it has now.
    type: float
    default: 0
  url:
    description: Address of the page; empty for no shortcut.
    type: str
    default: ""
  wsl_conf:
    description: The distribution's own settings; empty to leave systemd as it is.
    type: path
    default: /etc/wsl.conf
  record:
    description: A file in which to write down what was made, for M(uninstall).
    type: path
    default: ""
  language:
    description: Language of the lines.
    type: str
    choices: [en, zh]
    default: en
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
    support: full
    description: The files before and after.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Show what is to be done on Windows
  windows_side:
    needed_gb: 6.5
    url: http://127.0.0.1:7860
"""

RETURN = r"""
lines:
  description: What is left for the user to do, or was done, to read; empty when nothing is.
  returned: success
  type: list
  elements: str
wslconfig:
  description: "path (as Linux sees it, empty when Windows cannot be asked) and values that are to be set."
  returned: success
  type: dict
wsl_conf:
  description: New text of O(wsl_conf), for root to write; empty when it is right.
  returned: success
  type: str
shortcut:
  description: Path of the shortcut as Linux sees it; empty when Windows cannot be asked.
  returned: success
  type: str
backup:
  description: Where the old C(.wslconfig) was kept; empty when there was none, or nothing was written.
  returned: success
  type: str
outside:
  description: The files that this module looks at, for M(site_seal).
  returned: success
  type: list
"""

import glob
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import lock
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.core.files import read_json, unusable, write_atomic, write_json
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.language.messages import say
from ansible.module_utils.chatglm.windows import windows_config

TIMEOUT = 60  # a cold PowerShell takes several seconds
# One start of PowerShell for all questions. GetFolderPath knows of a desktop that was moved to OneDrive.
QUESTION = """
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
@{profile = $env:USERPROFILE; desktop = [Environment]::GetFolderPath('Desktop');
  memory = [string](Get-CimInstance Win32_ComputerSystem).TotalPhysicalMemory} | ConvertTo-Json -Compress
"""
INTEROP = ("/proc/sys/fs/binfmt_misc/WSLInterop", "/proc/sys/fs/binfmt_misc/WSLInterop-late")
PROGRAMS = "/mnt/*/Windows/System32/WindowsPowerShell/v1.0/powershell.exe"


def ask_windows() -> dict[str, Any]:
    """Return Windows' ``profile`` and ``desktop`` as Linux paths and its ``memory`` in bytes, or nothing."""
    if not any(os.path.exists(path) for path in INTEROP):
        return {}
    powershell = shutil.which("powershell.exe") or next(iter(glob.glob(PROGRAMS)), "")
    wslpath = shutil.which("wslpath")
    if not powershell or not wslpath:
        return {}

    def run(*command: str) -> str:
        # From a folder that Windows knows as well.
        done = subprocess.run(
            command,
            cwd=os.path.dirname(powershell),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=True,
        )
        return done.stdout.decode("utf-8-sig").rstrip("\n")

    try:
        told = json.loads(run(powershell, "-NoProfile", "-NonInteractive", "-Command", QUESTION))
        places = {name: run(wslpath, "-u", told[name]) for name in ("profile", "desktop")}
        return {**places, "memory": int(told["memory"])} if all(map(os.path.isdir, places.values())) else {}
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError):
        return {}


def content(path: str) -> bytes:
    """Return a file's content, empty for none.

    Raises:
        OSError: it cannot be read.

    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return b""


def text_refused(path: str, error: Exception) -> Failure:
    """Return what to tell of a file that is no text."""
    return Failure(
        f"{path} is no text ({error})", "text in UTF-8 or UTF-16", "look at it with an editor, and save it as UTF-8"
    )


class Windows:
    """One run: observe, plan, and unless it is a check, act."""

    def __init__(self, module: AnsibleModule) -> None:
        """Ask Windows, and plan.

        Raises:
            Failure: a file of the user's is no text.
            OSError: it cannot be read.

        """
        self.module = module
        self.p: dict[str, Any] = module.params
        self.seen = ask_windows()
        self.applied = self.p["state"] == "applied" and bool(self.seen)
        self.config = os.path.join(self.seen["profile"], ".wslconfig") if self.seen else ""
        self.before = content(self.config) if self.config else b""
        needed, present = (int(self.p[name] * windows_config.GB) for name in ("needed_gb", "present_gb"))
        try:
            self.memory = windows_config.plan_memory(self.before, self.seen.get("memory", 0), needed, present)
            self.after = windows_config.merged(self.before, "wsl2", self.memory.values, "\r\n")
        except ValueError as error:
            raise text_refused(self.config, error) from error
        self.link = os.path.join(self.seen["desktop"], windows_config.SHORTCUT) if self.seen and self.p["url"] else ""
        old = content(self.link) if self.link else b""
        wanted = windows_config.shortcut(self.p["url"])
        # One that the user has changed is the user's.
        self.new_link = wanted if self.link and old != wanted and (not old or windows_config.is_shortcut(old)) else b""
        self.conf_before = content(self.p["wsl_conf"]) if self.p["wsl_conf"] else b""
        try:
            self.conf = windows_config.plan_systemd(self.conf_before) if self.p["wsl_conf"] else b""
        except ValueError as error:
            raise text_refused(self.p["wsl_conf"], error) from error
        self.backup = ""

    def result(self) -> dict[str, Any]:
        """Return the module's result."""
        diff = []
        if self.applied:
            for path, before, after in ((self.config, self.before, self.after), (self.link, b"", self.new_link)):
                if after and after != before:
                    texts = [data.decode("utf-8", "replace").replace("\0", "") for data in (before, after)]
                    diff.append({"before_header": path, "after_header": path, "before": texts[0], "after": texts[1]})
        return {
            "changed": bool(diff),
            "diff": diff,
            "lines": self.lines(),
            "wslconfig": {"path": self.config, "values": self.memory.values},
            "wsl_conf": self.conf.decode() if self.conf != self.conf_before else "",
            "shortcut": self.link,
            "backup": self.backup,
            "outside": [path for path in (self.config, self.p["wsl_conf"], self.link) if path],
        }

    def lines(self) -> list[str]:
        """Return what is to be read."""

        def spoken(code: str, **values: object) -> str:
            return say(self.p["language"], f"windows.{code}", **values)

        lines = []
        if self.memory.values:
            lines.append(
                spoken("config_done" if self.applied else "config", path=self.config or r"%UserProfile%\.wslconfig")
            )
            lines += ["    [wsl2]", *(f"    {key}={value}" for key, value in self.memory.values.items())]
        lines += [spoken(code, **values) for code, values in self.memory.notes]
        if self.conf != self.conf_before:
            lines += [spoken("systemd", path=self.p["wsl_conf"]), "    [boot]", "    systemd=true"]
        if self.memory.values or self.memory.pending or self.conf != self.conf_before:
            lines += [spoken("shutdown"), "    wsl --shutdown"]
        if self.new_link:
            lines.append(spoken("shortcut_done" if self.applied else "shortcut", path=self.link, url=self.p["url"]))
        return lines

    def act(self) -> None:
        """Write what Windows is to have.

        Raises:
            OSError: it cannot be written.

        """
        made = read_json(self.p["record"]) if self.p["record"] else None
        made = made if isinstance(made, dict) else {}
        if self.after != self.before:
            if self.before:
                self.backup = f"{self.config}.before-chatglm-{time.strftime('%Y%m%d-%H%M%S')}"
                write_atomic(self.backup, self.before)
            made["wslconfig"] = self.config
        if self.new_link:
            made["shortcut"] = self.link
        # First the record: what was made and is not known would stay.
        if self.p["record"]:
            write_json(self.p["record"], made)
        if self.after != self.before:
            write_atomic(self.config, self.after)
        if self.new_link:
            write_atomic(self.link, self.new_link)


def main() -> None:
    """Look, plan, and write if asked to."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["shown", "applied"], "default": "shown"},
            "needed_gb": {"type": "float", "required": True},
            "present_gb": {"type": "float", "default": 0},
            "url": {"type": "str", "default": ""},
            "wsl_conf": {"type": "path", "default": "/etc/wsl.conf"},
            "record": {"type": "path", "default": ""},
            "language": {"type": "str", "choices": ["en", "zh"], "default": "en"},
            **lock.OPTIONS,
        },
        supports_check_mode=True,
    )
    try:
        work = Windows(module)
        result = work.result()
        if result["changed"] and not module.check_mode:
            with lock.hold(module.params, "setting up the Windows side", module.warn):
                work = Windows(module)
                work.act()
                result = work.result()
    except Failure as failure:
        module.fail_json(msg=str(failure))
    except OSError as error:
        module.fail_json(msg=str(unusable(error, module.params["wsl_conf"])))
    module.exit_json(**result)


if __name__ == "__main__":
    guarded(main)
