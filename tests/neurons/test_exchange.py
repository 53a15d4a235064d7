"""Exchanged neurons, and networks with them that are saved and created again."""

import pytest
import torch
from torch import nn

import clif
from clif.models import create_model
from clif.neurons import exchange_neurons, registry


def again(net):
    """The network created from its description and weights."""
    other = create_model(**net.config)
    other.load_state_dict(net.state_dict())
    return other.eval()


@pytest.mark.parametrize(
    ("neuron", "options", "other"),
    [
        ("LIF", {"tau": 1.5, "v_subtract": 0.7}, "KLIF"),
        ("LIF", {"v_reset": -0.1, "v_threshold": 0.8}, "IF"),
        ("CLIF", {"tau": 1.5, "v_threshold": 0.7}, "CLIFTau"),
        ("PLIF", {"tau": 1.7}, "LIF"),
        ("CLIFTau", {"tau": 1.7}, "KLIF"),
        ("KLIF", {"tau": 1.7, "scale_reset": True}, "LIF"),
        ("IF", {"tau": 1.5}, "LIF"),
        ("IF", {"tau": 1.5}, "CLIFTau"),
    ],
)
def test_a_network_is_what_its_description_says(neuron, options, other):
    net = create_model("snn5_noAP", neuron=neuron, T=2, **options).eval()
    for i, parameter in enumerate(p for n, p in net.named_parameters() if n.endswith((".w", ".k"))):
        nn.init.constant_(parameter, 0.3 + i)
    exchange_neurons(net, other)
    made = again(net)
    assert net.config["neuron"] == made.config["neuron"] == other
    pairs = [
        (node, like)
        for node, like in zip(net.modules(), made.modules(), strict=True)
        if isinstance(node, clif.SpikingNeuron)
    ]
    for node, like in pairs:
        assert type(node) is type(like)
        assert node.constants() == like.constants()
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(net(x), made(x))


def test_constants_that_were_set_on_neurons_are_written(tmp_path):
    net, x = create_model("snn5_noAP", T=2, v_threshold=0.8).eval(), torch.rand(2, 3, 32, 32)
    net.features[0].act.v_threshold = 0.1
    net.features[1].act.tau = torch.tensor(1.5)
    net.features[2].act.v_reset = -0.1
    clif.export.to_safetensors(net, tmp_path / "net.safetensors")
    made = clif.load(tmp_path / "net.safetensors")
    assert [layer.act.v_threshold for layer in made.features] == [0.1, 0.8, 0.8, 0.8, 0.8]
    assert [layer.act.tau for layer in made.features][:2] == [2.0, 1.5]
    assert [layer.act.v_reset for layer in made.features][1:4] == [None, -0.1, None]
    assert torch.equal(net(x), made(x))
    assert "layer_options" not in net.config


def test_a_learnt_time_constant_becomes_its_present_value_layer_by_layer():
    net = create_model("snn5_noAP", neuron="PLIF", T=2, tau=1.5)
    nn.init.constant_(net.features[0].act.w, 0.0)
    exchange_neurons(net, "LIF")
    assert net.features[0].act.tau == 2.0
    assert net.config["layer_options"]["features.0.act"] == {"tau": 2.0}
    exchange_neurons(net, "CLIFTau")
    assert net.features[0].act.tau == pytest.approx(2.0)
    assert "layer_options" not in net.config


@pytest.mark.parametrize(("node", "device"), [(clif.LIFNode, "cpu"), (clif.LIFNode, "meta"), (clif.PLIFNode, "cpu")])
def test_new_parameters_are_where_the_weights_are(node, device):
    net = nn.Sequential(nn.Linear(4, 4), node()).to(device, torch.float64)
    exchange_neurons(net, "KLIF")
    assert (net[1].k.device.type, net[1].k.dtype) == (device, torch.float64)


class Learnt(clif.SpikingNeuron):
    """A neuron with τ itself as the parameter."""

    learnable = {"tau": "layer"}

    def __init__(self, tau=2.0, **options):
        super().__init__(**options)
        self.tau = nn.Parameter(torch.tensor(float(tau)))

    def step(self, x, v, tau):
        u = v * (1 - 1 / tau) + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


@pytest.fixture
def learnt(monkeypatch):
    monkeypatch.setattr(registry, "NEURONS", dict(registry.NEURONS))
    return clif.register_neuron("Learnt")(Learnt)


def test_a_parameter_tau_becomes_a_number(learnt):
    net = nn.Sequential(learnt(tau=3.0))
    exchange_neurons(net, "LIF")
    assert (net[0].tau, list(net.parameters())) == (3.0, [])
    exchange_neurons(net, "Learnt")
    assert net[0].tau.item() == 3.0


def test_hooks_stay_and_their_handles_remove_them():
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), clif.LIFNode(step_mode="m"))
    seen = []
    handles = [
        net[1].register_forward_hook(lambda *given: seen.append(("forward", type(given[0]).__name__))),
        net[1].register_forward_pre_hook(lambda *given: seen.append(("before", len(given))), with_kwargs=True),
        net[1].register_full_backward_hook(lambda *given: seen.append(("backward", len(given[1])))),
    ]
    clif.neurons.exchange_neurons(net, "CLIF")
    net(torch.rand(2, 1, 3)).sum().backward()
    assert seen == [("before", 3), ("forward", "CLIFNode"), ("backward", 1)]
    for handle in handles:
        handle.remove()
    clif.reset_net(net)
    net(torch.rand(2, 1, 3)).sum().backward()
    assert len(seen) == 3
