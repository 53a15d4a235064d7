"""The memory layout of sequences, states and coefficients for kernels.

Every step of a sequence and every state is dense in memory, with the same order of elements, so for a kernel a
sequence is [T, size] and a state [size]. Channels-last sequences need no copy; neither does an input with stride 0
along T (an image that is shown at every step).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from clif.ops.equations import compute_dtype

Strides = tuple[int, ...]


def step_strides(x_seq: Tensor) -> Strides:
    """The strides [N, *] of every step that a kernel reads or writes: those of x_seq's steps, or dense ones."""
    return torch.empty_like(x_seq[0], device="meta").stride()


def empty_sequence(x_seq: Tensor, strides: Strides) -> Tensor:
    strides = (x_seq[0].numel(), *strides)
    return torch.empty_strided(x_seq.shape, strides, dtype=x_seq.dtype, device=x_seq.device)


def empty_state(x_seq: Tensor, strides: Strides, wanted: bool) -> Tensor:
    dtype = compute_dtype(x_seq.dtype)
    if not wanted:
        return torch.empty(0, dtype=dtype, device=x_seq.device)
    return torch.empty_strided(x_seq.shape[1:], strides, dtype=dtype, device=x_seq.device)


def _has_strides(shape: Sequence[int], actual: Strides, wanted: Strides) -> bool:
    return all(size <= 1 or a == w for size, a, w in zip(shape, actual, wanted, strict=True))


def align_step(step: Tensor, strides: Strides) -> Tensor:
    if _has_strides(step.shape, step.stride(), strides):
        return step
    return torch.empty_strided(step.shape, strides, dtype=step.dtype, device=step.device).copy_(step)


def align_sequence(seq: Tensor, strides: Strides) -> Tensor:
    """`seq` with steps of these strides; unless it must be copied, it keeps its stride along T, also 0."""
    if _has_strides(seq.shape[1:], seq.stride()[1:], strides):
        return seq
    if seq.stride(0) == 0:
        return align_step(seq[0], strides).expand(seq.shape)
    return align_step(seq, (seq[0].numel(), *strides))


def align_state(state: Tensor, strides: Strides) -> Tensor:
    return state if is_one_value(state) else align_step(state, strides)


def is_one_value(state: Tensor) -> bool:
    """Whether a tensor is one expanded number, such as a state at rest."""
    return _has_strides(state.shape, state.stride(), (0,) * state.dim())


def align_coefficient(coefficient: Tensor, shape: Sequence[int], strides: Strides) -> Tensor:
    """A coefficient by channel in the order of the elements of a step, once; a scalar unchanged."""
    if coefficient.dim() == 0:
        return coefficient
    channels = shape[1]
    others = [s for i, (n, s) in enumerate(zip(shape, strides, strict=True)) if i != 1 and n > 1]
    if strides[1] == 1 and all(s % channels == 0 for s in others):
        return coefficient.contiguous()
    sizes, steps = list(shape), list(strides)
    if sizes[0] == 1 or steps[0] * sizes[0] == torch.Size(sizes).numel():
        sizes, steps = sizes[1:], steps[1:]  # samples are adjacent in memory
        values = coefficient.view(-1, *(1 for _ in sizes[1:]))
    else:
        values = coefficient.view(1, -1, *(1 for _ in sizes[2:]))
    row = torch.empty_strided(sizes, steps, dtype=coefficient.dtype, device=coefficient.device)
    row.copy_(values.expand(sizes))
    return row.as_strided((row.numel(),), (1,))


def by_channel(state: Tensor, strides: Strides, has_channels: bool) -> Tensor:
    """A dense state [N, C, *] of these strides as [outer, C, inner], in the order of memory; C = 1 without channels."""
    channels = state.shape[1] if has_channels else 1
    inner = strides[1] if channels > 1 else state.numel()
    outer = state.numel() // max(channels * inner, 1)
    return state.as_strided((outer, channels, inner), (channels * inner, inner, 1))
