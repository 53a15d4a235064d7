"""Recordings of a network at work, through forward hooks: nothing in the network changes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import unknown_name
from clif.layers import repeat_image
from clif.models import SpikingNetwork
from clif.neurons import SpikingNeuron


def spiking_layers(net: nn.Module) -> dict[str, SpikingNeuron]:
    """The spiking neurons of `net` by module name, in the order of the modules."""
    return {name: module for name, module in net.named_modules() if isinstance(module, SpikingNeuron)}


@contextmanager
def _eval_mode(net: nn.Module) -> Iterator[None]:
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(was_training)


@contextmanager
def _outputs(layers: dict[str, SpikingNeuron], take: Any) -> Iterator[None]:
    """Call `take(name, spikes)` whenever one of the layers has computed."""

    def hook(name: str) -> Any:
        return lambda _module, _inputs, spikes: take(name, spikes)

    handles = [module.register_forward_hook(hook(name)) for name, module in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def count_spikes(spikes: Tensor) -> Tensor:
    """How many spikes there are in [T, N, *] or [N, *], as a float64 scalar.

    Each step (or sample) is summed in float32, exactly up to 2^24 spikes: on a CPU PyTorch takes many times as long to
    sum in another dtype than the tensor's.
    """
    dtype = torch.promote_types(spikes.dtype, torch.float32)
    return spikes.sum(tuple(range(1, spikes.dim())), dtype=dtype).sum(dtype=torch.float64)


def firing_rates(net: SpikingNetwork, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Spikes per neuron and time step of every spiking layer, over all batches, in eval mode."""
    layers = spiking_layers(net)
    spikes_of, steps_of = dict.fromkeys(layers, 0.0), dict.fromkeys(layers, 0)

    def count(name: str, spikes: Tensor) -> None:
        spikes_of[name] += count_spikes(spikes).item()
        steps_of[name] += spikes.numel()

    with _eval_mode(net), _outputs(layers, count):
        for images, _ in loader:
            net(images)
    return {name: spikes_of[name] / max(steps_of[name], 1) for name in layers}


def spike_raster(net: SpikingNetwork, image: Tensor) -> dict[str, Tensor]:
    """The spikes of every spiking layer for one image [C, H, W]: layer name -> bool [T, neurons of the layer]."""
    raster: dict[str, Tensor] = {}

    def keep(name: str, spikes: Tensor) -> None:
        raster[name] = spikes.flatten(1).bool().cpu()

    with _eval_mode(net), _outputs(spiking_layers(net), keep):
        net(image[None])
    return raster


@dataclass(frozen=True)
class Trace:
    """One neuron over T steps: its spikes, the membrane potential v after each reset, and m (None unless CLIF)."""

    spikes: Tensor
    v: Tensor
    m: Tensor | None


def trace(net: SpikingNetwork, image: Tensor, layer: str, neuron: int, steps: int | None = None) -> Trace:
    """Follow a neuron (an index into the flattened layer) while the network sees one image [C, H, W].

    `steps` is how long, by default `net.T`. Raises `InputError` for an unknown layer.
    """
    layers = spiking_layers(net)
    if layer not in layers:
        raise unknown_name("spiking layer", layer, layers)
    module = layers[layer]
    spikes: list[Tensor] = []
    states: list[Tensor] = []

    def keep(_name: str, output: Tensor) -> None:
        spikes.append(output.flatten()[neuron].cpu())
        states.append(torch.stack([s.flatten()[neuron].cpu() for s in module.state or ()]))

    stream = net.stream()
    with _eval_mode(net), _outputs({layer: module}, keep):
        for x in repeat_image(image[None], steps or net.T):
            stream(x)
    values = torch.stack(states)
    return Trace(torch.stack(spikes).bool(), values[:, 0], values[:, 1] if values.shape[1] > 1 else None)
