"""A host for python_env in a temporary folder: small wheels made on the spot, lock files for them, and real runs."""

import base64
import hashlib
import io
import json
import locale
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import redirect_stdout, suppress
from pathlib import Path
from unittest import mock

import python_env
from ansible.module_utils import basic

ROOT = Path(__file__).resolve().parents[2]
MODULE = f"""
import runpy, sys
import ansible.module_utils
ansible.module_utils.__path__.append({str(ROOT / "module_utils")!r})
try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # before ansible-core 2.19 a module reads its arguments as they are
    runpy.run_path({str(ROOT / "library" / "python_env.py")!r}, run_name="__main__")
else:
    import json
    with patch_module_args(json.load(sys.stdin)["ANSIBLE_MODULE_ARGS"]):
        runpy.run_path({str(ROOT / "library" / "python_env.py")!r}, run_name="__main__")
"""
PYTHON = os.path.realpath(sys.executable)


def uv_binary() -> str:
    """Return the path of uv, or an empty text."""
    try:
        from uv import find_uv_bin
    except ImportError:
        return shutil.which("uv") or ""
    return find_uv_bin()


def wheel(folder: Path, name: str, version: str, files=None, *, requires=(), tag: str = "py3-none-any") -> str:
    """Write a wheel and return its line in a lock file."""
    files = dict(files or {f"{name}/__init__.py": f"VERSION = {version!r}\n", f"{name}/data.txt": "data\n" * 50})
    info = f"{name}-{version}.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {item}\n" for item in requires
    )
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0)), text)
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def module_arguments(given: dict):
    """Return the context in which a module reads these arguments."""
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:  # ansible-core before 2.18
        return mock.patch.object(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode())
    return patch_module_args(given)


class EnvHost:
    """One host: its wheels, its lock, its environment.

    Args:
        tmp_path: everything lives below.

    """

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path
        self.wheels = tmp_path / "wheels"
        self.home = tmp_path / "home"
        self.path = self.home / "venv"
        self.cache = self.home / "cache" / "uv"
        self.user_home = tmp_path / "user"
        self.user_home.mkdir()
        self.pins = {
            "alpha": wheel(self.wheels, "alpha", "1.0"),
            "beta": wheel(self.wheels, "beta", "2.1", requires=["alpha"]),
            "gamma": wheel(self.wheels, "gamma", "3.0"),
        }
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.user_home),
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_INDEX": "1",
        }

    @property
    def site(self) -> Path:
        return next((self.path / "lib").glob("python3*")) / "site-packages"

    def arguments(self, check: bool, **options: object) -> dict:
        return {
            "path": str(self.path),
            "python": PYTHON,
            "requirements": ["# a lock\n" + "".join(self.pins.values())],
            "uv": uv_binary(),
            "cache_dir": str(self.cache),
            "imports": ["alpha", "beta"],
            **options,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(self.root / "ansible"),
        }

    def start(self, **options: object) -> subprocess.Popen:
        """Start a real run as a process of its own."""
        child = subprocess.Popen(
            [sys.executable, "-c", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ,
            text=True,
        )
        child.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": self.arguments(False, **options)}))
        child.stdin.close()
        child.stdin = None
        return child

    def run(self, check: bool = False, **options: object) -> dict:
        """Run the module in this process, which saves most of the time, and return its result."""
        given = self.arguments(check, **options)
        out = io.StringIO()
        environ = mock.patch.dict(os.environ, self.environ, clear=True)
        spoken = locale.setlocale(locale.LC_ALL)
        try:
            with environ, module_arguments(given), redirect_stdout(out), suppress(SystemExit):
                python_env.main()
        finally:
            locale.setlocale(locale.LC_ALL, spoken)  # a module takes its environment's for the whole process
        return json.loads(out.getvalue().strip().splitlines()[-1])

    def good(self, **options: object) -> dict:
        """Run in both modes, compare what they say, and return the real run's result; it must end well."""
        checked = self.run(check=True, **options)
        result = self.run(**options)
        assert not result.get("failed"), result["msg"]
        for key in ("changed", "diff", "action", "reason", "install", "reinstall", "remove"):
            assert checked[key] == result[key], key
        return result

    def version(self, name: str) -> str:
        done = subprocess.run(
            [str(self.path / "bin" / "python"), "-c", f"import {name}; print({name}.VERSION)"],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()
