"""The first command on real distributions, as a fresh user; the unit tests on the Python that one of them has."""

import os
import re

import containers
import environments
import pytest
import test_unit
from conftest import ROOT, show
from stage_zero import PASTED

from lab import PROGRAMS

PASSWORD = "geheim 1"
ANSIBLE = "./bootstrap ansible --version"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return containers.copy_project(tmp_path_factory.mktemp("copy") / "project")


@pytest.fixture
def possible(need):
    if os.geteuid():
        pytest.skip("the lab's images are made and run as root")
    need(PROGRAMS, "unit")


@pytest.fixture
def host(project, possible):
    """Return a function that gives a container with a clone for the user me, who has a password."""
    stack = containers.contextlib.ExitStack()

    def make(suite, sudoers=""):
        made = stack.enter_context(containers.container(suite, "--volume", f"{project}:/project:ro"))
        lines = ["useradd --create-home --groups sudo --shell /bin/bash me", f"echo 'me:{PASSWORD}' | chpasswd"]
        if sudoers:
            lines.append(f"echo 'me {sudoers}' >/etc/sudoers.d/me; chmod 0440 /etc/sudoers.d/me")
        index = environments.pip_setting("index-url")
        if index and not index.startswith("file:"):
            lines.append(f"printf '[global]\\nindex-url = {index}\\n' >/etc/pip.conf")
        lines += ["cp -r /project /home/me/chatglm-wsl", "chown -R me: /home/me/chatglm-wsl"]
        done = made.run("set -e; " + "\n".join(lines))
        assert done.returncode == 0, done.stderr
        return made

    with stack:
        yield make


def without_python(made):
    done = made.run("""set -e
apt-get --yes --allow-remove-essential -o APT::AutoRemove::RecommendsImportant=false purge 'python3*' 'libpython3*'
! command -v python3""")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("suite", "python"), [("bookworm", "3.11"), ("trixie", "3.13"), ("forky", "3.14")])
def test_the_first_command_takes_no_root(host, suite, python):
    made = host(suite)
    done = made.run(f"cd chatglm-wsl && {ANSIBLE}", "me")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"python version = {re.escape(python)}\.", done.stdout)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert "making .venv with /usr/bin/python3" in lines[0]
    again = made.run(f"cd chatglm-wsl && {ANSIBLE}", "me")
    assert (again.returncode, again.stderr) == (0, "")


def test_without_a_pip_to_say_which_index_it_asks(host):
    """As the distribution comes: the line that it shows is all that is needed."""
    made = host("forky")
    made.run(
        "dpkg --purge --force-depends python3-venv python3.14-venv python3-pip-whl; mv /etc/pip.conf /etc/pip.conf.off"
    )
    done = made.run(f"cd chatglm-wsl && {ANSIBLE}", "me")
    assert done.returncode == 1
    assert "no pip is there to say which one it asks" in done.stderr
    (line,) = PASTED.findall(done.stderr)
    assert line == "sudo sh -c 'apt-get update; apt-get install --yes python3-venv'"
    status, shown = made.type(line, PASSWORD, "me")
    assert status == 0, shown
    made.run("mv /etc/pip.conf.off /etc/pip.conf")
    done = made.run(f"cd chatglm-wsl && {ANSIBLE}", "me")
    assert done.returncode == 0, done.stderr


def test_without_a_python_or_a_terminal(host):
    """The line that it shows, pasted to the letter on a terminal, is all that is needed; sudo is sudo-rs."""
    made = host("forky")
    without_python(made)
    done = made.run(f"cd chatglm-wsl && {ANSIBLE}", "me")
    assert done.returncode == 1
    assert "No Python was found." in done.stderr
    (line,) = PASTED.findall(done.stderr)
    status, shown = made.type(line, PASSWORD, "me")
    assert status == 0, shown
    done = made.run(f"cd chatglm-wsl && {ANSIBLE}", "me")
    assert done.returncode == 0, done.stderr


def test_a_part_of_python_a_dead_list_and_a_terminal(host):
    """Classic sudo asks on the terminal; the answer installs what is missing, past a list that is dead."""
    made = host("bookworm")
    without_python(made)
    done = made.run("apt-get -qq update && apt-get -qq --yes --no-install-recommends install python3.11-minimal")
    assert done.returncode == 0, done.stderr
    made.run("sed 's/ bookworm / nosuch /' /etc/apt/sources.list >/etc/apt/sources.list.d/dead.list")
    status, shown = made.type(f"cd chatglm-wsl && {ANSIBLE}", PASSWORD, "me")
    assert status == 0, shown
    assert "Python 3.11 lacks parts of its standard library; package python3.11-venv brings them." in shown
    assert "sudo asks for your password, to install python3.11-venv with apt" in shown
    assert "apt-get update had errors; trying the installation all the same" in shown
    assert "ansible [core 2.19" in shown


def test_unit_on_the_newest_python(possible):
    """The unit tests on Python 3.14, in the distribution that has no other; its environment is kept."""
    if not test_unit.IN_CONTAINER:
        pytest.skip("this machine has it: see test_unit.py")
    project = containers.copy_project(ROOT / ".cache" / "forky" / "project")
    ensure = (
        "import sys; sys.path.insert(0, 'tests/parts'); from pathlib import Path; import environments; "
        "print(environments.ensure(Path(sys.executable)))"
    )
    tests = "-m pytest -q -p no:cacheprovider -n auto --dist worksteal tests/unit"
    lines = [
        "set -e",
        "cd /project",
        "apt-get -qq update",
        "apt-get -qq --yes --no-install-recommends install gcc libc6-dev openssl procps openssh-client >/dev/null",
        "git config --global --add safe.directory /project",
        f'python=$(./bootstrap python -c "{ensure}")',
        f'exec ./bootstrap "$python" {tests}',
    ]
    with containers.container("forky", "--volume", f"{project}:/project", "--cap-add", "SYS_ADMIN") as made:
        show(
            "podman", "exec", "--env", "HOME=/root", made.name, "sh", "-c", "\n".join(lines), env=dict(containers.CONF)
        )
