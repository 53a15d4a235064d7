"""When the neurons of a network fire while it sees one sample."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from clif.analysis.activity import Forward, Sequence, firing_layers, observe_some, one_sample
from clif.analysis.plotting import axes_or_new, layer_colours, tidy, whole_ticks
from clif.analysis.results import Result, Row
from clif.errors import InputError, unknown_name
from clif.models import SpikingNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Raster(Result):
    """The spikes of one sample: layer name -> bool [T, neurons of the layer].

    >>> net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    >>> found = clif.analysis.raster(net, torch.rand(6, 1, 4))
    >>> found.spikes["1"].shape, found.spikes["1"].dtype
    (torch.Size([6, 8]), torch.bool)
    """

    spikes: dict[str, Tensor]

    def table(self) -> list[Row]:
        """One row per layer: its neurons, those that fire at all, its spikes, and the step of the first one."""
        return [
            {
                "layer": name,
                "neurons": spikes.shape[1],
                "firing": int(spikes.any(0).sum()),
                "spikes": int(spikes.sum()),
                "first step": int(spikes.any(1).float().argmax()) + 1 if spikes.any() else None,
            }
            for name, spikes in self.spikes.items()
        ]

    def plot(self, ax: "Axes | None" = None, layer: str | None = None, most: int = 40) -> "Axes":
        """One dash per spike of the first `most` neurons that fire, for one layer or all (the first at the bottom)."""
        if layer is not None and layer not in self.spikes:
            raise unknown_name("spiking layer", layer, self.spikes)
        shown = self.spikes if layer is None else {layer: self.spikes[layer]}
        axes = axes_or_new(ax, 7.0, 1.5 + 1.1 * len(shown))
        base, middles = 0, []
        for spikes, colour in zip(shown.values(), layer_colours(len(shown)), strict=True):
            active = spikes[:, spikes.any(0)][:, :most]
            step, neuron = active.nonzero(as_tuple=True)
            axes.scatter(step.numpy() + 1, neuron.numpy() + base, s=40, marker="_", color=[colour], linewidths=0.8)
            middles.append(base + active.shape[1] / 2)
            base += max(active.shape[1], 1) + 2
            axes.axhline(base - 1.5, color="black", alpha=0.15, linewidth=0.6)
        axes.set_yticks(middles, list(shown), fontsize=8)
        axes.set_xlim(0.5, max(len(spikes) for spikes in shown.values()) + 0.5)
        tidy(axes, "Spikes", "step", "")
        axes.grid(visible=False)
        whole_ticks(axes)
        return axes


def raster(net: nn.Module, x: Tensor, layers: Iterable[str] | None = None, forward: Forward | None = None) -> Raster:
    """The spikes of every spiking layer while the network sees one sample, in eval mode, from rest.

    `x` is a static image [C, H, W] or frames [T, C, H, W] or [T, 1, C, H, W] with T > 1, of a network for vectors [F]
    or [T, F]. A module that is not a network of clif gets `x` unchanged, a batch of one. `layers` and `forward` are
    those of `firing_rates`. A layer that is called several times has the steps of all calls, one after the other.
    Raises `InputError` for any other `x`.

        >>> net = clif.models.create_model("snn5_noAP")
        >>> axes = clif.analysis.raster(net, torch.randn(3, 32, 32)).plot()
    """
    found: dict[str, Tensor] = {}

    def keep(sequence: Sequence) -> None:
        if sequence.spike_seq.shape[1] != 1:
            raise InputError(
                f"give one sample, a batch of one; {sequence.name} computed {list(sequence.spike_seq.shape)}, [T, N, *]"
            )
        spikes = sequence.spike_seq.flatten(1).bool().cpu()
        if (before := found.get(sequence.name)) is not None and before.shape[1] != spikes.shape[1]:
            raise InputError(
                f"{sequence.name} is called for {before.shape[1]} and for {spikes.shape[1]} neurons; use a separate "
                "neuron in each place"
            )
        found[sequence.name] = spikes if before is None else torch.cat([before, spikes])

    observed = firing_layers(net, layers)
    observe_some(net, [one_sample(net, x)], keep, observed, forward)
    return Raster({name: found[name] for name in observed if name in found})


def spike_raster(net: SpikingNetwork, image: Tensor) -> dict[str, Tensor]:
    """The spikes of `raster` for a network of clif: layer name -> bool [T, neurons of the layer].

    >>> net = clif.models.create_model("snn5_noAP", T=4)
    >>> len(clif.analysis.spike_raster(net, torch.randn(3, 32, 32))["features.1.act"])
    4
    """
    if not isinstance(net, SpikingNetwork):
        raise InputError(f"this function needs a network of clif.models, got a {type(net).__name__}")
    return raster(net, image).spikes
