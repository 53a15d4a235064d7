"""Dropout whose mask stays the same over time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers.remembering import Remembering
from clif.layers.step import check_steps
from clif.ops.kept import likely_cause, usable
from clif.random import derive_keys, keyed_mask


class Dropout(Remembering):
    """Dropout with one mask for all steps: over a sequence [T, N, *], or from reset to reset.

    With `keys` [N] (see `key_dropout`) each sample's mask depends on its key, else on torch's global generator.

    >>> dropped = clif.layers.Dropout(0.5, step_mode="m")(torch.ones(6, 8, 3, 4, 4))
    >>> torch.equal(dropped[0], dropped[5])  # one mask for all steps
    True
    """

    mask: Tensor | None
    memory_name = "mask"

    def __init__(self, p: float = 0.0, step_mode: str = "s") -> None:
        super().__init__(step_mode)
        if not 0 <= p < 1:
            raise InputError(f"the dropout rate must be in [0, 1), got {p}")
        self.p = p
        self.keys: Tensor | None = None

    @property
    def is_exclusive(self) -> bool:
        """False: a sequence has a mask of its own."""
        return False

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self.step_mode == "m":
            check_steps(self, x)
            return x * self._draw(x[0])
        if self.mask is None:
            self.mask = self._draw(x)
        elif self.mask.shape != x.shape:
            raise InputError(
                f"the dropout mask has shape {list(self.mask.shape)} but the input {list(x.shape)}; "
                + likely_cause(self.mask, x)
            )
        self.mask = usable(self.mask)
        return x * self.mask

    def _draw(self, x: Tensor) -> Tensor:
        if self.keys is None:
            return F.dropout(torch.ones_like(x), self.p)
        if len(self.keys) != len(x):
            raise InputError(
                f"a dropout in step mode {self.step_mode!r} got samples {list(x.shape)} and the keys of "
                f'{len(self.keys)}; a network that takes sequences [T, N, *] needs Dropout(p, step_mode="m")'
            )
        mask = torch.full_like(x, 1 / (1 - self.p))
        return mask.masked_fill_(keyed_mask(self.keys, x.shape, self.p), 0)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def key_dropout(net: nn.Module, keys: Tensor | None) -> None:
    """Set the keys [N] of the next samples in the dropouts of `net` (`clif.random`); None removes them.

    >>> net = nn.Sequential(clif.layers.Dropout(0.5))
    >>> clif.layers.key_dropout(net, torch.arange(8))
    >>> torch.equal(net(x := torch.ones(8, 3)), net(x))
    True
    """
    dropouts = (module for module in net.modules() if isinstance(module, Dropout) and module.p > 0)
    for number, module in enumerate(dropouts):
        module.keys = None if keys is None else derive_keys(keys, number)
