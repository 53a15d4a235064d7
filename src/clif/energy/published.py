"""Lemaire et al.'s estimate exactly as the CLIF authors computed the paper's Table 7, with what it leaves out.

It agrees with their numbers to the last digit, and so keeps their readings of the method, which `estimate` does not:
a firing rate counts as the spikes of a whole inference, whatever T is; shortcut convolutions are left out; a strided
convolution has ⌊k/stride⌋² accumulations a spike; each spike into the linear layer costs in·out accumulations; an
access costs what a memory of as many words as there are accesses would cost, and between 8,192 and 1,048,576 of them
that cost counts from 0 at the lower end of its interval; reads of the second state and of the first are multiplied.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from clif.energy.layers import Size, weight_layers
from clif.errors import InputError
from clif.models import SpikingNetwork
from clif.neurons import SpikingNeuron

ADD_PJ, MULTIPLY_PJ = 0.1, 3.1
MAC_PJ = ADD_PJ + MULTIPLY_PJ
COST_POINTS = ((0.0, 0.0), (8192.0, 10.0), (32768.0, 20.0), (1048576.0, 100.0))


@dataclass(frozen=True)
class PublishedCount:
    """Counts of operations and accesses for one image, and energies in pJ, by the names of the published table."""

    mac_op: float
    acc_op: float
    read_in: float
    read_params: float
    read_potential: float
    write_out: float
    write_potential: float
    mac_addr: float
    acc_addr: float

    @property
    def E_op_pJ(self) -> float:
        return self.mac_op * MAC_PJ + self.acc_op * ADD_PJ

    @property
    def E_addr_pJ(self) -> float:
        return self.mac_addr * MAC_PJ + self.acc_addr * ADD_PJ

    @property
    def E_potential_pJ(self) -> float:
        return _access_energy(self.read_potential) + _access_energy(self.write_potential)

    @property
    def E_inout_pJ(self) -> float:
        return _access_energy(self.read_in) + _access_energy(self.write_out)

    @property
    def E_params_pJ(self) -> float:
        return _access_energy(self.read_params)

    @property
    def total_mJ(self) -> float:
        """The sum in mJ, the figure of Table 7."""
        parts = (self.E_op_pJ, self.E_addr_pJ, self.E_potential_pJ, self.E_inout_pJ, self.E_params_pJ)
        return sum(parts) / 1e9


def published(net: SpikingNetwork, firing_rates: Sequence[float] = (), image_size: Size = None) -> PublishedCount:
    """Table 7 for a network and its firing rates, one for each spiking layer in the order of computation.

    A ReLU network needs none (and T = 1). `image_size` replaces the network's own. Raises `InputError` where the number
    of rates is not that of the layers.
    """
    layers = [layer for layer in weight_layers(net, image_size) if not layer.shortcut]
    convolutions, linear = layers[:-1], layers[-1]
    neurons = sum(layer.out_size for layer in convolutions)
    macs = sum(layer.macs for layer in convolutions)
    if net.config["neuron"] == "ReLU":
        sizes = sum(layer.in_size + layer.out_size + layer.out_channels * layer.kernel**2 for layer in convolutions)
        return PublishedCount(
            mac_op=float(macs + linear.macs),
            acc_op=float(neurons + linear.out_size),
            read_in=float(macs + linear.in_size),
            read_params=float(macs + neurons + linear.macs + linear.out_size),
            read_potential=0.0,
            write_out=float(neurons + linear.out_size),
            write_potential=0.0,
            mac_addr=0.0,
            acc_addr=float(sizes + linear.in_size + linear.out_size),
        )
    rates = list(firing_rates)
    if len(rates) != len(convolutions):
        raise InputError(f"{len(convolutions)} firing rates are needed, one a spiking layer, got {len(rates)}")
    states = max(len(node.state_names) for node in net.modules() if isinstance(node, SpikingNeuron))
    operations = 2 * states - 1
    spikes_in = [rate * layer.in_size for rate, layer in zip([1.0, *rates], convolutions, strict=False)]
    spikes_out = sum(rate * layer.out_size for rate, layer in zip(rates, convolutions, strict=True))
    into_linear = rates[-1] * linear.in_size
    reached = sum(s * layer.out_channels * layer.kernel**2 for s, layer in zip(spikes_in, convolutions, strict=True))
    strided = sum(
        s * layer.out_channels * (layer.kernel // layer.stride) ** 2
        for s, layer in zip(spikes_in, convolutions, strict=True)
    )
    outputs = neurons + linear.out_size
    synaptic = reached + into_linear * linear.out_size
    return PublishedCount(
        mac_op=float(operations * net.T * outputs),
        acc_op=strided + into_linear * linear.macs + net.T * neurons + operations * spikes_out,
        read_in=sum(spikes_in) + into_linear,
        read_params=synaptic + outputs,
        read_potential=states**2 * (reached + neurons),
        write_out=spikes_out,
        write_potential=states * (synaptic + outputs),
        mac_addr=2 * states * sum(spikes_in),
        acc_addr=states * synaptic,
    )


def _access_energy(accesses: float) -> float:
    """pJ of so many accesses."""
    for (low, cost_low), (high, cost_high) in itertools.pairwise(COST_POINTS):
        if accesses < high:
            return accesses * (accesses - low) * (cost_high - cost_low) / (high - low)
    return accesses * COST_POINTS[-1][1]
