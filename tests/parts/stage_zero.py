"""Parts for the tests of bootstrap: a package index in a folder, a checkout, and remedies applied to the letter.

The uv of the folder's wheel calls the real one; its ansible only answers (tests/standins/README.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from conftest import ROOT

UV_VERSION = re.search(r"(?m)^uv==(\S+)", (ROOT / "requirements" / "control.txt").read_text())[1]
PASTED = re.compile(r"(?m)^bootstrap:     (?!found:|expected:|to do:|发现:|应为:|处理:)(.*)$")
"""A line that bootstrap shows to be pasted."""


def wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    """Write a wheel; return its digest."""
    path = folder / name
    package, version = name.split("-")[:2]
    info = f"{package}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            entry = zipfile.ZipInfo(inner)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{inner},,\n" for inner in [*files, f"{info}/RECORD"]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_index(folder: Path, ansible: str = "print('ansible [core 0]')") -> Path:
    """Fill a folder with what the stand-in lock names; return the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    real = shutil.which("uv", path=str(Path(sys.prefix).parent)) or str(ROOT / ".venv" / "bin" / "uv")
    pythons = f"{folder}/pythons.json"
    script = f'#!/bin/sh\n[ ! -f "{pythons}" ] || export UV_PYTHON_DOWNLOADS_JSON_URL="{pythons}"\n'
    uv = wheel(
        folder,
        f"uv-{UV_VERSION}-py3-none-manylinux_2_17_{platform.machine()}.manylinux2014_{platform.machine()}.whl",
        {f"uv-{UV_VERSION}.data/scripts/uv": f'{script}exec "{real}" "$@"\n'},
    )
    core = wheel(
        folder,
        "ansible_core-0-py3-none-any.whl",
        {
            "ansible_stand_in.py": f"def main():\n    {ansible}\n",
            "ansible_core-0.dist-info/entry_points.txt": "[console_scripts]\nansible = ansible_stand_in:main\n",
        },
    )
    lock = folder / "control.txt"
    lock.write_text(f"ansible-core==0 \\\n    --hash=sha256:{core}\nuv=={UV_VERSION} \\\n    --hash=sha256:{uv}\n")
    return lock


def add_python(folder: Path) -> str:
    """Add an archive in the layout of python-build-standalone, and uv's list with it; return the mirror's address."""
    tree = folder / "tree" / "python"
    (tree / "bin").mkdir(parents=True)
    (tree / "lib" / "python3.12").mkdir(parents=True)
    (tree / "lib" / "python3.12" / "_sysconfigdata__linux_x86_64-linux-gnu.py").write_text(
        "# system configuration generated and used by the sysconfig module\nbuild_time_vars = {}\n"
    )
    (tree / "bin" / "python3.12").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tree / "bin" / "python3.12").chmod(0o755)
    machine = platform.machine()
    name = f"20261110/cpython-3.12.16%2B20261110-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    path = folder / "mirror" / name.replace("%2B", "+")
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tree, "python")
    entry = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": 3,
        "minor": 12,
        "patch": 16,
        "prerelease": "",
        "url": f"https://github.com/astral-sh/python-build-standalone/releases/download/{name}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "variant": None,
        "build": "20261110",
    }
    (folder / "pythons.json").write_text(json.dumps({f"cpython-3.12.16-linux-{machine}-gnu": entry}))
    return (folder / "mirror").as_uri()


def make_checkout(folder: Path, lock: Path) -> Path:
    """Write what bootstrap needs of a checkout."""
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "bootstrap", folder)
    shutil.copy(ROOT / "requirements" / "stage_zero.py", folder / "requirements")
    shutil.copy(lock, folder / "requirements" / "control.txt")
    shutil.copytree(ROOT / "module_utils", folder / "module_utils", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def until_it_works(
    command: list[str], environment: dict[str, str], shell: tuple[str, ...] = ("/bin/sh",), tries: int = 6
):
    """Run a command; apply what it shows to be pasted, in the same shell, until it works or shows nothing new.

    Returns:
        (the last run, the lines that were applied).

    """
    applied: list[str] = []
    environment = dict(environment)
    for _ in range(tries):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
        lines = PASTED.findall(done.stderr)
        if done.returncode == 0 or not lines:
            return done, applied
        assert not set(lines) & set(applied), f"advice that leads back to itself: {done.stderr}"
        for line in lines:
            after = subprocess.run([*shell, "-c", f"{line}\n/usr/bin/env -0"], capture_output=True, env=environment)
            assert after.returncode == 0, after.stderr.decode()
            pairs = (pair.split("=", 1) for pair in after.stdout.decode().rpartition("\0")[0].split("\0"))
            environment = {name.rpartition("\n")[2]: value for name, value in pairs}
            applied.append(line)
    raise AssertionError(f"still not after {applied}: {done.stderr}")


def plain_environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a fresh user."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), **more}
