"""A batch norm and the neuron after it as one operator: the normalised sequence is never written to memory.

A sequence is [T, N, C, H, W] with the channels fastest in memory (channels_last), so that to a
kernel it is [T, pixels, C]. Every step has its own mean and variance, or in evaluation all have the running ones.

With y = x·scale + shift, scale = weight/√(var + ε) and shift = bias − mean·scale, the neuron's backward pass gives
g = ∂L/∂y and for every step and channel Σg and Σg·(x − mean), from which the rest follows (Ioffe & Szegedy, 2015):
∂L/∂x = scale·(g − Σg/n − (x − mean)·Σg·(x − mean)/(n·(var + ε))), in evaluation scale·g. Of the sequences only
x is kept between forward and backward; beside it the initial state, PLIF's 1/τ, weight, bias, and mean and var.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from clif.ops.equations import compute_dtype
from clif.ops.registration import is_transformed


class Norm(NamedTuple):
    """A batch norm of C channels: weight and bias [C]; mean and var [C], None if each step has its own."""

    weight: Tensor
    bias: Tensor
    eps: float
    mean: Tensor | None
    var: Tensor | None


class Affine(NamedTuple):
    """A batch norm at step t and channel c as x·scale + shift; all [T, C] in the dtype of computation."""

    scale: Tensor
    shift: Tensor
    mean: Tensor


def refuses(x_seq: Tensor, norm: Norm) -> str | None:
    """Why no fused kernel takes this batch norm of this input, or None if one does."""
    if is_transformed():
        return "torch.func transforms the network"
    if x_seq.dim() != 5 or not x_seq[0].is_contiguous(memory_format=torch.channels_last):
        return "the sequence is not channels_last"
    if norm.weight.dtype != compute_dtype(x_seq.dtype):
        return f"the batch norm is in {norm.weight.dtype}"
    if norm.mean is None and x_seq[0].numel() <= x_seq.shape[2]:
        return "a channel has only one value and thus no variance"
    return None


def finish_backward(
    scale_kernel: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], None],
    x_seq: Tensor,
    dx: Tensor,
    sums: Tensor,
    affine: Affine,
    norm: Norm,
    own_statistics: bool,
) -> tuple[Tensor, Tensor]:
    """Replace g = ∂L/∂y in `dx` with ∂L/∂x, from Σg and Σg·(x − mean) [T, 2, C]; returns those of weight and bias."""
    assert norm.mean is not None
    assert norm.var is not None
    of_g, of_g_x = sums.unbind(1)
    precision = 1 / (norm.var.double() + norm.eps)
    if own_statistics:
        scale, pixels = affine.scale.double(), x_seq[0].numel() // x_seq.shape[2]
        of_x = -scale * precision * of_g_x / pixels
        constant = -scale * of_g / pixels - of_x * norm.mean.double()
        scale_kernel(x_seq, dx, affine.scale, *(factor.to(affine.scale.dtype) for factor in (of_x, constant)))
    else:
        dx.mul_(affine.scale[:, None, :, None, None])
    d_weight = (of_g_x * precision.sqrt()).sum(0).to(norm.weight.dtype)
    return d_weight, of_g.sum(0).to(norm.bias.dtype)


def affine_of(x_seq: Tensor, weight: Tensor, bias: Tensor, eps: float, mean: Tensor, var: Tensor) -> Affine:
    mean = mean.double()
    scale = weight.double() * (var.double() + eps).rsqrt()
    parts = (scale, bias.double() - mean * scale, mean)
    shape, dtype = (len(x_seq), x_seq.shape[2]), compute_dtype(x_seq.dtype)
    return Affine(*(part.to(dtype).expand(shape).contiguous() for part in parts))
