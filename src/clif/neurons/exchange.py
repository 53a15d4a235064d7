"""Other neurons in the same network, during training (Figure 3a of the CLIF paper) or after it."""

from collections.abc import Callable
from typing import Any

from torch import nn

from clif.errors import InputError
from clif.neurons.clif import CLIFNode
from clif.neurons.lif import LIFNode

_SHARED = (
    *("tau", "decay_input", "v_threshold", "v_reset", "surrogate_function", "detach_reset"),
    *("step_mode", "backend", "store_v_seq"),
)
_NODES: dict[str, type[CLIFNode] | type[LIFNode]] = {"CLIF": CLIFNode, "LIF": LIFNode}


def exchange_neurons(net: nn.Module, neuron: str) -> None:
    """Replace every CLIF or LIF neuron of `net` by a `neuron` ("CLIF" or "LIF") at rest with the same constants.

    Weights and state-dict keys stay. Raises `InputError` for another neuron, or where `net` has nothing to exchange.
    """
    if neuron not in _NODES:
        raise InputError(f"neurons can be exchanged for CLIF or LIF, not {neuron!r}")
    if not replace_nodes(net, lambda node: node_like(node, _NODES[neuron])):
        raise InputError(f"{type(net).__name__} has no CLIF or LIF neuron to exchange")
    if isinstance(config := getattr(net, "config", None), dict):
        config["neuron"] = neuron
        if neuron == "CLIF":
            forget_layer_options(config, ("v_subtract",))


def replace_nodes(net: nn.Module, make: Callable[[CLIFNode | LIFNode], nn.Module]) -> int:
    """Put `make(node)` in the place of every CLIF and LIF neuron of `net`, all or, if it raises, none of them.

    Returns how many there are.
    """
    nodes = [module for module in net.modules() if isinstance(module, CLIFNode | LIFNode)]
    new = {node: make(node) for node in nodes}
    for parent in list(net.modules()):
        for name, child in list(parent._modules.items()):
            if child in new:
                setattr(parent, name, new[child])
    return len(new)


def forget_layer_options(config: dict[str, Any], names: tuple[str, ...]) -> None:
    """Take constants of single layers out of a network's description."""
    layers = config.pop("layer_options", {})
    kept = {layer: {k: v for k, v in constants.items() if k not in names} for layer, constants in layers.items()}
    if any(kept.values()):
        config["layer_options"] = kept


def node_like(node: CLIFNode | LIFNode, kind: type[CLIFNode] | type[LIFNode], **changed: Any) -> CLIFNode | LIFNode:
    """A neuron of another kind at rest, with the constants and switches of `node` but for those `changed`.

    Raises `InputError` for a `node` that computes in its own way, which would be lost.
    """
    if node.redefined:
        own = ", ".join(sorted(node.redefined))
        raise InputError(
            f"a {type(node).__name__} computes in its own way ({own}); no {kind.neuron} neuron can take its place"
        )
    constants = {name: getattr(node, name) for name in _SHARED} | changed
    if kind is LIFNode and isinstance(node, LIFNode) and "v_reset" not in changed:
        constants["v_subtract"] = node.v_subtract
    new = kind(**constants)
    new.gradient_window, new.fuse_norm, new.keep_state = node.gradient_window, node.fuse_norm, node.keep_state
    return new.train(node.training)
