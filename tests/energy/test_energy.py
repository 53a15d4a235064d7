"""Energy: the published table to the last digit, and counts that can be checked by hand."""

import json

import pytest
import torch

from clif import energy
from clif.cli import main
from clif.errors import InputError
from clif.models import create_model

NETWORKS = {
    "cifar10": ("spiking_resnet18", {"num_classes": 10}),
    "cifar100": ("spiking_resnet18", {"num_classes": 100}),
    "tinyimagenet": ("spiking_vgg13_bn", {"num_classes": 200, "image_size": 64}),
    "dvscifar": ("spiking_vgg11_bn", {"num_classes": 10, "in_channels": 2, "image_size": 48}),
    "dvsgesture": ("spiking_vgg11_bn", {"num_classes": 11, "in_channels": 2, "image_size": 128}),
}


@pytest.mark.parametrize("task", NETWORKS)
def test_the_published_table_is_reproduced(golden_dir, task):
    rows = json.loads((golden_dir / "energy.json").read_text())
    name, options = NETWORKS[task]
    for neuron in ("ReLU", "LIF", "CLIF"):
        row = rows[f"{task}/{neuron}"]
        net = create_model(name, neuron, T=row["T"], **options)
        count = energy.published(net, row["firing_rate"] or ())
        for key in row.keys() - {"T", "firing_rate"}:
            assert getattr(count, key) == pytest.approx(row[key], rel=1e-12), (neuron, key)


def test_table_7_in_millijoule(golden_dir):
    rows = json.loads((golden_dir / "energy.json").read_text())
    totals = {}
    for neuron in ("ReLU", "LIF", "CLIF"):
        rates = rows[f"cifar10/{neuron}"]["firing_rate"] or ()
        totals[neuron] = energy.published(create_model("spiking_resnet18", neuron, T=6), rates).total_mJ
    assert {neuron: round(total, 1) for neuron, total in totals.items()} == {"ReLU": 111.7, "LIF": 34.5, "CLIF": 64.8}


def _always_firing(neuron="LIF", **options):
    """A snn5_noAP whose every neuron fires at every step: the batch norms return 100 for any input."""
    net = create_model("snn5_noAP", neuron, **options)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.constant_(module.bias, 100.0)
    return net.eval()


MACS = {"features.0.fwd.0": 16 * 1024 * 27, "features.1.fwd.0": 64 * 225 * 16 * 25, "classifier": 2560}
NEURONS = 16 * 32 * 32 + 64 * 15 * 15 + 128 * 7 * 7 + 256 * 2 * 2 + 256


@pytest.mark.parametrize(("neuron", "macs_a_neuron"), [("LIF", 2), ("CLIF", 6)])
def test_every_spike_costs_an_accumulation_at_each_synapse(neuron, macs_a_neuron):
    net = _always_firing(neuron, T=3)
    report = energy.estimate(net, [(torch.randn(2, 3, 32, 32), None), (torch.randn(3, 3, 32, 32), None)])
    layers = {layer.name: layer for layer in report.layers}
    assert (report.images, report.T, set(report.firing_rates.values())) == (5, 3, {1.0})
    assert layers["features.0.fwd.0"].macs == MACS["features.0.fwd.0"]
    assert layers["features.0.fwd.0"].acs == 0
    taps = 15 * 5 - 1  # per side of the second layer: 15 outputs of 5 taps, one of them beyond the border
    for name, synapses in (("features.1.fwd.0", 64 * 16 * taps**2), ("classifier", MACS["classifier"])):
        assert (layers[name].sops, layers[name].acs, layers[name].macs) == (3 * synapses, 3 * synapses, 0)
    assert report.updates == 3 * NEURONS
    assert report.macs == MACS["features.0.fwd.0"] + 3 * macs_a_neuron * NEURONS
    assert report.microjoule == pytest.approx((0.9 * report.acs + 4.6 * report.macs) / 1e6)
    assert report.memory_millijoule > report.microjoule / 1e3


def test_frames_meet_the_first_layer_at_every_step():
    net = _always_firing(T=3)
    report = energy.estimate(net, [(torch.randn(4, 2, 3, 32, 32), None)])
    assert report.T == 4
    assert report.layers[0].macs == 4 * MACS["features.0.fwd.0"]


def test_the_shortcut_sees_what_the_block_sees():
    net = create_model("spiking_resnet18", "LIF", T=1, image_size=8).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    torch.nn.init.constant_(net.layer2[0].bn1.bias, 100.0)
    report = energy.estimate(net, [(torch.randn(1, 3, 8, 8), None)])
    spikes = {layer.name: layer.spikes for layer in report.layers}
    assert spikes["layer2.0.conv1"] == spikes["layer2.0.shortcut"] == 64 * 8 * 8
    assert spikes["layer2.0.conv2"] == 0


def test_a_silent_network_accumulates_nothing():
    net = create_model("snn5_noAP", "LIF", T=2).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.bias, -100.0)
    assert energy.estimate(net, [(torch.zeros(1, 3, 32, 32), None)]).acs == 0


def test_a_relu_network_multiplies_everything():
    net = create_model("snn5_noAP", "ReLU").eval()
    report = energy.estimate(net, [(torch.randn(1, 3, 32, 32), None)])
    assert (report.acs, report.firing_rates) == (0, {})
    assert report.macs == energy.published(net).mac_op


def test_mistakes_are_input_errors():
    net = create_model("snn5_noAP", "LIF")
    with pytest.raises(InputError, match="5 firing rates are needed, one per spiking layer, got 1"):
        energy.published(net, [0.1])
    with pytest.raises(InputError, match="the loader is empty"):
        energy.estimate(net, [])
    net.config = {}
    with pytest.raises(InputError, match="this is a network of  neurons"):
        energy.estimate(net, [])


def test_the_command_prints_the_table(tmp_path, capsys):
    from clif.train.checkpoint import save_checkpoint

    net = _always_firing(T=2)
    config = {"dataset": "digits", "model": "snn5_noAP", "neuron": "LIF", "T": 2, "b": 8}
    save_checkpoint(tmp_path / "c.pth", {"net": net.state_dict(), "model": net.config, "config": config})
    assert main(["energy", str(tmp_path / "c.pth"), "-images", "10", "-out", str(tmp_path / "e.json")]) == 0
    out = capsys.readouterr().out
    assert "digits, snn5_noAP, LIF, T=2, 10 test images" in out
    assert "as published" in out
    written = json.loads((tmp_path / "e.json").read_text())
    assert written["macs"] == MACS["features.0.fwd.0"] + 4 * NEURONS
    assert main(["energy", str(tmp_path / "c.pth"), "-images", "0"]) == 2
