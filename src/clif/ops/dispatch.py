"""Which backend computes a neuron. Asked for by name, a backend runs or raises; only "auto" chooses."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from clif.errors import unknown_name
from clif.ops import reference
from clif.ops.reference import State

MultiStep = Callable[..., tuple[Tensor, State]]

BACKENDS: dict[str, MultiStep] = {"torch": reference.multi_step}


def check_backend(backend: str) -> str:
    """`backend` itself; raises `InputError` when it is neither "auto" nor one that can run here."""
    if backend != "auto" and backend not in BACKENDS:
        raise unknown_name("backend", backend, ["auto", *BACKENDS])
    return backend


def multi_step(neuron: str, x_seq: Tensor, state: State, backend: str, **dynamics: Any) -> tuple[Tensor, State]:
    """Run `neuron` over x_seq [T, N, *] from `state` on a backend; returns the spikes [T, N, *] and the new state."""
    name = "torch" if check_backend(backend) == "auto" else backend
    return BACKENDS[name](neuron, x_seq, state, **dynamics)
