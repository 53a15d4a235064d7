"""The constants of a neuron as people give them: numbers, or tensors of one element, which may be learnt."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from clif import private_torch
from clif.errors import InputError

Constant = float | Tensor

CONSTANTS = ("tau", "v_threshold", "v_reset", "v_subtract")


def as_constant(name: str, value: Any) -> Constant:
    """`value` as a number, or as a tensor of shape [] if it is learnt; raises `InputError` for anything else."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise InputError(
                f"{name} must be one number for all neurons of a layer, got a tensor of shape {list(value.shape)}; "
                "a gain a channel belongs into the batch norm or convolution before the neuron"
            )
        return value.reshape(()) if _stays_tensor(value) else float(value.detach().item())
    try:
        if not isinstance(value, str):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise InputError(f"{name} must be a number, got {value!r}")


def value_of(constant: Constant | None) -> float | None:
    """A constant as a number; None where it is None, or a tensor whose value cannot be read now."""
    if not isinstance(constant, Tensor):
        return constant
    return None if _is_unreadable(constant) else float(constant.detach().item())


def learnt_constant(dynamics: Mapping[str, Any]) -> str | None:
    """The name of a constant that is still a tensor after `as_constant`, or None."""
    for name in CONSTANTS:
        if isinstance(dynamics.get(name), Tensor):
            return name
    return None


def _stays_tensor(value: Tensor) -> bool:
    return (value.requires_grad and torch.is_grad_enabled()) or _is_unreadable(value)


def _is_unreadable(value: Tensor) -> bool:
    """Whether a tensor is traced, transformed or has no data."""
    return torch.compiler.is_compiling() or private_torch.is_wrapped_by_functorch(value) or value.is_meta
