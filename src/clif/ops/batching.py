"""`torch.func.vmap` for the operators of `clif.ops.neuron`: the batch joins the samples; axis 1 stays the channel."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from clif import private_torch

Dim = int | None
Rule = Callable[..., tuple[Any, Any]]


def forward_rule(operator: Callable[..., tuple[Tensor, list[Tensor]]]) -> Rule:
    """The rule of the forward operator. Coefficients and norms that differ in the batch are computed one by one."""

    def rule(info: Any, in_dims: Sequence[Any], *arguments: Any) -> tuple[Any, Any]:
        x_seq, states, _, norm, *rest = arguments
        size = info.batch_size
        if norm or _is_batched(in_dims[2]):
            outputs = _each(operator, size, in_dims, arguments)
            extra = [torch.stack(values) for values in zip(*(extra for _, extra in outputs), strict=True)]
            return (torch.stack([spikes for spikes, _ in outputs]), extra), (0, [0] * len(extra))
        joined = [_joined(state, dim, size, 0) for state, dim in zip(states, _dims(in_dims[1], states), strict=True)]
        spike_seq, extra = operator(_joined(x_seq, in_dims[0], size, 1), joined, arguments[2], norm, *rest)
        last = [state.unflatten(0, (size, -1)) for state in extra]
        return (spike_seq.unflatten(1, (size, -1)), last), (1, [0] * len(last))

    return rule


def backward_rule(operator: Callable[..., list[Tensor]]) -> Rule:
    """The rule of the backward operator, element by element: the gradient of a coefficient sums over all samples."""

    def rule(info: Any, in_dims: Sequence[Any], *arguments: Any) -> tuple[Any, Any]:
        results = _each(operator, info.batch_size, in_dims, arguments)
        gradients = [torch.stack(values) for values in zip(*results, strict=True)]
        return gradients, [0] * len(gradients)

    return rule


def one_by_one(function: Callable[..., list[Tensor]], arguments: Sequence[Any]) -> list[Tensor]:
    """A function for batches of gradients (`is_grads_batched` of `torch.autograd.grad`), computed one by one."""

    def pick(value: Any, i: int) -> Any:
        if isinstance(value, list):
            return [pick(v, i) for v in value]
        if isinstance(value, Tensor) and private_torch.is_legacy_batched(value):
            return private_torch.remove_batch_dim(value, LEVEL, 1, 0)[i]
        return value

    flat = [v for argument in arguments for v in (argument if isinstance(argument, list) else [argument])]
    first = next(v for v in flat if isinstance(v, Tensor) and private_torch.is_legacy_batched(v))
    size = len(private_torch.remove_batch_dim(first, LEVEL, 1, 0))
    results = [function(*(pick(argument, i) for argument in arguments)) for i in range(size)]
    return [private_torch.add_batch_dim(torch.stack(each), 0, LEVEL) for each in zip(*results, strict=True)]


LEVEL = 1
"""The vmap level of such batches, which cannot be nested."""


def _dims(dims: Any, values: Sequence[Tensor]) -> Sequence[Dim]:
    return dims if isinstance(dims, list | tuple) else [dims] * len(values)


def _is_batched(dims: Any) -> bool:
    return any(dim is not None for dim in dims) if isinstance(dims, list | tuple) else dims is not None


def _joined(tensor: Tensor, dim: Dim, size: int, axis: int) -> Tensor:
    """A tensor whose batch at `dim` (or, without it, itself repeated) joins its samples at `axis`."""
    if dim is not None:
        return tensor.movedim(dim, axis).flatten(axis, axis + 1)
    shape = tensor.shape
    return tensor.unsqueeze(axis).expand(*shape[:axis], size, *shape[axis:]).flatten(axis, axis + 1)


def _each(operator: Callable[..., Any], size: int, in_dims: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """The operator computed for one element of the batch after the other."""

    def pick(value: Any, dim: Any, i: int) -> Any:
        if isinstance(dim, list | tuple):
            return [pick(v, d, i) for v, d in zip(value, dim, strict=True)]
        return value if dim is None else value.select(dim, i)

    return [
        operator(*(pick(value, dim, i) for value, dim in zip(arguments, in_dims, strict=True))) for i in range(size)
    ]
