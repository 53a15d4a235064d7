"""Convolutions whose gradient PyTorch computes wrongly in bfloat16 on a CPU.

If a strided convolution has a column of weights that reads only padding, which small inputs cause, PyTorch 2.13 with
oneDNN does not write the gradient of these weights. It is uninitialised memory instead of 0.
"""

import torch
from torch import Tensor, nn


def needs_float32(conv: nn.Conv1d | nn.Conv2d, x: Tensor) -> bool:
    """Whether `conv(x)` would be computed in bfloat16, with a wrong gradient of its weights."""
    if x.device.type != "cpu" or conv.stride[-1] == 1 or not torch.is_grad_enabled():
        return False
    autocast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if autocast else x.dtype
    return dtype == torch.bfloat16 and _has_unread_column(conv, x.shape[-1])


def convolve_in_float32(conv: nn.Conv1d | nn.Conv2d, x: Tensor) -> Tensor:
    """`conv(x)`, computed in float32 and rounded to bfloat16."""
    bias = None if conv.bias is None else conv.bias.float()
    with torch.autocast("cpu", enabled=False):
        return conv._conv_forward(x.float(), conv.weight.float(), bias).bfloat16()


def _has_unread_column(conv: nn.Conv1d | nn.Conv2d, width: int) -> bool:
    """Whether a column of the kernel reads only padding at every place of an input of this width."""
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):  # "same" has no stride, "valid" no padding
        return False
    kernel, stride, padding, dilation = (
        int(sizes[-1]) for sizes in (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    )
    places = (width + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return not all(
        any(0 <= place * stride + column * dilation - padding < width for place in range(places))
        for column in range(kernel)
    )
