"""The states of chosen neurons step by step, such as v and m."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from clif.analysis.activity import Forward, Sequence, firing_layers, follow, observe_some, one_sample
from clif.analysis.plotting import LINES, axes_or_new, tidy, whole_ticks
from clif.analysis.results import Result, Row
from clif.errors import InputError, unknown_name
from clif.models import SpikingNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class LayerTraces(Result):
    """Chosen neurons of a layer over T steps: input and states [T, K], spikes bool [T, K]; states after each step.

    >>> net = nn.Sequential(clif.LIFNode(step_mode="m"))
    >>> found = clif.analysis.traces(net, torch.full((3, 1, 2), 0.75), {"0": [1]})["0"]
    >>> found.states["v"].flatten().tolist(), found.spikes.flatten().tolist()
    ([0.75, 0.125, 0.8125], [False, True, False])
    """

    neurons: list[int]
    x: Tensor
    spikes: Tensor
    states: dict[str, Tensor]

    def table(self) -> list[Row]:
        """One row per neuron and step."""
        return [
            {
                "neuron": neuron,
                "step": t + 1,
                "x": self.x[t, k].item(),
                **{state: values[t, k].item() for state, values in self.states.items()},
                "spike": int(self.spikes[t, k]),
            }
            for k, neuron in enumerate(self.neurons)
            for t in range(len(self.x))
        ]

    def plot(self, ax: "Axes | None" = None, title: str = "States after each step") -> "Axes":
        """One colour per neuron and one line style per state; marks at the upper edge are spikes."""
        axes = axes_or_new(ax)
        steps = torch.arange(len(self.x)) + 1
        for k, neuron in enumerate(self.neurons):
            for style, (state, values) in zip(LINES * len(self.states), self.states.items(), strict=False):
                label = f"{state} of {neuron}"
                axes.plot(steps.numpy(), values[:, k].numpy(), style, color=f"C{k % 10}", marker=".", label=label)
            fired = steps[self.spikes[:, k]].numpy()
            height = [1.0 - 0.03 * k] * len(fired)
            axes.scatter(fired, height, marker="|", s=60, color=f"C{k % 10}", transform=axes.get_xaxis_transform())
        tidy(axes, title, "step", "potential")
        axes.margins(y=0.15)
        whole_ticks(axes)
        axes.legend(frameon=False, fontsize=8, ncols=2)
        return axes


@dataclass(frozen=True)
class Traces(Result):
    """`LayerTraces` by layer name.

    >>> net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    >>> found = clif.analysis.traces(net, torch.rand(6, 1, 4), {"1": [0, 7]})
    >>> len(found.table()), found["1"].neurons
    (12, [0, 7])
    """

    layers: dict[str, LayerTraces]

    def __getitem__(self, layer: str) -> LayerTraces:
        return self.layers[layer]

    def table(self) -> list[Row]:
        """One row per layer, neuron and step."""
        return [{"layer": name, **row} for name, traces in self.layers.items() for row in traces.table()]

    def plot(self, ax: "Axes | None" = None, layer: str | None = None) -> "Axes":
        """The chosen neurons of a layer, by default of the first one."""
        name = next(iter(self.layers)) if layer is None else layer
        if name not in self.layers:
            raise unknown_name("layer of these traces", name, self.layers)
        return self.layers[name].plot(ax, name)


def traces(
    net: nn.Module,
    x: Tensor,
    neurons: Mapping[str, int | Iterable[int]],
    steps: int | None = None,
    forward: Forward | None = None,
) -> Traces:
    """Record every state of chosen neurons while the network sees one sample, in eval mode, from rest.

    The layers compute as usual. The states of the layers in `neurons` are recomputed by the neuron's `step` from its
    input, so neurons of any class can be recorded. A layer that is called several times has the steps of all calls, one
    after the other.

    Args:
        net, x, forward: as in `raster`.
        neurons: layer name -> indices into the flattened layer.
        steps: for how many steps a network of clif sees a static image (`net.T`), or how many frames it sees (all).

    Raises `InputError` for an unknown layer, a neuron that it does not have, and neurons that define no `step`.

        >>> net = clif.models.create_model("snn5_noAP")
        >>> found = clif.analysis.traces(net, torch.randn(3, 32, 32), {"features.1.act": [5, 9]}, steps=20)
        >>> found["features.1.act"].states["m"].shape
        torch.Size([20, 2])
    """
    if not neurons:
        raise InputError("name at least one layer with its neurons, as in {'features.0.act': [0, 1]}")
    chosen = {name: [one] if isinstance(one, int) else [int(i) for i in one] for name, one in neurons.items()}
    layers = firing_layers(net, chosen)
    found: dict[str, LayerTraces] = {}

    def keep(sequence: Sequence) -> None:
        more = _follow(sequence, chosen[sequence.name])
        found[sequence.name] = _joined(found[sequence.name], more) if sequence.name in found else more

    observe_some(net, [one_sample(net, x, steps)], keep, layers, forward, inputs=True)
    return Traces({name: found[name] for name in layers if name in found})


def _joined(first: LayerTraces, then: LayerTraces) -> LayerTraces:
    """The steps of two calls of a layer, one after the other."""
    states = {name: torch.cat([values, then.states[name]]) for name, values in first.states.items()}
    return LayerTraces(first.neurons, torch.cat([first.x, then.x]), torch.cat([first.spikes, then.spikes]), states)


def _follow(sequence: Sequence, neurons: list[int]) -> LayerTraces:
    x_seq = sequence.x_seq
    assert x_seq is not None
    if x_seq.shape[1] != 1:
        raise InputError(f"give one sample, a batch of one; {sequence.name} computes {list(x_seq.shape)}, [T, N, *]")
    size = x_seq[0].numel()
    for neuron in neurons:
        if not 0 <= neuron < size:
            raise InputError(f"{sequence.name} has the neurons 0 to {size - 1}, not {neuron}")
    spikes: list[Tensor] = []
    states: dict[str, list[Tensor]] = {}
    for spike, state in follow(sequence):
        spikes.append(spike.flatten()[neurons])
        for name, values in state.items():
            states.setdefault(name, []).append(values.flatten()[neurons])
    return LayerTraces(
        neurons,
        x_seq.flatten(1)[:, neurons].cpu(),
        torch.stack(spikes).bool().cpu(),
        {name: torch.stack(parts).cpu() for name, parts in states.items()},
    )


@dataclass(frozen=True)
class Trace:
    """One neuron over T steps: its spikes, the membrane potential v after each reset, and m (None unless CLIF).

    >>> net = clif.models.create_model("snn5_noAP", neuron="LIF")
    >>> clif.analysis.trace(net, torch.randn(3, 32, 32), "features.1.act", 5).m is None
    True
    """

    spikes: Tensor
    v: Tensor
    m: Tensor | None


def trace(net: SpikingNetwork, image: Tensor, layer: str, neuron: int, steps: int | None = None) -> Trace:
    """One neuron of `traces`, in a network of clif: its spikes, its first state and, if there is one, its second.

    >>> net = clif.models.create_model("snn5_noAP")
    >>> clif.analysis.trace(net, torch.randn(3, 32, 32), "features.1.act", 5, steps=20).m.shape
    torch.Size([20])
    """
    if not isinstance(net, SpikingNetwork):
        raise InputError(f"this function needs a network of clif.models, got a {type(net).__name__}")
    found = traces(net, image, {layer: neuron}, steps)[layer]
    v, m, *_ = [*(values[:, 0] for values in found.states.values()), None]
    return Trace(found.spikes[:, 0], v, m)
