"""The way out, after all other tests (by this file's name): what site.yml has put on the hosts is gone, and no more."""

import hashlib
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


def inside(name, *command, user="root", **options):
    """Run a command in a container, which may have another address by now: the test before this has booted it anew."""
    command = ["podman", "exec", "--interactive", "--user", user, name, *command]
    return subprocess.run(command, capture_output=True, check=True, text=True, **options).stdout


def look(name):
    """Return the host's file system."""
    return json.loads(inside(name, "python3", "-I", "-B", "-", input=SCRIPT.read_text()))


def name_of(host):
    return host.backend.get_pytest_id().rpartition("/")[2]


@pytest.fixture(scope="session")
def folder(request):
    """Molecule's folder of this run."""
    return Path(request.config.getoption("--ansible-inventory")).resolve().parent


@pytest.fixture(scope="session")
def uninstall(folder, tmp_path_factory):
    """Return a function that runs the playbook on all hosts and returns what each task has answered."""
    settings = {"chatglm_home": "~/chatglm"}
    names = [path.stem.removeprefix("before-") for path in folder.glob("before-*.json")]
    address = ["podman", "inspect", "--format", "{{.NetworkSettings.IPAddress}}"]
    hosts = {name: {"ansible_host": subprocess.check_output([*address, name], text=True).strip()} for name in names}
    now = tmp_path_factory.mktemp("inventory") / "now.yml"
    now.write_text(json.dumps({"all": {"hosts": hosts}}))

    def run(*options):
        record = tmp_path_factory.mktemp("record") / "tasks.json"
        command = ["ansible-playbook", f"--inventory={folder / 'inventory'}", f"--inventory={now}"]
        command += ["--extra-vars", json.dumps(settings)]
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
        return [json.loads(line) for line in record.read_text().splitlines()]

    return run


def told(lines):
    """Return what each host's run removes, keeps and frees, from the module's last call."""
    found = [line["result"] for line in lines if line["task"] == "Remove the installation"]
    assert len(found) == 3
    return sorted(([result[name] for name in ("removed", "kept", "freed", "root")] for result in found), key=str)


@pytest.fixture(scope="session")
def emptied(folder, uninstall):
    """The hosts after the way out with a user's files in the middle of it; the last results of the first run."""
    for record in folder.glob("before-*.json"):
        for path, text in PLANTED.items():
            inside(record.stem.removeprefix("before-"), "tee", f"{HOME}/{path}", user="deploy", input=text)
    checked, real = uninstall("--check", "--diff"), uninstall()
    # All but what root has removed in between.
    assert [result[:3] for result in told(checked)] == [result[:3] for result in told(real)]
    # forky has none.
    assert sorted(bool(result[3]["packages"] and result[3]["sources"]) for result in told(checked)) == [
        False,
        True,
        True,
    ]
    return [{entry["path"]: entry["reason"] for entry in result[1]} for result in told(real)]


def test_a_user_s_files_stay_and_nothing_else_does(host, folder, emptied):
    name = name_of(host)
    before = json.loads((folder / f"before-{name}.json").read_text())
    assert len(before) > 5000
    left = differences(before, look(name))
    files = {path: after[3] for path, (_, after) in left.items() if after and len(after) == 4}
    note = files.pop(f"{HOME}/state/removed.json")
    assert note
    assert files == {f"{HOME}/{path}": hashlib.sha256(text.encode()).hexdigest() for path, text in PLANTED.items()}
    above = {str(parent) for path in files for parent in Path(path).parents} | {f"{HOME}/state"}
    assert left.keys() - files.keys() - {f"{HOME}/state/removed.json"} <= above
    for kept in emptied:
        assert kept["source/README.md"] == "edited"
        assert kept["notes.txt"] == "yours"


def test_without_them_the_file_system_is_as_it_was(host, folder, uninstall, emptied):
    name = name_of(host)
    inside(name, "rm", *(f"{HOME}/{path}" for path in PLANTED), user="deploy")
    uninstall("--limit", name)
    before = json.loads((folder / f"before-{name}.json").read_text())
    assert differences(before, look(name)) == {}
