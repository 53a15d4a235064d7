"""Convolutions of spikes by the spikes alone (`csrc/spike_conv.hpp`): rows of weights added up, nothing multiplied.

Where few neurons fire that is faster than a convolution of all the zeros between, in the forward pass and for the
gradient of the weights; the gradient of the input, which is dense, is PyTorch's. The results are those of
`torch.nn.functional.conv2d` but for the order of its sums. Of the input only bits are kept for the backward pass.
"""

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.grad import conv2d_input
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from clif.errors import InputError
from clif.ops import cpu, operator
from clif.ops.cpu import Geometry
from clif.ops.packing import Packed, pack

HIGHEST_RATE = {"none": 0.3, "vectors": 0.2, "tiles": 0.0}
"""By what multiplies in bfloat16: up to which share of spikes adding is faster. float32 and float64 are as "none"."""
LEAST_CHANNELS, LEAST_KERNEL, LEAST_PIXELS = 32, 3, 128
"""Of input and output channels, of the kernel's side, and of output pixels: below, the lookup costs what it saves."""


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor | None:
    """`conv(x)` for x [N, C, H, W], or None where PyTorch's own convolution is the one to take."""
    if not _may_run(conv, x):
        return None
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    if x.dtype not in cpu.DTYPES or not x.is_contiguous(memory_format=torch.channels_last):
        return None
    geometry = _geometry(conv, x)
    images, _, *size = geometry.out_shape
    highest = HIGHEST_RATE[cpu.BFLOAT16 if x.dtype == torch.bfloat16 else "none"]
    if min(size) < 1 or images * size[0] * size[1] < LEAST_PIXELS or highest == 0:
        return None
    packed = pack(x)
    if not isinstance(packed, Packed) or packed.spikes > highest * x.numel():
        return None
    weight, bias = (None if tensor is None else tensor.to(x.dtype) for tensor in (conv.weight, conv.bias))
    return _SpikeConv.apply(x, weight, bias, packed, geometry)


def _may_run(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether the kernels know this convolution, and nobody transforms, compiles or observes it."""
    return (
        type(x) is Tensor
        and x.device.type == conv.weight.device.type == "cpu"
        and cpu.unavailable() is None
        and (x.dtype == conv.weight.dtype or torch.is_autocast_enabled("cpu"))
        and x.shape[1] == conv.in_channels
        and not isinstance(conv.padding, str)
        and all(len(set(sizes)) == 1 for sizes in (conv.kernel_size, conv.stride, conv.padding))
        and (conv.groups, conv.dilation, conv.padding_mode) == (1, (1, 1), "zeros")
        and conv.kernel_size[0] >= LEAST_KERNEL
        and min(conv.in_channels, conv.out_channels) >= LEAST_CHANNELS
        and not torch.compiler.is_compiling()
        and not operator.is_transformed()
        and not is_in_torch_dispatch_mode()  # which counts PyTorch's operations, say
    )


def _geometry(conv: nn.Conv2d, x: Tensor) -> Geometry:
    images, channels, height, width = x.shape
    moves = (conv.kernel_size[0], conv.stride[0], int(conv.padding[0]))
    return Geometry((images, channels, height, width), conv.out_channels, *moves)


class _SpikeConv(Function):
    """The convolution of `x`, which is there for its gradient only: its spikes are `packed`."""

    @staticmethod
    def forward(ctx, x, weight, bias, packed, geometry):
        ctx.save_for_backward(weight)
        ctx.packed, ctx.geometry, ctx.has_bias = packed, geometry, bias is not None
        weight = weight.contiguous(memory_format=torch.channels_last)
        return cpu.spike_conv(packed.words, packed.height, geometry, weight, bias)

    @staticmethod
    def backward(ctx, d_out):
        (weight,) = ctx.saved_tensors
        return *_Gradients.apply(d_out, weight, ctx.packed, ctx.geometry, ctx.needs_input_grad), None, None


class _Gradients(Function):
    """The gradients of input, weight and bias; they have none themselves."""

    @staticmethod
    def forward(ctx, d_out, weight, packed, geometry, needed):
        for_x, for_weight, for_bias, *_ = needed
        d_out = d_out.contiguous(memory_format=torch.channels_last)
        dx = d_weight = d_bias = None
        if for_x:
            weight = weight.contiguous(memory_format=torch.channels_last)
            dx = conv2d_input(geometry.shape, weight, d_out, geometry.stride, geometry.padding)
        if for_weight:
            d_weight = cpu.spike_conv_weight_gradient(packed.words, packed.height, geometry, d_out)
        if for_bias:
            d_bias = d_out.sum((0, 2, 3))
        return dx, d_weight, d_bias

    @staticmethod
    def backward(ctx, *grads):
        raise InputError(operator.NO_SECOND_DERIVATIVE)
