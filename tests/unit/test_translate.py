"""The callback that says errors in the user's language, in a play of ansible's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_host_that_cannot_be_reached_is_told_in_chinese(tmp_path, language):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "chatglm: {hosts: {away: {ansible_host: 127.0.0.1, ansible_port: 9, ansible_connection: ssh}}}\n"
    )
    command = [sys.executable, "-m", "ansible", "playbook", "site.yml", "-i", str(inventory)]
    command += ["-e", f"chatglm_language={language}", "-e", "chatglm_report="]
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert "unreachable=1" in done.stdout
    assert ("发现：连不上这台主机" in done.stdout) is (language == "zh"), done.stdout + done.stderr
    assert ("处理：先让 ssh 127.0.0.1 true" in done.stdout) is (language == "zh")
