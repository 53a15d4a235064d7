"""Weights on a grid, so that the sums of a convolution are exact in float32 and no order of adding up changes a spike.

Two runtimes add up the inputs of a neuron in different orders and round differently, and if a potential is near the
threshold, only one of them may fire. A sum of multiples of 2^−k that stays below 2^(24 − k) is exact in float32 in any
order, so it is enough to round each output channel's weights to such a grid.
"""

from typing import Any

import torch
from torch import Tensor, fx, nn

from clif.deploy.affine import ChannelAffine
from clif.deploy.fold import Network, Weights, fold_batch_norm, replace
from clif.deploy.graph import UNCHANGING, Rounded, input_levels, layer_graph, layer_of
from clif.errors import InputError
from clif.layers import LeakyIntegrator, fold
from clif.models.wrapped import layer_name
from clif.neurons import SpikingNeuron

FLOAT32_BITS = 24
WEIGHTS = (nn.Conv1d, nn.Conv2d, nn.Linear)
BY_VALUE = (SpikingNeuron, LeakyIntegrator, ChannelAffine, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, *UNCHANGING)
"""Layers that compute each value from one value by operations that IEEE 754 rounds."""
EVENT_GRID: dict[str, Any] = {"levels": 16, "largest": 256.0}
"""The grid of `exact_sums` for counts of events, also in resized frames."""


class Grid(Rounded):
    """The nearest multiple of 1/levels within ±largest, ties to even, as the input of an exact convolution."""

    def __init__(self, levels: int, largest: float) -> None:
        super().__init__()
        self.levels = levels
        self.largest = largest

    def forward(self, x: Tensor) -> Tensor:
        return fold(lambda y: (y.clamp(-self.largest, self.largest) * self.levels).round() / self.levels, x)


def exact_sums(net: Network, levels: int = 128, largest: float = 8.0) -> Network:
    """A copy in eval mode and float32 with folded batch norms and rounded weights, whose sums are exact.

    The weights of the convolutions, and of linear layers before neurons, are rounded to a grid on which every sum is
    exact in float32 in any order. clif checks the layers, but not the functions that a `forward` of your own calls.

    LIF neurons then fire the same spikes in every runtime that rounds single operations as IEEE 754 says (if the
    runtime fuses multiplications and additions: with τ = 2 and no batch norm left over). CLIF neurons do so up to the
    difference of two sigmoids. The rounding changes the network, as any quantisation does: if a potential was near the
    threshold, a spike may appear or vanish.

    A convolution that sees the input rounds it to the nearest 1/`levels` within ±`largest`, both powers of two. The
    defaults are for normalised images, whose grey levels are 1/(255·std) apart. They clip counts of events at 8; for
    frames of events use `EVENT_GRID`.

    Raises `InputError` for other values, names a convolution whose input is neither the network's nor spikes, pooled or
    not, and names any other layer before a neuron whose sums depend on their order.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> lif = clif.deploy.exact_sums(clif.deploy.clif_to_lif(net, v_reset=0.0))
    """
    for name, value in (("levels", levels), ("largest", largest)):
        if not _is_power_of_two(value):
            raise InputError(f"{name} must be a power of two, got {value}")
    exact = fold_batch_norm(net, rest="affine").float()
    graph = layer_graph(exact)
    for node in list(graph.graph.nodes):
        conv = layer_of(graph, node)
        if conv is None or isinstance(conv, BY_VALUE):
            continue
        if not isinstance(conv, WEIGHTS):
            _check_order(graph, node, conv, layer_name(net, str(node.target)))
            continue
        if isinstance(conv, nn.Linear) and not _reaches_neuron(graph, node):
            continue
        before = node.all_input_nodes[0]
        if _is_input(graph, before):
            _round_weights(conv, levels, largest)
            replace(exact, str(node.target), nn.Sequential(Grid(levels, largest), conv))
        elif (steps := input_levels(graph, before)) is not None and _is_power_of_two(steps):
            _round_weights(conv, steps, 1.0)
        else:
            kind = "linear layer" if isinstance(conv, nn.Linear) else "convolution"
            raise InputError(
                f"the {kind} {layer_name(net, str(node.target))} cannot have exact sums: its input must be the "
                "network's input or spikes after average pools whose size is a power of two"
            )
    return exact


def _check_order(graph: fx.GraphModule, node: fx.Node, layer: nn.Module, name: str) -> None:
    """Raise `InputError` if a neuron gets results of a layer without weights that are not exact."""
    levels = input_levels(graph, node)
    if (levels is None or not _is_power_of_two(levels)) and _reaches_neuron(graph, node, WEIGHTS):
        raise InputError(
            f"the layer {name}, a {type(layer).__name__} before a neuron, may round differently in another "
            "runtime; possible are convolutions, linear layers, and average pools of spikes by powers of two"
        )


def _is_input(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node has the values of the network's input."""
    while isinstance(layer_of(graph, node), UNCHANGING):
        node = node.all_input_nodes[0]
    return node.op == "placeholder"


def _reaches_neuron(graph: fx.GraphModule, node: fx.Node, but_through: tuple[type[nn.Module], ...] = ()) -> bool:
    """Whether the output of a node goes to a neuron, unless it is `but_through` such layers."""
    following, seen = [*node.users], set[fx.Node]()
    while following:
        user = following.pop()
        layer = layer_of(graph, user)
        if isinstance(layer, SpikingNeuron):
            return True
        if user not in seen and not isinstance(layer, but_through):
            following += user.users
        seen.add(user)
    return False


def _is_power_of_two(value: float) -> bool:
    return value > 0 and float(value).hex().startswith("0x1.0000000000000p")


def _round_weights(conv: Weights, levels: int, largest: float) -> None:
    """Round to the finest grid on which no partial sum over inputs k/levels within ±largest needs more than 24 bits."""
    weight = conv.weight.detach().double()
    bias = torch.zeros(len(weight), dtype=torch.float64) if conv.bias is None else conv.bias.detach().double()
    products = torch.exp2(torch.floor(FLOAT32_BITS - torch.log2(_largest_sum(weight, bias, largest).clamp_min(1e-30))))
    rounded = _on_grid(weight, bias, products, levels)
    too_large = _largest_sum(*rounded, largest) * products > 2**FLOAT32_BITS  # for the rounding itself
    weight, bias = _on_grid(weight, bias, torch.where(too_large, products / 2, products), levels)
    conv.weight.data = weight.to(conv.weight)
    if conv.bias is not None:
        conv.bias.data = bias.to(conv.bias)


def _largest_sum(weight: Tensor, bias: Tensor, largest: float) -> Tensor:
    return weight.abs().flatten(1).sum(1) * largest + bias.abs()


def _on_grid(weight: Tensor, bias: Tensor, products: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """The nearest weights whose products with k/levels are multiples of 1/products, and the nearest such bias."""
    grid = (products / levels).view(-1, *[1] * (weight.dim() - 1))
    return (weight * grid).round() / grid, (bias * products).round() / products
