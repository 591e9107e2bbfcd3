"""The chat as a systemd service: it runs, in a sandbox that holds, it survives a crash, and gives up without memory."""

import json
import os
import textwrap
import time
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://chatglm"]

HOME = "/home/deploy/chatglm"
UNIT = "chatglm.service"
PROBE = textwrap.dedent("""
    import json, os, socket, sys
    home = sys.argv[1]
    def attempt(action):
        try:
            action()
            return "done"
        except OSError as error:
            return error.strerror
    def write(path):
        return attempt(lambda: open(path, "w").close())
    def connect(address, kind=socket.AF_INET):
        def act():
            with socket.socket(kind, socket.SOCK_STREAM) as s:
                s.settimeout(3)
                s.connect(address)
        return attempt(act)
    print("PROBE " + json.dumps({
        "etc": write("/etc/probe"), "var": write("/var/probe"), "source": write(home + "/source/probe"),
        "venv": write(home + "/venv/probe"), "models": write(home + "/models/probe"),
        "state": write(home + "/state/probe"),
        "cache": write(home + "/cache/probe"), "run": write(home + "/run/probe"), "tmp": write("/tmp/probe"),
        "homes": os.listdir("/home"), "beside": os.listdir(os.path.dirname(home)),
        "root": os.listdir("/root") if os.access("/root", os.R_OK) else [],
        "key": attempt(lambda: open(os.path.expanduser("~/.ssh/authorized_keys"))),
        "namespace": attempt(lambda: os.unshare(os.CLONE_NEWUSER)) if hasattr(os, "unshare") else "not asked",
        "raw": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "null": attempt(lambda: open("/dev/null")), "mem": attempt(lambda: open("/dev/kmsg", "w").write("probe")),
        "processes": sorted({os.stat("/proc/" + name).st_uid for name in os.listdir("/proc") if name.isdigit()}),
        "status": {k: v.strip() for k, _, v in (line.partition(":") for line in open("/proc/self/status"))},
        "mount": open("/proc/self/mounts").read().count(home),
        "loopback": connect(("127.0.0.1", 22)), "outside": connect((sys.argv[2], 22)),
    }))
""")

TYPE = textwrap.dedent("""
    import os, pty, sys
    def read(terminal):
        shown = os.read(terminal, 4096)
        if b"assword" in shown:
            os.write(terminal, sys.argv[1].encode() + b"\\n")
        return shown
    sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], read)))
""")


def show(host, name):
    return host.run(f"systemctl show --property {name} --value {UNIT}").stdout.strip()


def wait_until(what, seconds=120):
    """Return once ``what()`` is true, and fail after so many seconds."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if value := what():
            return value
        time.sleep(0.5)
    pytest.fail(f"not within {seconds} s")


def status(host, *words):
    return host.run(f"{HOME}/bin/chatglm status {' '.join(words)}")


def typed(host, *command):
    """Run the command chatglm in a terminal, where sudo asks for the password, which is typed."""
    password = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "password").read_text().strip()
    return host.run(f"python3 -c %s %s {HOME}/bin/chatglm {' '.join(command)}", TYPE, password)


@pytest.fixture
def quick(host):
    """Let systemd start it again after a second, and leave the service running."""
    folder = f"/run/systemd/system/{UNIT}.d"
    with host.sudo():
        host.run_test(
            f"mkdir -p {folder}; printf '[Service]\\nRestartSec=1\\n' >{folder}/quick.conf; systemctl daemon-reload"
        )
    yield
    with host.sudo():
        host.run(f"rm -r {folder}; systemctl daemon-reload; systemctl reset-failed {UNIT}; systemctl start {UNIT}")
    wait_until(lambda: status(host).rc == 0)


def test_it_runs_as_the_user_starts_with_the_host_and_answers(host):
    assert show(host, "UnitFileState") == "enabled"
    pid = show(host, "MainPID")
    assert host.run(f"stat -c %U /proc/{pid}").stdout.strip() == "deploy"
    done = status(host, "--ask")
    assert done.rc == 0, done.stdout + done.stderr
    assert "演示用的微型 int4 模型" in done.stdout


def test_systemd_calls_its_sandbox_tight(host):
    with host.sudo():
        done = host.run(f"systemd-analyze security --no-pager {UNIT}")
        assert UNIT not in host.run(f"systemd-analyze verify /etc/systemd/system/{UNIT} 2>&1").stdout
    last = done.stdout.strip().splitlines()[-1]
    assert float(last.split(": ")[1].split()[0]) <= 2.0, last


def test_the_sandbox_holds(host):
    """What the unit says, asked from inside: a second unit with its text, and a probe in the place of the chat."""
    with host.sudo():
        host.run("install -d -m 0755 /home/other; echo secret >/home/other/secret; chmod 0644 /home/other/secret")
        text = host.file(f"/etc/systemd/system/{UNIT}").content_string
        host.run(f"cat >{HOME}/run/probe.py <<'END'\n{PROBE}\nEND")
        gateway = host.run("ip route").stdout.split("via ")[1].split()[0]
        command = f"/usr/bin/python3 -I {HOME}/run/probe.py {HOME} {gateway}"
        lines = [line for line in text.splitlines() if not line.startswith(("Restart=", "Type="))]
        lines = [f"Type=oneshot\nExecStart={command}" if line.startswith("ExecStart=") else line for line in lines]
        path = "/run/systemd/system/chatglm-probe.service"
        host.run(f"cat >{path} <<'END'\n" + "\n".join(lines) + "\nEND")
        host.run("systemctl daemon-reload")
        done = host.run(
            "systemctl start chatglm-probe; journalctl --sync; journalctl --unit chatglm-probe --output cat --no-pager"
        )
        firewall = host.run("systemctl show --property IPEgressPackets --value chatglm.service").stdout.strip()
        host.run(
            f"rm -r {path} {HOME}/run/probe.py {HOME}/run/probe {HOME}/cache/probe /home/other; systemctl daemon-reload"
        )
    line = next((line for line in done.stdout.splitlines() if line.startswith("PROBE ")), None)
    assert line, done.stdout
    seen = json.loads(line[6:])
    for name in ("etc", "var", "source", "venv", "models", "state"):
        assert seen[name] == "Read-only file system", (name, seen[name])
    assert (seen["cache"], seen["run"], seen["tmp"]) == ("done", "done", "done")
    assert seen["homes"] == ["deploy"]
    assert seen["beside"] == ["chatglm"]
    assert seen["root"] == []  # an empty one in the place of the true one, which has files
    assert seen["key"] == "No such file or directory"
    assert seen["raw"] != "done"
    assert seen["mem"] != "done"
    assert seen["null"] == "done"
    assert seen["namespace"] in ("Operation not permitted", "not asked")
    assert not host.file("/tmp/probe").exists
    assert seen["status"]["NoNewPrivs"] == "1"
    assert seen["status"]["CapBnd"] == "0000000000000000"
    assert seen["status"]["Seccomp"] == "2"
    assert seen["loopback"] == "done"
    # The firewall of a unit needs cgroup v2 and BPF; where the kernel cannot, systemd counts nothing.
    if firewall.isdigit():
        assert seen["outside"] != "done"


@pytest.mark.usefixtures("quick")
def test_a_crash_is_survived(host):
    old = show(host, "MainPID")
    page = host.run(f"pgrep --parent {old}").stdout.split()[0]
    host.run_test(f"kill -KILL {page}")
    wait_until(lambda: show(host, "MainPID") not in ("0", old))
    wait_until(lambda: status(host).rc == 0)
    assert host.run(f"test -e /proc/{page}").rc != 0
    assert int(show(host, "NRestarts")) >= 1


@pytest.mark.usefixtures("quick")
def test_a_death_by_lack_of_memory_is_final(host):
    launcher = f"{HOME}/bin/chatglm-run"
    stub = """#!/bin/sh
echo "Traceback (most recent call last):" >&2
echo "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 214.00 MiB. GPU 0 has 6.00 GiB" >&2
exit 1
"""
    host.run_test(f"cp -p {launcher} {launcher}.kept")
    try:
        host.run_test(f"cat >{launcher} <<'END'\n{stub}END")
        with host.sudo():
            host.run_test(f"systemctl restart {UNIT}")
        wait_until(lambda: show(host, "ActiveState") == "failed")
        time.sleep(3)
        assert (show(host, "ExecMainStatus"), show(host, "NRestarts")) == ("86", "0")
        assert "memory ran out" in status(host).stdout
        assert status(host).rc == 3
    finally:
        host.run_test(f"mv {launcher}.kept {launcher}")


def test_the_command_is_linked_and_stops_and_starts_only_the_service(host):
    assert host.run("readlink ~/.local/bin/chatglm").stdout.strip() == f"{HOME}/bin/chatglm"
    stopped = typed(host, "stop")
    assert stopped.rc == 0, stopped.stderr
    assert "sudo systemctl stop" in stopped.stdout
    assert status(host).rc == 3
    started = typed(host, "start")
    assert started.rc == 0, started.stdout + started.stderr
    assert "http://127.0.0.1:7860" in started.stdout
    answer = host.run(f"echo 你好 | {HOME}/bin/chatglm chat")
    assert "演示用的微型" in answer.stdout
