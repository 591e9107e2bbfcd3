"""The part unit: tests/unit on the oldest and the newest supported Python.

The newest runs in a container where this machine has it not (test_unit_hosts.py) and containers can be had; else the
newest of this machine does. CHATGLM_PYTHONS=all takes those between as well.
"""

import os

import environments
import pytest
from conftest import ROOT, show

PYTHONS = environments.interpreters()
IN_CONTAINER = environments.VERSIONS[-1] not in PYTHONS and os.geteuid() == 0
ENDS = [*PYTHONS][:1] + ([] if IN_CONTAINER else [*PYTHONS][-1:])


@pytest.mark.parametrize("version", environments.VERSIONS)
def test_unit(version, need):
    need({"gcc": "gcc", "git": "git", "mount": "mount", "openssl": "openssl"}, "unit")
    if version not in PYTHONS:
        pytest.skip(f"this machine has no Python {version}")
    if version not in ENDS and os.environ.get("CHATGLM_PYTHONS") != "all":
        pytest.skip("neither the oldest nor the newest; CHATGLM_PYTHONS=all takes it too")
    python = environments.ensure(PYTHONS[version])
    env = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    spread = ["-n", "auto", "--dist", "worksteal"]  # over the cores
    show(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *spread, ROOT / "tests" / "unit", env=env)
