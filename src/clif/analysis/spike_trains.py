"""Statistics of spike trains: intervals between spikes, variability of counts, synchrony."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clif.analysis.activity import Forward, Sequence, firing_layers, observe_some
from clif.analysis.plotting import axes_or_new, layer_colours, legend, tidy, whole_ticks
from clif.analysis.results import Result, Row, added, ratio
from clif.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class LayerSpikes(Result):
    """The spike trains of a layer over the T steps of each sample; NaN if a denominator is 0.

    - `isi`: how many intervals between successive spikes of a neuron are 1, 2, …, T − 1 steps long, int64 [T − 1].
    - `mean_isi`, `cv_isi`: their mean in steps and coefficient of variation, over all neurons. Intervals end with the
      sample, so long ones are missing if T is small.
    - `mean_count`: spikes per neuron and sample.
    - `fano`: the variance of a neuron's count over the samples (with n − 1) divided by its mean, averaged over the
      neurons that fire. The samples differ, so it includes the variability of the input.
    - `population_fano`: the same for the count of the whole layer.
    - `synchrony`: χ² = Var_t(mean_i s_i[t]) / mean_i Var_t(s_i[t]) of Golomb and Rinzel (1994), for spikes instead of
      voltages, with both sums over the samples: 1 if all neurons fire together, about 1/neurons if they fire
      independently. A common start, such as a silent first step, counts as synchrony.

    >>> net = nn.Sequential(clif.LIFNode(step_mode="m"))
    >>> found = clif.analysis.spike_statistics(net, [torch.full((6, 2, 3), 5.0)])["0"]  # fires at every step
    >>> found.isi.tolist(), found.mean_isi, found.mean_count
    ([30, 0, 0, 0, 0], 1.0, 6.0)
    """

    neurons: int
    samples: int
    isi: Tensor
    mean_isi: float
    cv_isi: float
    mean_count: float
    fano: float
    population_fano: float
    synchrony: float

    def table(self) -> list[Row]:
        """One row."""
        names = ("neurons", "samples", "mean_isi", "cv_isi", "mean_count", "fano", "population_fano", "synchrony")
        return [{**{name: getattr(self, name) for name in names}, "intervals": int(self.isi.sum())}]

    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """The share of the intervals by their length."""
        axes = axes_or_new(ax)
        shares = 100 * self.isi.double() / self.isi.sum().clamp(min=1)
        axes.plot((torch.arange(len(shares)) + 1).numpy(), shares.numpy(), marker=".", **style)
        tidy(axes, "Intervals between spikes", "interval (steps)", "intervals (%)")
        whole_ticks(axes)
        return axes


@dataclass(frozen=True)
class SpikeStatistics(Result):
    """`LayerSpikes` by layer name.

    >>> net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    >>> found = clif.analysis.spike_statistics(net, [3 * torch.rand(20, 32, 4)])
    >>> found["1"].neurons, found["1"].samples
    (8, 32)
    """

    layers: dict[str, LayerSpikes]

    def __getitem__(self, layer: str) -> LayerSpikes:
        return self.layers[layer]

    def table(self) -> list[Row]:
        """One row per layer."""
        return [{"layer": name, **layer.table()[0]} for name, layer in self.layers.items()]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """The share of the intervals by their length, with one line per layer."""
        axes = axes_or_new(ax)
        for (name, layer), colour in zip(self.layers.items(), layer_colours(len(self.layers)), strict=True):
            layer.plot(axes, color=colour, label=name)
        legend(axes)
        return axes


class _Running:
    """The sums of one layer: of intervals by length, and of each neuron's counts and their squares, all exact."""

    def __init__(self) -> None:
        self.isi: Tensor | None = None
        self.counts: Tensor | None = None
        self.squares: Tensor | None = None
        self.samples = 0
        self.of_layer = self.of_layer_squared = 0
        self.shared = self.own = 0.0
        self.neurons = 0
        self.parts: list[Tensor] = []

    def add(self, sequence: Sequence) -> None:
        """Add a sequence, or a further part of the one before."""
        spikes = sequence.spike_seq
        fired = (spikes.flatten(2) if spikes.dim() > 2 else spikes[..., None]) != 0
        neurons = fired.shape[2]
        if self.neurons not in (0, neurons):
            raise InputError(
                f"{sequence.name} had {self.neurons} neurons and now {neurons}; all samples must have the same "
                "size, and each place in the network a separate neuron"
            )
        self.neurons = neurons
        if not sequence.steps_before:
            self._count()
        self.parts.append(fired)

    def _count(self) -> None:
        """Count the sequence whose parts were added."""
        if not self.parts:
            return
        fired = torch.cat(self.parts)
        self.parts = []
        T, N, _ = fired.shape
        counts = fired.sum(0)
        self.counts = added(self.counts, counts.sum(0).cpu())
        self.squares = added(self.squares, counts.square().sum(0).cpu())
        self.samples += N
        totals = counts.sum(1).tolist()
        self.of_layer += sum(totals)
        self.of_layer_squared += sum(total * total for total in totals)
        self.isi = added(self.isi, _intervals(fired).cpu())
        together = fired.double().mean(2)
        self.shared += together.var(0, correction=0).sum().item()
        rates = counts.double() / T
        self.own += (rates - rates.square()).mean(1).sum().item()

    def result(self) -> LayerSpikes:
        self._count()
        assert self.isi is not None
        assert self.counts is not None
        assert self.squares is not None
        lengths = torch.arange(len(self.isi), dtype=torch.float64) + 1
        number = int(self.isi.sum())
        mean = ratio((self.isi * lengths).sum().item(), number)
        variance = ratio((self.isi * lengths.square()).sum().item(), number) - mean * mean
        fires = self.counts > 0
        fano = _fano(self.counts[fires].double(), self.squares[fires].double(), self.samples)
        of_layer, squared = torch.tensor([self.of_layer, self.of_layer_squared], dtype=torch.float64)
        return LayerSpikes(
            len(self.counts),
            self.samples,
            self.isi,
            mean,
            math.sqrt(max(variance, 0.0)) / mean if number else math.nan,
            self.counts.double().mean().item() / self.samples,
            fano.mean().item() if len(fano) else math.nan,
            _fano(of_layer, squared, self.samples).item() if self.of_layer else math.nan,
            ratio(self.shared, self.own),
        )


def _intervals(fired: Tensor) -> Tensor:
    """The number of intervals between successive spikes of fired [T, *] by length, int64 [T − 1]."""
    T = len(fired)
    last = torch.full_like(fired[0], -1, dtype=torch.int64)
    found = torch.zeros(T, dtype=torch.int64, device=fired.device)
    for t, now in enumerate(fired):
        found += torch.bincount(t - last[now & (last >= 0)], minlength=T)
        last[now] = t
    return found[1:]


def _fano(sums: Tensor, squares: Tensor, samples: int) -> Tensor:
    """Variances (n − 1 below) by means, from the sums and the sums of squares over the samples."""
    if samples < 2:
        return torch.full_like(sums, math.nan)
    return (squares - sums.square() / samples) / (samples - 1) / (sums / samples)


def spike_statistics(
    net: nn.Module, loader: Iterable[Any], layers: Iterable[str] | None = None, forward: Forward | None = None
) -> SpikeStatistics:
    """The statistics of `LayerSpikes` for the spike trains of each layer over all batches, in eval mode.

    Memory use is two integers per neuron, T − 1 per layer and the spikes of a batch, whatever the size of the data.
    `net`, `loader`, `layers`, `forward` and errors are those of `firing_rates`; also, all samples must have one size.

        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
        >>> found = clif.analysis.spike_statistics(net, [3 * torch.rand(20, 32, 4)])
        >>> found["1"].mean_isi > 1, 0 < found["1"].synchrony < 1
        (True, True)
    """
    running: dict[str, _Running] = {}
    observed = firing_layers(net, layers)
    observe_some(net, loader, lambda s: running.setdefault(s.name, _Running()).add(s), observed, forward)
    return SpikeStatistics({name: running[name].result() for name in observed if name in running})
