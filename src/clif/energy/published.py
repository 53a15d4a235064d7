"""Lemaire et al.'s estimate from firing rates, as in the CLIF paper's Table 7, or corrected.

With all `Oddities`, the default, it agrees with their numbers to the last digit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from clif.analysis.activity import spiking_modules
from clif.energy.accesses import AS_PUBLISHED, Accesses, Oddities, energies, of_neurons, of_spikes, of_values, total
from clif.energy.costs import PAPER, Costs
from clif.energy.layers import Followed, Size, Weights, follow, neuron_sizes, weight_layers
from clif.energy.operations import Operations, operations_of
from clif.errors import InputError
from clif.models.wrapped import as_network, layer_name
from clif.neurons import SpikingNeuron


@dataclass(frozen=True)
class PublishedCount:
    """Counts of operations and accesses for one image, and energies in pJ, by the names of the published table.

    >>> net = clif.models.create_model("spiking_resnet18", "ReLU", T=1)
    >>> type(clif.energy.published(net)).__name__
    'PublishedCount'
    """

    mac_op: float
    acc_op: float
    read_in: float
    read_params: float
    read_potential: float
    write_out: float
    write_potential: float
    mac_addr: float
    acc_addr: float
    E_op_pJ: float
    E_addr_pJ: float
    E_potential_pJ: float
    E_inout_pJ: float
    E_params_pJ: float

    @property
    def total_mJ(self) -> float:
        """The sum in mJ, the figure of Table 7."""
        parts = (self.E_op_pJ, self.E_addr_pJ, self.E_potential_pJ, self.E_inout_pJ, self.E_params_pJ)
        return sum(parts) / 1e9


COUNTS = (
    "mac_op",
    "acc_op",
    "read_in",
    "read_params",
    "read_potential",
    "write_out",
    "write_potential",
    *("mac_addr", "acc_addr"),
)


def published(
    net: nn.Module,
    firing_rates: Sequence[float] | Mapping[str, float] = (),
    image_size: Size = None,
    *,
    T: int | None = None,
    frames: bool = False,
    oddities: Oddities = AS_PUBLISHED,
    costs: Costs = PAPER,
) -> PublishedCount:
    """Table 7 for a network and its firing rates.

    Args:
        net: a network of `clif.models` or your own.
        firing_rates: spikes per neuron and step, one for each spiking layer in the order of computation, or by layer
            name. A network without neurons (ReLU) needs none.
        image_size: the shape of one sample, or the side of an image in pixels, instead of the network's own.
        T: the steps of an inference, instead of the network's own.
        frames: whether the input differs from step to step (matters without `pixels_as_spikes`).
        oddities: which of the paper's readings to keep; `clif.energy.CORRECTED` keeps none.
        costs: energies of operations and memories.

    Raises `InputError` if the number of rates is not that of the layers, and for layers that cannot be counted.

    >>> net = clif.models.create_model("spiking_resnet18", "ReLU", T=1)
    >>> clif.energy.published(net).mac_op > 0
    True
    """
    if T is not None and T < 1:
        raise InputError(f"T must be at least 1, got {T}")
    net = as_network(net)
    followed = follow(net, image_size)
    names = {layer_name(net, name): name for name in neuron_sizes(followed)}
    rates = {names[name]: rate for name, rate in _by_name(firing_rates, list(names)).items()}
    return count_from_rates(net, followed, rates, T or net.T, frames, oddities, costs)


def count_from_rates(
    net: nn.Module,
    followed: Followed,
    rates: Mapping[str, float],
    T: int,
    frames: bool,
    oddities: Oddities,
    costs: Costs,
) -> PublishedCount:
    """`published` for a network whose layers are known, with a rate for each of its layers of neurons."""
    nodes, sizes = spiking_modules(net), neuron_sizes(followed)
    needed = {name: _operations(nodes[name], oddities) for name in sizes}
    states = max((cost.states for cost in needed.values()), default=0)
    counted: list[Accesses] = []
    for layer in weight_layers(followed):
        if layer.shortcut and oddities.no_shortcuts:
            continue
        spikes = _spikes(layer, rates, T, oddities)
        if spikes is None:
            counted.append(of_values(layer, T if frames or not layer.static else 1, costs))
        else:
            sops = spikes * layer.macs / layer.in_size
            counted.append(of_spikes(layer, spikes, sops, T, states, costs, oddities))
    for name, size in sizes.items():
        fired = rates[name] * size * (1 if oddities.rates_as_counts else T)
        counted.append(of_neurons(size, fired, needed[name], T, costs, oddities))
    sums = total(counted)
    counts = {name: float(getattr(sums, name)) for name in COUNTS}
    return PublishedCount(**counts, **energies(counted, costs, oddities))


def _by_name(rates: Sequence[float] | Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    if isinstance(rates, Mapping):
        if missing := [name for name in names if name not in rates]:
            raise InputError(f"the firing rate of {missing[0]} is missing; give one for each of: {', '.join(names)}")
        return {name: float(rates[name]) for name in names}
    listed = [] if not names else list(rates)
    if len(listed) != len(names):
        raise InputError(f"{len(names)} firing rates are needed, one per spiking layer, got {len(listed)}")
    return dict(zip(names, map(float, listed), strict=True))


def _operations(node: SpikingNeuron, oddities: Oddities) -> Operations:
    if oddities.assumed_neuron_operations:  # then the neurons are not traced
        return Operations(0.0, 0.0, len(node.state_names))
    return operations_of(node)


def _spikes(layer: Weights, rates: Mapping[str, float], T: int, oddities: Oddities) -> float | None:
    """The number of spikes that arrive in an inference, or None for a layer that multiplies."""
    times = 1 if oddities.rates_as_counts else T
    if layer.static:
        return float(layer.in_size * times) if oddities.pixels_as_spikes and rates else None
    if not layer.fed_by or (layer.levels is None and not oddities.pooled_spikes_shrink):
        return None
    arrived = sum(rates[name] * size for name, size in zip(layer.fed_by, layer.fed_sizes, strict=True))
    return arrived * times * (1 if oddities.pooled_spikes_shrink else layer.levels or 1)
