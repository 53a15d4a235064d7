import pytest
import torch
from torch import nn
from torch.testing import assert_close

import clif
from clif import surrogate

REASON = "SpikingJelly cannot be imported"
sj_neuron = pytest.importorskip("spikingjelly.activation_based.neuron", reason=REASON, exc_type=ImportError)
from spikingjelly.activation_based import functional as sj_functional  # noqa: E402
from spikingjelly.activation_based import layer as sj_layer  # noqa: E402
from spikingjelly.activation_based import surrogate as sj_surrogate  # noqa: E402

SURROGATES = {
    "rectangle": (surrogate.Rectangle(), sj_surrogate.Rect(alpha=1.0)),
    "sigmoid": (surrogate.Sigmoid(), sj_surrogate.Sigmoid(alpha=4.0)),
    "triangle": (surrogate.Triangle(), sj_surrogate.PiecewiseQuadratic(alpha=1.0)),
    "atan": (surrogate.ATan(), sj_surrogate.ATan(alpha=2.0)),
}


def network(node, *rest):
    """SpikingJelly's layers around neurons, in its multi-step mode."""
    net = nn.Sequential(sj_layer.Conv2d(2, 4, 3, bias=False), sj_layer.BatchNorm2d(4), node, *rest)
    sj_functional.set_step_mode(net, "m")
    return net


def trace(node, x_seq):
    """Spikes, last potential and input gradient of a sequence."""
    x = x_seq.clone().requires_grad_()
    spikes = node(x)
    weights = torch.linspace(-1, 1, spikes.numel(), dtype=x.dtype).view_as(spikes)
    (spikes * weights).sum().backward()
    return spikes.detach(), node.v.detach(), x.grad


def test_its_reset_net_resets_our_neurons(Node):
    net = network(Node())
    x_seq = torch.randn(3, 2, 2, 6, 6)
    first = net(x_seq)
    assert net[2].state is not None
    sj_functional.reset_net(net)
    assert net[2].state is None
    assert torch.equal(net(x_seq), first)


def test_its_set_step_mode_sets_our_neurons(Node):
    net = network(Node())
    assert net[2].step_mode == "m"
    sj_functional.set_step_mode(net, "s")
    assert net[2].step_mode == "s"
    assert net(torch.randn(2, 2, 6, 6)).shape == (2, 4, 4, 4)


def test_its_detach_net_cuts_the_graph_of_our_neurons(Node):
    net = network(Node())
    net(torch.randn(3, 2, 2, 6, 6))
    assert net[2].v.requires_grad
    sj_functional.detach_net(net)
    assert not any(s.requires_grad for s in net[2].state)


def test_our_functions_act_on_its_neurons(Node):
    net = network(Node(), sj_neuron.LIFNode())
    net(torch.randn(3, 2, 2, 6, 6))
    clif.detach_net(net)
    assert not net[3].v.requires_grad
    clif.reset_net(net)
    assert net[3].v == 0.0
    clif.set_step_mode(net, "s")
    assert [module.step_mode for module in net] == ["s"] * 4


def test_a_spikingjelly_network_trains_with_our_neurons(Node):
    net = network(Node(surrogate_function=sj_surrogate.Sigmoid()))
    net(torch.randn(3, 2, 2, 6, 6)).mean().backward()
    assert all(p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.1])
@pytest.mark.parametrize(("ours", "theirs"), SURROGATES.values(), ids=SURROGATES.keys())
def test_lif_equals_spikingjellys(ours, theirs, v_reset, decay_input, detach_reset):
    arguments = {"tau": 3.0, "decay_input": decay_input, "v_threshold": 0.8, "v_reset": v_reset}
    arguments |= {"detach_reset": detach_reset, "step_mode": "m"}
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64)
    got = trace(clif.LIFNode(surrogate_function=ours, **arguments), x_seq)
    expected = trace(sj_neuron.LIFNode(surrogate_function=theirs, **arguments), x_seq)
    assert torch.equal(got[0], expected[0])
    assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), SURROGATES.values(), ids=SURROGATES.keys())
def test_clif_equals_spikingjellys(ours, theirs):
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64)
    got = trace(clif.CLIFNode(3.0, surrogate_function=ours, step_mode="m"), x_seq)
    expected = trace(sj_neuron.ComplementaryLIFNode(3.0, surrogate_function=theirs, step_mode="m"), x_seq)
    assert torch.equal(got[0], expected[0])
    assert_close(got, expected, rtol=1e-12, atol=1e-12)
