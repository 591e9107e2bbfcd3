#!/usr/bin/env python3
"""How fast is a verified download, measured against curl from the same loop-back server?

    ./bootstrap benchmarks/bench_fetch.py [ROUNDS [MEGABYTES [FOLDER]]]

The stand-in hub serves a file of 1000 MB from the page cache by sendfile. Interleaved, so that other load falls on all
alike: our fetch with its digest, curl with no check at all, and curl followed by sha256sum. Prints medians, ratios and
our peak memory. The files go to .cache/bench/ (or FOLDER: a tmpfs shows the cost without a disk).
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "standins"))
AIM, MEMORY = 1.3, 200

# What the module does for one file of a hub, in a process of its own so that its memory can be seen.
FETCH = """
import json, resource, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from chatglm.weights.connection import Options
from chatglm.weights.content import Digest, Wanted
from chatglm.weights.transfer import fetch
begin = time.perf_counter()
fetch(sys.argv[2], Path(sys.argv[3]), Wanted(Digest("sha256", sys.argv[4]), int(sys.argv[5])), Options())
seconds = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss * 1024 / 1e6}))
"""


def timed(*commands: list[str]) -> float:
    """Run the commands one after the other; return the seconds."""
    begin = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def source(path: Path, size: int) -> None:
    """Write ``size`` random bytes, unless they are there."""
    if path.is_file() and path.stat().st_size == size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for start in range(0, size, 1 << 20):
            stream.write(os.urandom(min(1 << 20, size - start)))


def main() -> int:
    """Measure and print; the exit status is 0 whatever the ratio is."""
    from serve import ModelRepo

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    size = int(sys.argv[2] if len(sys.argv) > 2 else 1000) * 1_000_000
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else ROOT / ".cache" / "bench"
    origin, target = folder / "fetch-origin.bin", folder / "fetch-target.bin"
    source(origin, size)
    repo = ModelRepo({"big.bin": origin}, {"big.bin"})
    digest = repo.files["big.bin"].sha256
    curl = ["curl", "--silent", "--fail", "--location", "--noproxy", "*", "--output", str(target)]
    # A process of its own: a thread of this one would compete with the measuring for the interpreter.
    serve = [sys.executable, str(ROOT / "tests/standins/serve.py"), "--port", "0", "--file", f"big.bin={origin}"]
    state = folder / "fetch-standin.json"
    server = subprocess.Popen([*serve, "--state", str(state)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        hub = server.stdout.readline().strip()
        url = f"{hub}/demo/files/resolve/{repo.revision}/big.bin"
        ours: list[dict[str, float]] = []
        plain: list[float] = []
        checked: list[float] = []
        program = [sys.executable, "-c", FETCH, str(ROOT / "module_utils"), url, str(target), digest, str(size)]
        for number in range(rounds + 1):
            target.unlink(missing_ok=True)
            result = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
            target.unlink()
            bare = timed([*curl, url])
            target.unlink()
            both = timed([*curl, url], ["sha256sum", str(target)])
            if number:  # the first round warms the page cache
                ours.append(result)
                plain.append(bare)
                checked.append(both)
    finally:
        server.terminate()
        server.wait(10)
        for path in (origin, target, state):
            path.unlink(missing_ok=True)
    fetch = statistics.median(item["seconds"] for item in ours)
    bare, both = statistics.median(plain), statistics.median(checked)
    memory = max(item["megabytes"] for item in ours)
    print(
        f"{size / 1e6:.0f} MB, medians of {rounds} rounds, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )
    print(f"  our fetch, verified and on disk  {fetch:6.2f} s  {size / 1e6 / fetch:6.0f} MB/s  peak {memory:.0f} MB")
    print(f"  curl, unverified                 {bare:6.2f} s  {size / 1e6 / bare:6.0f} MB/s")
    print(f"  curl, then sha256sum             {both:6.2f} s  {size / 1e6 / both:6.0f} MB/s")
    print(f"  time against curl unverified {fetch / bare:.2f} (aim at most {AIM}), verified {fetch / both:.2f}")
    print(f"  memory {memory:.0f} MB (aim at most {MEMORY} MB)")
    return 0


if __name__ == "__main__":
    if shutil.which("curl") is None:
        sys.exit("curl is needed for the comparison: apt-get install curl")
    sys.exit(main())
