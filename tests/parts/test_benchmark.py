"""The part benchmark: each script in benchmarks/; they print ratios, and fail only when they cannot measure."""

import sys

import pytest
from conftest import ROOT, show


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "benchmarks").glob("bench_*.py")))
def test_benchmark(script):
    show(sys.executable, ROOT / "benchmarks" / script)
