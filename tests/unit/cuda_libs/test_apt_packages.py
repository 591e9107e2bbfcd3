"""Packages that came with ours, read from dpkg's status file (the stanzas are cut down from Debian 12's)."""

import pytest
from ansible.module_utils.chatglm.cuda_libs import apt_packages
from ansible.module_utils.chatglm.cuda_libs.apt_packages import Note

BASE = """\
Package: libc6
Status: install ok installed
Depends: libgcc-s1
Version: 2.36-9

Package: libgcc-s1
Status: install ok installed
Depends: gcc-12-base (= 12.2.0-14), libc6 (>= 2.35)

Package: gcc-12-base
Status: install ok installed

Package: old
Status: deinstall ok config-files
Depends: libcudart11.0
"""
CUDA = """
Package: libcudart11.0
Status: install ok installed
Depends: libc6 (>= 2.14), libhelper (>= 1) | libother, libcudart-data
Description: runtime
 Depends: nothing
 .
 text

Package: libcublaslt11
Status: install ok installed
Pre-Depends: libcudart11.0:any (>= 11)

Package: libhelper
Status: install ok installed
Provides: libcudart-data (= 1)
"""
PYTHON_APT = """
Package: python3-apt
Status: install ok installed
Depends: libc6
"""
TOOLKIT = """
Package: toolkit
Status: install ok installed
Depends: libcudart11.0, libc6
"""
ASKED = ["libcudart11.0", "libcublaslt11"]


def parsed(*texts):
    return apt_packages.parse("\n".join(texts))


def test_the_status_file_is_read():
    found = parsed(BASE, CUDA)
    assert set(found) == {"libc6", "libgcc-s1", "gcc-12-base", "libcudart11.0", "libcublaslt11", "libhelper"}
    assert found["libcudart11.0"].needs == (("libc6",), ("libhelper", "libother"), ("libcudart-data",))
    assert found["libcublaslt11"].needs == (("libcudart11.0",),)
    assert found["libhelper"].provides == ("libcudart-data",)


def test_what_was_absent_goes_and_what_was_there_stays():
    noted = apt_packages.note(parsed(BASE), ASKED, "text", None)
    assert Note.from_json(noted.as_json()) == noted
    assert apt_packages.removable(parsed(BASE, CUDA, PYTHON_APT), noted) == (
        ["libcublaslt11", "libcudart11.0", "libhelper", "python3-apt"], {},
    )  # fmt: skip
    # python3-apt was there; and nothing was installed after all.
    noted = apt_packages.note(parsed(BASE, PYTHON_APT), ASKED, "text", None)
    assert apt_packages.removable(parsed(BASE, PYTHON_APT), noted) == ([], {})
    assert apt_packages.removable(parsed(BASE, PYTHON_APT, CUDA), noted)[0] == sorted([*ASKED, "libhelper"])


def test_what_another_package_needs_by_now_stays_with_what_it_needs_itself():
    noted = apt_packages.note(parsed(BASE), ASKED, "", None)
    gone, kept = apt_packages.removable(parsed(BASE, CUDA, TOOLKIT), noted)
    assert gone == ["libcublaslt11"]
    assert kept == {"libcudart11.0": "toolkit", "libhelper": "libcudart11.0"}


def test_a_second_installation_keeps_to_what_was_there_before_the_first():
    first = apt_packages.note(parsed(BASE), ASKED, "text", None)
    # The user has removed one of ours, and installed a package of their own.
    now = parsed(BASE, CUDA.partition("Package: libcublaslt11")[0], TOOLKIT)
    second = apt_packages.note(now, ["libcublaslt11"], "", first)
    assert (set(second.before) - set(first.before), second.sources) == ({"toolkit"}, "text")
    assert set(second.asked) == {*ASKED, "python3-apt"}


@pytest.mark.parametrize(
    "value",
    [
        None, [], {}, {"asked": [], "before": []}, {"asked": "x", "before": [], "sources": ""},
        {"asked": [], "before": [], "sources": ""}, {"asked": [1], "before": ["x"], "sources": ""},
    ],
)  # fmt: skip
def test_a_lost_or_spoiled_note_proves_nothing(value):
    assert Note.from_json(value) is None


def test_a_cycle_of_needs_ends():
    texts = [
        "Package: a\nStatus: install ok installed\nDepends: b\n",
        "Package: b\nStatus: install ok installed\nDepends: a\n",
    ]
    noted = Note(("a",), ("libc6",))
    assert apt_packages.removable(parsed(BASE, *texts), noted) == (["a", "b"], {})
