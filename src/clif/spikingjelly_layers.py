"""The layers of SpikingJelly as those of PyTorch and clif."""

import inspect
import re
from typing import Any

from torch import nn

from clif.errors import InputError
from clif.layers import Dropout
from clif.neurons import SpikingNeuron
from clif.neurons.net import is_foreign
from clif.sequence_layers import CONTAINERS, SAME, StepAdaptiveAvgPool2d, Voting

FOLDED = ("SeqToANNContainer", "MultiStepContainer")
"""Containers of SpikingJelly that call their layers on T·N samples of a sequence, or step by step."""


def is_of(thing: Any, library: str) -> bool:
    """Whether the class of an object belongs to a library."""
    return type(thing).__module__.split(".")[0] == library


def step_mode_of(net: nn.Module) -> str:
    """The step mode of a network of SpikingJelly. Raises `InputError` if parts take steps and others sequences."""
    folded = {part for m in net.modules() if type(m).__name__ in FOLDED for part in list(m.modules())[1:]}
    found: dict[str, str] = {}
    for name, module in net.named_modules():
        if module in folded:
            continue
        if type(module).__name__ in FOLDED:
            found.setdefault("m", name or "the network itself")
        elif hasattr(module, "step_mode") and (isinstance(module, SpikingNeuron | nn.Flatten) or is_foreign(module)):
            found.setdefault(module.step_mode, name)
    if len(found) > 1:
        raise InputError(
            f"{found['s']} takes one step and {found['m']} a sequence; give the whole network one step mode first: "
            'spikingjelly.activation_based.functional.set_step_mode(net, "m")'
        )
    return next(iter(found), "s")


def take_layers(net: nn.Module) -> set[nn.Module]:
    """Replace the layers of SpikingJelly with those of PyTorch or clif, in place; returns those that take sequences.

    Blocks with a `forward` of their own keep it. Layers of PyTorch also stay: they take what that `forward` gives them.
    """
    layers: set[nn.Module] = set()
    for prefix, parent in list(net.named_modules()):
        for name, child in [] if isinstance(parent, SpikingNeuron) else list(parent._modules.items()):
            full = f"{prefix}.{name}".lstrip(".")
            if child is None or isinstance(child, SpikingNeuron):
                continue
            if is_of(child, "spikingjelly"):
                if type(child).__name__ in FOLDED:
                    layers.update(child.modules())
                parent._modules[name] = _layer(full, child)
                layers.update([] if parent._modules[name]._modules else [parent._modules[name]])
            elif is_foreign(child):
                raise InputError(f"{full}, a {type(child).__name__}, has a state that SpikingJelly keeps; {STATES}")
    if is_of(net, "spikingjelly") and isinstance(net, nn.Sequential):
        layers.update(net.modules() if type(net).__name__ in FOLDED else [])
        net.__class__ = nn.Sequential
    return layers


def check_reads(net: nn.Module) -> None:
    """Raise `InputError` for a `forward` that reads the step mode of a layer that no longer has one."""
    for name, module in net.named_modules():
        try:
            source = inspect.getsource(type(module).forward)
            itself = next(iter(inspect.signature(type(module).forward).parameters))
        except (AttributeError, OSError, TypeError):  # a scripted module, or a class that was defined without a file
            continue
        for layer in re.findall(rf"\b{itself}\.(\w+)\.step_mode\b", source):
            if isinstance(part := getattr(module, layer, None), nn.Module) and not hasattr(part, "step_mode"):
                raise InputError(
                    f"the forward of {name or 'the network'}, a {type(module).__name__}, reads "
                    f"{itself}.{layer}.step_mode, but a {type(part).__name__} takes a step and a sequence without a "
                    "mode; read that of a neuron"
                )


STATES = "only the neurons of SpikingJelly itself and its Dropout can be replaced"


def _layer(name: str, layer: Any) -> nn.Module:
    """The replacement of a module of SpikingJelly; the module itself if it only calls others."""
    kind = type(layer)
    if kind.__name__ == "Dropout":
        return Dropout(layer.p).train(layer.training)
    if kind.__name__ == "VotingLayer":
        return Voting(layer.voting_size)
    base = next(
        (base for base in kind.__mro__ if base.__module__.startswith("torch.nn.") and base is not nn.Module), None
    )
    if base is None and layer._modules:
        if is_foreign(layer):
            raise InputError(f"{name}, a {kind.__name__}, has its own state; {STATES}")
        return layer
    if kind.__name__ in FOLDED:
        _check_folded(name, layer)
    elif base is None or base.__name__ != kind.__name__:
        raise InputError(f"{name} is a {kind.__name__} of SpikingJelly, which has no counterpart in PyTorch or clif")
    assert base is not None
    layer.__class__ = StepAdaptiveAvgPool2d if base is nn.AdaptiveAvgPool2d else SAME.get(base, base)
    return layer


def _check_folded(name: str, container: nn.Module) -> None:
    """Raise `InputError` for a block in a container that would get [T·N, *] or a step, but expects [T, N, *]."""
    for inner, module in list(container.named_modules())[1:]:
        if module._modules and not isinstance(module, (*CONTAINERS, SpikingNeuron)):
            raise InputError(
                f"{name}.{inner}, a {type(module).__name__}, defines its own forward, which "
                f"{type(container).__name__} calls without the axis of time; put its layers into the container instead"
            )
