"""int4.cu compiled for the card at hand by NVRTC, and kept.

NVRTC (libnvrtc.so.12) and the header cuda_fp16.h are among torch's CUDA packages: nvidia-cuda-nvrtc-cu12 and
nvidia-cuda-runtime-cu12. No compiler of the host is needed. Without torch and without a GPU, by ctypes alone.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path

from . import kept
from .kept import UnavailableError

SOURCE = Path(__file__).with_name("int4.cu")
OPTIONS = ("--std=c++17",)


def packages() -> Path:
    """Return the folder ``nvidia`` of the virtualenv, which holds NVRTC and the headers.

    Raises:
        UnavailableError: no such folder.

    """
    for folder in map(Path, sys.path):
        if (folder / "nvidia" / "cuda_nvrtc" / "lib").is_dir():
            return folder / "nvidia"
    raise UnavailableError("NVRTC is not installed (package nvidia-cuda-nvrtc-cu12)")


class Compiler:
    """NVRTC, loaded from ``nvidia``, the folder of NVIDIA's packages.

    Attributes:
        version: major and minor, such as ``12.8``.
        architectures: what it makes code for, as numbers: 61 is compute capability 6.1.

    Raises:
        UnavailableError: the library or the header is missing, or does not load.

    """

    def __init__(self, nvidia: Path) -> None:
        """Load the library and ask it what it is."""
        self.headers = nvidia / "cuda_runtime" / "include"
        if not (self.headers / "cuda_fp16.h").is_file():
            raise UnavailableError(f"{self.headers} holds no cuda_fp16.h (package nvidia-cuda-runtime-cu12)")
        path = nvidia / "cuda_nvrtc" / "lib" / "libnvrtc.so.12"
        try:
            self.library = ctypes.CDLL(str(path))
        except OSError as error:
            raise UnavailableError(f"NVRTC does not load: {error}") from None
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self.call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"
        self.call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        self.call("nvrtcGetSupportedArchs", numbers)
        self.architectures: tuple[int, ...] = tuple(numbers)

    def call(self, name: str, *arguments: object) -> None:
        """Call a function of NVRTC.

        Raises:
            UnavailableError: what it says.

        """
        if status := getattr(self.library, name)(*arguments):
            text = self.library.nvrtcGetErrorString(status).decode()
            raise UnavailableError(f"NVRTC {getattr(self, 'version', '')}: {name}: {text}")

    def architecture(self, capability: tuple[int, int]) -> int:
        """Return the architecture to compile for: a card runs code of its major version, up to its minor one.

        Raises:
            UnavailableError: this NVRTC makes no code that such a card runs.

        """
        major, minor = capability
        fitting = [number for number in self.architectures if number // 10 == major and number % 10 <= minor]
        if not fitting:
            raise UnavailableError(f"NVRTC {self.version} makes no code for compute capability {major}.{minor}")
        return max(fitting)

    def compile(self, source: bytes, architecture: int, extra: Sequence[str] = ()) -> tuple[bytes, str]:
        """Return the machine code (cubin) for ``architecture``, and what the compiler said.

        Raises:
            UnavailableError: it does not compile; holds the end of what the compiler said.

        """
        program = ctypes.c_void_p()
        self.call("nvrtcCreateProgram", ctypes.byref(program), source, b"int4.cu", 0, None, None)
        try:
            options = [*OPTIONS, f"--gpu-architecture=sm_{architecture}", f"--include-path={self.headers}", *extra]
            given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            status = self.library.nvrtcCompileProgram(program, len(options), given)
            log = self.text("nvrtcGetProgramLog", program).rstrip(b"\0").decode(errors="replace")
            if status:
                target = f"sm_{architecture}"
                raise UnavailableError(f"NVRTC {self.version} does not compile int4.cu for {target}: {log[-800:]}")
            return self.text("nvrtcGetCUBIN", program), log
        finally:
            self.library.nvrtcDestroyProgram(ctypes.byref(program))

    def text(self, name: str, program: ctypes.c_void_p) -> bytes:
        """Return what a pair of functions, ``name`` and its Size, gives."""
        size = ctypes.c_size_t()
        self.call(f"{name}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self.call(name, program, buffer)
        return buffer.raw


def key_of(compiler: Compiler, capability: tuple[int, int]) -> str:
    """Return the digest of what a card's code is made from: source, architecture, compiler and options.

    Raises:
        UnavailableError: this compiler makes no code for the card.

    """
    target = f"sm_{compiler.architecture(capability)}"
    return kept.key_of([SOURCE.read_bytes(), *map(str.encode, (target, compiler.version, *OPTIONS))])


def cubin(compiler: Compiler, capability: tuple[int, int], place: Path) -> bytes:
    """Return int4.cu's machine code for a card: what is kept in ``place``, if it is whole, or new code, kept there.

    Raises:
        UnavailableError: it does not compile.

    """
    key = key_of(compiler, capability)
    found = kept.find(place, key, ".cubin")
    if found is None:
        code, _ = compiler.compile(SOURCE.read_bytes(), compiler.architecture(capability))
        found = kept.put(place, key, ".cubin", code)
    return found.read_bytes()
