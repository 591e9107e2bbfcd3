"""The module model_snapshot mends: what it announces, from which source, and when the whole is fetched after all."""

import errno
import json
import os
import random
import signal
import time

import model_snapshot
import pytest
from ansible.module_utils.chatglm.weights.blocks import BLOCK, Blocks
from ansible.module_utils.chatglm.weights.content import Digest
from ansible.module_utils.chatglm.weights.snapshot import Entry, kept_blocks
from fault_server import blob_id
from serve import SHARE, Fault
from snapshot_host import REPO, Site, actions, agree, checkpoint, closed, pinned
from test_model_snapshot import needs_hub

BIG = "pytorch_model.bin"
FILES = {"config.json": b'{"model_type": "chatglm"}\n', BIG: checkpoint(b"ctorch\nHalfStorage\n.", 9 * BLOCK)}
SIZE = len(FILES[BIG])


@pytest.fixture
def site(tmp_path):
    """A host that holds the verified files, installed from a folder."""
    made = Site(tmp_path, FILES)
    made.params["files"] = pinned(FILES)
    made.big = made.dest / BIG
    with made.hub:
        yield made


@pytest.fixture
def run(site, monkeypatch):
    def runner(**more):
        return site.run(monkeypatch.context, **more)

    assert not runner(sources=[site.folder("origin")])["failed"]
    site.hub.log.clear()
    return runner


def flip(path, *places):
    with open(path, "r+b") as stream:
        for place in places:
            stream.seek(place)
            byte = stream.read(1)[0]
            stream.seek(place)
            stream.write(bytes([byte ^ 1]))


def sent(site):
    """Bytes of files that the server says it sent."""
    return sum(item.bytes for item in site.hub.requests if item.status in (200, 206) and "/api/" not in item.path)


def of(result):
    return next(file for file in result["files"] if file["path"] == BIG)


def record(site):
    return json.loads(site.record.read_text())["files"][BIG]


def forget(site, key="blocks"):
    """Leave a record as an older version wrote it."""
    value = json.loads(site.record.read_text())
    del value["files"][BIG][key]
    site.record.write_text(json.dumps(value))


def healed(site, run):
    """All is as it should be, nothing else lies about, and a further run does nothing."""
    assert site.present() == FILES
    assert sorted(path.name for path in site.record.parent.iterdir()) == ["weights.json"]
    again = run(sources=[closed()])
    assert (again["changed"], again["failed"], actions(again)) == (False, False, dict.fromkeys(FILES, "kept"))
    assert of(again)["reason"] == "unchanged since it was verified"


DAMAGES = {
    "flipped bit": (
        lambda path: flip(path, 5 * BLOCK),
        "; 1 of 10 blocks is damaged or missing, 1.0 MB to fetch",
        BLOCK,
    ),
    "two bits": (
        lambda path: flip(path, 0, SIZE - 1),
        "; 2 of 10 blocks are damaged or missing",
        BLOCK + SIZE % BLOCK,
    ),
    "hole": (
        lambda path: (os.truncate(path, 6 * BLOCK), os.truncate(path, SIZE)),
        "; 4 of 10 blocks are damaged or missing",
        SIZE - 6 * BLOCK,
    ),
    "truncated": (
        lambda path: os.truncate(path, SIZE // 2),
        "; 6 of 10 blocks are damaged or missing, 5.2 MB to fetch",
        SIZE - 4 * BLOCK,
    ),
    "truncated and flipped": (
        lambda path: (os.truncate(path, 7 * BLOCK), flip(path, 1)),
        "; 4 of 10 blocks are damaged or missing",
        SIZE - 6 * BLOCK,
    ),
    "appended": (
        lambda path: path.write_bytes(FILES[BIG] + b"x" * 9),
        "; 0 of 10 blocks are damaged or missing, 0 bytes to fetch",
        0,
    ),
}


@pytest.mark.parametrize("kind", ["url", "hub", "seafile", "modelscope", "folder"])
@pytest.mark.parametrize("name", DAMAGES)
def test_mended_with_the_bytes_that_check_mode_announces(site, run, name, kind):
    if kind == "hub":
        pytest.importorskip("huggingface_hub")
    damage, text, size = DAMAGES[name]
    source = {
        "url": site.web()[0],
        "hub": {"type": "hub", "endpoint": site.hub.url},
        "seafile": {"type": "seafile", "url": site.hub.url, "share": SHARE, "folder": "/tiny-int4"},
        "modelscope": {"type": "modelscope", "url": site.hub.url, "repo": REPO},
        "folder": site.folder("origin"),
    }[kind]
    damage(site.big)
    other = model_snapshot.stat_of(site.dest / "config.json")
    checked, real = agree(run, sources=[source])
    for told in (checked, real):
        assert actions(told) == {"config.json": "kept", BIG: "mended"}
        assert of(told)["planned_bytes"] == size
        assert of(told)["reason"].endswith(text) or text in of(told)["reason"]
        assert told["diff"]["before"] == f"{BIG}: {of(told)['reason']}\n"
    assert of(checked)["blocks"] == of(real)["blocks"]
    assert (checked["bytes_fetched"], real["bytes_fetched"], of(real)["bytes"]) == (0, size, size)
    assert of(real)["resumed_at"] == SIZE - size
    assert kind == "folder" or sent(site) == size
    assert not size or source["type"] in of(real)["source"]
    assert model_snapshot.stat_of(site.dest / "config.json") == other
    healed(site, run)


def test_a_file_that_only_is_too_long_needs_no_network(site, run):
    site.big.write_bytes(FILES[BIG] + b"x")
    _, real = agree(run, sources=[closed()], python="/nonexistent")
    assert actions(real)[BIG] == "mended"
    healed(site, run)


@pytest.mark.parametrize("how", ["unchanged record", "older record", "lost record"])
def test_sums_are_gained_quietly_at_the_next_full_read(site, run, how):
    if how == "older record":
        forget(site)
        assert not run(sources=[closed()])["changed"], "not read, so not gained"
        assert "blocks" not in record(site)
    elif how == "lost record":
        site.record.unlink()
    again = run(sources=[closed()], verify="quick" if how == "lost record" else "deep")
    assert (again["failed"], again["changed"]) == (False, how == "lost record")
    kept = Blocks.parse(record(site)["blocks"])
    flip(site.big, 5)
    assert run(sources=site.web())["bytes_fetched"] == BLOCK
    assert Blocks.parse(record(site)["blocks"]) == kept
    healed(site, run)


def test_small_files_have_no_sums(site, run):
    assert "blocks" not in json.loads(site.record.read_text())["files"]["config.json"]


def test_the_first_source_that_gives_parts_mends(site, run):
    """The whole file of the first source is not taken while another one needs to send a block only."""
    flip(site.big, 5)
    site.hub.faults = [Fault("/cdn/", ignore_range=True)]
    first, second = site.web()[0], site.folder("second")
    _, real = agree(run, sources=[first, second])
    assert (of(real)["action"], of(real)["source"]) == ("mended", f"folder {site.home}/second")
    assert "cannot mend it (it gives the whole file where a part is asked for)" in of(real)["reason"]
    assert of(real)["bytes"] == BLOCK
    healed(site, run)


@pytest.mark.parametrize("when", [0, 1], ids=["first range", "second range"])
@pytest.mark.parametrize(
    "fault",
    [
        *({"status": status} for status in (401, 403, 404, 429, 500, 503)),
        {"body": "html"},
        {"body": "pointer"},
        {"cut": 1000},
        {"length": 7},
        {"loop": True},
        {"delay": 2},
        {"headers": {"Content-Range": "bytes 0-1/2"}},
    ],
    ids=lambda fault: "-".join(map(str, *fault.items())),
)
def test_a_source_that_fails_during_a_mend_is_followed_by_the_next(site, run, fault, when):
    """The next source gives no more than what is missing still."""
    flip(site.big, 5000, 8 * BLOCK + 5000)
    site.hub.faults = [Fault("/cdn/", after=when, **fault)]
    real = run(sources=[*site.web(), site.folder("second")], timeout=1)
    assert (of(real)["action"], of(real)["source"]) == ("mended", f"folder {site.home}/second")
    assert of(real)["bytes"] == (2 - when) * BLOCK
    healed(site, run)


@pytest.mark.parametrize(
    "fault", [{"ignore_range": True}, {"status": 416, "times": 1}, {"status": 416, "after": 1, "times": 1}]
)
def test_a_source_without_parts_gives_the_whole_and_that_is_said(site, run, fault):
    flip(site.big, 5, 8 * BLOCK)
    site.hub.faults = [Fault("/cdn/", **fault)]
    _, real = agree(run, sources=site.web())
    assert of(real)["action"] == "fetched"
    assert of(real)["blocks"] == 0
    assert f"; {real['files'][1]['source']} cannot mend it (" in of(real)["reason"]
    assert real["bytes_fetched"] >= SIZE
    healed(site, run)


def test_a_truncated_file_that_was_never_verified_here_is_gone_on_with(site, run):
    site.record.unlink()
    os.truncate(site.big, 3 * BLOCK + 7)
    checked, real = agree(run, sources=site.web())
    assert of(checked)["reason"] == f"too short: {3 * BLOCK + 7} of {SIZE} bytes; 6.3 MB to fetch"
    assert actions(real)[BIG] == actions(checked)[BIG] == "mended"
    assert of(real)["bytes"] == of(checked)["planned_bytes"] == SIZE - 3 * BLOCK - 7
    healed(site, run)


def test_a_beginning_that_is_not_the_files_is_dropped(site, run):
    site.record.unlink()
    os.truncate(site.big, 3 * BLOCK)
    flip(site.big, 5)
    real = run(sources=site.web())
    assert actions(real)[BIG] == "fetched"
    assert "cannot mend it (right size but wrong sha256" in of(real)["reason"]
    assert real["bytes_fetched"] == SIZE - 3 * BLOCK + SIZE
    healed(site, run)


def test_sums_that_were_tampered_with_lead_to_the_whole(site, run):
    value = json.loads(site.record.read_text())
    sums = value["files"][BIG]["blocks"]["crc32"]
    value["files"][BIG]["blocks"]["crc32"] = "00000000" + sums[8:]
    site.record.write_text(json.dumps(value))
    flip(site.big, 5 * BLOCK)
    real = run(sources=site.web())
    assert actions(real)[BIG] == "fetched"
    assert "are not those that were verified here before" in of(real)["reason"]
    healed(site, run)
    assert record(site)["blocks"]["crc32"] == sums


def test_what_a_deep_check_found_is_not_trusted_by_the_next_quick_one(site, run):
    """Damage that leaves size and times alone, and no source to mend it from."""
    flip(site.big, 5)
    value = json.loads(site.record.read_text())
    value["files"][BIG]["stat"] = model_snapshot.stat_of(site.big)
    site.record.write_text(json.dumps(value))
    assert not run(sources=[closed()])["changed"]
    assert run(sources=[closed()], verify="deep", check=True)["changed"], "a check changes no record"
    assert not run(sources=[closed()])["changed"]
    assert run(sources=[closed()], verify="deep", python="/nonexistent")["failed"]
    checked, real = agree(run, sources=site.web())
    assert actions(real)[BIG] == actions(checked)[BIG] == "mended"
    assert real["bytes_fetched"] == BLOCK
    healed(site, run)


def test_no_source_at_all_leaves_the_damaged_file(site, run):
    flip(site.big, 5)
    before = site.big.read_bytes()
    told = run(sources=[closed()], python="/nonexistent")
    assert told["failed"]
    assert site.present() == {**FILES, BIG: before}
    assert not run(sources=site.web())["failed"]
    healed(site, run)


def test_what_an_interrupted_mend_left_is_announced_and_used(site, run):
    flip(site.big, 0, 6 * BLOCK)
    # The first range comes, the second does not.
    site.hub.faults = [Fault("/cdn/", after=1, status=404)]
    assert "HTTP 404" in run(sources=site.web())["msg"]
    assert not site.big.exists()
    site.hub.faults = []
    site.hub.log.clear()
    checked, real = agree(run, sources=site.web())
    text = "missing; an interrupted run left the rest, 1 of 10 blocks is damaged or missing, 1.0 MB to fetch"
    assert of(checked)["reason"] == of(real)["reason"] == text
    assert sent(site) == of(real)["bytes"] == of(checked)["planned_bytes"] == BLOCK
    healed(site, run)


def test_killed_between_the_last_byte_and_the_rename(site, run):
    site.big.rename(site.dest / f"{BIG}.part")
    note = {"digest": f"sha256:{pinned(FILES)[1]['sha256']}", "source": "x", "etag": ""}
    (site.dest / f"{BIG}.part.json").write_text(json.dumps(note))
    checked, real = agree(run, sources=[closed()], python="/nonexistent")
    assert of(checked)["planned_bytes"] == of(real)["bytes"] == 0
    healed(site, run)


def test_of_two_remains_the_better_one_is_used(site, run):
    """A damaged file and a part of the same file: whichever lacks less."""
    part, note = site.dest / f"{BIG}.part", site.dest / f"{BIG}.part.json"
    for size, expected in ((2 * BLOCK, 5 * BLOCK), (8 * BLOCK, SIZE - 8 * BLOCK)):
        data = bytearray(FILES[BIG])
        for number in range(1, 6):
            data[number * BLOCK] ^= 1
        site.big.write_bytes(data)
        part.write_bytes(FILES[BIG][:size])
        note.write_text(json.dumps({"digest": f"sha256:{pinned(FILES)[1]['sha256']}", "source": "x", "etag": ""}))
        _, real = agree(run, sources=site.web())
        assert of(real)["bytes"] == expected
        healed(site, run)


def test_a_pin_without_a_size_is_mended_too(site, run):
    files = [{"path": item["path"], "sha256": item["sha256"]} if "sha256" in item else item for item in pinned(FILES)]
    assert not run(files=files, sources=[closed()])["failed"]
    record_of = json.loads(site.record.read_text())
    for item in record_of["manifest"]:
        item["size"] = None if item["path"] == BIG else item["size"]
    site.record.write_text(json.dumps(record_of))
    for damage, expected in (
        (lambda: flip(site.big, 5), BLOCK),
        (lambda: os.truncate(site.big, 8 * BLOCK), SIZE - 8 * BLOCK),
        (lambda: site.big.write_bytes(FILES[BIG] + b"x"), 0),
    ):
        damage()
        _, real = agree(run, files=files, sources=site.web())
        assert (actions(real)[BIG], of(real)["bytes"]) == ("mended", expected)
        again = run(files=files, sources=[closed()])
        assert (again["changed"], of(again)["reason"]) == (False, "unchanged since it was verified")


@needs_hub
def test_the_hub_is_asked_for_the_damaged_file_only(site, run):
    flip(site.big, 5)
    assert not run()["failed"]
    asked = {item.path for item in site.hub.requests if "/resolve/" in item.path}
    assert all(path.endswith(BIG) for path in asked)
    healed(site, run)


def test_a_file_that_the_disk_cannot_read_is_mended(site, run, monkeypatch):
    """Does not prove that rewriting a bad sector of a true disk cures it."""
    real, wrote, written = os.preadv, os.pwrite, []

    def read(handle, buffers, offset):
        if not written and offset // BLOCK == 4:
            raise OSError(errno.EIO, "Input/output error")
        return real(handle, buffers, offset)

    def write(handle, data, offset):
        written.append(offset)
        return wrote(handle, data, offset)

    os.utime(site.big)
    monkeypatch.setattr(os, "preadv", read)
    monkeypatch.setattr(os, "pwrite", write)
    _, real_run = agree(run, sources=site.web())
    text = "right size but wrong sha256: a content that the disk cannot read, expected"
    assert of(real_run)["reason"].startswith(text)
    assert (actions(real_run)[BIG], real_run["bytes_fetched"]) == ("mended", BLOCK)
    healed(site, run)


def test_a_rerun_does_not_read_the_big_file(site, run, monkeypatch):
    monkeypatch.setattr(model_snapshot.blocks, "scan", lambda *_arguments: pytest.fail("read"))
    for check in (True, False):
        begin = time.process_time()
        assert not run(sources=[closed()], check=check)["changed"]
        assert time.process_time() - begin < 0.1


def test_sums_of_another_content_are_not_used():
    sums = Blocks(2 * BLOCK, (1, 2)).as_json()
    right = Digest("sha256", "a" * 64)
    item = {"sha256": "a" * 64, "blocks": sums}
    assert kept_blocks(Entry(BIG, None, right), item) == Blocks.parse(sums)
    assert kept_blocks(Entry(BIG, None, Digest("sha256", "b" * 64)), item) is None
    assert kept_blocks(Entry(BIG, 5, right), item) is None, "another size"
    assert kept_blocks(Entry(BIG, 5, Digest("git_blob_id", blob_id(b""))), item) is None
    assert kept_blocks(Entry(BIG, None, right), None) is None


@pytest.mark.parametrize("seed", range(int(os.environ.get("CHATGLM_TEST_SEEDS", "24"))))
def test_killed_during_a_mend_the_next_run_converges(site, run, seed):
    """SIGKILL at a random moment: in the file's place is the damaged one, none, or the right one; nothing is lost."""
    chance = random.Random(seed)
    size = chance.choice([SIZE, SIZE, SIZE + 999, 5 * BLOCK])
    site.big.write_bytes(FILES[BIG][:size] + b"x" * (size - SIZE))
    flip(site.big, *(chance.randrange(min(size, SIZE)) for _ in range(3)))
    damaged = site.big.read_bytes()
    planned = of(run(check=True, sources=site.web()))["planned_bytes"]
    kills = chance.choice([1, 1, 2])
    for _ in range(kills):
        site.hub.faults = [Fault("/cdn/", rate=20_000_000)]
        child = site.begin(sources=site.web())
        time.sleep(chance.uniform(0, 0.4))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert not site.big.exists() or site.big.read_bytes() in (damaged, FILES[BIG])
    site.hub.faults = []
    _, real = agree(run, sources=site.web())
    assert real["bytes_fetched"] <= planned
    healed(site, run)


FAULTS = [
    *({"status": status} for status in (401, 403, 404, 408, 416, 429, 500, 503)),
    {"ignore_range": True},
    {"ignore_range": True, "cut": 3 * BLOCK},
    {"body": "html"},
    {"body": "pointer"},
    {"cut": 1000},
    {"cut": BLOCK + 99},
    {"length": 7},
    {"length": -7},
    {"loop": True},
    {"headers": {"Content-Range": "bytes 0-1/2"}},
    {"headers": {"Content-Encoding": "gzip"}},
]


@pytest.mark.parametrize("seed", range(int(os.environ.get("CHATGLM_TEST_SEEDS", "12"))))
def test_any_damage_and_any_faults_end_well(site, run, seed):
    """Several runs against sources that fail in any order; then one good source."""
    chance = random.Random(seed)
    if chance.random() < 0.3:
        forget(site)
    size = chance.choice([SIZE, SIZE, SIZE + 999, chance.randrange(1, SIZE)])
    site.big.write_bytes(FILES[BIG][:size] + b"x" * (size - SIZE))
    flip(site.big, *(chance.randrange(min(size, SIZE)) for _ in range(chance.randrange(4))))
    damaged = site.big.read_bytes()
    share = {"type": "seafile", "url": site.hub.url, "share": SHARE, "folder": "/tiny-int4"}
    for _ in range(chance.randrange(1, 4)):
        site.hub.faults = [
            Fault("/cdn/|/seafhttp/", after=chance.randrange(3), times=chance.randrange(1, 4), **chance.choice(FAULTS))
            for _ in range(chance.randrange(1, 4))
        ]
        sources = chance.sample([*site.web(), share, site.web()[0]], chance.randrange(1, 4))
        real = run(sources=sources, timeout=2)
        assert real["failed"] is (site.present() != FILES), real.get("msg")
        assert "Found: 1 of 2 files" in real.get("msg", "Found: 1 of 2 files")
        assert site.present().get(BIG) in (None, damaged, FILES[BIG])
    site.hub.faults = []
    agree(run, sources=[*site.web(), site.folder("good")])
    healed(site, run)
