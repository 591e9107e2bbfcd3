"""bootstrap on its own: with an empty lock it needs no network, and everything but pip's download is real."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

TOOLS = ["sh", "dirname", "cat", "sha256sum", "mkdir", "rm", "mv", "locale", "flock", "tail", "true", "ln"]


@pytest.fixture
def checkout(tmp_path):
    """A checkout in a folder with a space, whose lock is empty."""
    folder = tmp_path / "a checkout"
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "bootstrap", folder)
    (folder / "requirements" / "control.txt").write_text("# nothing\n")
    return folder


@pytest.fixture
def tools(tmp_path):
    """A PATH with a few tools and no Python; the returned function adds a script to it."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))

    def add(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    add("id", "echo 1000")
    add.path = str(folder)
    return add


def run(checkout, *command, cwd="/", **env):
    base = {"PATH": os.environ["PATH"], "HOME": str(checkout), "CHATGLM_PYTHON": sys.executable}
    return subprocess.run(
        [checkout / "bootstrap", *command], capture_output=True, text=True, cwd=cwd, env={**base, **env}
    )


def built(done):
    assert done.returncode == 0, done.stderr
    return done.stderr.count("making .venv")


def test_without_a_command_it_explains_itself(checkout):
    done = run(checkout)
    assert done.returncode == 2
    assert done.stdout.startswith("usage: ./bootstrap COMMAND")
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("locale", "chinese"),
    [
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
    ],
)
def test_it_speaks_the_language_of_the_locale(checkout, locale, chinese):
    done = run(checkout, **locale)
    assert done.stdout.startswith("用法：./bootstrap" if chinese else "usage: ./bootstrap COMMAND")
    done = run(checkout, "true", CHATGLM_PYTHON="/bin/false", **locale)
    assert ('CHATGLM_PYTHON 是 "/bin/false"' in done.stderr) == chinese
    assert ('CHATGLM_PYTHON is "/bin/false"' in done.stderr) != chinese


def test_all_that_it_says_is_said_in_both_languages():
    calls = re.findall(r"(?m)^ *say(?:_no_python)? (.*?(?:\\\n.*)?)$", (ROOT / "bootstrap").read_text())
    texts = [re.findall(r'"(?:\\.|[^"\\])*"', call) for call in calls]
    assert len(texts) >= 9
    for english, chinese in texts:
        assert re.search("[\u4e00-\u9fff]", chinese) or english == chinese


def test_it_builds_once_and_runs_the_command_in_place(checkout, tmp_path):
    show = ["sh", "-c", 'pwd; echo "$ANSIBLE_CONFIG"; command -v python; printf "<%s>" "$@"', "-", "a b", ""]
    done = run(checkout, *show, cwd=tmp_path)
    assert built(done) == 1
    assert done.stdout.splitlines() == [
        str(tmp_path),
        str(checkout / "ansible.cfg"),
        str(checkout / ".venv" / "bin" / "python"),
        "<a b><>",
    ]
    assert len(done.stderr.splitlines()) == 1
    again = run(checkout, "sh", "-c", "exit 7")
    assert (again.returncode, again.stderr) == (7, "")


def test_it_rebuilds_what_is_stale_or_was_interrupted(checkout):
    assert built(run(checkout, "true")) == 1
    (checkout / ".venv" / "stamp").unlink()  # the last thing that a build writes
    assert built(run(checkout, "true")) == 1
    (checkout / "requirements" / "control.txt").write_text("# changed\n")
    assert built(run(checkout, "true")) == 1
    moved = checkout.rename(checkout.with_name("moved"))  # its scripts hold the old path
    assert built(run(moved, "true")) == 1
    (moved / ".venv" / "bin" / "python").unlink()  # as when the distribution has replaced its Python
    assert built(run(moved, "true")) == 1
    assert built(run(moved, "true")) == 0


def test_two_at_once_build_once(checkout):
    command = [checkout / "bootstrap", "true"]
    env = {**os.environ, "CHATGLM_PYTHON": sys.executable}
    both = [subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert "".join(said).count("making .venv") == 1


def test_a_wrong_choice_of_python_is_refused_by_name(checkout):
    done = run(checkout, "true", CHATGLM_PYTHON="/bin/false")
    assert done.returncode == 1
    assert 'CHATGLM_PYTHON is "/bin/false". Expected: a Python 3.10 to 3.13' in done.stderr


def test_a_failed_installation_leaves_nothing_that_counts(checkout):
    (checkout / "requirements" / "control.txt").write_text("nothing-of-this-name==1 --hash=sha256:" + "0" * 64 + "\n")
    done = run(checkout, "true", PIP_NO_INDEX="1")
    assert done.returncode == 1
    assert "pip could not install" in done.stderr
    (checkout / "requirements" / "control.txt").write_text("# nothing\n")
    assert built(run(checkout, "true")) == 1


def test_without_python_and_apt_it_says_what_to_install(checkout, tools):
    done = run(checkout, "true", PATH=tools.path, CHATGLM_PYTHON="")
    assert done.returncode == 1
    assert "no Python 3.10 to 3.13 with the modules venv and ensurepip was found" in done.stderr


def test_without_root_it_says_the_command(checkout, tools):
    tools("apt-get", "exit 9")
    tools("sudo", "exit 1")  # asks for a password
    done = run(checkout, "true", PATH=tools.path, CHATGLM_PYTHON="")
    assert done.returncode == 1
    assert "sudo sh -c 'apt-get update && apt-get install --yes python3-venv'" in done.stderr


def test_with_sudo_it_installs_python_with_apt(checkout, tools):
    tools("sudo", 'shift; exec "$@"')
    tools("apt-get", f'case $1 in install) ln -s "{sys.executable}" "{tools.path}/python3";; esac')
    done = run(checkout, "true", PATH=tools.path, CHATGLM_PYTHON="")
    assert built(done) == 1
    assert "installing python3-venv with apt" in done.stderr


def test_a_locale_that_ansible_would_refuse_is_replaced(checkout):
    done = run(checkout, "sh", "-c", "echo $LC_ALL", LC_ALL="POSIX")
    assert done.stdout.strip() == "C.UTF-8"
