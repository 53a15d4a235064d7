import pytest
import torch
from networks import as_given, sample

import clif
from clif import analysis
from clif.errors import InputError
from clif.neurons.registry import NEURONS, spiking_neuron

SPIKING = [name for name in NEURONS if name != "ReLU"]


def test_traces_are_the_inputs_spikes_and_states_of_the_neurons(seen, recorded):
    name = next(iter(analysis.spiking_layers(seen.net)))
    spikes = recorded(sample(seen))[name].flatten(1)
    chosen = [3, 1]
    found = analysis.traces(seen.net, as_given(seen), {name: chosen}, forward=seen.forward)[name]
    assert found.neurons == chosen
    assert torch.equal(found.spikes, spikes[:, chosen].bool())
    state = (torch.zeros(2), torch.zeros(2))
    for t, x in enumerate(found.x):
        _, state = clif.functional.clif_step(x, state, tau=2.0)
        torch.testing.assert_close(found.states["v"][t], state[0])
        torch.testing.assert_close(found.states["m"][t], state[1])


@pytest.mark.parametrize("name", SPIKING)
def test_all_states_of_every_neuron_are_followed(name):
    torch.manual_seed(1)
    node = spiking_neuron(name)(step_mode="m", **({"channels": 6} if name == "GLIF" else {}))
    x_seq = torch.rand(7, 1, 6) * 3
    found = analysis.traces(torch.nn.Sequential(node), x_seq, {"0": range(6)})["0"]
    assert tuple(found.states) == node.state_names
    with torch.no_grad():
        spikes = node(x_seq)
    assert torch.equal(found.spikes, spikes[:, 0].bool())
    for state in node.state_names:
        torch.testing.assert_close(found.states[state][-1], getattr(node, state)[0])


def test_a_table_has_a_row_a_neuron_and_step(image_network):
    found = analysis.traces(image_network, torch.randn(3, 16, 16), {"features.0.act": [0, 7], "features.1.act": 2})
    rows = found.table()
    assert len(rows) == 3 * 4
    assert rows[5]["neuron"] == 7
    assert rows[5]["v"] == found["features.0.act"].states["v"][1, 1].item()


def test_steps_are_of_networks_of_clif(image_network, seen):
    assert (
        len(analysis.traces(image_network, torch.randn(3, 16, 16), {"features.0.act": 0}, steps=9)["features.0.act"].x)
        == 9
    )
    if not isinstance(seen.net, clif.models.SpikingNetwork):
        with pytest.raises(InputError, match="steps is for networks of clif"):
            analysis.traces(seen.net, seen.x, {next(iter(analysis.spiking_layers(seen.net))): 0}, steps=2)


def test_what_cannot_be_followed_is_refused():
    class Own(clif.LIFNode):
        def single_step_forward(self, x):
            return x

    net, x_seq = torch.nn.Sequential(Own(step_mode="m")), torch.rand(3, 1, 2)
    with pytest.raises(InputError, match="defines its own forward"):
        analysis.traces(net, x_seq, {"0": 0})
    with pytest.raises(InputError, match="at least one layer"):
        analysis.traces(net, x_seq, {})
    with pytest.raises(InputError, match="0 has the neurons 0 to 1, not 2"):
        analysis.traces(torch.nn.Sequential(clif.LIFNode(step_mode="m")), x_seq, {"0": 2})


def test_plots(image_network, draws):
    found = analysis.traces(image_network, torch.randn(3, 16, 16), {"features.0.act": [0, 7], "features.1.act": 2})
    assert len(draws(found.plot).lines) == 4
    assert len(draws(found.plot, layer="features.1.act").lines) == 2
    with pytest.raises(InputError, match="unknown layer of these traces"):
        found.plot(layer="x")


def test_states_of_spikingjelly_s_neurons_are_not_followed():
    neuron = pytest.importorskip(
        "spikingjelly.activation_based.neuron", reason="SpikingJelly cannot be imported", exc_type=ImportError
    )
    net = torch.nn.Sequential(neuron.LIFNode(step_mode="m"))
    with pytest.raises(InputError, match=r"of SpikingJelly cannot be recorded; clif\.convert"):
        analysis.traces(net, torch.rand(3, 1, 2), {"0": 0})
    assert analysis.raster(net, torch.rand(3, 1, 2) * 9).spikes["0"].shape == (3, 2)


def test_a_sequence_in_parts_is_one_trace():
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    clif.neurons.set_keep_state(net, True)
    x = 4 * torch.rand(6, 1, 4)
    whole = analysis.traces(net, x, {"1": [0, 3]})["1"]
    parts = analysis.traces(net, x, {"1": [0, 3]}, forward=lambda net, x: [net(part) for part in x.split(2)])["1"]
    assert parts.x.shape == (6, 2)
    assert torch.equal(parts.spikes, whole.spikes)
    torch.testing.assert_close(parts.states, whole.states)
