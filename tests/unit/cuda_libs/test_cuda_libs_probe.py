"""The module cuda_libs_probe and its worker, with small libraries compiled in place of CUDA's."""

import hashlib
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import cuda_libs_probe
import pytest
from ansible.module_utils.chatglm.cuda_libs import apt_sources

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
        assert (answer["origin"], answer["packages_missing"]) == ("", [])
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


def test_a_toolkit_in_front_is_passed_by_where_the_virtualenv_has_the_libraries(toolkit, run):
    toolkit(cudart="int cudaRuntimeGetVersion(int *v) { *v = 13000; return 0; }")
    answer = run(**OPTIONS, linkable=True, folder="/home/me/chatglm/cuda")
    assert (answer["origin"], answer["refusal"]) == ("virtualenv", "")
    assert (answer["cuda_path"], answer["files"]) == ("/home/me/chatglm/cuda", [])


def test_what_was_loaded_by_a_variable_is_named(toolkit, run):
    folder = toolkit()
    answer = run(**OPTIONS)
    assert answer["cuda_path"] == str(folder.parent)
    assert answer["files"] == [str(folder / "libcudart.so"), str(folder / "libcublasLt.so")]


RELEASE = cuda_libs_probe.host.distribution(
    cuda_libs_probe.host.parse_os_release(Path("/etc/os-release").read_text(encoding="utf-8"))
)["base_codename"]
PACKAGE = "Package: {0}\nVersion: {1}\nArchitecture: amd64\nFilename: pool/{0}.deb\nSize: 1\nSHA256: {2}\n\n"


@pytest.fixture
def archive(monkeypatch):
    """Return a function that makes an archive of one component, on a host where nothing loads; apt itself reads it."""
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get here: only Debian and its kin have it")
    monkeypatch.delenv("CUDA_PATH", raising=False)
    lost = [
        {"name": name, "path": "", "file": "", "version": "", "version_error": "", "error": f"lib{name} is nowhere"}
        for name in cuda_libs_probe.cuda_lookup.REPORTED
    ]
    monkeypatch.setattr(cuda_libs_probe.cuda_probe, "probe", lambda path=None: lost)

    # Root's apt reads it as another user, who may not look into pytest's own folder.
    root = Path(tempfile.mkdtemp(prefix="chatglm-archive-"))
    root.chmod(0o755)

    def make(*packages, component="non-free", enabled=False):
        folder = root / "dists" / RELEASE
        index = folder / component / "binary-amd64" / "Packages"
        index.parent.mkdir(parents=True)
        index.write_text("".join(PACKAGE.format(name, version, "0" * 64) for name, version in packages))
        digest = hashlib.sha256(index.read_bytes()).hexdigest()
        line = f" {digest} {index.stat().st_size} {index.relative_to(folder)}"
        (folder / "Release").write_text(
            f"Suite: stable\nCodename: {RELEASE}\nComponents: {component}\nArchitectures: amd64\n"
            f"Date: Sun, 01 Nov 2026 00:00:00 UTC\nSHA256:\n{line}\n"
        )
        text = f"deb [trusted=yes] file:{root} {RELEASE} main{' non-free' if enabled else ''}\n"
        monkeypatch.setattr(cuda_libs_probe, "read_sources", lambda: {"/etc/apt/sources.list": text})
        return root

    yield make
    shutil.rmtree(root, ignore_errors=True)


E, T, N = (
    [(f"libcudart{one}", "1"), (f"libcublaslt{two}", "1")] for one, two in (("11.0", 11), ("12", 12), ("13", 13))
)


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        (E + T, ["libcudart11.0", "libcublaslt11"]),
        (T + N, ["libcudart12", "libcublaslt12"]),
        (N, []),
        ([("libcudart-dev", "1")], []),
    ],
)
@pytest.mark.parametrize("enabled", [False, True])
def test_apt_is_asked_for_the_packages_of_this_release(archive, run, packages, expected, enabled):
    """Before anything is enabled or updated: this machine's own lists do not know this archive."""
    archive(*packages, enabled=enabled)
    answer = run(component="non-free", cuda="12.6")
    assert (answer["packages"], answer["packages_missing"]) == (expected, expected)
    assert answer["origin"] == ("apt" if expected else "")
    assert bool(answer["refusal"]) is not bool(expected)
    source = answer["sources_file"]
    assert source["path"] == apt_sources.TARGET
    assert source["content"].endswith("Components: non-free\nTrusted: yes\n") is bool(expected and not enabled)
    linked = run(component="non-free", cuda="12.6", linkable=True, folder="/home/me/chatglm/cuda")
    assert (linked["origin"], linked["refusal"]) == ("apt" if expected else "virtualenv", "")


def test_apt_cannot_be_asked(archive, run):
    shutil.rmtree(archive(*E))
    answer = run(component="non-free", cuda="12.6")
    assert "Failed to fetch file:" in answer["asked"]
    assert "apt has no packages of it that fit (Failed to fetch file:" in answer["refusal"]
