"""K-based leaky integrate-and-fire (Jiang & Zhang, 2023, arXiv 2302.09238)."""

from typing import Any

import torch
from torch import nn

from clif.neurons.base import SpikingNeuron
from clif.neurons.leak import charge
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant, check_constants
from clif.surrogate import AnySurrogate


@register_neuron("KLIF")
class KLIFNode(SpikingNeuron):
    """LIF that scales its charged potential by a learnt k and rectifies it, which changes the slope of the surrogate:

        u = max(0, k·(v·(1 − 1/τ) + x));   s = Θ(u − v_threshold);   v = u − s·v_threshold, or v_reset after a spike

    The scalar parameter k starts at 1. `scale_reset` divides the potential and the threshold by k before the reset: v =
    (u − s·v_threshold)/k, or with a hard reset u/k without a spike and v_reset after one. `tau` > 1 is the membrane
    time constant in steps, `decay_input` divides the input by τ as well. For all other arguments, shapes and errors see
    `SpikingNeuron`. Source: the paper, and `KLIFNode` of SpikingJelly for `scale_reset`.

    >>> node = clif.KLIFNode(step_mode="m")
    >>> node(torch.full((6, 1, 1), 0.9)).flatten()
    tensor([0., 1., 1., 0., 1., 1.], grad_fn=<ViewBackward0>)
    """

    states = {"v": 0.0}
    learnable = {"k": "layer"}

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
        scale_reset: bool = False,
    ) -> None:
        check_constants(tau, v_threshold, v_reset)
        super().__init__(v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq)
        self.tau = tau
        self.decay_input = decay_input
        self.scale_reset = scale_reset
        self.k = nn.Parameter(torch.tensor(1.0))

    def check(self) -> None:
        check_constants(self.tau, self.v_threshold, self.v_reset)

    def step(self, x: Any, v: Any, k: Any) -> tuple[Any, ...]:
        u = torch.relu(k * charge(x, v, 1.0 / self.tau, self.decay_input, self.v_reset))
        spike = self.fire(u)
        if self.scale_reset:
            return spike, self.reset_after(u / k, spike, self.v_threshold / k)
        return spike, self.reset_after(u, spike)
