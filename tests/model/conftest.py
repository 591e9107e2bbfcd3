"""The tiny model; and of NVIDIA the compiler, from the package index, and a libcuda that is none."""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "parts"), str(ROOT / "tests" / "standins")]
import environments
import tiny_model

STANDIN = ROOT / "tests" / "standins" / "cuda"
LOCKS = {"12.6": "torch-2.7.1.txt", "12.8": "torch-2.8.0.txt"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("chatglm2") / "tiny"
    tiny_model.write(path)
    return path


@pytest.fixture(scope="module")
def tokenizer(folder):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed here")
    return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=True)


def locked(lock):
    """The lines of a lock that are NVRTC and its headers, with their digests."""
    text = (ROOT / "roles" / "virtualenv" / "files" / lock).read_text(encoding="utf-8")
    found = re.findall(r"^nvidia-cuda-(?:nvrtc|runtime)-cu12==[^\\\n]*(?:\\\n[^\\\n]*)*", text, re.MULTILINE)
    assert len(found) == 2
    return "\n".join(found) + "\n"


@pytest.fixture(scope="session", params=LOCKS)
def nvidia(request):
    """A folder as site-packages, with NVRTC and headers of one of our locks; kept in the tests' cache."""
    wanted = locked(LOCKS[request.param])
    folder = ROOT / ".cache" / "nvrtc" / request.param
    if not (folder / "lock").is_file() or (folder / "lock").read_text(encoding="utf-8") != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "wanted").write_text(wanted, encoding="utf-8")
        # By the control side's uv: the virtualenv that is tested has no pip.
        uv = ROOT / ".venv" / "bin" / "uv"
        install = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", folder]
        exactly = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", folder / "wanted"]
        subprocess.run([*install, *exactly], check=True, env=environments.uv_environment())
        (folder / "wanted").rename(folder / "lock")
    return folder


@pytest.fixture(scope="session")
def libcuda(tmp_path_factory):
    """Build the stand-in for libcuda, with engine/int4.cu in it, and load it under its name; returns its folder."""
    folder = tmp_path_factory.mktemp("libcuda")
    path = folder / "libcuda.so.1"
    # The fibres change stacks by longjmp, which the fortified one takes for an error.
    options = (
        "-std=c++17 -O2 -march=native -fno-strict-aliasing -ffp-contract=off -U_FORTIFY_SOURCE -Wno-unknown-pragmas"
    )
    places = ["-I", STANDIN, "-I", ROOT / "engine", "-o", path, STANDIN / "libcuda.cpp"]
    subprocess.run(["g++", *options.split(), "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", *places], check=True)
    ctypes.CDLL(str(path))  # whoever asks for libcuda.so.1 in this process now gets this one
    return folder
