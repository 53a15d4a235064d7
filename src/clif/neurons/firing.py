"""Firing and reset, which the steps of neurons share."""

from typing import Any

from clif.ops.constants import Constant
from clif.ops.switches import detach_if
from clif.surrogate import SurrogateFunction


class Firing:
    """The methods that a step may use besides its neuron's attributes, all element by element."""

    v_threshold: Constant
    v_reset: Constant | None
    surrogate_function: SurrogateFunction
    detach_reset: bool

    def fire(self, u: Any, threshold: Any = None) -> Any:
        """The spike Θ(u − threshold), with the surrogate's derivative; `threshold` is `v_threshold` if it is None."""
        return self.surrogate_function(u - (self.v_threshold if threshold is None else threshold))

    def reset_after(self, u: Any, spike: Any, subtract: Any = None) -> Any:
        """The potential after the reset: u − spike·subtract (None: `v_threshold`), or `v_reset` if that is a number.

        With `detach_reset` no gradient goes through the spike.
        """
        s = self.in_reset(spike)
        if self.v_reset is not None:
            return (1 - s) * u + s * self.v_reset
        return u - s * (self.v_threshold if subtract is None else subtract)

    def in_reset(self, spike: Any) -> Any:
        """The spike for the reset: without its gradient if `detach_reset`."""
        return detach_if(self.detach_reset, spike)
