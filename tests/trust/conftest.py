"""An installed demo to tamper with: the one that tests/browser has installed, repaired by each test's own run."""

import contextlib
import os
import stat
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


def mode(path):
    """Return the permissions of a file or folder; none for anything else, a link too, and for what has just gone."""
    with contextlib.suppress(OSError):
        found = path.lstat().st_mode
        return stat.S_IMODE(found) if stat.S_ISREG(found) or stat.S_ISDIR(found) else 0
    return 0


class Watch:
    """Looks for secrets, while it is open, in every process's arguments and in files that others may read."""

    def __init__(self, secrets, *folders):
        self.secrets = [secret.encode() for secret in secrets]
        self.folders = folders
        self.found, self.looks = {}, 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def look(self, path):
        try:
            with open(path, "rb") as stream:
                data = stream.read(4_000_000)
        except OSError:
            return
        if any(secret in data for secret in self.secrets):
            self.found[str(path)] = data[:500].replace(b"\0", b" ").decode(errors="replace")

    def watch(self):
        while not self.done.is_set():
            for folder in os.scandir("/proc"):
                if folder.name.isdigit():
                    self.look(Path(folder.path, "cmdline"))
            for folder in self.folders:
                for place, inside, names in os.walk(folder):
                    # What is below a folder that others may not enter, they cannot read.
                    inside[:] = [name for name in inside if mode(Path(place, name)) & 0o011]
                    for path in (Path(place, name) for name in names):
                        if mode(path) & 0o044:
                            self.look(path)
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
