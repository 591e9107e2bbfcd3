"""The int4 layers on a GPU: up to 8 rows by the fused kernel of int4.cu, more by int4.py's slices and torch.

The kernel is compiled for the card at hand (nvrtc.py) and launched on torch's current stream (driver.py). What can
crash on the way, to compile, to load, to launch, is tried in a process of its own first (probe.py), once for each card,
driver and code; kept.py keeps the code, and which card took it.
"""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from . import driver, int4, kept, nvrtc

PROBE_SECONDS = 300
"""Compiling takes about a second; the rest is for a machine that is busy with the model."""

PROBE = """
import sys, types
package = sys.modules["engine"] = types.ModuleType("engine")  # without torch
package.__path__ = [sys.argv[1]]
from engine import probe
probe.main(*sys.argv[2:])
"""


def unavailable(device: int = 0) -> str:
    """Return why the kernel cannot be had on a GPU, by its number; empty where it can."""
    found = load(device)
    return found if isinstance(found, str) else ""


@functools.cache
def load(device: int) -> driver.Kernel | str:
    """Return the kernel, ready on a GPU, or why there is none; asked once in a process."""
    try:
        card, nvidia = driver.Card(device), nvrtc.packages()
        compiler = nvrtc.Compiler(nvidia)
        place, key = kept.folder(), nvrtc.key_of(compiler, card.capability)
        subject = f"{card.name}\n{card.capability}\n{card.driver}\n".encode()
        taken = kept.key_of((key.encode(), subject))
        if kept.find(place, taken, ".proven") is None or kept.find(place, key, ".cubin") is None:
            probe(device, nvidia, place)
            kept.put(place, taken, ".proven", subject)
        return driver.Kernel(card, nvrtc.cubin(compiler, card.capability, place))
    except (kept.UnavailableError, OSError) as error:
        return str(error)


def probe(device: int, nvidia: Path, folder: Path) -> None:
    """Have a child compile the kernel into ``folder``, load it and compute with it.

    Raises:
        UnavailableError: it could not, computed wrongly, or died.

    """
    command = [sys.executable, "-I", "-c", PROBE, str(Path(__file__).parent), str(device), str(nvidia), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        raise kept.UnavailableError(f"the trial of the int4 kernel took more than {PROBE_SECONDS} s") from None
    if done.returncode < 0:
        died = signal.Signals(-done.returncode).name
        raise kept.UnavailableError(f"the trial of the int4 kernel died of {died}: {done.stderr[-300:].strip()}")
    try:
        error = json.loads(done.stdout.strip().rpartition("\n")[2])["error"]
    except (ValueError, KeyError):
        error = f"the trial of the int4 kernel ended with {done.returncode}: {done.stderr[-300:].strip()}"
    if error:
        raise kept.UnavailableError(error)


def forward(module: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Return inputs W^T + bias, [..., in] to [..., out], in the type of ``inputs``."""
    kernel = load(inputs.device.index or 0) if fits(module, inputs) else ""
    if isinstance(kernel, str):
        return int4.forward(module, inputs)
    weight, bias = module.weight, module.bias
    given = inputs.reshape(-1, inputs.shape[-1]).contiguous()
    if given.data_ptr() % 16:
        given = given.clone()
    result = given.new_empty(given.shape[0], weight.shape[0])
    tensors = (weight, module.weight_scale, bias, given, result)
    pointers: Any = tuple(None if tensor is None else tensor.data_ptr() for tensor in tensors)
    stream = torch.cuda.current_stream(inputs.device).cuda_stream
    kernel.launch(pointers, (given.shape[1], weight.shape[0], given.shape[0]), stream)
    return result.view(*inputs.shape[:-1], -1)


def fits(module: Any, inputs: torch.Tensor) -> bool:
    """Tell whether the kernel computes this: few rows of fp16, whole words of weights, and no gradient asked for."""
    columns, half = inputs.shape[-1], torch.float16
    rows = inputs.numel() // columns
    alike = all(tensor is None or tensor.dtype == half for tensor in (inputs, module.weight_scale, module.bias))
    wanted = torch.is_grad_enabled() and inputs.requires_grad
    shaped = columns % 8 == 0 and columns == 2 * module.weight.shape[1] and module.weight.is_contiguous()
    return 1 <= rows <= driver.MOST_ROWS and alike and shaped and not wanted
