"""The neuron of Izhikevich (IEEE Transactions on Neural Networks 2003)."""

from typing import Any

from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant, check_constants, check_number
from clif.ops.switches import scale_if
from clif.surrogate import AnySurrogate


@register_neuron("Izhikevich")
class IzhikevichNode(SpikingNeuron):
    """A quadratic membrane with a recovery variable w, in dimensionless units:

        u = v + (a0·(v − v_rest)·(v − v_c) − w)/τ + x;   s = Θ(u − v_threshold)
        v = v_reset after a spike, or u − s·v_threshold;   w ← w + (a·(u − v_rest) − w)/τ_w + b·s

    Below `v_c` the membrane potential returns to `v_rest`; above it the potential rises to a spike without input.

    Args:
        tau: membrane time constant in steps, > 1. Default: 2.
        v_c: critical potential. Default: 0.8.
        a0: strength of the quadratic term, > 0. Default: 1.
        v_reset: the reset is hard by default, to 0, as in the paper. With None (soft) a potential far above `v_c`
            diverges.
        v_rest: resting potential. v starts at `v_reset`, or 0. Default: 0.
        tau_w: time constant of the recovery w in steps, > 1. Default: 2.
        a: coupling of the membrane potential to the recovery. Default: 0.1.
        b: increase of the recovery per spike. Default: 0.2.
        decay_input: divide the input by τ as well. Default: False.

    For all other arguments, shapes and errors see `SpikingNeuron`. Raises `InputError` for constants out of these
    ranges.

    Source: Izhikevich, "Simple model of spiking neurons", IEEE Transactions on Neural Networks 14(6), 2003, in the form
    and with the names of SpikingJelly's `IzhikevichNode`. SpikingJelly always divides the input by τ. Its defaults are
    v_rest = −0.1 and a = b = 0, with which w stays 0, and w starts at `w_rest`; here it starts at 0.

    >>> node = clif.IzhikevichNode(step_mode="m")
    >>> node(torch.full((6, 1, 1), 1.0)).flatten()
    tensor([1., 0., 1., 0., 1., 0.])
    """

    states = {"v": 0.0, "w": 0.0}

    def __init__(
        self,
        tau: Constant = 2.0,
        decay_input: bool = False,
        v_threshold: Constant = 1.0,
        v_reset: Constant | None = 0.0,
        surrogate_function: AnySurrogate | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str = "auto",
        store_v_seq: bool = False,
        v_c: Constant = 0.8,
        a0: Constant = 1.0,
        v_rest: Constant = 0.0,
        tau_w: Constant = 2.0,
        a: Constant = 0.1,
        b: Constant = 0.2,
    ) -> None:
        check_constants(tau, v_threshold, v_reset)
        super().__init__(v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq)
        self.tau = tau
        self.decay_input = decay_input
        self.v_c = v_c
        self.a0 = a0
        self.v_rest = v_rest
        self.tau_w = tau_w
        self.a = a
        self.b = b
        self.check()

    def check(self) -> None:
        check_constants(self.tau, self.v_threshold, self.v_reset)
        check_number("v_c", self.v_c)
        check_number("a0", self.a0, above=0)
        check_number("v_rest", self.v_rest)
        check_number("tau_w", self.tau_w, above=1)
        check_number("a", self.a)
        check_number("b", self.b)

    def step(self, x: Any, v: Any, w: Any) -> tuple[Any, ...]:
        rate = 1.0 / self.tau
        drift = self.a0 * (v - self.v_rest) * (v - self.v_c) - w
        u = v + drift * rate + scale_if(self.decay_input, x, rate)
        spike = self.fire(u)
        w = w + (self.a * (u - self.v_rest) - w) * (1.0 / self.tau_w) + self.b * spike
        return spike, self.reset_after(u, spike), w
