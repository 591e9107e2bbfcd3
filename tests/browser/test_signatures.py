"""module_utils/chatglm/web_demo/signatures.py against the packages themselves, as the demo's virtualenv holds them."""

import json
import subprocess

from ansible.module_utils.chatglm.web_demo import script_calls, signatures
from conftest import HOME, ROOT

CAPTURE = ROOT / "roles" / "virtualenv" / "files" / "signatures"


def test_the_tables_are_what_the_installed_packages_take():
    python = HOME / "venv" / "bin" / "python"
    done = subprocess.run([python, CAPTURE, "--capture"], check=True, stdout=subprocess.PIPE)
    captured = {title.split()[0]: (title.split()[1], table) for title, table in json.loads(done.stdout).items()}
    assert {"gradio", "transformers", "uvicorn"} <= set(captured)
    for name, (version, table) in captured.items():
        assert version == getattr(signatures, f"{name.upper()}_VERSION")
        said = script_calls.table(getattr(signatures, name.upper()))
        took = {each: script_calls.Signature.parse(words.split()) if words else None for each, words in table.items()}
        assert said == took, name
