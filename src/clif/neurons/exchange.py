"""Other neurons in the same network, during training (Figure 3a of the CLIF paper) or after it."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from clif.errors import InputError
from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import options_of, spiking_neuron


def exchange_neurons(net: nn.Module, neuron: str) -> None:
    """Replace every spiking neuron of `net` by a `neuron`, a registered name, at rest with the same constants.

    Weights and their state-dict keys stay; parameters of the neurons are those of the new ones. τ becomes the start of
    a learnt one, and the other way round. Raises `InputError` for an unknown neuron, for one that has no place for a
    constant of the old one (`decay_input`), and if `net` has nothing to exchange.
    """
    kind = spiking_neuron(neuron)
    if not replace_nodes(net, lambda node: node_like(node, kind)):
        raise InputError(f"{type(net).__name__} has no spiking neuron to exchange")
    if isinstance(config := getattr(net, "config", None), dict):
        config["neuron"] = kind.neuron
        known = options_of(kind)
        forget_layer_options(config, lambda name: name in known)


def replace_nodes(net: nn.Module, make: Callable[[SpikingNeuron], nn.Module]) -> int:
    """Put `make(node)` in the place of every neuron of `net`, all or, if it raises, none of them.

    Returns how many there are.
    """
    nodes = [module for module in net.modules() if isinstance(module, SpikingNeuron)]
    new = {node: make(node) for node in nodes}
    for parent in list(net.modules()):
        for name, child in list(parent._modules.items()):
            if child in new:
                setattr(parent, name, new[child])
    return len(new)


def forget_layer_options(config: dict[str, Any], keeps: Callable[[str], bool]) -> None:
    """Take constants of single layers out of a network's description, but for those whose names it keeps."""
    layers = config.pop("layer_options", {})
    kept = {layer: {k: v for k, v in constants.items() if keeps(k)} for layer, constants in layers.items()}
    if any(kept.values()):
        config["layer_options"] = kept


def node_like(node: SpikingNeuron, kind: type[SpikingNeuron], **changed: Any) -> SpikingNeuron:
    """A neuron of another kind at rest, with the constants and switches of `node` but for those `changed`.

    Raises `InputError` for a `node` that computes in its own way, which would be lost.
    """
    if node.redefined or node.neuron is None:
        own = ", ".join(sorted(node.redefined))
        raise InputError(
            f"a {type(node).__name__} computes in its own way ({own}); no {kind.neuron} neuron can take its place; "
            "clif.register_neuron makes it one of its own"
        )
    options = options_of(kind)
    constants = _constants_for(node, kind, options) | changed
    if "v_reset" in changed:
        constants.pop("v_subtract", None)
    new = kind(**constants)
    new.gradient_window, new.fuse_norm, new.keep_state = node.gradient_window, node.fuse_norm, node.keep_state
    new.channels_made_for = node.channels_made_for
    like = next(iter(node.parameters()), None)
    if like is not None:
        new.to(like.device)
    return new.train(node.training)


def _constants_for(node: SpikingNeuron, kind: type[SpikingNeuron], options: dict[str, Any]) -> dict[str, Any]:
    found = {name: getattr(node, name) for name in options_of(type(node)) if name in options and name in vars(node)}
    learnt = {name: value for name, value in node._parameters.items() if name in options and name not in node.learnable}
    found |= {name: value for name, value in learnt.items() if name not in kind.learnable}
    found["step_mode"] = node.step_mode
    tau = getattr(node, "tau", None)
    if tau is not None:
        if "init_tau" in options:
            found["init_tau"] = float(tau.detach()) if isinstance(tau, Tensor) else float(tau)
        elif "tau" in options:
            found["tau"] = tau
    if "channels" in options:
        found["channels"] = channels_for(kind, options, node.channels_made_for)
        if found["channels"] is None:
            del found["channels"]
    if getattr(node, "decay_input", False) and "decay_input" not in options:
        raise InputError(f"{type(node).__name__} has decay_input=True, and {kind.neuron} has no such option")
    return found


def channels_for(kind: type[SpikingNeuron], options: dict[str, Any], channels: int | None) -> int | None:
    """`channels` for a neuron that takes them; raises `InputError` if it must have them and nobody said how many."""
    if channels is None and options["channels"].default is options["channels"].empty:
        raise InputError(
            f"{kind.neuron} needs the channels of its layer: let the network make its neurons with neuron(channels)"
        )
    return channels
