"""Batch norms that take their statistics step by step."""

import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers.step import StepModule, check_layout, check_steps, fold, is_repeated, repeat_image
from clif.ops.norm import Norm

SYNCHRONISING = ("convert_sync_batchnorm", "convert_syncbn_model")
"""The functions of PyTorch and Apex that replace batch norms by synchronised ones."""


class _NormByStep(nn.modules.batchnorm._BatchNorm):
    """A batch norm for a step [N, C, *], or for a sequence, step by step."""

    momentum: float | None
    num_batches_tracked: Tensor
    layout: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        *,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device=device, dtype=dtype)

    def _is_sequence(self, x: Tensor) -> bool:
        raise NotImplementedError

    @property
    def affine(self) -> bool:
        """Always true. It refuses a conversion to `torch.nn.SyncBatchNorm` or Apex's norm, which reads it."""
        if sys._getframe(1).f_code.co_name in SYNCHRONISING:
            raise InputError(
                f"torch.nn.SyncBatchNorm would take axis 1 of [T, {self.layout}] as the channels; clif synchronises "
                "its BatchNorm2d itself: --sync-bn True (clif train), or clif.train.synchronise_batch_norms(net)"
            )
        return True

    @affine.setter
    def affine(self, affine: bool) -> None:
        if not affine:
            raise InputError(f"clif.layers.{type(self).__name__} always has weight and bias")
        vars(self)["affine"] = affine

    @property
    def takes_own_statistics(self) -> bool:
        """Whether each step is normalised by its own mean and variance, and not by the running ones."""
        return self.training or self.running_mean is None

    @property
    def updates(self) -> bool:
        """Whether a call updates the running statistics: in training, unless `track_running_stats` is False."""
        return self.training and self.track_running_stats and self.running_mean is not None

    def rate(self, repeats: int) -> float:
        """The rate at which the running statistics move towards those of a step that counts `repeats` times."""
        if self.momentum is None:  # the plain mean over all steps
            return repeats / float(self.num_batches_tracked)
        return self.momentum if repeats == 1 else 1 - (1 - self.momentum) ** repeats

    def for_kernels(self) -> Norm:
        """The values with which a kernel normalises as this module does now."""
        fixed = (None, None) if self.takes_own_statistics else (self.running_mean, self.running_var)
        return Norm(self.weight, self.bias, self.eps, *fixed)

    @torch.no_grad()
    def observe(self, mean: Tensor, var: Tensor, count: int | Tensor, repeats: int = 1) -> None:
        """Update the running statistics with mean and biased variance [T, C] of T steps, `count` values per channel.

        Each step counts `repeats` times.
        """
        if not self.updates:
            return
        assert self.running_mean is not None
        assert self.running_var is not None
        for mean_t, var_t in zip(mean, var * (count / (count - 1)), strict=True):
            self.num_batches_tracked += repeats
            rate = self.rate(repeats)
            self.running_mean.lerp_(mean_t.to(self.running_mean.dtype), rate)
            self.running_var.lerp_(var_t.to(self.running_var.dtype), rate)

    def forward(self, x: Tensor) -> Tensor:
        if not self._is_sequence(x):
            return self._normalise(x)
        if not self.takes_own_statistics:
            return fold(self._normalise, x, x.dim() - 1)
        check_steps(self, x)
        if is_repeated(x):
            return repeat_image(self._normalise(x[0], repeats=len(x)), len(x))
        return torch.cat([self._normalise(step) for step in x.unbind(0)]).unflatten(0, x.shape[:2])

    def _normalise(self, x: Tensor, repeats: int = 1) -> Tensor:
        """Normalise [N, C, *]; in training update the running statistics as `repeats` equal steps would."""
        if not self.takes_own_statistics:
            return self._batch_norm(x, self.running_mean, self.running_var)
        if self.running_mean is not None and x.numel() <= x.shape[1]:  # not one `or`: sizes may be symbols
            return self._batch_norm(x, self.running_mean, self.running_var)
        if not self.updates:
            return self._batch_norm(x, None, None, own=True)
        mean, var = self.running_mean, self.running_var
        if mean is not None and var is not None and not torch.compiler.is_compiling():
            # Autograd saves the running statistics, which this derivative does not read; as `.data` they may change.
            mean, var = mean.data, var.data
        self.num_batches_tracked += repeats
        return self._batch_norm(x, mean, var, own=True, rate=self.rate(repeats))

    def _batch_norm(
        self, x: Tensor, mean: Tensor | None, var: Tensor | None, own: bool = False, rate: float = 0.0
    ) -> Tensor:
        arguments = (mean, var, self.weight, self.bias, own, rate, self.eps)
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
        if traced or not torch.is_grad_enabled() or x.dim() != 4 or len(x) != 1:
            return F.batch_norm(x, *arguments)
        return _strided_as_a_batch(F.batch_norm(_strided_as_a_batch(x), *arguments))


def _strided_as_a_batch(x: Tensor) -> Tensor:
    """One image [1, C, H, W]; x and its gradient have the stride of N that a batch in channels_last has.

    With another one, as in a step of a sequence [T, 1, C, H, W], PyTorch 2.13 computes a wrong gradient of a batch norm
    on a CPU if only one of input and gradient is channels_last.
    """
    return x[0].permute(1, 2, 0)[None].permute(0, 3, 1, 2)


class BatchNorm2d(_NormByStep, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` for a step or a sequence; in training each step t has the statistics of its own N samples.

    The running statistics are updated once per step, T times for a sequence, exactly as by T calls. If a channel has a
    single value (N = H = W = 1), which has no variance, the running statistics normalise it and do not change. `affine`
    must be True, because the neuron's kernel computes the norm with weight and bias; False raises `InputError`.

    After `norm.track_running_stats = False` training does not change the running statistics. After `norm.running_mean =
    norm.running_var = None` each step has its own statistics in evaluation too. Both are as in PyTorch.

    >>> clif.layers.BatchNorm2d(3)(torch.rand(6, 8, 3, 4, 4)).shape
    torch.Size([6, 8, 3, 4, 4])
    """

    layout = "N, C, H, W"

    def _is_sequence(self, x: Tensor) -> bool:
        check_layout(self, x, self.layout, self.num_features, -3)
        return x.dim() == 5


class BatchNorm1d(_NormByStep, nn.BatchNorm1d, StepModule):
    """`torch.nn.BatchNorm1d` for a step or a sequence; in training each step t has the statistics of its own N samples.

    In single-step mode ("s", the default) it takes [N, C] or [N, C, L], in multi-step mode ("m") [T, N, C] or [T, N, C,
    L]. An input with three axes can be either, so `step_mode` decides (`clif.set_step_mode`). As in `BatchNorm2d` the
    running statistics are updated once per step, and they normalise a channel with a single value; `options` are those
    that `BatchNorm2d` takes by keyword.

    Raises `InputError` for another number of axes or channels, and for `affine=False`.

        >>> clif.layers.BatchNorm1d(4, step_mode="m")(torch.rand(6, 8, 4)).shape
        torch.Size([6, 8, 4])
    """

    layout = "N, C"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        step_mode: str = "s",
        **options: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, **options)
        self.step_mode = step_mode

    def _is_sequence(self, x: Tensor) -> bool:
        many = self.step_mode == "m"
        channels = 1 + many
        if x.dim() not in (channels + 1, channels + 2) or x.shape[channels] != self.num_features:
            C = self.num_features
            shapes = f"[T, N, {C}] or [T, N, {C}, L]" if many else f"[N, {C}] or [N, {C}, L]"
            other = 'one step: clif.set_step_mode(net, "s")' if many else 'a sequence: clif.set_step_mode(net, "m")'
            raise InputError(
                f'BatchNorm1d with step_mode="{self.step_mode}" takes {shapes}, got an input {list(x.shape)}; for '
                f"{other}"
            )
        return many
