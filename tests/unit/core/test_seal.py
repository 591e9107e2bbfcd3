"""The seal notices every change that a file's status shows, and is never believed when it cannot be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import chat_service
import host_facts
import pytest
import site_seal
import uninstall
import yaml
from ansible.module_utils.chatglm.core import seal


@pytest.fixture
def home(tmp_path):
    place = tmp_path / "home"
    for name in ("state", "venv/lib", "models", "cache", "run"):
        (place / name).mkdir(parents=True)
    (place / "venv/lib/a.py").write_text("a = 1\n")
    (place / "venv/link").symlink_to("lib")
    (place / "models/weights.bin").write_bytes(b"0123456789")
    (tmp_path / "outside").write_text("x")
    for name, link in (("m", "models/m"), ("n", "cards")):  # on another disk
        (tmp_path / "disk" / name).mkdir(parents=True)
        (tmp_path / "disk" / name / "weights.bin").write_bytes(b"0")
        (place / link).symlink_to(tmp_path / "disk" / name)
    return place


def sealed(home):
    path = str(home / "state" / "seal.json")
    outside = [str(home.parent / "outside"), str(home.parent / "absent")]
    Path(path).write_text(json.dumps(seal.make(str(home), path, "key", outside, ["proven", "open"])))
    return path


def same_size_same_times(home):
    path = home / "models/weights.bin"
    times = path.stat()
    path.write_bytes(b"0123456780")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_an_untouched_installation_is_intact(home):
    path = sealed(home)
    assert seal.look(str(home), path) == {"key": "key", "lines": ["proven", "open"], "intact": True}


@pytest.mark.parametrize(
    "change",
    [
        lambda home: (home / "venv/lib/a.py").write_text("a = 2\n"),
        lambda home: (home / "venv/lib/a.py").unlink(),
        lambda home: (home / "venv/lib/a.py").chmod(0o600),
        lambda home: (home / "venv/lib/b.py").touch(),
        lambda home: (home / "venv/new").mkdir(),
        lambda home: ((home / "venv/link").unlink(), (home / "venv/link").symlink_to("elsewhere")),
        lambda home: (home / "models/weights.bin").rename(home / "models/other.bin"),
        lambda home: (home.parent / "outside").write_text("y"),
        lambda home: (home.parent / "absent").touch(),
        same_size_same_times,
        lambda home: (home.parent / "disk/m/weights.bin").write_bytes(b"1"),
        lambda home: (home.parent / "disk/n/weights.bin").write_bytes(b"1"),
    ],
)
def test_a_change_breaks_it(home, change):
    path = sealed(home)
    change(home)
    assert seal.look(str(home), path)["intact"] is False


def test_what_the_demo_writes_does_not_break_it(home):
    path = sealed(home)
    (home / "cache/new").touch()
    (home / "run/new").touch()
    (home / "venv/lib/__pycache__").mkdir()
    (home / "venv/lib/__pycache__/a.pyc").touch()
    assert seal.look(str(home), path)["intact"] is True


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', '{"format": 0, "key": "k", "outside": []}'])
def test_a_seal_that_cannot_be_read_is_not_believed(home, text):
    path = sealed(home)
    Path(path).write_text(text)
    assert seal.look(str(home), path) == {"key": "", "lines": [], "intact": False}


def test_no_seal_and_no_home(tmp_path):
    assert seal.look(str(tmp_path / "home"), str(tmp_path / "home/state/seal.json"))["intact"] is False


def test_the_module_writes_what_host_facts_reads(home, run_module):
    path = home / "state" / "seal.json"
    arguments = {"home": str(home), "path": str(path), "key": "k", "lines": ["proven"]}
    assert run_module(site_seal, check=True, **arguments)["changed"] is False
    assert not path.exists()
    assert run_module(site_seal, **arguments)["changed"] is False
    found = run_module(host_facts, home=str(home), device="cpu", seal=str(path))
    assert found["seal"] == {"key": "k", "lines": ["proven"], "intact": True}


def test_the_module_says_what_it_cannot_read(home, run_module):
    result = run_module(site_seal, home=str(home / "gone"), path=str(home / "gone/seal.json"), key="k")
    assert result["failed"] is True
    assert result["msg"].startswith(f"Found: {home}/gone cannot be used (No such file or directory). Expected: ")


ROOT = Path(__file__).resolve().parents[3]
ROLES = ("chatglm", "preflight", "cuda_libs", "virtualenv", "source", "weights", "web_demo", "smoke_test", "service")
# As users give them: in a setting, in an address, in a name of their own.
SECRETS = {
    "page": {"chatglm_page_password": "MARK"},
    "token": {"chatglm_hub_token": "MARK"},
    "index": {"virtualenv_index_url": "https://user:MARK@index.example/simple/"},
    "index, with an @": {"virtualenv_index_url": "https://user:p@MARK@index.example/simple/"},
    "links": {"virtualenv_find_links": ["https://MARK@links.example/"]},
    "source": {"chatglm_source_url": "https://user:MARK@git.example/x.git"},
    "weights": {"chatglm_model_sources": [{"type": "url", "url": "https://user:MARK@files.example/x"}]},
    "hub": {"chatglm_hub_endpoint": "https://user:MARK@hub.example"},
    "a name of one's own": {
        "virtualenv_my_secret": "MARK",
        "virtualenv_index_url": "https://user:{{ virtualenv_my_secret }}@index.example/simple/",
    },
}


def test_the_key_holds_nothing_that_a_secret_can_be_guessed_from(tmp_path, run_module):
    """It stands in a file that others read, and in the output of -v: an unsalted digest can be guessed offline."""
    told = tmp_path / "told.json"
    task = {
        "ansible.builtin.copy": {
            "content": "{{ [__preflight_settings, __preflight_key, __preflight_names] | to_json }}",
            "dest": f"{told}-{{{{ item.name }}}}",
            "mode": "0600",
        }
    }
    # A host without a Python that fits has a plan all the same: one is brought.
    downloads = (ROOT / "roles/virtualenv/files/python.json").read_text()
    found = run_module(host_facts, home=str(tmp_path / "home"), device="cpu", python_downloads=downloads)
    files = [str(ROOT / "roles" / role / "defaults/main.yml") for role in ROLES]
    files += [str(ROOT / "roles" / role / "vars/main.yml") for role in ("chatglm", "preflight")]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": files,
        "vars": {"chatglm_plan": found["plan"], "chatglm_host": found["facts"], "chatglm_device": "cpu"},
        "tasks": [],
    }
    play["vars"]["role_path"] = str(ROOT / "roles/preflight")
    for name, settings in SECRETS.items():
        for secret in ("geheim-12345", "geheim-67890"):
            given = {key: json.loads(json.dumps(value).replace("MARK", secret)) for key, value in settings.items()}
            play["tasks"].append({**task, "vars": {"item": {"name": f"{name} {secret}"}, **given}})
    (tmp_path / "play.json").write_text(json.dumps([play]))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "play.json"]
    env = {**os.environ, "ANSIBLE_CONFIG": "absent", "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in SECRETS:
        one, other = (
            json.loads(Path(f"{told}-{name} {secret}").read_text()) for secret in ("geheim-12345", "geheim-67890")
        )
        assert one == other, name
        assert "geheim" not in str(one), name
        assert {"chatglm_port", "virtualenv_index_url", "web_demo_listen", "service_port"} < set(one[2])


def test_every_secret_of_a_role_is_left_out_of_the_key():
    left_out = yaml.safe_load((ROOT / "roles/preflight/vars/main.yml").read_text())["__preflight_secret"]
    secret = set()
    for role in ROLES:
        options = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"][
            "main"
        ]
        secret |= {name for name, option in options.get("options", {}).items() if option.get("no_log")}
    assert set(left_out) == secret


@pytest.mark.parametrize(
    ("stored", "given"), [("", "geheim-12345"), ("geheim-12345", ""), ("geheim-12345", "another-1")]
)
def test_another_password_of_the_page_breaks_it(home, run_module, stored, given):
    password = home / "state" / "page_password"
    if stored:
        password.write_text(stored)
    path = home / "state" / "seal.json"
    run_module(site_seal, home=str(home), path=str(path), key="k")
    assert run_module(host_facts, home=str(home), device="cpu", seal=str(path), password=stored)["seal"]["intact"]
    assert not run_module(host_facts, home=str(home), device="cpu", seal=str(path), password=given)["seal"]["intact"]


def test_what_the_roles_own_elsewhere_is_what_the_seal_looks_at(home, run_module, monkeypatch):
    """By the modules' own word, which is compared with what the uninstallation removes there."""
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.setattr(chat_service.service, "booted", lambda: True)
    owned = run_module(chat_service, check=True, home=str(home), unit_path=uninstall.UNIT)["outside"]
    assert {str(home.parent / name) for name in uninstall.OUTSIDE} | {uninstall.UNIT} == set(owned)
    run_module(chat_service, check=False, home=str(home), unit_path=str(home / "unit"), service="none")
    path = str(home / "state" / "seal.json")
    run_module(site_seal, home=str(home), path=path, key="k", outside=owned)
    assert seal.look(str(home), path)["intact"]
    link = home.parent / uninstall.OUTSIDE[0]
    assert link.is_symlink()
    link.unlink()
    assert not seal.look(str(home), path)["intact"]


def test_the_summary_seals_what_modules_call_their_own():
    expression = yaml.safe_load((ROOT / "roles/summary/defaults/main.yml").read_text())["summary_outside"]
    said = {path.stem for path in (ROOT / "library").glob("*.py") if '"outside": [' in path.read_text()}
    assert said == {"chat_service", "windows_side"}
    assert "service_result.outside" in expression
    assert "windows_result" in expression
