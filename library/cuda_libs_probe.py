#!/usr/bin/python
"""Load CUDA's libraries as cpm_kernels does, and tell what is to be done when they do not load."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_libs_probe
short_description: Load the CUDA runtime libraries as cpm_kernels does
description:
  - Looks for cudart and cublasLt where cpm_kernels looks for them, and loads them in a process of its own. The driver's
    cuda and nvrtc are reported too. What loads counts, not what dpkg says.
  - When they do not load, asks apt which of this release's packages hold them, also where their component is not
    enabled yet or apt's lists are empty. Then apt reads the lists of that component into a temporary folder, as this
    user, with the host's own sources, keys, preferences and proxies.
  - Tells where the libraries are to come from, which packages are not installed, and the APT source to be added.
  - Changes nothing, but for O(note).
version_added: "1.0.0"
options:
  packages:
    description: Packages that hold the libraries; empty to ask apt.
    type: list
    elements: str
    default: []
  component:
    description: Component of the distribution's archive that holds the packages, V(non-free) or V(multiverse).
    type: str
    default: ""
  cuda:
    description: CUDA of the torch build; packages of a later major version do not fit.
    type: str
    default: "12.8"
  origin:
    description: Where the libraries may come from; V(auto) takes the virtualenv's own where apt has none that fit.
    type: str
    choices: [auto, apt, virtualenv]
    default: auto
  linkable:
    description: Whether the virtualenv brings the libraries, as torch's CUDA builds do.
    type: bool
    default: false
  folder:
    description: Folder whose C(lib64) holds the links to the virtualenv's libraries, see M(cuda_links).
    type: path
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
- name: Load the CUDA libraries, or find out where they are to come from
  cuda_libs_probe:
    component: non-free
    cuda: "12.6"
    linkable: true
    folder: /home/me/chatglm/cuda
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
origin:
  description: Where they come from, V(system) as they are, V(apt), V(virtualenv); empty when there is a refusal.
  returned: always
  type: str
standing:
  description: Whether there are links to the virtualenv's libraries by now.
  returned: always
  type: bool
cuda_path:
  description: What CUDA_PATH is to say for a program to load what was loaded here.
  returned: always
  type: str
files:
  description: The files of cudart and cublasLt that were loaded; empty where they are the virtualenv's.
  returned: always
  type: list
refusal:
  description: Why installing the packages cannot help, and what does; empty when all is well, or when it can.
  returned: always
  type: str
packages:
  description: Packages that hold the libraries, as far as apt has any that fit; empty when they load.
  returned: always
  type: list
packages_missing:
  description: Those of them that are not installed; empty unless RV(origin=apt).
  returned: always
  type: list
asked:
  description: What apt said where it could not answer which packages it has.
  returned: always
  type: str
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

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.chatglm.core import host, nvidia
from ansible.module_utils.chatglm.core.files import read_json, unusable, write_json
from ansible.module_utils.chatglm.core.guard import guarded
from ansible.module_utils.chatglm.cuda_libs import apt_packages, apt_sources, cuda_lookup, cuda_packages, cuda_probe

APT_TIMEOUT = 120  # seconds for the lists of one component, some hundred kilobytes


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


def apt(words: list[str], config: str = "") -> tuple[str, str]:
    """Return stdout and stderr of one of apt's programs; ``config`` is read instead of the host's configuration."""
    environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", **({"APT_CONFIG": config} if config else {})}
    try:
        done = subprocess.run(
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=APT_TIMEOUT,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return "", f"E: {words[0]} took longer than {APT_TIMEOUT} s"
    except OSError as error:
        return "", f"E: {words[0]}: {error.strerror or error}"
    return done.stdout, done.stderr


def offered(cuda: str, config: str = "") -> list[str]:
    """Return the packages that apt would install, by the lists that it has."""
    names = [
        name for prefix in cuda_packages.PREFIXES for name in apt(["apt-cache", "pkgnames", prefix], config)[0].split()
    ]
    names = cuda_packages.known(names)
    policy = apt(["apt-cache", "policy", *names], config)[0] if names else ""
    return cuda_packages.choose(cuda_packages.parse_policy(policy), cuda)


def private_config(folder: str, sources: str) -> str:
    """Write the host's configuration of apt with its own folders in ``folder``, and return the file.

    Preferences, keys, proxies and dpkg's status stay the host's; what would be run after an update is left out.
    """
    settings = [
        line
        for line in apt(["apt-config", "dump"])[0].splitlines()
        if not re.match(
            r"(APT::Update::|DPkg::(Pre|Post)-|Dir::(State|Cache|Etc::(sourcelist|sourceparts|main|parts))\b)",
            line,
            re.I,
        )
    ]
    for name in ("lists/partial", "cache/archives/partial", "sources", "none"):
        os.makedirs(f"{folder}/{name}")
    Path(folder, "sources", "question.sources").write_text(sources, encoding="utf-8")
    settings += [
        f'Dir::State "{folder}"; Dir::State::lists "lists"; Dir::State::status "/var/lib/dpkg/status";',
        f'Dir::Cache "{folder}/cache"; Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "{folder}/sources";',
        f'Dir::Etc::main "{folder}/none/main"; Dir::Etc::parts "{folder}/none";',
        'Acquire::Languages "none"; Acquire::Retries "1";',
    ]
    path = f"{folder}/apt.conf"
    Path(path).write_text("\n".join(settings) + "\n", encoding="utf-8")
    return path


def ask_archive(cuda: str, sources: str) -> tuple[list[str], str]:
    """Return the packages that the archive has by the lists of ``sources``, and what apt said where it failed."""
    with tempfile.TemporaryDirectory(prefix="chatglm-apt-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # root's apt reads and fetches as another user  # noqa: S103
        config = private_config(folder, sources)
        told = apt(["apt-get", "-q", "update"], config)[1]
        packages = offered(cuda, config)
    errors = [line[3:] for line in told.splitlines() if line.startswith("E: ")]
    return packages, "" if packages else "; ".join(errors)[:300]


def main() -> None:
    """Probe; only when something does not load, ask apt."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "component": {"type": "str", "default": ""},
            "cuda": {"type": "str", "default": "12.8"},
            "origin": {"type": "str", "choices": ["auto", "apt", "virtualenv"], "default": "auto"},
            "linkable": {"type": "bool", "default": False},
            "folder": {"type": "path", "default": ""},
            "note": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    component, origin, linkable = params["component"], params["origin"], params["linkable"]
    standing = bool(params["folder"] and cuda_probe.links(params["folder"]))
    linked = linkable and (origin == "virtualenv" or (origin == "auto" and standing))
    answers = cuda_probe.probe(params["folder"] if linked else None)
    packages, absent, content, there, asked = params["packages"], [], "", True, ""
    if cuda_lookup.missing(answers) and not linked and not cuda_lookup.in_front(answers):
        try:
            status = Path("/var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            status = ""
        codename = ""
        with contextlib.suppress(OSError):
            release = host.parse_os_release(Path("/etc/os-release").read_text(encoding="utf-8", errors="replace"))
            codename = host.distribution(release)["base_codename"]
        entries = apt_sources.parse(read_sources())
        if not packages and shutil.which("apt-cache"):
            packages = offered(params["cuda"])
            question = apt_sources.stanzas(entries, codename, component, even_enabled=True) if component else ""
            if not packages and question:
                packages, asked = ask_archive(params["cuda"], question)
        installed = nvidia.installed_packages(status)
        absent = [name for name in packages if name not in installed]
        if component and absent:
            content = apt_sources.stanzas(entries, codename, component)
            there = apt_sources.enabled(entries, codename, component)
        if params["note"] and absent and not module.check_mode:
            old = apt_packages.Note.from_json(read_json(params["note"]))
            try:
                made = apt_packages.note(apt_packages.parse(status), absent, content, old)
                write_json(params["note"], made.as_json())
            except OSError as error:
                module.fail_json(msg=str(unusable(error, params["note"])))
    decided = cuda_lookup.decide(
        answers, origin=origin, standing=standing, linkable=linkable, packages=packages, packages_missing=absent
    )
    failure = None
    if not decided and origin == "virtualenv":
        failure = cuda_lookup.nothing_to_link()
    elif not decided:
        failure = cuda_lookup.refusal(answers, packages, absent, asked)
    # Named, so that what is loaded does not hang on whose environment it is: the service's has no such variable.
    own = os.environ.get("CUDA_PATH", "")
    named = own if own and any(answer["path"].startswith(f"{own}/") for answer in answers) else "/usr/local/cuda"
    module.exit_json(
        changed=False,
        libraries=answers,
        missing=cuda_lookup.missing(answers),
        origin=decided,
        standing=standing,
        cuda_path=params["folder"] if decided == "virtualenv" else named,
        files=[]
        if decided == "virtualenv"
        else [each["file"] for each in answers if each["name"] in cuda_lookup.REQUIRED],
        refusal=str(failure) if failure else "",
        report=cuda_lookup.describe(answers),
        packages=packages,
        packages_missing=absent if decided == "apt" else [],
        asked=asked,
        sources_file={"path": apt_sources.TARGET, "content": content if decided == "apt" else ""},
        component_enabled=there,
        root=os.getuid() == 0,
    )


if __name__ == "__main__":
    guarded(main)
