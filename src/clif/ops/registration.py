"""The registration of kernels as a PyTorch operator, and the choice of its form for a call.

`torch.library` registers it for `torch.compile`, `torch.export` and other tools that trace a network; `torch.func`
needs another form. Both forms run much Python code, which takes longer than a small kernel. So all other calls go
directly to the kernels, as a `torch.autograd.Function`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from clif import private_torch
from clif.errors import InputError


def keep_nothing(ctx: Any, inputs: Any, output: Any) -> None:
    """The `setup_context` of functions without a derivative."""
    del ctx, inputs, output


def refuse_second_derivative(ctx: Any, *grads: Any) -> None:  # noqa: ARG001
    """The derivative of every backward operator."""
    raise InputError(
        "the compiled kernels have a first derivative only; "
        'for gradients of gradients use backend="torch" (clif.set_backend(net, "torch"))'
    )


def refuse_forward_mode(*_: Any) -> None:
    """The `jvp` of every function that calls kernels."""
    raise InputError(
        "spikes and the compiled kernels have no forward-mode derivative; use backward(), torch.func.vjp or jacrev"
    )


def is_transformed() -> bool:
    """Whether this runs inside `torch.func.vmap`, `grad` and the like, but not while `torch.compile` traces it."""
    return not torch.compiler.is_compiling() and private_torch.transforms_are_active()


def is_exported() -> bool:
    """Whether `torch.export` or `torch.onnx.export` makes a graph of this."""
    exporting = getattr(torch.compiler, "is_exporting", None)  # from PyTorch 2.7 on
    return torch.onnx.is_in_onnx_export() or (exporting is not None and exporting())


def is_observed() -> bool:
    """Whether PyTorch compiles, traces, transforms or counts the operations of this call."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined]
        or is_transformed()
        or private_torch.has_dispatch_mode()
        or private_torch.torch_function_modes() > 0
    )


def is_plain(value: Any) -> bool:
    """Whether a value is a plain tensor or no tensor: no subclass, no batch of gradients (`is_grads_batched`)."""
    return not isinstance(value, Tensor) or (
        type(value) in (Tensor, nn.Parameter) and not private_torch.is_legacy_batched(value)
    )
