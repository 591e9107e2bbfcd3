"""One run at a time: who waits, for how long, what a waiting user is told, and that no dead process is in the way."""

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import env_host
import pytest
import smoke_host
import yaml
from ansible.module_utils.chatglm.core import files, lock
from ansible.module_utils.chatglm.core.failure import Failure

ROOT = Path(__file__).resolve().parents[3]
HOLD = f"""
import subprocess, sys
sys.path.insert(0, {str(ROOT / "module_utils")!r})
from chatglm.core import lock
with lock.hold({{"lock": sys.argv[1], "lock_timeout": 60}}, "building the virtualenv", print):
    print("held", flush=True)
    if sys.argv[2:]:
        print(subprocess.Popen(sys.argv[2:]).pid, flush=True)
    sys.stdin.readline()
"""
BAD = ["", "{", "[1]", "\x00\x01", '{"pid": 1}', "process 42"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "lock"


@pytest.fixture
def rival(path):
    """A process that holds the lock until it is told to go on or is killed."""
    holders = []

    def start(*command):
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        holders.append(child)
        assert child.stdout.readline() == "held\n"
        return child

    yield start
    for child in holders:
        child.kill()
        child.communicate()


def take(path, timeout=0.0, told=None):
    with lock.hold({"lock": str(path), "lock_timeout": timeout}, "testing", (told if told is not None else []).append):
        return lock.holder(path)


def refused(path, timeout=0.0):
    with pytest.raises(Failure) as caught:
        take(path, timeout)
    return str(caught.value)


def test_a_holder_is_named_and_gone_afterwards(path):
    assert re.fullmatch(
        rf"process {os.getpid()} of \S+, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d, testing", take(path)
    )
    assert lock.holder(path) == ""
    assert path.read_text() == ""


def test_without_a_lock_nothing_is_written(tmp_path):
    with lock.hold({}, "testing", print):
        assert list(tmp_path.iterdir()) == []


def test_a_second_run_is_told_who_is_at_work(path, rival):
    child = rival()
    started = time.monotonic()
    message = refused(path)
    assert time.monotonic() - started < 60  # not the 600 s that a run waits by itself
    assert re.match(
        rf"Found: another run at work on this installation: process {child.pid} of \S+, since [-\d: +]+, "
        rf"building the virtualenv \({path}\)\. Expected: one run at a time\. To do: wait for it to end",
        message,
    )
    assert "chatglm_lock_timeout" in message
    assert ", after a wait of 1 s: process" in refused(path, 1)


def test_a_second_run_waits_and_says_for_whom(path, rival):
    child = rival()
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    time.sleep(2.5)
    assert waiting.poll() is None
    child.communicate("go on\n")
    said = waiting.communicate("go on\n", timeout=30)[0]
    assert re.match(rf"waited \d+ s for process {child.pid} of \S+, since .*, building the virtualenv\nheld\n", said)


def test_a_killed_holder_is_no_obstacle(path, rival):
    child = rival()
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert json.loads(path.read_text())["pid"] == child.pid, "its note is still there"
    assert lock.holder(path) == ""
    assert "testing" in take(path)


def test_what_a_holder_has_started_does_not_keep_the_lock(path, rival):
    child = rival("sleep", "60")
    left = int(child.stdout.readline())
    try:
        child.kill()
        child.wait()
        os.kill(left, 0)
        assert "testing" in take(path)
    finally:
        os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize("text", BAD)
def test_whatever_is_in_the_file_it_can_be_taken(path, text):
    path.parent.mkdir()
    path.write_text(text)
    assert lock.holder(path) == ""
    assert "testing" in take(path)


@pytest.mark.parametrize("text", BAD)
def test_a_holder_that_gives_no_name(path, text):
    path.parent.mkdir()
    path.write_text(text)
    with open(path) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert lock.holder(path) == "a process that gives no name"
        assert "a process that gives no name" in refused(path)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, ["Permission denied), it belongs to ", "chmod u+rwX "]),
        (errno.ENOSPC, ["No space left on device", "df -i "]),
        (errno.EDQUOT, ["quota", "make room"]),
        (errno.EROFS, ["Read-only file system", "mount it for writing"]),
    ],
)
def test_a_lock_file_that_cannot_be_opened(path, monkeypatch, number, told):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.os, "open", fail)
    message = refused(path)
    assert all(text in message for text in told), message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, and only others are refused")
def test_a_folder_that_is_read_only_by_its_mode():
    """Of a user without a name; the file that could not be made is a temporary one, which nobody knows."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        inside = Path(folder, "my bin")
        inside.mkdir()
        os.chown(inside, 54321, 54321)
        os.chmod(inside, 0o500)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.setgid(54321)
            os.setuid(54321)
            told = ""
            try:
                files.write_atomic(inside / "chatglm-run", b"")
            except OSError as error:
                told = str(files.unusable(error, inside / "chatglm-run"))
            subprocess.run(["sh", "-ec", told.partition("To do: ")[2].partition(";")[0]], check=True)
            files.write_atomic(inside / "chatglm-run", b"")
            os.write(writing, told.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            assert f"Found: {inside} cannot be used (Permission denied)" in stream.read()
        assert os.waitpid(child, 0)[1] == 0
        assert (inside / "chatglm-run").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, and only others are refused")
def test_a_lock_file_of_root():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder, "lock")
        path.touch(0o644)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.setgid(65534)
            os.setuid(65534)
            try:
                take(path)
            except Failure as failure:
                os.write(writing, str(failure).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            assert "lock cannot be used (Permission denied), it belongs to root" in stream.read()
        os.waitpid(child, 0)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("elsewhere"), os.mkfifo])
def test_what_is_no_file_is_refused_or_harmless(path, make):
    path.parent.mkdir()
    make(path)
    if path.is_fifo():
        assert take(path) == "a process that gives no name"
    else:
        assert f"move {path} away" in refused(path)
    assert not (path.parent / "elsewhere").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_done_without_and_said(path, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", fail)
    told = []
    take(path, told=told)
    assert told == [f"the file system of {path} has no locks: see to it that no second run is at work there"]


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_none(path, monkeypatch):
    flock, calls = fcntl.flock, []

    def late(handle, how):
        if not calls:
            path.unlink()
        calls.append(how)
        return flock(handle, how)

    monkeypatch.setattr(lock.fcntl, "flock", late)
    with lock.hold({"lock": str(path), "lock_timeout": 5}, "testing", print):
        assert calls == [fcntl.LOCK_EX | fcntl.LOCK_NB] * 2
        assert path.exists()


def test_two_builds_of_one_virtualenv_at_once(tmp_path):
    """Two real processes: one builds, the other waits for it, looks again and finds nothing to do."""
    host = env_host.EnvHost(tmp_path)
    options = {"lock": str(host.home / "state" / "lock"), "lock_timeout": 120}
    children = [host.start(**options), host.start(**options)]
    results = [json.loads(child.communicate(timeout=120)[0].splitlines()[-1]) for child in children]
    assert not any(result.get("failed") for result in results), results
    assert sorted(result["action"] for result in results) == ["create", "none"]
    assert sorted(result["changed"] for result in results) == [False, True]
    assert results[0]["digest"] == results[1]["digest"]
    assert host.good(**options)["action"] == "none"


def test_two_proofs_at_once_are_one(tmp_path):
    """The second run waits for the first one's proof, and takes it for its own."""
    host = smoke_host.Host(tmp_path, 18190)
    options = {"lock": str(tmp_path / "state" / "lock"), "repaired": ["weights"], "mode": "always"}
    children = [host.start(**options), host.start(**options)]
    results = [json.loads(child.communicate(timeout=120)[0]) for child in children]
    assert [result["verdict"] for result in results] == ["ok", "ok"], results
    assert sorted(result["changed"] for result in results) == [False, True]
    assert results[0]["time"] == results[1]["time"]
    assert any("by another run while this one waited for it" in result["msg"] for result in results)
    assert host.started() == [sys.executable, ""], "one worker, one page"


@pytest.mark.parametrize("check", [True, False])
def test_check_mode_and_a_run_without_work_take_no_lock(tmp_path, check):
    host = env_host.EnvHost(tmp_path)
    at = host.home / "state" / "lock"
    if not check:
        host.good()
    at.parent.mkdir(parents=True, exist_ok=True)
    with open(at, "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        result = host.run(check=check, lock=str(at), lock_timeout=0)
    assert not result.get("failed")
    assert result["changed"] is check


def test_every_task_that_changes_the_installation_takes_the_one_lock():
    changing = {path.stem for path in (ROOT / "library").glob("*.py") if "lock.OPTIONS" in path.read_text()}
    assert changing >= {
        "python_env", "source_checkout", "model_snapshot", "patch_web_demo", "int4_smoke_test", "site_seal"
    }  # fmt: skip
    found = set()
    for path in (ROOT / "roles").glob("*/tasks/*.yml"):
        tasks = yaml.safe_load(path.read_text())
        while tasks:
            task = tasks.pop()
            tasks += task.get("block", []) + task.get("rescue", []) + task.get("always", [])
            for name in changing & task.keys():
                if task.get("check_mode") or task[name].get("state") in ("answering", "stopped"):  # no file changes
                    continue
                found.add(name)
                role = path.parts[-3]
                # As root, whose home is another one, from the absolute path that the module found before.
                lock = "{{ service_result.home }}/state/lock" if task.get("become") else f"{{{{ {role}_lock }}}}"
                assert task[name]["lock"] == lock, path
                assert task[name]["lock_timeout"] == "{{ chatglm_lock_timeout }}", path
                defaults = yaml.safe_load((path.parents[1] / "defaults" / "main.yml").read_text())
                assert defaults[f"{role}_lock"] == "{{ chatglm_home }}/state/lock"
    assert found == changing
