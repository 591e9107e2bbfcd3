"""Which packages hold the CUDA runtime on this release: apt tells the names and what it would install. Pure.

A release that nobody has listed works as long as its packages are named as Debian and Ubuntu name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

PREFIXES = ("libcudart", "libcublaslt")
"""Of the packages' names: a version follows, as in libcudart11.0 and libcublaslt12."""
FIRST = 11
"""The oldest major version that will do. Where a release has it, it is taken: without a driver in sight cpm_kernels
imports with cudart 11, and fails with cudart 12."""

_NAME = re.compile(rf"({'|'.join(PREFIXES)})(\d+)(?:\.\d+)?")


def known(names: Iterable[str]) -> list[str]:
    """Return those of apt's package names that hold one of the libraries, sorted."""
    return sorted({name for name in names if _NAME.fullmatch(name)})


def parse_policy(text: str) -> dict[str, tuple[str, str]]:
    """Return (installed version, candidate) by package from ``apt-cache policy`` in the C locale; empty for none."""
    found: dict[str, tuple[str, str]] = {}
    for name, rest in re.findall(r"(?m)^(\S+):\n((?:[ \t].*\n?)*)", text):
        fields = dict(re.findall(r"(?m)^  (Installed|Candidate): (.*)$", rest))
        installed, candidate = (
            "" if fields.get(field, "(none)") == "(none)" else fields[field] for field in ("Installed", "Candidate")
        )
        found[name] = (installed, candidate)
    return found


def choose(policy: Mapping[str, tuple[str, str]], cuda: str) -> list[str]:
    """Return the packages to have, one for each library; empty where apt has none that fit.

    Args:
        policy: what :func:`parse_policy` returned.
        cuda: CUDA of the torch build, ``12.6``: a driver that runs it runs every runtime of that major version and of
            earlier ones, and is not known to run a later one's.

    """
    majors: dict[int, dict[str, str]] = {}
    for name in sorted(policy):
        match = _NAME.fullmatch(name)
        if match and any(policy[name]):
            majors.setdefault(int(match[2]), {})[match[1]] = name
    fitting = [
        major
        for major, names in majors.items()
        if FIRST <= major <= int(cuda.partition(".")[0]) and len(names) == len(PREFIXES)
    ]
    if not fitting:
        return []
    best = FIRST if FIRST in fitting else max(fitting)
    return [majors[best][prefix] for prefix in PREFIXES]
