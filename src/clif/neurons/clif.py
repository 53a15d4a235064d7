"""Complementary leaky integrate-and-fire, the neuron of Huang et al., ICML 2024 (arXiv 2402.04663)."""

from typing import Any

from clif import functional
from clif.functional import AnySurrogate
from clif.neurons.base import SpikingNeuron
from clif.ops.constants import Constant


class CLIFNode(SpikingNeuron):
    """LIF with a complementary potential m, which adds no parameter and keeps the temporal gradient alive:

        u = v·(1 − 1/τ) + x;   m ← m·σ(u/τ);   s = Θ(u − v_threshold);   m ← m + s;   v = u − s·(v_threshold + σ(m))

    m grows with each spike and decays as the membrane charges; a neuron that fired much is reset further.
    `tau` > 1 is the membrane time constant in steps. All other arguments, shapes and errors: `SpikingNeuron`.
    """

    neuron = "CLIF"
    one_step = staticmethod(functional.clif_step)
    many_steps = staticmethod(functional.clif_multi_step)

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
        functional.check_dynamics(tau, v_threshold, v_reset)
        super().__init__(
            decay_input, v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq
        )
        self.tau = tau

    def dynamics(self) -> dict[str, Any]:
        return {"tau": self.tau, **super().dynamics()}
