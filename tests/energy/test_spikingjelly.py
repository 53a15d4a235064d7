"""For quantities that both clif and SpikingJelly's op_counter count, the numbers are equal."""

import pytest
import torch
from torch import nn

import clif
from clif import energy
from clif.models import create_model

pytest.importorskip("spikingjelly.activation_based.op_counter", exc_type=ImportError)
from spikingjelly.activation_based import functional, layer, neuron, op_counter

T, N = 4, 3
QUIET = pytest.mark.filterwarnings("ignore")


def settled(*parts):
    """A network whose layers neither always nor never fire."""
    net = nn.Sequential(*parts)
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, 4.0 / fan_in, 2.0 / fan_in**0.5, generator=generator)
    functional.set_step_mode(net, "m")
    return net.eval()


def theirs(net, x, *counters):
    """Totals by counter, and by layer name."""
    root = type(net).__name__
    with op_counter.DispatchCounterMode(list(counters)), torch.no_grad():
        net(x)
    return [
        {name.removeprefix(f"{root}."): sum(counts.values()) for name, counts in counter.get_counts().items()}
        for counter in counters
    ]


def convolutional():
    return settled(
        layer.Conv2d(2, 8, 3, padding=1, bias=False),
        neuron.LIFNode(),
        layer.Conv2d(8, 12, 3, stride=2, padding=1, groups=2, bias=False),
        neuron.IFNode(),
        layer.MaxPool2d(2),
        layer.Conv2d(12, 12, 3, padding=2, dilation=2, bias=False),
        neuron.LIFNode(),
        layer.Flatten(),
        layer.Linear(12 * 4 * 4, 10, bias=False),
        neuron.LIFNode(),
        layer.Linear(10, 5, bias=False),
    )


@QUIET
def test_synaptic_operations_and_multiplications_layer_by_layer():
    net, x = convolutional(), torch.rand(T, N, 2, 16, 16)
    sops, acs, macs = theirs(net, x, op_counter.SynOpCounter(), op_counter.ACCounter(), op_counter.MACCounter())
    functional.reset_net(net)
    report = energy.estimate(clif.convert(net, neuron=None).net, [(x, None)])
    counted = {one.name: one for one in report.layers if one.kind in ("Conv2d", "Linear")}
    assert list(counted) == ["0", "2", "5", "8", "10"]
    for name, one in counted.items():
        assert (one.sops * N, one.acs * N, one.macs * N) == pytest.approx((sops[name], acs[name], macs[name])), name
    assert all(0.05 < rate < 0.95 for rate in report.firing_rates.values())
    assert report.sops * N == pytest.approx(sops["Global"])
    assert all(sops[name] > 0 for name in list(counted)[1:])


@QUIET
def test_the_bytes_of_weights_are_those_of_their_simple_model():
    net, x = convolutional(), torch.rand(T, N, 2, 16, 16)
    simple = op_counter.estimate_simple_energy(net, x)
    functional.reset_net(net)
    report = energy.estimate(clif.convert(net, neuron=None).net, [(x, None)])
    weights = [one for one in report.layers if one.kind in ("Conv2d", "Linear")]
    assert 4 * N * sum(one.sops + one.macs for one in weights) == pytest.approx(simple.counts["weight_read_bytes"])
    assert simple.config.cost_config.e_ac_pj == energy.PAPER.ac_pj
    assert simple.config.cost_config.e_mac_pj == energy.PAPER.mac_pj


@QUIET
def test_frames_of_events():
    net, x = convolutional(), (torch.rand(T, N, 2, 16, 16) < 0.4).float()
    (sops,) = theirs(net, x, op_counter.SynOpCounter())
    functional.reset_net(net)
    ours = clif.convert(net, neuron=None).net
    report = energy.estimate(ours, [(x, None)], events=True)
    assert sops["0"] > 0
    assert report.layers[0].sops * N == pytest.approx(sops["0"])
    assert report.sops * N == pytest.approx(sops["Global"])
    assert energy.estimate(ours, [(x, None)]).layers[0].macs == T * 8 * 18 * 256


@QUIET
@pytest.mark.parametrize("neurons", ["LIF", "CLIF"])
@pytest.mark.parametrize("name", ["spiking_resnet18", "snn5_noAP"])
def test_networks_of_clif(name, neurons):
    net = create_model(name, neurons, T=2, image_size=16).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.5)
        if isinstance(module, clif.layers.Conv2d):
            module.backend = "torch"  # SpikingJelly's counter sees operators of PyTorch
    x = torch.rand(N, 3, 16, 16)
    sops, macs = theirs(net, x, op_counter.SynOpCounter(), op_counter.MACCounter())
    report = energy.estimate(net, [(x, None)])
    by_kind = {kind: [one for one in report.layers if one.kind == kind] for kind in ("Conv2d", "Linear")}
    convolutions = sum(one.sops for one in by_kind["Conv2d"])
    (readout,) = by_kind["Linear"]
    pooled = name == "spiking_resnet18"  # SpikingJelly multiplies the results of an average pool
    assert convolutions > 0
    assert sops["Global"] == pytest.approx(N * (convolutions if pooled else report.sops))
    assert macs.get(readout.name, 0) == (2 * N * 5120 if pooled else 0)
    assert readout.sops > 0
    first = by_kind["Conv2d"][0]
    assert macs[first.name] == N * first.macs


@QUIET
def test_lemaires_accesses_without_borders_and_biases():
    net = settled(
        layer.Conv2d(2, 8, 1, bias=False),
        neuron.LIFNode(),
        layer.Conv2d(8, 12, 1, bias=False),
        neuron.LIFNode(),
        layer.Flatten(),
        layer.Linear(12 * 8 * 8, 10, bias=False),
        neuron.LIFNode(),
    )
    x = torch.rand(T, N, 2, 8, 8)
    config = op_counter.LemaireEnergyConfig(strict=False)
    their = op_counter.estimate_lemaire_energy(net, x, config=config).counts
    functional.reset_net(net)
    ours = clif.convert(net, neuron=None).net
    report = energy.estimate(ours, [(x, None)])
    rates = report.firing_rates
    found = energy.published(ours, rates, (2, 8, 8), T=T, frames=True, oddities=energy.CORRECTED)
    assert found.read_in * 4 * N == pytest.approx(their["read_in_bytes"])
    assert found.read_potential * 4 * N == pytest.approx(their["read_potential_bytes"])
    assert found.write_potential * 4 * N == pytest.approx(their["write_potential_bytes"])
    assert found.mac_addr * N == pytest.approx(their["mac_addr"])
    kernel = 8 * (T * N - 1)  # SpikingJelly addresses the weights of the first layer once per call, for any T and N
    assert found.acc_addr * N - kernel == pytest.approx(their["acc_addr"])
    biases = T * (8 * 64 + 12 * 64 + 10)  # a folded batch norm leaves a bias
    assert (found.read_params - biases) * 4 * N == pytest.approx(their["read_params_bytes"])
    currents = T * 8 * 64  # SpikingJelly does not write the products of the first layer
    assert (found.write_out - currents) * 4 * N == pytest.approx(their["write_out_bytes"])
    total = sum(layer.memory for layer in report.layers) / 1e9
    assert total == pytest.approx(found.total_mJ)
