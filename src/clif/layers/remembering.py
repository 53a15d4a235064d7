"""Layers that keep one tensor from call to call."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from clif.errors import InputError
from clif.layers.step import StepModule
from clif.ops.kept import likely_cause, usable
from clif.ops.recomputing import in_backward


class Remembering(StepModule):
    """A `StepModule` that keeps one tensor between calls, or None at rest, as its attribute `memory_name`.

    The tensor follows `.to()`, is copied detached by `copy.deepcopy` and `torch.save`, and is not part of `state_dict`.

    >>> readout = clif.layers.LeakyIntegrator(step_mode="m")
    >>> isinstance(readout, clif.layers.Remembering)
    True
    """

    memory_name: ClassVar[str]

    def __init__(self, step_mode: str = "s") -> None:
        super().__init__(step_mode)
        self._reset_in_backward = False
        self._remember(None)

    @property
    def state(self) -> tuple[Tensor, ...] | None:
        kept = self._remembered()
        return None if kept is None else (kept,)

    @state.setter
    def state(self, state: tuple[Tensor, ...] | None) -> None:
        self._remember(state[0] if state else None)

    @property
    def memory(self) -> dict[str, Any]:
        return {**super().memory, self.memory_name: self._remembered()}

    def named_memories(self) -> Iterator[tuple[str, Any]]:
        yield self.memory_name, self._remembered()

    def reset(self) -> None:
        """Delete the tensor of the last call."""
        self._reset_in_backward = in_backward()
        self._remember(None)

    def detach(self) -> None:
        """Cut the graph at the tensor of the last call (truncated back-propagation through time)."""
        kept = self._remembered()
        self._remember(None if kept is None else kept.detach())

    def _remembered(self) -> Tensor | None:
        kept: Tensor | None = getattr(self, self.memory_name)
        return kept

    def _remember(self, kept: Tensor | None) -> None:
        setattr(self, self.memory_name, kept)

    def _fitting(self, x: Tensor, shape: torch.Size) -> Tensor | None:
        """The kept tensor for a step `x`; raises `InputError` if it does not have the `shape`."""
        if not (again := in_backward()):
            self._reset_in_backward = False
        kept = self._remembered()
        if kept is None:
            return None
        owner = type(self).__name__
        if kept.shape != shape or kept.device != x.device:
            raise InputError(
                f"{self.memory_name} of {owner} is {list(kept.shape)} on {kept.device} but the input {list(x.shape)} "
                f"on {x.device}; " + likely_cause(kept, x.new_empty(()).expand(shape))
            )
        if again and not self._reset_in_backward:
            raise InputError(
                f"activation checkpointing would recompute {owner} from the state after its last call; call "
                "clif.reset_net inside the checkpointed function, or leave the layer out of it"
            )
        return usable(kept)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        if (kept := self._remembered()) is not None:
            self._remember(fn(kept))
        return self

    def __getstate__(self) -> dict[str, Any]:
        kept = self._remembered()
        return {**self.__dict__, self.memory_name: None if kept is None else kept.detach()}
