"""What a run shows: errors in the user's language, and no checks of types, in plays of ansible's own."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


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


@pytest.mark.parametrize(("words", "shown"), [([], False), (["-v"], True), (["-e", "chatglm_port=x"], True)])
def test_a_check_of_types_is_shown_where_it_fails(tmp_path, words, shown):
    command = [sys.executable, "-m", "ansible", "playbook", "playbooks/preflight.yml", "-i", "inventory/demo"]
    command += ["-e", f"chatglm_home={tmp_path}/home", "-e", "chatglm_standins=false", *words]
    command += ["-e", "preflight_check_sources=never"]
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert ("Validating arguments" in done.stdout) is shown, done.stdout + done.stderr
    assert ("unable to convert to int" in done.stdout) is ("chatglm_port=x" in words)
    assert "PLAY RECAP" in done.stdout


def test_the_progress_shows_below_what_ansible_cfg_names():
    named = re.search(r"^stdout_callback = (\w+)$", (ROOT / "ansible.cfg").read_text(), re.MULTILINE)
    readable = re.search(r"^READABLE = (.*)$", (ROOT / "callback_plugins/progress.py").read_text(), re.MULTILINE)
    assert named[1] in ast.literal_eval(readable[1])
