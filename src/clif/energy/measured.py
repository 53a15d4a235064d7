"""Measurements of a network on data: firing rates, and the spikes that arrive at its synapses."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clif.analysis.activity import batches_of, measure_rates, samples_of, spiking_modules
from clif.energy.layers import Followed, Weights, fan_out, follow, weight_layers
from clif.errors import InputError
from clif.models import SpikingNetwork


@dataclass(frozen=True)
class Measured:
    """For the mean image: firing rates by neuron layer; arriving spikes and synaptic operations by layer with weights.

    `T` is the number of steps of an inference; `repeats` is how often layers that depend only on the input compute: at
    each step for frames, once for a static image.
    """

    followed: Followed
    layers: list[Weights]
    rates: dict[str, float]
    spikes: dict[str, float]
    sops: dict[str, float]
    images: int
    T: int
    frames: bool

    @property
    def repeats(self) -> int:
        return self.T if self.frames else 1


def first_of(loader: Iterable[Any]) -> tuple[Tensor, Iterator[Any]]:
    """The images of the first batch, and all batches. Raises `InputError` for an empty loader."""
    batches = iter(batches_of(loader))
    for first in batches:
        return samples_of(first), itertools.chain([first], batches)
    raise InputError("the loader is empty; the energy is measured on its images")


def measure(net: SpikingNetwork, first: Tensor, batches: Iterable[Any], events: bool = False) -> Measured:
    """Measure `net` on the images of `first_of`; with `events` they are frames whose values count as spikes.

    Raises `InputError` for images of different shapes, and for `events` that are no numbers of events.
    """
    counted = _Counted(batches, net.dims, first, events)
    followed = follow(net, counted.size)
    layers = weight_layers(followed, events=events)
    arrived: dict[str, Tensor] = {}
    with _arrivals(net, layers, arrived):
        rates = measure_rates(net, counted, spiking_modules(net)) or {}
    spikes, sops = {}, {}
    for layer in layers:
        if layer.levels is not None and layer.name in arrived:
            mean = (arrived[layer.name] * layer.levels).round() / counted.images
            spikes[layer.name] = mean.sum().item()
            sops[layer.name] = (mean * fan_out(net.get_submodule(layer.name), layer)).sum().item()
    steps = counted.steps
    T = net.T if steps is None else steps
    return Measured(followed, layers, rates, spikes, sops, counted.images, T, steps is not None)


class _Counted:
    """The batches, whose images are counted and must be of one shape."""

    def __init__(self, batches: Iterable[Any], dims: int, first: Tensor, events: bool) -> None:
        self.batches = batches
        self.dims = dims
        self.images = 0
        if first.dim() not in (dims + 1, dims + 2):
            raise InputError(
                f"samples of this network have {dims} axes, got a batch {list(first.shape)}; clif.wrap(net, T=…, "
                "input_shape=…) sets the shape of a sample"
            )
        self.size = tuple(first.shape[first.dim() - dims :])
        self.steps = len(first) if first.dim() == dims + 2 else None
        self.events = events
        if events and self.steps is None:
            raise InputError(f"frames of events must be [T, N, *], got images {list(first.shape)}; omit events=True")

    def __iter__(self) -> Iterator[Tensor]:
        for images in map(samples_of, self.batches):
            lead = images.dim() - self.dims
            same = tuple(images.shape[lead:]) == self.size and (len(images) if lead == 2 else None) == self.steps
            if not same:
                shape = [*([] if self.steps is None else [self.steps]), "N", *self.size]
                raise InputError(f"the first batch has the shape {shape}, another one {list(images.shape)}")
            if self.events and not (images.ge(0) & images.eq(images.round())).all():
                raise InputError("frames of events must be whole numbers ≥ 0; otherwise leave out events=True")
            self.images += images.shape[lead - 1]
            yield images


@contextmanager
def _arrivals(net: SpikingNetwork, layers: list[Weights], arrived: dict[str, Tensor]) -> Iterator[None]:
    """Add up what arrives at the layers that spikes feed, over steps and images, in float64."""

    def hook(layer: Weights) -> Any:
        axes = len(layer.in_shape)

        def take(_module: Any, arguments: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            x = (*arguments, *named.values())[0].detach()
            leading = tuple(range(x.dim() - axes))
            total = x.sum(leading, dtype=torch.promote_types(x.dtype, torch.float32)).double().cpu()
            arrived[layer.name] = arrived[layer.name] + total if layer.name in arrived else total

        return take

    spiking = [layer for layer in layers if layer.levels is not None]
    modules = [(net.get_submodule(layer.name), hook(layer)) for layer in spiking]
    handles = [module.register_forward_pre_hook(take, with_kwargs=True) for module, take in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
