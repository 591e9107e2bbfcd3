#!/usr/bin/python
"""Load CUDA's libraries as cpm_kernels does, and tell what is to be done when they do not load."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_libs_probe
short_description: Load the CUDA runtime libraries as cpm_kernels does
description:
  - Looks for cudart and cublasLt where cpm_kernels looks for them, and loads them in a process of its own. The driver's
    cuda and nvrtc are reported too. What loads counts, not what dpkg says.
  - When they do not load, tells which packages are not installed, and the APT source that is to be added for them.
  - Changes nothing, but for O(note).
version_added: "1.0.0"
options:
  packages:
    description: Packages that hold the libraries on this distribution.
    type: list
    elements: str
    default: []
  component:
    description: Component of the distribution's archive that holds the packages, V(non-free) or V(multiverse).
    type: str
    default: ""
  note:
    description:
      - A file in which to write down what is installed before the packages are; M(uninstall) goes by it. Written only
        when packages are missing. A record only, so it never counts as a change.
    type: path
    default: ""
attributes:
  check_mode:
    support: full
    description: Does the same, but writes no O(note).
  diff_mode:
    support: none
    description: Changes nothing.
author: The authors of this project
"""

EXAMPLES = r"""
- name: Load the CUDA libraries
  cuda_libs_probe:
    packages: [libcudart11.0, libcublaslt11]
    component: non-free
  register: libraries
"""

RETURN = r"""
libraries:
  description: "For each of cudart, cublasLt, cuda, nvrtc: name, path (what was looked up), file (what was loaded),
    version, version_error, error (empty when it loads)."
  returned: always
  type: list
missing:
  description: Those of cudart and cublasLt that do not load.
  returned: always
  type: list
report:
  description: The libraries as lines to read.
  returned: always
  type: list
refusal:
  description: Why installing the packages cannot help, and what does; empty when all is well, or when it can.
  returned: always
  type: str
packages_missing:
  description: Packages not installed; empty when the libraries load.
  returned: always
  type: list
sources_file:
  description: "Path and content of the APT source to add; the content is empty when the component is enabled already."
  returned: always
  type: dict
component_enabled:
  description: Whether the component can be installed from as things are.
  returned: always
  type: bool
root:
  description: Whether this ran as root, so that nothing has to be escalated.
  returned: always
  type: bool
"""

import os
import subprocess
import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm import apt_packages, apt_sources, cuda_lookup, cuda_lookup_worker, host, nvidia
from ansible.module_utils.chatglm.files import read_json, unusable, write_json
from ansible.module_utils.chatglm.guard import guarded
from ansible.module_utils.chatglm.processes import isolated, source_of

TIMEOUT = 60  # seconds; cublasLt has hundreds of megabytes


def probe() -> list[dict[str, str]]:
    """Return the worker's answers."""
    try:
        done = subprocess.run(
            isolated(sys.executable, "-", *cuda_lookup.REPORTED),
            check=False,
            input=source_of(cuda_lookup_worker),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        out = (error.stdout or b"").decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
        return cuda_lookup.parse_answers(out, -1, f"took longer than {TIMEOUT} s")
    return cuda_lookup.parse_answers(done.stdout, done.returncode, done.stderr)


def read_sources() -> dict[str, str]:
    """Return path and text of APT's files of sources, as far as they can be read."""
    folder = Path("/etc/apt/sources.list.d")
    paths = [Path("/etc/apt/sources.list"), *folder.glob("*.list"), *folder.glob("*.sources")]
    texts = {}
    for path in paths:
        try:
            texts[str(path)] = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return texts


def main() -> None:
    """Probe; only when something does not load, look at APT."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "component": {"type": "str", "default": ""},
            "note": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    component = module.params["component"]
    answers = probe()
    missing = cuda_lookup.missing(answers)
    packages, content, there = [], "", True
    if missing:
        try:
            status = Path("/var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            status = ""
        installed = nvidia.installed_packages(status)
        packages = [name for name in module.params["packages"] if name not in installed]
        if component and packages:
            release = host.parse_os_release(Path("/etc/os-release").read_text(encoding="utf-8", errors="replace"))
            codename = host.distribution(release)["base_codename"]
            entries = apt_sources.parse(read_sources())
            content = apt_sources.stanzas(entries, codename, component)
            there = apt_sources.enabled(entries, codename, component)
        if module.params["note"] and packages and not module.check_mode:
            old = apt_packages.Note.from_json(read_json(module.params["note"]))
            try:
                made = apt_packages.note(apt_packages.parse(status), packages, content, old)
                write_json(module.params["note"], made.as_json())
            except OSError as error:
                module.fail_json(msg=str(unusable(error, module.params["note"])))
    failure = cuda_lookup.refusal(answers, module.params["packages"], packages)
    module.exit_json(
        changed=False,
        libraries=answers,
        missing=missing,
        refusal=str(failure) if failure else "",
        report=cuda_lookup.describe(answers),
        packages_missing=packages,
        sources_file={"path": apt_sources.TARGET, "content": content},
        component_enabled=there,
        root=os.getuid() == 0,
    )


if __name__ == "__main__":
    guarded(main)
