#!/usr/bin/env python3
"""How much more than an empty play does a second run of the whole site cost on a host where nothing is to do?

    ./bootstrap benchmarks/bench_second_run.py [ROUNDS]

Installs inventory/demo into .cache/bench/ first (minutes). Then measures, interleaved so that other load falls on
all alike: site.yml, and an empty play on the same host without and with fact gathering. Prints medians and ratios.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
EMPTY = "- hosts: chatglm\n  gather_facts: {facts}\n  tasks: []\n"
AIM = 3.0


def play(name: Path, *options: str) -> tuple[float, str]:
    """Run a playbook against inventory/demo; return seconds and output. Raises CalledProcessError when it fails."""
    command = ["ansible-playbook", str(name), "-i", "inventory/demo", f"-echatglm_home={CACHE}/home", *options]
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
    done.check_returncode()
    return seconds, done.stdout


def main() -> int:
    """Measure and print; the exit status is 0 whatever the ratio is."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    CACHE.mkdir(parents=True, exist_ok=True)
    plays = {"second run of site.yml": ROOT / "site.yml"}
    for facts in ("false", "true"):
        path = CACHE / f"empty-{facts}.yml"
        path.write_text(EMPTY.format(facts=facts))
        plays[f"empty play, gather_facts: {facts}"] = path
    for _ in range(2):  # the first installs, the second brings all caches into the state of a later run
        _, output = play(ROOT / "site.yml")
    changed = re.findall(r"changed=(\d+)", output)
    if set(changed) != {"0"}:
        print(f"The second run changed something ({changed}): this measures work, not its absence.", file=sys.stderr)
    seconds: dict[str, list[float]] = {name: [] for name in plays}
    for _ in range(rounds):
        for name, path in plays.items():
            seconds[name].append(play(path)[0])
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        print(f"{name:36} median {medians[name]:6.2f} s   ({min(values):.2f} to {max(values):.2f}, {rounds} rounds)")
    run, bare, gathered = medians.values()
    print(
        f"ratio to the empty play: {run / bare:.2f} (aim: at most {AIM}); to the one with facts: {run / gathered:.2f}"
    )
    print(json.dumps({"ratio": run / bare, "ratio_with_facts": run / gathered, "load": os.getloadavg()[0]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
