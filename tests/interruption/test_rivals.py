"""Two whole runs at once on one host: one works, the other waits for it; one installation comes of it."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import chain
import pytest

HOLD = f"""
import sys
sys.path.insert(0, {str(chain.ROOT / "module_utils")!r})
from chatglm.core import lock
with lock.hold({{"lock": sys.argv[1], "lock_timeout": 5}}, "testing", print):
    print("held", flush=True)
    sys.stdin.readline()
"""


def calls(host):
    """What the stand-in launcher was started for: the worker (its Python), the page (an empty line)."""
    path = host.base / "calls"
    return [line for line in path.read_text().splitlines() if not line.startswith("pid ")] if path.exists() else []


@pytest.mark.parametrize(("kind", "apart"), [("install", 0), ("install", 2.5), ("update", 0)])
def test_two_runs_at_once_make_one_installation(world, kind, apart):
    host = world.host
    world.begin(kind, None)
    (host.base / "calls").unlink(missing_ok=True)
    world.server.asked.clear()
    began = time.monotonic()
    children = [host.start(2)]
    time.sleep(apart)
    children.append(host.start(2))
    runs = [host.finish(child).well() for child in children]
    assert chain.contents(host.home) == world.true.contents[2]
    assert chain.lies(host, world.true) == []
    files = [path for path in world.server.asked if re.match(r"/model\d/.", path)]
    assert len(files) == len(set(files)), f"fetched twice: {files}"
    assert calls(host) == ["/usr/bin/python3", ""], "one proof: one worker, one page"
    for part in ("virtualenv: (built|repaired)", "source repository: ", "weights: ", "web demo: patched"):
        assert sum(bool(re.search(rf"(?m)^ +(done +)?{part}", run.output)) for run in runs) == 1, part
    again = host.run(2, preflight_thorough=True).well()
    assert again.recap["changed"] == 0
    world.table.append(f"two runs, {kind}, {apart} s apart: {time.monotonic() - began:.1f} s, one installation")


def test_two_runs_with_different_settings_leave_nothing_that_lies(world):
    """Whatever comes of it, it is vouched for only as far as it is so, and a later run of either is right."""
    host = world.host
    world.begin("install", None)
    runs = [host.finish(child) for child in (host.start(1), host.start(2))]
    for run in runs:
        assert run.status == 0 or "Found: " in run.output or "not proven" in run.output, run.output[-3000:]
    assert chain.lies(host, world.true) == []
    for edition in (2, 1):
        host.run(edition).well()
        assert chain.contents(host.home) == world.true.contents[edition]
        assert chain.lies(host, world.true) == []
    host.run(2).well()


def test_a_run_that_may_not_wait_says_who_is_at_work(world):
    host = world.host
    host.restore("old")
    (host.home / "state" / "seal.json").unlink()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(host.home / "state" / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "held\n"
        before = chain.contents(host.home)
        run = host.run(2, chatglm_lock_timeout=0)
        assert run.status == 2
        text = " ".join(run.output.split())
        assert re.search(rf"Found: another run at work on this installation: process {holder.pid} of \S+, since ", text)
        assert chain.contents(host.home) == before
        assert host.run(2, "--check", chatglm_lock_timeout=0).well(), "a check waits for nobody"
    finally:
        holder.kill()
        holder.communicate()
    assert json.loads(Path(host.home, "state", "lock").read_text())["pid"] == holder.pid
    assert host.run(2, chatglm_lock_timeout=0).well(), "a lock that a dead process left is no obstacle"
