"""Any module, applied to every step."""

from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers.step import StepModule, fold, has_hooks, is_repeated

OF_TORCH = frozenset(
    [
        f"torch.nn.modules.{name}"
        for name in (
            *("activation", "batchnorm", "channelshuffle", "container", "conv", "dropout", "flatten", "fold"),
            *("instancenorm", "linear", "normalization", "padding", "pixelshuffle", "pooling", "upsampling"),
        )
    ]
)
"""Where PyTorch defines layers whose output depends on nothing but their input and parameters, except for these:"""

RANDOM = (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d, nn.MultiheadAttention)
RANDOM_IN_TRAINING = (nn.modules.dropout._DropoutNd, nn.RReLU)


class TimeDistributed(StepModule):
    """Applies a stateless module for [N, *], of torch or your own, to every step.

    Single-step mode: x [N, *] -> module(x). Multi-step mode: x_seq [T, N, *] -> [T, *], as by T calls. The steps are
    folded to [T·N, *] for one call. If the module contains a batch norm in training or without running statistics, it
    is called step by step, so each step has its own statistics. A repeated image is computed once if all parts of the
    module are layers of PyTorch that draw no random numbers; other modules compute it at every step.

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
            return self._call(x)
        if x.dim() < 2 or len(x) == 0:
            raise InputError(f"TimeDistributed takes a sequence [T, N, *] with T ≥ 1, got an input {list(x.shape)}")
        if self._counts_batches():
            return torch.stack([self._call(step) for step in x])
        if is_repeated(x) and not all(map(_is_deterministic, self.module.modules())):
            return self._call(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return fold(self._call, x, x.dim() - 1)

    def _call(self, x: Tensor) -> Tensor:
        out: Any = self.module(x)
        if not isinstance(out, Tensor):
            raise InputError(
                f"TimeDistributed takes a module that returns one tensor; a {type(self.module).__name__} returned a "
                f"{type(out).__name__}"
            )
        return out

    def _counts_batches(self) -> bool:
        norms = (part for part in self.module.modules() if isinstance(part, nn.modules.batchnorm._NormBase))
        batch_norm = nn.modules.batchnorm._BatchNorm
        return any(norm.training or (norm.running_mean is None and isinstance(norm, batch_norm)) for norm in norms)


def _is_deterministic(part: nn.Module) -> bool:
    """Whether a module, apart from those inside, is a layer of PyTorch that draws no random numbers now."""
    if type(part).__module__ not in OF_TORCH or has_hooks(part) or isinstance(part, RANDOM):
        return False
    return not (part.training and isinstance(part, RANDOM_IN_TRAINING))
