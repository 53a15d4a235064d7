"""Layers that take one step [N, C, H, W] as well as a sequence [T, N, C, H, W].

The convolutions, pools and batch norms keep torch's names and parameters, so that state dicts agree with plain
networks. A sequence is folded to [T·N, C, H, W] for the computation. A static image that is shown at every step
arrives as an expanded sequence (stride 0 along T, see `repeat_image`): stateless layers compute it once.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clif import spikingjelly
from clif.errors import InputError
from clif.ops import dispatch, spike_conv
from clif.ops.kept import likely_cause, outside_inference
from clif.ops.norm import Norm
from clif.ops.packing import packed_while_saved
from clif.random import derive_keys, keyed_mask


def check_step_mode(step_mode: str) -> str:
    """`step_mode` itself; raises `InputError` unless it is "s" or "m"."""
    if step_mode not in ("s", "m"):
        raise InputError(f'step_mode must be "s" (one step) or "m" (a sequence [T, N, *]), got {step_mode!r}')
    return step_mode


class StepModule(nn.Module):
    """A module whose meaning depends on `step_mode`: "s" for one step a call, "m" for a whole sequence a call."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        spikingjelly.join(StepModule)
        return super().__new__(cls)

    def __init__(self, step_mode: str = "s") -> None:
        super().__init__()
        self.step_mode = step_mode

    @property
    def step_mode(self) -> str:
        return self._step_mode

    @step_mode.setter
    def step_mode(self, step_mode: str) -> None:
        self._step_mode = check_step_mode(step_mode)

    @property
    def state(self) -> tuple[Tensor, ...] | None:
        """What the module remembers between calls, or None at rest; assigning None brings it back to rest."""
        return None

    @state.setter
    def state(self, state: tuple[Tensor, ...] | None) -> None:
        if state is not None:
            raise InputError(f"{type(self).__name__} has no state to set")

    @property
    def memory(self) -> dict[str, Any]:
        """What a call or `clif.set_step_mode` may change, by attribute; `vars(module).update` brings it back."""
        return {"_step_mode": self._step_mode}

    def named_memories(self) -> Iterator[tuple[str, Any]]:
        """What the module itself remembers between calls, by SpikingJelly's name for it."""
        yield from ()

    def memories(self) -> Iterator[Any]:
        """The values of `named_memories()`."""
        for _, value in self.named_memories():
            yield value

    @property
    def _memories(self) -> Mapping[str, Any]:
        return MappingProxyType(dict(self.named_memories()))


def repeat_image(x: Tensor, T: int) -> Tensor:
    """One image [N, C, H, W] as the sequence [T, N, C, H, W] that shows it at every step, without copying it."""
    return x.expand(T, *x.shape)


def is_repeated(x_seq: Tensor) -> bool:
    """Whether a sequence [T, ...] is the same image at every step, and no one asks for its gradient step by step."""
    return len(x_seq) > 1 and x_seq.stride(0) == 0 and not (x_seq.is_leaf and x_seq.requires_grad)


def fold(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a stateless layer for [N, C, H, W] to a step or to a sequence [T, N, C, H, W] (once, if it is repeated)."""
    if x.dim() != 5:
        return layer(x)
    if is_repeated(x):
        return repeat_image(layer(x[0]), len(x))
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def has_hooks(module: nn.Module) -> bool:
    """Whether someone listens to the calls of this very module, or of all modules, or has replaced its `forward`."""
    own = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(own) or "forward" in vars(module) or nn.modules.module._has_any_global_hook()


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` for a step or a sequence.

    Where its input is spikes, and few, the compiled kernels add up the weights they select (`clif.ops.spike_conv`),
    unless `backend` is "torch". They take inputs on a CPU, in channels_last (for a network of your own:
    `net.to(memory_format=torch.channels_last)`), whose elements are 0 or one other number; square kernels of side 3 or
    more, strides and paddings square, padded with zeros, groups = dilation = 1; 32 or more input and output channels;
    and 128 or more output pixels over the T·N images. Under torch.compile, tracing and torch.func all is PyTorch's.

    With `pack_spikes` it keeps spikes for backward as one bit each, as those kernels always do.
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
        return fold(self._convolve, x)

    def _convolve(self, x: Tensor) -> Tensor:
        if self.backend != "torch" and (out := spike_conv.convolve(self, x)) is not None:
            return out
        if self.pack_spikes and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            with packed_while_saved(x):
                return super().forward(x)
        return super().forward(x)


class AvgPool2d(nn.AvgPool2d):
    """`torch.nn.AvgPool2d` for a step or a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return fold(super().forward, x)


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """`torch.nn.AdaptiveAvgPool2d` for a step or a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return fold(super().forward, x)


class Flatten(nn.Module):
    """[..., C, H, W] -> [..., C·H·W]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(-3)


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` for a step or a sequence; in training each step t has the statistics of its own N samples.

    The running statistics are updated once a step, T times for a sequence, exactly as T calls would. Where a channel
    has a single value (N = H = W = 1), which has no variance, the running statistics normalise it and stay as they are.
    """

    momentum: float | None
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__(num_features, eps, momentum)

    @property
    def affine(self) -> bool:
        """Always true. Refuses a conversion to `torch.nn.SyncBatchNorm`, which asks for it."""
        if "sync" in sys._getframe(1).f_code.co_name:
            raise InputError(
                "torch.nn.SyncBatchNorm would take axis 1 of [T, N, C, H, W] for the channels; clif synchronises its "
                "batch norms itself: -sync_bn True (clif train), or clif.train.synchronise_batch_norms(net)"
            )
        return True

    @affine.setter
    def affine(self, affine: bool) -> None:
        if not affine:
            raise InputError("clif.layers.BatchNorm2d always has weight and bias")
        vars(self)["affine"] = affine

    def rate(self, repeats: int) -> float:
        """How far the running statistics move towards those of a step that was just counted `repeats` times."""
        if self.momentum is None:  # the plain mean over all steps
            return repeats / float(self.num_batches_tracked)
        return self.momentum if repeats == 1 else 1 - (1 - self.momentum) ** repeats

    def for_kernels(self) -> Norm:
        """What a kernel needs that normalises as this module would at this moment."""
        fixed = (None, None) if self.training else (self.running_mean, self.running_var)
        return Norm(self.weight, self.bias, self.eps, *fixed)

    @torch.no_grad()
    def observe(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Update the running statistics with mean and biased variance [T, C] of T steps of `count` values a channel."""
        assert self.running_mean is not None
        assert self.running_var is not None
        for mean_t, var_t in zip(mean, var * (count / (count - 1)), strict=True):
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean_t, rate := self.rate(1))
            self.running_var.lerp_(var_t, rate)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return fold(self._normalise, x)
        if x.dim() != 5:
            return self._normalise(x)
        if is_repeated(x):
            return repeat_image(self._normalise(x[0], repeats=len(x)), len(x))
        return torch.cat([self._normalise(step) for step in x.unbind(0)]).unflatten(0, x.shape[:2])

    def _normalise(self, x: Tensor, repeats: int = 1) -> Tensor:
        """Normalise [N, C, H, W]; in training update the running statistics as `repeats` equal steps would."""
        if not self.training or x.numel() <= x.shape[1]:  # a branch: under torch.compile sizes may be symbols
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        self.num_batches_tracked += repeats
        rate = self.rate(repeats)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, True, rate, self.eps)


class Dropout(StepModule):
    """Dropout whose mask is drawn once and kept for all steps: over a sequence [T, N, *], or from reset to reset.

    With `keys` [N] (see `key_dropout`) each sample's mask comes from its key, else from torch's global generator.
    """

    def __init__(self, p: float = 0.0, step_mode: str = "s") -> None:
        super().__init__(step_mode)
        if not 0 <= p < 1:
            raise InputError(f"the dropout rate must be in [0, 1), got {p}")
        self.p = p
        self.mask: Tensor | None = None
        self.keys: Tensor | None = None

    @property
    def state(self) -> tuple[Tensor, ...] | None:
        return None if self.mask is None else (self.mask,)

    @state.setter
    def state(self, state: tuple[Tensor, ...] | None) -> None:
        self.mask = None if state is None else state[0]

    @property
    def memory(self) -> dict[str, Any]:
        return {**super().memory, "mask": self.mask}

    def named_memories(self) -> Iterator[tuple[str, Any]]:
        yield "mask", self.mask

    def reset(self) -> None:
        """Forget the mask; the next call in training draws a new one."""
        self.mask = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self.step_mode == "m":
            return x * self._draw(x[0])
        if self.mask is None:
            self.mask = self._draw(x)
        elif self.mask.shape != x.shape:
            raise InputError(
                f"the dropout mask has shape {list(self.mask.shape)} but the input {list(x.shape)}; "
                + likely_cause(self.mask, x)
            )
        self.mask = outside_inference(self.mask)
        return x * self.mask

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Dropout":
        super()._apply(fn, recurse)
        self.mask = None if self.mask is None else fn(self.mask)
        return self

    def _draw(self, x: Tensor) -> Tensor:
        if self.keys is None:
            return F.dropout(torch.ones_like(x), self.p)
        mask = torch.full_like(x, 1 / (1 - self.p))
        return mask.masked_fill_(keyed_mask(self.keys, x.shape, self.p), 0)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def key_dropout(net: nn.Module, keys: Tensor | None) -> None:
    """Give the dropouts of `net` the keys [N] of the samples that come next (`clif.random`); None takes them back."""
    dropouts = (module for module in net.modules() if isinstance(module, Dropout) and module.p > 0)
    for number, module in enumerate(dropouts):
        module.keys = None if keys is None else derive_keys(keys, number)
