"""What the summary says of the weights; Ansible itself renders it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def file(action, planned=0, path="f"):
    return {"path": path, "action": action, "planned_bytes": planned}


def told(files, fetched=0, changed=True):
    return {"files": files, "bytes_fetched": fetched, "changed": changed}


KEPT = file("kept")
CASES = [
    (False, told([KEPT], changed=False), ""),
    (False, told([file("fetched", 3000), file("fetched", 5000)], 8192), "weights: 2 files, 8.00 KB fetched"),
    (False, told([KEPT, file("mended", 1 << 20, "big.bin")], 1 << 20), "weights: big.bin mended, 1.00 MB fetched"),
    (
        False,
        told([file("fetched", 5), file("mended", 1 << 20, "big.bin")], 5 + (1 << 20)),
        "weights: 1 files, big.bin mended, 1.00 MB fetched",
    ),
    (False, told([file("mended", 0, "big.bin")]), "weights: big.bin mended, found in place and verified"),
    (False, told([file("adopted"), KEPT]), "weights: 1 files, found in place and verified"),
    (True, told([]), "weights: all files, to be fetched"),
    (True, told([file("fetched", None)]), "weights: 1 files, to be fetched"),
    (True, told([KEPT, file("mended", 1 << 20, "big.bin")]), "weights: big.bin mended, 1.00 MB to be fetched"),
    (True, told([file("adopted")]), "weights: 1 files, found in place and verified"),
]


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_weights(tmp_path, check):
    chosen = [(result, text) for mode, result, text in CASES if mode == check]
    line = "__summary_done | select('search', 'weights') | first | default('')"
    task = {
        "ansible.builtin.assert": {"that": f"{line} == item.text", "fail_msg": f"{{{{ {line} }}}}"},
        "vars": {"weights_result": "{{ item.result }}"},
        "loop": [{"result": result, "text": text} for result, text in chosen],
    }
    # What the smoke test measures on a GPU (module_utils/chatglm/smoke_worker.py) is what the summary looks for.
    gpu = {
        "ansible.builtin.assert": {"that": "(__summary_gpu | int | human_readable) == '7.00 Bytes'"},
        "vars": {"smoke_test_result": {"report": {"model": {"gpu": {"reserved_peak": 7}}}}},
    }
    # The other parts of the line are of no interest here.
    others = ["cuda_libs_again", "virtualenv_result", "source_result", "web_demo_result"]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {name: {"changed": False} for name in others},
        "vars_files": [str(ROOT / "roles/summary/vars/main.yml")],
        "tasks": [task, gpu],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "play.json"]
    environment = {**os.environ, "ANSIBLE_CONFIG": "absent", "ANSIBLE_STDOUT_CALLBACK": "default"}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command += ["--check"] if check else []
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok: [localhost] => (item=") == len(chosen)
