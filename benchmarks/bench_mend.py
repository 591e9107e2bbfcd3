#!/usr/bin/env python3
"""What does it cost to mend a damaged file of 1 GB, and to be able to?

    ./bootstrap benchmarks/bench_mend.py [ROUNDS [MEGABYTES [FOLDER]]]

The module model_snapshot, in a process of its own, fetches the file from the stand-in hub on loopback; then for each
damage (a flipped bit, a hole of 64 MiB, the second half cut off) it is run again. The server counts the bytes. Prints
medians beside those of a whole fetch, and what the sums of blocks add to a first fetch. Fails if it cannot measure, or
if one flipped bit moved more than 16 MB. Loopback is faster than any line and hides what is saved: the last column
is computed for a line of 100 Mbit/s. The files go to .cache/bench/ (or FOLDER).
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "standins"))
NAME = "big.safetensors"
HOLE = 64 << 20
LINE = 12.5e6
DEMAND = 16_000_000

MODULE = """
import json, sys
import ansible.module_utils
root = sys.argv[1]
ansible.module_utils.__path__.append(root + "/module_utils")
sys.path.insert(0, root + "/library")
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.argv[2].encode()
basic._ANSIBLE_PROFILE = "legacy"
import model_snapshot
model_snapshot.main()
"""

# The engine alone; with the last argument "0" the sums are not taken.
FETCH = """
import json, resource, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from chatglm.weights import blocks, connection, transfer
from chatglm.weights.content import Digest, Wanted
if sys.argv[6] == "0":
    blocks.Tally.update = lambda self, content: None
wanted = Wanted(Digest("sha256", sys.argv[4]), int(sys.argv[5]))
begin = time.perf_counter()
transfer.fetch(sys.argv[2], Path(sys.argv[3]), wanted, connection.Options())
seconds = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime}))
"""


def random_file(path: Path, size: int) -> None:
    """Write ``size`` random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for start in range(0, size, 1 << 20):
            stream.write(os.urandom(min(1 << 20, size - start)))


def flip(path: Path) -> None:
    """Flip one bit in the middle."""
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))


def hole(path: Path) -> None:
    """Overwrite 64 MiB (a tenth of a small file) with zeros."""
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(size // 3)
        stream.write(bytes(min(HOLE, size // 10)))


def truncate(path: Path) -> None:
    """Cut off the second half."""
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "one flipped bit": flip,
    "a hole of 64 MiB": hole,
    "cut off at half": truncate,
}


class Bench:
    """The served file, the folder that holds it, and the stand-in."""

    def __init__(self, folder: Path, size: int) -> None:
        """Write the file to serve into ``folder``; the stand-in is started by ``with``."""
        from serve import ModelRepo, StandIn

        self.origin = folder / "mend-origin.bin"
        self.dest, self.record = folder / "mend", folder / "mend-record.json"
        random_file(self.origin, size)
        repo = ModelRepo({NAME: self.origin}, {NAME})
        self.digest, self.size = repo.files[NAME].sha256, size
        self.standin = StandIn(repos={"demo/files": repo})
        self.url = f"{self.standin.url}/demo/files/resolve/{repo.revision}"
        self.arguments = {
            "dest": str(self.dest),
            "repo": "demo/files",
            "revision": repo.revision,
            "record": str(self.record),
            "files": [{"path": NAME, "size": size, "sha256": self.digest}],
            "sources": [{"type": "url", "url": self.url}],
        }

    def module(self) -> tuple[float, int, dict[str, object]]:
        """Run the module; return the seconds, the bytes that the server sent, and the result for the file."""
        self.standin.log.clear()
        text = json.dumps({"ANSIBLE_MODULE_ARGS": self.arguments})
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", MODULE, str(ROOT), text], capture_output=True, text=True)
        seconds = time.perf_counter() - begin
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        sent = sum(item.bytes for item in self.standin.requests)
        result: dict[str, object] = json.loads(done.stdout)["files"][0]
        return seconds, sent, result

    def fetch(self, sums: bool) -> dict[str, float]:
        """Fetch the file by the engine alone; return its seconds of time and of CPU."""
        target = self.dest / "engine.bin"
        target.unlink(missing_ok=True)
        os.sync()  # what was written before is not to be paid for here
        words = [str(ROOT / "module_utils"), f"{self.url}/{NAME}", str(target), self.digest, str(self.size)]
        command = [sys.executable, "-c", FETCH, *words, str(int(sums))]
        result: dict[str, float] = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )
        target.unlink()
        return result

    def clear(self) -> None:
        """Remove what was written."""
        for path in (self.origin, self.record, self.dest / NAME, self.dest / "engine.bin"):
            path.unlink(missing_ok=True)
        if self.dest.exists():
            self.dest.rmdir()


def main() -> int:
    """Measure and print; the exit status tells whether one flipped bit moved at most 16 MB."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    size = int(sys.argv[2] if len(sys.argv) > 2 else 1000) * 1_000_000
    bench = Bench(Path(sys.argv[3]) if len(sys.argv) > 3 else ROOT / ".cache" / "bench", size)
    rows: dict[str, list[tuple[float, int, dict[str, object]]]] = {
        "the whole file": [],
        **{name: [] for name in DAMAGES},
    }
    with_sums: list[dict[str, float]] = []
    without: list[dict[str, float]] = []
    nothing: list[float] = []
    try:
        with bench.standin:
            for number in range(rounds):
                bench.record.unlink(missing_ok=True)
                (bench.dest / NAME).unlink(missing_ok=True)
                rows["the whole file"].append(bench.module())
                for name, damage in DAMAGES.items():
                    damage(bench.dest / NAME)
                    rows[name].append(bench.module())
                    assert rows[name][-1][2]["action"] == "mended", rows[name][-1][2]
                nothing.append(bench.module()[0])
                # In turns: whoever is first finds another cache.
                for sums in (True, False) if number % 2 else (False, True):
                    (with_sums if sums else without).append(bench.fetch(sums))
    finally:
        bench.clear()
    whole = statistics.median(row[0] for row in rows["the whole file"])
    print(
        f"{size / 1e6:.0f} MB, medians of {rounds} rounds, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )
    print(f"  {'':<18}{'seconds':>8}{'of whole':>10}{'MB on the wire':>16}{'of whole':>10}{'at 100 Mbit/s':>16}")
    for name, row in rows.items():
        seconds = statistics.median(item[0] for item in row)
        moved = max(item[1] for item in row)
        line = (seconds + moved / LINE) / (whole + size / LINE)
        print(f"  {name:<18}{seconds:8.2f}{seconds / whole:10.2f}{moved / 1e6:16.2f}{moved / size:10.4f}{line:16.3f}")
    print(f"  nothing to do: {statistics.median(nothing):.2f} s, the interpreter's start included")
    ratio = {
        key: statistics.median(item[key] for item in with_sums) / statistics.median(item[key] for item in without)
        for key in ("seconds", "cpu")
    }
    cpu = statistics.median(item["cpu"] for item in with_sums) - statistics.median(item["cpu"] for item in without)
    print(
        f"  sums of blocks in a first fetch: time {ratio['seconds']:.2f}, CPU {ratio['cpu']:.2f} of one without them "
        f"({cpu / size * 1e9:.2f} s of CPU for a GB)"
    )
    flipped = max(item[1] for item in rows["one flipped bit"])
    print(f"  one flipped bit moved {flipped / 1e6:.2f} MB (demand: at most {DEMAND / 1e6:.0f} MB)")
    return int(not 0 < flipped <= DEMAND)


if __name__ == "__main__":
    sys.exit(main())
