"""Operations and accesses of a layer after Lemaire et al. (2022), as in their paper or as in the CLIF paper."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from clif.energy.costs import Costs
from clif.energy.layers import Weights
from clif.energy.operations import Operations


@dataclass(frozen=True)
class Oddities:
    """The counts of the CLIF paper's Table 7 that differ from Lemaire et al. or from the computation of a network.

    All True, the default, is as published; `CORRECTED` has all False. Use `dataclasses.replace` to switch one.

    Args:
        rates_as_counts: a firing rate is the number of spikes of a whole inference; else rate · T.
        pixels_as_spikes: each value of the image is one spike for the first layer; else it is multiplied.
        no_shortcuts: shortcut convolutions are left out.
        pooled_spikes_shrink: after an average pool of n values a spike counts 1/n; else 1.
        floored_strides: a spike is accumulated at ⌊k/stride⌋² places of a channel; else at those that it reaches.
        unstrided_fan_out: a spike reads weights and potentials, and computes addresses, at k² places of a channel.
        squared_in_out: a spike into the linear readout costs in · out accumulations; else out.
        readout_as_neurons: the readout updates a neuron for each output and writes its states, but reads no potential.
        assumed_neuron_operations: a neuron of s states has 2s − 1 multiplications per step and as many accumulations
            per spike; else those of Table 6.
        every_state_at_synapses: at each synapse a spike reads, writes and addresses all states; else the potential.
        squared_state_reads: each read of a state counts s times.
        states_once: states and biases are accessed once per inference; else at each step.
        accesses_as_size: an access costs as much as in a memory with as many bytes as there are accesses; else as in
            the layer's own memory.
        cost_from_zero: between 8 kB and 1 MB the cost of an access begins at 0 at the lower end of its interval.

    >>> import dataclasses
    >>> dataclasses.replace(clif.energy.AS_PUBLISHED, no_shortcuts=False).no_shortcuts
    False
    """

    rates_as_counts: bool = True
    pixels_as_spikes: bool = True
    no_shortcuts: bool = True
    pooled_spikes_shrink: bool = True
    floored_strides: bool = True
    unstrided_fan_out: bool = True
    squared_in_out: bool = True
    readout_as_neurons: bool = True
    assumed_neuron_operations: bool = True
    every_state_at_synapses: bool = True
    squared_state_reads: bool = True
    states_once: bool = True
    accesses_as_size: bool = True
    cost_from_zero: bool = True


AS_PUBLISHED = Oddities()
CORRECTED = Oddities(**{field.name: False for field in fields(Oddities)})


@dataclass(frozen=True)
class Accesses:
    """Operations and accesses of one image, and the bytes of the memories that are accessed."""

    mac_op: float = 0.0
    acc_op: float = 0.0
    read_in: float = 0.0
    read_params: float = 0.0
    read_potential: float = 0.0
    write_out: float = 0.0
    write_potential: float = 0.0
    mac_addr: float = 0.0
    acc_addr: float = 0.0
    in_bytes: int = 0
    params_bytes: int = 0
    potential_bytes: int = 0
    out_bytes: int = 0

    @property
    def memory(self) -> float:
        """All accesses of memories."""
        return self.read_in + self.read_params + self.read_potential + self.write_out + self.write_potential


def of_values(layer: Weights, repeats: int, costs: Costs) -> Accesses:
    """A layer that multiplies values, `repeats` times an image."""
    linear = layer.linear
    addresses = 0 if linear else layer.out_channels * _area(layer)
    return _sized(
        Accesses(
            mac_op=float(layer.macs * repeats),
            acc_op=float(layer.out_size * repeats),
            read_in=float((layer.in_size if linear else layer.macs) * repeats),
            read_params=float((layer.macs + layer.out_size) * repeats),
            write_out=float(layer.out_size * repeats),
            acc_addr=float((layer.in_size + layer.out_size + addresses) * repeats),
        ),
        layer,
        costs,
    )


def of_spikes(
    layer: Weights, spikes: float, sops: float, T: int, states: int, costs: Costs, odd: Oddities = CORRECTED
) -> Accesses:
    """A layer that adds up weights where `spikes` arrive; `sops` are their synaptic operations.

    `states` is how many the neurons after it have.
    """
    channels = layer.out_channels // layer.groups
    readout = layer.linear and not layer.feeds_neurons
    added = spikes * channels * _area(layer, strided=True) if odd.floored_strides else sops
    reached = spikes * channels * _area(layer) if odd.unstrided_fan_out else sops
    if readout and odd.squared_in_out:
        added = spikes * layer.macs
    as_neurons = readout and odd.readout_as_neurons
    addressed = states if odd.every_state_at_synapses else 1
    read = addressed * (states if odd.squared_state_reads else 1)
    times = 1 if odd.states_once else T
    biases = 0 if layer.shortcut else layer.out_size
    return _sized(
        Accesses(
            mac_op=float((2 * states - 1) * T * biases) if as_neurons else 0.0,
            acc_op=added + (0 if as_neurons else T * biases),
            read_in=spikes,
            read_params=reached + times * biases,
            read_potential=0.0 if as_neurons else read * reached,
            write_potential=addressed * reached + (states * times * biases if as_neurons else 0),
            mac_addr=0.0 if layer.linear else 2 * addressed * spikes,
            acc_addr=addressed * reached,
        ),
        layer,
        costs,
    )


def of_neurons(size: int, spikes: float, cost: Operations, T: int, costs: Costs, odd: Oddities = CORRECTED) -> Accesses:
    """A layer of `size` neurons that fires `spikes` in an inference."""
    states = cost.states
    times = 1 if odd.states_once else T
    if odd.assumed_neuron_operations:
        macs, acs = float((2 * states - 1) * T * size), (2 * states - 1) * spikes
    else:
        macs, acs = cost.macs * T * size, cost.acs * T * size
    return Accesses(
        mac_op=macs,
        acc_op=acs,
        read_potential=float((states**2 if odd.squared_state_reads else states) * times * size),
        write_potential=float(states * times * size),
        write_out=spikes,
        potential_bytes=states * size * costs.word_bytes,
        out_bytes=size * costs.word_bytes,
    )


def total(layers: Iterable[Accesses]) -> Accesses:
    """The sums of all counts and bytes."""
    listed = list(layers)
    return Accesses(**{field.name: sum(getattr(one, field.name) for one in listed) for field in fields(Accesses)})


def energies(layers: Iterable[Accesses], costs: Costs, odd: Oddities = CORRECTED) -> dict[str, float]:
    """pJ of operations, addresses, potentials, inputs and outputs, and parameters."""
    listed = list(layers)
    everything = total(listed)
    mac_pj = costs.add_pj + costs.multiply_pj

    def accesses(counts: str, size: str) -> float:
        if odd.accesses_as_size:
            count = getattr(everything, counts)
            return count * _access_pj(count, costs, odd)
        return sum(getattr(one, counts) * _access_pj(getattr(one, size), costs, odd) for one in listed)

    return {
        "E_op_pJ": everything.mac_op * mac_pj + everything.acc_op * costs.add_pj,
        "E_addr_pJ": everything.mac_addr * mac_pj + everything.acc_addr * costs.add_pj,
        "E_potential_pJ": accesses("read_potential", "potential_bytes")
        + accesses("write_potential", "potential_bytes"),
        "E_inout_pJ": accesses("read_in", "in_bytes") + accesses("write_out", "out_bytes"),
        "E_params_pJ": accesses("read_params", "params_bytes"),
    }


def _access_pj(size: float, costs: Costs, odd: Oddities) -> float:
    full = costs.access_pj(size)
    points = costs.memory_pj
    if not odd.cost_from_zero or size >= points[-1][0]:
        return full
    return full - next((cost for low, cost in reversed(points) if low <= size), 0.0)


def _area(layer: Weights, strided: bool = False) -> int:
    """The places of a channel under a kernel, or with a stride ⌊k/stride⌋ of each side."""
    area = 1
    for side, step in zip(layer.kernel, layer.stride, strict=True):
        area *= side // step if strided and layer.kind != "ConvTranspose2d" else side
    return area


def _sized(counts: Accesses, layer: Weights, costs: Costs) -> Accesses:
    word = costs.word_bytes
    return replace(
        counts,
        in_bytes=layer.in_size * word,
        params_bytes=layer.parameters * word,
        potential_bytes=layer.out_size * word,
        out_bytes=layer.out_size * word,
    )
