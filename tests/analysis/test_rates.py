import json

import pytest
import torch

import clif
from clif import analysis
from clif.errors import InputError


def test_rates_by_layer_channel_and_step_are_means_of_the_spikes(seen, recorded):
    spikes = recorded(seen)
    rates = analysis.firing_rates(seen.net, [(seen.x, torch.zeros(3))], forward=seen.forward)
    assert list(rates) == list(spikes)
    assert max(rates.values()) > 0
    for name, fired in spikes.items():
        fired = fired.double()
        assert rates[name] == pytest.approx(fired.mean().item())
        torch.testing.assert_close(rates.by_step[name], fired.flatten(1).mean(1))
        torch.testing.assert_close(rates.by_channel[name], fired.movedim(2, 0).flatten(1).mean(1))


def test_batches_of_tensors_and_of_other_lengths_are_summed():
    net = torch.nn.Sequential(torch.nn.Linear(8, 6), clif.IFNode(step_mode="m"))
    short, long = torch.rand(2, 3, 8) * 4, torch.rand(5, 1, 8) * 4
    found = analysis.firing_rates(net, [short, (long,)])
    one, other = analysis.firing_rates(net, [short]), analysis.firing_rates(net, [long])
    assert found["1"] == pytest.approx((6 * one["1"] + 5 * other["1"]) / 11)
    torch.testing.assert_close(found.by_step["1"][:2], (3 * one.by_step["1"] + other.by_step["1"][:2]) / 4)
    torch.testing.assert_close(found.by_step["1"][2:], other.by_step["1"][2:])


def test_chosen_layers_only(seen):
    name = list(analysis.spiking_layers(seen.net))[-1]
    assert list(analysis.firing_rates(seen.net, [seen.x], [name], seen.forward)) == [name]
    with pytest.raises(InputError, match="unknown spiking layer 'nine'"):
        analysis.firing_rates(seen.net, [seen.x], ["nine"], seen.forward)


def with_given_rates():
    """A layer of four channels: one that never fires, one that always does, and two between."""
    net = torch.nn.Sequential(clif.IFNode(step_mode="m"))
    return net, torch.tensor([0.0, 1.0, 0.5, 0.25]).expand(4, 2, 4).contiguous()


def test_dead_and_saturated_channels_are_found():
    net, x_seq = with_given_rates()
    found = analysis.channel_activity(net, [x_seq])
    assert found.dead["0"].tolist() == [0]
    assert found.saturated["0"].tolist() == [1]
    assert found.rates["0"].tolist() == [0.0, 1.0, 0.5, 0.25]
    assert found.table() == [{"layer": "0", "channels": 4, "dead": 1, "saturated": 1}]
    wider = analysis.channel_activity(net, [x_seq], dead=0.25, saturated=0.5)
    assert (wider.dead["0"].tolist(), wider.saturated["0"].tolist()) == ([0, 3], [1, 2])
    with pytest.raises(InputError, match="dead the smaller"):
        analysis.channel_activity(net, [x_seq], dead=0.9, saturated=0.5)


def test_numbers_are_a_table_and_json(seen):
    rates = analysis.firing_rates(seen.net, [seen.x], forward=seen.forward)
    row = rates.table()[0]
    assert row["rate"] == rates[row["layer"]]
    assert row["lowest"] <= row["median"] <= row["highest"]
    assert [row[f"step {t}"] for t in (1, 2, 3, 4)] == rates.by_step[row["layer"]].tolist()
    again = json.loads(json.dumps(rates.to_dict()))
    assert again["rates"] == dict(rates)
    assert again["by_channel"][row["layer"]] == rates.by_channel[row["layer"]].tolist()


def test_plots(image_network, draws):
    rates = analysis.firing_rates(image_network, [torch.randn(2, 3, 16, 16)])
    bars = draws(rates.plot)
    assert [bar.get_height() for bar in bars.patches] == pytest.approx([100 * rate for rate in rates.values()])
    lines = draws(rates.plot, by="step").lines
    assert lines[2].get_ydata().tolist() == (100 * rates.by_step["features.2.act"]).tolist()
    assert len(draws(rates.plot, by="channel").lines) == 5
    with pytest.raises(InputError, match="by must be"):
        rates.plot(by="neuron")
    assert len(draws(rates.channels().plot).patches) == 10


def test_memory_does_not_grow_with_the_data():
    net, x_seq = with_given_rates()
    sizes = [len(str(analysis.firing_rates(net, [x_seq] * n).to_dict())) for n in (1, 300)]
    assert sizes[0] == sizes[1]
    assert analysis.firing_rates(net, (x_seq for _ in range(300)))["0"] == pytest.approx(0.4375)
