"""Evaluation of several networks on the same data: accuracy, agreement with the first one, firing rates."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from torch import Tensor

from clif.analysis import count_spikes
from clif.analysis.activity import spiking_modules
from clif.deploy.fit import watched
from clif.errors import InputError
from clif.models import SpikingNetwork
from clif.models.wrapped import layer_name
from clif.neurons.net import like_weights, visiting


@dataclass(frozen=True)
class Judged:
    """A network on a data set.

    `top1`, `top5` and `agreement` (the part of the samples for which it predicts what the first network predicts) are
    in 0–1; `firing_rates` are spikes per neuron and time step by layer.
    """

    name: str
    top1: float
    top5: float
    agreement: float
    firing_rates: dict[str, float]
    samples: int


def judge(networks: Mapping[str, SpikingNetwork], loader: Iterable[tuple[Tensor, Tensor]]) -> list[Judged]:
    """Evaluate every network by name in one pass of the loader, in eval and multi-step mode."""
    counters = {name: _Counter(net) for name, net in networks.items()}
    with ExitStack() as stack:
        for name, net in networks.items():
            stack.enter_context(visiting(net, "m"))
            counters[name].watch(stack)
        for images, labels in loader:
            ranked = {name: _ranked(net(like_weights(net, images))) for name, net in networks.items()}
            first = next(iter(ranked.values()))
            for name, classes in ranked.items():
                counters[name].add(classes, first, labels)
    return [counter.judged(name) for name, counter in counters.items()]


def _ranked(logits: Tensor) -> Tensor:
    """The five most likely classes [N, 5] (or fewer, if there are fewer), the likeliest first."""
    return logits.float().mean(0).topk(min(5, logits.shape[-1])).indices


class _Counter:
    def __init__(self, net: SpikingNetwork) -> None:
        self.net = net
        self.samples = self.top1 = self.top5 = self.agreeing = 0
        self.spikes = dict.fromkeys(spiking_modules(net), 0.0)
        self.places = dict.fromkeys(self.spikes, 0)

    def watch(self, stack: ExitStack) -> None:
        for layer in self.spikes:
            stack.enter_context(watched(self.net, layer, self._counting(layer)))

    def _counting(self, layer: str):
        def count(spikes: Tensor) -> None:
            self.spikes[layer] += count_spikes(spikes).item()
            self.places[layer] += spikes.numel()

        return count

    def add(self, ranked: Tensor, first: Tensor, labels: Tensor) -> None:
        self.samples += len(labels)
        hits = ranked == labels[:, None]
        self.top1 += int(hits[:, 0].sum())
        self.top5 += int(hits.sum())
        self.agreeing += int((ranked[:, 0] == first[:, 0]).sum())

    def judged(self, name: str) -> Judged:
        if self.samples == 0:
            raise InputError("the loader is empty; give at least one batch")
        n = self.samples
        rates = {layer_name(self.net, layer): self.spikes[layer] / self.places[layer] for layer in self.spikes}
        return Judged(name, self.top1 / n, self.top5 / n, self.agreeing / n, rates, n)
