"""The choice of the backend for a neuron. A backend set by name runs or raises; only "auto" chooses, with a reason."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clif.errors import InputError, unknown_name
from clif.ops import cpu, cpu_neuron, kernels, norm, reference, triton
from clif.ops.equations import Equations, State
from clif.ops.norm import Norm


class Availability(NamedTuple):
    """Whether a backend can run on this machine, and how, or the reason why not."""

    available: bool
    detail: str


@dataclass(frozen=True)
class Backend:
    """A way to compute neurons.

    `multi_step` has the signature of `reference.multi_step`. `unavailable()` says why the backend cannot run on this
    machine, `refuses(x_seq, equations)` why it does not take an input; both are None if it can. `norm_multi_step`
    computes a batch norm and the neuron after it at once (see `clif.ops.kernels`), if the backend can, and
    `refuses_norm(x_seq, norm)` gives the reason why not for an input.
    """

    multi_step: Callable[[Equations, Tensor, State, bool], tuple[Tensor, State]]
    detail: str
    unavailable: Callable[[], str | None]
    refuses: Callable[[Tensor, Equations], str | None]
    norm_multi_step: Callable[..., tuple[Tensor, State, Tensor | None, Tensor | None]] | None = None
    refuses_norm: Callable[[Tensor, Norm], str | None] | None = None


def _never(*_: Any) -> None:
    return None


BACKENDS: dict[str, Backend] = {
    "cpu": Backend(
        partial(kernels.multi_step, "cpu"),
        cpu.DESCRIPTION,
        cpu.unavailable,
        cpu_neuron.refuses,
        partial(kernels.norm_multi_step, "cpu"),
        cpu.refuses_norm,
    ),
    "triton": Backend(
        partial(kernels.multi_step, "triton"),
        triton.DESCRIPTION,
        triton.unavailable,
        triton.refuses,
        partial(kernels.norm_multi_step, "triton"),
        norm.refuses,
    ),
    "torch": Backend(reference.multi_step, "plain PyTorch on any device, the reference", _never, _never),
}


def backends() -> dict[str, Availability]:
    """All backends by name: whether each can run on this machine, and how or why not.

    >>> clif.backends()["torch"].available
    True
    """
    return {
        name: Availability(True, backend.detail)
        if (reason := backend.unavailable()) is None
        else Availability(False, reason)
        for name, backend in BACKENDS.items()
    }


def check_backend(backend: str) -> str:
    """`backend` itself. Raises `InputError` unless it is "auto" or a backend that can run here."""
    if backend == "auto":
        return backend
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, ["auto", *BACKENDS])
    if (reason := BACKENDS[backend].unavailable()) is not None:
        raise InputError(f"backend {backend!r} cannot run here: {reason}")
    return backend


def choose(x_seq: Tensor, equations: Equations) -> tuple[str, str]:
    """The backend that "auto" takes for this input, and why not a faster one ("" if there is none)."""
    reasons: list[str] = []
    for name, backend in BACKENDS.items():
        reason = backend.unavailable() or _refusal(name, x_seq, equations)
        if reason is None:
            return name, "; ".join(reasons)
        reasons.append(f"not {name}: {reason}")
    raise AssertionError("the reference takes every input")


def multi_step(
    equations: Equations, x_seq: Tensor, state: State, backend: str, keep_state: bool
) -> tuple[Tensor, State]:
    """A layer of neurons over x_seq [T, N, *] from `state` on a backend: the spikes [T, N, *] and the new state."""
    return _resolve(x_seq, backend, equations).multi_step(equations, x_seq, state, keep_state)


def norm_multi_step(
    equations: Equations, x_seq: Tensor, norm: Norm, state: State, backend: str, keep_state: bool
) -> tuple[Tensor, State, Tensor | None, Tensor | None]:
    """A batch norm and a layer of neurons at once (see `clif.ops.kernels`), for inputs that `fuses_norm` accepts."""
    fused = _resolve(x_seq, backend, equations).norm_multi_step
    assert fused is not None
    return fused(equations, x_seq, norm, state, keep_state)


def fuses_norm(x_seq: Tensor, norm: Norm, backend: str, equations: Equations) -> bool:
    """Whether the backend for this input computes the batch norm before the neuron in the same kernels."""
    refuses_norm = _resolve(x_seq, backend, equations).refuses_norm
    return refuses_norm is not None and refuses_norm(x_seq, norm) is None


def has_kernels(x_seq: Tensor, backend: str, equations: Equations) -> bool:
    """Whether kernels compute this input on the backend, and not plain PyTorch."""
    return _resolve(x_seq, backend, equations) is not BACKENDS["torch"]


def _resolve(x_seq: Tensor, backend: str, equations: Equations) -> Backend:
    if check_backend(backend) == "auto":
        backend, _ = choose(x_seq, equations)
        if backend == "torch" and x_seq.device.type == "cpu" and not torch.compiler.is_compiling():
            _warn_if_not_compiled(equations, x_seq)
    elif (reason := _refusal(backend, x_seq, equations)) is not None:
        raise InputError(f'backend {backend!r} cannot take this: {reason}; backend="auto" or "torch" can')
    return BACKENDS[backend]


def _refusal(name: str, x_seq: Tensor, equations: Equations) -> str | None:
    """Why a backend does not take this input, or None if it does."""
    if name == "torch":
        return None
    if equations.plan.refusal is not None:
        return equations.plan.refusal
    if torch.onnx.is_in_onnx_export():
        return "ONNX has no such kernels"
    return BACKENDS[name].refuses(x_seq, equations)


_warned: set[str] = set()


def _warn_if_not_compiled(equations: Equations, x_seq: Tensor) -> None:
    """Warn once that neurons on the CPU are slow here, and say what to do."""
    reason = BACKENDS["cpu"].unavailable() or cpu_neuron.missing_unit(x_seq, equations)
    if reason is not None and reason not in _warned:
        _warned.add(reason)
        warnings.warn(f'backend "auto" computes neurons in plain PyTorch: {reason}', RuntimeWarning, stacklevel=5)
