"""The part repair: every fault of molecule/repair/faults.yml, planted on installed hosts and mended by one run."""

from conftest import show

import lab


def test_repair(need):
    show("molecule", "test", "--scenario-name=repair", env=lab.environment(need, "repair"))
