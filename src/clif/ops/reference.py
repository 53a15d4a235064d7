"""The neurons' equations in plain PyTorch: the readable reference that every faster backend must equal.

One step, from the input x[t] and the states v, m (Huang et al., ICML 2024, algorithm 1):

    charge   u = v·(1 − 1/τ) + x        with decay_input: x/τ instead of x; hard reset: the leak is towards v_reset
    forming  m ← m · σ(u/τ)                                                                              (CLIF only)
    fire     s = Θ(u − v_threshold)
    growing  m ← m + s                                                                                   (CLIF only)
    reset    soft: v = u − s·v_subtract    hard: v = (1 − s)·u + s·v_reset    and for CLIF  v ← v − s·σ(m)

Gradients are autograd's through each of these operations, with the surrogate in place of dΘ. `float16` and `bfloat16`
inputs are computed in float32 and their states kept in float32; the spikes come back in the input's dtype.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from clif.ops.constants import Constant
from clif.surrogate import Surrogate

State = tuple[Tensor, ...]
SurrogateFunction = Surrogate | Callable[[Tensor], Tensor]


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which a neuron computes and keeps its state, for inputs of `dtype`."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _charge(x: Tensor, v: Tensor, leak: float | Tensor, decay_input: bool, v_reset: Constant | None) -> Tensor:
    """u after one step, where `leak` is 1/τ."""
    if decay_input:
        x = x * leak
    if v_reset is None:
        return v * (1 - leak) + x
    return v - (v - v_reset) * leak + x


def _reset(u: Tensor, s: Tensor, v_subtract: Constant, v_reset: Constant | None) -> Tensor:
    return u - s * v_subtract if v_reset is None else (1 - s) * u + s * v_reset


def clif_step(
    x: Tensor,
    state: State,
    *,
    tau: Constant,
    decay_input: bool,
    v_threshold: Constant,
    v_reset: Constant | None,
    surrogate_function: SurrogateFunction,
    detach_reset: bool,
) -> tuple[Tensor, State]:
    """One step of CLIF: x [N, *], state (v, m) -> spikes [N, *], new (v, m)."""
    v, m = state
    u = _charge(x.to(v.dtype), v, 1.0 / tau, decay_input, v_reset)
    m = m * torch.sigmoid(u / tau)
    spike = surrogate_function(u - v_threshold)
    m = m + spike
    s = spike.detach() if detach_reset else spike
    v = _reset(u, s, v_threshold, v_reset) - s * torch.sigmoid(m)
    return spike.to(x.dtype), (v, m)


def lif_step(
    x: Tensor,
    state: State,
    *,
    tau: Constant,
    decay_input: bool,
    v_threshold: Constant,
    v_reset: Constant | None,
    surrogate_function: SurrogateFunction,
    detach_reset: bool,
    v_subtract: Constant | None,
) -> tuple[Tensor, State]:
    """One step of LIF: x [N, *], state (v,) -> spikes [N, *], new (v,)."""
    return _leaky_step(
        x, state, 1.0 / tau, decay_input, v_threshold, v_reset, surrogate_function, detach_reset, v_subtract
    )


def plif_step(
    x: Tensor,
    state: State,
    *,
    w: Tensor,
    decay_input: bool,
    v_threshold: Constant,
    v_reset: Constant | None,
    surrogate_function: SurrogateFunction,
    detach_reset: bool,
) -> tuple[Tensor, State]:
    """One step of PLIF: LIF with 1/τ = σ(w). x [N, *], state (v,), w a scalar tensor -> spikes [N, *], new (v,)."""
    leak = torch.sigmoid(w.to(state[0].dtype))
    return _leaky_step(x, state, leak, decay_input, v_threshold, v_reset, surrogate_function, detach_reset, None)


def _leaky_step(
    x: Tensor,
    state: State,
    leak: float | Tensor,
    decay_input: bool,
    v_threshold: Constant,
    v_reset: Constant | None,
    surrogate_function: SurrogateFunction,
    detach_reset: bool,
    v_subtract: Constant | None,
) -> tuple[Tensor, State]:
    (v,) = state
    u = _charge(x.to(v.dtype), v, leak, decay_input, v_reset)
    spike = surrogate_function(u - v_threshold)
    s = spike.detach() if detach_reset else spike
    v = _reset(u, s, v_threshold if v_subtract is None else v_subtract, v_reset)
    return spike.to(x.dtype), (v,)


STEPS: dict[str, Callable[..., tuple[Tensor, State]]] = {"CLIF": clif_step, "LIF": lif_step, "PLIF": plif_step}


def multi_step(
    neuron: str, x_seq: Tensor, state: State, keep_state: bool = True, **dynamics: Any
) -> tuple[Tensor, State]:
    """A whole sequence: x_seq [T, N, *], state of shapes [N, *] -> spikes [T, N, *], the state after the last step.

    Without `keep_state` the state returned is empty, which spares the kernels its computation.
    """
    step = STEPS[neuron]
    spikes = []
    for x in x_seq.unbind(0):
        spike, state = step(x, state, **dynamics)
        spikes.append(spike)
    return stack_steps(spikes), state if keep_state else ()


def stack_steps(steps: list[Tensor]) -> Tensor:
    """T tensors [N, *] -> [T, N, *], in the memory layout of the steps (channels_last stays channels_last)."""
    return torch.cat(steps).unflatten(0, (len(steps), steps[0].shape[0]))
