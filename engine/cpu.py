"""The engine ``fused`` on a CPU: up to 8 rows from the packed int4 weights in C, more rows by plain torch (int4.py).

int4_cpu.c is compiled once, for the CPU at hand, and kept by the digest of source, compiler and CPU; its file's name
holds the digest of its content too, which is looked at before it is loaded. It is kept where only this user writes: in
the folder that CHATGLM_ENGINE_CACHE names, or in ``cache/engine`` beside the virtualenv. Without a C compiler there is
no such engine: :func:`unavailable` says so.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from . import int4

__all__ = ["attach", "unavailable"]

ROWS = 8
"""Rows of inputs that the kernel takes at once; for more, unpacking in slices is worth its time."""

COMPILERS = ("gcc", "cc", "clang")
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-fPIC", "-shared")
SOURCE = Path(__file__).with_name("int4_cpu.c")


class UnavailableError(Exception):
    """There is no kernel for this CPU; the message says why."""


def unavailable() -> str:
    """Return why there is no fused kernel for this CPU, in one sentence; empty where there is one."""
    try:
        library()
    except UnavailableError as error:
        return str(error)
    return ""


def attach(name: str, module: Any) -> None:
    """Bind the forward of one int4 layer to the fused kernel; inputs may be float32, float16 or bfloat16.

    Raises:
        ValueError: the layer is not in upstream's int4 form; ``name`` tells which.
        UnavailableError: see :func:`unavailable`.

    """
    int4.refuse_other_shapes(name, module)
    library()
    module.forward = functools.partial(forward, module)


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
    """Return inputs W^T in float32, [rows, in] to [rows, out], of 1 to ROWS rows; ``packed`` is int8 [out, in/2]."""
    compute, parallel, lanes = library()
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
def library() -> tuple[Any, Any, int]:
    """Return the kernel, torch's GOMP_parallel (None: there is none) and the lanes of a vector; build it if need be.

    Raises:
        UnavailableError: no compiler, one that fails, or no safe place to keep the result.

    """
    try:
        loaded = ctypes.CDLL(str(kept()))
    except OSError as error:
        raise UnavailableError(f"the compiled int4 kernel cannot be loaded: {error}") from error
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


def kept() -> Path:
    """Return the compiled kernel: the one that is kept, if it is whole, or a new one."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), "")
    if not compiler:
        raise UnavailableError(f"no C compiler on PATH ({', '.join(COMPILERS)})")
    place = folder()
    parts = (SOURCE.read_bytes(), run(compiler, "--version"), " ".join(FLAGS).encode(), features())
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    for path in place.glob(f"{key}-*.so"):
        if path.name == name_of(key, path.read_bytes()) and is_private(path):
            return path
        path.unlink()  # damaged, or somebody else's
    with tempfile.TemporaryDirectory(dir=place, prefix=".") as aside:
        made = Path(aside, "kernel.so")
        run(compiler, *FLAGS, "-o", str(made), str(SOURCE))
        made.chmod(0o700)
        return made.rename(place / name_of(key, made.read_bytes()))


def folder() -> Path:
    """Return the folder of compiled kernels, made; only this user may write to it."""
    given = os.environ.get("CHATGLM_ENGINE_CACHE")
    place = Path(given) if given else Path(os.environ.get("VIRTUAL_ENV", sys.prefix)).parent / "cache" / "engine"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"no folder for the compiled int4 kernel: {error}") from error
    if not is_private(place):
        raise UnavailableError(f"{place} is another user's, or others may write to it: nothing is loaded from there")
    return place


def is_private(path: Path) -> bool:
    """Return whether a file or folder is this user's, no link, and nobody else may write to it."""
    status = path.lstat()
    return (
        status.st_uid == os.getuid()
        and not stat.S_ISLNK(status.st_mode)
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def name_of(key: str, content: bytes) -> str:
    """Return the name under which a compiled kernel is kept."""
    return f"{key}-{hashlib.sha256(content).hexdigest()[:32]}.so"


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
        raise UnavailableError(f"the C compiler does not run: {error}") from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise UnavailableError(f"{command[0]} does not compile the int4 kernel: {last[0]}")
    return done.stdout
