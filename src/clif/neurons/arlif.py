"""Adaptive reset leaky integrate-and-fire (Huang et al., 2025, arXiv 2507.20746)."""

from typing import Any

import torch
from torch import nn

from clif.neurons.base import SpikingNeuron
from clif.neurons.leak import charge
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant, check_constants
from clif.surrogate import AnySurrogate


@register_neuron("ARLIF")
class ARLIFNode(SpikingNeuron):
    """LIF whose threshold follows the input, and whose reset follows a memory m of input and spikes:

        u = v·(1 − 1/τ) + x;   h = tanh(a)·tanh(x);   s = Θ(u − v_threshold − h)
        m ← max(0, m)·σ(c·x) − max(0, −m)·(1 − σ(c·x));   m ← m + s·σ(x) − (1 − s)·σ(x)
        v = u − s·(v_threshold + h + σ(m))

    The scalar parameters a and c are learnt and start at 0 and 1. With a `v_reset`, v is v_reset − σ(m) after a spike,
    as in CLIF.

    Args:
        tau: membrane time constant in steps, > 1. Default: 2.
        decay_input: divide the input by τ in u. Default: False.

    For all other arguments, shapes and errors see `SpikingNeuron`. Raises `InputError` for a `tau` that is not above 1.

    Source: Huang, Meng, Liu, Chen & Ma, "AR-LIF: Adaptive reset leaky integrate-and-fire neuron for spiking neural
    networks", 2025, as in its published code, which has only the soft reset. SpikingJelly has no such neuron.

    >>> node = clif.ARLIFNode(step_mode="m")
    >>> node(torch.full((6, 1, 1), 1.2)).flatten()
    tensor([1., 0., 1., 1., 0., 1.], grad_fn=<ViewBackward0>)
    """

    states = {"v": 0.0, "m": 0.0}
    learnable = {"a": "layer", "c": "layer"}

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
        self.a = nn.Parameter(torch.tensor(0.0))
        self.c = nn.Parameter(torch.tensor(1.0))

    def check(self) -> None:
        check_constants(self.tau, self.v_threshold, self.v_reset)

    def step(self, x: Any, v: Any, m: Any, a: Any, c: Any) -> tuple[Any, ...]:
        u = charge(x, v, 1.0 / self.tau, self.decay_input, self.v_reset)
        threshold = self.v_threshold + torch.tanh(a) * torch.tanh(x)
        spike = self.fire(u, threshold)
        kept = torch.sigmoid(c * x)
        m = torch.relu(m) * kept - torch.relu(-m) * (1 - kept)
        m = m + (2 * spike - 1) * torch.sigmoid(x)
        v = self.reset_after(u, spike, threshold) - self.in_reset(spike) * torch.sigmoid(m)
        return spike, v, m
