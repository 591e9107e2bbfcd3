"""The engine ``fused`` on a CPU: up to 8 rows from the packed int4 weights in C, more rows by plain torch (int4.py).

int4_cpu.c is compiled once, for the CPU at hand, and kept (kept.py) by the digest of source, compiler and CPU. Without
a C compiler there is no such engine: :func:`unavailable` says so.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

from . import int4, kept

__all__ = ["forward", "unavailable"]

ROWS = 8
"""Rows of inputs that the kernel takes at once; for more, unpacking in slices is worth its time."""

COMPILERS = ("gcc", "cc", "clang")
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-fPIC", "-shared")
SOURCE = Path(__file__).with_name("int4_cpu.c")


def unavailable() -> str:
    """Return why there is no fused kernel for this CPU, in one sentence; empty where there is one."""
    found = library()
    return found if isinstance(found, str) else ""


def forward(module: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Return inputs W^T + bias, [..., in] to [..., out], in the type of ``inputs``: in place of the layer's own."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    if not 0 < rows.shape[0] <= ROWS or inputs.dtype == torch.float64:
        return int4.forward(module, inputs)
    result = product(rows, module.weight, module.weight_scale)
    if module.bias is not None:
        result += module.bias
    return result.to(inputs.dtype).view(*inputs.shape[:-1], -1)


def product(inputs: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return inputs W^T in float32, [rows, in] to [rows, out], of 1 to ROWS rows; ``packed`` is int8 [out, in/2].

    Raises:
        UnavailableError: see :func:`unavailable`.

    """
    found = library()
    if isinstance(found, str):
        raise kept.UnavailableError(found)
    compute, parallel, lanes = found
    out, half = packed.shape
    # Lane l of the kernel's vectors holds columns 8 l to 8 l + 7: all first columns come first, then all second ones.
    wide = torch.nn.functional.pad(inputs.detach().float(), (0, -2 * half % (8 * lanes)))
    wide = wide.view(inputs.shape[0], -1, lanes, 8).transpose(2, 3).contiguous()
    packed, scale = packed.detach().contiguous(), scale.detach().float().contiguous()
    result = torch.empty(inputs.shape[0], out)
    pointers = (each.data_ptr() for each in (packed, scale, wide, result))
    compute(*pointers, inputs.shape[0], out, half, parallel, torch.get_num_threads())
    return result


@functools.cache
def library() -> tuple[Any, Any, int] | str:
    """Return the kernel, torch's GOMP_parallel (None: there is none) and the lanes of a vector, or why there is none.

    Looked for, and built if need be, once in a process.
    """
    try:
        loaded = ctypes.CDLL(str(compiled()))
    except kept.UnavailableError as error:
        return str(error)
    except OSError as error:
        return f"the compiled int4 kernel cannot be loaded: {error}"
    pointer, long = ctypes.c_void_p, ctypes.c_long
    compute = loaded.int4_product
    compute.argtypes = [*[pointer] * 4, long, long, long, pointer, ctypes.c_uint]
    compute.restype = None
    return compute, threads(), loaded.int4_lanes()


def threads() -> Any:
    """Return GOMP_parallel of the OpenMP library that torch has loaded (another brings more threads)."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        path = line.partition("/")[2]
        if path.rpartition("/")[2].startswith(("libgomp", "libiomp5", "libomp")):
            return ctypes.cast(ctypes.CDLL("/" + path).GOMP_parallel, ctypes.c_void_p)
    return None


def compiled() -> Path:
    """Return the compiled kernel: the one that is kept, if it is whole, or a new one.

    Raises:
        UnavailableError: no compiler, one that fails, or no safe place to keep the result.
        OSError: the folder cannot be read or written.

    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), "")
    if not compiler:
        raise kept.UnavailableError(f"no C compiler on PATH ({', '.join(COMPILERS)})")
    place = kept.folder()
    key = kept.key_of((SOURCE.read_bytes(), run(compiler, "--version"), " ".join(FLAGS).encode(), features()))
    found = kept.find(place, key, ".so")
    if found is None:
        with tempfile.TemporaryDirectory(dir=place, prefix=".") as aside:
            made = Path(aside, "kernel.so")
            run(compiler, *FLAGS, "-o", str(made), str(SOURCE))
            found = kept.put(place, key, ".so", made.read_bytes())
    return found


def features() -> bytes:
    """Return what identifies this CPU: code for another one may stop at an instruction that this one lacks."""
    lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    wanted = (b"flags", b"model name", b"Features", b"CPU part")
    return platform.machine().encode() + b"\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def run(*command: str) -> bytes:
    """Return what a command of the compiler prints."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=300, env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise kept.UnavailableError(f"the C compiler does not run: {error}") from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise kept.UnavailableError(f"{command[0]} does not compile the int4 kernel: {last[0]}")
    return done.stdout
