"""Calls that activation checkpointing recomputes, which start from the start state of the original call."""

from typing import Any, NamedTuple

from torch import Tensor

from clif.errors import InputError
from clif.ops.recomputing import in_backward

Values = tuple[Tensor | float, ...] | None


class Calls(NamedTuple):
    """The calls of a neuron since its last reset.

    `number` counts them; `start` is the state before the first one. The count restarts with the next call after a reset
    or a detach, because a later backward pass may still recompute the present calls.
    """

    number: int = 0
    anew: bool = True
    start: Values = None
    reset_in_backward: bool = False

    def counted(self, present: Values) -> "Calls":
        """The calls with one more call, from the state `present`."""
        if self.anew:
            return Calls(1, False, present, in_backward())
        return Calls(self.number + 1, False, None, in_backward())

    def ended(self) -> "Calls":
        """The calls with a count that restarts."""
        return self._replace(anew=True)

    def reset(self) -> "Calls":
        """The calls after a reset, which may happen inside a backward pass."""
        return self._replace(anew=True, reset_in_backward=in_backward())

    @property
    def are_recomputed(self) -> bool:
        """Whether the present call repeats an earlier one."""
        return in_backward() and not self.reset_in_backward

    def check(self, owner: Any) -> None:
        """Raise `InputError` if it is unknown which call is repeated."""
        if self.number != 1:
            raise InputError(
                f"activation checkpointing recomputes a {type(owner).__name__} that was called {self.number} times "
                "since its last reset; it is unknown which call to recompute: call clif.reset_net inside the "
                "checkpointed "
                "function, or checkpoint whole sequences"
            )
