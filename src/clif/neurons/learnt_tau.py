"""A time constant that is learnt and stays above 1."""

import math

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.neurons.base import SpikingNeuron
from clif.ops.constants import Constant, check_constants
from clif.surrogate import AnySurrogate


class LearntTau(SpikingNeuron):
    """Base of neurons with 1/τ = σ(w), where the scalar parameter w is learnt and starts at −ln(init_tau − 1)."""

    learnable = {"w": "layer"}

    def __init__(
        self,
        init_tau: Constant = 2.0,
        decay_input: bool = False,
        v_threshold: Constant = 1.0,
        v_reset: Constant | None = None,
        surrogate_function: AnySurrogate | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str = "auto",
        store_v_seq: bool = False,
    ) -> None:
        if isinstance(init_tau, Tensor):
            if init_tau.requires_grad:
                raise InputError("init_tau is the initial value of the learnt w; give float(init_tau)")
            init_tau = init_tau.item()
        check_constants(init_tau, v_threshold, v_reset)
        super().__init__(v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq)
        self.decay_input = decay_input
        self.w = nn.Parameter(torch.tensor(-math.log(init_tau - 1)))

    @property
    def tau(self) -> float:
        """The present time constant 1/σ(w) = 1 + e^(−w), in steps."""
        return 1 + math.exp(-self.w.item())

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        if name == "tau":
            raise InputError(
                f"{type(self).__name__} learns its time constant through its parameter w, with 1/tau = sigmoid(w); "
                "set w"
            )
        super().register_parameter(name, param)

    def extra_repr(self) -> str:
        shown = super().extra_repr()
        return shown if self.w.is_meta else f"tau={self.tau:.4g}, {shown}"
