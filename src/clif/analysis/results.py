"""The results of all analyses: numbers as attributes, a table of plain values, and a plot."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]


@dataclass(frozen=True)
class Result(ABC):
    """The base of all results; a subclass is a frozen dataclass of tensors and plain values.

    >>> net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    >>> rates = clif.analysis.firing_rates(net, [torch.rand(6, 32, 4)])
    >>> isinstance(rates, clif.analysis.Result), list(rates.to_dict())
    (True, ['rates', 'by_channel', 'by_step'])
    """

    @abstractmethod
    def table(self) -> list[Row]:
        """The main numbers, a row of plain values for each layer (or pair of layers)."""

    @abstractmethod
    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw it into `ax`, or into a new figure (`.figure` of the returned Axes)."""

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain values, for JSON; None for numbers that are not finite."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}


def plain(value: Any) -> Any:
    """A value without tensors and results; None for a number that is not finite."""
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def ratio(part: float, whole: float) -> float:
    """part / whole; NaN if whole is 0."""
    return part / whole if whole else math.nan


def added(total: Tensor | None, more: Tensor) -> Tensor:
    """The sum of two tensors with the same number of axes; the shorter one along an axis is padded with zeros."""
    if total is None:
        return more
    if total.shape == more.shape:
        return total + more
    shape = [max(a, b) for a, b in zip(total.shape, more.shape, strict=True)]
    padded = torch.zeros(shape, dtype=total.dtype)
    for part in (total, more):
        padded[tuple(slice(0, size) for size in part.shape)] += part
    return padded
