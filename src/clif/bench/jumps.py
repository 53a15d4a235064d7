"""The distance of a neuron from the discontinuities of its equations, at which rounding decides the result."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from clif.surrogate import Surrogate, SurrogateFunction

BETWEEN_TWO = frozenset(
    (
        *("lt", "le", "gt", "ge", "eq", "ne", "maximum", "minimum"),
        *("less", "less_equal", "greater", "greater_equal", "not_equal"),
    )
)
"""Operations that are discontinuous, or have a discontinuous derivative, at equal operands."""

AT_ZERO = frozenset(("abs", "absolute", "relu", "sign"))
CLAMPS = {
    "clamp": ("min", "max"),
    "clip": ("min", "max"),
    "clamp_min": ("min",),
    "clamp_max": ("max",),
}
"""Operations that clamp, and the arguments that are their bounds, in order."""

ROUNDING: dict[str, Callable[[Tensor], Tensor]] = {"floor": torch.round, "round": lambda x: x.floor() + 0.5}
"""The nearest discontinuity of a rounding."""


class Distance(TorchFunctionMode):
    """A context in which `nearest` [P] records the distance of P elements from an operation's discontinuity.

    If all elements are at a discontinuity, as the state at rest is, they are there in every dtype, so it does not
    count.
    """

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.nearest = torch.full_like(like, torch.inf)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        given = dict(kwargs or {})
        for place in _jumps(func.__name__.strip("_"), args, given):
            distance = torch.as_tensor(args[0] - place).detach().abs()
            if distance.numel() == self.nearest.numel() and distance.any():
                self.nearest = torch.minimum(self.nearest, distance.reshape(-1))
        return func(*args, **given)


def _jumps(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The discontinuity of an operation nearest to its first argument."""
    if name in BETWEEN_TWO:
        return [args[1] if len(args) > 1 else kwargs["other"]]
    if name in AT_ZERO:
        return [0.0]
    if name in ROUNDING:
        return [ROUNDING[name](args[0].detach())]
    given = dict(zip(CLAMPS.get(name, ()), args[1:], strict=False)) | kwargs
    return [given[bound] for bound in CLAMPS.get(name, ()) if given.get(bound) is not None]


def with_its_derivative(surrogate: SurrogateFunction) -> SurrogateFunction:
    """The surrogate, which evaluates its derivative at once, so that a `Distance` sees the discontinuities of both."""

    def fire(x: Tensor) -> Tensor:
        if isinstance(surrogate, Surrogate):
            surrogate.derivative(x)
        return surrogate(x)

    return fire
