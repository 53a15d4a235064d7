"""The share of the gradient of a network's neurons that comes from later time steps, layer by layer."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clif.analysis.activity import (
    Call,
    Forward,
    batches_of,
    calls,
    firing_layers,
    input_of,
    never_called,
    see,
    step_mode_of,
)
from clif.analysis.gradient_terms import MEMBRANE, each_term
from clif.analysis.plotting import LINES, axes_or_new, colour_of, layer_colours, legend, panels, tidy, whole_ticks
from clif.analysis.results import Result, Row, added, ratio
from clif.errors import InputError
from clif.loss import SpikingLoss
from clif.neurons import reset_net
from clif.neurons.net import visiting
from clif.ops.equations import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOLERANCE = 0.01
"""The relative difference of the terms from autograd's gradient above which the result is refused."""


@dataclass(frozen=True)
class LayerGradient(Result):
    """The terms of a layer's gradient, C[t, t'] of `clif.analysis.gradient_terms`, in absolute values.

    - `terms`: Σ |C[t, t'] | over neurons, samples and batches, float64 [T, T], 0 where t' < t; t' is the second axis.
    - `membrane_terms`: the same for the path through v alone.
    - `disagreement`: Σ |Σ_t' C − dL/dx| / Σ |dL/dx|, where dL/dx is what autograd gave for the whole network.

    The shares of a layer without any gradient are NaN.

    >>> net = nn.Sequential(clif.layers.Linear(4, 8), clif.CLIFNode(step_mode="m"), clif.layers.Linear(8, 2))
    >>> found = clif.analysis.temporal_gradient(net, [(torch.rand(6, 32, 4), torch.arange(32) % 2)])["1"]
    >>> found.terms.shape, round(found.share.sum().item(), 6)
    (torch.Size([6, 6]), 1.0)
    """

    terms: Tensor
    membrane_terms: Tensor
    disagreement: float

    @property
    def share(self) -> Tensor:
        """The share of the terms by their distance t' − t, float64 [T]: their sums by the sum of all. They add to 1."""
        return _by_distance(self.terms) / self.terms.sum()

    @property
    def membrane_share(self) -> Tensor:
        """The share of the path through v alone in the sum of all terms, by distance, float64 [T].

        The two paths may cancel, so it can exceed `share`.
        """
        return _by_distance(self.membrane_terms) / self.terms.sum()

    @property
    def later(self) -> float:
        """The share of the terms that come from later steps, 1 − share[0]."""
        return 1 - self.share[0].item()

    @property
    def kept(self) -> Tensor:
        """The fraction of a gradient that is left d steps earlier, float64 [T].

        Σ |C[t, t + d]| / Σ |C[t + d, t + d]|. Unlike the share it does not depend on how the loss weights the steps,
        and it depends less on T.
        """
        at_step = self.terms.diagonal()
        own = torch.stack([at_step[d:].sum() for d in range(len(at_step))])
        return _by_distance(self.terms) / own

    def table(self) -> list[Row]:
        """One row per distance."""
        parts = {"share": self.share, "through v alone": self.membrane_share, "kept": self.kept}
        lists = {name: values.tolist() for name, values in parts.items()}
        return [{"distance": d, **{name: values[d] for name, values in lists.items()}} for d in range(len(self.terms))]

    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """The share by distance."""
        axes = axes_or_new(ax)
        share = self.share
        axes.plot(torch.arange(len(share)).numpy(), 100 * share.numpy(), marker=".", **style)
        _label(axes, "Gradient by the step that it comes from")
        return axes


def _label(axes: "Axes", title: str) -> None:
    tidy(axes, title, "steps later (t' − t)", "share of dL/du[t] (%)")
    whole_ticks(axes)


def _by_distance(terms: Tensor) -> Tensor:
    return torch.stack([terms.diagonal(d).sum() for d in range(len(terms))])


@dataclass(frozen=True)
class TemporalGradient(Result):
    """`LayerGradient` by layer name, of the neurons `neuron`.

    >>> net = nn.Sequential(clif.layers.Linear(4, 8), clif.CLIFNode(step_mode="m"), clif.layers.Linear(8, 2))
    >>> found = clif.analysis.temporal_gradient(net, [(torch.rand(6, 32, 4), torch.arange(32) % 2)])
    >>> found.neuron, list(found.layers), found.share.shape
    ('CLIF', ['1'], torch.Size([6]))
    """

    neuron: str
    layers: dict[str, LayerGradient]

    def __getitem__(self, layer: str) -> LayerGradient:
        return self.layers[layer]

    @property
    def share(self) -> Tensor:
        """The mean of the layers' shares by distance, float64 [T], for the largest T of a layer."""
        shares = [layer.share for layer in self.layers.values()]
        longest = max(map(len, shares))
        padded = [F.pad(share, (0, longest - len(share)), value=0 * share[0].item()) for share in shares]  # NaN or 0
        return torch.stack(padded).nanmean(0)

    def table(self) -> list[Row]:
        """One row per layer: the share of later steps, and that of each distance."""
        rows = []
        for name, layer in self.layers.items():
            shares = {f"share {d}": share for d, share in enumerate(layer.share.tolist())}
            rows.append({"layer": name, "later": layer.later, **shares})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain values, with the shares that follow from them."""
        found = super().to_dict()
        for name, layer in self.layers.items():
            found["layers"][name]["by_distance"] = layer.table()
        return found

    def plot(self, ax: "Axes | None" = None, title: str | None = None) -> "Axes":
        """The share by distance, with one line per layer, on a logarithmic scale."""
        axes = axes_or_new(ax)
        for (name, layer), colour in zip(self.layers.items(), layer_colours(len(self.layers)), strict=True):
            layer.plot(axes, color=colour, label=name)
        axes.set_yscale("log")
        _label(axes, self.neuron if title is None else title)
        legend(axes)
        return axes


@dataclass(frozen=True)
class TemporalGradients(Result):
    """`TemporalGradient` by the name of the network.

    >>> nets = {}
    >>> for node in (clif.CLIFNode, clif.LIFNode):
    ...     layers = clif.layers.Linear(4, 8), node(step_mode="m"), clif.layers.Linear(8, 2)
    ...     nets[node.__name__] = nn.Sequential(*layers)
    >>> found = clif.analysis.temporal_gradients(nets, [(torch.rand(6, 32, 4), torch.arange(32) % 2)])
    >>> [(row["network"], row["layer"]) for row in found.table()]
    [('CLIFNode', '1'), ('LIFNode', '1')]
    """

    networks: dict[str, TemporalGradient]

    def __getitem__(self, name: str) -> TemporalGradient:
        return self.networks[name]

    def table(self) -> list[Row]:
        """One row per network and layer."""
        return [{"network": name, **row} for name, found in self.networks.items() for row in found.table()]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """The mean of the layers' shares by distance, with one line per network and one colour per neuron."""
        axes = axes_or_new(ax)
        drawn: list[str] = []
        for name, found in self.networks.items():
            share, style = found.share, LINES[drawn.count(found.neuron) % len(LINES)]
            drawn.append(found.neuron)
            steps = torch.arange(len(share)).numpy()
            axes.plot(steps, 100 * share.numpy(), style, marker=".", color=colour_of(found.neuron), label=name)
        axes.set_yscale("log")
        _label(axes, "Mean of the layers")
        legend(axes)
        return axes

    def figure(self) -> "Figure":
        """A figure with one panel per network (one line per layer) and one panel with the means, on one scale."""
        drawn = {name: partial(found.plot, title=name) for name, found in self.networks.items()}
        figure = panels({**drawn, "": self.plot})
        limits = [panel.get_ylim() for panel in figure.axes]
        for panel in figure.axes:
            panel.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        return figure


def temporal_gradient(
    net: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Any, Tensor], Tensor] | None = None,
    training: bool = True,
    layers: Iterable[str] | None = None,
    forward: Forward | None = None,
) -> TemporalGradient:
    """The shares of the gradient dL/du[t] of each layer that come from later steps t', by distance t' − t.

    The terms are those of the CLIF paper's Eq. 20, for any neuron that defines a `step`
    (`clif.analysis.gradient_terms`). The network computes its loss, autograd gives dL/ds of every layer, and each layer
    propagates it back through its own steps, one t' at a time. The function checks that the terms add up to autograd's
    dL/du (`disagreement`). Memory use is [T, T] sums per layer, whatever the size of the data.

    Args:
        net: a network of `clif.models`, or any module with neurons of clif. It begins every batch at rest; afterwards
            modes, states and buffers are unchanged, and no parameter has a new gradient.
        loader: batches (x, y).
        loss: takes the network's output and y; `clif.loss.SpikingLoss()` by default, for logits [T, N, classes].
        training: compute as in training, with batch statistics in batch norms and with dropout; else as in eval mode,
            which means little for an untrained network.
        layers, forward: as in `firing_rates`.

    Raises `InputError` as `firing_rates` and `traces` do, for neurons with a gradient window, and if the terms do not
    add up to autograd's gradient within 1 %, for example if a state was detached.

        >>> net = clif.models.create_model("snn5_noAP", neuron="LIF")
        >>> found = clif.analysis.temporal_gradient(net, [(torch.randn(8, 3, 32, 32), torch.arange(8))])
        >>> found["features.1.act"].share.shape  # of distance 0, 1, …
        torch.Size([6])
    """
    observed = firing_layers(net, layers)
    if window := next((name for name, node in observed.items() if getattr(node, "gradient_window", None)), None):
        raise InputError(
            f"{window} has a gradient window, which removes terms; call clif.neurons.set_gradient_window(net, None) "
            "first"
        )
    running: dict[str, _Running] = {}
    objective = SpikingLoss() if loss is None else loss
    with _differentiating(net, training):
        for batch in batches_of(loader):
            for name, run, grads in _backward(net, batch, objective, observed, forward):
                running.setdefault(name, _Running(observed[name])).add(run, *grads)
    if not running:
        raise InputError("the loader is empty; give at least one batch")
    kinds = {getattr(node, "neuron", None) or type(node).__name__: None for node in observed.values()}
    return TemporalGradient(
        ", ".join(kinds), {name: running[name].result(name) for name in observed if name in running}
    )


def temporal_gradients(nets: Mapping[str, nn.Module], loader: Iterable[Any], **options: Any) -> TemporalGradients:
    """`temporal_gradient` of several networks on the same data, such as CLIF and LIF, side by side.

    It iterates over `loader` once for each network. `options` are those of `temporal_gradient`.

        >>> nets = {name: clif.models.create_model("snn5_noAP", neuron=name) for name in ("CLIF", "LIF")}
        >>> found = clif.analysis.temporal_gradients(nets, [(torch.randn(8, 3, 32, 32), torch.arange(8))])
        >>> found.figure().savefig("gradient.svg")
    """
    return TemporalGradients({name: temporal_gradient(net, loader, **options) for name, net in nets.items()})


@contextmanager
def _differentiating(net: nn.Module, training: bool) -> Iterator[None]:
    """`net` at rest, recording gradients, in training or eval mode; its modes, states and buffers come back."""
    modes = [(module, module.training) for module in net.modules()]
    buffers = {name: buffer.detach().clone() for name, buffer in net.named_buffers()}
    try:
        with visiting(net, step_mode_of(net)), torch.enable_grad():
            net.train(training)
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for name, buffer in net.named_buffers():
                buffer.copy_(buffers[name])


Run = list[Call]
"""Consecutive calls of a layer, each of which begins in the state in which the one before ended."""


def _backward(
    net: nn.Module,
    batch: Any,
    loss: Callable[[Any, Tensor], Tensor],
    layers: Mapping[str, nn.Module],
    forward: Forward | None,
) -> list[tuple[str, Run, tuple[Tensor, Tensor]]]:
    """dL/ds and dL/dx of every run of a layer, both [T, N, *]."""
    if not isinstance(batch, tuple | list) or len(batch) < 2 or not isinstance(batch[1], Tensor):
        raise InputError("the gradient needs a loss: give batches (x, y) of tensors")
    runs: list[tuple[str, Run]] = []
    present: dict[str, Run] = {}

    def keep(name: str, call: Call) -> None:
        if call.start is None or name not in present:
            present[name] = []
            runs.append((name, present[name]))
        present[name].append(call)

    x = input_of(net, batch)
    reset_net(net)
    with calls(layers, keep, inputs=True, with_grad=True):
        value = loss(see(net, x, forward), batch[1].to(x.device))
    if not isinstance(value, Tensor) or value.dim() > 0:
        given = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"the loss must be one number, the mean over the samples, got {given}")
    if not runs:
        raise never_called(net)
    if not value.requires_grad:
        raise InputError("the loss has no gradient; is it, or the network, computed under torch.no_grad()?")
    tensors = [t for _, run in runs for call in run for t in (call.spikes, call.x) if t is not None]
    found = torch.autograd.grad(value, tensors, allow_unused=True)
    grads = iter(torch.zeros_like(t) if g is None else g for g, t in zip(found, tensors, strict=True))
    taken = []
    for name, run in runs:
        of_run = [(next(grads), next(grads)) for _ in run]
        of_spikes, of_x = zip(*of_run, strict=True)
        taken.append((name, run, (_joined(run, of_spikes), _joined(run, of_x))))
    reset_net(net)
    return taken


def _joined(run: Run, parts: Iterable[Tensor]) -> Tensor:
    """The inputs or outputs of a layer's calls as one sequence [T, N, *]."""
    return torch.cat([part if call.of_steps else part[None] for call, part in zip(run, parts, strict=True)])


class _Running:
    """The sums of one layer over batches."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.terms: Tensor | None = None
        self.membrane: Tensor | None = None
        self.wrong = self.whole = 0.0

    def add(self, run: Run, of_spikes: Tensor, of_x: Tensor) -> None:
        x_seq = _joined(run, [call.x.detach() for call in run if call.x is not None])
        start = None if run[0].start is None else tuple(part.detach() for part in run[0].start)
        total = torch.zeros_like(of_x)
        terms = self._sums(x_seq, of_spikes, start, total)
        self.terms = added(self.terms, terms)
        only_v = self.node.state_names == (MEMBRANE,)
        self.membrane = added(self.membrane, terms if only_v else self._sums(x_seq, of_spikes, start, None))
        self.wrong += (total - of_x).abs().sum(dtype=torch.float64).item()
        self.whole += of_x.abs().sum(dtype=torch.float64).item()

    def _sums(self, x_seq: Tensor, of_spikes: Tensor, start: State | None, total: Tensor | None) -> Tensor:
        """The sums of |C[t, t']| over neurons and samples; the terms themselves are added to `total`, if given."""
        sums = torch.zeros(len(x_seq), len(x_seq), dtype=torch.float64)
        for later, parts in each_term(self.node, x_seq, of_spikes, start, membrane_only=total is None):
            for t, part in enumerate(parts):
                sums[t, later] = part.abs().sum(dtype=torch.float64)
                if total is not None:
                    total[t] += part
        return sums

    def result(self, name: str) -> LayerGradient:
        assert self.terms is not None
        assert self.membrane is not None
        disagreement = math.inf if self.wrong and not self.whole else ratio(self.wrong, self.whole)
        if disagreement > TOLERANCE:
            raise InputError(
                f"the terms of {name} differ from autograd's gradient by {disagreement:.1%}; is its state detached "
                "between steps, or are its spikes not from fire()?"
            )
        return LayerGradient(self.terms, self.membrane, disagreement)
