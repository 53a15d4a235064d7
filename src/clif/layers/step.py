"""The shared parts of all layers: the step mode, and the call of a layer for [N, *] on a sequence [T, N, *]."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn

from clif import spikingjelly
from clif.errors import InputError

READS_OUTPUT = "_reads_output"
"""The attribute of forward hooks that only read the output."""


def check_step_mode(step_mode: str) -> str:
    """`step_mode` itself; raises `InputError` unless it is "s" or "m".

    >>> clif.layers.check_step_mode("m")
    'm'
    """
    if step_mode not in ("s", "m"):
        raise InputError(f'step_mode must be "s" (one step) or "m" (a sequence [T, N, *]), got {step_mode!r}')
    return step_mode


class StepModule(nn.Module):
    """A module with a `step_mode`: with "s" a call takes one step, with "m" a whole sequence.

    >>> class Sum(clif.layers.StepModule):
    ...     def forward(self, x):
    ...         return x.sum(0) if self.step_mode == "m" else x
    >>> Sum(step_mode="m")(torch.ones(6, 2)).tolist()
    [6.0, 6.0]
    """

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
        """The module's state between calls, or None at rest; assigning None resets it."""
        return None

    @state.setter
    def state(self, state: tuple[Tensor, ...] | None) -> None:
        if state is not None:
            raise InputError(f"{type(self).__name__} has no state to set")

    @property
    def memory(self) -> dict[str, Any]:
        """The attributes that a call or `clif.set_step_mode` may change; `vars(module).update` restores them."""
        return {"_step_mode": self._step_mode}

    @property
    def is_exclusive(self) -> bool:
        """Whether a call for a sequence begins from, or computes with, a state that another call may change meanwhile.

        By default every module with memories is exclusive.
        """
        return any(True for _ in self.memories())

    def named_memories(self) -> Iterator[tuple[str, Any]]:
        """The module's own states between calls, by SpikingJelly's names."""
        yield from ()

    def memories(self) -> Iterator[Any]:
        """The values of `named_memories()`."""
        for _, value in self.named_memories():
            yield value

    @property
    def _memories(self) -> Mapping[str, Any]:
        return MappingProxyType(dict(self.named_memories()))


def repeat_image(x: Tensor, T: int) -> Tensor:
    """One image [N, C, H, W] as the sequence [T, N, C, H, W] that repeats it, without a copy.

    >>> clif.layers.repeat_image(torch.rand(8, 3, 32, 32), T=6).shape
    torch.Size([6, 8, 3, 32, 32])
    """
    return x.expand(T, *x.shape)


def is_repeated(x_seq: Tensor) -> bool:
    """Whether a sequence [T, ...] is the same image at every step and needs no gradient for single steps.

    >>> clif.layers.is_repeated(clif.layers.repeat_image(torch.rand(8, 3, 32, 32), T=6))
    True
    """
    return len(x_seq) > 1 and x_seq.stride(0) == 0 and not (x_seq.is_leaf and x_seq.requires_grad)


def check_layout(layer: nn.Module, x: Tensor, layout: str, size: int | None = None, axis: int = -1) -> None:
    """Raise `InputError` unless x is a step in the `layout`, such as "N, C, H, W", or a sequence of such steps.

    `size`, if it is given, is what x must have along `axis`, counted from the end.
    """
    if torch.jit.is_tracing():  # type: ignore[attr-defined]  # it takes the sizes for values
        return
    names = layout.split(", ")
    if x.dim() in (len(names), len(names) + 1) and size in (None, x.shape[axis]):
        return
    if size is not None:
        names[axis] = str(size)
    step = ", ".join(names)
    raise InputError(
        f"{type(layer).__name__} takes one step [{step}] or a sequence [T, {step}], got an input {list(x.shape)}"
    )


def check_steps(layer: nn.Module, x_seq: Tensor) -> None:
    """Raise `InputError` for a sequence without a step."""
    if len(x_seq) == 0:
        raise InputError(f"{type(layer).__name__} takes a sequence with T ≥ 1, got {list(x_seq.shape)}")


def fold(layer: Callable[[Tensor], Tensor], x: Tensor, step_dims: int = 4) -> Tensor:
    """Apply a stateless layer to a step or to a sequence (once, if it is repeated).

    A step has `step_dims` axes, [N, C, H, W] by default, and a sequence one more.

    >>> clif.layers.fold(nn.Conv2d(3, 16, 3), torch.rand(6, 8, 3, 32, 32)).shape
    torch.Size([6, 8, 16, 30, 30])
    """
    if x.dim() != step_dims + 1:
        return layer(x)
    if is_repeated(x):
        return repeat_image(layer(x[0]), len(x))
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def has_hooks(module: nn.Module, of_inputs: bool = False) -> bool:
    """Whether this module has hooks, there are global hooks, or its `forward` was replaced.

    With `of_inputs` the forward hooks that `reads_output` marked do not count.

    >>> bool(clif.layers.has_hooks(nn.Linear(2, 2)))
    False
    """
    forward: Any = module._forward_hooks
    if of_inputs and forward:
        forward = [hook for hook in forward.values() if not hasattr(hook, READS_OUTPUT)]
    own = (forward, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(own) or "forward" in vars(module) or nn.modules.module._has_any_global_hook()


def reads_output(hook: Callable[..., None]) -> Callable[..., None]:
    """Mark a forward hook that only reads the output, so that a kernel may compute a neuron with its batch norm."""
    vars(hook)[READS_OUTPUT] = True
    return hook
