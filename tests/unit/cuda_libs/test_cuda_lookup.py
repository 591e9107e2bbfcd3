"""Judging what loads: the answers are invented in the worker's format, versions as seen on Debian 12 and 13."""

import json

import pytest
from ansible.module_utils.chatglm.cuda_libs import cuda_lookup


def answer(name, version="12.4", **changes):
    base = {"name": name, "path": f"lib{name}.so.1", "file": f"/x/lib{name}.so.1", "version": version}
    return {**base, "version_error": "", "error": "", **changes}


def lines(*answers):
    return "".join(
        json.dumps({"name": one["name"], "path": one["path"], "started": True}) + "\n" + json.dumps(one) + "\n"
        for one in answers
    )


ALL = [answer(name) for name in cuda_lookup.REPORTED]


def test_all_load():
    answers = cuda_lookup.parse_answers("noise of a library\n[1]\n" + lines(*ALL), 0)
    assert answers == ALL
    assert cuda_lookup.missing(answers) == []
    assert cuda_lookup.describe(answers)[0] == "cudart    /x/libcudart.so.1 12.4"


def test_crash_names_the_library():
    out = lines(ALL[0]) + json.dumps({"name": "cublasLt", "path": "/x", "started": True}) + "\n"
    answers = cuda_lookup.parse_answers(out, -11)
    assert [one["error"] for one in answers] == [
        "",
        "loading it crashed with signal 11",
        "not tried, as loading cublasLt crashed with signal 11",
        "not tried, as loading cublasLt crashed with signal 11",
    ]
    assert answers[1]["path"] == "/x"
    assert cuda_lookup.missing(answers) == ["cublasLt"]
    assert "does not load: loading it crashed" in cuda_lookup.describe(answers)[1]


def test_no_answer_at_all():
    assert cuda_lookup.missing(cuda_lookup.parse_answers("", -1, "took longer than 60 s")) == ["cudart", "cublasLt"]


@pytest.mark.parametrize(
    ("runtime", "driver", "changes", "refused"),
    [
        ("11.8", "12.0", {}, False),
        ("12.4", "12.0", {}, False),
        ("13.0", "12.0", {}, True),
        ("12.4", "11.7", {}, True),
        ("12.4", "", {}, False),
        ("", "12.0", {}, False),
        ("13.0", "12.0", {"error": "no driver"}, False),
    ],
)
def test_runtime_and_driver(runtime, driver, changes, refused):
    answers = [answer("cudart", runtime), answer("cublasLt"), answer("cuda", driver, **changes), answer("nvrtc")]
    failure = cuda_lookup.refusal(answers, PACKAGES, [])
    assert bool(failure) is refused
    if failure:
        assert f"of CUDA {runtime}, with a driver that supports CUDA {driver}" in failure.found


PACKAGES = ["libcudart11.0", "libcublaslt11"]


@pytest.mark.parametrize(
    ("changes", "packages", "absent", "remedy"),
    [
        ({"path": "", "error": "not there"}, PACKAGES, PACKAGES, None),
        (
            {"path": "", "error": "not there"},
            PACKAGES,
            [],
            "apt-get install --reinstall libcudart11.0 libcublaslt11 && ",
        ),
        ({"path": "", "error": "not there"}, [], [], "install the CUDA runtime, then name its packages"),
        (
            {"path": "/usr/local/cuda/lib64/libcudart.so", "error": "file too short"},
            PACKAGES,
            PACKAGES,
            "sudo mv /usr/local/cuda/lib64/libcudart.so /usr/local/cuda/lib64/libcudart.so.broken",
        ),
    ],
)
def test_what_packages_cannot_mend(changes, packages, absent, remedy):
    answers = [answer("cudart", **changes), *ALL[1:]]
    failure = cuda_lookup.refusal(answers, packages, absent)
    assert bool(failure) is bool(remedy)
    if failure:
        assert remedy in failure.remedy
        assert f"cudart cannot be loaded: {changes['error']}" in failure.found


LOST = {"path": "", "error": "not there"}
FRONT = {"path": "/usr/local/cuda/lib64/libcudart.so", "error": "file too short"}


@pytest.mark.parametrize(
    ("changes", "given", "expected"),
    [
        ({}, {}, "system"),
        ({}, {"origin": "virtualenv"}, "virtualenv"),
        ({}, {"origin": "virtualenv", "linkable": False}, ""),
        ({}, {"standing": True}, "virtualenv"),
        ({}, {"standing": True, "linkable": False}, "system"),
        ({}, {"standing": True, "origin": "apt"}, "system"),
        (LOST, {}, "virtualenv"),
        (LOST, {"linkable": False}, ""),
        (LOST, {"origin": "apt"}, ""),
        (LOST, {"packages": PACKAGES, "packages_missing": PACKAGES[:1]}, "apt"),
        (LOST, {"packages": PACKAGES, "packages_missing": PACKAGES, "origin": "apt"}, "apt"),
        (LOST, {"packages": PACKAGES, "packages_missing": PACKAGES, "linkable": False}, "apt"),
        (LOST, {"packages": PACKAGES, "packages_missing": PACKAGES, "standing": True}, "virtualenv"),
        (LOST, {"packages": PACKAGES}, "virtualenv"),
        (FRONT, {"packages": PACKAGES, "packages_missing": PACKAGES}, "virtualenv"),
        (FRONT, {"packages": PACKAGES, "packages_missing": PACKAGES, "origin": "apt"}, ""),
        ({"version": "13.0"}, {}, "virtualenv"),
        ({"version": "13.0"}, {"linkable": False}, ""),
    ],
)
def test_where_the_libraries_come_from(changes, given, expected):
    """A toolkit in front that does not load or does not fit is passed by; what is in use stays in use."""
    answers = [answer("cudart", **changes), *ALL[1:]]
    base = {"origin": "auto", "standing": False, "linkable": True, "packages": [], "packages_missing": []}
    options = {**base, **given}
    assert cuda_lookup.decide(answers, **options) == expected
    if not expected and options["origin"] != "virtualenv":
        failure = cuda_lookup.refusal(answers, options["packages"], options["packages_missing"], "E: no net")
        assert ("(E: no net)" in failure.found) is (changes is LOST)
