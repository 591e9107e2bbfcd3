"""An int4 layer as upstream's code makes it, and packed weights for it."""

import torch


class Layer(torch.nn.Module):
    """A layer as upstream's code makes it, that cannot compute."""

    def __init__(self, packed, scale, bias=None):
        super().__init__()
        self.weight = torch.nn.Parameter(packed, requires_grad=False)
        self.weight_scale = torch.nn.Parameter(scale, requires_grad=False)
        self.bias = None if bias is None else torch.nn.Parameter(bias, requires_grad=False)
        self.weight_bit_width = 4

    def forward(self, _inputs):
        raise RuntimeError("upstream's kernels do not run here")


def weights(out, columns, values="random"):
    """Packed weights and scales; ``extreme``: -8 and 7 in all four pairs."""
    packed = torch.randint(-128, 128, (out, columns // 2), dtype=torch.int8)
    if values != "random":
        packed = torch.tensor([-128, 127, 120, -121], dtype=torch.int8)[packed.long() & 3]
    return packed, torch.rand(out) * 0.02 + 1e-4
