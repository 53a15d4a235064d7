"""Parametric LIF (Fang et al., ICCV 2021): LIF that learns its time constant."""

from typing import Any

import torch

from clif.neurons.leak import charge
from clif.neurons.learnt_tau import LearntTau
from clif.neurons.registry import register_neuron


@register_neuron("PLIF")
class PLIFNode(LearntTau):
    """LIF with 1/τ = σ(w), where the scalar parameter w is learnt and starts at −ln(init_tau − 1).

    `init_tau` > 1; `decay_input` divides the input by τ as well. For all other arguments, shapes and errors see
    `SpikingNeuron`.

    >>> node = clif.PLIFNode(init_tau=2.0, step_mode="m")
    >>> node(torch.full((6, 1, 1), 0.9)).sum().backward()
    >>> node.w.grad is not None  # the time constant is learnt
    True
    """

    states = {"v": 0.0}
    macs_per_step = 2

    def step(self, x: Any, v: Any, w: Any) -> tuple[Any, ...]:
        u = charge(x, v, torch.sigmoid(w), self.decay_input, self.v_reset)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)
