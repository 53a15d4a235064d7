"""The gradient through time of a layer of neurons, term by term: by autograd for any neuron, in closed form for two.

A layer of spikes s[t] receives the gradient g[t] = dL/ds[t] from the layers after it. Its own dynamics propagate it
back:

    dL/dx[t] = Σ_{t' ≥ t} C[t, t'],   C[t, t'] = g[t'] · ∂s[t']/∂x[t] at fixed s of all other neurons.

C[t, t] is the gradient through space alone; C[t, t'] with t' > t comes from t' − t steps later, through the states. For
CLIF these are the terms of Eq. 20 of its paper (Huang et al., ICML 2024), for LIF those that the paper compares with.
There u[t] = (1 − 1/τ)·v + x[t], so dL/du[t] = dL/dx[t]; this module uses x, which every neuron has.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from clif.errors import InputError
from clif.neurons import CLIFNode, LIFNode, SpikingNeuron
from clif.ops.constants import value_of
from clif.ops.equations import State

MEMBRANE = "v"
"""The state whose path through time is separated from those of the other states."""


def gradient_terms(
    node: SpikingNeuron, x_seq: Tensor, grad_seq: Tensor, start: State | None = None, membrane_only: bool = False
) -> Tensor:
    """The terms C[t, t'] of a neuron's gradient by autograd, [T, T, N, *]; 0 where t' < t.

    Args:
        node: any neuron that defines a `step`.
        x_seq: its input [T, N, *]; float64 gives exact sums.
        grad_seq: dL/ds [T, N, *] of its spikes.
        start: its state before the first step, None at rest.
        membrane_only: leave out the paths through states other than v, which for CLIF is the complementary path through
            m.

    The sum over t' is autograd's gradient for x_seq.

        >>> node, x_seq = clif.CLIFNode(), torch.rand(4, 2, 3)
        >>> terms = clif.analysis.gradient_terms(node, x_seq, torch.ones(4, 2, 3))  # [4, 4, 2, 3]
    """
    terms = x_seq.new_zeros(len(x_seq), *x_seq.shape)
    for later, parts in each_term(node, x_seq, grad_seq, start, membrane_only):
        for t, part in enumerate(parts):
            terms[t, later] = part
    return terms


def each_term(
    node: SpikingNeuron, x_seq: Tensor, grad_seq: Tensor, start: State | None, membrane_only: bool = False
) -> Iterator[tuple[int, list[Tensor]]]:
    """t' and the terms C[0, t'], …, C[t', t'], [N, *] each, for every t' from the first step to the last."""
    with torch.enable_grad():
        steps = [x.detach().requires_grad_() for x in x_seq.unbind(0)]
        equations = node.equations()
        one_step, state = equations.one_step(steps[0]), equations.start(steps[0], start)
        state = tuple([part.detach() for part in state])
        names = node.state_names
        for later, x in enumerate(steps):
            spikes, state = one_step(x, state)
            if membrane_only:
                state = tuple([s if name == MEMBRANE else s.detach() for name, s in zip(names, state, strict=True)])
            inputs = steps[: later + 1]
            if not spikes.requires_grad:
                yield later, [torch.zeros_like(x) for x in inputs]
                continue
            found = torch.autograd.grad(spikes, inputs, grad_seq[later], retain_graph=True, allow_unused=True)
            yield later, [torch.zeros_like(x) if part is None else part for part, x in zip(found, inputs, strict=True)]


def closed_form_terms(node: SpikingNeuron, x_seq: Tensor, grad_seq: Tensor, membrane_only: bool = False) -> Tensor:
    """`gradient_terms` of a LIF or CLIF neuron at rest from the formulas, [T, T, N, *].

    With h[t] the surrogate's derivative at u[t] − v_threshold, γ = 1 − 1/τ, and c = 1, or 1/τ with `decay_input`:

        LIF:   C[t, t'] = g[t']·h[t']·Π_{k=t}^{t'−1} ε[k]·c,   ε = ∂u[k+1]/∂u[k] = γ·(1 − v_subtract·h[k])
        CLIF:  C[t, t'] = g[t']·h[t']·(1, 0)·J[t'−1]⋯J[t]·(1, 0)ᵀ·c

               J = | γ·∂v/∂u   γ·∂v/∂m⁻ |    ∂m/∂u = m⁻·σ′(u/τ)/τ + h,   ∂m/∂m⁻ = σ(u/τ)
                   |   ∂m/∂u     ∂m/∂m⁻ |    ∂v/∂u = 1 − h·(v_threshold + σ(m)) − s·σ′(m)·∂m/∂u
                                             ∂v/∂m⁻ = −s·σ′(m)·∂m/∂m⁻

    where m⁻ is m before the step and σ′ = σ·(1 − σ). The upper left element of J is the path through the membrane
    potential alone; all else goes through m. A hard reset has (1 − s)·u + s·v_reset instead of u − s·v_threshold;
    `detach_reset` sets h = 0 in the reset.

    Raises `InputError` for another neuron.

    >>> x_seq, grad_seq = torch.rand(4, 2, 3, dtype=torch.float64), torch.ones(4, 2, 3, dtype=torch.float64)
    >>> terms = clif.analysis.closed_form_terms(clif.CLIFNode(), x_seq, grad_seq)
    >>> torch.allclose(terms, clif.analysis.gradient_terms(clif.CLIFNode(), x_seq, grad_seq))
    True
    """
    if type(node) not in (LIFNode, CLIFNode):
        raise InputError(f"formulas exist for LIFNode and CLIFNode, not for {type(node).__name__}")
    has_m = isinstance(node, CLIFNode)
    tau, threshold = value_of(node.tau), value_of(node.v_threshold)
    assert tau is not None
    assert threshold is not None
    gamma, gain = 1 - 1 / tau, 1 / tau if node.decay_input else 1.0
    v_reset = value_of(node.v_reset)
    given = None if has_m else value_of(node.v_subtract)
    subtract = threshold if given is None else given
    v = torch.full_like(x_seq[0], v_reset or 0.0)
    m = torch.zeros_like(v)
    terms = x_seq.new_zeros(len(x_seq), *x_seq.shape)
    to_u: list[Tensor] = []  # ∂u[t]/∂u[k] for every k ≤ t
    to_m: list[Tensor] = []  # ∂m⁻[t]/∂u[k]
    for t, x in enumerate(x_seq):
        u = gamma * v + gain * x + (v_reset or 0.0) / tau
        h = node.surrogate_function.derivative(u - threshold)
        s = (u >= threshold).to(u.dtype)
        to_u.append(torch.ones_like(u))
        to_m.append(torch.zeros_like(u))
        for k in range(t + 1):
            terms[k, t] = grad_seq[t] * h * to_u[k] * gain
        in_reset = torch.zeros_like(h) if node.detach_reset else h
        if v_reset is None:
            v, v_by_u = u - s * subtract, 1 - in_reset * subtract
        else:
            v, v_by_u = (1 - s) * u + s * v_reset, 1 - s + in_reset * (v_reset - u)
        v_by_m = torch.zeros_like(u)
        if has_m:
            decay = torch.sigmoid(u / tau)
            m_by_u = m * decay * (1 - decay) / tau + h
            m = m * decay + s
            excess = torch.sigmoid(m)
            slope = excess * (1 - excess)
            v = v - s * excess
            v_by_u = v_by_u - in_reset * excess - s * slope * m_by_u
            v_by_m = -s * slope * decay
            to_m, old = [decay * by_m + m_by_u * by_u for by_m, by_u in zip(to_m, to_u, strict=True)], to_m
        else:
            old = to_m
        to_u = [gamma * (v_by_u * by_u + v_by_m * by_m) for by_u, by_m in zip(to_u, old, strict=True)]
        if membrane_only:
            to_m = [torch.zeros_like(by_m) for by_m in to_m]
    return terms
