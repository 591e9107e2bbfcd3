"""An int4 engine of our own for ChatGLM2's quantized layers: runs on every device that torch runs on.

Upstream's int4 layers need machine code for compute capability 6.1 to 8.9 on a GPU, and a C compiler on a CPU. This
package leaves their files, names and tensors as they are, and gives the loaded model another way to multiply:

    model = engine.attach(AutoModel.from_pretrained(folder, trust_remote_code=True), "torch").float()

With it comes an attention whose cache stays in place, see attention.py.

Engines: ``fused`` (a kernel for the device at hand, see cpu.py and cuda.py; plain torch, by name, without), ``torch``
(plain torch, see int4.py) and ``upstream`` (the model's own code, untouched). :func:`hook` attaches one to whatever
transformers loads in this process: the launcher (bin/chatglm-run) calls it, so page, API and service need no edit.
:func:`check` compares what the attached layers give with float64; the proof calls it.

Needs torch, Python 3.10 or newer.
"""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from . import attention, cpu, cuda, int4

__all__ = ["ENGINES", "attach", "check", "hook", "layers", "unavailable"]

ENGINES = ("fused", "torch", "upstream")
VARIABLE = "CHATGLM_ENGINE"
"""The launcher names the engine in it."""

KERNELS: dict[str, Any] = {"cpu": cpu, "cuda": cuda}
"""The engine ``fused``, by the kind of device: modules with unavailable() and forward(module, inputs)."""


def layers(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield name and module of each int4 layer: int8 ``weight`` [out, in/2], ``weight_scale`` [out]."""
    for name, module in model.named_modules():
        weight, scale = getattr(module, "weight", None), getattr(module, "weight_scale", None)
        if isinstance(weight, torch.Tensor) and isinstance(scale, torch.Tensor) and weight.dtype == torch.int8:
            yield name, module


def attach(model: Any, engine: str = "") -> Any:
    """Bind the forward of every int4 layer of ``model``, and of its attention, to an engine; return the model.

    Weights, names and buffers stay; ``.float()``, ``.half()`` and ``.cuda()`` may come before or after.

    Args:
        model: what ``from_pretrained`` returned.
        engine: one of :data:`ENGINES`; empty: the one that the launcher names, else ``upstream``.

    Raises:
        ValueError: no such engine, or a layer whose shapes are not those of int4.

    """
    engine = engine or os.environ.get(VARIABLE, "upstream")
    if engine not in ENGINES:
        raise ValueError(f"engine {engine!r}; expected one of {', '.join(ENGINES)}")
    for name, module in layers(model):
        module.__dict__.pop("forward", None)  # of an engine that was attached before
        if engine != "upstream":
            int4.refuse_other_shapes(name, module)
            forward = functools.partial(int4.forward, module)
            # Where the model will be is known at its first call.
            module.forward = functools.partial(first, module) if engine == "fused" else forward  # type: ignore[method-assign]
    attention.detach(model)
    if engine != "upstream":
        attention.attach(model)
    return model


def unavailable(engine: str, device: str) -> str:
    """Return why an engine has nothing for a kind of device, ``cuda`` or ``cpu``; empty where it has."""
    if engine != "fused":
        return ""
    return str(KERNELS[device].unavailable()) if device in KERNELS else f"no fused kernel for {device}"


def first(module: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Compute with a layer for the first time: bind it to the fused kernel of the inputs' device, or to plain torch."""
    kind = inputs.device.type
    if reason := unavailable("fused", kind):
        warnings.warn(f"the int4 engine is torch, not fused: {reason}", RuntimeWarning, stacklevel=2)
        forward = int4.forward
    else:
        forward = KERNELS[kind].forward
    module.forward = functools.partial(forward, module)
    return module.forward(inputs)  # type: ignore[no-any-return]


def hook() -> None:
    """Attach the launcher's engine to every model that transformers loads in this process from now on."""
    base = importlib.import_module("transformers").PreTrainedModel
    load = base.from_pretrained.__func__

    @functools.wraps(load)
    def from_pretrained(cls: type, *args: Any, **kwargs: Any) -> Any:
        loaded = load(cls, *args, **kwargs)
        attach(loaded[0] if isinstance(loaded, tuple) else loaded)  # with output_loading_info it is a pair
        return loaded

    base.from_pretrained = classmethod(from_pretrained)


def check(model: torch.nn.Module, rows: tuple[int, ...] = (1, 9)) -> dict[str, Any]:
    """Compare what every int4 layer gives with float64 arithmetic on the very same packed weights.

    Each layer computes whole products of random inputs; 64 columns of each, spread from the first to the last, are
    compared, so that the reference costs little. See :func:`int4.error` for the bound.

    Args:
        model: with its engine attached, on its device.
        rows: how many inputs at once: as in decoding a token, and as in a prompt.

    Returns:
        ``layers``: how many were compared; ``worst``: the largest error, as a share of the bound; ``wrong``: the names
        of the layers beyond it.

    """
    generator = torch.Generator().manual_seed(1)
    worst, wrong, count = 0.0, [], 0
    with torch.inference_mode():
        for name, module in layers(model):
            share = max(int4.error(module, number, generator) for number in rows)
            worst, count = max(worst, share), count + 1
            if share > 1.0:
                wrong.append(name)
    return {"layers": count, "worst": round(worst, 4), "wrong": wrong}
