"""The layers of a network that have weights, with their sizes and what feeds them."""

from dataclasses import dataclass

import torch
from torch import fx, nn

from clif.deploy.graph import layer_graph, layer_of, spiking_nodes
from clif.errors import InputError
from clif.layers import LeakyIntegrator
from clif.models import SpikingNetwork
from clif.neurons import SpikingNeuron
from clif.neurons.net import visiting
from clif.sequence_layers import ELEMENTWISE


@dataclass(frozen=True)
class Weights:
    """A convolution or linear layer: sizes of one image's input and output, kernel side and stride (1 if linear).

    `fed_by` names the neurons (or ReLUs) whose output arrives, pooled or not; none where the input itself does.
    """

    name: str
    in_size: int
    out_size: int
    out_channels: int
    kernel: int
    stride: int
    macs: int
    parameters: int
    fed_by: tuple[str, ...]

    @property
    def shortcut(self) -> bool:
        return "shortcut" in self.name.split(".")


Size = int | tuple[int, ...] | None
"""Of one sample: its shape, the pixels a side of an image, or None for that of the network."""


def weight_layers(net: SpikingNetwork, size: Size = None) -> list[Weights]:
    """Every convolution and linear layer in the order of computation, for samples of `size`.

    Raises `InputError` for another layer that has a matrix of weights.
    """
    graph = layer_graph(net)
    shapes = _shapes(graph, net, size)
    found = []
    for node in graph.graph.nodes:
        layer = layer_of(graph, node)
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            if layer is not None and any(weight.dim() > 1 for weight in layer.parameters()):
                raise InputError(f"the operations of {node.target}, a {type(layer).__name__}, cannot be counted")
            continue
        before, after = shapes[node.all_input_nodes[0]], shapes[node]
        found.append(
            Weights(
                str(node.target),
                before.numel(),
                after.numel(),
                after[0],
                1 if isinstance(layer, nn.Linear) else layer.kernel_size[0],
                1 if isinstance(layer, nn.Linear) else layer.stride[0],
                after.numel() * layer.weight[0].numel(),
                layer.weight.numel() + after[0],
                _activations_before(graph, node),
            )
        )
    return found


def neuron_sizes(net: SpikingNetwork, size: Size = None) -> dict[str, int]:
    """Neurons of every spiking layer for one sample, in the order of computation."""
    graph = layer_graph(net)
    shapes = _shapes(graph, net, size)
    return {name: shapes[node].numel() for name, node in spiking_nodes(graph).items()}


def _activations_before(graph: fx.GraphModule, node: fx.Node) -> tuple[str, ...]:
    """The neurons (or ReLUs) that the ways back from a layer meet first; none where one meets the network's input.

    Raises `InputError` for a layer between whose results are no spikes.
    """
    found = []
    sources = list(node.all_input_nodes)
    while sources:
        source = sources.pop()
        if source.op == "placeholder":
            return ()
        layer = layer_of(graph, source)
        if isinstance(layer, SpikingNeuron | nn.ReLU):
            found.append(str(source.target))
        elif isinstance(layer, (*ELEMENTWISE, nn.PReLU, LeakyIntegrator)):
            kind = type(layer).__name__
            raise InputError(f"{node.target} gets no spikes but the values of {source.target}, a {kind}: not counted")
        else:
            sources += source.all_input_nodes
    return tuple(found)


def _shapes(graph: fx.GraphModule, net: SpikingNetwork, size: Size) -> dict[fx.Node, torch.Size]:
    sample = net.sample_shape if size is None else (net.in_channels, size, size) if isinstance(size, int) else size
    shapes: dict[fx.Node, torch.Size] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node):
            result = super().run_node(n)
            shapes[n] = result.shape[1:]
            return result

    parameter = next(net.parameters())
    with visiting(net, "s"):
        Recorder(graph).run(parameter.new_zeros(1, *sample))
    return shapes
