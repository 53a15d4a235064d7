"""The input that a convolution keeps for the backward pass: one bit per element if it is spikes.

This changes only the memory. A tensor whose elements are not all 0 or one other number (1, or 1/(1 − p) after a
dropout) is kept unchanged.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from clif.ops import cpu


class Packed(NamedTuple):
    """A dense tensor of spikes: its bits, the value of a spike, the number of spikes, and its memory layout."""

    words: Tensor
    spike: float
    spikes: int
    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Known(threading.local):
    def __init__(self) -> None:
        self.packed: dict[int, tuple[tuple[int, int, torch.dtype, int], Packed]] = {}


_known = _Known()


def packs(x: Tensor) -> bool:
    """Whether this tensor may be packed: it is dense, on a CPU that has the kernels."""
    extent = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    dense = x.numel() > 0 and extent == x.numel()
    return dense and x.device.type == "cpu" and x.dtype in cpu.DTYPES and cpu.unavailable() is None


def pack(x: Tensor) -> Packed | Tensor:
    """`x` as bits, or `x` itself if its elements are not spikes."""
    if not packs(x):
        return x
    if (found := _known.packed.get(x.data_ptr())) is not None and found[0] == _identity(x):
        return found[1]._replace(shape=x.shape, stride=x.stride())
    if (bits := cpu.pack(x)) is None:
        return x
    return Packed(*bits, x.shape, x.stride(), x.dtype)


@contextmanager
def known_as(x: Tensor, packed: Packed) -> Iterator[None]:
    """A context in which `pack` returns `packed` for `x` or a view of all of it; `x` must stay alive."""
    before = _known.packed
    _known.packed = {**before, x.data_ptr(): (_identity(x), packed)}
    try:
        yield
    finally:
        _known.packed = before


def _identity(x: Tensor) -> tuple[int, int, torch.dtype, int]:
    return x.data_ptr(), x.numel(), x.dtype, x._version


def unpack(packed: Packed | Tensor) -> Tensor:
    """The original tensor of `pack`."""
    if isinstance(packed, Tensor):
        return packed
    x = torch.empty_strided(packed.shape, packed.stride, dtype=packed.dtype)
    cpu.unpack(packed.words, packed.spike, x)
    return x


def packed_while_saved(x: Tensor) -> AbstractContextManager[None]:
    """A context in which autograd keeps `x`, or a view of all of it, as bits."""
    place = (x.data_ptr(), x.numel())  # not x itself: autograd keeps the function below as long as its saved tensors

    def save(tensor: Tensor) -> Packed | Tensor:
        return pack(tensor) if (tensor.data_ptr(), tensor.numel()) == place else tensor

    return torch.autograd.graph.saved_tensors_hooks(save, unpack)
