"""The seal notices every change that a file's status shows, and is never believed when it cannot be read."""

import json
import os
from pathlib import Path

import host_facts
import pytest
import site_seal
from ansible.module_utils.chatglm import seal


@pytest.fixture
def home(tmp_path):
    place = tmp_path / "home"
    for name in ("state", "venv/lib", "models", "cache", "run"):
        (place / name).mkdir(parents=True)
    (place / "venv/lib/a.py").write_text("a = 1\n")
    (place / "venv/link").symlink_to("lib")
    (place / "models/weights.bin").write_bytes(b"0123456789")
    (tmp_path / "outside").write_text("x")
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
