"""uninstall on an installation that the other modules have made from small parts, with a user's files all over it."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import patch_web_demo
import pytest
import source_checkout
import uninstall
from ansible.module_utils.chatglm.core import lock
from ansible.module_utils.chatglm.cuda_libs import apt_packages, apt_sources
from ansible.module_utils.chatglm.virtualenv import managed_python, managed_python_work, uv_command
from env_host import EnvHost, uv_binary
from snapshot_host import FILES, Site, pinned
from source_host import PAGE, git

pytestmark = pytest.mark.skipif(not (uv_binary() and shutil.which("git")), reason="needs uv and git")

STATUS = """\
Package: libc6
Status: install ok installed

Package: libcudart11.0
Status: install ok installed
Depends: libc6
"""
LAUNCHER = "#!/bin/sh\n"
# What a user may have made, and the reason for which it stays.
MINE = {
    "notes.txt": "yours",
    "papers/one.txt": "yours",
    "bin/tool": "yours",
    "cache/huggingface/token": "yours",
    "run/answers.txt": "yours",
    "state/mine.json": "yours",
    "state/service/mine.log": "yours",
    "lib/chatglm/mine.txt": "yours",
    "lib/engine/mine.txt": "yours",
    "models/tiny/notes.md": "yours",
    "models/other/weights.bin": "yours",
    "source/mine.py": "yours",
    "source/sub/deep/mine.py": "yours",
    "source.broken-git/HEAD": "yours",
    "venv.kept/bin/tool": "yours",
    "venv/bin/tool": "yours",
    "venv/mine.txt": "yours",
    "venv/lib/mine.txt": "yours",
}


def tree(folder, leave_out=()):
    """Return path -> content or target of all below a folder; folders too."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if name in leave_out:
            continue
        found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


class Host:
    """A user's home with an installation in it, elsewhere a copy of it, and the files of root that it asks for."""

    def __init__(self, folder):
        self.folder = folder
        self.user = folder / "user"
        self.home = self.user / "chatglm"
        self.user.mkdir(parents=True)
        (folder / "env").mkdir()
        env = EnvHost(folder / "env")
        env.home, env.path, env.cache = self.home, self.home / "venv", self.home / "cache" / "uv"
        env.good()
        work = folder / "work"
        (work / "sub").mkdir(parents=True)
        git(work, "init", "-q", "-b", "main")
        for name, text in {"web_demo.py": PAGE, "README.md": "# read\n", "sub/a b 用户.py": "a = 1\n"}.items():
            (work / name).write_text(text)
        (work / "link").symlink_to("README.md")
        git(work, "add", ".")
        git(work, "commit", "-q", "-m", "one")
        clone = {"url": work.as_uri(), "version": git(work, "rev-parse", "HEAD"), "dest": str(self.home / "source")}
        clone.update(ca_bundle="", patches=str(self.home / "state"), timeout=60, script="")
        source_checkout.run(clone, False, shutil.which("git"))
        patch_web_demo.run(
            {
                "path": str(self.home / "source" / "web_demo.py"), "model_path": str(self.home / "models" / "tiny"),
                "device": "cpu", "listen": "127.0.0.1", "port": 7860, "state": "patched",
                "password": "", "password_file": "", "to_be_restored": False,
                "record": str(self.home / "state" / "web_demo_patch.json"),
                "launcher": {"path": str(self.home / "bin" / "chatglm-run"), "content": LAUNCHER},
                "engine": {"path": str(self.home / "lib" / "engine"), "files": {"__init__.py": "", "int4.py": ""}},
            }, False,
        )  # fmt: skip
        site = Site(self.home)
        with site.hub:
            weights = site.folder("given")
            told = site.run(pytest.MonkeyPatch.context, files=pinned(FILES), sources=[weights],
                            sums=str(self.home / "state" / "weights.sha256"))  # fmt: skip
        assert not told["failed"], told
        shutil.rmtree(self.home / "given")
        for name in ("state/proof.json", "state/lock", "bin/uv", "cache/pycache/usr/lib/x.pyc", "cache/gradio/a/b"):
            self.write(name)
        (self.home / "run").mkdir()
        self.outside()
        shutil.copytree(self.user, folder / "copy", symlinks=True)

    def outside(self):
        """The command's link, as role service makes it."""
        (self.user / ".local" / "bin").mkdir(parents=True)
        (self.user / ".local" / "bin" / "other").write_text("theirs")
        self.write("bin/chatglm")
        (self.user / ".local" / "bin" / "chatglm").symlink_to(self.home / "bin" / "chatglm")
        completion = self.user / ".local" / "share" / "bash-completion" / "completions" / "chatglm"
        completion.parent.mkdir(parents=True)
        completion.write_text(f"# {uninstall.COMPLETION}\n")
        for name in ("lib/chatglm/page.py", "lib/chatglm/__pycache__/page.cpython-311.pyc", "state/page_password",
                     "state/service/chatglm.log", "state/service/process.json", "state/service/supervisor.lock",
                     "state/service.json"):  # fmt: skip
            self.write(name)

    def write(self, name, text="mine\n"):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def restore(self):
        shutil.rmtree(self.user)
        shutil.copytree(self.folder / "copy", self.user, symlinks=True)

    @property
    def site(self):
        return next((self.home / "venv" / "lib").glob("python3*")) / "site-packages"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return Host(tmp_path_factory.mktemp("host") / "h")


@pytest.fixture
def host(built, monkeypatch, tmp_path):
    built.restore()
    monkeypatch.setenv("HOME", str(built.user))
    for name, path in {"UNIT": "unit", "WANTS": "wants", "DPKG": "status"}.items():
        monkeypatch.setattr(uninstall, name, str(tmp_path / path))
    monkeypatch.setattr(apt_sources, "TARGET", str(tmp_path / "sources"))
    built.root = tmp_path
    return built


@pytest.fixture
def out(run_module, host):
    """Return a function that runs it in both modes, compares what they say and what is gone, and returns the answer."""

    def runner(**options):
        arguments = {"home": str(host.home), "lock": str(host.home / "state" / "lock"), "lock_timeout": 5, **options}
        before = tree(host.user)
        checked = run_module(uninstall, check=True, **arguments)
        assert tree(host.user) == before
        real = run_module(uninstall, **arguments)
        assert not checked.get("failed"), checked
        for key in ("changed", "removed", "kept", "processes", "freed", "root", "diff"):
            assert checked[key] == real[key], key
        after = tree(host.user)
        assert {name: after.get(name) for name in after if name in before} == {
            name: before[name] for name in after if name in before
        }
        assert after.keys() - before.keys() <= {"chatglm/state/removed.json"}
        # Each thing that is gone is told, and each thing that is told is gone.
        told = [
            os.path.relpath(os.path.join(host.home, path), host.user) + "/" * path.endswith("/")
            for path in real["removed"]
        ]
        gone = before.keys() - after.keys()
        for name in gone:
            assert any(name == item.rstrip("/") or (item.endswith("/") and name.startswith(item)) for item in told), (
                name
            )
        for item in told:
            assert item.rstrip("/") in gone, item
        return real

    return runner


def test_all_of_it_goes_and_a_second_run_finds_nothing(host, out):
    result = out()
    assert result["changed"]
    assert set(tree(host.user)) == {".local", ".local/bin", ".local/bin/other"}
    assert result["kept"] == []
    assert result["freed"] > 2_000_000
    again = out()
    assert (again["changed"], again["removed"], again["diff"]) == (False, [], {})
    assert again["lines"] == [f"nothing to remove in {host.home}"]


def test_a_user_s_files_stay_wherever_they_are(host, out):
    for name in MINE:
        host.write(name)
    result = out()
    left = tree(host.home)
    assert {name for name, data in left.items() if data is not None} == {*MINE, "state/removed.json"}
    told = {entry["path"]: entry["reason"] for entry in result["kept"]}
    for name, reason in MINE.items():
        assert any(name == path or (path.endswith("/") and name.startswith(path)) for path in told), name
        assert next(told[path] for path in told if name == path or name.startswith(path)) == reason
    again = out()
    assert not again["changed"]
    assert tree(host.home) == left
    # The user clears up, and the rest goes.
    for name in MINE:
        (host.home / name).unlink()
    for name in ("papers", "venv.kept/bin", "venv.kept", "source.broken-git"):
        (host.home / name).rmdir()
    assert out()["changed"]
    assert not host.home.exists()


def kept(result):
    return {entry["path"]: entry["reason"] for entry in result["kept"]}


def test_what_was_edited_stays_and_what_was_only_touched_goes(host, out):
    os.utime(host.site / "beta" / "data.txt")
    os.utime(host.home / "models/tiny/config.json")
    (host.site / "alpha" / "data.txt").write_text("edited")
    (host.home / "venv/bin/activate").write_text("edited")
    (host.home / "source/README.md").write_text("edited")
    (host.home / "source/web_demo.py").write_text((host.home / "source/web_demo.py").read_text() + "# mine\n")
    (host.home / "models/tiny/modeling_chatglm.py").write_bytes(b"# mine\n")
    os.utime(host.home / "venv/bin/activate", (time.time() + 300, time.time() + 300))
    site = os.path.relpath(host.site, host.home)
    told = kept(out())
    assert told.pop("state/removed.json", "note") == "note"
    assert set(told.values()) == {"edited"}
    assert {name for name, data in tree(host.home).items() if data is not None and name != "state/removed.json"} == {
        f"{site}/alpha/data.txt", "venv/bin/activate", "source/README.md", "source/web_demo.py",
        "models/tiny/modeling_chatglm.py",
    }  # fmt: skip


@pytest.fixture
def managed(host):
    """A Python as managed_python records it: two files, bytecode, a link."""
    tree = host.home / "python" / "cpython-3.12.16-linux-x86_64-gnu"
    for name in ("bin/python3.12", "lib/python3.12/os.py", "lib/python3.12/this.py"):
        host.write(tree.relative_to(host.home) / name)
    (tree / "bin" / "python3").symlink_to("python3.12")
    release = managed_python.Release(tree.name, "3.12.16", "20261110", "https://h/b/f", "a" * 64)
    builder = managed_python_work.Builder(
        managed_python.Wanted(str(tree.parent), ""), "", [], uv_command.Sources(), environ={}
    )
    digests, links = builder._settle(str(tree), str(tree))
    entry = managed_python.make_entry(str(tree), str(tree), release, digests, links)
    record = {"format": managed_python.FORMAT, "pythons": {tree.name: entry}}
    (host.home / "state" / "python.json").write_text(json.dumps(record))
    host.write(tree.relative_to(host.home) / "lib/python3.12/__pycache__/os.cpython-312.pyc")
    return tree


def test_a_managed_python_goes_and_what_an_interrupted_run_left_of_one(host, out, managed):
    for name in ("python.partial/new/x", "python.old/lib/x"):
        host.write(name)
    assert out()["kept"] == []
    assert not host.home.exists()


def test_in_a_managed_python_what_is_the_user_s_stays(host, out, managed):
    (managed / "lib/python3.12/this.py").write_text("edited")
    (managed / "lib/python3.12/mine.py").write_text("mine")
    (managed / "bin/python3").unlink()
    (managed / "bin/python3").symlink_to("/usr/bin/python3")
    host.write("python.kept/lib/x.py")
    within = os.path.relpath(managed, host.home)
    told = kept(out())
    assert told.pop("state/removed.json", "note") == "note"
    assert told == {
        f"{within}/lib/python3.12/this.py": "edited",
        f"{within}/lib/python3.12/mine.py": "yours",
        f"{within}/bin/python3": "link",
        "python.kept/": "yours",
    }
    assert not (host.home / "state" / "python.json").exists()


def test_without_its_record_a_managed_python_is_nobody_s(host, out, managed):
    (host.home / "state" / "python.json").unlink()
    assert "yours" in kept(out()).values()
    assert (managed / "bin" / "python3.12").exists()


def test_packages_that_the_user_installed_stay_whole(host, out):
    info = host.site / "mine-1.0.dist-info"
    info.mkdir()
    (host.site / "mine.py").write_text("x = 1\n")
    (info / "RECORD").write_text("mine.py,,\nmine-1.0.dist-info/RECORD,,\n../../../bin/mine,,\nalpha/data.txt,,\n")
    host.write("venv/bin/mine")
    told = kept(out())
    site = os.path.relpath(host.site, host.home)
    assert {name for name, data in tree(host.home).items() if data is not None} - {"state/removed.json"} == {
        f"{site}/mine.py", f"{site}/mine-1.0.dist-info/RECORD", "venv/bin/mine", f"{site}/alpha/data.txt"
    }  # fmt: skip
    assert set(told.values()) - {"note"} == {"package"}


def test_a_record_that_was_changed_claims_nothing(host, out):
    """Else a line in it would take a file of the user's with it."""
    host.write("notes.txt")
    record = host.site / "alpha-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text() + f"{os.path.relpath(host.home / 'notes.txt', host.site)},,\n")
    out()
    assert (host.home / "notes.txt").exists()
    assert (host.site / "alpha" / "data.txt").exists()


def test_bytecode_of_a_user_s_own_runs_goes_with_its_source(host, out):
    host.write(f"{os.path.relpath(host.site, host.home)}/alpha/__pycache__/__init__.cpython-311.pyc")
    out()
    assert not host.home.exists()


@pytest.mark.parametrize(
    "at_work",
    [
        lambda clone: git(clone, "commit", "-q", "--allow-empty", "-m", "mine"),
        lambda clone: git(clone, "branch", "mine"),
        lambda clone: [
            git(clone, *words.split())
            for words in (
                "checkout -q -b mine", "commit -q --allow-empty -m x", "checkout -q --detach HEAD~", "branch -q -D mine"
            )
        ],
        lambda clone: ((clone / "README.md").write_text("x"), git(clone, "stash", "-q")),
        lambda clone: ((clone / ".git" / "hooks").mkdir(), (clone / ".git" / "hooks" / "x").write_text("x")),
        lambda clone: (clone / ".git" / "notes").write_text("x"),
    ],
    ids=["commit", "branch", "deleted branch", "stash", "hook", "file"],
)  # fmt: skip
def test_a_clone_with_work_of_the_user_s_stays_whole(host, out, at_work):
    at_work(host.home / "source")
    before = tree(host.home / "source")
    assert kept(out())["source/"] == "commits"
    assert tree(host.home / "source") == before


def test_what_the_user_has_staged_stays(host, out):
    (host.home / "source/README.md").write_text("staged")
    git(host.home / "source", "add", "README.md")
    assert kept(out())["source/README.md"] == "edited"


def test_git_runs_nothing_that_the_clone_names(host, out):
    mark = host.root / "ran"
    with open(host.home / "source/.git/config", "a") as stream:
        stream.write(
            f'[core]\n\tfsmonitor = "touch {mark}"\n\tpager = "touch {mark}"\n[alias]\n\tls-tree = "!touch {mark}"\n'
        )
    out()
    assert not mark.exists()


def test_links_are_not_followed(host, out):
    outside = host.root / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "precious").write_text("x")
    (host.home / "models" / "linked").symlink_to(outside)
    (host.home / "bin" / "uv").unlink()
    (host.home / "bin" / "uv").symlink_to(outside / "deep" / "precious")
    (host.home / "cache" / "gradio" / "linked").symlink_to(outside)
    (host.home / "run" / "linked").symlink_to(outside)
    shutil.rmtree(host.home / "venv" / "bin")
    (host.home / "venv" / "bin").symlink_to(outside)
    weights = host.home / "models" / "tiny" / "config.json"
    weights.rename(outside / "config.json")
    weights.symlink_to(outside / "config.json")
    told = kept(out())
    assert {path for path, reason in told.items() if reason == "link"} == {
        "bin/uv", "run/", "venv/bin", "models/linked", "models/tiny/config.json"
    }  # fmt: skip
    assert set(tree(outside)) == {"deep", "deep/precious", "config.json"}
    assert not (host.home / "cache").exists()


def test_areas_that_are_links_stay_as_they_are(host, out):
    for name in ("venv", "models", "source", "cache"):
        (host.home / name).rename(host.root / name)
        (host.home / name).symlink_to(host.root / name)
    before = tree(host.root)
    told = kept(out())
    assert {told[name] for name in ("venv", "models", "source", "cache")} == {"link"}
    assert tree(host.root) == before


def test_a_home_that_is_a_link_is_emptied_and_the_link_is_told(host, run_module):
    host.home.rename(host.root / "real")
    host.home.symlink_to(host.root / "real")
    for path in (host.root / "real/state").glob("*.json"):
        path.write_text(path.read_text().replace(str(host.home), str(host.root / "real")))
    result = run_module(uninstall, home=str(host.home))
    assert tree(host.root / "real") == {}
    assert host.home.is_symlink()
    assert "symbolic link" in result["lines"][-1]
    assert not run_module(uninstall, home=str(host.home))["changed"]


def test_weights_stay_on_request_and_go_when_asked_again(host, out):
    result = out(keep_weights=True)
    assert {name.partition("/")[0] for name in tree(host.home)} == {"models", "state"}
    assert set(tree(host.home / "models" / "tiny")) >= set(FILES)
    assert kept(result)["models/"] == "asked"
    assert not out(keep_weights=True)["changed"]
    assert out()["changed"]
    assert not host.home.exists()


def test_what_interrupted_runs_left_goes(host, out):
    for name in ("venv.partial/bin/x", "venv.old/x", "source.partial/.git/HEAD", "cache/uv.removing/x",
                 "cache/uv/.made-by-python_env", "cache/uv/wheels/x", "models/tiny/pytorch_model.bin.part",
                 "models/tiny/pytorch_model.bin.part.json", "state/.weights.json.ab12_x9z.part",
                 "source/.web_demo.py.ab12_x9z.part", "bin/.chatglm-run.ab12_x9z.part"):  # fmt: skip
        host.write(name)
    out()
    assert not host.home.exists()


def test_a_package_cache_without_our_mark_stays(host, out):
    host.write("cache/uv/wheels/x")
    assert kept(out())["cache/uv/"] == "unproven"


def test_a_download_that_no_record_knows_yet_goes(host, out):
    (host.home / "state/weights.json").unlink()
    host.write("models/tiny/new.bin.part.json", json.dumps({"digest": "sha256:0"}))
    host.write("models/tiny/new.bin.part")
    told = kept(out())
    assert not list((host.home / "models/tiny").glob("new.bin*"))
    assert told["models/tiny/config.json"] == "yours"


@pytest.mark.parametrize("name", ["venv/.chatglm-env.json", "state/weights.json", "source/.git/HEAD"])
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\x00[1]"])
def test_a_spoiled_record_proves_nothing(host, out, name, data):
    (host.home / name).write_bytes(data)
    area = name.partition("/")[0] if name.startswith(("venv", "source")) else "models"
    before = tree(host.home / area)
    out()
    assert tree(host.home / area) == before


def test_without_git_the_clone_stays(host, run_module, monkeypatch):
    monkeypatch.setenv("PATH", str(host.root))
    result = run_module(uninstall, home=str(host.home))
    assert kept(result)["source/"] == "unproven"


@pytest.mark.parametrize("home", ["/", "{user}", "{user}/.", "{user}/chatglm/.."])
def test_a_folder_that_holds_more_is_refused(host, run_module, home):
    before = tree(host.user)
    result = run_module(uninstall, home=home.format(user=host.user))
    assert result["failed"]
    assert "which holds more than an installation. Expected: " in result["msg"]
    assert tree(host.user) == before


def test_a_folder_without_records_is_refused(host, run_module):
    other = host.user / "other"
    for name in ("venv/bin/python", "source/x", "models/x", "cache/gradio/x", "bin/uv", "state/mine.txt"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text("x")
    before = tree(other)
    result = run_module(uninstall, home=str(other))
    assert result["msg"].startswith(f"Found: {other} holds no records of an installation (state/). Expected: ")
    assert tree(other) == before
    (host.home / "state").rename(host.root / "state")
    (host.home / "state").symlink_to(host.root / "state")
    assert "holds no records" in run_module(uninstall, home=str(host.home))["msg"]


def test_only_our_own_links_in_the_user_s_home_go(host, out):
    ours = host.user / ".local/bin/chatglm"
    ours.unlink()
    ours.symlink_to("/usr/bin/env")
    other = host.user / ".local/share/bash-completion/completions/chatglm"
    other.write_text(f"# {uninstall.COMPLETION}\n")  # that of another installation
    result = out()
    assert (os.readlink(ours), other.exists()) == ("/usr/bin/env", True)
    assert not any(".local" in path for path in result["removed"])
    ours.unlink()
    other.write_text("# my own\n")
    assert not out()["changed"]


def test_links_to_the_virtualenv_s_cuda_libraries_go_and_others_stay(host, out):
    inside = host.home / "cuda" / "lib64"
    inside.mkdir(parents=True)
    (inside / "libcudart.so").symlink_to(
        "../../venv/lib/python3.12/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12"
    )
    (inside / "libmine.so").symlink_to("/usr/lib/libmine.so")
    out()
    assert [path.name for path in inside.iterdir()] == ["libmine.so"]


def test_root_is_told_what_is_ours_elsewhere(host, out):
    (host.root / "unit").write_text(f"# chatglm_home: {host.home}\n[Service]\n")
    (host.root / "wants").symlink_to(host.root / "unit")
    (host.root / "status").write_text(STATUS)
    (host.root / "sources").write_text("Types: deb\n")
    note = apt_packages.Note(("libcudart11.0",), ("libc6",), "Types: deb\n")
    host.write("state/cuda_libs.json", json.dumps(note.as_json()))
    result = out(language="zh")
    assert result["root"]["units"] == [str(host.root / "unit"), str(host.root / "wants")]
    assert result["root"]["packages"] == ["libcudart11.0"]
    assert result["root"]["sources"] == str(host.root / "sources")
    assert "删除      软件包 libcudart11.0" in result["lines"]


@pytest.mark.parametrize("noted", [None, "Types: deb-src\n"])
def test_what_no_record_shows_to_be_ours_elsewhere_is_named_and_stays(host, out, noted):
    (host.root / "unit").write_text("# chatglm_home: /another\n")
    (host.root / "status").write_text(STATUS)
    (host.root / "sources").write_text("Types: deb\n")
    if noted:
        note = apt_packages.Note(("libcublaslt11",), ("libc6",), noted)
        host.write("state/cuda_libs.json", json.dumps(note.as_json()))
    result = out()
    assert [result["root"][name] for name in ("units", "packages", "sources")] == [[], [], ""]
    told = "\n".join(result["lines"])
    assert f"sudo rm {host.root / 'sources'}" in told
    assert ("sudo apt-get remove libcudart11.0" in told) is (noted is None)


def test_a_page_is_stopped_and_other_programs_are_in_the_way(host, out, run_module):
    python = host.home / "venv/bin/python"
    page = subprocess.Popen([python, "-c", "input()", host.home / "source/web_demo.py"], stdin=subprocess.PIPE)
    other = subprocess.Popen([python, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        result = run_module(uninstall, home=str(host.home))
        assert f"pid {other.pid} " in result["msg"]
        assert "programs of the installation are at work" in result["msg"]
        assert page.poll() is None
        other.kill()
        other.wait()
        checked = run_module(uninstall, check=True, home=str(host.home))
        assert (page.poll(), len(checked["processes"])) == (None, 1)
        result = run_module(uninstall, home=str(host.home))
        assert result["processes"] == checked["processes"]
        assert page.wait(10) == -signal.SIGTERM
    finally:
        for child in (page, other):
            child.kill()
            child.communicate()


def test_it_waits_for_a_rival(host, run_module):
    path = str(host.home / "state" / "lock")
    with lock.hold({"lock": path, "lock_timeout": 1}, "building", print):
        result = run_module(uninstall, home=str(host.home), lock=path, lock_timeout=0)
    assert "another run at work" in result["msg"]
    assert (host.home / "venv").exists()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("share", [0, 1, 3, 30, 60, 85, 96, 99])
def test_an_interrupted_run_is_gone_on_with(host, out, run_module, monkeypatch, share):
    """After any number of steps; what is left then is what an uninterrupted run leaves."""
    for name in MINE:
        host.write(name)
    (host.home / "source/README.md").write_text("edited")
    names = ("unlink", "rmdir", "rename", "replace")
    real = {name: getattr(os, name) for name in names}
    steps, limit = [0], [10**9]

    def counted(name):
        def call(*args, **kwargs):
            if steps[0] >= limit[0]:
                raise Killed
            steps[0] += 1
            return real[name](*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in names:
            patch.setattr(os, name, counted(name))
        run_module(uninstall, home=str(host.home))
    whole, expected = steps[0], tree(host.user)
    assert whole > 80
    host.restore()
    for name in MINE:
        host.write(name)
    (host.home / "source/README.md").write_text("edited")
    steps[0], limit[0] = 0, whole * share // 100
    with monkeypatch.context() as patch:
        for name in names:
            patch.setattr(os, name, counted(name))
        with pytest.raises(Killed):
            run_module(uninstall, home=str(host.home), lock=str(host.home / "state" / "lock"))
    out()
    left = tree(host.user)
    assert left.keys() == expected.keys()
    assert all(left[name] == expected[name] for name in left if not name.endswith("removed.json"))
