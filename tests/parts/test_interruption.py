"""The part interruption: whole runs of site.yml killed, two at once, on a full disk, without a network."""

import sys

from conftest import ROOT, show


def test_interruption(need):
    need({"git": "git", "mount": "mount", "chattr": "e2fsprogs"}, "interruption")
    show(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", ROOT / "tests" / "interruption")
