"""Conversions fitted to the CLIF network on unlabelled images, layer by layer from the input; weights stay.

A CLIF neuron that fires is reset by v_threshold + σ(m). `calibrate` makes up for σ(m) with a hard reset value for each
channel (or layer), `subtract` with a soft reset by v_threshold·(1 + c), one c for each layer (or for all). Either takes
the value at which the layer's neurons fire as often as those of the CLIF network, with all layers before it already
converted.

A hard reset to r, from which the neuron also starts and towards which it leaks, is the same as a hard reset to 0 with
the input times v_threshold / (v_threshold − r). So `calibrate` multiplies the batch norm before the neuron, and every
neuron is a plain LIF with hard reset to 0. A soft reset has no such identity: c stays a constant of the neuron.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clif import functional
from clif.deploy.fit import count_errors, divergence
from clif.deploy.graph import layer_graph, norms_before_neurons, spiking_nodes
from clif.deploy.joint import fit_gains
from clif.deploy.plain_lif import plain_lif
from clif.errors import InputError
from clif.layers import BatchNorm2d
from clif.models import SpikingNetwork
from clif.models.layer_options import set_layer_options
from clif.models.wrapped import as_network
from clif.neurons import LIFNode, SpikingNeuron, set_step_mode
from clif.neurons.exchange import add_layer_options
from clif.sequence_layers import detached_copy
from clif.sizes import is_count

RESETS = tuple(round(-0.6 + 0.04 * i, 2) for i in range(24))
EXTRAS = tuple(round(0.4 + 0.04 * i, 2) for i in range(24))


@dataclass(frozen=True)
class Fitted:
    """A LIF network and its fit: layer name -> one value, or one value per channel, in units of v_threshold."""

    net: SpikingNetwork
    values: dict[str, list[float]]


def calibrate(
    net: SpikingNetwork,
    batches: Sequence[Tensor],
    per: str = "channel",
    resets: Sequence[float] = RESETS,
    joint_epochs: int = 5,
) -> Fitted:
    """`net` as LIF with hard reset 0 and a fitted gain `per` "channel" or "layer", part of the batch norms.

    `resets` are the hard reset values to choose from, in units of v_threshold, all below 1. After the choice layer by
    layer, `joint_epochs` passes over the images fit all gains together (see `fit_gains`); 0 leaves this out. Raises
    `InputError` for other arguments, and if a neuron has no batch norm before it.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> fitted = clif.deploy.calibrate(net, [torch.rand(8, 3, 16, 16)], joint_epochs=0)
    >>> fitted.net.config["neuron"]
    'LIF'
    """
    _check_per(per, ("channel", "layer"))
    if not is_count(joint_epochs, 0):
        raise InputError(f"joint_epochs must be a whole number, at least 0, got {joint_epochs!r}")
    resets = _numbers(resets)
    if not resets or not all(reset < 1 for reset in resets):
        raise InputError("resets are fractions of v_threshold and must be below 1; example: (-0.2, -0.1, 0.0)")
    net = as_network(net)
    norms = norms_before_neurons(net)
    source, lif = _pair(net, plain_lif(net, v_reset=0.0))
    gains: dict[str, Tensor] = {}
    for layer, norm in norms.items():
        errors = count_errors(source, lif, layer, batches, resets, _respond_with_gain)
        if per == "layer":
            errors = errors.sum(1, keepdim=True).expand_as(errors)
        gains[layer] = 1 / (1 - errors.new_tensor(resets)[errors.argmin(0)])
        _multiply(lif, norm, gains[layer])
    if joint_epochs:
        fitted = fit_gains(source, lif, norms, batches, per == "channel", joint_epochs)
        for layer, gain in fitted.items():
            gains[layer] = gains[layer] * gain
            _multiply(lif, norms[layer], gain)
    values = {layer: (1 - 1 / gain).tolist() for layer, gain in gains.items()}
    if per == "layer":
        values = {layer: resets_of_layer[:1] for layer, resets_of_layer in values.items()}
    return Fitted(in_mode_of(net, lif), values)


@torch.no_grad()
def _multiply(net: SpikingNetwork, norm_name: str, gain: Tensor) -> None:
    """Multiply the output of a batch norm by one gain per channel."""
    norm = net.get_submodule(norm_name)
    assert isinstance(norm, BatchNorm2d)
    norm.weight.mul_(gain)
    norm.bias.mul_(gain)


def subtract(
    net: SpikingNetwork, batches: Sequence[Tensor], per: str = "layer", extras: Sequence[float] = EXTRAS
) -> Fitted:
    """`net` as LIF with a soft reset by v_threshold·(1 + c) and a fitted c `per` "layer", or one for all ("network").

    `extras` are the values of c to choose from, all above −1; others raise `InputError`. "network" chooses the c whose
    predictions diverge least.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> fitted = clif.deploy.subtract(net, [torch.rand(8, 3, 16, 16)])
    >>> fitted.net.config["neuron"]
    'LIF'
    """
    _check_per(per, ("layer", "network"))
    extras = _numbers(extras)
    if not extras or not all(extra > -1 for extra in extras):
        raise InputError("extras must be above -1, in units of v_threshold; example: (0.7, 0.8, 0.9)")
    net = as_network(net)
    layers = list(spiking_nodes(layer_graph(net)))
    source, lif = _pair(net, plain_lif(net, v_reset=None))
    values = _one_for_all(source, lif, layers, batches, extras) if per == "network" else {}
    for layer in layers if per == "layer" else ():
        errors = count_errors(source, lif, layer, batches, extras, _respond_subtracting).sum(1)
        values[layer] = extras[int(errors.argmin())]
        _set_extra(lif, {layer: values[layer]})
    add_layer_options(lif.config, _options(lif, values))
    return Fitted(in_mode_of(net, lif), {layer: [value] for layer, value in values.items()})


def _numbers(values: Sequence[float]) -> list[float]:
    """The values as floats; an empty list if they are not finite numbers."""
    try:
        numbers = [*map(float, values)]
    except (TypeError, ValueError):
        return []
    return numbers if all(map(math.isfinite, numbers)) else []


def _one_for_all(
    net: SpikingNetwork, lif: SpikingNetwork, layers: list[str], batches: Sequence[Tensor], extras: Sequence[float]
) -> dict[str, float]:
    far = []
    with torch.no_grad():
        answers = [net(x) for x in batches]
    for extra in extras:
        _set_extra(lif, dict.fromkeys(layers, extra))
        far.append(divergence(lif, batches, answers))
    best = dict.fromkeys(layers, extras[far.index(min(far))])
    _set_extra(lif, best)
    return best


def _set_extra(lif: SpikingNetwork, extras: dict[str, float]) -> None:
    set_layer_options(lif, _options(lif, extras))


def _options(lif: SpikingNetwork, extras: dict[str, float]) -> dict[str, dict[str, float]]:
    """The constants of the layers that subtract v_threshold·(1 + c), by the layers' values of c."""
    return {layer: {"v_subtract": _threshold(_neuron(lif, layer)) * (1 + extra)} for layer, extra in extras.items()}


def _neuron(lif: SpikingNetwork, layer: str) -> LIFNode:
    node = lif.get_submodule(layer)
    assert isinstance(node, LIFNode)
    return node


def _threshold(node: SpikingNeuron) -> float:
    return float(torch.as_tensor(node.v_threshold).detach())


def _pair(net: SpikingNetwork, lif: SpikingNetwork) -> tuple[SpikingNetwork, SpikingNetwork]:
    """Both networks ready to be compared: `net` as a copy in eval and multi-step mode, `lif` likewise."""
    source = detached_copy(net)
    for network in (source, lif):
        set_step_mode(network.eval(), "m")
    return source, lif


def in_mode_of(net: SpikingNetwork, lif: SpikingNetwork) -> SpikingNetwork:
    """`lif` in the step mode of `net`, with each module in training as in `net`."""
    set_step_mode(lif, net.step_mode)
    for name, module in lif.named_modules():
        module.training = net.get_submodule(name).training
    return lif


def _respond_with_gain(node: SpikingNeuron, x_seq: Tensor, reset: float) -> Tensor:
    return functional.lif_multi_step(x_seq / (1 - reset), backend=node.backend, keep_state=False, **node.constants())[0]


def _respond_subtracting(node: SpikingNeuron, x_seq: Tensor, extra: float) -> Tensor:
    dynamics = {**node.constants(), "v_subtract": _threshold(node) * (1 + extra)}
    return functional.lif_multi_step(x_seq, backend=node.backend, keep_state=False, **dynamics)[0]


def _check_per(per: str, known: tuple[str, ...]) -> None:
    if per not in known:
        raise InputError(f"per must be {' or '.join(map(repr, known))}, got {per!r}")
