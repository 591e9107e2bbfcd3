"""Lock files: what is accepted, what applies where, and what the repository's own locks hold."""

import re
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.virtualenv.requirements import (
    Pin,
    applicable,
    environment_of,
    marker_holds,
    normalise,
    parse_lock,
    same_version,
)

ROLE = Path(__file__).resolve().parents[3] / "roles" / "virtualenv"
FILES = ROLE / "files"
A, B = "a" * 64, "b" * 64


def test_a_lock_is_read_with_continuations_comments_markers_and_extras():
    text = f"""# header
Alpha_X[extra]==1.0 ; python_version < '3.11' \\
    --hash=sha256:{B} \\
    --hash=sha256:{A}
    # via beta
beta==2.0+cpu --hash=sha256:{A}  # why
"""
    assert parse_lock(text) == [
        Pin("alpha-x", "1.0", (A, B), "python_version < '3.11'"),
        Pin("beta", "2.0+cpu", (A,)),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "alpha>=1 --hash=sha256:" + A,
        "alpha==1.0",
        "alpha==1.0 --hash=md5:" + "a" * 32,
        "alpha==1.0 --hash=sha256:" + "a" * 63,
        "--index-url https://index.example.org/simple",
        "alpha @ https://index.example.org/alpha.whl --hash=sha256:" + A,
        "-e .",
        "alpha==1.0 --pre --hash=sha256:" + A,
    ],
)
def test_a_line_that_pins_nothing_is_refused(line):
    with pytest.raises(Failure, match=r"in a lock file.*relock"):
        parse_lock(line)


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("", True),
        ("python_version >= '3.11'", True),
        ("python_version >= '3.9'", True),
        ("python_version < '3.11'", False),
        ("python_full_version == '3.11.*'", True),
        ("python_full_version != '3.11.*'", False),
        ("python_full_version >= '3.11.8'", False),
        ("'3.12' > python_version", True),
        ("sys_platform == 'linux' and platform_machine == 'x86_64'", True),
        ("sys_platform == 'win32' or platform_machine in 'x86_64 amd64'", True),
        ("platform_machine not in 'x86_64 amd64'", False),
        ("(sys_platform == 'win32' or python_version <= '3.11') and os_name == 'posix'", True),
    ],
)
def test_markers(marker, holds):
    assert marker_holds(marker, environment_of("3.11.7", "x86_64")) is holds


@pytest.mark.parametrize("marker", ["extra == 'x'", "1 <", "f()", "a < b < c", "python_version < 3"])
def test_what_is_no_marker_is_refused(marker):
    with pytest.raises(Failure, match="relock"):
        marker_holds(marker, environment_of("3.11.7", "x86_64"))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1.0", "1.0.0", True),
        ("2024.01.02", "2024.1.2", True),
        ("1.0RC1", "1.0-rc1", True),
        ("2.13.0+cpu", "2.13.0", False),
        ("1.10", "1.1", False),
        ("odd", "odd", True),
        ("odd", "other", False),
    ],
)
def test_versions(left, right, same):
    assert same_version(left, right) is same


def test_names_are_compared_normalised():
    assert normalise("Foo__Bar.baz") == "foo-bar-baz"


def test_locks_that_disagree_are_refused_and_digests_are_joined():
    environment = environment_of("3.11.7", "x86_64")
    one, other = f"x==1 --hash=sha256:{A}", f"x==1 --hash=sha256:{B}"
    assert applicable([one, other], environment)["x"].hashes == (A, B)
    with pytest.raises(Failure, match="x 1 and 2 in the lock files"):
        applicable([one, f"x==2 --hash=sha256:{A}"], environment)


@pytest.mark.parametrize("python", ["3.10.12", "3.11.2", "3.12.3"])
@pytest.mark.parametrize("torch", ["cpu", "2.7.1", "2.8.0"])
@pytest.mark.parametrize("app", ["", "streamlit"])
def test_our_locks_fit_together_on_every_python(python, torch, app):
    names = ["base", f"torch-{torch}", *([f"app-{app}"] if app else [])]
    texts = [(FILES / f"{name}.txt").read_text() for name in names]
    pins = applicable(texts, environment_of(python, "x86_64"))
    assert pins["torch"].version == {"cpu": "2.13.0+cpu"}.get(torch, torch)
    wanted = re.findall(r"(?m)^([\w-]+)==([\w.]+)$", (FILES / "base.in").read_text())
    assert [(name, pins[normalise(name)].version) for name, _ in wanted] == wanted
    assert pins["huggingface-hub"].version.startswith("0.")
    assert int(pins["setuptools"].version.split(".")[0]) < 81
    assert pins["numpy"].version.startswith("1.")
    assert ("triton" in pins) is (torch != "cpu")
    assert pins["streamlit"].version == "1.56.0" if app else "streamlit" not in pins
    assert not any(name.startswith("nvidia-") for name in pins) or torch != "cpu"


@pytest.mark.parametrize("path", sorted(FILES.glob("*.txt")), ids=lambda path: path.name)
def test_our_locks_name_no_place(path):
    assert not re.search(r"https?:|file:|^-", path.read_text(), re.MULTILINE)


def test_both_calls_of_the_module_ask_for_the_same():
    def call(name):
        tasks = yaml.safe_load((ROLE / "tasks" / name).read_text())
        return next(task["python_env"] for task in tasks if "python_env" in task)

    acting = call("build.yml")
    for name in ("uv", "lock", "lock_timeout"):  # for the work alone
        assert acting.pop(name)
    assert acting == call("environment.yml")


def test_the_server_is_tested_with_the_packages_of_the_demo():
    def versions(lock):
        pins = parse_lock(lock.read_text())
        return {(pin.name, pin.version) for pin in pins if pin.name in ("fastapi", "starlette", "pydantic")}

    demo = versions(FILES / "base.txt")
    assert {name for name, _ in demo} == {"fastapi", "starlette", "pydantic"}
    assert versions(ROLE.parents[1] / "requirements" / "test.txt") == demo
