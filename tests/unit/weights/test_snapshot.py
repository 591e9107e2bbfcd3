"""Decisions of model_snapshot without I/O: manifests, the record, verdicts, messages."""

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.weights import snapshot
from ansible.module_utils.chatglm.weights.content import Digest, TransferError

SHA = "a" * 64
BLOB = "b" * 40
STAT = {"size": 5, "mtime_ns": 1, "ctime_ns": 2, "inode": 3}
REPO, REVISION = "owner/name", "c" * 40


def entry(path="f", size=5, digest=SHA):
    return snapshot.Entry(path, size, Digest("sha256", digest) if digest else None)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"path": "../f"}, "names a file '../f'"),
        ({"path": "/etc/passwd"}, "names a file '/etc/passwd'"),
        ({"path": "a/../../f"}, "names a file"),
        ({"path": "a//f"}, "names a file"),
        ({"path": "a\\f"}, "names a file"),
        ({"path": ""}, "names a file ''"),
        ({"path": "."}, "names a file '.'"),
        ({"path": None}, "names a file None"),
        ({"path": "f", "size": -1}, "the size -1"),
        ({"path": "f", "size": 1, "sha256": "A" * 64}, "the sha256 'AAA"),
        ({"path": "f", "size": 1, "sha256": BLOB}, "the sha256 'bbb"),
        ({"path": "f", "git_blob_id": BLOB}, "a git_blob_id without a size"),
    ],
)
def test_wrong_entries_are_refused(raw, text):
    with pytest.raises(Failure, match="the manifest") as caught:
        snapshot.entry(raw, "the manifest")
    assert text in str(caught.value)


def test_a_file_twice():
    with pytest.raises(Failure, match="names f twice"):
        snapshot.entries([{"path": "f"}, {"path": "e"}, {"path": "f"}], "the manifest")


def record(*files, revision=REVISION):
    states = {one.path: snapshot.remembered(one, STAT, {}) for one in files}
    return snapshot.Record(REPO, revision, "/m", list(files), states)


def test_record_survives_a_round_trip_with_keys_of_a_later_version():
    value = record(entry()).as_json()
    value["files"]["f"]["blocks"] = {"size": 4, "sha256": ["x"]}
    assert snapshot.Record.parse(value).as_json() == value
    assert snapshot.remembered(entry(), STAT, value["files"]["f"])["blocks"] == {"size": 4, "sha256": ["x"]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"schema": 2, "files": {}},
        {"schema": 1, "files": []},
        {"schema": 1, "files": {"f": {}}},
        {"schema": 1, "files": {"../f": {"size": 5, "sha256": SHA, "stat": STAT}}, "manifest": [{"path": "/f"}]},
        {"schema": 1, "files": {"f": {"size": 5, "sha256": SHA, "stat": {"size": 5}}}, "manifest": "f"},
        {"schema": 1, "files": {"f": {"size": 5, "sha256": SHA, "stat": None}}, "manifest": None},
        {"schema": 1, "files": {"f": "x"}, "manifest": [1]},
    ],
)
def test_malformed_record_proves_nothing(value):
    parsed = snapshot.Record.parse(value)
    assert (parsed.files, parsed.manifest) == ({}, [])


def test_names_and_digests_come_from_pin_record_hub_in_this_order():
    pinned = [entry("a", None, SHA), entry("b", None, None)]
    past = record(entry("a", 7), entry("b", 6, "d" * 64))
    hub = [entry("a", 8, "e" * 64), entry("b", 9, "f" * 64), entry("c", 1)]
    assert snapshot.manifest([], snapshot.Record(), REPO, REVISION) is None
    assert snapshot.manifest([], snapshot.Record(), REPO, REVISION, hub) == hub
    assert snapshot.manifest([], past, REPO, REVISION) == past.manifest
    assert snapshot.manifest([], past, REPO, "other") is None
    assert snapshot.manifest(pinned, past, REPO, REVISION, hub) == [entry("a", 7), entry("b", 6, "d" * 64)]
    assert snapshot.manifest(pinned, past, REPO, "other") == pinned
    with_hub = snapshot.manifest(pinned, snapshot.Record(), REPO, REVISION, hub)
    assert with_hub == [entry("a", None, SHA), entry("b", 9, "f" * 64)], "no size of other content"


def test_contradictions_of_hub_and_pin():
    pinned = [entry("a"), entry("b", 1, None), entry("c"), entry("d", None)]
    hub = [entry("a", 5, "e" * 64), entry("b", 2, None), entry("d", 9)]
    assert snapshot.contradictions(pinned, hub) == [
        f"a has sha256:{'e' * 64} on the hub, sha256:{SHA} is pinned",
        "b has 2 bytes on the hub, 1 are pinned",
        "c is not in the hub's listing",
    ]


REMEMBERED = snapshot.remembered(entry(), STAT, {})
UNREAD, RIGHT, WRONG = snapshot.Seen(STAT), snapshot.Seen(STAT, b"", SHA), snapshot.Seen(STAT, b"", "0")


@pytest.mark.parametrize(
    ("given", "action", "reason"),
    [
        ((entry(), None, None, False), "fetch", "missing"),
        ((entry(), UNREAD, REMEMBERED, False), "keep", "unchanged since it was verified"),
        ((entry(), RIGHT, REMEMBERED, True), "keep", "verified again"),
        ((entry(), WRONG, REMEMBERED, True), "fetch", f"right size but wrong sha256: 0, expected {SHA}"),
        ((entry(), RIGHT, None, False), "adopt", "already there and good"),
        ((entry(size=6), UNREAD, None, False), "fetch", "too short: 5 of 6 bytes"),
        ((entry(size=4), UNREAD, None, True), "fetch", "too long: 5 bytes, expected 4"),
        ((entry(size=4), snapshot.Seen(STAT, b"<html>"), None, False), "fetch", "an HTML page of 5 bytes came"),
        ((entry(digest=None), UNREAD, None, False), "ask", "there, but its digest is not known"),
        ((entry(size=None), WRONG, None, False), "fetch", f"wrong sha256: 0, expected {SHA}"),
    ],
)
def test_verdicts(given, action, reason):
    verdict = snapshot.judge(*given)
    assert (verdict.action, verdict.refresh) == (action, False)
    assert verdict.reason.startswith(reason)


@pytest.mark.parametrize("key", snapshot.STAT_KEYS[1:])
def test_each_change_of_the_inode_is_noticed(key):
    stat = {**STAT, key: 99}
    assert snapshot.must_read(entry(), snapshot.Seen(stat), REMEMBERED, False)
    verdict = snapshot.judge(entry(), snapshot.Seen(stat, b"", SHA), REMEMBERED, False)
    assert (verdict.action, verdict.refresh) == ("keep", True)


def test_a_record_of_another_digest_is_no_proof():
    other = snapshot.remembered(entry(digest="d" * 64), STAT, {})
    assert snapshot.must_read(entry(), snapshot.Seen(STAT), other, False)
    verdict = snapshot.judge(entry(), snapshot.Seen(STAT, b"", SHA), other, False)
    assert verdict.action == "adopt"


def test_diff_names_only_what_is_due():
    verdicts = [snapshot.Verdict(entry("a"), "keep", "x"), snapshot.Verdict(entry("b"), "fetch", "missing")]
    told = {"before_header": "/m", "after_header": "/m", "before": "b: missing\n", "after": "b: verified\n"}
    assert snapshot.diff(verdicts, "/m") == told


def test_manifest_digest_depends_on_paths_and_digests_only():
    base = snapshot.manifest_digest([entry("a"), entry("b")])
    assert base == snapshot.manifest_digest([entry("b"), entry("a", None)])
    assert base != snapshot.manifest_digest([entry("a"), entry("b", 5, "d" * 64)])
    assert snapshot.manifest_digest([entry("a"), entry("b", 5, None)]) is None


def test_files_with_the_same_reasons_are_told_together():
    down = [("hub X", TransferError("network", "no connection"))]
    other = [("hub X", TransferError("short", "too short"))]
    told = snapshot.failure(REPO, REVISION, "/m", 3, {"a": down, "b": other, "c": down})
    assert (
        told.found == "3 of 3 files of owner/name could not be had: a, c (hub X: no connection); b (hub X: too short)"
    )


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        (TransferError("http", "HTTP 401", status=401), "set chatglm_hub_token"),
        (TransferError("tls", "not trusted"), "chatglm_ca_bundle"),
        (TransferError("library", "no Python"), "role virtualenv"),
        (TransferError("unknown", "no digest"), "let the hub be reached once"),
        (TransferError("pointer", "a pointer"), "leave out the source"),
        (TransferError("network", "cut"), "try again"),
    ],
)
def test_remedy_fits_the_reason(reason, remedy):
    told = snapshot.failure(REPO, REVISION, "/m", 8, {"f": [("hub X", reason)]})
    assert f"1 of 8 files of owner/name could not be had: f (hub X: {reason})" in told.found
    assert remedy in told.remedy
