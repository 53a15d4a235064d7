"""Which backend computes a neuron. Asked for by name, a backend runs or raises; only "auto" chooses, and says why."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clif.errors import InputError, unknown_name
from clif.ops import cpu, norm, reference, triton, triton_norm
from clif.ops.constants import learnt_constant
from clif.ops.norm import Norm
from clif.ops.reference import State, SurrogateFunction

MultiStep = Callable[..., tuple[Tensor, State]]


class Availability(NamedTuple):
    """Whether a backend can run on this machine, and in words how, or why not."""

    available: bool
    detail: str


@dataclass(frozen=True)
class Backend:
    """A way to compute neurons.

    `multi_step` has the signature of `reference.multi_step`. `unavailable()` says why the backend cannot run on this
    machine, `refuses(x_seq, surrogate_function)` why it does not take an input; both None if it can.
    `norm_multi_step` does a batch norm and the neuron behind it at once (see `clif.ops.norm`), where the backend can,
    and `refuses_norm(x_seq, norm)` says why not for an input.
    """

    multi_step: MultiStep
    detail: str
    unavailable: Callable[[], str | None]
    refuses: Callable[[Tensor, SurrogateFunction], str | None]
    norm_multi_step: Callable[..., tuple[Tensor, State, Tensor, Tensor]] | None = None
    refuses_norm: Callable[[Tensor, Norm], str | None] | None = None


def _never(*_: Any) -> None:
    return None


BACKENDS: dict[str, Backend] = {
    "cpu": Backend(
        cpu.multi_step, cpu.DESCRIPTION, cpu.unavailable, cpu.refuses, cpu.norm_multi_step, cpu.refuses_norm
    ),
    "triton": Backend(
        triton.multi_step,
        triton.DESCRIPTION,
        triton.unavailable,
        triton.refuses,
        triton_norm.norm_multi_step,
        norm.refuses,
    ),
    "torch": Backend(reference.multi_step, "plain PyTorch on any device, the reference", _never, _never),
}


def backends() -> dict[str, Availability]:
    """Every backend by name, whether it can run on this machine, and how or why not."""
    return {
        name: Availability(True, backend.detail)
        if (reason := backend.unavailable()) is None
        else Availability(False, reason)
        for name, backend in BACKENDS.items()
    }


def check_backend(backend: str) -> str:
    """`backend` itself; raises `InputError` when it is neither "auto" nor one that can run here."""
    if backend == "auto":
        return backend
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, ["auto", *BACKENDS])
    if (reason := BACKENDS[backend].unavailable()) is not None:
        raise InputError(f"backend {backend!r} cannot run here: {reason}")
    return backend


def choose(x_seq: Tensor, surrogate_function: SurrogateFunction, learnt: str | None = None) -> tuple[str, str]:
    """The backend that "auto" takes for this input, and why; `learnt` is a constant that has a gradient."""
    reasons: list[str] = []
    for name, backend in BACKENDS.items():
        reason = backend.unavailable() or _refusal(name, x_seq, surrogate_function, learnt)
        if reason is None:
            return name, "; ".join(reasons) or "the fastest for this input"
        reasons.append(f"not {name}: {reason}")
    raise AssertionError("the reference takes every input")


def multi_step(
    neuron: str, x_seq: Tensor, state: State, backend: str, keep_state: bool, **dynamics: Any
) -> tuple[Tensor, State]:
    """Run `neuron` over x_seq [T, N, *] from `state` on a backend; returns the spikes [T, N, *] and the new state."""
    chosen = _resolve(x_seq, backend, dynamics)
    return chosen.multi_step(neuron, x_seq, state, keep_state, **dynamics)


def norm_multi_step(
    neuron: str, x_seq: Tensor, norm: Norm, state: State, backend: str, keep_state: bool, **dynamics: Any
) -> tuple[Tensor, State, Tensor, Tensor]:
    """A batch norm and `neuron` at once; see `clif.ops.norm.create`. Only for what `fuses_norm` takes."""
    fused = _resolve(x_seq, backend, dynamics).norm_multi_step
    assert fused is not None
    return fused(neuron, x_seq, norm, state, keep_state, **dynamics)


def fuses_norm(x_seq: Tensor, norm: Norm, backend: str, dynamics: Mapping[str, Any]) -> bool:
    """Whether the backend that would compute this input does the batch norm before the neuron in the same kernels."""
    refuses_norm = _resolve(x_seq, backend, dynamics).refuses_norm
    return refuses_norm is not None and refuses_norm(x_seq, norm) is None


def _resolve(x_seq: Tensor, backend: str, dynamics: Mapping[str, Any]) -> Backend:
    surrogate_function, learnt = dynamics["surrogate_function"], learnt_constant(dynamics)
    if check_backend(backend) == "auto":
        backend, _ = choose(x_seq, surrogate_function, learnt)
        if x_seq.device.type == "cpu" and not torch.compiler.is_compiling():
            _warn_if_not_compiled()
    elif (reason := _refusal(backend, x_seq, surrogate_function, learnt)) is not None:
        raise InputError(f'backend {backend!r} cannot take this: {reason}; backend="auto" or "torch" can')
    return BACKENDS[backend]


def _refusal(name: str, x_seq: Tensor, surrogate_function: SurrogateFunction, learnt: str | None) -> str | None:
    """Why a backend does not take this, or None if it does."""
    if learnt is not None and name != "torch":
        plif = " (PLIFNode learns its own there)" if learnt == "tau" else ""
        return f"{learnt} is learnt, and the kernels have no gradient for it{plif}"
    if name != "torch" and torch.onnx.is_in_onnx_export():
        return "ONNX does not know the kernels"
    return BACKENDS[name].refuses(x_seq, surrogate_function)


_warned = False


def _warn_if_not_compiled() -> None:
    """Say once that neurons on the CPU are slow here, and the mend."""
    global _warned
    if not _warned and (reason := BACKENDS["cpu"].unavailable()) is not None:
        _warned = True
        warnings.warn(f'backend "auto" computes neurons in plain PyTorch: {reason}', RuntimeWarning, stacklevel=4)
