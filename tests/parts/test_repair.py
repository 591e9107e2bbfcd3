"""The part repair: faults of molecule/repair/faults.yml, planted on installed hosts and mended by one run.

CHATGLM_REPAIR=all takes every one of them, CHATGLM_REPAIR="ID ID" these; without it, those that stand for their class.
"""

from conftest import show

import lab


def test_repair(need):
    show("molecule", "test", "--scenario-name=repair", env=lab.environment(need, "repair"))
