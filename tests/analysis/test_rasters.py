import pytest
import torch
from networks import as_given, sample

import clif
from clif import analysis
from clif.errors import InputError


def test_a_raster_has_the_spikes_of_all_layers(seen, recorded):
    expected = recorded(sample(seen))
    found = analysis.raster(seen.net, as_given(seen), forward=seen.forward)
    assert found.spikes.keys() == expected.keys()
    for name, spikes in expected.items():
        assert torch.equal(found.spikes[name], spikes.flatten(1).bool())
    assert [row["spikes"] for row in found.table()] == [int(spikes.sum()) for spikes in expected.values()]


def test_frames_and_a_layer(image_network):
    frames = torch.randn(6, 3, 16, 16)
    found = analysis.raster(image_network, frames, layers=["features.1.act"])
    assert [len(spikes) for spikes in found.spikes.values()] == [6]


def test_a_batch_is_refused(seen):
    x = seen.x[None] if isinstance(seen.net, clif.models.SpikingNetwork) else seen.x
    with pytest.raises(InputError, match="give one sample"):
        analysis.raster(seen.net, x, forward=seen.forward)


def test_plots_have_a_mark_a_spike(image_network, draws):
    found = analysis.raster(image_network, torch.randn(3, 16, 16))
    axes = draws(found.plot, layer="features.1.act", most=10_000)
    assert sum(len(c.get_offsets()) for c in axes.collections) == found.table()[1]["spikes"]
    few = draws(found.plot, most=5)
    assert len(few.get_yticks()) == 5
    with pytest.raises(InputError, match="unknown spiking layer"):
        found.plot(layer="features")


def test_a_silent_layer_is_drawn():
    net = torch.nn.Sequential(clif.IFNode(step_mode="m"))
    found = analysis.raster(net, torch.zeros(4, 1, 3))
    assert found.table() == [{"layer": "0", "neurons": 3, "firing": 0, "spikes": 0, "first step": None}]
    found.plot().figure.canvas.draw()


class Twice(torch.nn.Module):
    """Uses one neuron in two places, the second with so many features."""

    def __init__(self, features=8):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, features)
        self.act = clif.LIFNode(step_mode="m")

    def forward(self, x):
        return self.act(self.second(self.act(self.first(x))))


def test_the_calls_of_a_layer_follow_one_another():
    x = 4 * torch.rand(6, 1, 4)
    net = Twice()
    found = analysis.raster(net, x).spikes["act"]
    assert found.shape == (12, 8)
    assert torch.equal(found[:6], net.act(net.first(x)).flatten(1).bool())
    other = Twice(5)
    clif.neurons.set_keep_state(other, False)
    with pytest.raises(InputError, match="act is called for 8 and for 5 neurons"):
        analysis.raster(other, x)


def test_a_sequence_in_parts_is_one_raster():
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), clif.LIFNode(step_mode="m"))
    clif.neurons.set_keep_state(net, True)
    x = 4 * torch.rand(6, 1, 4)
    in_parts = analysis.raster(net, x, forward=lambda net, x: [net(part) for part in x.split(2)])
    assert torch.equal(in_parts.spikes["1"], analysis.raster(net, x).spikes["1"])
