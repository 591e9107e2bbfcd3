"""What a card will hold: the formula against upstream's figures, its inverse, and what the table says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import capacity as module
import pytest
from ansible.module_utils.chatglm.preflight import capacity
from ansible.module_utils.chatglm.preflight.capacity import CHATGLM2_6B_INT4, GIB, MARGIN, MIB

ROOT = Path(__file__).resolve().parents[3]
# README of THUDM/ChatGLM2-6B, in GB: bits of a weight, least memory to encode 2048 tokens, to generate 8192.
UPSTREAM = [(16, 13.1, 12.8), (8, 8.2, 8.1), (4, 5.5, 5.1)]
# The int8 figures stand out by 0.3 to 0.4 GB from what the other two have in common; why is not known.
TOLERANCE = {16: 0.2, 8: 0.45, 4: MARGIN / GIB}


@pytest.mark.parametrize(("bits", "encode", "generate"), UPSTREAM)
def test_the_formula_gives_upstream_s_figures(bits, encode, generate):
    shape = CHATGLM2_6B_INT4._replace(bits=bits)
    # That upstream asked for the logits of the whole prompt is a guess, from the figures.
    assert capacity.memory(2048, 1, shape=shape, every_logit=True).total / GIB == pytest.approx(
        encode, abs=TOLERANCE[bits]
    )
    assert capacity.memory(1, 8191, shape=shape).total / GIB == pytest.approx(generate, abs=TOLERANCE[bits])


def test_the_weights_are_the_file():
    assert capacity.weights(CHATGLM2_6B_INT4) == pytest.approx(3.92e9, abs=0.005e9)


def test_every_token_costs_more():
    totals = [capacity.conversation(n).total for n in range(1, 3000, 7)]
    assert totals == sorted(totals)
    assert capacity.memory(100, 10).total < capacity.memory(100, 2000).total < capacity.memory(4000, 2000).total
    assert capacity.memory(512, 0, past=4000).total > capacity.memory(512, 0).total


@pytest.mark.parametrize("kind", ["prompt", "conversation"])
@pytest.mark.parametrize("free", [4.9, 5.09, 5.5, 6.0, 7.1])
def test_the_inverse_is_the_inverse(kind, free):
    def needed(tokens):
        return capacity.conversation(tokens) if kind == "conversation" else capacity.memory(tokens, 1)

    found = capacity.longest(free * GIB, kind)
    assert 0 < found < capacity.LONGEST
    assert needed(found).total + MARGIN <= free * GIB < needed(found + 1).total + MARGIN


def test_nothing_fits_where_the_weights_do_not():
    assert capacity.longest(4 * GIB, "conversation") == capacity.longest(0, "prompt") == 0
    assert capacity.longest(80 * GIB, "conversation") == capacity.LONGEST


def test_a_free_card_of_6_gb_holds_what_upstream_says():
    """Upstream: 8192 characters at least on 6 GB; with the reference laptop's desktop there is less."""
    assert capacity.longest(6 * GIB, "conversation") > 8192
    assert 2048 < capacity.longest((6144 - 928) * MIB, "conversation") < 8192


def card(total, free=None, name="GeForce", **more):
    return {"name": name, "memory_total": total * GIB, "memory_free": None if free is None else free * GIB, **more}


@pytest.mark.parametrize(
    ("gpu", "fits", "advice"),
    [
        (card(12, 11.5, capability="8.6"), True, []),
        (card(6, 5.8), True, []),
        (card(6, 5.0), True, ["desktop", "short"]),
        (card(6, 3.5), False, ["desktop_full"]),
        (card(4, 3.9), False, ["card_small"]),
        (card(6), True, ["assumed", "short"]),
        (card(24, 23.5, name="NVIDIA GeForce RTX 5090"), True, ["kernels"]),
        (card(80, 79.5, name="NVIDIA H100 80GB HBM3"), True, ["kernels"]),
        (card(12, 11.9, name="whatever", capability="12.0"), True, ["kernels"]),
        (card(12, 11.9, name="Tesla K80", capability="3.7"), False, ["torch"]),
        (card(12, 5.0, name="Tesla K80", capability="3.7"), False, ["torch", "desktop"]),
        ({"name": "", "memory_total": None, "memory_free": None}, False, ["assumed"]),
    ],
)
def test_what_is_said_of_a_card(gpu, fits, advice):
    found = capacity.judge(gpu)
    assert (found["fits"], found["advice"]) == (fits, advice)
    for language in ("en", "zh"):
        assert "{" not in "\n".join(capacity.lines([found], language))


@pytest.mark.parametrize(
    "name",
    ["GTX 1060 6GB", "GeForce RTX 3060 Laptop GPU", "RTX 4090", "Tesla T4", "Tesla V100", "A100-SXM4-80GB", "P40"],
)
def test_cards_with_kernels_are_not_taken_for_others(name):
    assert capacity.capability(name) == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_columns_stand_in_line(language):
    table = capacity.lines([capacity.judge(card(6, 5.0))], language)[:6]
    starts = {
        capacity.width(line[: line.index(word)])
        for line in table
        for word in (" no", " yes", " fits", " 能否", " 不能", " 能")
        if word in line
    }
    assert len(starts) == 1, table


def test_the_module(run_module):
    told = run_module(module, gpus=[{"name": "RTX 3060", "memory_total": str(6 * GIB)}], language="zh")
    assert not told["changed"]
    assert told["cards"][0]["conversation_tokens"] == capacity.longest(6 * GIB - capacity.DESKTOP, "conversation")
    assert "能否运行" in told["lines"][0]
    assert any("没有找到 GPU" in line for line in run_module(module, language="zh")["lines"])
    refused = run_module(module, gpus=[{"name": "x", "memory_total": "much"}])
    assert refused["failed"]
    assert "capacity_memory_gb=6" in refused["msg"]


def play(*options):
    command = [sys.executable, "-m", "ansible", "playbook", "playbooks/capacity.yml", "-i", "localhost,", *options]
    group = ["-e", json.dumps({"ansible_python_interpreter": sys.executable})]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    command[command.index("localhost,")] = "inventory/demo"
    return subprocess.run([*command, *group], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)


def test_the_play_for_a_card_that_is_not_here():
    done = play("-e", "capacity_gpu=RTX 3060", "-e", "capacity_memory_gb=6", "-e", "chatglm_language=en")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"RTX 3060 +6.0 GB +~5.1 GB +yes +\d{4} +\d{4}\n", done.stdout), done.stdout
    assert "changed=0" in done.stdout


def test_the_play_refuses_a_card_without_a_size():
    done = play("-e", "capacity_gpu=x")
    assert done.returncode != 0
    assert "Expected: the memory of x" in done.stdout + done.stderr
