"""Firing rates by layer, channel and step; channels that never fire or hardly ever rest."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clif.analysis.activity import Forward, Sequence, firing_layers, observe_some
from clif.analysis.plotting import GREY, axes_or_new, layer_colours, legend, name_layers, tidy, whole_ticks
from clif.analysis.results import Result, Row, added
from clif.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class FiringRates(Result, Mapping[str, float]):
    """Spikes per neuron and time step. As a mapping it is layer name -> rate of the layer.

    `by_channel` has [C] and `by_step` [T] rates of each layer, float64; a channel is axis 1 of a step [N, C, *].

    >>> net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    >>> rates = clif.analysis.firing_rates(net, [torch.rand(6, 32, 4)])
    >>> list(rates), 0 <= rates["1"] <= 1, rates.by_step["1"].shape
    (['1'], True, torch.Size([6]))
    """

    rates: dict[str, float]
    by_channel: dict[str, Tensor]
    by_step: dict[str, Tensor]

    def __getitem__(self, layer: str) -> float:
        return self.rates[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rates)

    def __len__(self) -> int:
        return len(self.rates)

    def channels(self, dead: float = 0.0, saturated: float = 0.95) -> "ChannelActivity":
        """The channels whose rate is at most `dead`, and those whose rate is at least `saturated`."""
        if not 0 <= dead < saturated <= 1:
            raise InputError(f"dead and saturated must be in [0, 1], dead the smaller, got {dead} and {saturated}")
        return ChannelActivity(
            {name: (rates <= dead).nonzero().flatten() for name, rates in self.by_channel.items()},
            {name: (rates >= saturated).nonzero().flatten() for name, rates in self.by_channel.items()},
            dict(self.by_channel),
        )

    def table(self) -> list[Row]:
        """One row per layer: its rate, its steps' rates, and the lowest, median and highest of its channels."""
        return [
            {
                "layer": name,
                "rate": rate,
                **{f"step {t + 1}": value for t, value in enumerate(self.by_step[name].tolist())},
                "lowest": self.by_channel[name].min().item(),
                "median": self.by_channel[name].median().item(),
                "highest": self.by_channel[name].max().item(),
            }
            for name, rate in self.rates.items()
        ]

    def plot(self, ax: "Axes | None" = None, by: Literal["layer", "channel", "step"] = "layer") -> "Axes":
        """Bars by layer, or one line per layer over the steps or over its channels sorted by rate."""
        axes = axes_or_new(ax)
        if by == "layer":
            axes.bar(range(len(self)), [100 * rate for rate in self.values()], color=layer_colours(len(self)))
            name_layers(axes, list(self))
            tidy(axes, "Firing rate", "", "spikes per neuron and step (%)")
            return axes
        values = {"channel": self.by_channel, "step": self.by_step}.get(by)
        if values is None:
            raise InputError(f'by must be "layer", "channel" or "step", got {by!r}')
        for (name, rates), colour in zip(values.items(), layer_colours(len(self)), strict=True):
            ordered = rates.sort().values if by == "channel" else rates
            places = torch.linspace(0, 100, len(rates)) if by == "channel" else torch.arange(len(rates)) + 1
            axes.plot(
                places.numpy(), 100 * ordered.numpy(), color=colour, marker="." if by == "step" else "", label=name
            )
        tidy(axes, f"Firing rate by {by}", "step" if by == "step" else "channels (%)", "spikes per neuron and step (%)")
        if by == "step":
            whole_ticks(axes)
        legend(axes)
        return axes


@dataclass(frozen=True)
class ChannelActivity(Result):
    """The indices of the dead and of the saturated channels of each layer, int64, and all channels' rates [C].

    >>> net = nn.Sequential(clif.LIFNode(step_mode="m"))
    >>> x = torch.tensor([0.0, 0.7, 5.0]).expand(6, 1, 3)  # [T, N, C]
    >>> clif.analysis.firing_rates(net, [x]).channels().table()
    [{'layer': '0', 'channels': 3, 'dead': 1, 'saturated': 1}]
    """

    dead: dict[str, Tensor]
    saturated: dict[str, Tensor]
    rates: dict[str, Tensor]

    def table(self) -> list[Row]:
        """One row per layer: its channels, and how many of them are dead and saturated."""
        return [
            {
                "layer": name,
                "channels": len(rates),
                "dead": len(self.dead[name]),
                "saturated": len(self.saturated[name]),
            }
            for name, rates in self.rates.items()
        ]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """The shares of dead and saturated channels, layer by layer."""
        axes = axes_or_new(ax)
        for offset, (label, colour) in zip((-0.2, 0.2), (("dead", GREY), ("saturated", "#d1603d")), strict=True):
            shares = [100 * row[label] / row["channels"] for row in self.table()]
            axes.bar([i + offset for i in range(len(shares))], shares, 0.4, color=colour, label=label)
        name_layers(axes, list(self.rates))
        tidy(axes, "Dead and saturated channels", "", "channels (%)")
        axes.legend(frameon=False)
        return axes


def firing_rates(
    net: nn.Module, loader: Iterable[Any], layers: Iterable[str] | None = None, forward: Forward | None = None
) -> FiringRates:
    """Spikes per neuron and time step by layer, channel and step, over all batches, in eval mode.

    Spikes are counted exactly. Memory use is [T, C] counts per layer, whatever the size of the data.

    Args:
        net: a network of `clif.models`, or any module with neurons of clif or SpikingJelly. It begins every batch at
            rest and is unchanged afterwards.
        loader: batches, tensors or tuples that begin with one.
        layers: names of the layers to measure; all by default.
        forward: how the network sees a batch, `net(x)` by default. For a module that computes one step per call:
            `forward=lambda net, x: [net(x) for _ in range(6)]`, or for sequences `[net(step) for step in x]`.

    Raises `InputError` for a network without spiking neurons, an unknown layer and an empty loader.

        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
        >>> rates = clif.analysis.firing_rates(net, [torch.rand(6, 32, 4)])  # [T, N, 4]
        >>> rates.by_channel["1"].shape, rates.by_step["1"].shape
        (torch.Size([8]), torch.Size([6]))
    """
    spikes: dict[str, Tensor] = {}
    samples: dict[str, Tensor] = {}

    def count(sequence: Sequence) -> None:
        found, of = (F.pad(part, (0, 0, sequence.steps_before, 0)) for part in _by_step_and_channel(sequence.spike_seq))
        spikes[sequence.name] = added(spikes.get(sequence.name), found)
        samples[sequence.name] = added(samples.get(sequence.name), of)

    observed = firing_layers(net, layers)
    observe_some(net, loader, count, observed, forward)
    seen = [name for name in observed if name in spikes]
    return FiringRates(
        {name: (spikes[name].sum() / samples[name].sum()).item() for name in seen},
        {name: spikes[name].sum(0) / samples[name].sum(0) for name in seen},
        {name: spikes[name].sum(1) / samples[name].sum(1) for name in seen},
    )


def channel_activity(
    net: nn.Module,
    loader: Iterable[Any],
    dead: float = 0.0,
    saturated: float = 0.95,
    layers: Iterable[str] | None = None,
    forward: Forward | None = None,
) -> ChannelActivity:
    """The channels that never fire on the data, and those that fire at 95 % of all steps or more.

    `dead` and `saturated` are the highest and the lowest rate of such channels. All other arguments are those of
    `firing_rates`; its result gives the same by `rates.channels()` without another pass.

    >>> net = nn.Sequential(clif.LIFNode(step_mode="m"))
    >>> found = clif.analysis.channel_activity(net, [torch.tensor([0.0, 0.7, 5.0]).expand(6, 1, 3)])
    >>> found.dead["0"].tolist(), found.saturated["0"].tolist()
    ([0], [2])
    """
    return firing_rates(net, loader, layers, forward).channels(dead, saturated)


def _by_step_and_channel(spike_seq: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes and neurons x samples at each step and channel, both [T, C], of spikes [T, N, C, *] or [T, N]."""
    spike_seq = spike_seq[..., None] if spike_seq.dim() == 2 else spike_seq
    dtype = torch.promote_types(spike_seq.dtype, torch.float32)
    places = tuple(range(3, spike_seq.dim()))
    of_samples = spike_seq.sum(places, dtype=dtype) if places else spike_seq
    found = of_samples.sum(1, dtype=torch.float64).cpu()
    each = spike_seq.numel() // max(found.numel(), 1)
    return found, torch.full_like(found, each)
