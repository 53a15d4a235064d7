"""Leaky integrate-and-fire."""

from typing import Any

from clif.neurons.base import SpikingNeuron
from clif.neurons.leak import charge
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant, check_constants
from clif.surrogate import AnySurrogate


@register_neuron("LIF")
class LIFNode(SpikingNeuron):
    """u = v·(1 − 1/τ) + x;   s = Θ(u − v_threshold);   v = u − s·v_subtract, or v_reset after a spike.

    `tau` > 1 is the membrane time constant in steps, `decay_input` divides the input by τ as well; `v_subtract` is the
    amount that a soft reset subtracts (None: v_threshold). For all other arguments, shapes and errors see
    `SpikingNeuron`.

    >>> node = clif.LIFNode(tau=2.0, step_mode="m")
    >>> node(torch.full((6, 1, 1), 0.9)).flatten()
    tensor([0., 1., 1., 0., 1., 1.])
    """

    states = {"v": 0.0}
    macs_per_step = 2

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
        v_subtract: Constant | None = None,
    ) -> None:
        check_constants(tau, v_threshold, v_reset, v_subtract)
        super().__init__(v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq)
        self.tau = tau
        self.decay_input = decay_input
        self.v_subtract = v_subtract

    def check(self) -> None:
        check_constants(self.tau, self.v_threshold, self.v_reset, self.v_subtract)

    def step(self, x: Any, v: Any) -> tuple[Any, ...]:
        u = charge(x, v, 1.0 / self.tau, self.decay_input, self.v_reset)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike, self.v_subtract)
