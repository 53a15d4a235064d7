"""Neurons by generated kernels: the shared part of the backends "cpu" and "triton"."""

from torch import Tensor

from clif.ops import neuron
from clif.ops.equations import Equations, State
from clif.ops.norm import Norm


def multi_step(
    backend: str, equations: Equations, x_seq: Tensor, state: State, keep_state: bool
) -> tuple[Tensor, State]:
    """Like `clif.ops.reference.multi_step`, by the kernels of a backend."""
    spike_seq, last = _run(backend, equations, x_seq, state, [], 0.0, keep_state)
    return spike_seq, tuple(last)


def norm_multi_step(
    backend: str, equations: Equations, x_seq: Tensor, norm: Norm, state: State, keep_state: bool
) -> tuple[Tensor, State, Tensor | None, Tensor | None]:
    """A batch norm and the neuron after it over x_seq [T, N, C, H, W] from `state`.

    Returns the spikes, the last state (empty unless it is to be kept), and the mean and biased variance [T, C] of every
    step, which are None if the norm came with fixed ones, and have no gradient.
    """
    fixed = [] if norm.mean is None or norm.var is None else [norm.mean, norm.var]
    tensors = [norm.weight, norm.bias, *fixed]
    spike_seq, extra = _run(backend, equations, x_seq, state, tensors, norm.eps, keep_state)
    last = tuple(extra[: len(state)]) if keep_state else ()
    mean, var = (None, None) if fixed else extra[-2:]
    return spike_seq, last, mean, var


def _run(
    backend: str,
    equations: Equations,
    x_seq: Tensor,
    state: State,
    norm: list[Tensor],
    eps: float,
    keep_state: bool,
) -> tuple[Tensor, list[Tensor]]:
    plan = equations.plan
    learnables = equations.coefficients(x_seq[0])
    coefficients = plan.prologue.coefficients(learnables, plan.constants) if learnables else []
    spike_seq, extra = neuron.run(
        x_seq, list(state), coefficients, norm, eps, plan.text, list(plan.constants), keep_state, backend
    )
    return spike_seq, list(extra)
