"""Links to the virtualenv's CUDA libraries: with small libraries compiled in place of CUDA's, loaded for real."""

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import cuda_links
import pytest
from test_cuda_libs_probe import SOURCES

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="compiles stand-ins for CUDA's libraries: no gcc here"
)
PACKAGES = {"cudart": "cuda_runtime", "cublasLt": "cublas", "nvrtc": "cuda_nvrtc"}


@pytest.fixture
def home(tmp_path):
    """Return a folder with a virtualenv that holds the libraries as torch's wheels do."""
    for name, package in PACKAGES.items():
        library(tmp_path, name, package)
    return tmp_path


def library(home, name, package, version="12", python="3.12"):
    folder = home / "venv" / "lib" / f"python{python}" / "site-packages" / "nvidia" / package / "lib"
    folder.mkdir(parents=True, exist_ok=True)
    (home / f"{name}.c").write_text(SOURCES[name])
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", folder / f"lib{name}.so.{version}", home / f"{name}.c"], check=True
    )


@pytest.fixture
def run(run_module, home):
    options = {"folder": str(home / "cuda"), "virtualenv": str(home / "venv"), "cuda": "12.6"}
    return partial(run_module, cuda_links, **options)


def both(run, **given):
    """Return the real run's result, after check mode said the same and a second run had nothing to do."""
    said = run(check=True, **given)
    done = run(**given)
    assert {name: said.get(name) for name in ("changed", "diff", "links")} == {
        name: done.get(name) for name in ("changed", "diff", "links")
    }
    assert run(**given)["changed"] is False
    return done


def test_linked_loaded_and_removed(run, home):
    made = both(run)
    assert made["changed"]
    site = "../../venv/lib/python3.12/site-packages/nvidia"
    assert {path.name: os.readlink(path) for path in (home / "cuda" / "lib64").iterdir()} == {
        f"lib{name}.so": f"{site}/{package}/lib/lib{name}.so.12" for name, package in PACKAGES.items()
    }
    assert made["report"][0] == f"cudart    {home}/venv/{site[11:]}/cuda_runtime/lib/libcudart.so.12 11.8"
    gone = both(run, state="absent")
    assert gone["diff"]["prepared"].splitlines() == [f"- lib64/lib{name}.so" for name in sorted(PACKAGES)]
    assert not (home / "cuda").exists()


def dangling(home):
    (home / "cuda/lib64/libcudart.so").unlink()
    (home / "cuda/lib64/libcudart.so").symlink_to("../../venv/lib/python3.9/gone.so")


def python_changed(home):
    (home / "venv/lib/python3.12").rename(home / "venv/lib/python3.11")


def deleted(home):
    shutil.rmtree(home / "cuda/lib64")


def interrupted(home):
    (home / "cuda/lib64/.libcudart.so.abcd1234").symlink_to("../../venv/lib/python3.12/x.so")


def nvrtc_gone(home):
    shutil.rmtree(home / "venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc")


@pytest.mark.parametrize("break_it", [dangling, python_changed, deleted, interrupted, nvrtc_gone])
def test_mended(run, home, break_it):
    run()
    break_it(home)
    assert both(run)["changed"]
    inside = home / "cuda" / "lib64"
    assert all(path.exists() for path in inside.iterdir())
    assert {path.name for path in inside.iterdir()} >= {"libcudart.so", "libcublasLt.so"}


def test_the_user_s_files_stay(run, home):
    mine = home / "cuda" / "lib64" / "libmine.so"
    mine.parent.mkdir(parents=True)
    mine.symlink_to("/usr/lib/libmine.so")
    both(run)
    both(run, state="absent")
    assert mine.is_symlink()
    (home / "cuda" / "lib64" / "libcudart.so").write_text("mine")
    refused = run()
    assert f"{home}/cuda/lib64/libcudart.so, which is not of this project" in refused["msg"]
    assert f"mv {home}/cuda/lib64/libcudart.so {home}/cuda/lib64/libcudart.so.mine" in refused["msg"]
    assert (home / "cuda" / "lib64" / "libcudart.so").read_text() == "mine"


def test_a_file_in_the_folder_s_place(run, home):
    (home / "cuda").write_text("mine")
    assert f"{home}/cuda, which is not of this project" in run()["msg"]


def test_a_later_major_version_is_not_linked(run, home):
    library(home, "cudart", "cu13", "13")
    assert run()["links"]["libcudart.so"].endswith("/cuda_runtime/lib/libcudart.so.12")


def test_before_the_virtualenv_is_there(run, home):
    shutil.rmtree(home / "venv")
    said = run(check=True, expected=True)
    assert said["diff"]["prepared"].splitlines() == [f"+ lib64/lib{name}.so" for name in sorted(PACKAGES)]
    for mode in (True, False):
        refused = run(check=mode)
        assert "no cudart, cublasLt among the packages of" in refused["msg"]


def test_what_does_not_load_is_told(run, home):
    path = Path(home, "venv/lib/python3.12/site-packages/nvidia/cublas/lib/libcublasLt.so.12")
    path.write_bytes(b"\x7fELF")
    refused = run()
    assert "in the virtualenv: cublasLt cannot be loaded:" in refused["msg"]
    assert "-e virtualenv_verify=full" in refused["msg"]
