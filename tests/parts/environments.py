"""The virtual environments that the checks run in: one per Python, from requirements/test.txt."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("CHATGLM_CACHE", ROOT / ".cache"))
LOCK = ROOT / "requirements" / "test.txt"
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def pip_setting(name: str) -> str:
    """Return pip's own setting of this name, such as "index-url", from its variables and files; "" when it has none."""
    sys.path.insert(0, str(ROOT / "module_utils"))
    from chatglm.virtualenv import pip_config

    value = getattr(pip_config.read(os.environ), name.replace("-", "_"))
    return value if isinstance(value, str) else " ".join(value)


def uv_environment() -> dict[str, str]:
    """Return the environment for uv: the system's certificates and the package index that pip is set to."""
    env = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    if (index := pip_setting("index-url")) and "UV_DEFAULT_INDEX" not in env:
        env["UV_DEFAULT_INDEX"] = index
    return env


def ensure(interpreter: Path) -> Path:
    """Return the Python of the test environment for ``interpreter``, made first when missing or stale.

    Raises:
        SystemExit: uv could not make it; its own message is on standard error.

    """
    version = subprocess.check_output(
        [interpreter, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], text=True
    ).strip()
    folder = CACHE / "test" / version
    stamp = folder / "stamp"
    # Console scripts hold absolute paths, so the place is part of what the environment was made from.
    made_from = f"{hashlib.sha256(LOCK.read_bytes()).hexdigest()} {os.path.realpath(interpreter)} {ROOT}\n"
    python = folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == made_from and python.exists():
        return python
    print(f"making the test environment for Python {version}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    uv, env = str(Path(sys.executable).parent / "uv"), uv_environment()
    for command in (
        [uv, "venv", "--quiet", "--python", os.path.realpath(interpreter), str(folder)],
        [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(LOCK)],
    ):
        if subprocess.run(command, env=env, check=False).returncode:
            sys.exit(f"The test environment for Python {version} could not be made by: {' '.join(command)}")
    stamp.write_text(made_from)
    return python


def interpreters() -> dict[str, Path]:
    """Return version ("3.12") -> interpreter, for each supported Python of this machine (PATH, then pyenv)."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        on_path = [Path(place) / f"python{version}" for place in os.environ["PATH"].split(os.pathsep)]
        for candidate in [*on_path, *sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True)]:
            if not candidate.is_file():
                continue
            probe = subprocess.run(
                [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if probe.stdout.strip() == version:  # a version manager's shim answers only for some
                found[version] = candidate
                break
    return found
