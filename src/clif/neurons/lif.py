"""Leaky integrate-and-fire."""

from typing import Any

from clif import functional
from clif.functional import AnySurrogate
from clif.neurons.base import SpikingNeuron
from clif.ops.constants import Constant


class LIFNode(SpikingNeuron):
    """u = v·(1 − 1/τ) + x;   s = Θ(u − v_threshold);   v = u − s·v_subtract, or v_reset after a spike.

    `tau` > 1 is the membrane time constant in steps; `v_subtract` is what a soft reset takes away (None: v_threshold).
    All other arguments, shapes and errors: `SpikingNeuron`.
    """

    neuron = "LIF"
    one_step = staticmethod(functional.lif_step)
    many_steps = staticmethod(functional.lif_multi_step)

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
        functional.check_dynamics(tau, v_threshold, v_reset, v_subtract)
        super().__init__(
            decay_input, v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq
        )
        self.tau = tau
        self.v_subtract = v_subtract

    def dynamics(self) -> dict[str, Any]:
        return {"tau": self.tau, **super().dynamics(), "v_subtract": self.v_subtract}
