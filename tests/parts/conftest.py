"""Shared by the parts of ./test: running a tool with its output shown, and what the system has to provide."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))


def as_root() -> list[str] | None:
    """Return the words to put before a command that needs root, or None when this user may not."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def apt_install(packages: list[str]) -> str:
    """Install Debian packages; return "" or why it was not possible."""
    prefix = as_root()
    if prefix is None or not shutil.which("apt-get"):
        return f"run: sudo apt-get install {' '.join(packages)}"
    print(f"installing {' '.join(packages)} with apt", flush=True)
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run([*prefix, *env, "apt-get", "-q", *command], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"apt-get install {' '.join(packages)} failed:\n{done.stderr[-2000:]}"


@pytest.fixture(scope="session")
def need(request):
    """Return a function that makes sure of programs, given as {program: Debian package}.

    A part that was named on the command line fails when it cannot run; otherwise it is skipped with the reason.
    """

    def ensure(programs: dict[str, str], part: str) -> None:
        missing = sorted({package for program, package in programs.items() if not find(program)})
        problem = apt_install(missing) if missing else ""
        still = sorted({package for program, package in programs.items() if not find(program)})
        if still:
            cannot_run(part, f"missing {', '.join(still)}; {problem}")

    return ensure


def find(program: str) -> bool:
    """Tell whether a program (or, given as an absolute path, a file) is there."""
    return Path(program).exists() if program.startswith("/") else bool(shutil.which(program) or sbin(program))


def sbin(program: str) -> str | None:
    return shutil.which(program, path="/usr/sbin:/sbin")


def cannot_run(part: str, reason: str) -> None:
    """Fail the part if it was asked for by name, else skip it."""
    if part in os.environ.get("CHATGLM_TEST_NAMED", "").split():
        pytest.fail(f"{part} could not run: {reason}", pytrace=False)
    pytest.skip(f"{part} could not run: {reason}")


def show(*command: object, **options) -> None:
    """Run a command with its output shown; fail the test, without a traceback, when its exit status is not 0."""
    words = [str(word) for word in command]
    env = options.pop("env", dict(os.environ))
    if not sys.stdout.isatty():  # some of the tools colour a file as well
        env.update(NO_COLOR="1", ANSIBLE_NOCOLOR="1", TERM="dumb", COLUMNS="160")
    print(f"\n$ {' '.join(words)}", flush=True)
    status = subprocess.run(words, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, **options).returncode
    if status:
        pytest.fail(f"exit status {status}: {' '.join(words)}", pytrace=False)
