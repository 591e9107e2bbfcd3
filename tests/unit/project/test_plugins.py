"""The plugins: one way to module_utils, and one action for every module, in plays of this environment's own Ansible."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = sorted(ROOT.glob("*_plugins/*.py"))
WAY = 'ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))'
MODULE = """
import os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"lock": {}}, supports_check_mode=True)
module.exit_json(changed=True, seen={name: os.environ[name] for name in os.environ if name.startswith("CHATGLM_")})
"""


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_one_way_to_module_utils(path):
    text = path.read_text()
    assert text.count(WAY) == len(re.findall("__path__", text)) == ("module_utils.chatglm." in text)


def play(tmp_path, *modules, action_plugins=ROOT / "action_plugins", **variables):
    """Run a task of each module; return their results."""
    (tmp_path / "library").mkdir(exist_ok=True)
    for module in modules:
        (tmp_path / "library" / f"{module}.py").write_text(MODULE)
    tasks = [{module: {"lock": str(tmp_path / "lock")}, "register": module} for module in modules]
    results = "{{ [" + ", ".join(modules) + "] | to_json }}"
    tasks.append({"copy": {"content": results, "dest": str(tmp_path / "results")}})
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "CHATGLM"))}
    env |= {
        "ANSIBLE_CONFIG": "absent",
        "ANSIBLE_LIBRARY": str(tmp_path / "library"),
        "ANSIBLE_ACTION_PLUGINS": str(action_plugins),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "CHATGLM_PROGRESS_SOCKET": str(tmp_path / "nobody"),
    }
    command = [sys.executable, "-m", "ansible", "playbook", "play.yml", "-i", "localhost,", "-c", "local"]
    command += ["-e", json.dumps(variables)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((tmp_path / "results").read_text())


ACTIONS = {path.stem for path in (ROOT / "action_plugins").glob("*.py")}
OWN = sorted({path.stem for path in (ROOT / "library").glob("*.py")} - ACTIONS)


def test_the_modules_of_this_project_have_it(tmp_path):
    results = play(tmp_path, *OWN, chatglm_language="zh", doctor_site="x")
    assert [result["seen"]["CHATGLM_WARNINGS"] for result in results] == ["zh"] * len(OWN)
    assert all(result["seen"]["CHATGLM_PROGRESS"] for result in results)
    assert [(result["changed"], result["would_change"]) for result in results] == [(False, True)] * len(OWN)


def test_it_is_in_english_where_that_is_asked_for(tmp_path):
    (result,) = play(tmp_path, OWN[0], chatglm_language="en")
    assert "CHATGLM_WARNINGS" not in result["seen"]
    assert result["changed"] is True


def test_any_other_module_passes_through(tmp_path):
    variables = {"chatglm_language": "zh", "doctor_site": "x"}
    plain = play(tmp_path, "stranger", action_plugins=tmp_path / "none", **variables)
    assert play(tmp_path, "stranger", **variables) == plain
    assert set(plain[0]["seen"]) == {"CHATGLM_PROGRESS_SOCKET"}
    assert plain[0]["changed"] is True
