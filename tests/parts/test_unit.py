"""The part unit: tests/unit on the oldest and the newest supported Python that this machine has.

CHATGLM_PYTHONS=all takes those between as well.
"""

import os

import environments
import pytest
from conftest import ROOT, show

PYTHONS = environments.interpreters()
ENDS = [*PYTHONS][:1] + [*PYTHONS][-1:]


@pytest.mark.parametrize("version", environments.VERSIONS)
def test_unit(version, need):
    need({"gcc": "gcc", "git": "git", "mount": "mount", "openssl": "openssl"}, "unit")
    if version not in PYTHONS:
        pytest.skip(f"this machine has no Python {version}")
    if version not in ENDS and os.environ.get("CHATGLM_PYTHONS") != "all":
        pytest.skip(f"between {' and '.join(ENDS)}; CHATGLM_PYTHONS=all takes it too")
    python = environments.ensure(PYTHONS[version])
    env = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    spread = ["-n", "auto", "--dist", "worksteal"]  # over the cores
    show(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *spread, ROOT / "tests" / "unit", env=env)
