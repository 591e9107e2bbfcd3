"""The part repair: every fault of molecule/repair/faults.yml, planted on installed hosts and mended by one run."""

import lab
from conftest import show


def test_repair(need):
    show("molecule", "test", "--scenario-name=repair", env=lab.environment(need, "repair"))
