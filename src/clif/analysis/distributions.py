"""Histograms of the states of all neurons over a data set, in bins that widen with the values."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clif.analysis.activity import Forward, Sequence, firing_layers, follow, observe_some
from clif.analysis.plotting import axes_or_new, layer_colours, legend, tidy
from clif.analysis.results import Result, Row
from clif.errors import InputError, unknown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Histogram(Result):
    """Exact counts int64 [B] of values between `edges` float64 [B + 1], each below its upper edge.

    `mean` and `std` (of the population) are of all finite values; `nonfinite` counts the other values.

    >>> net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    >>> histogram = clif.analysis.histograms(net, [torch.rand(6, 32, 4)], bins=16)["1"]["v"]
    >>> histogram.counts.shape, histogram.edges.shape, histogram.lowest <= histogram.mean <= histogram.highest
    (torch.Size([16]), torch.Size([17]), True)
    """

    counts: Tensor
    edges: Tensor
    mean: float
    std: float
    lowest: float
    highest: float
    nonfinite: int

    def table(self) -> list[Row]:
        """One row."""
        names = ("mean", "std", "lowest", "highest", "nonfinite")
        return [{"values": int(self.counts.sum()), **{name: getattr(self, name) for name in names}}]

    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """The density of the values as a stepped line."""
        axes = axes_or_new(ax)
        occupied = self.counts.nonzero().flatten().tolist() or [0]
        first, end = occupied[0], occupied[-1] + 1
        density = self.counts.double() / self.counts.sum().clamp(min=1) / self.edges.diff()
        axes.stairs(density[first:end].numpy(), self.edges[first : end + 1].numpy(), **style)
        tidy(axes, "", "value", "density")
        return axes


@dataclass(frozen=True)
class Histograms(Result):
    """A `Histogram` for each layer and state: layer name -> state -> histogram.

    >>> net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    >>> found = clif.analysis.histograms(net, [torch.rand(6, 32, 4)])
    >>> [(row["layer"], row["state"], row["values"]) for row in found.table()]
    [('1', 'v', 1536), ('1', 'm', 1536)]
    """

    layers: dict[str, dict[str, Histogram]]

    def __getitem__(self, layer: str) -> dict[str, Histogram]:
        return self.layers[layer]

    def table(self) -> list[Row]:
        """One row per layer and state."""
        return [
            {"layer": name, "state": state, **histogram.table()[0]}
            for name, states in self.layers.items()
            for state, histogram in states.items()
        ]

    def plot(self, ax: "Axes | None" = None, state: str | None = None) -> "Axes":
        """The density of a state, with one line per layer; by default of v, or of the first state if none has v."""
        known = list(dict.fromkeys(name for states in self.layers.values() for name in states))
        state = ("v" if "v" in known else known[0]) if state is None else state
        shown = {name: states[state] for name, states in self.layers.items() if state in states}
        if not shown:
            raise unknown_name("state", state, known)
        axes = axes_or_new(ax)
        for (name, histogram), colour in zip(shown.items(), layer_colours(len(shown)), strict=True):
            histogram.plot(axes, color=colour, label=name)
        axes.set_yscale("log")
        tidy(axes, f"{state} after each step", state, "density")
        legend(axes)
        return axes


class RunningHistogram:
    """A histogram whose memory does not depend on the number of values: the bins double in width if needed.

    The widths are powers of two and the edges multiples of them, so two neighbours merge into one bin exactly. Mean and
    variance are merged batch by batch (Chan, Golub and LeVeque, 1983).
    """

    def __init__(self, bins: int = 128) -> None:
        if bins < 2:
            raise InputError(f"a histogram needs at least 2 bins, got {bins}")
        self.bins = bins
        self.exponent: int | None = None
        self.first = 0
        self.counts = torch.zeros(bins, dtype=torch.int64)
        self.number, self.mean, self.squares = 0, 0.0, 0.0
        self.lowest, self.highest = math.inf, -math.inf
        self.nonfinite = 0

    def add(self, values: Tensor) -> None:
        """Count values of any shape."""
        values = values.detach().flatten()
        finite = values.isfinite()
        if not finite.all():
            self.nonfinite += int((~finite).sum())
            values = values[finite]
        if not len(values):
            return
        low, high = (value.item() for value in values.aminmax())
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        self._widen()
        assert self.exponent is not None
        places = (values.double() * 2.0**-self.exponent).floor().long() - self.first
        self.counts += torch.bincount(places, minlength=self.bins).cpu()
        self._merge(len(values), values.double())

    def _widen(self) -> None:
        """Widen the bins until they hold everything between the lowest and the highest value."""
        if self.exponent is None:
            spread = max(self.highest - self.lowest, 2.0**-20 * max(abs(self.lowest), abs(self.highest), 2.0**-20))
            self.exponent = math.ceil(math.log2(spread / self.bins))
            self.first = math.floor(self.lowest * 2.0**-self.exponent)
        scale = 2.0**-self.exponent
        low, high = math.floor(self.lowest * scale), math.floor(self.highest * scale)
        if self.first <= low and high < self.first + self.bins:
            return
        start = min(low, self.first)
        occupied = self.counts.nonzero().flatten()
        indices = occupied + self.first
        counts = self.counts[occupied]
        while high - start >= self.bins or (len(indices) and int(indices.max()) - start >= self.bins):
            self.exponent += 1
            low, high, start = low >> 1, high >> 1, low >> 1
            indices = indices >> 1
        self.first = min(low, int(indices.min())) if len(indices) else low
        self.counts = torch.zeros_like(self.counts).index_add_(0, indices - self.first, counts)

    def _merge(self, number: int, values: Tensor) -> None:
        mean = values.mean().item()
        squares = (values - mean).square_().sum().item()
        total = self.number + number
        step = mean - self.mean
        self.squares += squares + step * step * self.number * number / total
        self.mean += step * number / total
        self.number = total

    def result(self) -> Histogram:
        """The histogram of the values so far."""
        width = 2.0 ** (self.exponent or 0)
        edges = (torch.arange(self.bins + 1, dtype=torch.float64) + self.first) * width
        std = math.sqrt(self.squares / self.number) if self.number else math.nan
        mean = self.mean if self.number else math.nan
        return Histogram(self.counts.clone(), edges, mean, std, self.lowest, self.highest, self.nonfinite)


def histograms(
    net: nn.Module,
    loader: Iterable[Any],
    states: Iterable[str] | None = None,
    bins: int = 128,
    layers: Iterable[str] | None = None,
    forward: Forward | None = None,
) -> Histograms:
    """Histograms of the states after each step, of all neurons of each layer, over all batches, in eval mode.

    Counts are exact. Memory use is `bins` counts per layer and state, whatever the size of the data: if a value falls
    outside, all bins become twice as wide.

    `states` are names, such as ("v", "m"), all by default. A state that a layer does not have is left out for it.
    `net`, `loader`, `layers` and `forward` are those of `firing_rates`. Raises `InputError` as `firing_rates` and
    `traces` do, and for a state that no layer has.

        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
        >>> found = clif.analysis.histograms(net, [torch.rand(6, 32, 4)])
        >>> found["1"]["m"].counts.sum().item()
        1536
    """
    observed = firing_layers(net, layers)
    asked = None if states is None else [states] if isinstance(states, str) else list(states)
    known = {state for node in observed.values() for state in getattr(node, "state_names", ())}
    for state in asked or ():
        if state not in known:
            raise unknown_name("state", state, known)
    running: dict[str, dict[str, RunningHistogram]] = {}

    def count(sequence: Sequence) -> None:
        of_layer = running.setdefault(sequence.name, {})
        for _, state in follow(sequence):
            for name, values in state.items():
                if asked is None or name in asked:
                    of_layer.setdefault(name, RunningHistogram(bins)).add(values)

    observe_some(net, loader, count, observed, forward, inputs=True)
    return Histograms(
        {name: {state: h.result() for state, h in running[name].items()} for name in observed if name in running}
    )
