"""windows_side with stand-ins for PowerShell and wslpath (tests/standins/windows), and what uninstall makes of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import uninstall
import windows_side

ROOT = Path(__file__).resolve().parents[3]
STANDINS = ROOT / "tests" / "standins" / "windows"
URL = "http://127.0.0.1:7860"


@pytest.fixture
def windows(tmp_path, monkeypatch):
    """A Windows with 8 GB; returns the user's folder as Linux sees it."""
    user = tmp_path / "c" / "Users" / "张三"
    (user / "OneDrive" / "Desktop").mkdir(parents=True)
    (tmp_path / "interop").write_text("enabled")
    monkeypatch.setattr(windows_side, "INTEROP", (str(tmp_path / "interop"),))
    monkeypatch.setattr(windows_side, "PROGRAMS", str(tmp_path / "none" / "*"))
    monkeypatch.setenv("PATH", f"{STANDINS}:{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN_WINDOWS", str(tmp_path / "c"))
    monkeypatch.setenv("STANDIN_MEMORY", str(8 << 30))
    return user


@pytest.fixture
def side(run_module, tmp_path):
    """Return a function that runs it in both modes and compares what they say."""

    def runner(**options):
        home = tmp_path / "home"
        arguments = {
            "needed_gb": 6.5, "present_gb": 4.0, "url": URL, "wsl_conf": str(tmp_path / "wsl.conf"),
            "record": str(home / "state" / "windows.json"), "lock": str(home / "state" / "lock"), **options,
        }  # fmt: skip
        listing = sorted(tmp_path.rglob("*"))
        checked = run_module(windows_side, check=True, **arguments)
        assert sorted(tmp_path.rglob("*")) == listing
        real = run_module(windows_side, **arguments)
        assert not real.get("failed"), real
        assert (checked["changed"], checked["diff"], checked["lines"]) == (real["changed"], real["diff"], real["lines"])
        return real

    return runner


def test_by_default_it_only_shows(windows, side, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = side()
    assert sorted(tmp_path.rglob("*")) == before
    assert not result["changed"]
    text = "\n".join(result["lines"])
    for part in ("    [wsl2]", "    swap=3GB", "    systemd=true", "    wsl --shutdown", "chatglm_windows=apply"):
        assert part in text
    assert result["lines"].index("    wsl --shutdown") > result["lines"].index("    systemd=true")
    assert "快捷方式" in "\n".join(side(language="zh")["lines"])


def test_applied_it_merges_keeps_a_backup_and_is_done_once(windows, side, tmp_path):
    config = windows / ".wslconfig"
    config.write_bytes("# 我的\r\n[wsl2]\r\nmemory=1GB\r\n".encode())
    result = side(state="applied")
    assert config.read_bytes().decode() == "# 我的\r\n[wsl2]\r\nmemory=4GB\r\nswap=3GB\r\n"
    assert Path(result["backup"]).read_bytes().decode() == "# 我的\r\n[wsl2]\r\nmemory=1GB\r\n"
    link = windows / "OneDrive" / "Desktop" / "ChatGLM2-6B.url"
    assert link.read_bytes() == f"[InternetShortcut]\r\nURL={URL}\r\n".encode()
    assert result["wsl_conf"] == "[boot]\nsystemd=true\n"
    assert not (tmp_path / "wsl.conf").exists()  # that is for root
    (tmp_path / "wsl.conf").write_text(result["wsl_conf"])
    again = side(state="applied")
    assert (again["changed"], again["wsl_conf"]) == (False, "")
    assert again["lines"][-1] == "    wsl --shutdown"  # not yet restarted
    assert side(state="applied", present_gb=7.0)["lines"] == []
    # Another port is another address.
    assert side(state="applied", url="http://127.0.0.1:7861")["changed"]
    link.write_text("[InternetShortcut]\nURL=http://example.org\n")
    assert not side(state="applied")["changed"]


def test_the_way_out_takes_the_shortcut_and_names_the_rest(windows, side, tmp_path, run_module, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    side(state="applied")
    result = run_module(uninstall, home=str(tmp_path / "home"))
    assert (windows / ".wslconfig").exists()
    assert not (windows / "OneDrive" / "Desktop" / "ChatGLM2-6B.url").exists()
    assert any(str(windows / ".wslconfig") in line for line in result["lines"])
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("fault", ["no interop", "no powershell", "no wslpath", "fails", "talks", "no folder"])
def test_a_windows_that_cannot_be_asked_is_left_to_the_user(windows, side, tmp_path, monkeypatch, fault):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "powershell.exe": {"fails": "exit 1", "talks": "echo Hello"}.get(fault, f'exec {STANDINS}/powershell.exe "$@"'),
        "wslpath": f'exec {STANDINS}/wslpath "$@"',
    }.items():
        if fault != f"no {name.partition('.')[0]}":
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    if fault == "no interop":
        monkeypatch.setattr(windows_side, "INTEROP", ())
    if fault == "no folder":
        monkeypatch.setenv("STANDIN_WINDOWS", str(tmp_path / "elsewhere"))
    result = side(state="applied")
    assert (result["changed"], result["shortcut"], result["wslconfig"]["path"]) == (False, "", "")
    assert "    swap=7GB" in result["lines"]


def test_a_file_that_is_no_text_is_refused(windows, run_module):
    (windows / ".wslconfig").write_bytes(b"\xff\xfe\x00")
    result = run_module(windows_side, needed_gb=6.5, state="applied")
    assert "is no text" in result["msg"]
    assert (windows / ".wslconfig").read_bytes() == b"\xff\xfe\x00"


@pytest.mark.parametrize("wsl", [2, 0])
def test_the_playbook_shows_it_on_wsl_and_does_nothing_elsewhere(tmp_path, wsl):
    facts = {"wsl": wsl, "systemd": False, "memory": {"total": 2 << 30, "swap_total": 0}}
    settings = {"preflight_inject": facts, "chatglm_home": str(tmp_path / "home"), "chatglm_language": "zh"}
    command = [sys.executable, "-m", "ansible", "playbook", "playbooks/windows.yml", "-i", "inventory/demo"]
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [*command, "-e", json.dumps(settings)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("wsl --shutdown" in done.stdout) is bool(wsl)
    assert ("swap=" in done.stdout) is bool(wsl)
    assert not (tmp_path / "home").exists()
