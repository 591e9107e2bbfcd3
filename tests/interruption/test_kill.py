"""SIGKILL for a whole run at a random moment: nothing half-made is trusted, and the next run converges.

Fifty seeds exist. CHATGLM_SEEDS=50 runs all; without it six run, others each day (the day's number decides), so that
each comes round in nine days.
"""

import datetime
import json
import os
import random
import time

import chain
import pytest
from ansible.module_utils.chatglm.core import seal
from ansible.module_utils.chatglm.virtualenv import python_env

ALL = 50
SAMPLE = 6
KINDS = ("install", "update", "repair")


def seeds():
    if "CHATGLM_SEEDS" in os.environ:
        return range(int(os.environ["CHATGLM_SEEDS"]))
    today = datetime.datetime.now(datetime.timezone.utc).date().toordinal()
    return sorted((today * SAMPLE + number) % ALL for number in range(SAMPLE))


def wait_for(host, child, course, chance):
    """Wait until the moment of the cut; return it in words. Half of them lie anywhere, half while a module acts."""
    if chance.random() < 0.5:
        moment = chance.uniform(0, course.seconds)
        while time.monotonic() - child.began < moment and child.poll() is None:
            time.sleep(0.01)
        return f"{moment:.1f} s"
    acts = [*course.acts, ("", course.seconds)]
    number = chance.randrange(len(course.acts))
    word, length = acts[number][0], acts[number + 1][1] - acts[number][1]
    into = chance.uniform(0, 1) ** 2 * length  # the longer part of it is the next task's start
    latest = child.began + chance.uniform(0.3, 1) * course.seconds  # a repair may not come to it
    while host.doing() != word and child.poll() is None and time.monotonic() < latest:
        time.sleep(0.002)
    if host.doing() != word:
        return f"{latest - child.began:.1f} s, no {word}"
    time.sleep(into)
    return f"{word} + {into:.2f} s"


@pytest.mark.parametrize("seed", seeds())
def test_killed_at_any_moment(world, seed):
    host, chance, kind = world.host, random.Random(seed), KINDS[seed % 3]
    began = time.monotonic()
    broken = world.begin(kind, chance)
    cuts = []
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        child = host.start(2)
        moment = wait_for(host, child, world.course[kind], chance)
        doing = host.doing()
        number = chain.cut(child)
        cuts.append(f"{moment} ({number} processes{f', {doing}' if doing else ''})")
        assert chain.lies(host, world.true) == [], f"after {cuts}, {kind} of {broken}"
    host.run(2).well()
    holds = chain.contents(host.home)
    if "git's HEAD empty" in broken:  # what git cannot read is kept, so that nothing of the user's is lost
        assert holds.pop("source.broken-git", "there") == "there"
    assert holds == world.true.contents[2], f"after {cuts}, {kind} of {broken}"
    assert chain.lies(host, world.true) == []
    before = seal.fingerprint(str(host.home))
    again = host.run(2, preflight_thorough=True, watch=True).well()
    assert (again.recap["changed"], again.acts) == (0, [])
    assert seal.fingerprint(str(host.home)) == before, "a further run changes nothing"
    told = f"seed {seed:2d}  {time.monotonic() - began:5.1f} s  {kind:8}killed at {'; '.join(cuts)}"
    world.table.append(told + (f"  [{', '.join(broken)}]" if broken else ""))


def edit_in_place(path):
    """Change a byte and leave size and times as they were."""
    state = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_the_audit_sees_what_is_vouched_for_and_wrong(world, monkeypatch):
    """The audit of this file can fail: each kind of record is made to lie once."""
    host, home = world.host, world.host.home
    host.restore("new")
    host.run(2).well()
    assert chain.lies(host, world.true) == []
    site = next((home / "venv" / "lib").glob("python3*")) / "site-packages"
    edit_in_place(site / "gradio" / "part1.py")
    stamp = home / "venv" / python_env.STAMP
    made = json.loads(stamp.read_text())
    entries = python_env.read_record(str(site), "gradio-2.0.dist-info").entries
    made["distributions"]["gradio"]["stat"] = python_env.stat_digest(str(site), [path for path, _ in entries])
    stamp.write_text(json.dumps(made))
    edit_in_place(home / "bin" / "uv")
    record = home / "state" / "weights.json"
    text = record.read_text()
    place = home / "models" / "small" / "config.json"
    before = place.stat()
    edit_in_place(place)
    now = place.stat()
    record.write_text(
        text.replace(str(before.st_ctime_ns), str(now.st_ctime_ns)).replace(str(before.st_ino), str(now.st_ino))
    )
    proof = home / "state" / "proof.json"
    proof.write_text(
        proof.read_text().replace('"verdict": "ok"', '"verdict": "ok", "x": 1').replace('"gpus": []', '"gpus": [1]')
    )
    monkeypatch.setattr(chain.seal, "look", lambda *_: {"intact": True})
    patch = home / "state" / "web_demo_patch.json"
    patch.write_text("{}")
    found = "\n".join(chain.lies(host, world.true))
    for word in ("for gradio", "bin/uv is half-written", "weights' config.json", "a proof", "the seal", "of the patch"):
        assert word in found, found
