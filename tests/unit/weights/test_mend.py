"""Mending: a damaged file, a server that misbehaves, and as few bytes as possible."""

import dataclasses
import errno
import hashlib
import os
import random
import subprocess
import zlib

import fault_server
import pytest
from ansible.module_utils.chatglm.weights import connection, transfer
from ansible.module_utils.chatglm.weights.blocks import BLOCK, GAP, Blocks, missing, scan
from ansible.module_utils.chatglm.weights.content import Digest, TransferError, Wanted
from ansible.module_utils.chatglm.weights.transfer import LEFT, TARGET

COUNT = 12
SIZE = (COUNT - 1) * BLOCK + 4321
DATA = random.Random(5).randbytes(SIZE)


def sums(data):
    return tuple(zlib.crc32(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK))


WANTED = Wanted(Digest("sha256", fault_server.sha256(DATA)), len(DATA), Blocks(len(DATA), sums(DATA)))


@pytest.fixture
def server():
    made = fault_server.Server(files={"f.bin": DATA})
    yield made
    made.close()


class Site:
    """A folder with one file, and what is asked of the engine."""

    def __init__(self, folder, server):
        self.folder, self.server = folder / "models", server
        self.folder.mkdir()
        self.target = self.folder / "f.bin"
        self.pauses = []
        self.options = connection.Options(timeout=5, attempts=3, sleep=self.pauses.append)

    def damage(self, *places, size=SIZE):
        """Leave a file of ``size`` bytes with a flipped bit at each of the places; return what it lacks."""
        data = bytearray(DATA[:size] + b"surplus" * ((size - len(DATA)) // 7))
        for place in places:
            data[place] ^= 4
        self.target.write_bytes(data)
        return missing(WANTED.blocks, sums(data[: len(DATA)]))

    def mend(self, wanted=WANTED, mend=TARGET, **more):
        options = dataclasses.replace(self.options, **more)
        return transfer.fetch(f"{self.server.url}/f.bin", self.target, wanted, options, mend=mend)

    def refused(self, **more):
        with pytest.raises(TransferError) as caught:
            self.mend(**more)
        return caught.value

    def good(self):
        assert self.target.read_bytes() == DATA
        assert [path.name for path in self.folder.iterdir()] == ["f.bin"]

    @property
    def ranges(self):
        """What was asked for."""
        asked = [item.headers.get("Range", "").removeprefix("bytes=").split("-") for item in self.server.seen]
        return [(int(first), int(last) + 1) if last else None for first, last in asked]

    @property
    def part(self):
        return self.target.with_name("f.bin.part")


@pytest.fixture
def site(tmp_path, server):
    return Site(tmp_path, server)


@pytest.mark.parametrize("place", [0, BLOCK - 1, BLOCK, 5 * BLOCK + 7, len(DATA) - 1])
def test_one_flipped_bit_costs_one_block(site, place):
    lacks = site.damage(place)
    moved = site.mend()
    site.good()
    assert moved.received == lacks.bytes == sum(item.sent for item in site.server.seen) <= BLOCK
    assert moved.resumed_at == len(DATA) - lacks.bytes
    assert moved.blocks == WANTED.blocks


def test_one_flipped_bit_of_64_megabytes_moves_at_most_16(tmp_path, server):
    data = random.Random(6).randbytes(64_000_000)
    server.files["f.bin"] = data
    wanted = Wanted(Digest("sha256", fault_server.sha256(data)), len(data), Blocks(len(data), sums(data)))
    target = tmp_path / "f.bin"
    target.write_bytes(data)
    with target.open("r+b") as stream:
        stream.seek(31_415_926)
        stream.write(bytes([data[31_415_926] ^ 1]))
    transfer.fetch(f"{server.url}/f.bin", target, wanted, connection.Options(), mend=TARGET)
    assert target.read_bytes() == data
    assert 0 < sum(item.sent for item in server.seen) <= 16_000_000


@pytest.mark.parametrize("seed", range(20))
def test_what_is_asked_for_is_what_was_announced(site, seed):
    """Any damage: bits, holes, a cut, a surplus; the engine finds on its way what the plan found in advance."""
    chance = random.Random(seed)
    size = chance.choice(
        [len(DATA), len(DATA), chance.randrange(1, len(DATA)), len(DATA) + 7 * chance.randrange(1, 300000)]
    )
    places = sorted({chance.randrange(min(size, len(DATA))) for _ in range(chance.randrange(8))})
    site.damage(*places, size=size)
    if seed % 3 == 0:
        with site.target.open("r+b") as stream:
            begin = chance.randrange(min(size, len(DATA)))
            stream.seek(begin)
            stream.write(bytes(min(2 * BLOCK, size - begin)))
    lacks = missing(WANTED.blocks, sums(site.target.read_bytes()[: len(DATA)]))
    moved = site.mend()
    site.good()
    assert site.ranges == list(lacks.ranges)
    assert moved.received == lacks.bytes


def test_a_sparse_hole_is_filled(site):
    site.damage()
    with site.target.open("r+b") as stream:
        os.truncate(site.target, 3 * BLOCK)
        os.truncate(site.target, len(DATA))
        stream.seek(6 * BLOCK + 100)
        stream.write(DATA[6 * BLOCK + 100 :])
    assert site.mend().received == 4 * BLOCK
    site.good()


@pytest.mark.parametrize("kept", [True, False, "linked"])
def test_a_block_that_the_disk_cannot_read_is_damage(site, monkeypatch, kept):
    """Does not prove that rewriting a bad sector of a true disk cures it."""
    real = os.preadv

    def read(handle, buffers, offset):
        if not written and offset // BLOCK in (0, 7):
            raise OSError(errno.EIO, "Input/output error")
        return real(handle, buffers, offset)

    def write(handle, data, offset):
        written.append(offset)
        return pwrite(handle, data, offset)

    pwrite, written = os.pwrite, []
    site.damage()
    if kept == "linked":
        (site.folder.parent / "other.bin").hardlink_to(site.target)
    monkeypatch.setattr(os, "preadv", read)
    monkeypatch.setattr(os, "pwrite", write)
    found, there, size = scan(site.target, hashlib.sha256())
    assert (found, size, there[0], there[7], there[8]) == ("", SIZE, -1, -1, WANTED.blocks.sums[8])
    assert missing(WANTED.blocks, there).blocks == 2
    if kept:
        assert site.mend().received == BLOCK
    else:
        site.mend(dataclasses.replace(WANTED, blocks=None), mend="")
    site.good()


def test_a_cut_file_gets_its_end_only(site):
    site.damage(size=7 * BLOCK + 5)
    assert site.mend().received == len(DATA) - 7 * BLOCK
    site.good()


def test_a_surplus_needs_no_source(site):
    site.damage(size=len(DATA) + 7)
    assert transfer.settle(site.target, WANTED, mend=TARGET).received == 0
    site.good()
    site.damage(size=len(DATA) + 7)
    assert transfer.settle(site.target, dataclasses.replace(WANTED, blocks=None), mend=TARGET).received == 0
    site.good()
    assert not site.server.seen
    site.damage(3, size=len(DATA) + 7)
    for wanted in (WANTED, dataclasses.replace(WANTED, blocks=None)):
        with pytest.raises(TransferError):
            transfer.settle(site.target, wanted, mend=TARGET)
        assert site.target.stat().st_size == len(DATA) + 7, "left alone"


def test_a_git_blob_is_mended_too(site):
    site.damage(9)
    site.mend(Wanted(Digest("git_blob_id", fault_server.blob_id(DATA)), len(DATA), WANTED.blocks))
    site.good()


@pytest.mark.parametrize("kind", ["symlink", "hard link", "read-only"])
def test_a_file_that_is_not_ours_alone_is_not_written(site, tmp_path, kind, monkeypatch):
    """A copy is mended; the other name keeps its (damaged) content."""
    site.damage(2 * BLOCK)
    mine = tmp_path / "mine.bin"
    damaged = site.target.read_bytes()
    if kind == "symlink":
        site.target.rename(mine)
        site.target.symlink_to(mine)
    elif kind == "hard link":
        mine.hardlink_to(site.target)
    else:
        monkeypatch.setattr(os, "access", lambda *_arguments: False)  # root may write anything
    assert site.mend().received == BLOCK
    site.good()
    assert not site.target.is_symlink()
    assert kind == "read-only" or mine.read_bytes() == damaged


def test_a_full_disk_does_not_prevent_a_mend_in_place(site, monkeypatch):
    class Full:
        f_bavail, f_frsize = BLOCK // 4096, 4096

    site.damage(2 * BLOCK)
    monkeypatch.setattr(os, "statvfs", lambda _path: Full)
    site.mend()
    site.good()
    site.damage(2 * BLOCK)
    os.link(site.target, site.folder / "other")
    assert site.refused().kind == "disk", "a copy needs room for all of it"
    assert sorted(path.name for path in site.folder.iterdir()) == ["f.bin", "f.bin.part.json", "other"]


# --- the network during a mend ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "pauses"),
    [
        ("cut:300000", 1),
        ("reset:300000", 1),
        ("status:500", 1),
        ("status:502", 1),
        ("status:503", 1),
        ("status:408", 1),
        ("status:429:9", 9),
    ],
)
def test_what_passes_is_waited_for_and_gone_on_with(site, fault, pauses):
    lacks = site.damage(BLOCK, 9 * BLOCK)
    site.server.faults["/f.bin"] = [fault]
    moved = site.mend()
    site.good()
    if fault.startswith("cut"):
        assert site.ranges == [(BLOCK, 2 * BLOCK), (BLOCK + 300_000, 2 * BLOCK), (9 * BLOCK, 10 * BLOCK)]
    assert moved.received == lacks.bytes
    assert site.pauses == [pauses]


@pytest.mark.parametrize("fault", ["hang:3", "drip:1000000:0.3"])
def test_silence_and_trickle_end(site, fault):
    site.damage(BLOCK)
    site.server.faults["/f.bin"] = [fault] * 2
    assert site.refused(timeout=1, attempts=2, floor=100_000).kind in ("timeout", "stall")
    site.mend(mend=LEFT if site.part.exists() else TARGET)
    site.good()


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        ("status:401", "http", "HTTP 401"),
        ("status:403", "http", "HTTP 403"),
        ("status:404", "http", "HTTP 404"),
        ("status:429:3600", "http", "it asks to wait 3600 s"),
        ("status:416", "range", "HTTP 416 from 127.0.0.1: it refuses the range"),
        ("norange", "range", "it gives the whole file where a part is asked for"),
        ("shiftrange:-100", "range", "asked for bytes from 1048576, the answer gives 'bytes 1048476-"),
        ("length:100", "range", "length 1048676"),
        ("othertotal:5", "long", "too long"),
        ("shorter:10", "short", "too short"),
        ("html", "html", "an HTML page of 550 bytes came"),
        ("pointer", "pointer", "a Git LFS pointer"),
        ("gzip", "http", "compressed"),
        ("redirect:/f.bin", "redirect", "redirects in a loop"),
    ],
)
def test_a_source_that_cannot_leaves_the_damaged_file_in_its_place(site, fault, kind, text):
    site.damage(BLOCK)
    before = site.target.read_bytes()
    site.server.faults["/f.bin"] = [fault]
    reason = site.refused()
    assert (reason.kind, text in str(reason)) == (kind, True), reason
    assert len(site.server.seen) == 1
    assert site.target.read_bytes() == before
    assert [path.name for path in site.folder.iterdir()] == ["f.bin"]
    site.mend()
    site.good()


def test_a_name_that_cannot_be_resolved_and_a_closed_port(site):
    site.damage(BLOCK)
    before = site.target.read_bytes()
    for url in ("http://no-such-host.invalid/f.bin", "http://127.0.0.1:1/f.bin"):
        with pytest.raises(TransferError) as caught:
            transfer.fetch(url, site.target, WANTED, site.options, mend=TARGET)
        assert caught.value.kind == "network"
    assert site.target.read_bytes() == before


def test_wrong_bytes_in_a_right_answer_are_noticed_at_their_block(site):
    """A Content-Range that lies, or another file of the same size: one block too many is moved, not all of them."""
    site.damage(*(number * BLOCK for number in range(3, COUNT)))
    site.server.faults["/f.bin"] = [f"flip:{3 * BLOCK + 5}"]
    reason = site.refused()
    assert reason.kind == "digest"
    assert str(reason).startswith(f"its bytes from {3 * BLOCK} to {4 * BLOCK} are not those")
    assert reason.received < 3 * BLOCK
    assert site.mend(mend=LEFT).received <= (COUNT - 3) * BLOCK
    site.good()


@pytest.mark.parametrize(
    "faults",
    [
        *(
            ["", fault]
            for fault in ("status:401", "status:403", "status:404", "status:416", "norange", "html", "pointer")
        ),
        *(["", fault] for fault in ("shiftrange:9", "length:9", "gzip", "redirect:/f.bin", "status:429:999")),
        *(["", fault, fault, fault] for fault in ("status:503", "cut:9", "reset:9")),
        ["", f"flip:{6 * BLOCK}"],
    ],
    ids=lambda faults: faults[1].partition(":/")[0],
)
def test_what_is_mended_stays_mended(site, faults):
    """A source that fails in the middle: the next one, or the next run, goes on with what is missing still."""
    site.damage(0, 6 * BLOCK + 5000)
    site.server.faults["/f.bin"] = faults
    site.refused()
    assert not site.target.exists(), "never half-made"
    assert site.part.stat().st_size == SIZE
    assert site.mend(mend=LEFT).received == BLOCK
    site.good()
    assert site.ranges[-1] == (6 * BLOCK, 7 * BLOCK)


def test_another_tag_does_not_matter_as_the_blocks_are_checked(site):
    site.damage(0, 6 * BLOCK)
    site.server.faults["/f.bin"] = ["", f"flip:{9 * BLOCK}"]
    site.mend()
    site.good()
    assert not any("If-Range" in item.headers for item in site.server.seen)


def test_sums_that_lie_lead_to_the_whole(site):
    """Every block as kept, and yet another file: the digest of the whole has the last word."""
    other = bytearray(DATA)
    other[BLOCK] ^= 1
    site.target.write_bytes(other)
    lying = dataclasses.replace(WANTED, blocks=Blocks(len(DATA), sums(other)))
    assert site.refused(wanted=lying).kind == "digest"
    assert site.mend(wanted=lying, mend="").received == len(DATA)
    site.good()


def test_a_failed_mend_and_then_the_whole(site):
    site.damage(BLOCK, 9 * BLOCK)
    site.server.faults["/f.bin"] = ["", "norange"]
    assert site.refused().kind == "range"
    site.server.faults["/f.bin"] = ["norange"]
    assert site.mend(mend="").received == len(DATA)
    site.good()


# --- never verified here ----------------------------------------------------------------------------------------------


def test_a_cut_file_is_a_beginning_until_its_digest_says_otherwise(site):
    unknown = dataclasses.replace(WANTED, blocks=None)
    site.damage(size=5 * BLOCK + 99)
    assert site.mend(unknown).received == len(DATA) - 5 * BLOCK - 99
    site.good()
    site.damage(17, size=5 * BLOCK)
    assert site.refused(wanted=unknown).kind == "digest"
    assert site.mend(unknown, mend="").received == len(DATA)
    site.good()


@pytest.mark.parametrize("fault", ["norange", "status:416", "shiftrange:3"])
def test_a_beginning_is_left_alone_by_a_source_without_ranges(site, fault):
    site.damage(size=5 * BLOCK)
    site.server.faults["/f.bin"] = [fault]
    assert site.refused(wanted=dataclasses.replace(WANTED, blocks=None)).kind == "range"
    assert site.target.stat().st_size == 5 * BLOCK


# --- from a folder ----------------------------------------------------------------------------------------------------


def test_only_the_blocks_are_copied_from_a_folder(site, tmp_path):
    (tmp_path / "f.bin").write_bytes(DATA)
    lacks = site.damage(3, 8 * BLOCK, len(DATA) - 1)
    moved = transfer.copy(tmp_path / "f.bin", site.target, WANTED, mend=TARGET)
    site.good()
    assert (moved.received, moved.blocks) == (lacks.bytes, WANTED.blocks)


def test_a_folder_with_another_file(site, tmp_path):
    other = bytearray(DATA)
    other[3] ^= 8
    (tmp_path / "f.bin").write_bytes(other)
    site.damage(3, 8 * BLOCK)
    with pytest.raises(TransferError) as caught:
        transfer.copy(tmp_path / "f.bin", site.target, WANTED, mend=TARGET)
    assert caught.value.kind == "digest"
    site.mend(mend=LEFT)
    site.good()


def test_a_folder_copies_the_whole_where_no_sums_are_kept(site, tmp_path):
    (tmp_path / "f.bin").write_bytes(DATA)
    site.damage(size=5 * BLOCK)
    unknown = dataclasses.replace(WANTED, blocks=None)
    assert transfer.copy(tmp_path / "f.bin", site.target, unknown, mend=TARGET).received == len(DATA)
    site.good()


# --- a disk that is full ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_hole_on_a_disk_that_is_full(tmp_path, server):
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("mount is not allowed here")
    try:
        target = folder / "f.bin"
        target.write_bytes(DATA[: 6 * BLOCK])
        os.truncate(target, len(DATA))  # the rest is a hole, which needs room when it is filled
        with pytest.raises(TransferError) as caught:
            transfer.fetch(f"{server.url}/f.bin", target, WANTED, connection.Options(), mend=TARGET)
        assert caught.value.kind == "disk"
        subprocess.run(["mount", "-o", "remount,size=30m", str(folder)], check=True)
        mend = LEFT if (folder / "f.bin.part").exists() else TARGET
        transfer.fetch(f"{server.url}/f.bin", target, WANTED, connection.Options(), mend=mend)
        assert target.read_bytes() == DATA
        assert [path.name for path in folder.iterdir()] == ["f.bin"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_the_gap_of_the_engine_is_that_of_the_plan(site):
    site.damage(0, (GAP + 1) * BLOCK)
    site.mend()
    assert site.ranges == [(0, (GAP + 2) * BLOCK)]
    site.damage(0, (GAP + 2) * BLOCK)
    site.server.seen.clear()
    site.mend()
    assert site.ranges == [(0, BLOCK), ((GAP + 2) * BLOCK, (GAP + 3) * BLOCK)]
