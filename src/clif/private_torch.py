"""The private names of PyTorch that clif uses, each with a substitute if it is missing.

A substitute may be slower or more cautious, but not wrong: a call counts as traced, a tensor as special. PyTorch 2.6 is
the oldest version with the other names that clif needs; 2.13 is the tested version.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from clif.errors import InputError

Function = TypeVar("Function", bound=Callable[..., Any])

NAMES = (
    ("torch._C", "_are_functorch_transforms_active"),
    ("torch._C", "_current_graph_task_id"),
    ("torch._C._functorch", "is_functorch_wrapped_tensor"),
    ("torch._C._functorch", "is_batchedtensor"),
    ("torch._C._functorch", "is_legacy_batchedtensor"),
    ("torch", "_add_batch_dim"),
    ("torch", "_remove_batch_dim"),
    ("torch.overrides", "_len_torch_function_stack"),
    ("torch.utils._python_dispatch", "is_in_torch_dispatch_mode"),
    ("torch", "_foreach_lerp_"),
)
"""Module and name of each."""


def private(name: str, instead: Callable[..., Any]) -> Callable[..., Any]:
    """The function of PyTorch with that name in `NAMES`, or `instead` if this version of PyTorch has none."""
    module = next(module for module, known in NAMES if known == name)
    try:
        return getattr(importlib.import_module(module), name, instead)
    except ImportError:
        return instead


def _lerp_one_by_one(tensors: Sequence[Tensor], ends: Sequence[Tensor], weight: float) -> None:
    for tensor, end in zip(tensors, ends, strict=True):
        tensor.lerp_(end, weight)


def _no_batch(*_: Any) -> Tensor:
    raise InputError(
        "this version of PyTorch cannot batch gradients of kernels (is_grads_batched); compute them one by one"
    )


def _not_in_backward() -> int:
    return -1


transforms_are_active: Callable[[], bool] = private("_are_functorch_transforms_active", lambda: True)
"""Whether a function runs inside `torch.func.vmap`, `grad` and similar functions."""

is_wrapped_by_functorch: Callable[[Tensor], bool] = private("is_functorch_wrapped_tensor", lambda _: True)
"""Whether `torch.func` wraps a tensor, so that its values are not available."""

is_batched: Callable[[Tensor], bool] = private("is_batchedtensor", lambda _: False)
"""Whether a tensor is a batch of `torch.func.vmap`, which has no values outside of it."""

is_legacy_batched: Callable[[Tensor], bool] = private("is_legacy_batchedtensor", lambda _: True)
"""Whether a tensor is a batch of gradients (`is_grads_batched` of `torch.autograd.grad`)."""

add_batch_dim: Callable[[Tensor, int, int], Tensor] = private("_add_batch_dim", _no_batch)
remove_batch_dim: Callable[[Tensor, int, int, int], Tensor] = private("_remove_batch_dim", _no_batch)
"""A tensor as a batch of gradients (tensor, dimension, level), and back (tensor, level, size, dimension)."""

torch_function_modes: Callable[[], int] = private("_len_torch_function_stack", lambda: 1)
"""The number of modes that intercept calls of PyTorch's functions."""

has_dispatch_mode: Callable[[], bool] = private("is_in_torch_dispatch_mode", lambda: True)
"""Whether a mode intercepts PyTorch's operations, as fake tensors and counters of operations do."""

graph_task: Callable[[], int] = private("_current_graph_task_id", _not_in_backward)
"""The number of the backward pass that runs in this thread, -1 outside of one."""

lerp_: Callable[[Sequence[Tensor], Sequence[Tensor], float], None] = private("_foreach_lerp_", _lerp_one_by_one)
"""Move each tensor towards its end by a weight, in place, all of them at once."""

CONSTANT = "_dynamo_marked_constant"


def constant_when_compiled(function: Function) -> Function:
    """Mark a function as `torch.compiler.assume_constant_result` does, which would import all of Dynamo for it.

    That import takes about a second and 145 MiB in every process.
    """
    setattr(function, CONSTANT, True)
    return function


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""PyTorch's batch norms, whose common base is private."""

MKLDNN_BFLOAT16 = "_is_mkldnn_bf16_supported"


def mkldnn_uses_bfloat16() -> bool | None:
    """The answer of `torch.ops.mkldnn` about bfloat16 on this processor; None if there is none."""
    answer = getattr(torch.ops.mkldnn, MKLDNN_BFLOAT16, None)
    return None if answer is None else bool(answer())


def is_custom_operator(target: object) -> bool:
    """Whether a call in a traced graph is an operator of `torch.ops` and not a function of PyTorch."""
    return type(target).__module__ == "torch._ops"


def hand_over_hooks(old: nn.Module, new: nn.Module) -> None:
    """Let `new` have the forward and backward hooks of `old`; their handles remove them from both."""
    for name, hooks in vars(old).items():
        if name.startswith(("_forward_", "_backward_")) and "hooks" in name:
            vars(new)[name] = hooks
    full = "_is_full_backward_hook"
    if full in vars(old):
        vars(new)[full] = vars(old)[full]
