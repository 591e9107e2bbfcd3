"""int4 linear layer in plain torch: runs on any device, needs neither cpm_kernels nor gcc."""

import torch
from torch import nn


def unpack_int4(packed):
    """Two signed 4-bit numbers per int8: the even column in the high nibble, the odd one in the low nibble."""
    high = packed >> 4  # arithmetic shifts: both keep the sign
    low = (packed << 4) >> 4
    return torch.stack((high, low), dim=-1).flatten(-2)


class Int4Linear(nn.Module):
    """y = x W^T + b, where W[o, i] = int4[o, i] * weight_scale[o]."""

    def __init__(self, in_features, out_features, bias, dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_features, in_features // 2, dtype=torch.int8), requires_grad=False)
        self.weight_scale = nn.Parameter(torch.zeros(out_features, dtype=dtype), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(out_features, dtype=dtype), requires_grad=False) if bias else None

    def forward(self, x):
        weight = unpack_int4(self.weight).to(x.dtype) * self.weight_scale[:, None]
        return nn.functional.linear(x, weight, self.bias)
