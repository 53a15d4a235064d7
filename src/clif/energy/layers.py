"""The layers with weights of a network: their sizes, their inputs, and the synapses that a spike reaches."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from clif.deploy.graph import UNCHANGING, is_addition, layer_graph, layer_of, spiking_nodes
from clif.errors import InputError
from clif.layers import LeakyIntegrator
from clif.models import SpikingNetwork
from clif.neurons import SpikingNeuron
from clif.neurons.net import visiting
from clif.private_torch import is_custom_operator

CONVOLUTIONS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
COUNTED = (*CONVOLUTIONS, nn.Linear)
NORMS = (nn.GroupNorm, nn.LayerNorm, nn.PReLU)
"""Layers whose parameters may have more than one axis, although they multiply no matrices."""

PRODUCTS = {
    *("matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "linear", "bilinear", "scaled_dot_product_attention"),
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "tensordot", "mv"),
}
UNEQUAL = -1
INPUT = "the input"
"""The name of the frames in `fed_by` if their values count as spikes."""

RESHAPING = ("flatten", "reshape", "view", "permute", "transpose", "contiguous", "squeeze", "unsqueeze", "unflatten")


@dataclass(frozen=True)
class Weights:
    """A convolution or linear layer and the shapes of one sample's input and output.

    `fed_by` names the neurons whose spikes arrive, pooled or not, `fed_sizes` the number of input values of each. If
    `levels` is not None, `levels` times a value is a number of spikes (4 after a 2×2 average pool). A `static` layer
    has no neuron before it: it depends only on the network's input at this step. `feeds_neurons` says whether a neuron
    comes after it. `kernel` and `stride` are 1 if it is linear.
    """

    name: str
    kind: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    out_channels: int
    groups: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    macs: int
    parameters: int
    fed_by: tuple[str, ...]
    fed_sizes: tuple[int, ...]
    levels: int | None
    static: bool
    feeds_neurons: bool

    @property
    def in_size(self) -> int:
        return math.prod(self.in_shape)

    @property
    def out_size(self) -> int:
        return math.prod(self.out_shape)

    @property
    def linear(self) -> bool:
        return self.kind == "Linear"

    @property
    def shortcut(self) -> bool:
        return not {"shortcut", "downsample"}.isdisjoint(self.name.split("."))


class Origin(NamedTuple):
    """The origin of the values of a node; see `Weights`."""

    fed: tuple[tuple[str, int], ...]
    levels: int | None
    static: bool


Size = int | tuple[int, ...] | None
"""The shape of one sample, the side of an image in pixels, or None for that of the network."""


class Followed(NamedTuple):
    """A network as a graph of its layers, and the shape of each node's result for one sample."""

    graph: fx.GraphModule
    shapes: dict[fx.Node, torch.Size]


def follow(net: SpikingNetwork, size: Size = None) -> Followed:
    """The layers of a network for samples of `size`. Raises `InputError` if the layers cannot be followed."""
    graph = layer_graph(net)
    sample = net.sample_shape if size is None else (net.in_channels, size, size) if isinstance(size, int) else size
    shapes: dict[fx.Node, torch.Size] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node):
            result = super().run_node(n)
            if isinstance(result, Tensor):
                shapes[n] = result.shape[1:]
            return result

    parameter = next(net.parameters(), torch.empty(0))
    with visiting(net, "s"):
        Recorder(graph).run(parameter.new_zeros(1, *sample))
    return Followed(graph, shapes)


def weight_layers(net: SpikingNetwork | Followed, size: Size = None, events: bool = False) -> list[Weights]:
    """Every convolution and linear layer in the order of computation, for samples of `size`.

    With `events` the input itself is spikes. Raises `InputError` for another layer or function that multiplies
    matrices.
    """
    graph, shapes = net if isinstance(net, Followed) else follow(net, size)
    origins = _origins(graph, shapes, events)
    found = []
    for node in graph.graph.nodes:
        layer = layer_of(graph, node)
        _refuse_uncounted(node, layer)
        if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            continue
        source = node.all_input_nodes[0]
        before, after, origin = shapes[source], shapes[node], origins[source]
        transposed = isinstance(layer, nn.ConvTranspose2d)
        kernel, stride = ((1,), (1,)) if isinstance(layer, nn.Linear) else (layer.kernel_size, layer.stride)
        channels = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        found.append(
            Weights(
                name=str(node.target),
                kind=next(kind.__name__ for kind in COUNTED if isinstance(layer, kind)),
                in_shape=tuple(before),
                out_shape=tuple(after),
                out_channels=channels,
                groups=1 if isinstance(layer, nn.Linear) else layer.groups,
                kernel=tuple(kernel),
                stride=tuple(stride),
                macs=(before if transposed else after).numel() * layer.weight[0].numel(),
                parameters=layer.weight.numel() + channels,
                fed_by=tuple(name for name, _ in origin.fed),
                fed_sizes=tuple(values for _, values in origin.fed),
                levels=origin.levels,
                static=origin.static,
                feeds_neurons=_feeds_neurons(graph, node),
            )
        )
    return found


def neuron_sizes(net: SpikingNetwork | Followed, size: Size = None) -> dict[str, int]:
    """Neurons of every spiking layer for one sample, in the order of computation."""
    graph, shapes = net if isinstance(net, Followed) else follow(net, size)
    return {name: shapes[node].numel() for name, node in spiking_nodes(graph).items()}


def fan_out(layer: nn.Module, weights: Weights) -> Tensor | int:
    """The number of synapses that a spike reaches: one number, or a map over the pixels of the input, float64."""
    if weights.linear:
        return weights.out_channels
    kind: type[Any] = next(kind for kind in CONVOLUTIONS if isinstance(layer, kind))
    options: dict[str, Any] = {
        name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    }
    if kind is nn.ConvTranspose2d:
        options["output_padding"] = layer.output_padding
    one = kind(1, 1, bias=False, dtype=torch.float64, **options)
    nn.init.ones_(one.weight)
    x = torch.zeros(1, 1, *weights.in_shape[1:], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        out = one(x, list(weights.out_shape[1:])) if kind is nn.ConvTranspose2d else one(x)
        (reached,) = torch.autograd.grad(out.sum(), x)
    return reached[0] * (weights.out_channels // weights.groups)


def _refuse_uncounted(node: fx.Node, layer: nn.Module | None) -> None:
    if layer is not None:
        known = isinstance(layer, (*COUNTED, *NORMS, SpikingNeuron))
        if not known and any(weight.dim() > 1 for weight in layer.parameters()):
            raise InputError(f"the operations of {node.target}, a {type(layer).__name__}, cannot be counted")
        return
    name = _function(node)
    if node.op in ("call_function", "call_method") and (name in PRODUCTS or is_custom_operator(node.target)):
        raise InputError(
            f"the operations of {name or node.target}, a function that the network calls, cannot be counted; make it a "
            "layer of torch.nn or clif.layers"
        )


def _function(node: fx.Node) -> str:
    """The name of the function or method that a node calls."""
    return str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "")


def _origins(graph: fx.GraphModule, shapes: dict[fx.Node, torch.Size], events: bool) -> dict[fx.Node, Origin]:
    origins: dict[fx.Node, Origin] = {}
    for node in graph.graph.nodes:
        before = [origins[source] for source in node.all_input_nodes]
        layer = layer_of(graph, node)
        static = all(origin.static for origin in before)
        origin = Origin((), None, static)
        if node.op == "placeholder" and events:
            origin = Origin(((INPUT, shapes[node].numel()),), 1, True)
        elif isinstance(layer, SpikingNeuron):
            origin = Origin(((str(node.target), shapes[node].numel()),), 1, False)
        elif isinstance(layer, LeakyIntegrator):
            origin = Origin((), None, False)
        elif before and all(one.fed for one in before) and (passed := _passed(graph, node, shapes)):
            levels = {one.levels for one in before}
            level = levels.pop() if len(levels) == 1 else None
            joined = is_addition(node) or _is_cat(node)
            change = 1.0 if joined else shapes[node].numel() / shapes[node.all_input_nodes[0]].numel()
            fed = tuple((name, round(values * change)) for one in before for name, values in one.fed)
            origin = Origin(fed, None if level is None or passed == UNEQUAL else level * passed, static)
        origins[node] = origin
    return origins


def _passed(graph: fx.GraphModule, node: fx.Node, shapes: dict[fx.Node, torch.Size]) -> int:
    """For a node that passes spikes on: 1, or the number of values that a pool averages.

    0 for a node with other output values, `UNEQUAL` for a pool whose averages are over different numbers of values.
    """
    layer = layer_of(graph, node)
    if layer is None:
        name = _function(node)
        return int(is_addition(node) or _is_cat(node) or name in RESHAPING)
    if isinstance(layer, nn.AvgPool2d):
        whole = layer.padding in (0, (0, 0)) or layer.count_include_pad
        if layer.ceil_mode or not whole or layer.divisor_override is not None:
            return UNEQUAL
        size = layer.kernel_size
        return size * size if isinstance(size, int) else math.prod(size)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        sides = list(zip(shapes[node.all_input_nodes[0]][1:], shapes[node][1:], strict=True))
        if any(max(side) % min(side) for side in sides):
            return UNEQUAL
        return math.prod(max(old // new, 1) for old, new in sides)
    return int(isinstance(layer, (*UNCHANGING, nn.ReLU)))


def _is_cat(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target in (torch.cat, torch.concat)


def _feeds_neurons(graph: fx.GraphModule, node: fx.Node) -> bool:
    return any(isinstance(layer_of(graph, user), SpikingNeuron) for user in _behind(graph, node))


def _behind(graph: fx.GraphModule, node: fx.Node) -> Iterator[fx.Node]:
    """The nodes after one, up to the next neurons or layers with weights."""
    following, seen = list(node.users), set()
    while following:
        user = following.pop()
        if user in seen:
            continue
        seen.add(user)
        yield user
        if not isinstance(layer_of(graph, user), (SpikingNeuron, *COUNTED)):
            following += user.users
