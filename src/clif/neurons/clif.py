"""Complementary leaky integrate-and-fire, the neuron of Huang et al., ICML 2024 (arXiv 2402.04663)."""

from typing import Any

import torch

from clif.neurons.base import SpikingNeuron
from clif.neurons.leak import charge
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant, check_constants
from clif.surrogate import AnySurrogate


@register_neuron("CLIF")
class CLIFNode(SpikingNeuron):
    """LIF with a complementary potential m, a second path for the temporal gradient that adds no parameter:

        u = v·(1 − 1/τ) + x;   m ← m·σ(u/τ);   s = Θ(u − v_threshold);   m ← m + s;   v = u − s·(v_threshold + σ(m))

    m grows with each spike and decays by a factor that follows the membrane potential. A neuron that fired often is
    reset further. `tau` > 1 is the membrane time constant in steps, `decay_input` divides the input by τ as well. For
    all other arguments, shapes and errors see `SpikingNeuron`.

    >>> node = clif.CLIFNode(tau=2.0, step_mode="m")
    >>> node(torch.full((6, 1, 1), 0.9)).flatten()  # [T, N, *] in, spikes [T, N, *] out
    tensor([0., 1., 0., 1., 0., 1.])
    >>> node.v, node.m  # the state after the last step, kept until clif.reset_net(node)
    (tensor([[-0.6063]]), tensor([[1.5173]]))
    """

    states = {"v": 0.0, "m": 0.0}
    macs_per_step = 6

    def __init__(
        self,
        tau: Constant = 2.0,
        decay_input: bool = False,
        v_threshold: Constant = 1.0,
        v_reset: Constant | None = None,
        surrogate_function: AnySurrogate | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str = "auto",
        store_v_seq: bool = False,
    ) -> None:
        check_constants(tau, v_threshold, v_reset)
        super().__init__(v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq)
        self.tau = tau
        self.decay_input = decay_input

    def check(self) -> None:
        check_constants(self.tau, self.v_threshold, self.v_reset)

    def step(self, x: Any, v: Any, m: Any) -> tuple[Any, ...]:
        u = charge(x, v, 1.0 / self.tau, self.decay_input, self.v_reset)
        m = m * torch.sigmoid(u / self.tau)
        spike = self.fire(u)
        m = m + spike
        v = self.reset_after(u, spike) - self.in_reset(spike) * torch.sigmoid(m)
        return spike, v, m
