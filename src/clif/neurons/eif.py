"""Exponential integrate-and-fire (Fourcaud-Trocmé et al., Journal of Neuroscience 2003)."""

from typing import Any

import torch

from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant, check_constants, check_number
from clif.ops.switches import scale_if
from clif.surrogate import AnySurrogate


@register_neuron("EIF")
class EIFNode(SpikingNeuron):
    """LIF with an exponential rise of the potential, which starts near `theta_rh`:

        e = Δ_T·exp(min((v − theta_rh)/Δ_T, max_exponent));   u = v + (v_rest − v + e)/τ + x
        s = Θ(u − v_threshold);   v = u − s·v_threshold, or v_reset after a spike

    The exponent is clamped at `max_exponent`. By default the exponential term is at most 2.7·Δ_T, and ∂u/∂v is at most
    1 + 1.7/τ. At the bound the derivative is that of the exponential and beyond it 0, as in PyTorch. After a hard reset
    v is below `v_threshold`, and with the other defaults nothing is clamped.

    Args:
        tau: membrane time constant in steps, > 1. Default: 2.
        delta_T: sharpness Δ_T of the rise, > 0, in units of v; towards 0 the neuron becomes LIF. Default: 0.25.
        theta_rh: rheobase threshold. Default: 0.8.
        max_exponent: the bound of the exponent. In float32 the exponential overflows above 88. Default: 1.
        v_rest: resting potential, towards which v leaks. v starts at `v_reset`, or 0. Default: 0.
        decay_input: divide the input by τ as well. Default: False.

    For all other arguments, shapes and errors see `SpikingNeuron`. Raises `InputError` for constants out of these
    ranges.

    Source: Fourcaud-Trocmé, Hansel, van Vreeswijk & Brunel, "How spike generation mechanisms determine the neuronal
    response to fluctuating inputs", Journal of Neuroscience 23, 2003. It is `EIFNode` of SpikingJelly except for the
    clamp and the defaults. SpikingJelly always divides the input by τ and has v_reset = −0.1 and Δ_T = 1, with which
    the neuron fires without any input.

    >>> node = clif.EIFNode(delta_T=0.25, step_mode="m")
    >>> node(torch.full((6, 1, 1), 0.6)).flatten()
    tensor([0., 0., 1., 0., 1., 0.])
    """

    states = {"v": 0.0}

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
        delta_T: Constant = 0.25,
        theta_rh: Constant = 0.8,
        v_rest: Constant = 0.0,
        max_exponent: Constant = 1.0,
    ) -> None:
        check_constants(tau, v_threshold, v_reset)
        super().__init__(v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq)
        self.tau = tau
        self.decay_input = decay_input
        self.delta_T = delta_T
        self.theta_rh = theta_rh
        self.v_rest = v_rest
        self.max_exponent = max_exponent
        self.check()

    def check(self) -> None:
        check_constants(self.tau, self.v_threshold, self.v_reset)
        check_number("delta_T", self.delta_T, above=0)
        check_number("theta_rh", self.theta_rh)
        check_number("v_rest", self.v_rest)
        check_number("max_exponent", self.max_exponent)

    def step(self, x: Any, v: Any) -> tuple[Any, ...]:
        rate = 1.0 / self.tau
        exponent = torch.clamp((v - self.theta_rh) / self.delta_T, max=self.max_exponent)
        upswing = self.delta_T * torch.exp(exponent)
        u = v + (self.v_rest - v + upswing) * rate + scale_if(self.decay_input, x, rate)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)
