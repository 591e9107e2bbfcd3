"""The product of activations and int4 weights in plain torch, and the reference that it is compared with.

Upstream's packing: ``weight`` int8 [out, in/2] holds the even column in the high nibble and the odd one in the low
nibble, both in two's complement; W[o, i] = nibble[o, i] * weight_scale[o].

Memory: the weights are unpacked in slices of whole rows, of at most SLICE bytes in the activations' type (or one row,
where that is larger), and half of that besides for the nibbles before they are scaled; never a whole matrix.
"""

from __future__ import annotations

from typing import Any

import torch

SLICE = {"cpu": 2 << 20, "cuda": 32 << 20}
"""Bytes of an unpacked slice by kind of device. On a CPU it stays in the cache; on a GPU it costs few launches."""

COMPARED = 64
"""Columns of a layer's result that are compared with the reference."""


def refuse_other_shapes(name: str, module: torch.nn.Module) -> None:
    """Refuse a layer that is not in upstream's int4 form.

    Raises:
        ValueError: names layer and shapes.

    """
    weight, scale = tuple(module.weight.shape), tuple(module.weight_scale.shape)  # type: ignore[arg-type]
    bits = getattr(module, "weight_bit_width", 4)
    if len(weight) != 2 or scale != weight[:1] or bits != 4:
        raise ValueError(
            f"{name}: weight {weight}, weight_scale {scale}, {bits} bits; expected int4: [out, in/2] and [out]"
        )


def forward(module: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Return inputs W^T + bias, [..., in] to [..., out], in the type of ``inputs``: in place of the layer's own."""
    result = product(inputs.reshape(-1, inputs.shape[-1]), module.weight, module.weight_scale)
    if module.bias is not None:
        result += module.bias
    return result.view(*inputs.shape[:-1], -1)


def product(inputs: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return inputs W^T, [rows, in] to [rows, out], in the type of ``inputs``. For answers, not for training."""
    half = packed.shape[1]
    # The slices hold all even columns, then all odd ones: cheaper than to interleave them, and the sum is the same.
    inputs = torch.cat((inputs[:, 0::2], inputs[:, 1::2]), dim=1)
    size = SLICE.get(inputs.device.type, SLICE["cuda"])
    height = min(packed.shape[0], max(1, size // (2 * half * inputs.element_size())))
    unpacked = inputs.new_empty(height, 2 * half)
    left, right = unpacked[:, :half], unpacked[:, half:]
    result = inputs.new_empty(inputs.shape[0], packed.shape[0])
    scale = scale.to(inputs.dtype)
    # Sums of bare nibbles overflow in fp16, so there the weights are scaled first; float32 has room, and one pass less.
    first = inputs.dtype != torch.float32
    for start in range(0, packed.shape[0], height):
        part, factors = packed[start : start + height], scale[start : start + height]
        count = part.shape[0]
        for nibbles, into in ((part >> 4, left[:count]), ((part << 4) >> 4, right[:count])):
            if first:
                torch.mul(nibbles, factors[:, None], out=into)
            else:
                into.copy_(nibbles)
        result[:, start : start + count] = inputs @ unpacked[:count].T
    return result if first else result.mul_(scale)


def reference(packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return W in float64, [out, in], by the definition of the packing, independently of :func:`product`."""
    bytes_ = packed.cpu().to(torch.int64) & 255
    nibbles = torch.stack((bytes_ // 16, bytes_ % 16), dim=-1).flatten(1)
    return (nibbles - 16 * (nibbles > 7)).double() * scale.cpu().double()[:, None]


def error(module: Any, rows: int, generator: torch.Generator) -> float:
    """Return the largest error of ``module`` on random inputs, as a share of what is allowed (1.0); inf for nan.

    Allowed for one number of the result is c * eps * (sum of |inputs| |W| + |bias|): eps of the type computed in, c = 8
    for float32 (rounding of the sums; seen: 0.6), c = 2 for shorter ones (each weight and the result are rounded to
    that type). Swapped nibbles, a wrong sign or a wrong scale give a hundred times as much.
    """
    weight, scale = module.weight, module.weight_scale
    inputs = torch.randn(rows, 2 * weight.shape[1], generator=generator).to(scale.dtype)
    picked = torch.linspace(0, weight.shape[0] - 1, min(COMPARED, weight.shape[0])).round().long()
    exact, given = reference(weight[picked.to(weight.device)], scale[picked.to(scale.device)]), inputs.double()
    bias = torch.zeros(len(picked), dtype=torch.float64)
    if module.bias is not None:
        bias = module.bias.detach().cpu()[picked].double()
    seen = module(inputs.to(weight.device)).cpu()[:, picked].double()
    eps = torch.finfo(scale.dtype).eps * (8 if scale.dtype == torch.float32 else 2)
    allowed = eps * (given.abs() @ exact.abs().T + bias.abs()) + torch.finfo(scale.dtype).tiny
    share = float(((seen - (given @ exact.T + bias)).abs() / allowed).max())
    return share if share == share else float("inf")  # noqa: PLR0124 (nan)
