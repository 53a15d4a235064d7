"""Parametric LIF (Fang et al., ICCV 2021): LIF that learns its time constant."""

import math
from typing import Any

import torch
from torch import nn

from clif import functional
from clif.neurons.base import SpikingNeuron
from clif.ops.reference import SurrogateFunction


class PLIFNode(SpikingNeuron):
    """LIF with 1/τ = σ(w), where the scalar parameter w is learnt and starts at −ln(init_tau − 1).

    `init_tau` > 1. All other arguments, shapes and errors: `SpikingNeuron`.
    """

    neuron = "PLIF"
    one_step = staticmethod(functional.plif_step)
    many_steps = staticmethod(functional.plif_multi_step)

    def __init__(
        self,
        init_tau: float = 2.0,
        decay_input: bool = False,
        v_threshold: float = 1.0,
        v_reset: float | None = None,
        surrogate_function: SurrogateFunction | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str = "auto",
        store_v_seq: bool = False,
    ) -> None:
        functional.check_dynamics(init_tau, v_threshold, v_reset)
        super().__init__(
            decay_input, v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq
        )
        self.w = nn.Parameter(torch.tensor(-math.log(init_tau - 1)))

    @property
    def tau(self) -> float:
        """The present time constant 1/σ(w) = 1 + e^(−w), in steps."""
        return 1 + math.exp(-self.w.item())

    def dynamics(self) -> dict[str, Any]:
        return {"w": self.w, **super().dynamics()}

    def extra_repr(self) -> str:
        return f"tau={self.tau:.4g}, {super().extra_repr()}"
