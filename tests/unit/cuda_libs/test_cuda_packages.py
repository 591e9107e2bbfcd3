"""Which packages hold the CUDA runtime, by what apt says. The lines are captured where a host is named."""

import pytest
from ansible.module_utils.chatglm.cuda_libs import cuda_packages

BOOKWORM = """libcublaslt11:
  Installed: (none)
  Candidate: 11.11.3.6~11.8.0-5~deb12u1
  Version table:
     11.11.3.6~11.8.0-5~deb12u1 500
        500 http://deb.debian.org/debian bookworm/non-free amd64 Packages
libcudart11.0:
  Installed: 11.8.89~11.8.0-5~deb12u1
  Candidate: 11.8.89~11.8.0-5~deb12u1
  Version table:
 *** 11.8.89~11.8.0-5~deb12u1 500
        500 http://deb.debian.org/debian bookworm/non-free amd64 Packages
        100 /var/lib/dpkg/status
"""


def test_policy():
    assert cuda_packages.parse_policy(BOOKWORM) == {
        "libcublaslt11": ("", "11.11.3.6~11.8.0-5~deb12u1"),
        "libcudart11.0": ("11.8.89~11.8.0-5~deb12u1", "11.8.89~11.8.0-5~deb12u1"),
    }
    assert cuda_packages.parse_policy("N: Unable to locate package x\n") == {}


def test_names():
    listed = ["libcudart11.0", "libcudart12", "libcublaslt12", "libcudart-dev", "libcublas12", "libcudart12-dbg"]
    assert cuda_packages.known(listed) == ["libcublaslt12", "libcudart11.0", "libcudart12"]


def policy(*names, pinned=(), installed=()):
    return {name: ("1" if name in installed else "", "" if name in pinned else "1") for name in names}


E, T, N = (f"libcudart{one} libcublaslt{two}".split() for one, two in (("11.0", 11), (12, 12), (13, 13)))


@pytest.mark.parametrize(
    ("offered", "cuda", "expected"),
    [
        (policy(*E), "12.6", E),
        (policy(*T), "12.6", T),
        (policy(*E, *T), "12.6", E),
        (policy(*T, *N), "12.8", T),
        (policy(*N), "12.8", []),
        (policy(*N), "13.0", N),
        (policy(*T, *N), "13.0", N),
        (policy("libcudart10.1", "libcublaslt10"), "12.6", []),
        (policy("libcudart12", "libcublaslt13"), "12.6", []),
        (policy(*E, *T, pinned=E[:1]), "12.6", T),
        (policy(*E, pinned=E, installed=E), "12.6", E),
        (policy(*E, pinned=E), "12.6", []),
        ({}, "12.6", []),
    ],
)
def test_choice(offered, cuda, expected):
    assert cuda_packages.choose(offered, cuda) == expected
