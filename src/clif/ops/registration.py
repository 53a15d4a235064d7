"""How kernels become an operator of PyTorch, and which of its forms a call takes.

`torch.library` makes it known to `torch.compile`, `torch.export` and whatever else looks into a network, `torch.func`
wants another form of it. Both ways lead through much Python, which takes longer than a small kernel does; so a call
that is not observed goes straight to the kernels, as a `torch.autograd.Function`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from clif import private_torch
from clif.errors import InputError

AnyFunction = Callable[..., Any]


def keep_nothing(ctx: Any, inputs: Any, output: Any) -> None:
    """The `setup_context` of what has no derivative."""
    del ctx, inputs, output


def register(
    name: str,
    schema: str,
    compute: AnyFunction,
    fake: AnyFunction,
    backward: AnyFunction,
    setup_context: AnyFunction = keep_nothing,
) -> tuple[Any, AnyFunction]:
    """Register `clif::<name>`; returns the operator of `torch.library` and the function to call in its place.

    `compute` runs the kernels, `fake` makes outputs of the same shapes; `setup_context(ctx, inputs, output)` and
    `backward(ctx, *grads)` are those of `torch.library.register_autograd`.
    """
    library = torch.library.custom_op(f"clif::{name}", compute, mutates_args=(), schema=schema)
    library.register_fake(fake)
    library.register_autograd(backward, setup_context=setup_context)

    def compute_and_set_up(ctx, *inputs):
        output = compute(*inputs)
        setup_context(ctx, inputs, output)
        return output

    direct = _function(f"clif::{name}", forward=compute_and_set_up, backward=backward)
    transformable = _function(
        f"clif::{name}",
        generate_vmap_rule=True,
        forward=lambda *inputs: library(*inputs),
        setup_context=setup_context,
        backward=backward,
    )

    def call(*inputs):
        if is_transformed():
            return transformable(*inputs)
        if is_observed() or not all(map(is_plain, inputs)):
            return library(*inputs)
        return direct(*inputs)

    return library, call


def _function(name: str, **members: Any) -> AnyFunction:
    """`apply` of a `torch.autograd.Function` with these members; profilers show its name."""
    members["jvp"] = refuse_forward_mode
    fixed = {key: staticmethod(member) if callable(member) else member for key, member in members.items()}
    function: Any = type(name, (torch.autograd.Function,), fixed)
    return function.apply


def refuse_forward_mode(*_: Any) -> None:
    """The `jvp` of every function of kernels."""
    raise InputError(
        "the compiled kernels have no forward-mode derivative; "
        'use backward(), or backend="torch" (clif.set_backend(net, "torch"))'
    )


def is_transformed() -> bool:
    """Whether this runs inside `torch.func.vmap`, `grad` and the like, but not while `torch.compile` traces it."""
    return not torch.compiler.is_compiling() and private_torch.transforms_are_active()


def is_exported() -> bool:
    """Whether `torch.export` or `torch.onnx.export` makes a graph of this."""
    exporting = getattr(torch.compiler, "is_exporting", None)  # from PyTorch 2.7 on
    return torch.onnx.is_in_onnx_export() or (exporting is not None and exporting())


def is_observed() -> bool:
    """Whether someone compiles, traces, transforms or counts PyTorch's operations, which the kernels are not."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined]
        or is_transformed()
        or private_torch.has_dispatch_mode()
        or private_torch.torch_function_modes() > 0
    )


def is_plain(value: Any) -> bool:
    """Whether a value is no tensor or a mere one: no subclass, and no batch of gradients (`is_grads_batched`)."""
    return not isinstance(value, Tensor) or (
        type(value) in (Tensor, nn.Parameter) and not private_torch.is_legacy_batched(value)
    )
