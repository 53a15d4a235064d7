"""The energy of an inference from measured spikes, with all operations counted."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from clif.analysis.activity import spiking_modules
from clif.energy.accesses import AS_PUBLISHED, Accesses, energies, of_neurons, of_spikes, of_values
from clif.energy.costs import PAPER, Costs
from clif.energy.layers import neuron_sizes
from clif.energy.measured import Measured, first_of, measure
from clif.energy.operations import elementwise_layers, operations_of
from clif.energy.published import PublishedCount, count_from_rates
from clif.errors import InputError
from clif.models import SpikingNetwork
from clif.models.wrapped import Wrapped, as_network, layer_name, own_forwards


@dataclass(frozen=True)
class LayerCount:
    """A layer for one image, over all T steps.

    `spikes` is the number of spikes that arrive at it or, for neurons, that it fires, at `rate` per neuron and step.
    `sops` are synaptic operations, one accumulation at each synapse that a spike reaches. `acs` and `macs` are all
    accumulations and multiply-accumulates; `updates` is neurons · T. `stored_bytes` is the size of its weights or
    states, `moved_bytes` the bytes read and written. `operations` is the energy in pJ as in the paper's Table 6,
    `memory` the energy with accesses as in its Table 7.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> batches = [(torch.rand(8, 3, 16, 16), torch.arange(8))]
    >>> first = clif.energy.estimate(net, batches).layers[0]
    >>> first.name, first.acs, first.macs > 0
    ('features.0.fwd.0', 0.0, True)
    """

    name: str
    kind: str
    rate: float | None
    spikes: float
    sops: float
    acs: float
    macs: float
    updates: int
    stored_bytes: int
    moved_bytes: float
    operations: float
    memory: float


@dataclass(frozen=True)
class Energy:
    """An inference of one image.

    `sops`, `acs`, `macs`, `updates`, `stored_bytes` and `moved_bytes` are the sums of the layers. At the `costs`,
    `microjoule` is the energy of ACs and MACs (Table 6), and `memory_millijoule` is the energy with every memory access
    (Lemaire et al., 2022). `published` is the latter as the paper's Table 7 computes it from the firing rates.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> batches = [(torch.rand(8, 3, 16, 16), torch.arange(8))]
    >>> energy = clif.energy.estimate(net, batches)
    >>> [layer.name for layer in energy.layers][:2]
    ['features.0.fwd.0', 'features.1.fwd.0']
    """

    neuron: str
    T: int
    images: int
    firing_rates: dict[str, float]
    layers: list[LayerCount]
    sops: float
    acs: float
    macs: float
    updates: int
    stored_bytes: int
    moved_bytes: float
    microjoule: float
    memory_millijoule: float
    published: PublishedCount
    costs: Costs

    @property
    def firing_rate(self) -> float | None:
        """Spikes per neuron and step over all neurons; None for a network without neurons."""
        fired = [layer for layer in self.layers if layer.rate is not None]
        updates = sum(layer.updates for layer in fired)
        return sum(layer.spikes for layer in fired) / updates if updates else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "published_mJ": self.published.total_mJ}


def estimate(net: nn.Module, loader: Iterable[Any], costs: Costs = PAPER, *, events: bool = False) -> Energy:
    """Measure `net` in eval mode over the loader's images and count an inference of T steps of the mean image.

    A spike costs one accumulation at every synapse that it reaches, with exact borders and strides. An average pool
    merges into the connections, so a spike costs as much as without the pool. A layer with other input values costs one
    multiplication per weight: once for a static image, at every step for frames and values that depend on neurons.
    `operations_of` gives the cost of a neuron's dynamics, and `elementwise_layers` that of other layers. Batch norms
    fold into weights and cost nothing.

    Memory accesses (docs/energy.md has the formulas): each arriving spike is read; for each synapse a weight is read
    and a potential read and written; each state and bias is accessed once per step, and each fired spike is written.
    `costs` gives the cost of an access for a memory that holds the layer's values.

    Args:
        net: a network of `clif.models`, a wrapped one, or a module that takes sequences [T, N, *].
        loader: batches, tensors or tuples that begin with one: images [N, *] or frames [T, N, *], all of one shape.
        costs: energies of operations and memories, by default the paper's 45 nm.
        events: the frames hold numbers of events, which are accumulated like spikes; else values are multiplied.

    Raises `InputError` for an empty loader, for `events` without such frames, for a network with other neurons than its
    `config` says, and for a layer whose operations are not known.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> batches = [(torch.rand(8, 3, 16, 16), torch.arange(8))]
    >>> energy = clif.energy.estimate(net, batches)
    >>> energy.T, energy.images, energy.acs < energy.macs
    (2, 8, True)
    """
    if isinstance(net, SpikingNetwork):
        _check_neurons(net)
    first, batches = first_of(loader)
    net = net if isinstance(net, SpikingNetwork) else as_network(net, _sample_shape(net, first))
    neuron: str = net.config.get("neuron", "")
    nodes = spiking_modules(net)
    found = measure(net, first, batches, events)
    sizes = neuron_sizes(found.followed)
    needed = {name: operations_of(nodes[name]) for name in sizes}
    layers = _weights(net, found, max((cost.states for cost in needed.values()), default=0), costs)
    for name, size in sizes.items():
        rate = found.rates[name]
        fired, cost = rate * size * found.T, needed[name]
        layers.append(
            _layer(
                layer_name(net, name),
                type(nodes[name]).__name__,
                of_neurons(size, fired, cost, found.T, costs),
                costs,
                rate=rate,
                spikes=fired,
                acs=size * found.T * cost.acs,
                macs=size * found.T * cost.macs,
                updates=size * found.T,
                stored_bytes=cost.states * size * costs.word_bytes,
            )
        )
    layers += _elementwise(net, found, costs)
    rates = {name: found.rates[name] for name in sizes}
    return Energy(
        neuron=neuron,
        T=found.T,
        images=found.images,
        firing_rates={layer_name(net, name): rate for name, rate in rates.items()},
        layers=layers,
        sops=sum(layer.sops for layer in layers),
        acs=sum(layer.acs for layer in layers),
        macs=sum(layer.macs for layer in layers),
        updates=sum(layer.updates for layer in layers),
        stored_bytes=sum(layer.stored_bytes for layer in layers),
        moved_bytes=sum(layer.moved_bytes for layer in layers),
        microjoule=sum(layer.operations for layer in layers) / 1e6,
        memory_millijoule=sum(layer.memory for layer in layers) / 1e9,
        published=count_from_rates(net, found.followed, rates, found.T, found.frames, AS_PUBLISHED, costs),
        costs=costs,
    )


def _sample_shape(net: nn.Module, x: Tensor) -> tuple[int, ...] | None:
    """The shape of a sample of x [T, N, *] for a module with its own forward; None for others, which need none."""
    return tuple(x.shape[2:]) if own_forwards(net) and x.dim() > 2 else None


def _check_neurons(net: SpikingNetwork) -> None:
    """Raise `InputError` for a network of `clif.models` with other neurons than its description says."""
    if isinstance(net, Wrapped):
        return
    neuron = net.config.get("neuron", "")
    for name, node in spiking_modules(net).items():
        if node.neuron != neuron or node.redefined:
            raise InputError(
                f"this is a network of {neuron} neurons, but {name} is a {type(node).__name__}; its operations are "
                "not known"
            )


def _weights(net: SpikingNetwork, found: Measured, states: int, costs: Costs) -> list[LayerCount]:
    layers = []
    for layer in found.layers:
        spikes = sops = macs = 0.0
        if layer.name in found.spikes:
            spikes, sops = found.spikes[layer.name], found.sops[layer.name]
            accesses = of_spikes(layer, spikes, sops, found.T, states, costs)
        else:
            repeats = found.repeats if layer.static else found.T
            macs = float(layer.macs * repeats)
            accesses = of_values(layer, repeats, costs)
        layers.append(
            _layer(
                layer_name(net, layer.name),
                layer.kind,
                accesses,
                costs,
                spikes=spikes,
                sops=sops,
                acs=sops,
                macs=macs,
                stored_bytes=layer.parameters * costs.word_bytes,
            )
        )
    return layers


def _elementwise(net: SpikingNetwork, found: Measured, costs: Costs) -> list[LayerCount]:
    layers = []
    for name, (kind, size, cost) in elementwise_layers(found.followed).items():
        updates = size * found.T
        accesses = of_neurons(size, 0.0, cost, found.T, costs)
        layers.append(
            _layer(
                layer_name(net, name),
                kind,
                accesses,
                costs,
                acs=updates * cost.acs,
                macs=updates * cost.macs,
                updates=updates if cost.states else 0,
                stored_bytes=cost.states * size * costs.word_bytes,
            )
        )
    return layers


def _layer(name: str, kind: str, accesses: Accesses, costs: Costs, **counts: Any) -> LayerCount:
    every: dict[str, Any] = {"rate": None, "spikes": 0.0, "sops": 0.0, "acs": 0.0, "macs": 0.0, "updates": 0, **counts}
    return LayerCount(
        name=name,
        kind=kind,
        moved_bytes=accesses.memory * costs.word_bytes,
        operations=every["acs"] * costs.ac_pj + every["macs"] * costs.mac_pj,
        memory=math.fsum(energies([accesses], costs).values()),
        **every,
    )
