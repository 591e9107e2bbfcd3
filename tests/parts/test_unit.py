"""The part unit: tests/unit on every supported Python that this machine has."""

import os

import environments
import pytest
from conftest import ROOT, show

PYTHONS = environments.interpreters()


@pytest.mark.parametrize("version", environments.VERSIONS)
def test_unit(version, need):
    need({"gcc": "gcc", "git": "git", "mount": "mount", "openssl": "openssl"}, "unit")
    if version not in PYTHONS:
        pytest.skip(f"this machine has no Python {version}")
    python = environments.ensure(PYTHONS[version])
    env = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    spread = ["-n", "auto", "--dist", "worksteal"]  # over the cores
    show(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *spread, ROOT / "tests" / "unit", env=env)
