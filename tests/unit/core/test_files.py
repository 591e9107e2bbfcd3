import hashlib
import os

import pytest
from ansible.module_utils.chatglm.core import files


def test_digests_agree_with_their_definitions(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc" * 1000)
    assert files.sha256_file(path) == hashlib.sha256(b"abc" * 1000).hexdigest() == files.sha256_bytes(b"abc" * 1000)
    path.write_bytes(b"hello\n")
    assert files.git_blob_id(path) == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_write_atomic_replaces_and_leaves_no_partial_file(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    files.write_atomic(path, b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["f"]


def test_write_atomic_keeps_the_old_file_when_the_rename_fails(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_text("old")

    def refuse(*_):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        files.write_atomic(path, b"new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_read_json_counts_a_torn_record_as_absent(tmp_path):
    path = tmp_path / "r.json"
    assert files.read_json(path) is None
    files.write_json(path, {"a": "好"})
    assert files.read_json(path) == {"a": "好"}
    path.write_text('{"a": ')
    assert files.read_json(path) is None


def test_the_umask_is_respected(tmp_path):
    before = os.umask(0o077)
    try:
        files.write_atomic(tmp_path / "private", b"")
        os.umask(0)
        files.write_atomic(tmp_path / "open", b"")
        files.write_atomic(tmp_path / "program", b"", 0o755)
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"private": 0o600, "open": 0o644, "program": 0o755}
