"""The interface between the operator of neurons (`clif.ops.neuron`) and the kernels of its backends."""

import importlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from torch import Tensor

from clif.errors import InputError
from clif.ops import triton
from clif.ops.norm import Affine


class Aligned(NamedTuple):
    """The inputs of a kernel: steps and states have the same order of elements in memory, dense or one value expanded.

    A coefficient is one value, or a row in the order of the elements that repeats over them.
    """

    x_seq: Tensor
    states: list[Tensor]
    coefficients: list[Tensor]
    constants: Tensor
    program: str
    affine: Affine | None


class Gradients(NamedTuple):
    """What a backward kernel fills: the gradient of x_seq (normalised), of the states if wanted, [N, *], and those of
    the coefficients, neuron by neuron."""

    x_seq: Tensor
    states: list[Tensor]
    coefficients: list[Tensor]


class Kernels(NamedTuple):
    """The kernels of a backend; `statistics` and `scale` as in `clif.ops.norm.Kernels`.

    forward(inputs, spike_seq, last) fills the spikes and the last states, if any are given;
    backward(inputs, incoming, gradients) fills the gradients, from those of the spikes and of the last states (None
    is zero), and returns the sums [T, 2, C] of a batch norm.
    sums(values) adds up dense values [outer, C, inner] to [C], in float64.
    """

    forward: Callable[[Aligned, Tensor, list[Tensor]], None]
    backward: Callable[[Aligned, list[Tensor | None], Gradients], Tensor | None]
    statistics: Callable[[Tensor], tuple[Tensor, Tensor]]
    scale: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], None]
    sums: Callable[[Tensor], Tensor]


MODULES = {"cpu": "clif.ops.cpu_neuron", "triton": "clif.ops.triton_neuron"}
"""The modules that have the `KERNELS` of a backend."""

BACKENDS = {"cpu": ("cpu", "triton") if triton.INTERPRETED else ("cpu",), "cuda": ("triton",)}
"""The backends for a type of device; the first one if none is named."""


@cache
def kernels_for(device: str, backend: str = "") -> Kernels:
    """The kernels of a backend for a type of device. Raises `InputError` if there are none."""
    possible = BACKENDS.get(device, ())
    if not possible or (backend and backend not in possible):
        raise InputError(f"no kernels of generated neurons run on {device!r}{backend and f' with backend {backend!r}'}")
    return importlib.import_module(MODULES[backend or possible[0]]).KERNELS
