"""Gated leaky integrate-and-fire (Yao et al., NeurIPS 2022, arXiv 2210.13768)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant, check_constants, check_number
from clif.surrogate import AnySurrogate


@register_neuron("GLIF")
class GLIFNode(SpikingNeuron):
    """LIF that learns, channel by channel, how it leaks, integrates and resets, by the gates α, β and γ:

        u = v − (1 − α)·l + (1 − β·(1 − g))·x;   s = Θ(u − θ);   v = (1 − α/τ)·(1 − γ·s)·u − (1 − γ)·r·s

    α chooses between an exponential leak by 1/τ and a linear leak by l. β sets how far the conductance g scales the
    input. γ chooses between a hard reset to 0 and a soft reset by r. v is the membrane potential that remains for the
    next step. Each of the eight is σ of a parameter [C], one number per channel (axis 1 of x [N, C, *]), the same at
    all steps:

        α: alpha   β: beta   γ: gamma   1/τ: w   θ: v_threshold   l: linear_decay   r: v_subreset   g: conduct

    Args:
        channels: C.
        init_tau: membrane time constant τ at the start, in steps, > 1. Default: 2.
        init_v_threshold: threshold θ at the start, between 0 and 1. Default: 0.5.
        init_linear_decay: linear leak l at the start, between 0 and 1. Default: 0.05.
        init_v_subreset: soft reset r at the start, between 0 and 1. Default: None, that is `init_v_threshold`.
        init_conduct: conductance g at the start, between 0 and 1. Default: 0.5.

    The gates start at ½. For all other arguments, shapes and errors see `SpikingNeuron`; this neuron takes no
    `v_threshold` and no `v_reset`. Raises `InputError` for values out of these ranges, and for an input with another
    number of channels.

    Source: Yao, Li, Mo & Cheng, "GLIF: A unified gated leaky integrate-and-fire neuron for spiking neural networks",
    NeurIPS 2022. In the paper and in `GatedLIFNode` of SpikingJelly g differs from step to step, so T is fixed; l
    starts at θ/(2T), the gates start at random near ½, and `init_tau` is the factor 1 − 1/τ, 0.25. SpikingJelly's state
    v is u, and it forgets the last spike between two sequences.

    >>> node = clif.GLIFNode(channels=16, step_mode="m")
    >>> node(torch.rand(6, 8, 16)).shape
    torch.Size([6, 8, 16])
    """

    states = {"v": 0.0}
    learnable = dict.fromkeys(
        ("alpha", "beta", "gamma", "w", "v_threshold", "linear_decay", "v_subreset", "conduct"), "channel"
    )

    def __init__(
        self,
        channels: int,
        init_tau: Constant = 2.0,
        init_v_threshold: Constant = 0.5,
        init_linear_decay: Constant = 0.05,
        init_v_subreset: Constant | None = None,
        init_conduct: Constant = 0.5,
        surrogate_function: AnySurrogate | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str = "auto",
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            surrogate_function=surrogate_function,
            detach_reset=detach_reset,
            step_mode=step_mode,
            backend=backend,
            store_v_seq=store_v_seq,
        )
        if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
            raise InputError(f"channels must be a whole number of at least 1, got {channels!r}")
        check_constants(init_tau, None, None)
        starts = {
            "init_v_threshold": init_v_threshold,
            "init_linear_decay": init_linear_decay,
            "init_v_subreset": init_v_threshold if init_v_subreset is None else init_v_subreset,
            "init_conduct": init_conduct,
        }
        for name, value in starts.items():
            check_number(name, value, above=0, below=1)
        del self.v_threshold
        shares = {"alpha": 0.5, "beta": 0.5, "gamma": 0.5, "w": 1 / _number("init_tau", init_tau)}
        shares |= {name.removeprefix("init_"): _number(name, value) for name, value in starts.items()}
        for name, share in shares.items():
            self.register_parameter(name, nn.Parameter(torch.full((channels,), math.log(share / (1 - share)))))

    def check(self) -> None:
        """Do nothing: all parameters are valid."""

    def step(
        self,
        x: Any,
        v: Any,
        alpha: Any,
        beta: Any,
        gamma: Any,
        w: Any,
        v_threshold: Any,
        linear_decay: Any,
        v_subreset: Any,
        conduct: Any,
    ) -> tuple[Any, ...]:
        alpha, beta, gamma = torch.sigmoid(alpha), torch.sigmoid(beta), torch.sigmoid(gamma)
        leak, gain = (1 - alpha) * torch.sigmoid(linear_decay), 1 - beta * (1 - torch.sigmoid(conduct))
        u = v - leak + gain * x
        spike = self.fire(u, torch.sigmoid(v_threshold))
        s = self.in_reset(spike)
        kept = (1 - alpha * torch.sigmoid(w)) * u
        return spike, kept - s * (gamma * kept + (1 - gamma) * torch.sigmoid(v_subreset))


def _number(name: str, value: Constant) -> float:
    if isinstance(value, Tensor) and value.requires_grad:
        raise InputError(f"{name} is the initial value of a parameter; give float({name})")
    return float(value)
