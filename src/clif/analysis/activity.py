"""Activity of a network: firing rates, spike rasters, traces of single neurons; by hooks, so that nothing changes."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import InputError, unknown_name
from clif.layers import repeat_image
from clif.models import SpikingNetwork
from clif.neurons import SpikingNeuron, reset_net
from clif.neurons.net import is_foreign, visiting


def spiking_layers(net: nn.Module) -> dict[str, SpikingNeuron]:
    """The spiking neurons of `net` by module name, in the order of the modules."""
    return {name: module for name, module in net.named_modules() if isinstance(module, SpikingNeuron)}


def firing_layers(net: nn.Module) -> dict[str, nn.Module]:
    """The modules of `net` that fire, by name: clif's neurons and SpikingJelly's. `InputError` if there are none."""
    found = {name: module for name, module in net.named_modules() if _fires(module)}
    if not found:
        raise InputError(f"{type(net).__name__} has no spiking neuron of clif or SpikingJelly")
    return found


def _fires(module: nn.Module) -> bool:
    return isinstance(module, SpikingNeuron) or (is_foreign(module) and hasattr(module, "v_threshold"))


@contextmanager
def _outputs(layers: Mapping[str, nn.Module], take: Any) -> Iterator[None]:
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


def firing_rates(net: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Spikes per neuron and time step of every spiking layer, over all batches, in eval mode.

    `net` is a network of `clif.models` or any module that takes a batch of the loader; it begins every batch at rest
    and is afterwards as it was. Raises `InputError` for a network without spiking neurons and an empty loader.
    """
    rates = measure_rates(net, loader, firing_layers(net))
    if rates is None:
        raise InputError("the loader is empty; firing rates are measured on its images")
    return rates


def measure_rates(
    net: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], layers: Mapping[str, nn.Module]
) -> dict[str, float] | None:
    """`firing_rates` of these layers; None for an empty loader."""
    spikes_of, steps_of = dict.fromkeys(layers, 0.0), dict.fromkeys(layers, 0)

    def count(name: str, spikes: Tensor) -> None:
        spikes_of[name] += count_spikes(spikes).item()
        steps_of[name] += spikes.numel()

    empty = True
    with visiting(net, _step_mode(net)), _outputs(layers, count):
        for images, _ in loader:
            empty = False
            reset_net(net)
            net(images)
    return None if empty else {name: spikes_of[name] / max(steps_of[name], 1) for name in layers}


def _step_mode(net: nn.Module) -> str | None:
    """In which step mode a network sees whole samples; a network of one's own knows itself."""
    return "m" if isinstance(net, SpikingNetwork) else None


def spike_raster(net: SpikingNetwork, image: Tensor) -> dict[str, Tensor]:
    """The spikes of every spiking layer for one sample: layer name -> bool [T, neurons of the layer].

    `image` is a static image [C, H, W], or frames [T, C, H, W] or [T, 1, C, H, W] with T > 1. Raises `InputError` for
    anything else.
    """
    raster: dict[str, Tensor] = {}

    def keep(name: str, spikes: Tensor) -> None:
        raster[name] = spikes.flatten(1).bool().cpu()

    x_seq = _one_sample(net, image)
    with visiting(net, "m"), _outputs(firing_layers(net), keep):
        net(x_seq)
    return raster


def _one_sample(net: SpikingNetwork, image: Tensor, steps: int | None = None) -> Tensor:
    """What the network sees of one sample, [T, 1, C, H, W]."""
    if not isinstance(net, SpikingNetwork):
        raise InputError(f"this looks into networks of clif.models, got a {type(net).__name__}")
    if image.dim() == 3:
        return repeat_image(image[None], steps or net.T)
    frames = image[:, None] if image.dim() == 4 else image
    if frames.dim() != 5 or len(frames) < 2 or frames.shape[1] != 1:
        raise InputError(
            f"give one sample, an image [C, H, W] or frames [T, C, H, W] with T > 1, got {list(image.shape)}; "
            "of a batch take one, as in x[0] (images) or x[:, 0] (frames)"
        )
    if steps is not None and steps > len(frames):
        raise InputError(f"these are {len(frames)} frames; steps={steps} are more")
    return frames[:steps]


@dataclass(frozen=True)
class Trace:
    """One neuron over T steps: its spikes, the membrane potential v after each reset, and m (None unless CLIF)."""

    spikes: Tensor
    v: Tensor
    m: Tensor | None


def trace(net: SpikingNetwork, image: Tensor, layer: str, neuron: int, steps: int | None = None) -> Trace:
    """Follow a neuron (an index into the flattened layer) while the network sees one sample, as in `spike_raster`.

    `steps` is how long, by default `net.T` for a static image and all frames otherwise. Raises `InputError` for an
    unknown layer and a neuron that it does not have.
    """
    x_seq = _one_sample(net, image, steps)
    layers = spiking_layers(net)
    if layer not in layers:
        raise unknown_name("spiking layer", layer, layers)
    module = layers[layer]
    spikes: list[Tensor] = []
    states: list[Tensor] = []

    def keep(_name: str, output: Tensor) -> None:
        if not 0 <= neuron < output.numel():
            raise InputError(f"{layer} has the neurons 0 to {output.numel() - 1}, not {neuron}")
        spikes.append(output.flatten()[neuron].cpu())
        states.append(torch.stack([s.flatten()[neuron].cpu() for s in module.state or ()]))

    stream = net.stream()
    with visiting(net), _outputs({layer: module}, keep):
        for x in x_seq:
            stream(x)
    values = torch.stack(states)
    return Trace(torch.stack(spikes).bool(), values[:, 0], values[:, 1] if values.shape[1] > 1 else None)
