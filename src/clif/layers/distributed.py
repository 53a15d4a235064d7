"""Any module, applied to every step."""

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers.step import StepModule, fold


class TimeDistributed(StepModule):
    """Applies a module for [N, *] to every step: any stateless one, of torch or your own.

    Single-step mode: x [N, *] -> module(x). Multi-step mode: x_seq [T, N, *] -> [T, *], what T calls would give. The
    steps are folded to [T·N, *] for one call; where the module has a batch norm that is in training, it is called
    step by step, so that each step has its own statistics.

    Args:
        module: it takes and gives one tensor, whose first axis is N.
        step_mode: "s" or "m".

    Raises `InputError` for a module with a step mode of its own (it takes sequences itself), and a missing time axis.

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
