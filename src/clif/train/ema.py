"""An exponential moving average of the weights during training."""

import copy

import torch

from clif import private_torch
from clif.models import SpikingNetwork


class Average:
    """`net`, a copy whose floating-point weights and buffers are averages, starting from those it was made of.

    Each `update` sets average ← decay·average + (1 − decay)·weight; other buffers are copied.
    """

    def __init__(self, net: SpikingNetwork, decay: float) -> None:
        self.decay = decay
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, net: SpikingNetwork) -> None:
        """Take the present weights of the trained `net` in."""
        pairs = list(zip(self.net.state_dict().values(), net.state_dict().values(), strict=True))
        averaged = [(old, new) for old, new in pairs if old.is_floating_point()]
        private_torch.lerp_([old for old, _ in averaged], [new for _, new in averaged], 1 - self.decay)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)
