"""Adaptive leaky integrate-and-fire (Bellec et al., NeurIPS 2018, arXiv 1803.09574)."""

from typing import Any

from clif.neurons.base import SpikingNeuron
from clif.neurons.leak import charge
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant, check_constants, check_number
from clif.surrogate import AnySurrogate


@register_neuron("ALIF")
class ALIFNode(SpikingNeuron):
    """LIF whose threshold θ rises with every spike and returns to `v_threshold`:

        u = v·(1 − 1/τ) + x;   θ = v_threshold + β·b;   s = Θ(u − θ);   v = u − s·θ, or v_reset after a spike
        b ← b·(1 − 1/τ_a) + s/τ_a

    Args:
        tau: membrane time constant in steps, > 1. Default: 2.
        beta: rise of the threshold for b = 1; b is a running mean of the spikes. Default: 1.8.
        tau_a: time constant of b in steps, > 1. Default: 10.
        decay_input: divide the input by τ as well. Default: False.

    For all other arguments, shapes and errors see `SpikingNeuron`. Raises `InputError` for a time constant that is not
    above 1 and for a `beta` that is not finite.

    Source: Bellec, Salaj, Subramoney, Legenstein & Maass, "Long short-term memory and learning-to-learn in networks of
    spiking neurons", NeurIPS 2018, with 1 − 1/τ instead of e^(−1/τ), as in the other neurons of clif. The paper scales
    the input by 1 − e^(−1/τ), which is `decay_input`. SpikingJelly has no neuron with an adaptive threshold; its
    `AdaptBaseNode` adapts by a current.

    >>> node = clif.ALIFNode(beta=1.0, tau_a=20.0, step_mode="m")
    >>> node(torch.full((8, 1, 1), 1.2)).flatten()
    tensor([1., 1., 1., 1., 1., 1., 0., 1.])
    """

    states = {"v": 0.0, "b": 0.0}

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
        beta: Constant = 1.8,
        tau_a: Constant = 10.0,
    ) -> None:
        check_constants(tau, v_threshold, v_reset)
        super().__init__(v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq)
        self.tau = tau
        self.decay_input = decay_input
        self.beta = beta
        self.tau_a = tau_a
        self.check()

    def check(self) -> None:
        check_constants(self.tau, self.v_threshold, self.v_reset)
        check_number("beta", self.beta)
        check_number("tau_a", self.tau_a, above=1)

    def step(self, x: Any, v: Any, b: Any) -> tuple[Any, ...]:
        u = charge(x, v, 1.0 / self.tau, self.decay_input, self.v_reset)
        threshold = self.v_threshold + self.beta * b
        spike = self.fire(u, threshold)
        b = b + (spike - b) * (1.0 / self.tau_a)
        return spike, self.reset_after(u, spike, threshold), b
