"""The part interruption: whole runs of site.yml killed, two at once, on a full disk, without a network."""

import sys

from conftest import ROOT, show


def test_interruption(need):
    need({"git": "git", "mount": "mount", "chattr": "e2fsprogs"}, "interruption")
    tables = ROOT / ".cache" / "artifacts"
    for table in tables.glob("interruption-*.txt"):
        table.unlink()
    spread = ["-n", "2", "--dist", "worksteal"]
    try:
        show(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *spread, ROOT / "tests" / "interruption")
    finally:
        for table in sorted(tables.glob("interruption-*.txt")):
            print(table.read_text(), flush=True)
