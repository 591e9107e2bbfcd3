"""apt_install with a program in apt-get's place; that real ones obey was tried on Debian."""

import fcntl
import os
import stat
import subprocess
import sys
from functools import partial

import apt_install
import pytest

PROGRAM = """#!/bin/sh
echo "$*" >>{log}
env >{folder}/env
read -r line && echo "asked: $line"
case "$*" in
    *update*) echo "$UPDATE" >&2; exit "${{UPDATE_STATUS:-0}}" ;;
    *) echo "Fetched 206 MB in 12s (17.2 MB/s)"; echo "$INSTALL" >&2; exit "${{STATUS:-0}}" ;;
esac
"""


@pytest.fixture
def run(run_module, tmp_path, monkeypatch):
    """Return a function that runs the module; the words that apt-get was called with are in ``log``."""
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(log=tmp_path / "log", folder=tmp_path))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(apt_install, "LOCKS", (str(tmp_path / "lock-frontend"),))
    monkeypatch.setattr(apt_install, "PAUSE", 0.1)
    return partial(run_module, apt_install, packages=["a", "b"])


def test_installs_and_nobody_can_be_asked(run, tmp_path):
    answer = run()
    assert (answer["changed"], answer["fetched"]) == (True, "206 MB")
    assert "asked:" not in answer["stdout"]
    update, install = (tmp_path / "log").read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith("--force-confold --no-install-recommends install -- a b")
    assert "DPkg::Lock::Timeout=600" in install
    seen = (tmp_path / "env").read_text()
    assert all(f"{name}={value}\n" in seen for name, value in apt_install.QUIET.items())


def test_removes_exactly_these(run, tmp_path):
    run(state="absent")
    assert (tmp_path / "log").read_text().endswith(" --no-auto-remove purge a b\n")


DEAD = """W: Failed to fetch https://dead.example/debian/dists/x/InRelease  Could not resolve 'dead.example'
E: The repository 'http://gone.example/ubuntu noble Release' does not have a Release file."""


@pytest.mark.parametrize("status", ["0", "100"])
def test_a_list_of_somebody_else_s_that_fails_is_a_warning(run, monkeypatch, status):
    monkeypatch.setenv("UPDATE", DEAD)
    monkeypatch.setenv("UPDATE_STATUS", status)
    answer = run()
    assert answer["changed"]
    # Ansible keeps the warnings of all tests of this process.
    assert (
        "apt could not renew these lists: https://dead.example/debian/dists/x/InRelease, http://gone.example/ubuntu; "
        "the installation goes on without them"
    ) in str(answer["warnings"])


def test_where_the_installation_fails_the_list_is_named(run, monkeypatch):
    monkeypatch.setenv("UPDATE", DEAD)
    monkeypatch.setenv("INSTALL", "E: Unable to locate package a")
    monkeypatch.setenv("STATUS", "100")
    message = run()["msg"]
    assert "apt-get could not install a, b: Unable to locate package a; these lists could not be renewed" in message
    assert "http://gone.example/ubuntu" in message
    monkeypatch.setenv("UPDATE", "")
    assert "sudo dpkg --configure -a" in run()["msg"]


HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); "


@pytest.fixture
def held(tmp_path):
    """Return a function that holds the lock in another process for so many seconds."""
    started = []

    def hold(seconds):
        code = HOLD + f"time.sleep({seconds})"
        path = tmp_path / "lock-frontend"
        started.append(subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE))
        started[-1].stdout.readline()
        return started[-1].pid

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_waits_for_who_holds_the_lock_and_says_so(run, held):
    pid = held(1)
    answer = run()
    assert answer["changed"]
    assert f"for apt, which was held by process {pid} (" in str(answer["warnings"])


def test_says_who_holds_it_for_ever(run, held, tmp_path):
    pid = held(60)
    message = run(lock_timeout=1)["msg"]
    assert f"apt is held by process {pid} (" in message
    assert not (tmp_path / "log").exists()


def test_a_lock_that_may_not_be_looked_at_and_none(tmp_path):
    assert apt_install.holder((str(tmp_path / "absent"),)) == ""
    (tmp_path / "own").touch()
    with open(tmp_path / "own", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert apt_install.holder((str(tmp_path / "own"),)) == ""  # a process never stands in its own way
