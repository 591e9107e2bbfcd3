"""The module cuda_libs_probe and its worker, with small libraries compiled in place of CUDA's."""

import shutil
import subprocess
from functools import partial
from pathlib import Path

import cuda_libs_probe
import pytest
from ansible.module_utils.chatglm import apt_sources

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="compiles stand-ins for CUDA's libraries: no gcc here"
)
SOURCES = {
    "cudart": "int cudaRuntimeGetVersion(int *v) { *v = 11080; return 0; }",
    "cublasLt": "unsigned long cublasLtGetVersion(void) { return 111103; }",
    "cuda": "int cuDriverGetVersion(int *v) { *v = 12000; return 0; }",
    "nvrtc": "int nvrtcVersion(int *a, int *b) { *a = 11; *b = 8; return 0; }",
}


@pytest.fixture
def toolkit(tmp_path, monkeypatch):
    """Return a function that compiles libraries into $CUDA_PATH/lib64, where cpm_kernels looks first."""
    folder = tmp_path / "lib64"
    folder.mkdir()
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))

    def build(**changes):
        for name, source in {**SOURCES, **changes}.items():
            if source is None:
                (folder / f"lib{name}.so").write_bytes(b"\x7fELF")
                continue
            code = tmp_path / f"{name}.c"
            code.write_text(source)
            subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / f"lib{name}.so", code], check=True)
        return folder

    return build


@pytest.fixture
def run(run_module):
    return partial(run_module, cuda_libs_probe)


OPTIONS = {"packages": ["libcudart-of-nowhere", "libcublaslt-of-nowhere"], "component": "non-free"}


def test_all_load(toolkit, run):
    folder = toolkit()
    answer = run(**OPTIONS)
    assert answer["missing"] == []
    assert answer["packages_missing"] == []
    assert answer["refusal"] == ""
    assert [one["version"] for one in answer["libraries"]] == ["11.8", "11.11.3", "12.0", "11.8"]
    assert answer["libraries"][0]["path"] == str(folder / "libcudart.so")
    assert answer["libraries"][0]["file"] == str(folder / "libcudart.so")


@pytest.mark.parametrize(
    ("changes", "missing", "error"),
    [
        ({"cublasLt": None}, ["cublasLt"], "file too short"),
        ({"cublasLt": "__attribute__((constructor)) void f(void) { __builtin_trap(); }"}, ["cublasLt"], "crashed"),
        ({"cudart": "int not_defined(void); int f(void) { return not_defined(); }"}, ["cudart"], "undefined symbol"),
        ({"cudart": "int f(void) { return 1; }"}, [], ""),
    ],
)
def test_broken(toolkit, run, changes, missing, error):
    """The first file found has to load: cpm_kernels has no second try, so neither has the probe."""
    folder = toolkit(**changes)
    answer = run(**OPTIONS)
    assert answer["missing"] == missing
    told = {one["name"]: one for one in answer["libraries"]}
    for name in missing:
        assert error in told[name]["error"]
        assert answer["packages_missing"] == OPTIONS["packages"]
        assert f"sudo mv {folder}/lib{name}.so" in answer["refusal"]
    if not missing:
        assert told["cudart"]["version_error"]


def test_runtime_newer_than_driver(toolkit, run):
    toolkit(cudart="int cudaRuntimeGetVersion(int *v) { *v = 13000; return 0; }")
    assert "of CUDA 13.0, with a driver that supports CUDA 12.0" in run(**OPTIONS)["refusal"]


def test_version_call_that_finds_no_driver(toolkit, run):
    toolkit(cudart="int cudaRuntimeGetVersion(int *v) { return 35; }")
    answer = run(**OPTIONS)
    assert answer["missing"] == []
    assert answer["report"][0].endswith("(the version call answered 35 (no driver, or one too old))")


def test_source_to_add(toolkit, run, monkeypatch):
    """Only when something is missing is APT looked at; the text is that of apt_sources."""
    (toolkit() / "libcudart.so").write_bytes(b"")
    release = cuda_libs_probe.host.distribution(
        cuda_libs_probe.host.parse_os_release(Path("/etc/os-release").read_text(encoding="utf-8"))
    )
    line = f"deb http://mirror.example/debian {release['base_codename']} main\n"
    monkeypatch.setattr(cuda_libs_probe, "read_sources", lambda: {"/etc/apt/sources.list": line})
    answer = run(**OPTIONS)
    assert answer["component_enabled"] is False
    assert answer["sources_file"]["path"] == apt_sources.TARGET
    assert "URIs: http://mirror.example/debian\n" in answer["sources_file"]["content"]
    assert answer["sources_file"]["content"].endswith("Components: non-free\n")
