"""bootstrap on its own, as a fresh user with an empty home; it needs no network: its packages lie in a folder."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import stage_zero
from conftest import ROOT
from stage_zero import plain_environment, until_it_works

TOOLS = """sh awk dirname cat sha256sum cut mkdir rm mv locale flock tail head true ln sed grep find sleep env getent
chmod mktemp chown realpath""".split()  # noqa: SIM905
ROOTLY = os.geteuid() == 0
SYSTEM = "/usr/bin/python3"
"""A Python that every user may run."""


def open_folder():
    """Yield a folder that other users reach; pytest closes its own for them whenever it starts, also elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="bootstrap-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def tmp_path():
    yield from open_folder()


@pytest.fixture(scope="session")
def index():
    for folder in open_folder():
        stage_zero.make_index(folder)
        yield folder


@pytest.fixture
def checkout(tmp_path, index):
    """A checkout in a folder with a space, with the lock of the folder's packages."""
    (tmp_path / "home").mkdir()
    return stage_zero.make_checkout(tmp_path / "a checkout", index / "control.txt")


@pytest.fixture
def tools(tmp_path):
    """A PATH with a few tools and no Python; the returned function adds a script to it."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))

    def add(name, script):
        (folder / name).unlink(missing_ok=True)  # a link to the system's own: nothing is written through it
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    add("id", "echo 1000")
    add.path = str(folder)
    return add


@pytest.fixture
def env(tmp_path, index):
    """The environment of a fresh user, with the folder as the only index."""
    more = {"PIP_FIND_LINKS": str(index), "PIP_NO_INDEX": "1", "CHATGLM_PYTHON": sys.executable}
    return plain_environment(tmp_path / "home", **more)


def run(checkout, environment, *command, cwd="/", **more):
    return subprocess.run(
        [checkout / "bootstrap", *command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**environment, **more},
        stdin=subprocess.DEVNULL,
    )


def built(done):
    assert done.returncode == 0, done.stderr
    return done.stderr.count("making .venv")


def test_without_a_command_it_explains_itself(checkout, env):
    done = run(checkout, env)
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
def test_it_speaks_the_language_of_the_locale(checkout, env, locale, chinese):
    done = run(checkout, env, **locale)
    assert done.stdout.startswith("用法：./bootstrap" if chinese else "usage: ./bootstrap COMMAND")
    done = run(checkout, env, "true", CHATGLM_PYTHON="/bin/false", **locale)
    assert ('CHATGLM_PYTHON 是 "/bin/false"' in done.stderr) == chinese
    assert ('CHATGLM_PYTHON is "/bin/false"' in done.stderr) != chinese


def test_all_that_it_says_is_said_in_both_languages():
    calls = re.findall(r"(?m)(?:^|; |\|\| ) *say (\".*?(?:\\\n.*)?)$", (ROOT / "bootstrap").read_text())
    texts = [re.findall(r'"(?:\\.|[^"\\])*"', call) for call in calls]
    assert len(texts) >= 18
    for english, chinese, *_ in texts:
        assert re.search("[\u4e00-\u9fff]", chinese), english
        assert not re.search("[\u4e00-\u9fff]", english)
    for english, chinese in re.findall(
        r"(?s)reason = \(\s*f?\"(.*?)\",\s*f?\"(.*?)\"", (ROOT / "requirements/stage_zero.py").read_text()
    ):
        assert re.search("[\u4e00-\u9fff]", chinese), english


def test_it_builds_once_and_runs_the_command_in_place(checkout, env, tmp_path):
    show = ["sh", "-c", 'pwd; echo "$ANSIBLE_CONFIG"; command -v python; printf "<%s>" "$@"', "-", "a b", ""]
    done = run(checkout, env, *show, cwd=tmp_path)
    assert built(done) == 1
    assert done.stdout.splitlines() == [
        str(tmp_path),
        str(checkout / "ansible.cfg"),
        str(checkout / ".venv" / "bin" / "python"),
        "<a b><>",
    ]
    assert len(done.stderr.splitlines()) == 1
    again = run(checkout, env, "sh", "-c", "exit 7")
    assert (again.returncode, again.stderr) == (7, "")


def test_it_rebuilds_what_is_stale_or_was_interrupted(checkout, env):
    assert built(run(checkout, env, "true")) == 1
    (checkout / ".venv" / "stamp").unlink()
    assert built(run(checkout, env, "true")) == 1
    lock = checkout / "requirements" / "control.txt"
    lock.write_text(f"{lock.read_text()}# changed\n")
    assert built(run(checkout, env, "true")) == 1
    moved = checkout.rename(checkout.with_name("moved"))
    assert built(run(moved, env, "ansible")) == 0
    (moved / ".venv" / "bin" / "python").unlink()  # as when the distribution has replaced its Python
    assert built(run(moved, env, "true")) == 1
    assert built(run(moved, env, "true")) == 0


def test_two_at_once_build_once(checkout, env):
    both = [
        subprocess.Popen([checkout / "bootstrap", "true"], env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert "".join(said).count("making .venv") == 1


def test_an_environment_that_does_not_answer_is_not_good(checkout, env, tmp_path):
    broken = tmp_path / "broken"
    lock = stage_zero.make_index(broken, ansible="raise SystemExit('no module named x')")
    good = (checkout / "requirements" / "control.txt").read_text()
    shutil.copy(lock, checkout / "requirements" / "control.txt")
    done = run(checkout, env, "true", PIP_FIND_LINKS=str(broken))
    assert done.returncode == 1
    assert "no module named x" in done.stderr
    assert "The new environment's Ansible does not start." in done.stderr
    assert not (checkout / ".venv").exists()
    (checkout / "requirements" / "control.txt").write_text(good)
    assert built(run(checkout, env, "true")) == 1


def test_a_failed_installation_leaves_the_old_one(checkout, env):
    lock = checkout / "requirements" / "control.txt"
    good = lock.read_text()
    assert built(run(checkout, env, "true")) == 1
    lock.write_text(f"{good}nothing-of-this-name==1 --hash=sha256:{'0' * 64}\n")
    done = run(checkout, env, "true")
    assert done.returncode == 1
    assert "uv could not install" in done.stderr
    lock.write_text(good)
    assert built(run(checkout, env, "true")) == 0


def test_what_the_lock_does_not_name_is_not_run(checkout, env, tmp_path):
    evil = tmp_path / "evil"
    shutil.copytree(env["PIP_FIND_LINKS"], evil)
    touched = tmp_path / "touched"
    name = next(evil.glob("uv-*")).name
    stage_zero.wheel(evil, name, {f"uv-{stage_zero.UV_VERSION}.data/scripts/uv": f"#!/bin/sh\ntouch {touched}\n"})
    done = run(checkout, env, "true", PIP_FIND_LINKS=str(evil))
    assert done.returncode == 1
    assert f"{evil}: not the file that the lock names" in done.stderr
    assert not touched.exists()


# --- which Python ---


def stand_in(tools, name, version, state="whole"):
    """Add a Python that says it is another version, or lacks parts."""
    path = f"{tools.path}/{name}"
    probe = f'case "$*" in *_base_executable*) echo "{version} {state} {path}"; exit ;; esac'
    works = f'exec "{sys.executable}" "$@"' if state == "whole" else "exit 1"
    tools(name, f"{probe}\n{works}")


def test_a_wrong_choice_of_python_is_refused_by_name(checkout, env, tools):
    stand_in(tools, "python3.15", "3.15")
    for choice in ("/bin/false", f"{tools.path}/python3.15"):
        env["CHATGLM_PYTHON"] = choice
        done = run(checkout, env, "true")
        assert done.returncode == 1
        assert f'CHATGLM_PYTHON is "{choice}". Expected: a Python 3.10 to 3.14' in done.stderr
        done, applied = until_it_works([checkout / "bootstrap", "true"], env)
        assert applied == ["unset CHATGLM_PYTHON"]
        assert done.returncode == 0


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.15", "3.20"])
def test_with_another_python_a_supported_one_is_brought(checkout, env, tools, tmp_path, version):
    folder = tmp_path / "index"
    stage_zero.make_index(folder)
    shutil.copy(folder / "control.txt", checkout / "requirements")
    stand_in(tools, "python3", version)
    env.update(PATH=tools.path, CHATGLM_PYTHON="", PIP_FIND_LINKS=str(folder))
    env["CHATGLM_PYTHON_MIRROR"] = stage_zero.add_python(folder)
    done = run(checkout, env, "ansible")
    assert built(done) == 1
    assert f"only Python {version} ({tools.path}/python3) was found; fetching Python 3.12" in done.stderr
    assert list((checkout / ".cache" / "python").glob("cpython-3.12*/bin/python3.12"))
    (checkout / ".venv" / "stamp").unlink()
    env["CHATGLM_PYTHON_MIRROR"] = "file:///gone"
    assert "fetching" not in run(checkout, env, "ansible").stderr  # it is there


def test_a_brought_python_with_another_digest_is_refused(checkout, env, tools, tmp_path):
    folder = tmp_path / "index"
    stage_zero.make_index(folder)
    shutil.copy(folder / "control.txt", checkout / "requirements")
    stand_in(tools, "python3", "3.8")
    mirror = stage_zero.add_python(folder)
    archive = next((folder / "mirror").rglob("*.gz"))
    archive.write_bytes(archive.read_bytes() + b"x")
    env.update(PATH=tools.path, CHATGLM_PYTHON="", PIP_FIND_LINKS=str(folder), CHATGLM_PYTHON_MIRROR=mirror)
    env["UV_HTTP_RETRIES"] = "0"
    done = run(checkout, env, "true")
    assert done.returncode == 1
    assert "Hash mismatch" in done.stderr
    assert f"No source gave a Python 3.12, and Python 3.8 ({tools.path}/python3) is not among" in done.stderr


def test_the_distribution_s_python_before_a_dead_one(checkout, env, tools):
    """Conda or a version manager first on PATH: shims that answer nothing, and a Python of another version."""
    stand_in(tools, "python3", "3.15")
    tools("python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    env.update(CHATGLM_PYTHON="", PATH=f"{tools.path}:{os.environ['PATH']}")
    done = run(checkout, env, "true")
    assert built(done) == 1
    assert "fetching" not in done.stderr


ACCOUNTS = {
    "root": {"id": "echo 0"},
    "password": {"sudo": '[ "$1" != -n ] || exit 1; exec "$@"'},
    "nopasswd": {"sudo": '[ "$1" != -n ] || shift; exec "$@"'},
    "no sudo": {"su": '[ "$1" = -c ] && exec sh -c "$2"'},
}
PACKAGES = {
    "apt-get": (
        'for word; do case $word in install) go=yes ;; python3*) [ -z "$go" ] || package=$word ;; esac; done\n'
        '[ -z "$package" ] || { echo "$package" >>"{log}"; ln -sf "{python}" "{path}/${package%-venv}"; }'
    ),
    "dnf": '[ "$1" = install ] && ln -sf "{python}" "{path}/python3" && echo "$3" >>"{log}"',
    "": "",
}


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("manager", PACKAGES)
@pytest.mark.parametrize("found", ["none", "part", "old", "new"])
def test_what_it_shows_to_be_pasted_makes_it_work(  # noqa: PLR0917
    checkout, env, tools, tmp_path, account, manager, found
):
    folder = tmp_path / "index"
    lock = stage_zero.make_index(folder)
    shutil.copy(lock, checkout / "requirements")
    log = tmp_path / "installed"
    log.write_text("")
    for name, script in ACCOUNTS[account].items():
        tools(name, script)
    if manager:
        script = PACKAGES[manager].replace("{log}", str(log)).replace("{path}", tools.path)
        tools(manager, script.replace("{python}", sys.executable))
    if found == "part":
        stand_in(tools, "python3.13", "3.13", "part")
    elif found != "none":
        stand_in(tools, "python3", {"old": "3.8", "new": "3.15"}[found])
    env.update(PATH=tools.path, CHATGLM_PYTHON="", PIP_FIND_LINKS=str(folder))
    env["CHATGLM_PYTHON_MIRROR"] = stage_zero.add_python(folder)
    done, applied = until_it_works([checkout / "bootstrap", "ansible"], env)
    if found in ("old", "new"):  # brought along: it takes no root
        assert (done.returncode, applied, log.read_text()) == (0, [], ""), done.stderr
    elif not manager:
        assert done.returncode == 1  # nothing that could be shown would help
        assert ("lacks parts of its standard library" in done.stderr) == (found == "part")
        assert ("No Python was found" in done.stderr) == (found == "none")
        assert "Install one (3.10 to 3.14), or name it in CHATGLM_PYTHON." in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        package = ("python3.13-venv" if found == "part" else "python3-venv") if manager == "apt-get" else "python3"
        assert log.read_text() == f"{package}\n"
        by_itself = manager == "apt-get" and account in ("root", "nopasswd")
        assert bool(applied) is not by_itself


# --- apt ---


@pytest.fixture
def bare(env, tools):
    """A host without Python, with apt, as root."""
    tools("id", "echo 0")
    env.update(PATH=tools.path, CHATGLM_PYTHON="")
    return tools


INSTALL = 'case "$*" in *" install "*python3-venv) ln -sf "%s" "%s/python3" ;; esac'


def test_it_waits_for_apt_s_lock_and_says_so(checkout, env, bare, tmp_path):
    held = tmp_path / "held"
    held.write_text("")
    told = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)"
    bare("sleep", f'echo "$1" >>"{tmp_path}/slept"; rm -f "{held}"')
    bare("apt-get", f'[ ! -f "{held}" ] || {{ echo "{told}"; exit 100; }}\n{INSTALL % (sys.executable, bare.path)}')
    done = run(checkout, env, "true")
    assert built(done) == 1
    assert done.stderr.count("waiting for apt: process 812 (unattended-upgr) holds its lock") == 1
    assert (tmp_path / "slept").read_text() == "3\n"


def test_a_dead_list_is_a_warning_and_the_installation_decides(checkout, env, bare):
    told = "E: The repository 'https://dead.example stable Release' does not have a Release file."
    bare("apt-get", f'case "$*" in *update) echo "{told}"; exit 100 ;; esac\n{INSTALL % (sys.executable, bare.path)}')
    done = run(checkout, env, "true")
    assert built(done) == 1
    assert "apt-get update had errors; trying the installation all the same" in done.stderr
    assert told in done.stderr


def test_apt_cannot_ask(checkout, env, bare, tmp_path):
    names = "DEBIAN_FRONTEND NEEDRESTART_MODE NEEDRESTART_SUSPEND DEBCONF_NONINTERACTIVE_SEEN"
    show = f'for name in {names}; do eval "echo \\"\\$$name\\""; done >"{tmp_path}/seen"; echo "$*" >>"{tmp_path}/seen"'
    read = f'read -r line && echo "read: $line" >>"{tmp_path}/seen"'
    bare("apt-get", f"{show}\n{read}\n{INSTALL % (sys.executable, bare.path)}")
    assert built(run(checkout, env, "true")) == 1
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen[:4] == ["noninteractive", "l", "1", "true"]
    assert "--force-confold" in seen[4]
    assert len(seen) == 5


def test_what_apt_said_is_shown(checkout, env, bare):
    bare("apt-get", "echo 'E: Unable to locate package python3-venv'; exit 100")
    done = run(checkout, env, "true")
    assert done.returncode == 1
    assert "E: Unable to locate package python3-venv" in done.stderr
    assert "apt could not install python3-venv" in done.stderr


def test_on_a_terminal_sudo_asks_by_itself(checkout, env, tools):
    tools("sudo", '[ "$1" != -n ] || exit 1; [ "$1" != -v ] || { echo asked; exit; }; exec "$@"')
    tools("apt-get", INSTALL % (sys.executable, tools.path))
    env.update(PATH=tools.path, CHATGLM_PYTHON="")
    script = f"{sys.executable} -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'"
    done = subprocess.run(
        ["/bin/sh", "-c", f'{script} "$@"', "-", str(checkout / "bootstrap"), "ansible"],
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "sudo asks for your password, to install python3-venv with apt" in done.stdout
    assert "ansible [core 0]" in done.stdout


def test_who_may_not_become_root_is_told(checkout, env, tools):
    tools("sudo", '[ "$1" = -n ] || echo "me is not in the sudoers file"; exit 1')
    tools("apt-get", "exit 9")
    env.update(PATH=tools.path, CHATGLM_PYTHON="")
    script = f"{sys.executable} -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'"
    command = ["/bin/sh", "-c", f'{script} "$@"', "-", str(checkout / "bootstrap"), "true"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "sudo did not let this user become root. Someone who may has to run:" in done.stdout


# --- the network ---


def test_names_that_are_not_found_have_wsl_s_remedy(checkout, env, tmp_path):
    env.update(PIP_FIND_LINKS="", PIP_NO_INDEX="", PIP_INDEX_URL="https://index.invalid/simple")
    done = run(checkout, env, "true")
    assert done.returncode == 1
    assert "https://index.invalid/simple/uv/: " in done.stderr
    assert "The package index gave no uv" in done.stderr
    assert "No name is found: look at this machine's network" in done.stderr
    done = run(checkout, env, "true", WSL_DISTRO_NAME="Ubuntu")
    line = stage_zero.PASTED.findall(done.stderr)[-1]
    # Run to the letter, on copies of the two files and without sudo.
    for name in ("wsl.conf", "resolv.conf"):
        (tmp_path / name).write_text("old\n")
        line = line.replace(f"/etc/{name}", str(tmp_path / name))
    subprocess.run(["sh", "-c", line.replace("sudo ", "", 1)], check=True)
    assert (tmp_path / "wsl.conf").read_text() == "old\n[network]\ngenerateResolvConf = false\n"
    assert (tmp_path / "resolv.conf").read_text() == "nameserver 223.5.5.5\nnameserver 1.1.1.1\n"
    # Done already: the same line would change nothing.
    script = (checkout / "bootstrap").read_text()
    (checkout / "bootstrap").write_text(script.replace("/etc/wsl.conf 2>", f"'{tmp_path}/wsl.conf' 2>"))
    done = run(checkout, env, "true", WSL_DISTRO_NAME="Ubuntu")
    assert "WSL's resolver is set by hand already" in done.stderr
    assert stage_zero.PASTED.findall(done.stderr) == []


def test_network_variables_that_cannot_work_are_named_in_every_run(checkout, env):
    env.update(ALL_PROXY="socks5://me:geheim@127.0.0.1:9", no_proxy="localhost,[::1]", SSL_CERT_FILE="/gone.pem")
    for number in (1, 0):
        done = run(checkout, env, "sh", "-c", 'echo "$ALL_PROXY"')
        assert built(done) == number
        assert done.stderr.count("this network variable cannot work:") == 3
        assert "geheim" not in done.stderr
        assert done.stdout.strip() == env["ALL_PROXY"]  # what to do about it is the user's
    chinese = run(checkout, env, "true", LANG="zh_CN.UTF-8")
    assert chinese.stderr.count("这个网络变量用不了：") == 3


def test_variables_that_work_are_looked_at_once(checkout, env, tmp_path):
    store = tmp_path / "store.pem"
    store.write_text("-----BEGIN CERTIFICATE-----\n")
    env.update(https_proxy="http://127.0.0.1:9", PIP_CERT=str(store))
    assert built(run(checkout, env, "true")) == 1
    assert run(checkout, env, "true").stderr == ""
    (checkout / ".venv" / "bin" / "python").unlink()  # whoever started it now would fail
    (checkout / ".venv" / "bin" / "python").symlink_to("/bin/false")
    assert run(checkout, env, "true").stderr == ""
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    store.unlink()
    assert f"PIP_CERT is {store}, which cannot be read" in run(checkout, env, "true").stderr


@pytest.mark.parametrize("name", ["pip.conf", "PIP_CONFIG_FILE", "UV"])
def test_a_package_index_of_one_s_own_is_used(checkout, env, tmp_path, name):
    folder = env.pop("PIP_FIND_LINKS")
    env.pop("PIP_NO_INDEX")
    root = tmp_path / "simple"
    for package in ("uv", "ansible-core"):
        (root / package).mkdir(parents=True)
        links = [f'<a href="{Path(folder, wheel).as_uri()}">{wheel}</a>' for wheel in os.listdir(folder)]
        (root / package / "index.html").write_text("\n".join(link for link in links if package[:2] in link))
    text = (
        f"[global]\nindex-url = {root.as_uri()}\ntarget = {tmp_path}/elsewhere\nrequire-virtualenv = true\nuser = yes\n"
    )
    if name == "UV":
        env["UV_DEFAULT_INDEX"] = root.as_uri()
    elif name == "PIP_CONFIG_FILE":
        (tmp_path / "own.conf").write_text(text)
        env["PIP_CONFIG_FILE"] = str(tmp_path / "own.conf")
    else:
        (tmp_path / "home" / ".config" / "pip").mkdir(parents=True)
        (tmp_path / "home" / ".config" / "pip" / "pip.conf").write_text(text)
    assert built(run(checkout, env, "ansible")) == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_broken_pip_conf_is_named(checkout, env, tmp_path):
    (tmp_path / "own.conf").write_text("index-url = x\n")
    done = run(checkout, env, "true", PIP_CONFIG_FILE=str(tmp_path / "own.conf"), LANG="zh_CN.UTF-8")
    assert done.returncode == 1
    assert f"发现：pip 配置文件 {tmp_path}/own.conf" in done.stderr
    assert "Traceback" not in done.stderr


# --- the environment, places, streams ---

BAD = {
    "PYTHONHOME": "/nonexistent",
    "PYTHONPATH": "{bad}",
    "PYTHONSTARTUP": "/x",
    "PYTHONWARNINGS": "error",
    "PIP_TARGET": "{bad}/target",
    "PIP_PREFIX": "{bad}/prefix",
    "PIP_ROOT": "{bad}/root",
    "PIP_USER": "1",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_CONSTRAINT": "/nonexistent",
    "PIP_NO_BINARY": ":all:",
    "UV_CONFIG_FILE": "{bad}/uv.toml",
    "UV_PYTHON": "/nonexistent",
    "UV_OFFLINE": "1",
    "UV_NO_BINARY": "1",
    "UV_CONSTRAINT": "/nonexistent",
    "UV_EXCLUDE_NEWER": "2001-01-01",
    "VIRTUAL_ENV": "/nonexistent",
    "CONDA_PREFIX": "/nonexistent",
    "CONDA_DEFAULT_ENV": "base",
    "LD_LIBRARY_PATH": "/nonexistent",
    "BASH_ENV": "{bad}/sh",
    "ENV": "{bad}/sh",
    "GIT_DIR": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "{bad}/git",
    "ANSIBLE_CONFIG": "/nonexistent",
    "ANSIBLE_CALLBACKS_ENABLED": "",
    "ANSIBLE_CALLBACK_PLUGINS": "{bad}",
    "ANSIBLE_STDOUT_CALLBACK": "silent",
    "ANSIBLE_LIBRARY": "{bad}",
    "ANSIBLE_MODULE_UTILS": "{bad}",
    "ANSIBLE_ACTION_PLUGINS": "{bad}",
    "ANSIBLE_FILTER_PLUGINS": "{bad}",
    "ANSIBLE_ROLES_PATH": "{bad}",
    "ANSIBLE_COLLECTIONS_PATH": "{bad}",
    "ANSIBLE_HOME": "{bad}/home",
    "ANSIBLE_PYTHON_INTERPRETER": "/nonexistent",
    "ANSIBLE_CHECK_MODE_MARKERS": "nonsense",
    "ANSIBLE_GATHERING": "implicit",
    "ANSIBLE_PIPELINING": "false",
    "ANSIBLE_JINJA2_NATIVE": "false",
    "ANSIBLE_RUN_TAGS": "never",
    "ANSIBLE_STRATEGY": "nonsense",
    "ANSIBLE_BECOME": "true",
    "ANSIBLE_DISPLAY_FAILED_STDERR": "nonsense",
}
GOOD = {
    "LC_TIME": "C.UTF-8",
    "TZ": "Asia/Shanghai",
    "TERM": "xterm",
    "NO_COLOR": "1",
    "HF_TOKEN": "hf_x",
    "HF_ENDPOINT": "https://hub.example",
    "CHATGLM_SEEDS": "3",
    "CI": "true",
    "WSL_DISTRO_NAME": "Ubuntu",
    "SSH_AUTH_SOCK": "/run/x",
    "https_proxy": "http://127.0.0.1:9",
    "PIP_EXTRA_INDEX_URL": "https://index.example",
    "ANSIBLE_VERBOSITY": "1",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_STDOUT_CALLBACK": "json",
    "ANSIBLE_BECOME_PASSWORD_FILE": "/p",
    "ANSIBLE_VAULT_PASSWORD_FILE": "/v",
    "ANSIBLE_HOST_KEY_CHECKING": "false",
    "ANSIBLE_PRIVATE_KEY_FILE": "/k",
    "ANSIBLE_REMOTE_USER": "me",
}
OURS = {"PATH", "ANSIBLE_CONFIG", "ANSIBLE_HOME", "ANSIBLE_SSH_CONTROL_PATH_DIR", "ANSIBLE_COLLECTIONS_PATH"}
OURS |= {"CHATGLM_ENV", "CHATGLM_CACHE", "UV_NO_CONFIG", "LC_ALL", "PWD", "OLDPWD", "_", "SHLVL"}


def variables(done):
    assert done.returncode == 0, done.stderr
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)


def test_the_environment_is_an_allow_list(checkout, env, tmp_path):
    (tmp_path / "sh").write_text("echo bent; exit 3\n")
    bad = {name: value.format(bad=tmp_path) for name, value in BAD.items()}
    done = run(checkout, env, "env", "-0", **bad)
    assert built(done) == 1
    seen = variables(done)
    assert {name for name in seen if name in bad and name not in OURS} == set()
    assert seen["ANSIBLE_CONFIG"] == str(checkout / "ansible.cfg")
    assert seen["ANSIBLE_HOME"] == str(checkout / ".cache" / "ansible")
    assert "ANSIBLE_COLLECTIONS_PATH" not in seen
    seen = variables(run(checkout, env, "env", "-0", **GOOD))
    assert {name: seen.get(name) for name in GOOD} == GOOD
    assert seen["ANSIBLE_COLLECTIONS_PATH"].startswith(env["HOME"])
    assert set(seen) <= set(GOOD) | set(env) | OURS


def test_the_doctor_speaks_whatever_is_set(tmp_path):
    """This project's own environment: variables and files that replaced its callbacks, and printed nothing."""
    home = tmp_path / "home"
    command = [
        "ansible-playbook",
        "playbooks/doctor.yml",
        "-i",
        "inventory/demo",
        "-e",
        f"chatglm_home={tmp_path}/none",
    ]
    plain = {"PATH": os.environ["PATH"], "HOME": str(home)}
    first = run(ROOT, plain, *command, cwd=ROOT)
    codes = re.findall(r"(?m)^  (?:yours|repairable) +(\w+)", first.stdout)
    assert codes, first.stdout + first.stderr
    home.mkdir(exist_ok=True)
    (home / ".ansible.cfg").write_text("[defaults]\ncallbacks_enabled =\nstdout_callback = oneline\n")
    for kind in ("vars", "callback", "become", "strategy", "lookup", "modules", "action"):
        (home / ".ansible" / "plugins" / kind).mkdir(parents=True)
        (home / ".ansible" / "plugins" / kind / "host_facts.py").write_text("raise SystemExit('bent')\n")
    (home / ".pydistutils.cfg").write_text("[install]\nprefix=/nonexistent\n")
    bad = {name: value.format(bad=tmp_path) for name, value in BAD.items()}
    second = run(ROOT, {**plain, **bad}, *command, cwd=ROOT)
    assert second.returncode == first.returncode == 1
    assert re.findall(r"(?m)^  (?:yours|repairable) +(\w+)", second.stdout) == codes


def test_a_folder_that_everybody_may_write(tmp_path):
    """As on /mnt/c: Ansible passes over the ansible.cfg of such a folder, unless it is named."""
    checkout = stage_zero.make_checkout(tmp_path / "c", ROOT / "requirements" / "control.txt")
    shutil.copy(ROOT / "ansible.cfg", checkout)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    checkout.chmod(0o777)
    command = ["ansible-config", "dump", "--only-changed"]
    done = run(checkout, plain_environment(tmp_path / "home"), *command, cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"CALLBACKS_ENABLED\({re.escape(str(checkout))}/ansible.cfg\) = \['doctor', ", done.stdout)
    assert done.stderr == ""


def test_values_of_the_allowed_pass_as_they_are(checkout, env):
    odd = "a b\n'c' \"d\" $(e) \\ 文"
    assert variables(run(checkout, env, "env", "-0", CHATGLM_X=odd))["CHATGLM_X"] == odd


def test_the_guide_lists_what_passes():
    source = (ROOT / "bootstrap").read_text().partition("case $name in")[2].partition("# A shell's own")[0]
    names = set(re.findall(r"\b[A-Za-z][A-Za-z0-9_]+\*?(?= \||\))", source))
    assert len(names) > 60
    for guide in ("guide.md", "guide.zh-CN.md"):
        text = (ROOT / "docs" / guide).read_text()
        missing = {name for name in names if not re.search(rf"\b{re.escape(name)}", text)}
        assert not {name for name in missing if name.upper() not in text.upper()}, guide


@pytest.mark.parametrize("name", ["{{ x }}", "{% x %}", "{# x", "a:b", "$HOME", 'it\'s {{ "x" }}'])
def test_a_name_that_ansible_reads_as_something_else(tmp_path, index, env, name):
    checkout = stage_zero.make_checkout(tmp_path / name / "c", index / "control.txt")
    (tmp_path / "home").mkdir()
    done = run(checkout, env, "ansible")
    assert done.returncode == 1
    assert "has characters that Ansible reads as something else" in done.stderr
    (line,) = stage_zero.PASTED.findall(done.stderr)
    command = ["sh", "-c", f"{line} && ./bootstrap ansible"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=checkout)
    assert (done.returncode, done.stdout) == (0, "ansible [core 0]\n"), done.stderr
    assert (tmp_path / "home" / "chatglm-wsl" / ".venv").is_dir()


@pytest.mark.parametrize("name", ["it's", 'a "b"', "聊天", "a, b; c", "-n", "a\\b", "%s", "{x}", "#", "~"])
def test_any_name_of_a_folder(tmp_path, index, env, name):
    checkout = stage_zero.make_checkout(tmp_path / name / "c", index / "control.txt")
    (tmp_path / "home").mkdir()
    assert built(run(checkout, env, "ansible")) == 1
    done = run(checkout, env, "ansible", cwd=checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ansible [core 0]\n", "")


def as_user(*command):
    """Run a command as a user who is not root, where this is root."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command] if ROOTLY else [*command]


@pytest.mark.skipif(not ROOTLY, reason="only root makes what another user may not write")
def test_a_checkout_that_may_not_be_written(checkout, env, tmp_path):
    env.update(CHATGLM_PYTHON=SYSTEM)
    (tmp_path / "home").chmod(0o777)
    command = as_user(str(checkout / "bootstrap"), "ansible")
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd="/")
    assert built(done) == 1
    again = subprocess.run(command, env=env, capture_output=True, text=True, cwd="/")
    assert (again.returncode, again.stdout, again.stderr) == (0, "ansible [core 0]\n", "")
    assert not (checkout / ".venv").exists()
    assert [path.name for path in (tmp_path / "home" / ".cache" / "chatglm").glob("*/*/stamp")] == ["stamp"]
    (tmp_path / "home").chmod(0o755)
    shutil.rmtree(tmp_path / "home" / ".cache")
    done, applied = until_it_works(command, env, tuple(as_user("/bin/sh")))
    assert done.returncode == 0, done.stderr
    assert applied == ['export XDG_CACHE_HOME="$(mktemp -d)"']


@pytest.mark.skipif(not ROOTLY, reason="only root makes what another user may not write")
@pytest.mark.parametrize("sudo", [True, False])
@pytest.mark.parametrize("place", [".cache", ".venv", ".venv/lib", "home/.ansible", "home/.ansible/tmp"])
def test_what_root_left_is_given_back(  # noqa: PLR0917
    checkout, env, tmp_path, tools, place, sudo
):
    env.update(CHATGLM_PYTHON=SYSTEM)
    subprocess.run(["chown", "-R", "65534:65534", checkout, tmp_path / "home"], check=True)
    left = (tmp_path if place.startswith("home") else checkout) / place / "x" / "y"
    left.mkdir(parents=True)
    subprocess.run(["chown", "-R", "0:0", left.parent], check=True)
    if place != ".venv/lib":
        subprocess.run(["chown", "-R", "0:0", left.parent.parent], check=True)
    tools("id", f'exec {shutil.which("id")} "$@"')
    tools("python3", f'exec {SYSTEM} "$@"')
    if sudo:  # as root would: the test is root itself
        tools("sudo", 'echo "$@" >"$HOME/sudo"; exit 0')
    env["PATH"] = tools.path
    command = as_user(str(checkout / "bootstrap"), "ansible")
    command[0] = shutil.which("setpriv")
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd="/")
    assert done.returncode == 1
    (line,) = stage_zero.PASTED.findall(done.stderr)
    if sudo:
        assert line.startswith('sudo chown -R "$(id -u):$(id -g)" ')
        line = line.removeprefix("sudo ").replace("$(id -u):$(id -g)", "65534:65534")
        subprocess.run(["sh", "-c", line], check=True)
    else:
        subprocess.run(as_user("sh", "-c", line), check=True)
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr


def test_streams_that_do_not_block_are_put_right(checkout, env):
    assert built(run(checkout, env, "true")) == 1
    look = "import os; print([os.get_blocking(fd) for fd in (0, 1, 2)])"
    read, write = os.pipe()
    for end in (read, write):
        os.set_blocking(end, False)
    done = subprocess.run(
        [checkout / "bootstrap", "python", "-c", look],
        env=env,
        stdin=read,
        stderr=write,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout == "[True, True, True]\n"
    os.close(read)
    os.close(write)


def test_a_locale_that_ansible_would_refuse_is_replaced(checkout, env):
    done = run(checkout, env, "sh", "-c", "echo $LC_ALL", LC_ALL="POSIX")
    assert done.stdout.strip() == "C.UTF-8"


def test_a_clone_by_git_for_windows(tmp_path, index, env):
    """core.autocrlf=true, as Git for Windows sets it: nothing in the clone has other bytes than in the repository."""
    source = tmp_path / "source"
    files = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True
    ).stdout
    for name in filter(None, files.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.autocrlf=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, "-C", source, *command], check=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", source, clone], check=True)
    differ = [
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(source).parts
        if path.read_bytes() != (clone / path.relative_to(source)).read_bytes()
    ]
    assert differ == []
    shutil.copy(index / "control.txt", clone / "requirements")
    (tmp_path / "home").mkdir()
    assert built(run(clone, env, "ansible")) == 1


def test_no_python_is_started_when_all_is_ready(checkout, env, tmp_path):
    env["CHATGLM_PYTHON"] = ""
    assert built(run(checkout, env, "true")) == 1
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/bin/false")
    done = run(checkout, env, "true")
    assert (done.returncode, done.stderr) == (0, "")
