"""The download engine against a server that misbehaves."""

import dataclasses
import errno
import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import zlib

import fault_server
import pytest
from ansible.module_utils.chatglm.weights import blocks, connection, part, transfer
from ansible.module_utils.chatglm.weights.content import Digest, TransferError, Wanted, what_came

DATA = random.Random(1).randbytes(3_000_000)
WANTED = Wanted(Digest("sha256", fault_server.sha256(DATA)), len(DATA))
BLOCKS = blocks.Blocks(
    len(DATA), tuple(zlib.crc32(DATA[at : at + blocks.BLOCK]) for at in range(0, len(DATA), blocks.BLOCK))
)
HANGS = 120
"""Seconds that tell what waits for ever from a machine that is busy."""


@pytest.fixture
def server():
    made = fault_server.Server(files={"f.bin": DATA})
    yield made
    made.close()


class Pauses(list):
    """The pauses that were asked for, instead of making them."""

    def __call__(self, seconds):
        self.append(seconds)


@pytest.fixture
def options():
    return connection.Options(timeout=5, attempts=3, sleep=Pauses())


def fetch(server, tmp_path, options, wanted=WANTED, **more):
    return transfer.fetch(f"{server.url}/f.bin", tmp_path / "f.bin", wanted, options, **more)


def refused(server, tmp_path, options, wanted=WANTED, **more):
    with pytest.raises(TransferError) as caught:
        fetch(server, tmp_path, options, wanted, **more)
    assert not (tmp_path / "f.bin").exists()
    return caught.value


def good(tmp_path):
    assert (tmp_path / "f.bin").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["f.bin"]


def partial(tmp_path, data, digest=WANTED.digest, source="elsewhere", etag=""):
    (tmp_path / "f.bin.part").write_bytes(data)
    note = {"digest": str(digest), "source": source, "etag": etag}
    (tmp_path / "f.bin.part.json").write_text(json.dumps(note))


def test_fetch(server, tmp_path, options):
    moved = fetch(server, tmp_path, options)
    good(tmp_path)
    assert (moved.received, moved.resumed_at, moved.size) == (len(DATA), 0, len(DATA))
    assert moved.blocks == BLOCKS


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(WANTED.digest),
        Wanted(Digest("git_blob_id", fault_server.blob_id(DATA)), len(DATA)),
    ],
    ids=["size unknown", "git blob"],
)
@pytest.mark.parametrize("fault", ["", "nolength", "chunked", "drip:0.00001"])
def test_forms_of_digest_and_body(server, tmp_path, options, wanted, fault):
    server.faults["/f.bin"] = [fault]
    fetch(server, tmp_path, options, wanted)
    good(tmp_path)


def test_empty_file(server, tmp_path, options):
    server.files["f.bin"] = b""
    fetch(server, tmp_path, options, Wanted(Digest("sha256", fault_server.sha256(b"")), 0))
    assert (tmp_path / "f.bin").read_bytes() == b""


def test_resumes_what_an_earlier_run_left(server, tmp_path, options):
    partial(tmp_path, DATA[:2_000_000])
    moved = fetch(server, tmp_path, options)
    good(tmp_path)
    assert (moved.received, moved.resumed_at) == (1_000_000, 2_000_000)
    assert server.seen[0].headers["Range"] == "bytes=2000000-"
    assert "If-Range" not in server.seen[0].headers, "another source's tag"


def test_whole_part_needs_no_network(server, tmp_path, options):
    partial(tmp_path, DATA)
    assert fetch(server, tmp_path, options).received == 0
    good(tmp_path)
    assert not server.seen


@pytest.mark.parametrize(
    ("data", "digest"),
    [(DATA[:1000], "sha256:other"), (DATA + b"x", str(WANTED.digest))],
    ids=["for another digest", "longer than the file"],
)
def test_useless_part_is_dropped(server, tmp_path, options, data, digest):
    partial(tmp_path, data, digest)
    assert fetch(server, tmp_path, options).received == len(DATA)
    good(tmp_path)
    assert "Range" not in server.seen[0].headers


def test_part_that_is_a_link_is_not_written_through(server, tmp_path, options):
    precious = tmp_path.parent / f"{tmp_path.name}-precious"
    precious.write_bytes(b"mine")
    (tmp_path / "f.bin.part").symlink_to(precious)
    fetch(server, tmp_path, options)
    good(tmp_path)
    assert precious.read_bytes() == b"mine"


@pytest.mark.parametrize("data", [b"\0" * 1000 + DATA[1000:2000], b"\0" * len(DATA)], ids=["partial", "whole"])
def test_damaged_part_costs_one_more_fetch(server, tmp_path, options, data):
    partial(tmp_path, data)
    fetch(server, tmp_path, options)
    good(tmp_path)


def test_cut_connection_goes_on_with_its_tag(server, tmp_path, options):
    server.faults["/f.bin"] = ["cut:1200000", "cut:300000"]
    moved = fetch(server, tmp_path, options)
    good(tmp_path)
    assert moved.received == len(DATA), "no byte twice"
    assert [item.headers.get("Range") for item in server.seen] == [None, "bytes=1200000-", "bytes=1500000-"]
    assert server.seen[1].headers["If-Range"] == f'"{fault_server.sha256(DATA)[:32]}"'
    assert options.sleep == [1.0, 2.0]


def test_reset_connection_goes_on(server, tmp_path, options):
    server.faults["/f.bin"] = ["reset:1200000"]
    fetch(server, tmp_path, options)
    good(tmp_path)
    assert server.seen[1].headers["Range"].startswith("bytes="), "what came before the reset is kept"


def test_changed_at_the_source_starts_over(server, tmp_path, options):
    partial(tmp_path, DATA[:1000], source=f"{server.url}/f.bin", etag='"old"')
    assert fetch(server, tmp_path, options).received == len(DATA)
    assert server.seen[0].headers["If-Range"] == '"old"'
    good(tmp_path)


def test_ignored_range_starts_over(server, tmp_path, options):
    partial(tmp_path, DATA[:1_000_000])
    server.faults["/f.bin"] = ["norange"]
    assert fetch(server, tmp_path, options).received == len(DATA)
    good(tmp_path)


def test_wrong_content_range_is_not_believed(server, tmp_path, options):
    partial(tmp_path, DATA[:1_000_000])
    server.faults["/f.bin"] = ["shiftrange:-100"]
    fetch(server, tmp_path, options)
    good(tmp_path)
    assert "Range" not in server.seen[1].headers


def test_416_starts_over(server, tmp_path, options):
    partial(tmp_path, DATA[:1_000_000])
    server.faults["/f.bin"] = ["status:416"]
    fetch(server, tmp_path, options)
    good(tmp_path)


def test_endless_cuts_end(server, tmp_path, options):
    """A server that ignores ranges and cuts each time makes no progress beyond its first attempt."""
    server.faults["/f.bin"] = ["restart:2900000"] * 100
    assert refused(server, tmp_path, options).kind == "cut"
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("pointer", ("pointer", f"a Git LFS pointer of {len(fault_server.POINTER)} bytes came instead of the file")),
        ("html", ("html", "an HTML page of 550 bytes came instead of the file")),
        ("shorter:10", ("short", "too short: 2999990 of 3000000 bytes")),
        ("longer:10", ("long", "too long: 3000010 bytes, expected 3000000")),
        ("length:-10", ("short", "too short: 2999990 of 3000000 bytes")),
        ("length:10", ("long", "too long: 3000010 bytes, expected 3000000")),
        ("flip:77", ("digest", "right size but wrong sha256: ")),
        ("gzip", ("http", "the source sends the file compressed, though asked not to")),
        ("status:401", ("http", "HTTP 401 from 127.0.0.1: it asks for a token, or refuses the one given")),
        ("status:403", ("http", "HTTP 403 from 127.0.0.1: access refused")),
        ("status:404", ("http", "HTTP 404 from 127.0.0.1: it has no such file")),
        ("status:429:3600", ("http", "HTTP 429 from 127.0.0.1: too many requests; it asks to wait 3600 s")),
        ("redirect:file:///etc/passwd", ("redirect", "file:///etc/passwd is not an http or https address")),
        ("redirect:", ("redirect", "redirects (HTTP 302) to nowhere")),
    ],
)
def test_reasons_that_end_the_source(server, tmp_path, options, fault, expected):
    server.faults["/f.bin"] = [fault]
    reason = refused(server, tmp_path, options)
    assert reason.kind == expected[0]
    assert expected[1] in str(reason)
    assert len(server.seen) == 1
    assert not list(tmp_path.iterdir()), "nothing wrong is kept"


@pytest.mark.parametrize("fault", ["pointer", "html"])
def test_what_came_is_named_without_a_known_size(server, tmp_path, options, fault):
    server.faults["/f.bin"] = [fault]
    assert refused(server, tmp_path, options, Wanted(WANTED.digest)).kind == fault


@pytest.mark.parametrize("fault", ["html", "status:404", "shorter:5"])
def test_bad_source_leaves_the_part(server, tmp_path, options, fault):
    partial(tmp_path, DATA[:1_000_000])
    server.faults["/f.bin"] = [fault]
    refused(server, tmp_path, options)
    assert (tmp_path / "f.bin.part").read_bytes() == DATA[:1_000_000]


@pytest.mark.parametrize(
    ("faults", "waited"),
    [
        (["status:500", "status:503"], [1.0, 2.0]),
        (["status:429:7"], [7.0]),
        (["status:503:Wed, 21 Oct 2015 07:28:00 GMT"], [0.0]),
        (["status:503:soon"], [1.0]),
    ],
)
def test_passing_failures_are_waited_for(server, tmp_path, options, faults, waited):
    server.faults["/f.bin"] = faults
    fetch(server, tmp_path, options)
    good(tmp_path)
    assert options.sleep == waited


def test_attempts_are_bounded(server, tmp_path, options):
    server.faults["/f.bin"] = ["status:503"] * 9
    assert refused(server, tmp_path, options).status == 503
    assert len(server.seen) == 3


def test_redirect_loop(server, tmp_path, options):
    server.faults["/f.bin"] = [f"redirect:{server.url}/g.bin"]
    server.faults["/g.bin"] = ["redirect:/f.bin"]
    assert "redirects in a loop" in str(refused(server, tmp_path, options))


def test_endless_redirects(server, tmp_path, options):
    server.faults["/f.bin"] = ["redirect:/1"]
    server.faults.update({f"/{i}": [f"redirect:/{i + 1}"] for i in range(1, 30)})
    assert "more than 10 redirects" in str(refused(server, tmp_path, options))


def test_authorization_stays_at_home(server, tmp_path, options):
    other = fault_server.Server(files={"f.bin": DATA})
    server.faults["/f.bin"] = ["redirect:/g.bin"]
    server.faults["/g.bin"] = [f"redirect:{other.url}/f.bin?X-Amz-Signature=s3cret"]
    fetch(server, tmp_path, options, authorization="Bearer hf_secret")
    other.close()
    good(tmp_path)
    assert [item.headers.get("Authorization") for item in server.seen] == ["Bearer hf_secret"] * 2
    assert "Authorization" not in other.seen[0].headers


def test_messages_hide_signatures_and_passwords(server, tmp_path, options):
    server.faults["/f.bin"] = ["redirect:/g.bin?X-Amz-Signature=s3cret"]
    server.faults["/g.bin"] = ["redirect:/g.bin?X-Amz-Signature=s3cret"]
    assert "s3cret" not in str(refused(server, tmp_path, options))
    assert connection.shown("http://me:pass@host:1/a?b=c#d") == "http://host:1/a"


def test_expired_link_is_renewed(server, tmp_path, options):
    other = fault_server.Server(files={"f.bin": DATA})
    server.faults["/f.bin"] = [f"redirect:{other.url}/f.bin"] * 2
    other.faults["/f.bin"] = ["status:403"]
    fetch(server, tmp_path, options)
    other.close()
    good(tmp_path)


@pytest.mark.parametrize("fault", ["hang:3", "drip:1000000:0.3"])
def test_silence_and_trickle_are_noticed(server, tmp_path, fault):
    server.faults["/f.bin"] = [fault] * 2
    options = connection.Options(timeout=1, attempts=2, floor=100_000, sleep=lambda _: None)
    begin = time.monotonic()
    assert refused(server, tmp_path, options).kind in ("timeout", "stall")
    assert time.monotonic() - begin < HANGS


@pytest.mark.parametrize("tls", [False, True])
def test_a_head_that_trickles_in_ends(tmp_path, tls):
    """Each byte comes long before the socket's timeout; the head as a whole does not."""
    options = connection.Options(timeout=0.5, attempts=2, sleep=lambda _: None)
    scheme, listening = "http", socket.create_server(("127.0.0.1", 0))
    if tls:
        pem, context = fault_server.certificate(tmp_path)
        options, scheme = dataclasses.replace(options, ca_bundle=str(pem)), "https"
        listening = context.wrap_socket(listening, server_side=True)
    with listening:

        def answer():
            for _ in range(2):
                connection = listening.accept()[0]
                try:
                    for byte in b"HTTP/1.1 200 OK\r\n" + b"X" * 100:
                        connection.sendall(bytes([byte]))
                        time.sleep(0.1)
                except OSError:
                    connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        begin = time.monotonic()
        with pytest.raises(TransferError, match=r"no answer from 127\.0\.0\.1 for") as caught:
            transfer.fetch(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/f", tmp_path / "f", WANTED, options)
        assert caught.value.kind == "timeout"
        assert 1.5 < time.monotonic() - begin < HANGS
        thread.join(10)


def test_closed_port(tmp_path, options):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(TransferError, match=r"no connection to 127\.0\.0\.1: Connection refused"):
        transfer.fetch(f"http://127.0.0.1:{port}/f.bin", tmp_path / "f.bin", WANTED, options)


def test_unknown_name(tmp_path, options, monkeypatch):
    def unknown(*_arguments, **_named):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TransferError, match=r"the name hub\.invalid cannot be resolved"):
        transfer.fetch("http://hub.invalid/f.bin", tmp_path / "f.bin", WANTED, options)


def test_no_http_at_all(tmp_path, options):
    with socket.create_server(("127.0.0.1", 0)) as raw:

        def answer():
            for _ in range(3):
                connection = raw.accept()[0]
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{raw.getsockname()[1]}/f.bin"
        with pytest.raises(TransferError, match="gave no valid HTTP answer"):
            transfer.fetch(url, tmp_path / "f.bin", WANTED, options)


def test_proxy_is_used_except_for_loopback(server, tmp_path, options, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://user:pa%20ss@127.0.0.1:{server.port}")
    transfer.fetch("http://hub.invalid/f.bin", tmp_path / "f.bin", WANTED, options)
    good(tmp_path)
    assert server.seen[0].path == "http://hub.invalid/f.bin"
    assert server.seen[0].headers["Proxy-Authorization"] == "Basic dXNlcjpwYSBzcw=="
    other = fault_server.Server(files={"f.bin": DATA})
    fetch(other, tmp_path, options)
    other.close()
    assert "Proxy-Authorization" not in other.seen[0].headers


@pytest.mark.parametrize(
    ("dates", "text"), [((2040, 2041), "not yet valid"), ((2001, 2002), "expired")], ids=["too new", "too old"]
)
def test_a_wrong_clock_is_named(server, tmp_path, options, dates, text):
    """What a clock that is behind or ahead sees: a certificate outside its dates; no mend is begun either."""
    for name in ("tls", "files"):
        (tmp_path / name).mkdir()
    pem, context = fault_server.certificate(tmp_path / "tls", dates)
    server.httpd.socket = context.wrap_socket(server.httpd.socket, server_side=True)
    url, target = f"https://127.0.0.1:{server.port}/f.bin", tmp_path / "files" / "f.bin"
    options = dataclasses.replace(options, ca_bundle=str(pem))
    for mend in ("", transfer.TARGET):
        if mend:
            target.write_bytes(DATA[:2_000_000])
        with pytest.raises(
            TransferError, match=rf"127\.0\.0\.1 is outside its dates \(.*{text}.*\); this host's clock"
        ) as caught:
            transfer.fetch(url, target, WANTED, options, mend=mend)
        assert caught.value.kind == "tls"
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["f.bin"]
    assert not options.sleep, "another attempt would not help"


def test_tls_trusts_the_ca_file_only_when_given(server, tmp_path, options):
    (tmp_path / "tls").mkdir()
    (tmp_path / "files").mkdir()
    pem, context = fault_server.certificate(tmp_path / "tls")
    server.httpd.socket = context.wrap_socket(server.httpd.socket, server_side=True)
    url, target = f"https://127.0.0.1:{server.port}/f.bin", tmp_path / "files" / "f.bin"
    with pytest.raises(TransferError, match=r"the certificate of 127\.0\.0\.1 is not trusted"):
        transfer.fetch(url, target, WANTED, options)
    transfer.fetch(url, target, WANTED, dataclasses.replace(options, ca_bundle=str(pem)))
    good(tmp_path / "files")
    other = url.replace("127.0.0.1", "localhost")
    with pytest.raises(TransferError, match="the certificate of localhost is not trusted"):
        transfer.fetch(other, tmp_path / "g", WANTED, dataclasses.replace(options, ca_bundle=str(pem)))


def test_too_little_room_is_known_before(server, tmp_path, options, monkeypatch):
    class Full:
        f_bavail, f_frsize = 10, 4096

    monkeypatch.setattr(os, "statvfs", lambda _path: Full)
    reason = refused(server, tmp_path, options)
    assert (reason.kind, str(reason)) == ("disk", f"0.000041 GB free at {tmp_path}, 0.003000 GB needed")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_disk_really_full_keeps_what_came(server, tmp_path, options, monkeypatch):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=False).returncode:
        pytest.skip("mount is not allowed here")
    try:
        monkeypatch.setattr(transfer, "room_for", lambda *_arguments: None)  # somebody else fills it meanwhile
        reason = refused(server, tmp_path, options)
        assert reason.kind == "disk"
        size = (tmp_path / "f.bin.part").stat().st_size
        assert (tmp_path / "f.bin.part").read_bytes() == DATA[:size]
        assert size > 1_000_000
        subprocess.run(["mount", "-o", "remount,size=8m", str(tmp_path)], check=True)
        assert fetch(server, tmp_path, options).received == len(DATA) - size
        good(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_disk_full_without_root(server, tmp_path, options, monkeypatch):
    real, written = os.pwrite, []

    def write(handle, data, offset):
        if sum(written) > 1_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(real(handle, data, offset))
        return written[-1]

    monkeypatch.setattr(os, "pwrite", write)
    assert "No space left" in str(refused(server, tmp_path, options))
    monkeypatch.undo()
    assert fetch(server, tmp_path, options).received < len(DATA)


def digesting():
    return [thread for thread in threading.enumerate() if thread.name == "digest"]


@pytest.mark.parametrize("fails", [zlib, hashlib], ids=["sums", "digest"])
def test_what_fails_in_the_thread_that_digests_arrives_and_the_thread_ends(
    server, tmp_path, options, monkeypatch, fails
):
    def fail(*_arguments):
        raise MemoryError("no more")

    class Hasher:
        update = fail

    if fails is zlib:
        monkeypatch.setattr(blocks.zlib, "crc32", fail)
    else:
        monkeypatch.setattr(Digest, "start", lambda *_arguments: Hasher())
    with pytest.raises(MemoryError, match="no more") as caught:
        fetch(server, tmp_path, options)
    assert caught.traceback[-1].name == "fail", "with its cause"
    assert not digesting()
    monkeypatch.undo()
    fetch(server, tmp_path, options)
    good(tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EIO, "Input/output error")])
def test_an_interruption_ends_the_thread_and_keeps_what_came(server, tmp_path, options, monkeypatch, error):
    real, written = os.pwrite, []

    def write(handle, data, offset):
        if sum(written) > 1_000_000:
            raise error
        written.append(real(handle, data, offset))
        return written[-1]

    monkeypatch.setattr(os, "pwrite", write)
    with pytest.raises((KeyboardInterrupt, OSError)):
        fetch(server, tmp_path, options)
    assert not digesting()
    monkeypatch.undo()
    assert fetch(server, tmp_path, options).resumed_at > 1_000_000
    good(tmp_path)


def test_the_disk_begins_before_the_end(server, tmp_path, options, monkeypatch):
    """Each byte is asked for once, in order; what is left for the end is less than one portion."""
    asked = []
    monkeypatch.setattr(part, "WRITE_BACK", 1_000_000)
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _handle, first, length, _advice: asked.append((first, first + length))
    )
    fetch(server, tmp_path, options)
    good(tmp_path)
    assert [first for first, _ in asked] == [0, *(end for _, end in asked[:-1])]
    assert len(DATA) - asked[-1][1] < 1_000_000


def test_refused_content_stays_in_the_part(server, tmp_path, options):
    """A check's refusal (of a pickle's imports) costs no second download when the setting is changed."""

    def refuse(_path):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fetch(server, tmp_path, options, check=refuse)
    assert not (tmp_path / "f.bin").exists()
    assert fetch(server, tmp_path, options).received == 0


def test_copy(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "f.bin").write_bytes(DATA)
    partial(tmp_path / "d", DATA[:1000])
    assert transfer.copy(tmp_path / "f.bin", tmp_path / "d" / "f.bin", WANTED).received == len(DATA)
    assert (tmp_path / "d" / "f.bin").read_bytes() == DATA


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (None, "missing"),
        (DATA[:-1], "short"),
        (DATA + b"x", "long"),
        (DATA[:-1] + b"?", "digest"),
        (fault_server.POINTER, "pointer"),
        (fault_server.PAGE, "html"),
    ],
)
def test_copy_refuses(tmp_path, data, kind):
    (tmp_path / "d").mkdir()
    partial(tmp_path / "d", DATA[:1000])
    if data is not None:
        (tmp_path / "f.bin").write_bytes(data)
    with pytest.raises(TransferError) as caught:
        transfer.copy(tmp_path / "f.bin", tmp_path / "d" / "f.bin", WANTED)
    assert caught.value.kind == kind
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["f.bin.part", "f.bin.part.json"]


def test_memory_does_not_grow_with_the_file(server, tmp_path):
    code = f"""
import re, sys
from pathlib import Path
sys.path.insert(0, {os.path.dirname(transfer.__file__) + "/../.."!r})
from chatglm.weights import connection, transfer
from chatglm.weights.content import Digest, Wanted
transfer.fetch("{server.url}/f.bin", Path({str(tmp_path / "f.bin")!r}),
               Wanted(Digest("sha256", "{WANTED.digest.hexadecimal}")), connection.Options())
# Not ru_maxrss: that one starts with what the parent, this test's own process, had.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
    server.files["f.bin"] = DATA
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000, "kB"
    good(tmp_path)


def test_what_came_looks_past_a_byte_order_mark():
    assert what_came(b"\xef\xbb\xbf\n <HTML>", 9, WANTED).kind == "html"
