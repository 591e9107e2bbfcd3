"""The module model_snapshot against a stand-in hub, share and folders; huggingface_hub itself asks the hub."""

import importlib.util
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fault_server
import model_snapshot
import pytest
from ansible.module_utils.chatglm.weights import blocks, part, snapshot
from fault_server import blob_id, sha256
from serve import SHARE, Fault, ModelRepo, StandIn
from snapshot_host import COMMIT, FILES, LFS, REPO, Site, actions, agree, checkpoint, closed, flip, pinned

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "hf_tokenthatmustnotleak"
PINNED = pinned(FILES)


class Evil:
    def __reduce__(self):
        return (os.system, ("touch /tmp/evil-pickle-was-loaded",))


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    with made.hub:
        yield made


@pytest.fixture
def run(site, monkeypatch):
    return lambda **more: site.run(monkeypatch.context, **more)


needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed beside pytest"
)


@pytest.fixture
def installed(site, run):
    """Leave a verified folder behind, made without the hub so that the tests need no library."""
    site.params["files"] = PINNED
    assert not run(sources=[site.folder("origin")])["failed"]
    site.hub.requests.clear()
    return site


# --- the hub ----------------------------------------------------------------------------------------------------------


@needs_hub
@pytest.mark.parametrize("files", [[], PINNED, [{"path": path} for path in FILES]], ids=["asked", "pinned", "names"])
def test_first_fetch_then_nothing(site, run, files):
    site.params["files"] = files
    checked, real = agree(run)
    assert actions(real) == dict.fromkeys(FILES, "fetched")
    assert files == [] or actions(checked) == actions(real)
    assert site.present() == FILES
    assert real["bytes_fetched"] == sum(map(len, FILES.values()))
    assert {file["source"] for file in real["files"]} == {f"hub {site.hub.url}"}
    for check in (True, False):
        again = run(check=check, sources=[closed()], python="/nonexistent")
        assert (again["failed"], again["changed"], again["bytes_fetched"]) == (False, False, 0)
        assert actions(again) == dict.fromkeys(FILES, "kept")
        assert {file["reason"] for file in again["files"]} == {"unchanged since it was verified"}
        assert again["digest"] == real["digest"] is not None
        assert again["diff"]["before"] == ""


@needs_hub
@pytest.mark.parametrize("files", [[], [{"path": path} for path in FILES]], ids=["asked", "names"])
@pytest.mark.parametrize("routes", ["", "/paths-info/", "/paths-info/|/tree/"], ids=["all", "tree", "etags"])
def test_a_mirror_whose_listing_has_names_alone(site, run, files, routes):
    site.hub.bare = True
    site.hub.faults = [Fault(routes, status=404)] if routes else []
    site.params["files"] = files
    real = run()
    assert not real["failed"], real["msg"]
    assert actions(real) == dict.fromkeys(FILES, "fetched")
    assert site.present() == FILES
    heads = [item for item in site.hub.requests if item.method == "HEAD"]
    assert len(heads) == len(FILES) * (2 if "tree" in routes else 1)
    known = json.loads(site.record.read_text())["manifest"]
    assert {one["path"]: one.get("sha256") or one.get("git_blob_id") for one in known} == {
        one["path"]: one.get("sha256") or one.get("git_blob_id") for one in PINNED
    }


@needs_hub
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Repo-Commit": "f" * 40}, f"it does not say that the file is of commit {COMMIT}, but {'f' * 40}"),
        ({"ETag": 'W/"5d-18c"', "X-Linked-Etag": '"5d-18c"'}, "its entity tag 5d-18c is no digest"),
    ],
)
def test_a_mirror_that_names_no_digest_is_told_with_the_reason(site, run, headers, reason):
    site.hub.bare = True
    site.hub.faults = [Fault("/paths-info/|/tree/", status=404), Fault("/resolve/", headers=headers)]
    real = run()
    assert real["failed"]
    assert reason in real["msg"]
    assert "()" not in real["msg"]
    assert set(site.present()) == LFS  # of these the address names the digest


@needs_hub
def test_another_source_tells_what_a_bare_mirror_does_not(site, run):
    site.hub.bare = True
    site.hub.faults = [Fault("/paths-info/|/tree/|/resolve/", status=404)]
    with StandIn(repos={REPO: ModelRepo(dict(FILES), LFS)}) as other:
        hubs = [{"type": "hub", "endpoint": place.url} for place in (site.hub, other)]
        real = run(sources=hubs)
    assert not real["failed"], real["msg"]
    assert site.present() == FILES


@needs_hub
def test_check_mode_on_a_bare_host_asks_nobody(site, run):
    told = run(check=True, python="/nonexistent")
    assert told["changed"]
    assert told["diff"]["before"] == "the files of this revision: not verified\n"
    assert not site.hub.requests
    assert not list(site.home.iterdir())


@needs_hub
def test_token_reaches_the_hub_and_nobody_else(site, run):
    site.hub.token = TOKEN
    denied = run()
    assert denied["failed"]
    assert "HTTP 401" in denied["msg"]
    assert "set chatglm_hub_token" in denied["msg"]
    assert not run(token=TOKEN)["failed"]
    assert [item for item in site.hub.requests if item.server == "cdn"]
    assert not site.hub.leaks
    assert TOKEN not in site.record.read_text()


@needs_hub
def test_token_is_not_shown_at_vvv_nor_in_a_process_list(site, tmp_path):
    site.hub.token = TOKEN
    site.hub.faults = [Fault("/api/models/", delay=1.5, times=1)]
    (tmp_path / "vars.json").write_text(json.dumps(site.params | {"token": TOKEN}))
    (tmp_path / "play.yml").write_text(
        json.dumps(
            [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "tasks": [
                        {"model_snapshot": "{{ lookup('file', '" + str(tmp_path / "vars.json") + "') | from_json }}"}
                    ],
                }
            ]
        )
    )
    for name in ("module_utils", "library"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = os.environ | {
        "ANSIBLE_LIBRARY": str(ROOT / "library"),
        "ANSIBLE_MODULE_UTILS": str(ROOT / "module_utils"),
    }
    environment |= {"ANSIBLE_INJECT_FACT_VARS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "-vvv"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", str(tmp_path / "play.yml"), "--diff"]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path)
    seen = []
    while child.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    seen.append(TOKEN.encode() in (folder / name).read_bytes())
                except OSError:
                    continue
        time.sleep(0.2)
    output = child.stdout.read().decode()
    assert child.returncode == 0, output
    assert "bytes_fetched" in output
    assert TOKEN not in output
    assert not any(seen)
    assert site.present() == FILES


@needs_hub
def test_the_library_trusts_the_ca_file(tmp_path, run):
    import huggingface_hub

    if not hasattr(huggingface_hub, "configure_http_backend"):
        pytest.skip(f"huggingface_hub {huggingface_hub.__version__} is not the one of the locks")
    site = Site(tmp_path)
    pem, context = fault_server.certificate(tmp_path)
    site.hub._hub.socket = context.wrap_socket(site.hub._hub.socket, server_side=True)
    source = [{"type": "hub", "endpoint": site.hub.url.replace("http:", "https:")}]
    with site.hub:
        told = run(**site.params | {"sources": source})
        assert "SSLError" in told["msg"]
        assert "chatglm_ca_bundle" in told["msg"]
        assert not run(**site.params | {"sources": source, "ca_bundle": str(pem)})["failed"]
        assert site.present() == FILES


class Moved(str):
    """A revision under which the hub answers whatever is asked."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, _other):
        return True


@needs_hub
def test_another_commit_is_refused(site, run):
    site.hub.repos[REPO].revision = Moved("f" * 40)
    told = run()
    assert told["failed"]
    assert f"it answers with commit {'f' * 40} instead of the pinned revision {COMMIT}" in told["msg"]
    assert not site.dest.exists()


@needs_hub
def test_hub_that_contradicts_the_pin_is_not_believed(site, run):
    site.hub.repos[REPO] = ModelRepo({**FILES, "pytorch_model.bin": checkpoint(b"ctorch\nCharStorage\n.")}, LFS)
    site.hub.repos[REPO].revision = COMMIT
    told = run(files=[{**item, "git_blob_id": None} for item in PINNED])
    assert told["failed"]
    assert "pytorch_model.bin has sha256:" in told["msg"]
    assert "is pinned" in told["msg"]
    told = run(files=PINNED)
    assert "it announces sha256" in told["msg"]
    assert not (site.dest / "pytorch_model.bin").exists()


@needs_hub
def test_hub_trouble_is_told_and_the_next_source_tried(site, run):
    site.hub.faults = [Fault("", status=503)]
    told = run(files=PINNED, sources=[*site.params["sources"], site.folder("d")])
    assert not told["failed"]
    assert {file["source"] for file in told["files"]} == {f"folder {site.home / 'd'}"}
    assert len(site.hub.requests) == 3, "asked once, with three attempts, not for each file"


@needs_hub
def test_unknown_revision(site, run):
    told = run(revision="9" * 40)
    assert "HTTP 404" in told["msg"]


def test_no_library_in_that_python(site, run):
    told = run(python="/nonexistent/python")
    assert "the virtualenv's Python /nonexistent/python cannot be run: No such file or directory" in told["msg"]
    assert "role virtualenv" in told["msg"]


# --- other sources ----------------------------------------------------------------------------------------------------


def test_share(site, run):
    flat = [item for item in PINNED if "/" not in item["path"]]
    share = {"type": "seafile", "url": site.hub.url, "share": SHARE, "folder": "/tiny-int4"}
    told = run(files=PINNED, sources=[share])
    assert "sub/tokenizer.model (seafile http://127.0.0.1" in told["msg"], "the share has no such folder"
    assert not run(files=flat, sources=[share])["failed"]
    assert site.present() == {item["path"]: FILES[item["path"]] for item in flat}


def modelscope(site, **more):
    return {"type": "modelscope", "url": site.hub.url, "repo": REPO, **more}


def test_modelscope(site, run):
    told = run(files=PINNED, sources=[modelscope(site)], python="/nonexistent")
    assert not told["failed"], told
    assert site.present() == FILES
    assert {file["source"] for file in told["files"]} == {f"modelscope {site.hub.url} {REPO}"}
    listings = [request for request in site.hub.requests if "/repo/files" in request.path]
    assert len(listings) == 1, "the listing is asked for once"


@pytest.mark.parametrize(
    ("more", "fault", "told"),
    [
        ({"repo": "no/such"}, None, "HTTP 404"),
        ({"revision": "v9"}, None, "HTTP 404"),
        ({}, {"body": "html"}, "gave no JSON"),
        ({}, {"body": "[]"}, "its listing has an unknown form"),
        ({}, {"body": '{"Data": {"Files": {"a": 1}}}'}, "its listing has an unknown form"),
        ({}, {"body": '{"Success": true, "Data": null}'}, "its listing has an unknown form"),
        ({}, {"body": '{"Success": false, "Message": "not here"}'}, "it says: not here"),
        ({}, {"body": '{"Data": {"Files": []}}'}, "the repository has no config.json"),
        (
            {},
            {"body": '{"Data": {"Files": [{"Path": "config.json", "Size": 3}]}}'},
            "3 bytes in the repository, expected",
        ),
    ],
)
def test_modelscope_that_has_it_not(site, run, more, fault, told):
    if fault:
        site.hub.faults[:] = [Fault("/repo/files", **fault)]
    found = run(files=[item for item in PINNED if item["path"] == "config.json"], sources=[modelscope(site, **more)])
    assert found["failed"]
    assert told in found["msg"], found["msg"]
    assert site.present() == {}


def test_another_digest_on_modelscope_costs_no_download(site, run):
    big = next(item for item in PINNED if item["path"] == "pytorch_model.bin")
    row = {"Path": big["path"], "Size": big["size"], "Sha256": "0" * 64}
    site.hub.faults[:] = [Fault("/repo/files", body=json.dumps({"Data": {"Files": [row]}}))]
    told = run(files=[big], sources=[modelscope(site)])
    assert "it announces sha256 0000" in told["msg"], told["msg"]
    assert not [request for request in site.hub.requests if "FilePath" in request.path]


def test_web_folder(site, run):
    assert not run(files=PINNED, sources=site.web())["failed"]
    assert site.present() == FILES


def test_each_file_from_the_first_source_that_has_it(site, run):
    first = site.folder("first", **{"config.json": None, "pytorch_model.bin": fault_server.POINTER})
    second = site.folder("second", **{"modeling_chatglm.py": b"other"})
    told = run(files=PINNED, sources=[closed(), first, second], python="/nonexistent")
    assert not told["failed"]
    names = {file["path"]: file["source"].rpartition("/")[2] for file in told["files"]}
    assert names == {
        "config.json": "second",
        "modeling_chatglm.py": "first",
        "pytorch_model.bin": "second",
        "sub/tokenizer.model": "first",
    }


def test_every_reason_is_told_and_what_is_good_stays(site, run):
    first = site.folder("first", **{"config.json": None, "pytorch_model.bin": fault_server.POINTER})
    flipped = bytearray(FILES["pytorch_model.bin"])
    flipped[500] ^= 1
    second = site.folder("second", **{"config.json": fault_server.PAGE, "pytorch_model.bin": bytes(flipped)})
    told = run(files=PINNED, sources=[first, second])
    assert told["failed"]
    message = told["msg"]
    assert message.startswith(f"Found: 2 of 4 files of {REPO} could not be had: config.json (folder ")
    assert (
        f"first: there is no {site.home}/first/config.json; folder {site.home}/second: an HTML page of 550" in message
    )
    assert "first: a Git LFS pointer of 132 bytes came" in message or "a Git LFS pointer of" in message
    assert "second: right size but wrong sha256: " in message
    assert set(site.present()) == {"modeling_chatglm.py", "sub/tokenizer.model"}
    healed = run(files=PINNED, sources=[site.folder("third")])
    assert actions(healed) == {
        "config.json": "fetched",
        "modeling_chatglm.py": "kept",
        "pytorch_model.bin": "fetched",
        "sub/tokenizer.model": "kept",
    }


def test_unknown_digest_is_accepted_from_no_source(site, run):
    files = [item if item["path"] != "config.json" else {"path": "config.json"} for item in PINNED]
    told = run(files=files, sources=[site.folder("d"), closed()], python="/nonexistent")
    assert told["failed"]
    assert "its digest is not known, and no hub could be asked for it" in told["msg"]
    assert "let the hub be reached once" in told["msg"]
    assert "config.json" not in site.present()
    assert len(site.present()) == 3, "the others are had"


def test_present_file_of_unknown_digest_is_not_adopted(site, run):
    site.dest.mkdir(parents=True)
    (site.dest / "config.json").write_bytes(FILES["config.json"])
    files = [{"path": "config.json"}]
    checked = run(check=True, files=files, sources=[closed()])
    assert checked["diff"]["before"] == "config.json: there, but its digest is not known: the hub will be asked\n"
    told = run(files=files, sources=[site.folder("d")])
    assert told["failed"]
    assert "no hub could be asked" in told["msg"]
    assert site.present() == {"config.json": FILES["config.json"]}


def test_names_unknown_and_no_hub(site, run):
    told = run(sources=[site.folder("d")])
    assert "the list of files" in told["msg"]


# --- damage -----------------------------------------------------------------------------------------------------------


DAMAGES = {
    "truncated": (lambda path: os.truncate(path, 100_000), "too short: 100000 of 300000 bytes"),
    "appended": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "too long: 300001 bytes, expected 300000"),
    "pointer": (lambda path: path.write_bytes(fault_server.POINTER), "a Git LFS pointer of"),
    "page": (lambda path: path.write_bytes(fault_server.PAGE), "an HTML page of 550 bytes came instead of the file"),
    "flipped": (flip, "right size but wrong sha256: "),
    "removed": (lambda path: path.unlink(), "missing"),
    "dangling link": (lambda path: (path.unlink(), path.symlink_to("/nonexistent")), "missing"),
    "empty": (lambda path: path.write_bytes(b""), "too short: 0 of 300000 bytes"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_only_it_is_fetched(installed, run, name):
    damage, reason = DAMAGES[name]
    before = {path: model_snapshot.stat_of(installed.dest / path) for path in FILES}
    damage(installed.dest / "sub/tokenizer.model")
    (installed.dest / "notes.txt").write_text("mine")
    source = installed.web()
    checked, real = agree(run, sources=source)
    expected = {path: "fetched" if path == "sub/tokenizer.model" else "kept" for path in FILES}
    assert actions(real) == actions(checked) == expected
    assert real["files"][3]["reason"].startswith(reason)
    assert real["diff"]["before"].startswith(f"sub/tokenizer.model: {reason}")
    assert real["bytes_fetched"] == 300_000
    assert installed.present() == {**FILES, "notes.txt": b"mine"}
    assert real["extra_files"] == checked["extra_files"] == ["notes.txt"]
    for path in set(FILES) - {"sub/tokenizer.model"}:
        assert model_snapshot.stat_of(installed.dest / path) == before[path]
    assert not run(sources=[closed()])["changed"]


def test_quick_trusts_what_deep_reads(installed, run, monkeypatch):
    """Damage that leaves even ctime alone (a failing disk) is for the deep check."""
    flip(installed.dest / "pytorch_model.bin")
    record = json.loads(installed.record.read_text())
    record["files"]["pytorch_model.bin"]["stat"] = model_snapshot.stat_of(installed.dest / "pytorch_model.bin")
    installed.record.write_text(json.dumps(record))
    assert not run(sources=[closed()])["changed"]
    source = [{"type": "folder", "path": str(installed.home / "origin")}]
    checked, real = agree(run, sources=source, verify="deep")
    assert actions(real)["pytorch_model.bin"] == actions(checked)["pytorch_model.bin"] == "mended"
    assert {file["reason"] for file in real["files"]} >= {"verified again"}
    assert installed.present() == FILES


def test_touched_but_good_is_read_once(installed, run, monkeypatch):
    for path in FILES:
        os.utime(installed.dest / path)
    again = run(sources=[closed()])
    assert not again["changed"]
    assert {file["reason"] for file in again["files"]} == {"verified again"}
    third = run(sources=[closed()])
    assert {file["reason"] for file in third["files"]} == {"unchanged since it was verified"}


def test_lost_record_adopts_without_a_download(installed, run):
    installed.record.unlink()
    checked, real = agree(run, sources=[closed()])
    assert actions(real) == actions(checked) == dict.fromkeys(FILES, "adopted")
    assert real["bytes_fetched"] == 0
    assert not run(sources=[closed()])["changed"]


@needs_hub
def test_lost_record_and_unpinned_asks_the_hub_only(site, run):
    site.folder("models/tiny")
    checked, real = agree(run)
    assert actions(real) == dict.fromkeys(FILES, "adopted")
    assert checked["changed"]
    assert real["bytes_fetched"] == 0


def test_record_of_another_folder_is_no_proof(installed, run):
    other = installed.home / "copy"
    shutil.copytree(installed.dest, other, copy_function=shutil.copy2)
    flip(other / "config.json")
    told = run(dest=str(other), sources=[{"type": "folder", "path": str(installed.home / "origin")}])
    assert actions(told)["config.json"] == "fetched"


def test_new_revision_keeps_what_is_the_same(installed, run):
    new = {**FILES, "config.json": b"{}\n"}
    files = [
        {**item, "size": 3, "git_blob_id": blob_id(b"{}\n")} if item["path"] == "config.json" else item
        for item in PINNED
    ]
    source = installed.folder("new", **new)
    checked, real = agree(run, files=files, revision="2" * 40, sources=[source])
    expected = {path: "fetched" if path == "config.json" else "kept" for path in FILES}
    assert actions(real) == actions(checked) == expected
    assert real["bytes_fetched"] == 3
    assert not run(files=files, revision="2" * 40, sources=[closed()])["changed"]


def test_damaged_file_stays_until_its_replacement_is_verified(installed, run):
    os.truncate(installed.dest / "pytorch_model.bin", 10)
    told = run(sources=[closed()], python="/nonexistent")
    assert told["failed"]
    assert (installed.dest / "pytorch_model.bin").stat().st_size == 10


def test_a_folder_in_a_files_place(installed, run):
    (installed.dest / "config.json").unlink()
    (installed.dest / "config.json").mkdir()
    told = run()
    assert f"{installed.dest}/config.json is not a file" in told["msg"]


def test_a_file_in_the_folders_place(site, run):
    site.dest.parent.mkdir()
    site.dest.write_text("x")
    assert f"{site.dest} is not a folder" in run()["msg"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"revision": "main"}, "the revision 'main'"),
        ({"repo": "../etc"}, "the repository '../etc'"),
        ({"files": [{"path": "../../f", "size": 1}]}, "names a file '../../f'"),
    ],
)
def test_wrong_parameters(site, run, more, text):
    told = run(**more)
    assert told["failed"]
    assert text in told["msg"]


# --- pickles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True], ids=["fetched", "adopted"])
def test_evil_pickle_is_refused_though_its_digest_is_right(site, run, there):
    evil = checkpoint(pickle.dumps(Evil()))
    files = [{"path": "pytorch_model.bin", "size": len(evil), "sha256": sha256(evil)}]
    source = site.folder("models/tiny" if there else "d", **{"pytorch_model.bin": evil})
    told = run(files=files, sources=[source])
    assert told["failed"]
    assert "pytorch_model.bin would import posix.system when it is loaded" in told["msg"]
    assert there or not (site.dest / "pytorch_model.bin").exists()
    assert not Path("/tmp/evil-pickle-was-loaded").exists()
    again = run(files=files, sources=[source])
    assert again["failed"], "never trusted by a later run"


def test_meant_names_can_be_allowed_without_a_second_download(site, run):
    other = checkpoint(b"ctorch\nFloatStorage\n.")
    files = [{"path": "pytorch_model.bin", "size": len(other), "sha256": sha256(other)}]
    site.hub.repos[REPO] = ModelRepo({"pytorch_model.bin": other}, set())
    site.hub.repos[REPO].revision = COMMIT
    source = site.web()
    assert "would import torch.FloatStorage" in run(files=files, sources=source)["msg"]
    told = run(files=files, sources=source, pickle_globals=["torch.FloatStorage"])
    assert not told["failed"]
    assert told["bytes_fetched"] == 0
    told = run(files=files, sources=source)
    assert "would import torch.FloatStorage" in told["msg"], "the list is shorter again"


# --- interruption and rivalry -----------------------------------------------------------------------------------------


def test_leftovers_of_good_files_go(installed, run):
    left = [
        installed.dest / f"config.json{end}"
        for end in (".part", ".part.json", ".part.json.new", ".copy.part", ".copy.part.json")
    ]
    for path in left:
        path.write_text("x")
    (installed.dest / "mine.part").write_text("x")
    checked, real = agree(run, sources=[closed()])
    assert not real["changed"]
    assert checked["extra_files"] == real["extra_files"] == ["mine.part"]
    assert not any(path.exists() for path in left)


def test_a_second_run_at_the_same_time_is_refused(site, run):
    import fcntl

    options = {"files": PINNED, "sources": [site.folder("d")], "lock": str(site.record.with_name("lock"))}
    site.record.parent.mkdir(parents=True)
    with open(options["lock"], "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        told = run(**options, lock_timeout=0)
    assert "another run at work" in told["msg"]
    assert not site.record.exists()
    assert not run(**options)["failed"], "a dead process holds nothing"


def test_too_small_disk_is_refused_before(site, run, monkeypatch):
    class Full:
        f_bavail, f_frsize = 10, 4096

    monkeypatch.setattr(os, "statvfs", lambda _path: Full)
    told = run(files=PINNED, sources=[site.folder("d")])
    assert f"Found: 0.000041 GB free at {site.dest}, 0.002302 GB needed" in told["msg"]
    assert "free space there" in told["msg"]


@pytest.mark.parametrize("seed", range(int(os.environ.get("CHATGLM_TEST_SEEDS", "6"))))
def test_killed_at_any_moment_the_next_run_converges(site, run, seed):
    """SIGKILL after a random time of a slow first run or repair: nothing half-made is trusted, what came is kept.

    Whole blocks of it, if their sums are known; every byte at a first run.
    """
    chance = random.Random(seed)
    site.params["files"] = PINNED
    source = site.web()
    if seed % 2:
        assert not run(sources=[site.folder("origin")])["failed"]
        os.truncate(site.dest / "pytorch_model.bin", 1000)
        flip(site.dest / "modeling_chatglm.py")
    for _ in range(3):
        site.hub.faults = [Fault("/resolve/|/cdn/", rate=4_000_000)]
        child = site.begin(sources=source)
        time.sleep(chance.uniform(0, 0.7))
        child.send_signal(signal.SIGKILL)
        child.wait()
        for path in site.present().keys() & FILES.keys() - {"pytorch_model.bin", "modeling_chatglm.py"}:
            assert (site.dest / path).read_bytes() == FILES[path], "only whole files are visible"
    parts = sum(path.stat().st_size for path in site.dest.rglob("*.part")) if site.dest.exists() else 0
    site.hub.faults = []
    _, real = agree(run, sources=source)
    assert site.present() == FILES
    missing = sum(len(FILES[file["path"]]) for file in real["files"] if file["action"] in ("fetched", "mended"))
    assert real["bytes_fetched"] <= missing - parts + seed % 2 * (blocks.BLOCK - 1)
    again = run(sources=[closed()])
    assert not again["changed"]
    assert not again["failed"]


def test_documentation_and_role_name_the_same_parameters():
    role = (ROOT / "roles/weights/tasks/main.yml").read_text()
    given = set(re.findall(r"^    (\w+): ", role, re.M)) & set(
        re.findall(r"^  (\w+):$", model_snapshot.DOCUMENTATION, re.M)
    )
    assert given == set(re.findall(r"^    (\w+): ", role, re.M))


def test_the_names_of_unfinished_downloads_are_those_of_the_engine():
    assert set(model_snapshot.PARTS) == {
        name + end for name in (part.PART, part.COPY) for end in ("", ".json", ".json" + part.NEW)
    }


def forge(site, name):
    """Let the record say that a file is as it was when it was verified."""
    record = json.loads(site.record.read_text())
    state = (site.dest / name).stat()
    stat = {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "ctime_ns": state.st_ctime_ns, "inode": state.st_ino}
    record["files"][name].update(size=state.st_size, stat=stat)
    site.record.write_text(json.dumps(record))


def test_a_record_that_vouches_for_another_size_is_not_believed(installed, run):
    target = installed.dest / "config.json"
    target.write_bytes(b"{}")
    forge(installed, "config.json")
    _, real = agree(run, sources=[installed.folder("again")])
    assert actions(real)["config.json"] == "fetched"
    assert installed.present() == FILES


def test_with_sums_small_files_are_read_whatever_the_record_says_and_their_sums_written(installed, run, monkeypatch):
    sums = installed.home / "state" / "weights.sha256"
    assert not run(sums=str(sums), sources=[closed()])["changed"]
    check = ["sha256sum", "--check", "--strict", "--quiet", sums.name]
    assert subprocess.run(check, cwd=sums.parent).returncode == 0
    assert {line.split("/")[-1] for line in sums.read_text().splitlines()} == {Path(name).name for name in FILES}
    # The same size, and a record that says that nothing has happened.
    target = installed.dest / "config.json"
    data = target.read_bytes()
    target.write_bytes(data[::-1])
    forge(installed, "config.json")
    assert not run(check=True, sources=[closed()])["changed"]  # the quick look: by size, times and inode
    sums.write_text(sums.read_text().replace("a", "b"))
    _, real = agree(run, sums=str(sums), sources=[installed.folder("again")])
    assert [name for name, action in actions(real).items() if action != "kept"] == ["config.json"]
    assert installed.present() == FILES
    assert subprocess.run(check, cwd=sums.parent).returncode == 0


def test_with_sums_a_pickle_is_looked_at_whatever_the_record_says(site, run, monkeypatch):
    """A file too large to be read at every run, changed together with its record: its imports are read all the same."""
    name = "pytorch_model.bin"
    evil = checkpoint(pickle.dumps(Evil()))
    good = next(data for n in range(999) if len(data := checkpoint(pickle.dumps("x" * n))) == len(evil))
    site.params["files"] = [{"path": name, "sha256": sha256(good)}]
    sums = str(site.record.with_suffix(".sha256"))
    monkeypatch.setattr(model_snapshot, "SMALL", 0)
    assert not run(sums=sums, sources=[site.folder("good", **{name: good})])["failed"]
    (site.dest / name).write_bytes(evil)
    forge(site, name)
    told = run(sums=sums, sources=[closed()])
    assert told["failed"]
    assert "would import posix.system" in told["msg"]


def test_the_users_files_in_the_folders_stay_through_repair_and_update(installed, run):
    mine = {"notes.txt": "mine\n", "sub/own.py": "mine\n", "pytorch_model.bin.mine": "mine\n"}
    for name, text in mine.items():
        (installed.dest / name).parent.mkdir(exist_ok=True)
        (installed.dest / name).write_text(text)
    other = installed.dest.with_name("another-model") / "pytorch_model.bin"
    other.parent.mkdir()
    other.write_text("mine\n")
    (installed.dest / "config.json").write_bytes(b"damaged")
    _, real = agree(run, sources=[installed.folder("again")])
    assert actions(real)["config.json"] == "fetched"
    assert real["extra_files"] == sorted(mine)
    # Another revision without one of the files: it is nobody's now, and stays as well.
    less = [one for one in PINNED if one["path"] != "config.json"]
    result = run(revision="b" * 40, files=less, sources=[closed()])
    assert not result["failed"], result.get("msg")
    assert result["extra_files"] == sorted([*mine, "config.json"])
    assert all((installed.dest / name).read_text() == text for name, text in mine.items())
    assert other.read_text() == "mine\n"


OLD = b"""class ChatGLMTokenizer(PreTrainedTokenizer):
    def __init__(self, vocab_file, padding_side="left", **kwargs):
        super().__init__(padding_side=padding_side, **kwargs)
        self.name = "GLMTokenizer"
        self.tokenizer = SPTokenizer(vocab_file)
"""


def test_code_from_before_transformers_4_34_is_refused_before_the_gigabytes(site, run, monkeypatch):
    monkeypatch.setattr(model_snapshot, "SMALL", 100_000)
    files = {**FILES, "tokenization_chatglm.py": OLD}
    source = site.folder("origin", **{"tokenization_chatglm.py": OLD})
    old = run(sources=[source], files=pinned(files))
    assert old["failed"]
    assert (
        f"tokenization_chatglm.py of revision {COMMIT} is from before transformers 4.34: what line 3 needs"
        in old["msg"]
    )
    assert "-e chatglm_model_revision=d93643f303743236b43cd79335e8a093e68d8524" in old["msg"]
    assert "pytorch_model.bin" not in site.present()
    head, super_line, name, own = OLD.decode().splitlines(keepends=True)[1:]
    new = ("class ChatGLMTokenizer(PreTrainedTokenizer):\n" + head + own + name + super_line).encode()
    source = site.folder("newer", **{"tokenization_chatglm.py": new})
    files["tokenization_chatglm.py"] = new
    assert not run(sources=[source], files=pinned(files))["failed"]


@pytest.mark.parametrize("code", ["x = (", "", "class A:\n def __init__(self):\n  self.tokenizer = 1\n", "a\0b"])
def test_other_code_is_not_judged_by_its_age(code):
    assert snapshot.too_old(code) is None
