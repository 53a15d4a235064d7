"""A program computed in PyTorch operations, for terms of parameters alone and to check a trace."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clif.generate.operations import OPERATIONS
from clif.generate.program import Node, needed


class _Fire(torch.autograd.Function):
    """Θ(d) forward, `derivative` backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(d: Tensor, derivative: Tensor) -> Tensor:
        return (d >= 0).to(d.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (derivative,) = ctx.saved_tensors
        return grad * derivative, None


def evaluate(
    nodes: Sequence[Node], outputs: Sequence[int], leaves: dict[str, Sequence[Tensor | float]]
) -> list[Tensor]:
    """The values `outputs` of a graph, differentiable; `leaves` has the values of every kind of leaf by its index.

    Constants are Python numbers, the other leaves tensors of one dtype that broadcast, at least one of them.
    """
    like = next(value for kind in leaves.values() for value in kind if isinstance(value, Tensor))
    values: dict[int, Tensor | float] = {}
    for i in needed(nodes, outputs):
        node = nodes[i]
        if node.operation == "literal":
            values[i] = node.value
        elif node.is_leaf:
            values[i] = leaves[node.operation][int(node.value)]
        else:
            values[i] = _apply(node.operation, [values[j] for j in node.arguments], like)
    return [_tensor(values[i], like) for i in outputs]


def _tensor(value: Tensor | float, like: Tensor) -> Tensor:
    """A Python number as a tensor of the dtype and on the device of `like`."""
    if isinstance(value, Tensor):
        return value
    return torch.full((), value, dtype=torch.bool if isinstance(value, bool) else like.dtype, device=like.device)


def _apply(name: str, arguments: list[Tensor | float], like: Tensor) -> Tensor | float:
    operation = OPERATIONS[name]
    if operation.fold is not None and not any(isinstance(a, Tensor) for a in arguments):
        return operation.fold(*arguments)
    if name == "fire":
        d, derivative = (_tensor(a, like) for a in arguments)
        return _Fire.apply(d, derivative.detach())
    if operation.takes_python_numbers:
        return operation.compute(*arguments)
    return operation.compute(*(_tensor(a, like) for a in arguments))
