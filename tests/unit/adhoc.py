"""One run of a module by ansible on this machine, as a playbook would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def adhoc(module, params, *options):
    """Return exit status, the module's result, and all that ansible wrote."""
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", module, "-a", json.dumps(params), *options]
    env = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout[done.stdout.index("=> ") + 3 :]), done.stdout + done.stderr
