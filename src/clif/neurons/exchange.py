"""Replacement of the neurons of a network, during training (Figure 3a of the CLIF paper) or after it."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from clif.errors import InputError
from clif.layers import StepModule
from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import create, options_of, spiking_neuron
from clif.ops.constants import as_constant
from clif.private_torch import hand_over_hooks


def exchange_neurons(net: nn.Module, neuron: str) -> None:
    """Replace every spiking neuron of `net` by a `neuron`, a registered name, at rest with the same constants.

    Weights, their state-dict keys and the hooks of the neurons stay. The new neurons have their own parameters, on the
    device and in the dtype of the weights. τ becomes the initial value of a learnt τ; a learnt τ keeps its present
    value, which `net.config` of a network of `clif.models` stores layer by layer. Raises `InputError` for an unknown
    neuron, for a neuron that lacks a constant of the old one (`decay_input`), and if `net` has no neuron to replace.

    >>> net = clif.models.create_model("snn5_noAP", "LIF", T=2)
    >>> clif.neurons.exchange_neurons(net, "CLIF")
    >>> net.config["neuron"]
    'CLIF'
    """
    kind = spiking_neuron(neuron)
    config = description_of(net)
    shared = config or {}
    weight = next((parameter for parameter in net.parameters() if parameter.is_floating_point()), None)
    taus = learnt_taus(net)

    def make(node: SpikingNeuron) -> SpikingNeuron:
        new = node_like(node, kind, **({} if hasattr(node, "tau") else _tau_for(kind, shared.get("tau"))))
        hand_over_hooks(node, new)
        like = next(node.parameters(), weight)
        return new if like is None else new.to(like.device, like.dtype)

    former = {name for node in net.modules() if isinstance(node, SpikingNeuron) for name in options_of(type(node))}
    if not replace_nodes(net, make):
        raise InputError(f"{type(net).__name__} has no spiking neuron to exchange")
    if config is not None:
        known = options_of(kind)
        for name in former - known.keys() - {"tau"}:
            config.pop(name, None)
        config["neuron"] = kind.neuron
        forget_layer_options(config, lambda name: name in known)
        add_layer_options(config, {name: tau for name, tau in taus.items() if "tau" in vars(net.get_submodule(name))})


def description_of(net: nn.Module) -> dict[str, Any] | None:
    """The arguments of `create_model` in a network of clif, to change them; None for another module."""
    config = getattr(net, "config", None)
    return config if isinstance(net, StepModule) and isinstance(config, dict) else None


def learnt_taus(net: nn.Module) -> dict[str, dict[str, float]]:
    """The present time constants of the neurons of `net` that learn theirs: layer name -> {"tau": value}."""
    nodes = {name: node for name, node in net.named_modules() if isinstance(node, SpikingNeuron) and _learns_tau(node)}
    return {name: {"tau": float(_tau_of(node))} for name, node in nodes.items()}


def _learns_tau(node: SpikingNeuron) -> bool:
    return "tau" in node.learnable or isinstance(getattr(type(node), "tau", None), property)


def _tau_of(node: SpikingNeuron) -> Any:
    """The time constant of a neuron, a number if it is one of its learnables, None if it has none."""
    tau = getattr(node, "tau", None)
    return as_constant("tau", tau.detach()) if "tau" in node.learnable and isinstance(tau, Tensor) else tau


def replace_nodes(net: nn.Module, make: Callable[[SpikingNeuron], nn.Module]) -> int:
    """Replace every neuron of `net` by `make(node)`, or none of them if it raises.

    Returns how many there are. Raises `InputError` if `net` itself is a neuron.
    """
    if isinstance(net, SpikingNeuron):
        raise InputError(f"a single {type(net).__name__} cannot be replaced; give the network that contains it")
    nodes = [module for module in net.modules() if isinstance(module, SpikingNeuron)]
    new = {node: make(node) for node in nodes}
    for parent in list(net.modules()):
        for name, child in list(parent._modules.items()):
            if child in new:
                setattr(parent, name, new[child])
    return len(new)


def forget_layer_options(config: dict[str, Any], keeps: Callable[[str], bool]) -> None:
    """Take constants of single layers out of a network's description, except for those whose names it keeps."""
    layers = config.pop("layer_options", {})
    kept = {layer: {k: v for k, v in constants.items() if keeps(k)} for layer, constants in layers.items()}
    if any(kept.values()):
        config["layer_options"] = kept


def add_layer_options(config: dict[str, Any], options: dict[str, dict[str, float]]) -> None:
    """Put constants of single layers into a network's description, beside those that it has."""
    layers = config.get("layer_options", {})
    added = {layer: {**layers.get(layer, {}), **constants} for layer, constants in options.items()}
    if added:
        config["layer_options"] = {**layers, **added}


def node_like(node: SpikingNeuron, kind: type[SpikingNeuron], **changed: Any) -> SpikingNeuron:
    """A neuron of another kind at rest, with the constants and switches of `node` except for those `changed`.

    Raises `InputError` for a `node` that overrides the neuron's computation, which would be lost.
    """
    if node.redefined or node.neuron is None:
        own = ", ".join(sorted(node.redefined))
        raise InputError(
            f"a {type(node).__name__} overrides the neuron's computation ({own}); no {kind.neuron} neuron can "
            "replace it; register it as a neuron with clif.register_neuron"
        )
    options = options_of(kind)
    constants = _constants_for(node, kind, options) | changed
    if "v_reset" in changed:
        constants.pop("v_subtract", None)
    new = create(kind, constants)
    new.gradient_window, new.fuse_norm, new.keep_state = node.gradient_window, node.fuse_norm, node.keep_state
    new.channels_made_for = node.channels_made_for
    return new.train(node.training)


def _constants_for(node: SpikingNeuron, kind: type[SpikingNeuron], options: dict[str, Any]) -> dict[str, Any]:
    found = {name: getattr(node, name) for name in options_of(type(node)) if name in options and name in vars(node)}
    learnt = {name: value for name, value in node._parameters.items() if name in options and name not in node.learnable}
    found |= {name: value for name, value in learnt.items() if name not in kind.learnable}
    found["step_mode"] = node.step_mode
    found |= _tau_for(kind, _tau_of(node))
    if "channels" in options:
        found["channels"] = channels_for(kind, options, node.channels_made_for)
        if found["channels"] is None:
            del found["channels"]
    if getattr(node, "decay_input", False) and "decay_input" not in options:
        raise InputError(f"{type(node).__name__} has decay_input=True, and {kind.neuron} has no such option")
    return found


def _tau_for(kind: type[SpikingNeuron], tau: Any) -> dict[str, Any]:
    """The argument by which a `kind` takes a time constant (its initial value if it is learnt); none for None."""
    options = options_of(kind)
    if tau is not None and "init_tau" in options:
        return {"init_tau": float(tau.detach() if isinstance(tau, Tensor) else tau)}
    return {"tau": tau} if tau is not None and "tau" in options else {}


def channels_for(kind: type[SpikingNeuron], options: dict[str, Any], channels: int | None) -> int | None:
    """`channels` for a neuron that takes them; raises `InputError` if it needs them and they are not known."""
    if channels is None and options["channels"].default is options["channels"].empty:
        raise InputError(
            f"{kind.neuron} needs the channels of its layer: create the neurons with neuron(channels), or give "
            "channels=…"
        )
    return channels
