"""An exponential moving average of the weights during training."""

import copy

import torch
from torch import nn

from clif import private_torch
from clif.neurons.exchange import replace_nodes


class Average:
    """`net`, a copy whose floating-point weights and buffers are averages, which start at the values of its original.

    Each `update` sets average ← decay·average + (1 − decay)·weight; other buffers are copied.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    def exchange(self, net: nn.Module) -> None:
        """Exchange the neurons like those of `net`; the averages of their parameters start at the present values."""
        new, names = dict(net.named_modules()), {module: name for name, module in self.net.named_modules()}
        replace_nodes(self.net, lambda node: copy.deepcopy(new[names[node]]).eval().requires_grad_(False))
        self.net.config = copy.deepcopy(net.config)

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Update the average with the present weights of the trained `net`."""
        states = (one.state_dict(keep_vars=True).values() for one in (self.net, net))
        pairs = {id(old): (old, new) for old, new in zip(*states, strict=True)}.values()  # each once, if it is shared
        averaged = [(old, new) for old, new in pairs if old.is_floating_point()]
        private_torch.lerp_([old for old, _ in averaged], [new for _, new in averaged], 1 - self.decay)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)
