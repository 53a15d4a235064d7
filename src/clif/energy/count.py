"""The energy of an inference from measured spikes, with everything that computes counted."""

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor, nn

from clif.analysis.activity import measure_rates, spiking_layers
from clif.energy.layers import Weights, neuron_sizes, weight_layers
from clif.energy.published import ADD_PJ, COST_POINTS, MULTIPLY_PJ, PublishedCount, published
from clif.errors import InputError
from clif.generate.lower import is_uniform, lower
from clif.generate.program import Node, needed, parse
from clif.models import SpikingNetwork
from clif.models.wrapped import Wrapped, as_network, layer_name
from clif.neurons import SpikingNeuron

AC_PJ, MAC_PJ = 0.9, 4.6
SUMS, FREE = ("add", "sub"), ("neg", "abs", "lt", "le", "eq", "and", "or", "not", "where", "maximum", "minimum")
WORD = 4


@dataclass(frozen=True)
class LayerCount:
    """A layer for one image: spikes that arrive (of neurons: that they fire) over all T steps, operations, energies.

    `operations` are in pJ and counted as in the paper's Table 6, `memory` in pJ as in its Table 7.
    """

    name: str
    spikes: float
    acs: float
    macs: float
    operations: float
    memory: float


@dataclass(frozen=True)
class Energy:
    """An inference of one image.

    `acs` and `macs` are accumulations and multiplications with accumulation; `microjoule` is their energy at 0.9 and
    4.6 pJ (32-bit floating point, the paper's Table 6). `memory_millijoule` is the energy with every access of a memory
    (Lemaire et al., 2022, 32-bit integers), `published` the same exactly as the paper's Table 7 computes it.
    """

    neuron: str
    T: int
    images: int
    firing_rates: dict[str, float]
    layers: list[LayerCount]
    acs: float
    macs: float
    microjoule: float
    memory_millijoule: float
    published: PublishedCount | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "published_mJ": None if self.published is None else self.published.total_mJ}


def estimate(net: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> Energy:
    """Measure `net` in eval mode over the loader's images and count an inference of T steps of the mean image.

    A spike costs an accumulation at every synapse that it reaches (on average over the map, so that strides and borders
    are counted as they are); a pooled spike costs as much as one that was not. What sees the image itself costs a
    multiplication for each weight: once for a static image, at every step for frames. A neuron's dynamics cost what
    `operations_of` says. Batch norms cost nothing: they fold into weights.

    Memory: each arriving spike is read, then for each synapse a weight is read and a potential read and written; each
    state is read and written once a step, each spike that is fired written. An access costs 10 pJ in a memory of 8 kB,
    20 in one of 32 kB, 100 in one of 1 MB, and linearly between; each layer has a memory for its weights, one for its
    states and one for its spikes.

    A module of one's own (`clif.wrap` says which) sees sequences [T, N, *], wrapped also single samples; `published` is
    then None, for the paper counts its own architectures.

    Raises `InputError` for an empty loader, for a network with other neurons than its `config` says, and for neurons
    whose operations are not known.
    """
    net = as_network(net)
    neuron = _neuron(net)
    counted = _Counted(loader, net.dims)
    rates = measure_rates(net, counted, spiking_layers(net))
    if rates is None:
        raise InputError("the loader is empty; the energy is measured on its images")
    repeats = counted.steps or 1  # a static image meets the first layer once
    T = counted.steps or net.T
    layers = [_weights(layer, rates, T, repeats) for layer in weight_layers(net, counted.size)]
    sizes = neuron_sizes(net, counted.size)
    costs = {name: operations_of(node) for name, node in spiking_layers(net).items()}
    layers += [_neurons(name, size, costs[name], rates[name], T) for name, size in sizes.items()]
    return Energy(
        neuron,
        T,
        counted.images,
        {layer_name(net, name): rates[name] for name in sizes},
        [replace(layer, name=layer_name(net, layer.name)) for layer in layers],
        sum(layer.acs for layer in layers),
        sum(layer.macs for layer in layers),
        sum(layer.operations for layer in layers) / 1e6,
        sum(layer.memory for layer in layers) / 1e9,
        None if isinstance(net, Wrapped) else published(net, [rates[name] for name in sizes], counted.size),
    )


def _neuron(net: SpikingNetwork) -> str:
    """The kind of all neurons of a network."""
    neuron: str = net.config.get("neuron", "")
    if isinstance(net, Wrapped):
        return neuron
    for name, node in spiking_layers(net).items():
        if isinstance(node, SpikingNeuron) and (node.neuron != neuron or node.redefined):
            raise InputError(
                f"this is a network of {neuron} neurons, but {name} is a {type(node).__name__}; its operations are "
                "not known"
            )
    return neuron


class Operations(NamedTuple):
    """What one neuron does in a step: multiplications with accumulation, accumulations, states read and written."""

    macs: float
    acs: float
    states: int


def operations_of(node: nn.Module) -> Operations:
    """The operations of a neuron a step.

    The class says so by `macs_per_step`, as LIF (2) and CLIF (6) do, whose counts are the paper's. Otherwise they are
    counted in the traced step: each product, quotient and function is a multiplication with accumulation, the sums that
    are left over are accumulations, comparisons, choices and products with 1 are free. A ReLU costs nothing.

    Raises `InputError` for a neuron of neither kind.
    """
    if not isinstance(node, SpikingNeuron):
        return Operations(0.0, 0.0, 0)
    states = len(node.state_names)
    if node.macs_per_step is not None:
        return Operations(float(node.macs_per_step), 0.0, states)
    plan = node.equations().plan
    if plan.trace is None:
        raise InputError(
            f"the operations of {type(node).__name__} cannot be counted ({plan.refusal}); set the class attribute "
            "macs_per_step"
        )
    step = lower(parse(plan.text))["Any"].forward
    computed = [step.nodes[i] for i in needed(step.nodes, step.results.values()) if not is_uniform(step.nodes, i)]
    ones = {i for i, node in enumerate(step.nodes) if _is_one(node, plan.constants)}
    names = [
        node.operation
        for node in computed
        if node.arguments and not (node.operation == "mul" and ones & {*node.arguments})
    ]
    macs = sum(name not in (*SUMS, *FREE) for name in names)
    return Operations(float(macs), float(max(0, sum(name in SUMS for name in names) - macs)), states)


def _is_one(node: Node, constants: tuple[float, ...]) -> bool:
    return node.operation == "constant" and constants[int(node.value)] == 1


class _Counted:
    """The loader, counting images and noting their size and, for frames, how many there are."""

    def __init__(self, loader: Iterable[tuple[Tensor, Tensor]], dims: int) -> None:
        self.loader = loader
        self.dims = dims
        self.images = 0
        self.size: tuple[int, ...] | None = None
        self.steps: int | None = None

    def __iter__(self):
        for images, labels in self.loader:
            self.images += images.shape[images.dim() - 1 - self.dims]
            self.size = tuple(images.shape[images.dim() - self.dims :])
            self.steps = len(images) if images.dim() == self.dims + 2 else None
            yield images, labels


def _weights(layer: Weights, rates: dict[str, float], T: int, repeats: int) -> LayerCount:
    spiking = bool(layer.fed_by) and all(name in rates for name in layer.fed_by)
    spikes = sum(rates[name] for name in layer.fed_by) * layer.in_size * T if spiking else 0.0
    acs = spikes * layer.macs / layer.in_size
    macs = 0.0 if spiking else float(layer.macs * repeats)
    reads = spikes if spiking else float(layer.in_size * repeats)
    memory = (
        reads * _access_energy(layer.in_size * WORD)
        + (acs + macs) * _access_energy(layer.parameters * WORD)
        + 2 * (acs + macs) * _access_energy(layer.out_size * WORD)
    )
    return _layer(layer.name, spikes, acs, macs, memory)


def _neurons(name: str, size: int, cost: Operations, rate: float, T: int) -> LayerCount:
    spikes = rate * size * T
    states = size * cost.states
    memory = 2 * T * states * _access_energy(states * WORD) + spikes * _access_energy(size * WORD)
    return _layer(name, spikes, size * T * cost.acs, size * T * cost.macs, memory)


def _layer(name: str, spikes: float, acs: float, macs: float, memory: float) -> LayerCount:
    computing = acs * ADD_PJ + macs * (ADD_PJ + MULTIPLY_PJ)
    return LayerCount(name, spikes, acs, macs, acs * AC_PJ + macs * MAC_PJ, memory + computing)


def _access_energy(size: int) -> float:
    """pJ of one access of a memory of so many bytes."""
    x = max(float(size), COST_POINTS[1][0])
    for (low, cost_low), (high, cost_high) in itertools.pairwise(COST_POINTS[1:]):
        if x <= high:
            return cost_low + (x - low) * (cost_high - cost_low) / (high - low)
    return COST_POINTS[-1][1]
