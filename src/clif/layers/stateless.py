"""Layers without a state, by torch's names and with torch's parameters."""

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers.bfloat16 import convolve_in_float32, needs_float32
from clif.layers.step import check_layout, fold, is_repeated
from clif.ops import dispatch, spike_conv
from clif.ops.packing import packed_while_saved


class Linear(nn.Linear):
    """`torch.nn.Linear` for a step [N, *, in_features] or a sequence [T, N, *, in_features].

    Raises `InputError` for another number of features.

        >>> clif.layers.Linear(4, 2)(torch.rand(6, 8, 4)).shape
        torch.Size([6, 8, 2])
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() < 2 or x.shape[-1] != self.in_features:
            n = self.in_features
            raise InputError(
                f"{type(self).__name__} takes one step [N, *, {n}] or a sequence [T, N, *, {n}], got an input "
                f"{list(x.shape)}"
            )
        return fold(super().forward, x, x.dim() - 1) if x.dim() > 2 and is_repeated(x) else super().forward(x)


class Conv1d(nn.Conv1d):
    """`torch.nn.Conv1d` for a step [N, C, L] or a sequence [T, N, C, L].

    Raises `InputError` for another number of axes or channels.

        >>> clif.layers.Conv1d(2, 4, 3, padding=1)(torch.rand(6, 8, 2, 16)).shape
        torch.Size([6, 8, 4, 16])
    """

    def forward(self, x: Tensor) -> Tensor:
        check_layout(self, x, "N, C, L", self.in_channels, -2)
        return fold(self._convolve, x, 3)

    def _convolve(self, x: Tensor) -> Tensor:
        return convolve_in_float32(self, x) if needs_float32(self, x) else super().forward(x)


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` for a step or a sequence.

    If its input is spikes and few of them are 1, compiled kernels add only the selected weights
    (`clif.ops.spike_conv`), unless `backend` is "torch". They take inputs on a CPU, in channels_last (for your own
    network: `net.to(memory_format=torch.channels_last)`), whose elements are 0 or one other number; square kernels of
    side 3 or more, square strides and paddings, padding with zeros, groups = dilation = 1; and enough channels and
    output pixels over the T·N images (docs/benchmarks.md has the limits). Under torch.compile, tracing and torch.func
    PyTorch computes the convolution.

    With `pack_spikes` it keeps spikes for the backward pass as one bit each, as those kernels always do.

    >>> clif.layers.Conv2d(3, 16, 3, padding=1)(torch.rand(6, 8, 3, 32, 32)).shape
    torch.Size([6, 8, 16, 32, 32])
    """

    _backend = "auto"
    pack_spikes = False

    @property
    def backend(self) -> str:
        return self._backend

    @backend.setter
    def backend(self, backend: str) -> None:
        self._backend = dispatch.check_backend(backend)

    def forward(self, x: Tensor) -> Tensor:
        check_layout(self, x, "N, C, H, W", self.in_channels, -3)
        return fold(self._convolve, x)

    def _convolve(self, x: Tensor) -> Tensor:
        if self.backend != "torch" and (out := spike_conv.convolve(self, x)) is not None:
            return out
        if needs_float32(self, x):
            return convolve_in_float32(self, x)
        if self.pack_spikes and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            with packed_while_saved(x):
                return super().forward(x)
        return super().forward(x)


class AvgPool2d(nn.AvgPool2d):
    """`torch.nn.AvgPool2d` for a step [N, C, H, W] or a sequence [T, N, C, H, W].

    >>> clif.layers.AvgPool2d(2)(torch.rand(6, 8, 3, 32, 32)).shape
    torch.Size([6, 8, 3, 16, 16])
    """

    def forward(self, x: Tensor) -> Tensor:
        check_layout(self, x, "N, C, H, W")
        return fold(super().forward, x)


class MaxPool2d(nn.MaxPool2d):
    """`torch.nn.MaxPool2d` for a step [N, C, H, W] or a sequence [T, N, C, H, W]; without `return_indices`.

    Spikes stay spikes.

        >>> clif.layers.MaxPool2d(2)(torch.rand(6, 8, 3, 32, 32)).shape
        torch.Size([6, 8, 3, 16, 16])
    """

    def forward(self, x: Tensor) -> Tensor:
        check_layout(self, x, "N, C, H, W")
        if self.return_indices:
            raise InputError("clif.layers.MaxPool2d returns no indices; leave out return_indices")
        return fold(super().forward, x)


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """`torch.nn.AdaptiveAvgPool2d` for a step [N, C, H, W] or a sequence [T, N, C, H, W].

    >>> clif.layers.AdaptiveAvgPool2d(1)(torch.rand(6, 8, 3, 32, 32)).shape
    torch.Size([6, 8, 3, 1, 1])
    """

    def forward(self, x: Tensor) -> Tensor:
        check_layout(self, x, "N, C, H, W")
        return fold(super().forward, x)


class Flatten(nn.Module):
    """[N, C, H, W] -> [N, C·H·W] for a step, [T, N, C, H, W] -> [T, N, C·H·W] for a sequence.

    Raises `InputError` for another number of axes.

    >>> clif.layers.Flatten()(torch.rand(6, 8, 3, 4, 4)).shape
    torch.Size([6, 8, 48])
    """

    def forward(self, x: Tensor) -> Tensor:
        check_layout(self, x, "N, C, H, W")
        return x.flatten(-3)
