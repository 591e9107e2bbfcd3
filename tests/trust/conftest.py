"""An installed demo to tamper with: the one that tests/browser has installed, repaired by each test's own run."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "standins"))
from serve import StandIn

TOKEN = "hf_" + "SecretOfTheHub" * 2
HOME = Path(os.environ.get("CHATGLM_TRUST_HOME") or ROOT / ".cache" / "browser" / "home")


class Watch:
    """Notes every process's arguments, and every readable environment but those of ``trusted`` programs, while open."""

    def __init__(self, secrets):
        self.secrets = [secret.encode() for secret in secrets]
        self.found, self.looks = {}, 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def watch(self):
        while not self.done.is_set():
            for folder in os.scandir("/proc"):
                if folder.name.isdigit():
                    try:
                        words = Path(folder.path, "cmdline").read_bytes()
                    except OSError:
                        continue
                    for secret in self.secrets:
                        if secret in words:
                            self.found[folder.name] = words.replace(b"\0", b" ").decode(errors="replace")
            self.looks += 1
            time.sleep(0.02)


@pytest.fixture
def hub():
    """The stand-ins, with a token that the hub demands."""
    with StandIn(token=TOKEN) as standin:
        yield standin


@pytest.fixture
def site(hub, tmp_path):
    """Return a function that runs a playbook on the installed demo, as a user with HF_TOKEN set would."""
    (tmp_path / "settings.yml").write_text("chatglm_hub_token: \"{{ lookup('ansible.builtin.env', 'HF_TOKEN') }}\"\n")

    def run(*options, home=HOME, playbook="site.yml", token=TOKEN, **environ):
        settings = {
            "chatglm_home": home,
            "chatglm_standins": "false",
            "chatglm_hub_endpoint": hub.url,
            "chatglm_source_url": hub.source_url,
        }
        command = ["ansible-playbook", playbook, "-i", "inventory/demo", "-e", f"@{tmp_path}/settings.yml"]
        command += [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
        env = {**os.environ, "HF_TOKEN": token, "ANSIBLE_NOCOLOR": "1", **environ}
        env["TMPDIR"] = str(tmp_path / "tmp")
        (tmp_path / "tmp").mkdir(exist_ok=True)
        done = subprocess.run([*command, *options], cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)
        return done.returncode, done.stdout + done.stderr

    if not (HOME / "venv" / "bin" / "python").exists():
        HOME.mkdir(parents=True, exist_ok=True)
        status, text = run()
        assert status == 0, text[-4000:]
    return run
