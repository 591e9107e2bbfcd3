"""One small host with finished installations of two editions, and what a run of each kind takes."""

import os
import random
import shutil
import socket
import subprocess
from dataclasses import dataclass, field

import chain
import pytest

# Each of pytest-xdist's workers has a host of its own, and its own table.
ARTIFACT = chain.ROOT / ".cache" / "artifacts" / f"interruption-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}.txt"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class World:
    """The host, the truth, per kind of run its undisturbed course, and lines of results that are shown and kept."""

    host: chain.Chain
    server: chain.Files
    true: chain.Truth
    course: dict
    table: list = field(default_factory=list)

    def begin(self, kind, chance):
        """Put the host into the state that a run of this kind begins with; return what was damaged."""
        self.host.restore({"install": "", "update": "old", "repair": "new"}[kind])
        return damage(self.host.home, chance) if kind == "repair" else []


def damage(home, chance):
    """Break two to five things as faults.md has them; return their names."""
    site = next((home / "venv" / "lib").glob("python3*")) / "site-packages"
    model = home / "models" / "small"

    def replace(path, data):
        path.unlink()  # the files of a copy may be links
        path.write_bytes(data)

    faults = {
        "a package gone": lambda: shutil.rmtree(site / "filler5"),
        "a file of a package edited": lambda: replace(site / "transformers" / "part3.py", b"broken"),
        "an older version": lambda: (site / "gradio-2.0.dist-info").rename(site / "gradio-1.0.dist-info"),
        "the stamp gone": (home / "venv" / ".chatglm-env.json").unlink,
        "the interpreter gone": lambda: [path.unlink() for path in (home / "venv" / "bin").glob("python*")],
        "weights cut": lambda: os.truncate(model / "extra.dat", 1_000_000),
        "a page of HTML for the tokenizer": lambda: replace(model / "tokenizer.model", b"<html>log in</html>"),
        "weights gone": (model / "pytorch_model.bin").unlink,
        "their record gone": (home / "state" / "weights.json").unlink,
        "files of the clone gone": lambda: [path.unlink() for path in (home / "source" / "many").glob("1*.txt")],
        "git's HEAD empty": lambda: (home / "source" / ".git" / "HEAD").write_text(""),
        "the clone gone": lambda: shutil.rmtree(home / "source"),
        "the launcher gone": (home / "bin" / "chatglm-run").unlink,
        "the proof gone": (home / "state" / "proof.json").unlink,
    }
    chosen = chance.sample(sorted(faults), chance.randint(2, 5))
    for name in chosen:
        faults[name]()
    return chosen


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    base = tmp_path_factory.mktemp("interruption")
    host, server, repository = chain.small(base, free_port())
    course = {}
    host.run(1).well()
    host.save("old")
    course["update"] = host.run(2, watch=True).well()
    updated = chain.contents(host.home)
    host.restore("")
    course["install"] = host.run(2, watch=True).well()
    host.save("new")
    true = chain.truth(host, {1: "old", 2: "new"}, repository)
    assert updated == true.contents[2], "an update is a first installation, file by file"
    made = World(host, server, true, course)
    made.begin("repair", random.Random(3))
    course["repair"] = host.run(2, watch=True).well()
    assert chain.contents(host.home) == true.contents[2]
    for kind, run in course.items():
        print(f"{kind}: {run.seconds:.1f} s, {[(word, round(at, 1)) for word, at in run.acts]}", flush=True)
    yield made
    if made.table:
        ARTIFACT.parent.mkdir(parents=True, exist_ok=True)
        ARTIFACT.write_text("\n".join(made.table) + "\n")
        print("\n" + "\n".join(made.table), flush=True)
    host.close()
    server.shutdown()
    shutil.rmtree(base)


class Disk:
    """A file system below chatglm_home whose room can be changed at any time."""

    def __init__(self, place):
        self.place = place

    def set(self, **options):
        words = ",".join(["remount", *(f"{name}={value}" if value != "" else name for name, value in options.items())])
        subprocess.run(["mount", "-o", words, self.place], check=True)

    def shrink(self, size=None, inodes=None):
        """Leave so many bytes, or so many files, free."""
        for last in (False, False, False, False, True):  # the run may fill it between the look and the limit
            state = os.statvfs(self.place)
            limit = {} if size is None else {"size": (state.f_blocks - state.f_bfree) * state.f_frsize + size}
            limit |= {} if inodes is None else {"nr_inodes": state.f_files - state.f_ffree + inodes}
            try:
                return self.set(**limit)
            except subprocess.CalledProcessError:
                if last:
                    raise

    def enlarge(self):
        self.set(rw="", size="2g", nr_inodes=200_000)


@pytest.fixture
def disk(world):
    """A small file system of its own for the host; tmpfs, so that its size can follow the run."""
    if os.geteuid():
        pytest.skip("a file system can only be mounted by root")
    place = world.host.home.parent
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,nr_inodes=200000", "chatglm-test", place])
    if done.returncode:
        pytest.skip("this machine does not let a file system be mounted")
    yield Disk(place)
    subprocess.run(["umount", "--lazy", place], check=True)
