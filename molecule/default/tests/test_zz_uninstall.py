"""The way out, after all other tests (by this file's name): what site.yml has put on the hosts is gone, and no more."""

import json
import os
import subprocess
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://chatglm"]

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "molecule" / "default" / "tests" / "file_system.py"
HOME = "/home/deploy/chatglm"
# Of the user's own making, in the middle of what goes.
PLANTED = {
    "notes.txt": "mine\n",
    "source/README.md": "my own words\n",
    "source/my_demo.py": "print('mine')\n",
    "models/chatglm2-tiny-int4/my-notes.md": "mine\n",
    "venv/bin/my-tool": "#!/bin/sh\n",
}


def differences(before, after):
    """Return path -> (before, after) of what is not the same."""
    return {
        path: (before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }


def look(host):
    """Return the host's file system."""
    with host.sudo():
        done = host.run("python3 -I -B -c %s", SCRIPT.read_text())
    assert done.rc == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def folder(request):
    """Molecule's folder of this run."""
    return Path(request.config.getoption("--ansible-inventory")).resolve().parent


@pytest.fixture(scope="session")
def uninstall(folder, tmp_path_factory):
    """Return a function that runs the playbook on both hosts and returns each host's result of the last module call."""
    settings = {"chatglm_home": "~/chatglm"}

    def run(*options):
        record = tmp_path_factory.mktemp("record") / "tasks.json"
        command = ["ansible-playbook", f"--inventory={folder / 'inventory'}", "--extra-vars", json.dumps(settings)]
        env = {
            **os.environ,
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "molecule" / "repair" / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "task_record",
            "CHATGLM_TASK_RECORD": str(record),
        }
        done = subprocess.run(
            [*command, *options, ROOT / "playbooks" / "uninstall.yml"],
            env=env, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        return lines, done.stdout

    return run


def told(lines):
    """Return what each host's run removes, from the module's last call, in the order of the hosts' homes."""
    found = [line["result"] for line in lines if line["task"] == "Remove the installation"]
    return sorted((result["removed"], result["freed"], result["lines"][1:]) for result in found)


def test_the_way_out(host, folder, uninstall):
    """One test a host, and the run on both with the first."""
    name = host.backend.get_pytest_id().rpartition("/")[2]
    mark = folder / "uninstalled.json"
    if not mark.exists():
        checked, text = uninstall("--check", "--diff")
        mark.write_text(json.dumps([told(checked), text]))
        real, _ = uninstall()
        assert told(checked) == told(real)
        again, text = uninstall()
        assert text.count("changed=0 ") == 2, text
        assert all(not result[0] for result in told(again))
    before = json.loads((folder / f"before-{name}.json").read_text())
    assert len(before) > 5000
    after = look(host)
    assert differences(before, after) == {}
