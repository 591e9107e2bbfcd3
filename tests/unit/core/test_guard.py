"""Errors that nobody foresaw: how a module ends, and what it tells."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core import guard, network_environment
from ansible.module_utils.chatglm.doctor import checks

ROOT = Path(__file__).resolve().parents[3]
# One without a main is done by an action plugin, and says here only what it does.
MODULES = sorted(path for path in (ROOT / "library").glob("*.py") if "def main" in path.read_text())
SECRET = "a-secret-word"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_module_leaves_by_the_guard(path):
    assert path.read_text().endswith('\n\nif __name__ == "__main__":\n    guarded(main)\n')


def run(path, arguments, broken):
    """Run a module as Ansible does, after ``broken`` was executed in its process."""
    code = f"""
import runpy, sys
import ansible.module_utils
ansible.module_utils.__path__.append({str(ROOT / "module_utils")!r})
from ansible.module_utils import basic
basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.stdin.buffer.read(), "legacy"
{broken}
runpy.run_path({str(path)!r}, run_name="__main__")
"""
    data = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=False, env=env)
    assert done.returncode == 1, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    return json.loads(lines[-1])


def test_its_words_name_the_place_and_the_report_and_no_secret(tmp_path):
    script = tmp_path / "openai_api.py"
    script.write_text("x = 1\n")
    arguments = {"path": str(script), "model_path": "/m", "record": str(tmp_path / "r.json"), "password": SECRET}
    broken = (
        "from ansible.module_utils.chatglm.web_demo import patch\n"
        f"def bad(*_): raise IndexError({SECRET!r} + ' of http://me:' + {SECRET!r} + '@host/')\n"
        "patch._plan_once = bad"
    )
    told = run(ROOT / "library" / "patch_web_demo.py", arguments, broken)
    assert told["failed"]
    assert "at module_utils/chatglm/web_demo/patch.py, line " in told["msg"]
    assert f"IndexError: ******** of http://***@host/ (about {script})" in told["msg"]
    assert f"the file {script}" in told["msg"]
    assert "git log -1" in told["msg"]
    assert SECRET not in json.dumps(told)
    assert script.read_text() == "x = 1\n"


def test_an_error_behind_the_arguments_is_told_by_its_place(tmp_path):
    arguments = {"home": str(tmp_path), "path": str(tmp_path / "seal.json"), "key": "k"}
    broken = (
        "from ansible.module_utils.chatglm.core import seal\n"
        f"def bad(*_): raise KeyError('https://me:{SECRET}@host/')\nseal.make = bad"
    )
    told = run(ROOT / "library" / "site_seal.py", arguments, broken)
    assert told["unforeseen"]
    assert "at library/site_seal.py, line " in told["msg"]
    assert "KeyError: 'https://***@host/'" in told["msg"]
    assert SECRET not in json.dumps(told)


def test_an_error_before_the_arguments_are_known_quotes_nothing(tmp_path):
    broken = (
        "import ansible.module_utils.chatglm.preflight.capacity\n"
        f"def bad(*_, **__): raise ValueError({SECRET!r})\nbasic.AnsibleModule.__init__ = bad"
    )
    # An AnsibleModule whose making failed knows no secrets yet, nor how to say so.
    told = run(ROOT / "library" / "capacity.py", {}, broken)
    assert told["failed"]
    assert "ValueError" in told["msg"]
    assert SECRET not in json.dumps(told)


@pytest.mark.parametrize("name", ["source", "weights", "virtualenv", "web_demo"])
def test_the_doctor_blames_no_file_of_the_users_for_it(name):
    told = str(guard.unforeseen(IndexError("list index out of range")))
    judges = {check.code: check.judge for check in checks.CHECKS}
    code = {"web_demo": "web_demo_edited", "virtualenv": "venv_blocked"}.get(name, f"{name}_blocked")
    finding = judges[code]({name: {"failed": True, "unforeseen": True, "msg": told}})
    assert finding.verdict == checks.UNKNOWN
    assert "IndexError" in str(finding.evidence)
    assert "report it" in str(finding.todo)


def test_network_variables_are_put_right_for_a_module_and_what_it_starts(monkeypatch):
    """What would lose something, such as the only proxy, stays; preflight refuses it."""
    for name in network_environment.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1,[::1]")
    monkeypatch.setenv("SSL_CERT_DIR", "/gone")
    monkeypatch.setenv("ALL_PROXY", "socks5://h:1")
    seen = {}
    guard.guarded(lambda: seen.update(os.environ))
    assert (seen["no_proxy"], seen["ALL_PROXY"]) == ("localhost,127.0.0.1,::1", "socks5://h:1")
    assert "SSL_CERT_DIR" not in seen
    assert {problem.code for problem in guard.network} == {"no_proxy_entry", "certificate_folder", "proxy_socks"}
    guard.network.clear()
