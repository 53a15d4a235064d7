"""Convolutions whose gradient PyTorch computes wrongly in bfloat16 on a CPU.

If the input is narrower than the stride, PyTorch 2.13 with oneDNN does not write the gradient of the weights that read
only padding. It is uninitialised memory instead of 0.
"""

import torch
from torch import Tensor, nn


def needs_float32(conv: nn.Conv1d | nn.Conv2d, x: Tensor) -> bool:
    """Whether `conv(x)` would be computed in bfloat16 on a CPU, with an input narrower than the stride."""
    if x.device.type != "cpu":
        return False
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    stride = conv.stride[-1] if isinstance(conv.stride, tuple) else conv.stride
    return dtype == torch.bfloat16 and x.shape[-1] < stride


def convolve_in_float32(conv: nn.Conv1d | nn.Conv2d, x: Tensor) -> Tensor:
    """`conv(x)`, computed in float32 and rounded to bfloat16."""
    bias = None if conv.bias is None else conv.bias.float()
    with torch.autocast("cpu", enabled=False):
        return conv._conv_forward(x.float(), conv.weight.float(), bias).bfloat16()
