"""Weights rounded to int8, with one scale for each index of their first dimension."""

import torch
from torch import Tensor

LARGEST = 127


def to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Finite weights [n, …] as int8 of −127 to 127, and the scales [n], float32: weight ≈ int8 · scale.

    >>> to_int8(torch.tensor([[0.5, -1.27], [0.0, 0.0]]))[0]
    tensor([[  50, -127],
            [   0,    0]], dtype=torch.int8)
    """
    weight = weight.detach().float()
    scale = weight.abs().flatten(1).amax(1).clamp_min(1e-12) / LARGEST
    return (weight / _along(scale, weight)).round().to(torch.int8), scale


def from_int8(rounded: Tensor, scale: Tensor) -> Tensor:
    """The float32 weights of `to_int8`. Raises `ValueError` if dtypes or shapes are not those that it returns."""
    if rounded.dtype != torch.int8 or scale.dtype != torch.float32 or scale.shape != rounded.shape[:1]:
        raise ValueError("int8 weights do not match their scales")
    return rounded * _along(scale, rounded)


def _along(scale: Tensor, weight: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (weight.dim() - 1))
