"""requirements/stage_zero.py: which package index is asked where nobody has set one."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[3] / "requirements" / "stage_zero.py"


@pytest.fixture
def stage_zero(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location("requirements_stage_zero", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def without_pip(tmp_path, stage_zero, monkeypatch):
    """A Python without pip, whose distribution has a folder for pip's wheel."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    monkeypatch.setattr(stage_zero.sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setattr(stage_zero, "PIP_WHEELS", (tmp_path / "none", folder))
    return folder


def add_pip(folder, version, address):
    with zipfile.ZipFile(folder / f"pip-{version}-py3-none-any.whl", "w") as wheel:
        for name in ("pip", "pip/_internal", "pip/_internal/models"):
            wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr("pip/_internal/models/index.py", f"class PyPI:\n    simple_url = {address!r}\n")


def test_pip_says_which_index_it_asks(stage_zero, without_pip):
    add_pip(without_pip, "25.1", "http://127.0.0.1:9/simple")
    assert stage_zero.index_of_pip() == "http://127.0.0.1:9/simple"


def test_a_wheel_that_is_none_is_passed_over(stage_zero, without_pip):
    (without_pip / "pip-26.0-py3-none-any.whl").write_bytes(b"not a wheel")
    add_pip(without_pip, "25.1", "http://127.0.0.1:9/simple")
    assert stage_zero.index_of_pip() == "http://127.0.0.1:9/simple"


def test_without_pip_no_index_is_known(stage_zero, without_pip, tmp_path, capfd, monkeypatch):
    assert stage_zero.index_of_pip() == ""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "no_index"):
        monkeypatch.delenv(name, raising=False)
    assert stage_zero.main(["uv", "en", str(tmp_path / "uv")]) == stage_zero.NO_INDEX_KNOWN
    assert "no index and no folder to ask" in capfd.readouterr().err
    assert not (tmp_path / "uv").exists()


def test_to_be_told_to_ask_none_is_another_thing(stage_zero, without_pip, tmp_path, capfd, monkeypatch):
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_index", "--no-index")
    assert stage_zero.main(["uv", "en", str(tmp_path / "uv")]) == 1
    assert "no index and no folder to ask" in capfd.readouterr().err
