"""managed_python by real runs of the module and of the locked uv, on the stand-in's server; no network.

The archive holds a small Python of this machine's: a program that starts the interpreter of the tests. What a whole
one does is shown by molecule, with tests/standins/python_archive.py.
"""

import hashlib
import io
import json
import locale
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path
from unittest import mock

import managed_python
import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.virtualenv import managed_python as core
from ansible.module_utils.chatglm.virtualenv import managed_python_work as work
from env_host import MODULE, ROOT, module_arguments, uv_binary
from serve import Fault, StandIn

pytestmark = pytest.mark.skipif(not uv_binary(), reason="uv is not installed")
LIST = ROOT / "roles" / "virtualenv" / "files" / "python.json"
KEY = "cpython-3.11.2-linux-x86_64-gnu"
BUILD = "20230409"
NAME = f"cpython-3.11.2+{BUILD}-x86_64-unknown-linux-gnu-install_only.tar.gz"
# Says of itself what it should be, and notes that it was run.
SCRIPT = """#!/bin/sh
echo run >>"${0%/*}/../../../ran" 2>/dev/null
echo 3.11.2
"""
# uv writes the place of the installation into this one.
SYSCONFIG = (
    "# system configuration generated and used by the sysconfig module\nbuild_time_vars = {'prefix': '/install'}\n"
)


def archive(folder, files=None, name=NAME):
    """Write an archive, and return its digest."""
    files = {
        "bin/python3.11": SCRIPT,
        "lib/python3.11/os.py": "# os\n" * 9,
        "lib/python3.11/__pycache__/os.cpython-311.pyc": "compiled",
        "lib/python3.11/_sysconfigdata__linux_x86_64-linux-gnu.py": SYSCONFIG,
        "lib/libpython3.11.so": "\0",
        **(files or {}),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"python/{path}")
            entry.size, entry.mode = len(text.encode()), 0o755 if path.startswith("bin/") else 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("python/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, "python3.11"
        tar.addfile(link)
    path = folder / BUILD / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())
    return hashlib.sha256(out.getvalue()).hexdigest()


def listed(url, sha256, version="3.11.2", build=BUILD, **more):
    major, minor, patch = map(int, version.split("."))
    entry = {
        "name": "cpython",
        "arch": {"family": "x86_64", "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": url,
        "sha256": sha256,
        "variant": None,
        "build": build,
        **more,
    }
    return {f"cpython-{version}-linux-x86_64-gnu": entry}


class Host:
    """A host with an installation to be, and a server of archives."""

    def __init__(self, tmp_path, server):
        self.root, self.server = tmp_path, server
        self.home = tmp_path / "home"
        self.folder = self.home / "python"
        self.record = self.home / "state" / "python.json"
        self.tree = self.folder / KEY
        self.url = f"{server.url}/python/{BUILD}/{NAME.replace('+', '%2B')}"
        self.sha256 = archive(server.python)
        (tmp_path / "user").mkdir()
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "user")}

    def arguments(self, check=False, **options):
        return {
            "path": str(self.folder),
            "downloads": json.dumps(listed(self.url, self.sha256)),
            "record": str(self.record),
            "environment": str(self.home / "venv"),
            "uv": uv_binary(),
            "lock": str(self.home / "state" / "lock"),
            **options,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(self.root / "ansible"),
        }

    def run(self, check=False, **options):
        out = io.StringIO()
        spoken = locale.setlocale(locale.LC_ALL)
        environ = mock.patch.dict(os.environ, self.environ, clear=True)
        try:
            given = module_arguments(self.arguments(check, **options))
            with environ, given, redirect_stdout(out), suppress(SystemExit):
                managed_python.main()
        finally:
            locale.setlocale(locale.LC_ALL, spoken)
        return json.loads(out.getvalue().strip().splitlines()[-1])

    def good(self, **options):
        """Run in both modes, compare what they say, and return the real run's result; it must end well."""
        before = self.state()
        checked = self.run(check=True, **options)
        assert self.state() == before, "check mode changes nothing"
        result = self.run(**options)
        assert not result.get("failed"), result["msg"]
        for key in ("changed", "diff", "action", "reason", "refresh", "aside"):
            assert checked[key] == result[key], key
        return result

    def state(self):
        return {
            str(path.relative_to(self.home)): path.read_bytes() if path.is_file() else b""
            for path in sorted(self.home.rglob("*"))
            if path.name not in ("lock",)
        }

    def prepared(self, result):
        return (result["diff"] or {}).get("prepared", "")

    def start(self, **options):
        """Start a real run as a process of its own."""
        child = subprocess.Popen(
            [sys.executable, "-c", MODULE.replace("python_env.py", "managed_python.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ,
            text=True,
        )
        child.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": self.arguments(**options)}))
        child.stdin.close()
        child.stdin = None
        return child


@pytest.fixture
def host(tmp_path):
    (tmp_path / "archives").mkdir()
    with StandIn(python=tmp_path / "archives") as server:
        yield Host(tmp_path, server)


@pytest.fixture
def brought(host):
    assert host.run()["action"] == "create"
    return host


# --- the list and the sources ---


def test_the_pinned_release_is_the_one_of_the_locked_uv(tmp_path):
    release = core.choose(LIST.read_text())
    assert release.minor == "3.12"
    folder = tmp_path / "mirror" / release.build
    folder.mkdir(parents=True)
    with tarfile.open(folder / release.url.rpartition("/")[2].replace("%2B", "+"), "w:gz"):
        pass
    command = [uv_binary(), "python", "install", "--no-bin", "--no-config", "--install-dir", str(tmp_path / "new")]
    command += ["--mirror", folder.parent.as_uri(), release.version]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "UV_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    # Its own list has the same archive, by address and by digest, and it refuses another.
    assert done.returncode == 1
    assert "Hash mismatch" in done.stderr
    assert release.sha256 in done.stderr
    assert release.key in done.stderr
    shown = [uv_binary(), "python", "list", "--no-config", "--only-downloads", "--show-urls", release.version]
    done = subprocess.run(shown, capture_output=True, text=True, env=environment)
    assert release.url in done.stdout


def test_the_newest_of_the_best_minor_is_chosen():
    entries = {}
    for version in ("3.13.1", "3.11.9", "3.11.20", "3.10.30"):
        entries.update(listed("https://h/b/f.tar.gz", "a" * 64, version))
    assert core.choose(json.dumps(entries)).version == "3.11.20"
    freethreaded = listed("https://h/b/f.tar.gz", "a" * 64, "3.12.1", variant="freethreaded")
    other = listed("https://h/b/f.tar.gz", "a" * 64, "3.12.2", arch={"family": "aarch64", "variant": None})
    assert core.choose(json.dumps({**entries, **freethreaded, **other})).version == "3.11.20"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "none among 0 entries"),
        (json.dumps(listed("https://h/b/f", "a" * 63)), "none among 1 entries"),
        (json.dumps(listed("ftp://h/b/f", "a" * 64)), "none among 1 entries"),
        (json.dumps({"../x": next(iter(listed("https://h/b/f", "a" * 64).values()))}), "none among 1 entries"),
    ],
)
def test_a_list_that_cannot_be_used_is_told(text, found):
    with pytest.raises(Failure, match="virtualenv_python_downloads") as caught:
        core.choose(text)
    assert found in str(caught.value)


def test_sources_in_their_order(tmp_path):
    release = core.choose(LIST.read_text())
    build, name = release.url.split("/")[-2:]
    plain = name.replace("%2B", "+")
    flat, whole = tmp_path / "a b", tmp_path / "whole"
    for path in (flat / plain, whole / build / plain):
        path.parent.mkdir(parents=True)
        path.touch()
    mirrors = ["official", "https://m.example/x/", str(flat), whole.as_uri(), str(flat / plain), "official", "/nowhere"]
    quoted = f"file://{tmp_path}"
    assert core.addresses(release, mirrors) == [
        release.url,
        f"https://m.example/x/{build}/{name}",
        f"{quoted}/a%20b/{name}",
        f"{quoted}/whole/{build}/{name}",
        f"file:///nowhere/{build}/{name}",
    ]


@pytest.mark.parametrize("mirrors", [[], ["ftp://x"], ["relative/path"], ["~/x"]])
def test_a_source_of_another_kind_is_told_before_the_work(host, mirrors):
    for check in (True, False):
        result = host.run(check=check, mirrors=mirrors)
        assert result["failed"]
        assert "virtualenv_python_mirrors" in result["msg"]
    assert not host.home.exists()


# --- to bring one ---


def test_bring_then_nothing(host):
    result = host.good()
    assert (result["action"], result["changed"]) == ("create", True)
    assert host.prepared(result) == f"+ Python 3.11.2 (build {BUILD})\n"
    assert result["python"] == str(host.tree / "bin" / "python3.11")
    assert result["source"] == host.url
    assert result["bytes_installed"] > 0
    entry = json.loads(host.record.read_text())["pythons"][KEY]
    assert (entry["version"], entry["build"], entry["sha256"]) == ("3.11.2", BUILD, host.sha256)
    assert sorted(os.listdir(host.home)) == ["python", "state"]
    assert os.listdir(host.folder) == [KEY]
    assert os.listdir(host.root / "user") == [], "nothing is put into ~/.local or ~/.cache"
    assert not [path for path in host.folder.rglob("*") if path.is_file() and b"python.partial" in path.read_bytes()]
    sysconfig = host.tree / "lib/python3.11/_sysconfigdata__linux_x86_64-linux-gnu.py"
    assert f'"{host.tree}"' in sysconfig.read_text().replace("'", '"'), "it names where it stands"
    second = host.good(uv="/nowhere/uv")
    assert (second["action"], second["changed"], second["diff"], second["refresh"]) == ("none", False, {}, False)
    assert len([each for each in host.server.requests if each.method == "GET"]) == 1


def test_check_mode_announces_it_on_a_bare_host(host):
    result = host.run(check=True)
    assert (result["action"], result["changed"]) == ("create", True)
    assert not host.home.exists()
    assert host.server.requests == []


def test_the_environment_does_not_bend_uv(host):
    host.environ |= {
        "UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9",
        "UV_PYTHON_INSTALL_DIR": str(host.root / "elsewhere"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(host.root / "cache"),
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": "/nowhere",
    }
    (host.root / "user" / ".config" / "uv").mkdir(parents=True)
    (host.root / "user" / ".config" / "uv" / "uv.toml").write_text("offline = true\n")
    assert host.good()["action"] == "create"
    assert not (host.root / "elsewhere").exists()
    assert not (host.root / "cache").exists()


def test_no_uv(host):
    assert "set uv (virtualenv_uv)" in host.run(uv="")["msg"]
    assert "cannot be run" in host.run(uv="/nowhere/uv")["msg"]
    assert not (host.home / "python").exists()


# --- sources that fail ---


def test_each_source_is_asked_in_turn_and_its_reason_told(host):
    bad = host.server.python / BUILD / "other"
    bad.write_bytes(b"")
    wrong = host.root / "wrong"
    archive(wrong, {"bin/python3.11": "#!/bin/sh\ntouch /tmp/never\n"})
    mirrors = ["http://no-such-host.invalid", "http://127.0.0.1:9", f"{host.server.url}/git", "/no/folder", str(wrong)]
    result = host.run(mirrors=[*mirrors, "official"])
    assert result["action"] == "create", result
    assert result["source"] == host.url
    failed = result["failed_sources"]
    assert [text.partition(": ")[0].startswith(mirror) for text, mirror in zip(failed[:3], mirrors, strict=False)]
    reasons = [text.rpartition(": ")[2] for text in failed]
    assert reasons == [
        "its name cannot be resolved",
        "the connection is refused",
        "not there (404)",
        "no such file",
        "another content than the list says, by its sha256",
    ]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 404}, "not there (404)"),
        ({"body": "html"}, "no archive, or a damaged one"),
        ({"cut": 100}, "it was cut off"),
        ({"status": 503}, "503"),
    ],
)
def test_no_source_gives_it(host, fault, reason):
    host.server.faults.append(Fault("/python/", **fault))
    result = host.run()
    assert result["failed"]
    assert "no source gave Python 3.11.2" in result["msg"]
    assert reason in result["msg"]
    assert host.url in result["msg"]
    assert host.sha256 in result["msg"]
    assert "virtualenv_python_mirrors" in result["msg"]
    assert not host.folder.exists()
    assert not Path(f"{host.folder}.partial").exists()
    assert not host.record.exists()
    host.server.faults.clear()
    assert host.run()["action"] == "create"


def test_a_wrong_digest_is_refused_and_nothing_of_it_run(host):
    result = host.run(downloads=json.dumps(listed(host.url, "0" * 64)))
    assert "another content than the list says" in result["msg"]
    assert not (host.home / "ran").exists()
    assert not host.folder.exists()


def test_one_that_does_not_run_here_leaves_everything_as_it_was(brought):
    before = brought.state()
    brought.sha256 = archive(brought.server.python, {"bin/python3.11": "#!/bin/sh\necho no such glibc >&2; exit 1\n"})
    result = brought.run()
    assert "does not run here: no such glibc" in result["msg"]
    assert brought.state() == before


def test_passwords_are_masked(host):
    host.server.faults.append(Fault("/python/", status=404))
    url = host.url.replace("http://", "http://me:secret@")
    result = host.run(
        downloads=json.dumps(listed(url, host.sha256)), mirrors=["official", "http://you:hidden@127.0.0.1:9"]
    )
    told = json.dumps({name: value for name, value in result.items() if name != "invocation"})
    assert "secret" not in told
    assert "hidden" not in told
    assert "//***@127.0.0.1" in result["msg"]


# --- what can be wrong with one that is there ---

DAMAGE = {
    "changed": (
        lambda tree: (tree / "lib/python3.11/os.py").write_text("import evil\n"),
        "damaged file lib/python3.11/os.py",
    ),
    "bytecode": (
        lambda tree: (tree / "lib/python3.11/__pycache__/os.cpython-311.pyc").write_text("evil"),
        "damaged file lib/python3.11/__pycache__/os.cpython-311.pyc",
    ),
    "missing": (lambda tree: (tree / "lib/libpython3.11.so").unlink(), "missing file lib/libpython3.11.so"),
    "interpreter": (lambda tree: (tree / "bin/python3.11").unlink(), "missing file bin/python3.11"),
    "mode": (lambda tree: (tree / "bin/python3.11").chmod(0o644), "its interpreter may not be executed"),
    "all": (shutil.rmtree, "it is missing"),
    "link": (lambda tree: (tree / "bin/python3").unlink(), "missing link bin/python3"),
    "turned": (
        lambda tree: ((tree / "bin/python3").unlink(), (tree / "bin/python3").symlink_to("/bin/sh")),
        "damaged link bin/python3",
    ),
    "replaced": (
        lambda tree: ((tree / "bin/python3.11").unlink(), (tree / "bin/python3.11").symlink_to("/bin/sh")),
        "damaged file bin/python3.11",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_and_mended(brought, name):
    before = brought.state()
    plant, reason = DAMAGE[name]
    plant(brought.tree)
    (brought.home / "ran").unlink(missing_ok=True)
    brought.run(check=True)
    assert not (brought.home / "ran").exists(), "to look runs nothing"
    result = brought.good()
    assert (result["action"], result["reason"]) == ("repair", reason)
    assert brought.prepared(result) == f"~ Python 3.11.2 (build {BUILD}) (fetched again: {reason})\n"
    after = {path: data for path, data in brought.state().items() if path not in ("state/python.json", "ran")}
    assert after == {path: data for path, data in before.items() if path not in ("state/python.json", "ran")}
    assert brought.good()["action"] == "none"


def test_same_size_and_times_are_found_by_reading(brought):
    path = brought.tree / "lib/python3.11/os.py"
    path.write_text("# so\n" * 9)
    entry = json.loads(brought.record.read_text())
    files = sorted(entry["pythons"][KEY]["files"])
    entry["pythons"][KEY]["stat"] = core.stat_digest(str(brought.tree), files)  # as if a disk had lost a bit
    brought.record.write_text(json.dumps(entry))
    assert brought.good()["action"] == "none"
    assert brought.good(verify="full")["reason"] == "damaged file lib/python3.11/os.py"


def test_touched_files_are_read_and_their_times_noted(brought):
    os.utime(brought.tree / "lib/python3.11/os.py")
    result = brought.good()
    assert (result["action"], result["changed"], result["refresh"]) == ("none", False, True)
    assert brought.good()["refresh"] is False
    assert len([each for each in brought.server.requests if each.method == "GET"]) == 1


def test_foreign_files_are_put_beside_and_bytecode_goes(brought):
    library = brought.tree / "lib/python3.11"
    (library / "sitecustomize.py").write_text("evil\n")
    (library / "__pycache__/x.cpython-311.pyc").write_text("evil")
    result = brought.good()
    assert (result["action"], result["aside"]) == ("tidy", ["lib/python3.11/sitecustomize.py"])
    assert Path(f"{brought.folder}.kept/lib/python3.11/sitecustomize.py").read_text() == "evil\n"
    assert not (library / "__pycache__/x.cpython-311.pyc").exists()
    assert "kept as" in str(result["warnings"])
    assert brought.good()["action"] == "none"
    assert len([each for each in brought.server.requests if each.method == "GET"]) == 1


def test_files_of_the_user_outlive_a_repair(brought):
    (brought.tree / "lib/python3.11/os.py").unlink()
    (brought.tree / "lib/mine.txt").write_text("mine\n")
    assert brought.good()["action"] == "repair"
    assert Path(f"{brought.folder}.kept/lib/mine.txt").read_text() == "mine\n"


def test_without_a_record_it_is_fetched_again_and_edits_are_kept(brought):
    brought.record.unlink()
    (brought.tree / "lib/python3.11/os.py").write_text("edited\n")
    result = brought.good()
    assert (result["action"], result["reason"]) == ("repair", "no record of it")
    assert Path(f"{brought.folder}.kept/lib/python3.11/os.py").read_text() == "edited\n"
    assert sorted(path.name for path in Path(f"{brought.folder}.kept").rglob("*") if path.is_file()) == ["os.py"]


def test_without_a_record_what_is_as_in_the_archive_stays(brought):
    """Only the archive shows what its files should be; where they are that, nothing else than the record is new."""
    recorded = brought.record.read_bytes()
    brought.record.unlink()
    (brought.tree / "lib/python3.11/sitecustomize.py").write_text("evil\n")
    (brought.tree / "lib/python3.11/__pycache__/x.cpython-311.pyc").write_text("evil")
    inodes = {path: path.lstat().st_ino for path in brought.tree.rglob("*")}
    result = brought.good()
    assert (result["action"], result["reason"]) == ("repair", "no record of it")
    left = {path: path.lstat().st_ino for path in brought.tree.rglob("*")}
    assert left.items() < inodes.items()
    assert {path.name for path in inodes.keys() - left.keys()} == {"sitecustomize.py", "x.cpython-311.pyc"}
    assert Path(f"{brought.folder}.kept/lib/python3.11/sitecustomize.py").read_text() == "evil\n"
    assert brought.record.read_bytes() == recorded
    assert not Path(f"{brought.folder}.partial").exists()
    again = brought.good()
    assert (again["action"], again["refresh"]) == ("none", False)


def test_without_a_record_an_interpreter_that_may_not_run_is_replaced(brought):
    brought.record.unlink()
    (brought.tree / "bin/python3.11").chmod(0o644)
    assert brought.good()["reason"] == "no record of it"
    assert os.access(brought.tree / "bin/python3.11", os.X_OK)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1, "pythons": {"cpython-1": {"files": {"../x": ""}}}}', ""])
def test_a_garbled_record_proves_nothing(brought, text):
    brought.record.write_text(text)
    assert brought.good()["reason"] == "no record of it"


def test_another_build_or_another_place_is_fetched_anew(brought, tmp_path):
    brought.sha256 = archive(brought.server.python, {"lib/more.txt": "more"})
    build = json.dumps(listed(brought.url, brought.sha256, build="20240101"))
    assert brought.good(downloads=build)["reason"] == f"it is build {BUILD}, planned is 20240101"
    moved = Host.__new__(Host)
    moved.__dict__.update(brought.__dict__)
    shutil.move(brought.home, tmp_path / "moved")
    moved.home = tmp_path / "moved"
    moved.folder, moved.record, moved.tree = (
        moved.home / "python",
        moved.home / "state" / "python.json",
        moved.home / "python" / KEY,
    )
    assert moved.good()["reason"] == f"it was made for {brought.tree}"


def test_something_else_in_its_place(host):
    host.home.mkdir()
    host.folder.write_text("mine")
    for check in (True, False):
        assert f"{host.folder} is not a folder" in host.run(check=check)["msg"]
    host.folder.unlink()
    host.folder.symlink_to("/usr")
    assert "move" in host.run()["msg"]


# --- what nothing stands on any more ---


def test_a_newer_one_comes_beside_and_the_old_one_goes_with_its_virtualenv(brought):
    (brought.home / "venv" / "bin").mkdir(parents=True)
    link = brought.home / "venv" / "bin" / "python"
    link.symlink_to(brought.tree / "bin" / "python3.11")
    name = NAME.replace("3.11.2", "3.11.3")
    sha256 = archive(brought.server.python, {"bin/python3.11": SCRIPT.replace("3.11.2", "3.11.3")}, name)
    newer = json.dumps(listed(brought.url.replace("3.11.2", "3.11.3"), sha256, "3.11.3"))
    gone = "- Python 3.11.2 (once the virtualenv stands on another)\n"
    checked = brought.run(check=True, downloads=newer)
    assert brought.prepared(checked) == f"+ Python 3.11.3 (build {BUILD})\n{gone}"
    result = brought.run(downloads=newer)
    assert (result["action"], result["later"]) == ("create", [KEY])
    assert brought.tree.is_dir()
    link.unlink()
    link.symlink_to(brought.folder / KEY.replace("3.11.2", "3.11.3") / "bin" / "python3.11")
    (brought.tree / "lib" / "mine.txt").write_text("mine\n")
    result = brought.good(downloads=newer)
    assert (result["action"], brought.prepared(result)) == (
        "clean",
        "- Python 3.11.2 (nothing stands on it any more)\n",
    )
    assert os.listdir(brought.folder) == [KEY.replace("3.11.2", "3.11.3")]
    assert Path(f"{brought.folder}.kept/lib/mine.txt").exists()
    assert brought.good(downloads=newer)["action"] == "none"


def test_absent_removes_it_once_nothing_stands_on_it(brought):
    (brought.home / "venv" / "bin").mkdir(parents=True)
    link = brought.home / "venv" / "bin" / "python"
    link.symlink_to(brought.tree / "bin" / "python3.11")
    absent = {"state": "absent", "downloads": "", "uv": ""}
    assert brought.run(check=True, **absent)["changed"]
    assert brought.run(**absent)["changed"] is False
    assert brought.tree.is_dir()
    link.unlink()
    assert brought.good(**absent)["action"] == "clean"
    assert not brought.folder.exists()
    assert not brought.record.exists()
    assert brought.good(**absent)["action"] == "none"


# --- interruptions, room, rights ---


def test_what_an_interrupted_run_left_is_cleared(brought):
    for name in (".partial", ".old"):
        folder = Path(f"{brought.folder}{name}") / "new"
        folder.mkdir(parents=True)
        (folder / "x").touch()
    result = brought.good()
    assert result["action"] == "clean"
    assert brought.prepared(result).count("left over from an interrupted run") == 2
    assert brought.good()["action"] == "none"
    assert sorted(os.listdir(brought.home)) == ["python", "ran", "state"] or sorted(os.listdir(brought.home)) == [
        "python",
        "state",
    ]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_killed_run_leaves_nothing_that_counts(host, damaged):
    if damaged:
        host.run()
        (host.tree / "lib/python3.11/os.py").write_text("damaged\n")
    host.server.faults.append(Fault("/python/", delay=0.2, rate=300, times=1))
    child = host.start()
    for _ in range(200):
        if Path(f"{host.folder}.partial/downloads.json").exists():
            break
        time.sleep(0.05)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    child.wait()
    if damaged:
        assert (host.tree / "lib/python3.11/os.py").read_text() == "damaged\n", "it stays until the new one is proven"
    assert host.good()["changed"]
    assert host.good()["action"] == "none"
    assert not Path(f"{host.folder}.partial").exists()


def test_killed_between_the_record_and_the_swap(brought):
    """The record is written first; what it does not describe is looked at in full."""
    (brought.tree / "lib/python3.11/os.py").write_text("damaged\n")
    damaged = {path: (brought.tree / path).read_bytes() for path in ("lib/python3.11/os.py",)}
    with mock.patch.object(work.os, "rename", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        brought.run()
    assert (brought.tree / "lib/python3.11/os.py").read_bytes() == damaged["lib/python3.11/os.py"]
    assert brought.good()["reason"] == "damaged file lib/python3.11/os.py"
    assert brought.good()["action"] == "none"


def test_a_full_disk_is_told_as_one(host):
    told = "error: Failed to install x\n  cause: No space left on device (os error 28)\n"
    with mock.patch.object(work, "run_uv", return_value=(1, "", told)):
        result = host.run(mirrors=["official", "http://127.0.0.1:9"])
    assert "No space left on device" in result["msg"]
    assert "make room" in result["msg"]
    assert not Path(f"{host.folder}.partial").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_right_to_write(host):
    host.home.mkdir()
    host.home.chmod(0o555)
    assert "chown" in host.run()["msg"]


def test_no_right_to_write_as_anybody(host):
    with mock.patch.object(work.os, "makedirs", side_effect=PermissionError(13, "Permission denied", str(host.folder))):
        result = host.run()
    assert "chown" in result["msg"]


def test_a_run_that_takes_too_long(host):
    host.server.faults.append(Fault("/python/", delay=20, times=1))
    result = host.run(timeout=1)
    assert "still at work after 1 s" in result["msg"]
    assert not Path(f"{host.folder}.partial").exists()


def test_relative_paths_are_refused(host):
    assert "an absolute path" in host.run(path="python")["msg"]


def test_documented_sources_are_the_role_s():
    defaults = (ROOT / "roles/virtualenv/defaults/main.yml").read_text()
    assert re.search(r"virtualenv_python_mirrors:\n  - official\n", defaults)
