"""Convolutions of spikes as sums of rows of weights, without multiplications (`csrc/spike_conv.hpp`).

If few neurons fire, the sums are faster than a dense convolution, in the forward pass and for the gradient of the
weights. PyTorch computes the gradient of the input, which is dense. For finite numbers the results are those of
`torch.nn.functional.conv2d` except for the order of the sums; a weight or gradient that is not finite reaches only
the outputs of spikes that select it. Only bits of the input are kept for the backward pass.
"""

import torch
from torch import Tensor, nn
from torch.autograd import Function, forward_ad
from torch.nn.grad import conv2d_input

from clif import private_torch
from clif.ops import cpu, registration
from clif.ops.cpu import Geometry
from clif.ops.packing import Packed, pack
from clif.ops.registration import is_observed, is_transformed
from clif.ops.spike_conv_limits import Limits, limits

LEAST_KERNEL = 3
"""The minimum side of a kernel: for smaller ones, looking up the spikes takes as long as it saves."""


def convolve(conv: nn.Conv2d, x: Tensor, within: Limits | None = None) -> Tensor | None:
    """`conv(x)` for x [N, C, H, W], or None if PyTorch's own convolution should compute it.

    That is so outside the limits, those of `clif.ops.spike_conv_limits` unless others are given.
    """
    if is_observed() or forward_ad._current_level >= 0 or not (_takes_module(conv) and _takes_tensors(conv, x)):
        return None
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    if x.dtype not in cpu.DTYPES or not x.is_contiguous(memory_format=torch.channels_last):
        return None
    geometry = _geometry(conv, x)
    images, _, *size = geometry.out_shape
    within = within or limits(x.dtype)
    is_small = min(size) < 1 or images * size[0] * size[1] < within.pixels
    if is_small or min(conv.in_channels, conv.out_channels) < within.channels or within.rate == 0:
        return None
    packed = pack(x)
    if not isinstance(packed, Packed) or packed.spikes > within.rate * x.numel():
        return None
    weight, bias = (None if tensor is None else tensor.to(x.dtype) for tensor in (conv.weight, conv.bias))
    return _SpikeConv.apply(x, weight, bias, packed.words, packed.spike, geometry)


def _takes_module(conv: nn.Conv2d) -> bool:
    """Whether the kernels can compute this kind of convolution."""
    sizes = (conv.kernel_size, conv.stride, conv.padding)
    return (
        cpu.unavailable() is None
        and all(isinstance(size, tuple) and len(set(size)) == 1 for size in sizes)
        and (conv.groups, conv.dilation, conv.padding_mode) == (1, (1, 1), "zeros")
        and conv.kernel_size[0] >= LEAST_KERNEL
        and type(conv)._conv_forward is nn.Conv2d._conv_forward
    )


def _takes_tensors(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether these are plain tensors on a CPU, with the shapes that the module expects and of one dtype."""
    weight, bias = conv.weight, conv.bias
    given = [tensor for tensor in (x, weight, bias) if tensor is not None]
    dtypes = {torch.float32, torch.get_autocast_dtype("cpu")} if torch.is_autocast_enabled("cpu") else {x.dtype}
    return (
        all(type(tensor) in (Tensor, nn.Parameter) and tensor.device.type == "cpu" for tensor in given)
        and all(tensor.dtype in dtypes for tensor in given)
        and x.dim() == 4
        and x.shape[1] == conv.in_channels
        and weight.shape == (conv.out_channels, conv.in_channels, *conv.kernel_size)
        and (bias is None or bias.shape == (conv.out_channels,))
    )


def _geometry(conv: nn.Conv2d, x: Tensor) -> Geometry:
    images, channels, height, width = x.shape
    moves = (conv.kernel_size[0], conv.stride[0], int(conv.padding[0]))
    return Geometry((images, channels, height, width), conv.out_channels, *moves)


class _SpikeConv(Function):
    """The convolution of `x`, which is only used for its gradient: `words` and `spike` are its packed spikes."""

    @staticmethod
    def forward(ctx, x, weight, bias, words, spike, geometry):
        ctx.save_for_backward(weight, words)
        ctx.spike, ctx.geometry = spike, geometry
        weight = weight.contiguous(memory_format=torch.channels_last)
        return cpu.spike_conv(words, spike, geometry, weight, None if bias is None else bias.contiguous())

    @staticmethod
    def backward(ctx, d_out):
        weight, words = ctx.saved_tensors
        needed = ctx.needs_input_grad[:3]
        if is_transformed() or private_torch.is_legacy_batched(d_out):  # several output gradients at once
            return *_dense_gradients(d_out, weight, words, ctx.spike, ctx.geometry, needed), None, None, None
        return *_Gradients.apply(d_out, weight, words, ctx.spike, ctx.geometry, needed), None, None, None


class _Gradients(Function):
    """The gradients of input, weight and bias, which have no derivative themselves."""

    @staticmethod
    def forward(ctx, d_out, weight, words, spike, geometry, needed):
        for_x, for_weight, for_bias = needed
        d_out = d_out.contiguous(memory_format=torch.channels_last)
        dx = d_weight = d_bias = None
        if for_x:
            weight = weight.contiguous(memory_format=torch.channels_last)
            dx = conv2d_input(geometry.shape, weight, d_out, geometry.stride, geometry.padding)
        if for_weight:
            d_weight = cpu.spike_conv_weight_gradient(words, spike, geometry, d_out)
        if for_bias:
            d_bias = d_out.sum((0, 2, 3))
        return dx, d_weight, d_bias

    backward = staticmethod(registration.refuse_second_derivative)


def _dense_gradients(d_out, weight, words, spike, geometry, needed) -> tuple[Tensor | None, ...]:
    """The same by PyTorch's operations."""
    x = torch.empty(geometry.shape, dtype=weight.dtype, memory_format=torch.channels_last)
    cpu.unpack(words, spike, x)
    moves = [[size, size] for size in (geometry.stride, geometry.padding, 1)]
    channels = [geometry.out_channels]
    return torch.ops.aten.convolution_backward(d_out, x, weight, channels, *moves, False, [0, 0], 1, list(needed))
