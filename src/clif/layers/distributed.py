"""Any module, applied to every step."""

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers.step import StepModule, fold


class TimeDistributed(StepModule):
    """Applies a stateless module for [N, *], of torch or your own, to every step.

    Single-step mode: x [N, *] -> module(x). Multi-step mode: x_seq [T, N, *] -> [T, *], as by T calls. The steps are
    folded to [T·N, *] for one call. If the module contains a batch norm in training, it is called step by step, so each
    step has its own statistics.

    Args:
        module: takes and returns one tensor, whose first axis is N.
        step_mode: "s" or "m".

    Raises `InputError` for a module with its own step mode (it takes sequences itself), and for a missing time axis.

        >>> flatten = clif.layers.TimeDistributed(torch.nn.Flatten(), step_mode="m")
        >>> flatten(torch.rand(6, 8, 4, 5)).shape
        torch.Size([6, 8, 20])
    """

    def __init__(self, module: nn.Module, step_mode: str = "s") -> None:
        super().__init__(step_mode)
        for name, part in module.named_modules():
            if hasattr(part, "step_mode"):
                where = f", {name}," if name else ""
                raise InputError(
                    f"TimeDistributed takes modules without a step mode; {type(part).__name__}{where} takes sequences "
                    'itself: use it as it is, with clif.set_step_mode(net, "m")'
                )
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        if self.step_mode == "s":
            out: Tensor = self.module(x)
            return out
        if x.dim() < 2 or len(x) == 0:
            raise InputError(f"TimeDistributed takes a sequence [T, N, *] with T ≥ 1, got an input {list(x.shape)}")
        if self._counts_batches():
            return torch.stack([self.module(step) for step in x])
        return fold(self.module, x, x.dim() - 1)

    def _counts_batches(self) -> bool:
        norms = (nn.modules.batchnorm._NormBase,)
        return any(isinstance(part, norms) and part.training for part in self.module.modules())
