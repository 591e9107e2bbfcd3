"""A disk that is full, has no inodes left, or becomes read-only at each stage of a run: told clearly, then resumed.

The file system is a real one (tmpfs) whose limits are changed while the run is at work. It does not prove that ext4's
journal or a Windows drive fail at the same system calls.
"""

import re
import subprocess
import time

import chain
import pytest
from ansible.module_utils.chatglm.core import seal

ACTS = ("bringing", "building", "fetching", "patching", "proving", "sealing")


def wait_for(host, child, act):
    """Wait for the moment before an act: the one before it has dropped the lock, and Ansible is between two tasks."""
    number = ACTS.index(act)
    if number:
        while host.doing() != ACTS[number - 1] and child.poll() is None:
            time.sleep(0.002)
        while host.doing() == ACTS[number - 1] and child.poll() is None:
            time.sleep(0.002)
    else:
        while not host.doing() and child.poll() is None:
            time.sleep(0.002)
    assert child.poll() is None, child.log.read_text()[-3000:]


def told(run):
    """Return what the run says of its failure, in one line; it must be one of ours."""
    assert run.status == 2, run.output[-3000:]
    text = " ".join(run.output.split())
    assert "Traceback" not in text, text[-3000:]
    found = re.search(r"Found: .*?\. Expected: .*?\. To do: .*?(?=PLAY RECAP|Origin:|fatal:)", text)
    assert found, text[-3000:]
    return found[0]


def resumed(world, disk, what, message, began):
    """Give room again: the same command ends well, and a further one changes nothing."""
    host = world.host
    assert chain.lies(host, world.true) == []
    disk.enlarge()
    host.run(2).well()
    assert chain.contents(host.home) == world.true.contents[2]
    again = host.run(2, preflight_thorough=True, watch=True).well()
    assert (again.recap["changed"], again.acts) == (0, [])
    world.table.append(f"{what}: {time.monotonic() - began:.1f} s, {message[:150]}")


@pytest.mark.parametrize(
    ("act", "room"),
    [*((act, "size") for act in ACTS), *((act, "inodes") for act in ("building", "fetching", "proving"))],
)
def test_a_disk_that_is_full_at_any_stage(world, disk, act, room):
    host, began = world.host, time.monotonic()
    world.server.asked.clear()
    child = host.start(2)
    wait_for(host, child, act)
    spare = {"building": 4_000_000, "fetching": 2_000_000}.get(act, 0) if room == "size" else 5 * (act == "building")
    disk.shrink(**{room: spare})
    run = host.finish(child)
    message = told(run)
    assert re.search(r"No space left|full disk|GB free", message), message
    assert re.search(r"room|free", message.partition("To do:")[2]), message
    if act in ACTS[2:] and run.status:
        kept = [path for path in world.server.asked if re.match(r"/model\d/.", path)]
    resumed(world, disk, f"no {room} while {act}", message, began)
    if act in ACTS[3:]:
        files = [path for path in world.server.asked if re.match(r"/model\d/.", path)]
        assert files == kept, "what was fetched before is not fetched again"


def test_a_disk_too_small_for_uv_itself(world, disk):
    host, began = world.host, time.monotonic()
    child = host.start(2)
    while "TASK [virtualenv" not in child.log.read_text():
        time.sleep(0.01)
    disk.shrink(size=10_000_000)
    message = told(host.finish(child))
    resumed(world, disk, "no size for uv", message, began)


@pytest.mark.parametrize("act", ["fetching", "proving"])
def test_a_disk_that_becomes_read_only(world, disk, act):
    host, began = world.host, time.monotonic()
    child = host.start(2)
    wait_for(host, child, act)
    disk.set(ro="")
    message = told(host.finish(child))
    assert "Read-only file system" in message
    resumed(world, disk, f"read-only before {act}", message, began)


@pytest.mark.parametrize("act", ["bringing", "fetching", "patching"])
def test_a_folder_that_may_not_be_written_in_the_middle(world, act):
    """chattr +i stands for a folder of another user: root too is refused then."""
    host, began = world.host, time.monotonic()
    host.restore("")
    child = host.start(2)
    wait_for(host, child, act)
    closed = {"bringing": ".", "fetching": "models", "patching": "source"}.get(act, "state")
    place = host.home / closed
    place.mkdir(exist_ok=True)
    if subprocess.run(["chattr", "+i", place], capture_output=True).returncode:
        chain.cut(child)
        pytest.skip("chattr +i is not possible here")
    try:
        message = told(host.finish(child))
    finally:
        subprocess.run(["chattr", "-i", place], check=True)
    assert "Operation not permitted" in message or "Permission denied" in message, message
    assert re.search(r"owner|permission|ls -ld|writ", message.partition("To do:")[2]), message
    assert chain.lies(host, world.true) == []
    host.run(2).well()
    assert chain.contents(host.home) == world.true.contents[2]
    world.table.append(f"{closed} not writable while {act}: {time.monotonic() - began:.1f} s, {message[:150]}")


@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_any_umask(world, mask):
    """Nobody else may write what this user runs, whatever the umask (uv's empty lock file is for all)."""
    host = world.host
    host.restore("")
    host.finish(host.start(2, umask=mask)).well()
    assert chain.contents(host.home) == world.true.contents[2]
    open_to_all = [
        path
        for path in host.home.rglob("*")
        if not path.is_symlink() and path != host.home / "venv" / ".lock" and path.stat().st_mode & 0o022
    ]
    assert open_to_all == []
    before = seal.fingerprint(str(host.home))
    assert host.run(2, preflight_thorough=True).well().recap["changed"] == 0
    assert seal.fingerprint(str(host.home)) == before


@pytest.mark.parametrize("name", ["with a space", "学生 é", "quote's"])
def test_a_home_with_an_unusual_name(world, name):
    """It works, both for the user's own home and for chatglm_home; or it is refused before anything is written."""
    host = world.host
    host.restore("")
    place = host.base / name
    home = place / "chat glm é"
    place.mkdir()
    run = host.finish(host.start(2, environ={"HOME": str(place)}, chatglm_home=str(home)))
    if run.status:
        assert "Found: " in run.output, run.output[-3000:]
        assert not home.exists()
        pytest.fail(f"refused: {run.output[-2000:]}")
    assert set(chain.contents(home)) == set(world.true.contents[2])
    done = subprocess.run([home / "bin" / "chatglm-run", "python", "-c", "import torch; print(torch.VERSION)"],
                          capture_output=True, text=True)  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == ("2.0", 0), done.stderr
    again = host.finish(host.start(2, environ={"HOME": str(place)}, chatglm_home=str(home), preflight_thorough=True))
    assert again.well().recap["changed"] == 0
