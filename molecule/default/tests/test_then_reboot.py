"""The last test, since a container that is started again may have another address: the chat starts with the host."""

import subprocess
import time

testinfra_hosts = ["ansible://chatglm"]


def inside(name, command):
    return subprocess.run(
        ["podman", "exec", "--user", "deploy", name, "sh", "-c", command], capture_output=True, text=True, check=False
    )


def test_the_chat_is_there_after_a_reboot(host):
    name = host.backend.get_pytest_id().removeprefix("ansible://")
    subprocess.run(["podman", "restart", "--time", "5", name], check=True, capture_output=True)
    limit = time.monotonic() + 180
    while time.monotonic() < limit:
        done = inside(name, "/home/deploy/chatglm/bin/chatglm status --ask")
        if done.returncode == 0:
            break
        time.sleep(1)
    assert "running (systemd" in done.stdout, done.stdout + done.stderr
    assert "演示用的微型" in done.stdout
