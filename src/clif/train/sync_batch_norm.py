"""Batch norm over the samples of all processes, step by step; on any device (torch's own takes GPUs only)."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers import BatchNorm2d, is_repeated, repeat_image
from clif.private_torch import BATCH_NORMS


class SyncBatchNorm2d(BatchNorm2d):
    """`BatchNorm2d` with the statistics of each step over all processes' samples; same parameters and names.

    The processes exchange values once in forward and once in backward, for all steps at once. A process that is
    `idle`, because its part of the batch is empty, takes part in the exchange with samples that do not count.
    """

    idle: bool = False

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        if x.dim() != 5:
            return self._synchronised(x[None])[0]
        if is_repeated(x):
            return repeat_image(self._synchronised(x[:1], repeats=len(x))[0], len(x))
        return self._synchronised(x)

    def _synchronised(self, x: Tensor, repeats: int = 1) -> Tensor:
        """Normalise [T, N, C, H, W]; the running statistics count each step `repeats` times."""
        wide = torch.promote_types(x.dtype, torch.float32)
        mean, var, count = _gather_statistics(x.detach().to(wide), self.idle)
        if x[0].numel() == x.shape[2] and count <= 1:  # one value per channel has no variance
            return self._by_running_statistics(x)
        self.observe(mean, var, count, repeats)
        rstd = (var + self.eps).rsqrt()
        return _Normalise.apply(x, self.weight, self.bias, mean, rstd, count, self.idle)

    def _by_running_statistics(self, x: Tensor) -> Tensor:
        flat = F.batch_norm(
            x.flatten(0, 1), self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )
        return flat.unflatten(0, x.shape[:2])


def _gather_statistics(x: Tensor, idle: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance [T, C] of [T, N, C, H, W] over all processes, and the number of values per channel in each."""
    T, C = x.shape[0], x.shape[2]
    var, mean = torch.var_mean(x, dim=(1, 3, 4), correction=0)
    number = x[0].numel() / C
    own = torch.cat([mean, var * number, torch.full_like(mean[:, :1], number)], dim=1)
    if idle:
        own.zero_()
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    means, squares, counts = torch.stack(parts).split([C, C, 1], dim=2)
    count = counts[:, 0].sum()
    total_mean = (means * counts).sum(0) / count
    total_var = (squares + counts * (means - total_mean) ** 2).sum(0) / count
    return total_mean.view(T, C), total_var.view(T, C), count


class _Normalise(torch.autograd.Function):
    """x ↦ (x − mean)·rstd·weight + bias, with the gradient through mean and rstd over all processes' samples."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, count: Tensor, idle: bool
    ) -> Tensor:
        ctx.idle = idle
        ctx.save_for_backward(x, weight, mean, rstd, count)
        scale = rstd * weight
        return torch.addcmul(_spread(bias - mean * scale), x, _spread(scale)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd, count = ctx.saved_tensors
        dy = grads[0].to(mean.dtype)
        normal = (x.to(mean.dtype) - _spread(mean)) * _spread(rstd)
        sums = torch.stack([dy.sum((1, 3, 4)), (dy * normal).sum((1, 3, 4))])
        d_bias, d_weight = sums.sum(1)
        dist.all_reduce(sums)
        by_mean, by_rstd = (_spread(part / count) for part in sums)
        if not ctx.idle:
            dy = dy - by_mean - normal * by_rstd
        dx = dy * _spread(rstd * weight)
        return dx.to(x.dtype), d_weight, d_bias, None, None, None, None


def _spread(values: Tensor) -> Tensor:
    """[T, C] as [T, 1, C, 1, 1]."""
    return values[:, None, :, None, None]


def synchronise_batch_norms(net: nn.Module) -> None:
    """Make the batch norms of `net` use the statistics of all processes; weights and state-dict keys stay.

    Raises `InputError` for batch norms other than `clif.layers.BatchNorm2d`.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2)
    >>> clif.train.synchronise_batch_norms(net)  # in each process, before the loop
    """
    for name, module in net.named_modules():
        if isinstance(module, BATCH_NORMS) and type(module) not in (BatchNorm2d, SyncBatchNorm2d, nn.SyncBatchNorm):
            kind = f"{type(module).__module__}.{type(module).__name__}"
            raise InputError(f"sync_bn is for BatchNorm2d of clif.layers, and {name} is a {kind}; leave sync_bn out")
    for module in net.modules():
        if type(module) is BatchNorm2d:
            module.__class__ = SyncBatchNorm2d


def set_idle(net: nn.Module, idle: bool) -> None:
    """Set whether the samples of the next call count in the batch norms' statistics."""
    for module in net.modules():
        if isinstance(module, SyncBatchNorm2d):
            module.idle = idle
