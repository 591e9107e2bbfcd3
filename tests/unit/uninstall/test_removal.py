"""What goes and what stays, decided without a file system."""

import os
import re
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.service import service
from ansible.module_utils.chatglm.uninstall import removal
from ansible.module_utils.chatglm.uninstall.removal import Evidence, Item

COMMIT = "0" * 39 + "1"


def folders(*paths):
    return [Item(path, "folder") for path in paths]


def planned(*files, proven=(), **evidence):
    """Return the plan for these files, with the folders that they need."""
    above = {path.rsplit("/", count)[0] for path in files for count in range(1, path.count("/") + 1)}
    items = [*folders(*sorted(above)), *(Item(path, size=10) for path in files)]
    return removal.plan(items, Evidence(proven=set(proven), **evidence))


@pytest.mark.parametrize(
    "path",
    [
        "bin/chatglm-run", "bin/uv", "bin/.ansible_tmp8pqn_x_kuv", "cache/gradio/a/b.png",
        "cache/engine/0-1.so", "lib/engine/int4_cpu.c", "lib/engine/int4.cu", "cache/pycache/usr/x.pyc",
        "cache/modules/12/x.py", "cache/huggingface/hub/version.txt", "state/weights.json", "state/lock",
        "state/.weights.json.abcd1234.part", "state/web_demo_patch.json", "venv.partial/bin/x", "source.partial/.git/x",
        "venv/.chatglm-env.json", "venv/lib/python3.11/site-packages/gradio/hash_seed.txt",
    ],
)  # fmt: skip
def test_a_place_that_only_the_project_writes_is_its_own(path):
    assert removal.judge(Item(path), Evidence(proven={removal.STAMP})) == ""


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Item("notes.txt"), "yours"),
        (Item("bin/mine"), "yours"),
        (Item("bin/uv/x"), "yours"),
        (Item("state/mine.json"), "yours"),
        (Item("state/weights.json.bak"), "yours"),
        (Item("xstate/lock"), "yours"),
        (Item("run/result.txt"), "yours"),
        (Item("cache/huggingface/token"), "yours"),
        (Item("cache/huggingface/hub/models--x/blobs/1"), "yours"),
        (Item("venv.kept/bin/tool"), "yours"),
        (Item("venv/lib/python3.11/site-packages/mine.py"), "yours"),
        (Item("venv/pyvenv.cfg"), "yours"),
        (Item("source/new.py"), "yours"),
        (Item("source.broken-git/HEAD"), "yours"),
        (Item("models/x/pytorch_model.bin"), "yours"),
        (Item("models/x/pytorch_model.bin.part"), "yours"),
        (Item("models", "link"), "link"),
        (Item("bin/chatglm-run", "link"), "link"),
        (Item("state/lock", "link"), "link"),
        (Item("venv/bin/mine", "link"), "link"),
        (Item("run/pipe", "other"), "yours"),
        (Item("state/lock", "other"), "yours"),
        (Item("cache/uv.removing", "file"), "yours"),
    ],
)
def test_all_else_is_the_user_s(item, reason):
    assert removal.judge(item, Evidence()) == reason


def test_every_file_that_the_service_writes_goes():
    """Of the supervisor's lock nobody knew: it stayed, as the user's, with its folders."""
    names = re.findall(r'\bplace\((?:\w+\.)?home, "([^"]+)"', Path(service.__file__).read_text(encoding="utf-8"))
    assert len(set(names)) >= 4
    for name in set(names):
        path = os.path.relpath(service.place("/home/me/chatglm", name), "/home/me/chatglm")
        assert removal.judge(Item(path, "file"), Evidence()) == "", path


def test_links_of_the_virtualenv_and_in_caches_go_and_are_not_followed():
    for path in ("venv/bin/python", "venv/bin/python3", "venv/bin/python3.11", "venv/lib64", "cache/gradio/x"):
        assert removal.judge(Item(path, "link"), Evidence()) == ""


def test_bytecode_goes_with_its_source_and_downloads_with_their_target():
    evidence = Evidence(proven={"venv/a.py"}, downloads={"models/x/w.bin"})
    assert removal.judge(Item("venv/__pycache__/a.cpython-311.pyc"), evidence) == ""
    assert removal.judge(Item("venv/__pycache__/a.cpython-311.opt-1.pyc"), evidence) == ""
    assert removal.judge(Item("venv/__pycache__/mine.cpython-311.pyc"), evidence) == "yours"
    for end in (".part", ".part.json", ".copy.part", ".copy.part.json.new"):
        assert removal.judge(Item(f"models/x/w.bin{end}"), evidence) == ""
    assert removal.judge(Item("models/x/mine.bin.part"), evidence) == "yours"


def test_what_is_proven_last_goes_last():
    site = "venv/lib/python3.11/site-packages"
    files = [
        "state/lock", "state/weights.json", "venv/.chatglm-env.json", "venv/CACHEDIR.TAG", f"{site}/a.dist-info/RECORD",
        "source/.git/HEAD", f"{site}/a.py", "source/a.py", "models/x/w.bin",
    ]  # fmt: skip
    proven = {path for path in files if not path.startswith("state")}
    plan = planned(*files, proven=proven, whole={"source/.git": ""})
    assert plan.kept == {}
    assert plan.files == [
        "models/x/w.bin", "source/a.py", f"{site}/a.py", f"{site}/a.dist-info/RECORD", "source/.git/HEAD",
        "venv/CACHEDIR.TAG", "venv/.chatglm-env.json", "state/weights.json", "state/lock",
    ]  # fmt: skip
    # A folder after all that is in it.
    place = {path: number for number, path in enumerate(plan.folders)}
    assert all(place[path] < place[path.rpartition("/")[0]] for path in plan.folders if "/" in path)
    assert [line[0] for line in plan.lines] == ["models/", "source/", "state/", "venv/"]
    assert plan.freed == 90


def test_a_folder_that_holds_a_file_of_the_user_s_stays_with_it_and_both_are_told():
    plan = planned("state/lock", "source/a.py", "source/sub/b.py", "source/sub/mine/1", "source/sub/mine/2",
                   proven={"source/a.py", "source/sub/b.py"})  # fmt: skip
    assert plan.files == ["source/a.py", "source/sub/b.py", "state/lock"]
    assert plan.folders == []  # state/ stays with the note that is to be made
    assert plan.stays == [("source/sub/mine/", 2, "yours")]
    assert [line[:2] for line in plan.lines] == [("source/a.py", 1), ("source/sub/b.py", 1), ("state/lock", 1)]


def test_the_note_stays_as_long_as_something_else_does():
    assert planned("state/removed.json", "mine").kept == {"mine": "yours", "state/removed.json": "note"}
    assert not planned("state/removed.json", "mine").changed
    assert planned("state/removed.json").files == ["state/removed.json"]


def test_kept_weights_keep_their_record():
    plan = planned("models/x/w.bin", "state/weights.json", "state/weights.sha256", "state/proof.json", "state/lock",
                   proven={"models/x/w.bin"}, whole={"models": "asked"})  # fmt: skip
    assert plan.files == ["state/proof.json", "state/lock"]
    assert plan.stays == [
        ("models/", 1, "asked"),
        ("state/weights.json", 1, "note"),
        ("state/weights.sha256", 1, "note"),
    ]


def test_empty_folders_go_where_an_interrupted_removal_left_them_only():
    items = folders("venv", "venv/lib", "cache", "cache/uv", "source.partial", "mine", "venv.kept")
    plan = removal.plan(items, Evidence())
    assert plan.kept == {"mine": "yours", "venv.kept": "yours"}
    assert set(plan.folders) == {"venv", "venv/lib", "cache", "cache/uv", "source.partial"}


def test_a_mounted_folder_stays():
    plan = removal.plan([Item("models", "folder"), Item("models/x", "folder", mount=True)], Evidence())
    assert (plan.folders, plan.kept) == ([], {"models/x": "mount"})


@pytest.mark.parametrize("home", ["/", "/home", "/home/me", "/home/me/", "/home/me/x/.."])
def test_folders_that_are_no_installation(home):
    assert removal.forbidden(home, "/home/me")


@pytest.mark.parametrize("home", ["/home/me/chatglm", "/chatglm", "/home/me2", "/srv/x"])
def test_folders_that_may_be_one(home):
    assert not removal.forbidden(home, "/home/me")


LOG = f"{'0' * 40} {COMMIT} n <e> 1 +0000\tcheckout: moving from master to {COMMIT}\n"
CLONE = {"names": ["HEAD", "config", "index", "refs", "logs"], "refs": ["logs/HEAD"], "packed_refs": "",
         "head": f"{COMMIT}\n", "reflog": LOG}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["HEAD", "hooks"]},
        {"names": ["HEAD", "MERGE_HEAD"]},
        {"names": ["HEAD", "notes.txt"]},
        {"refs": ["refs/heads/mine"]},
        {"refs": ["refs/stash"]},
        {"refs": ["info/exclude"]},
        {"packed_refs": f"# pack-refs with: peeled\n{COMMIT} refs/heads/mine\n"},
        {"head": "ref: refs/heads/mine\n"},
        {"head": ""},
        {"reflog": LOG + f"{COMMIT} {COMMIT} n <e> 2 +0000\tcommit: mine\n"},
        {"reflog": LOG + f"{COMMIT} {COMMIT} n <e> 2 +0000\tcheckout: moving from {COMMIT} to mine\n"},
    ],
)
def test_a_clone_in_which_the_user_was_at_work(change):
    assert removal.own_git(**CLONE)
    assert not removal.own_git(**{**CLONE, **change})


def test_a_clone_fetched_with_all_its_branches_is_ours():
    packed = f"# pack-refs with: peeled\n{COMMIT} refs/remotes/origin/main\n{COMMIT} refs/tags/v1\n^{COMMIT}\n"
    assert removal.own_git(**{**CLONE, "packed_refs": packed, "refs": ["refs/remotes/origin/HEAD", "logs/HEAD"]})


def test_a_tree_is_read():
    text = f"100644 blob {COMMIT}\ta.py\x00120000 blob {COMMIT}\t用户 手册.md\x00"
    assert removal.parse_tree(text) == {"a.py": ("100644", COMMIT), "用户 手册.md": ("120000", COMMIT)}


@pytest.mark.parametrize(
    ("words", "role"),
    [
        (["/h/venv/bin/python", "-I", "-c", "import x", "/h/source/web_demo.py"], "page"),
        (["/bin/sh", "/h/bin/chatglm-run"], "page"),
        (["/h/venv/bin/python", "/h/source/mine.py"], "other"),
        (["/h/venv/bin/python"], "other"),
        (["/h/bin/uv", "pip"], "other"),
        (["/usr/bin/python3", "-IB", "/h/bin/chatglm", "supervise"], "page"),
        (["/usr/bin/python3", "-IB", "/h/bin/chatglm", "chat"], ""),
        (["/bin/sh", "/h/bin/chatglm-run", "python"], ""),
        (["vim", "/h/source/web_demo.py"], ""),
        (["/home2/venv/bin/python"], ""),
        (["/hh/venv/bin/python", "/hh/source/web_demo.py"], ""),
        ([""], ""),
        ([], ""),
    ],
)
def test_a_process_is_told_by_its_command_line(words, role):
    assert removal.role_of(words, "/h") == role


def test_a_unit_names_its_home():
    assert removal.names_home("[Unit]\n# chatglm_home: /h\n", "/x", "/h")
    assert not removal.names_home("[Unit]\n# chatglm_home: /h/2\n", "/h")
    assert not removal.names_home("", "/h")
