"""The constants of a neuron: numbers, or tensors of one element, which may be learnt."""

import math
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
                "put a gain per channel into the batch norm or convolution before the neuron"
            )
        return value.reshape(()) if _stays_tensor(value) else float(value.detach().item())
    try:
        if not isinstance(value, str):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise InputError(f"{name} must be a number, got {value!r}")


def value_of(constant: Constant | None) -> float | None:
    """A constant as a number; None if it is None, or a tensor whose value cannot be read now."""
    if not isinstance(constant, Tensor):
        return constant
    return None if _is_unreadable(constant) else float(constant.detach().item())


def _stays_tensor(value: Tensor) -> bool:
    return (value.requires_grad and torch.is_grad_enabled()) or _is_unreadable(value)


def _is_unreadable(value: Tensor) -> bool:
    """Whether a tensor is traced, transformed or has no data."""
    return torch.compiler.is_compiling() or private_torch.is_wrapped_by_functorch(value) or value.is_meta


def check_constants(tau: Any, v_threshold: Any, v_reset: Any, v_subtract: Any = None) -> None:
    """Raise `InputError` for constants out of range; None means that the neuron lacks the constant."""
    given = zip(CONSTANTS, (tau, v_threshold, v_reset, v_subtract), strict=True)
    _check_values(*(None if value is None else as_constant(name, value) for name, value in given))


def check_number(name: str, value: Any, above: float = -math.inf, below: float = math.inf) -> None:
    """Raise `InputError` unless `value` is a finite number between the bounds, which are excluded."""
    number = value_of(as_constant(name, value))
    if number is not None and not above < number < below:
        wanted = "between {} and {}" if below < math.inf else "greater than {}" if above > -math.inf else ""
        raise InputError(f"{name} must be a finite number {wanted.format(above, below)}".rstrip() + f", got {number}")


def _check_values(*constants: Constant | None) -> None:
    tau, v_threshold, v_reset, v_subtract = map(value_of, constants)
    if tau is not None and not (math.isfinite(tau) and tau > 1):
        learnt = "; PLIFNode learns a time constant that stays above 1" if isinstance(constants[0], Tensor) else ""
        raise InputError(
            f"tau must be a finite number greater than 1 (tau = 1 has no memory), got {tau}; try tau=2.0" + learnt
        )
    if v_threshold is not None and not math.isfinite(v_threshold):
        raise InputError(f"v_threshold must be a finite number, got {v_threshold}")
    if v_reset is not None and not -math.inf < v_reset < (math.inf if v_threshold is None else v_threshold):
        raise InputError(
            f"v_reset must be a finite number below v_threshold={v_threshold}, got {v_reset}; "
            "use v_reset=None for a soft reset"
        )
    if v_subtract is not None and not math.isfinite(v_subtract):
        raise InputError(f"v_subtract must be a finite number, got {v_subtract}")
    if constants[3] is not None and constants[2] is not None:
        raise InputError("v_subtract needs the soft reset; give either v_subtract or v_reset, not both")
