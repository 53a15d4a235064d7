"""CLIF that learns its time constant."""

from typing import Any

import torch

from clif.neurons.leak import charge
from clif.neurons.learnt_tau import LearntTau
from clif.neurons.registry import register_neuron


@register_neuron("CLIFTau")
class CLIFTauNode(LearntTau):
    """CLIF with 1/τ = σ(w), where the scalar parameter w is learnt and starts at −ln(init_tau − 1):

        u = v·(1 − σ(w)) + x;  m ← m·σ(u·σ(w));  s = Θ(u − v_threshold);  m ← m + s;  v = u − s·(v_threshold + σ(m))

    The leak of v and the decay of m both follow τ. `init_tau` > 1; `decay_input` divides the input by τ as well. For
    all other arguments, shapes and errors see `SpikingNeuron`. Source: CLIF of Huang et al., ICML 2024 (arXiv
    2402.04663), with the time constant of parametric LIF (Fang et al., ICCV 2021).

    >>> node = clif.CLIFTauNode(init_tau=2.0, step_mode="m")
    >>> node(torch.full((6, 1, 1), 0.9)).flatten()
    tensor([0., 1., 0., 1., 0., 1.], grad_fn=<ViewBackward0>)
    """

    states = {"v": 0.0, "m": 0.0}

    def step(self, x: Any, v: Any, m: Any, w: Any) -> tuple[Any, ...]:
        leak = torch.sigmoid(w)
        u = charge(x, v, leak, self.decay_input, self.v_reset)
        m = m * torch.sigmoid(u * leak)
        spike = self.fire(u)
        m = m + spike
        v = self.reset_after(u, spike) - self.in_reset(spike) * torch.sigmoid(m)
        return spike, v, m
