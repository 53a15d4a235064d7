"""The data flow of a network as a graph of its layers: which layer feeds which, additions included."""

import operator
from typing import Any

import torch
from torch import fx, nn

from clif.deploy.affine import ChannelAffine
from clif.errors import InputError, in_words
from clif.layers import BatchNorm2d, Dropout, Flatten, Linear, StepModule
from clif.models import SpikingNetwork
from clif.models.wrapped import class_name, layer_name
from clif.neurons import SpikingNeuron
from clif.sequence_layers import COUNTERPARTS, SequenceLayer, StepFlatten

LAYERS = (StepModule, Flatten, Linear, ChannelAffine, *COUNTERPARTS)
FLATTENS = (Flatten, StepFlatten, nn.Flatten)
UNCHANGING = (nn.Identity, nn.Dropout, Dropout, nn.MaxPool2d, nn.AdaptiveMaxPool2d, *FLATTENS)
"""Layers whose outputs in eval mode are values of their inputs, so spikes stay spikes."""

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
IN_PLACE = (operator.iadd, "add_")


class Rounded(SequenceLayer):
    """A layer of a network that `exact_sums` or `quantize_weights` rounded, which no function changes once more."""


class _LayerTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = isinstance(m, LAYERS) and not isinstance(m, SpikingNetwork)
        return own or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(m, SpikingNeuron) and len(args) == 2:  # a neuron that is given the batch norm before it
            x, norm = args
            args = (norm(x),)
        return super().call_module(m, forward, args, kwargs)


def layer_graph(net: nn.Module) -> fx.GraphModule:
    """`net.logits` (for a module that is not a `SpikingNetwork`: `net.forward`) as calls of the layers in `net`.

    Raises `InputError` for a network whose data flow depends on its data, for a layer that is called twice, for a
    container that calls its layers step by step, and for a network with rounded weights.
    """
    for name, module in net.named_modules():
        if isinstance(module, Rounded):
            raise InputError(
                f"{layer_name(net, name)} is a {type(module).__name__} of a network with rounded weights; use the "
                "network as it was before exact_sums or quantize_weights"
            )
    tracer = _LayerTracer()
    tracer.traced_func_name = "logits" if isinstance(net, SpikingNetwork) else "forward"
    try:
        graph = tracer.trace(net)
    except Exception as error:  # a forward that depends on its data can raise anything
        raise InputError(f"the layers of {class_name(net)} cannot be traced: {in_words(error)}") from error
    called = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    if repeated := {name for name in called if called.count(name) > 1}:
        name = layer_name(net, min(repeated))
        raise InputError(f"the layer {name} is used more than once; create a separate layer for each use")
    for name in called:
        layer = net.get_submodule(name)
        is_container = isinstance(layer, StepModule) and not isinstance(layer, SpikingNeuron)
        if is_container and next(layer.children(), None) is not None:
            raise InputError(f"the layers inside {layer_name(net, name)}, a {type(layer).__name__}, cannot be traced")
    return fx.GraphModule(net, graph)


def layer_of(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The layer that a node calls, or None if it calls none."""
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def layers_read(graph: fx.GraphModule) -> set[str]:
    """The names of the layers with a parameter that the network's own `forward` reads."""
    targets = [str(node.target).rpartition(".") for node in graph.graph.nodes if node.op == "get_attr"]
    read = {id(getattr(graph.get_submodule(owner), name)) for owner, _, name in targets}
    return {
        layer
        for layer, module in graph.named_modules()
        if any(id(parameter) in read for parameter in module.parameters(recurse=False))
    }


def is_addition(node: fx.Node) -> bool:
    """Whether a node adds two different results, as residual blocks do.

    An addition in place is none if the graph reads its first input again, which is the sum by then.
    """
    if node.op not in ("call_function", "call_method") or node.target not in ADDITIONS:
        return False
    if len(node.all_input_nodes) != 2 or node.kwargs.get("alpha", 1) != 1:
        return False
    nodes = list(node.graph.nodes)
    later = nodes[nodes.index(node) + 1 :] if node.target in IN_PLACE else []
    return not any(node.args[0] in user.all_input_nodes for user in later)


def spiking_nodes(graph: fx.GraphModule) -> dict[str, fx.Node]:
    """The calls of spiking neurons by layer name, in the order in which they compute."""
    return {str(node.target): node for node in graph.graph.nodes if isinstance(layer_of(graph, node), SpikingNeuron)}


def input_levels(graph: fx.GraphModule, node: fx.Node) -> int | None:
    """n if a node's result is always a multiple of 1/n between 0 and 1, as spikes are after pools; else None."""
    levels = 1
    while True:
        layer = layer_of(graph, node)
        if isinstance(layer, SpikingNeuron):
            return levels
        if isinstance(layer, nn.AvgPool2d) and _averages_equal_parts(layer):
            size = layer.kernel_size
            levels *= size * size if isinstance(size, int) else size[0] * size[1]
        elif not isinstance(layer, UNCHANGING) or (isinstance(layer, nn.MaxPool2d) and layer.return_indices):
            return None
        node = node.all_input_nodes[0]


def _averages_equal_parts(pool: nn.AvgPool2d) -> bool:
    """Whether every average is over as many values as the window has."""
    return pool.padding in (0, (0, 0)) and not pool.ceil_mode and pool.divisor_override is None


def norms_before_neurons(net: nn.Module) -> dict[str, str]:
    """The batch norm before each spiking neuron, by name, in the order in which they compute.

    Raises `InputError` that names a neuron with any other input, or whose batch norm has another use.
    """
    graph = layer_graph(net)
    read = layers_read(graph)
    norms = {}
    for name, node in spiking_nodes(graph).items():
        before = node.all_input_nodes[0]
        if not isinstance(layer_of(graph, before), BatchNorm2d) or len(before.users) > 1:
            raise InputError(f"the neuron {layer_name(net, name)} has no batch norm before it that could take a gain")
        if before.target in read:
            raise InputError(
                f"the batch norm {layer_name(net, str(before.target))} cannot take a gain, because the forward of the "
                "network itself reads one of its parameters"
            )
        norms[name] = str(before.target)
    return norms
