"""Sums of blocks: taken in any pieces, kept compactly, and compared."""

import hashlib
import random
import zlib

import pytest
from ansible.module_utils.chatglm.weights import blocks
from ansible.module_utils.chatglm.weights.blocks import BLOCK, GAP, Blocks

DATA = random.Random(4).randbytes(3 * BLOCK + 77)


def of(data):
    tally = blocks.Tally()
    tally.update(memoryview(data))
    return tally.blocks(len(data))


@pytest.mark.parametrize("seed", range(5))
def test_the_pieces_do_not_matter(seed):
    chance, tally, at = random.Random(seed), blocks.Tally(of(DATA)), 0
    while at < len(DATA):
        size = chance.choice([1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
        tally.update(memoryview(DATA)[at : at + size])
        at += size
    assert tally.blocks(len(DATA)) == of(DATA)
    assert tally.wrong == -1


@pytest.mark.parametrize("place", [0, BLOCK - 1, BLOCK, 3 * BLOCK + 76])
def test_the_first_wrong_block_is_told_at_its_end(place):
    data = bytearray(DATA)
    data[place] ^= 1
    tally = blocks.Tally(of(DATA))
    tally.update(memoryview(data))
    assert tally.wrong == place // BLOCK


def test_more_than_the_file_is_wrong():
    tally = blocks.Tally(of(DATA))
    tally.update(memoryview(DATA + b"x" * BLOCK))
    assert tally.wrong == 3


def test_small_files_have_none():
    assert of(DATA[:BLOCK]) is None
    assert of(DATA[: BLOCK + 1]) is not None


def test_the_weights_have_sums_of_30_kilobytes():
    made = Blocks(3_899_000_000, tuple(range(blocks.count(3_899_000_000)))).as_json()
    assert len(made["crc32"]) < 30_000
    assert Blocks.parse(made) == Blocks(3_899_000_000, tuple(range(3719)))


@pytest.mark.parametrize(
    "change",
    [
        None,
        [],
        "x",
        {"block": 4096},
        {"crc32": "zz"},
        {"crc32": "00000000"},
        {"crc32": None},
        {"size": "5"},
        {"size": 5 * BLOCK},
        {"size": 0, "crc32": ""},
        {"size": -5},
    ],
)
def test_malformed_sums_tell_nothing(change):
    value = {**of(DATA).as_json(), **change} if isinstance(change, dict) else change
    assert Blocks.parse(of(DATA).as_json()) == of(DATA)
    assert Blocks.parse(value) is None


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ([], []),
        ([0], [(0, 1)]),
        ([19], [(19, 20)]),
        ([3, 4, 5], [(3, 6)]),
        ([3, 4 + GAP], [(3, 5 + GAP)]),
        ([3, 5 + GAP], [(3, 4), (5 + GAP, 6 + GAP)]),
    ],
)
def test_near_damages_are_one_range(bad, expected):
    size = 20 * BLOCK - 9
    assert blocks.ranges(size, bad) == tuple((first * BLOCK, min(end * BLOCK, size)) for first, end in expected)


def test_missing():
    kept = Blocks(3 * BLOCK + 5, (1, 2, 3, 4))
    assert blocks.missing(kept, (1, 2, 3, 4)) == blocks.Missing((), 0)
    lacks = blocks.missing(kept, (1, 9))
    assert (lacks.blocks, lacks.bytes, lacks.ranges) == (3, 2 * BLOCK + 5, ((BLOCK, 3 * BLOCK + 5),))
    assert blocks.missing(kept, (1, 2, 3, 4, 5)).blocks == 0, "what is too long is cut"


@pytest.mark.parametrize("limit", [None, 5, BLOCK, 2 * BLOCK + 1, 99 * BLOCK])
def test_scan(tmp_path, limit):
    (tmp_path / "f").write_bytes(DATA)
    data = DATA[:limit]
    found, sums, size = blocks.scan(tmp_path / "f", hashlib.sha256(), limit)
    assert (found, size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert sums == tuple(zlib.crc32(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK))
    assert blocks.scan(tmp_path / "f", None, limit) == ("", sums, size)


def test_scan_of_nothing(tmp_path):
    (tmp_path / "f").touch()
    assert blocks.scan(tmp_path / "f", hashlib.sha256()) == (hashlib.sha256().hexdigest(), (), 0)
