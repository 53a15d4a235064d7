"""The operations of a `Program`, one record each: arguments and result, PyTorch function, cost.

Every value of a program is a number or a mask (the result of a comparison). Derivatives are in `gradient.py`.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Kind = Literal["number", "mask"]


@dataclass(frozen=True)
class Operation:
    """An element-wise operation.

    `takes` and `gives` are the kinds of its arguments and of its result, `compute` is its PyTorch function, `fold` the
    same for literals (Python numbers), `cost` its time in units of an addition.
    """

    takes: tuple[Kind, ...]
    gives: Kind
    compute: Callable[..., Tensor]
    fold: Callable[..., Any] | None = None
    cost: float = 1.0

    @property
    def takes_python_numbers(self) -> bool:
        """Whether `compute` takes Python numbers beside tensors."""
        return self.compute is self.fold

    @property
    def is_slow(self) -> bool:
        """Whether it is a long chain of dependent instructions, during which other instructions should run."""
        return self.cost >= SLOW


SLOW = 6.0

_ONE: tuple[Kind, ...] = ("number",)
_TWO: tuple[Kind, ...] = ("number", "number")


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _detach_if(x: Any, condition: float) -> Any:
    return x.detach() if condition and isinstance(x, Tensor) else x


OPERATIONS: dict[str, Operation] = {
    "add": Operation(_TWO, "number", operator.add, operator.add),
    "sub": Operation(_TWO, "number", operator.sub, operator.sub),
    "mul": Operation(_TWO, "number", operator.mul, operator.mul),
    "div": Operation(_TWO, "number", operator.truediv, operator.truediv, cost=4),
    "neg": Operation(_ONE, "number", operator.neg, operator.neg),
    "abs": Operation(_ONE, "number", torch.abs, abs),
    "maximum": Operation(_TWO, "number", torch.maximum, max, cost=2),
    "minimum": Operation(_TWO, "number", torch.minimum, min, cost=2),
    "floor": Operation(_ONE, "number", torch.floor, math.floor),
    "round": Operation(_ONE, "number", torch.round, round),
    "sqrt": Operation(_ONE, "number", torch.sqrt, math.sqrt, cost=SLOW),
    "exp": Operation(_ONE, "number", torch.exp, math.exp, cost=9),
    "log": Operation(_ONE, "number", torch.log, math.log, cost=14),
    "tanh": Operation(_ONE, "number", torch.tanh, math.tanh, cost=16),
    "sigmoid": Operation(_ONE, "number", torch.sigmoid, _sigmoid, cost=12),
    "softplus": Operation(_ONE, "number", torch.nn.functional.softplus, cost=18),
    "erf": Operation(_ONE, "number", torch.erf, math.erf, cost=60),
    "pow": Operation(_TWO, "number", operator.pow, operator.pow, cost=80),
    "detach": Operation(_ONE, "number", torch.detach, lambda a: a, cost=0),
    "detachif": Operation(_TWO, "number", _detach_if, _detach_if, cost=0),
    "fire": Operation(_TWO, "number", lambda d, _: (d >= 0).to(d.dtype), lambda d, _: float(d >= 0)),
    "lt": Operation(_TWO, "mask", operator.lt, operator.lt),
    "le": Operation(_TWO, "mask", operator.le, operator.le),
    "eq": Operation(_TWO, "mask", operator.eq, operator.eq),
    "and": Operation(("mask", "mask"), "mask", torch.logical_and, lambda a, b: a and b),
    "or": Operation(("mask", "mask"), "mask", torch.logical_or, lambda a, b: a or b),
    "not": Operation(("mask",), "mask", torch.logical_not, operator.not_),
    "where": Operation(("mask", "number", "number"), "number", torch.where, lambda m, a, b: a if m else b),
}
