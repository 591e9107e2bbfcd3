"""Prepare the installed hosts, treat the chosen faults on copies of them (one at a time on each), print the table."""

import datetime
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
import copies

import repair

ARTIFACTS = repair.ROOT / ".cache" / "artifacts"
ROWS = []


def instances():
    """Return molecule's hosts: name -> SSH key."""
    config = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    return {entry["instance"]: entry["identity_file"] for entry in config}


def settle(name, key):
    """Give the user of an installed host some belongings, and let the run that follows seal it."""
    copies.remove(name)
    address = copies.start(name)
    done = copies.run("podman", "exec", "--interactive", "--user", "deploy", name, "sh", "-eu", input=repair.BELONGINGS)
    assert done.returncode == 0
    with repair.Inventory(name, address, key) as host:
        for _ in range(2):
            play = host.play("site.yml")
            assert play.status == 0, play.output
        assert repair.NOTHING in play.output, play.output


@pytest.fixture(scope="session")
def treatments(request):
    """Fault id -> the future of what is seen; each host works through its share."""
    hosts = instances()
    chosen = [
        item.callspec.params["fault"] for item in request.session.items if "fault" in getattr(item, "fixturenames", ())
    ]
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(settle, hosts, hosts.values()))
    pools = {name: ThreadPoolExecutor(1) for name in hosts}
    futures = {}
    everything = [fault.id for fault in repair.faults()]
    for fault in chosen:
        # Not by what is chosen: a fault has the same host in every run.
        name = fault.host or sorted(hosts)[everything.index(fault.id) % len(hosts)]
        futures[fault.id] = pools[name].submit(repair.treat, fault, name, hosts[name])
    yield futures
    for name, pool in pools.items():
        pool.shutdown(cancel_futures=True)
        copies.remove(name)


@pytest.fixture
def treated(treatments):
    """Wait for a fault's treatment; return what was seen and what is wrong with it, which goes into the table."""

    def wait(fault):
        seen = treatments[fault.id].result()
        time = seen.proof.get("time")
        proven = datetime.datetime.fromisoformat(time).timestamp() if time else 0.0
        wrong = repair.judge(fault, seen, proven)
        ROWS.append(
            {
                "fault": fault.id,
                "like": fault.like,
                "host": seen.host,
                "planted": not seen.trouble,
                "doctor": seen.named,
                "outcome": fault.outcome,
                "bytes": sum(seen.received.values()),
                "seconds": round(seen.seconds, 1),
                "plays": {
                    name: round(play.seconds, 1)
                    for name in ("doctor", "preview", "repair", "again")
                    if (play := getattr(seen, name))
                },
                "wrong": wrong,
            }
        )
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        (ARTIFACTS / "repair.json").write_text(json.dumps(ROWS, indent=1) + "\n")
        return seen, wrong

    return wait


def table(rows):
    """Return the table as lines."""
    head = ("fault", "like", "named by the doctor", "outcome", "bytes", "seconds")
    lines = [
        (
            row["fault"],
            row["like"],
            ", ".join(row["doctor"]) or "-",
            "FAILED" if row["wrong"] else row["outcome"],
            str(row["bytes"]),
            f"{row['seconds']:.0f}",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    return [
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *lines)
    ]


def pytest_terminal_summary(terminalreporter):
    if not ROWS:
        return
    lines = table(ROWS)
    failed = sum(bool(row["wrong"]) for row in ROWS)
    mean = sum(row["seconds"] for row in ROWS) / len(ROWS)
    lines.append(f"{len(ROWS)} faults, {failed} failed, {mean:.1f} s each in the mean")
    terminalreporter.write_line("")
    for line in lines:
        terminalreporter.write_line(line)
    (ARTIFACTS / "repair.txt").write_text("\n".join(lines) + "\n")
