import math

import pytest
import torch
from comparing import OURS, outcome
from torch import nn
from torch.testing import assert_close

import clif
from clif.errors import InputError
from clif.models import create_model

REASON = "SpikingJelly cannot be imported"
sj_neuron = pytest.importorskip("spikingjelly.activation_based.neuron", reason=REASON, exc_type=ImportError)
from spikingjelly.activation_based import surrogate as sj_surrogate  # noqa: E402

C = 5
SHARED = ("alpha", "beta", "gamma", "v_threshold", "linear_decay", "v_subreset", "conduct")
NAMES = (*SHARED, "w")


def pair(name="Sigmoid", T=8):
    """Our neuron and SpikingJelly's with the same random gates, and with the same conductance at all steps."""
    ours = clif.GLIFNode(C, surrogate_function=OURS[name], step_mode="m").double()
    theirs = sj_neuron.GatedLIFNode(
        T, C, surrogate_function=getattr(sj_surrogate, name)(alpha=OURS[name].alpha)
    ).double()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_()
        for shared in SHARED:
            getattr(theirs, shared).copy_(getattr(ours, shared))
        theirs.tau.copy_(-ours.w)  # SpikingJelly learns 1 − 1/τ
    return ours, theirs


def as_ours(theirs, outcome, last_spike):
    """The results of SpikingJelly's neuron in our form: g summed over the steps, and the remaining u."""
    expected = {name: value for name, value in outcome.items() if name not in ("grad_tau", "grad_conduct")}
    expected["grad_w"] = -outcome["grad_tau"]
    expected["grad_conduct"] = outcome["grad_conduct"].sum(0)
    names = ("alpha", "gamma", "tau", "v_subreset")
    alpha, gamma, stays, subtracted = (getattr(theirs, name).detach().sigmoid().view(-1, 1, 1) for name in names)
    decayed = (1 - alpha * (1 - stays)) * outcome["v"]
    expected["v"] = decayed - gamma * last_spike * decayed - (1 - gamma) * subtracted * last_spike
    return expected


@pytest.mark.parametrize("name", ["Sigmoid", pytest.param("ATan", marks=pytest.mark.slow)])
def test_it_equals_spikingjellys(name):
    ours, theirs = pair(name)
    x_seq = torch.randn(8, 3, C, 4, 6, dtype=torch.float64)
    got, expected = outcome(ours, x_seq), outcome(theirs, x_seq)
    assert got["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert all((got[f"grad_{name}"] != 0).all() for name in NAMES)
    assert_close(got, as_ours(theirs, expected, expected["spikes"][-1]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", OURS)
def test_every_surrogate_equals_spikingjellys(name):
    ours, theirs = pair(name, T=5)
    ours.backend = "torch"
    x_seq = torch.randn(5, 3, C, 4, 6, dtype=torch.float64)
    got, expected = outcome(ours, x_seq), outcome(theirs, x_seq)
    assert_close(got, as_ours(theirs, expected, expected["spikes"][-1]), rtol=1e-10, atol=1e-10)


def test_a_sequence_goes_on_after_its_last_spike():
    node, x_seq = pair()[0], torch.randn(8, 3, C, 4, dtype=torch.float64)
    whole = node(x_seq)
    node.reset()
    assert torch.equal(torch.cat([node(x_seq[:3]), node(x_seq[3:])]), whole)


@pytest.mark.parametrize(
    ("alpha", "gamma", "like"),
    [
        (20.0, -20.0, {"tau": 3.0, "v_subtract": 0.7}),
        (20.0, 20.0, {"tau": 3.0, "v_reset": 0.0}),
    ],
)
def test_with_closed_gates_it_is_lif(alpha, gamma, like):
    node = clif.GLIFNode(C, init_tau=3.0, init_v_threshold=0.6, step_mode="m", backend="torch").double()
    subtract = 0.7 / (1 - 1 / 3)  # GLIF subtracts after the leak, LIF before it
    x_seq = torch.randn(8, 3, C, 20, dtype=torch.float64)
    with torch.no_grad():
        node.alpha.fill_(alpha + 20)
        node.beta.fill_(-40.0)
        node.gamma.fill_(gamma * 2)
        node.v_subreset.fill_(math.log(0.7 / 0.3))
    lif = clif.LIFNode(v_threshold=0.6, step_mode="m", **like | ({"v_subtract": subtract} if gamma < 0 else {}))
    assert torch.equal(node(x_seq), lif(x_seq))


def test_detach_reset_cuts_the_gradient_through_the_reset():
    x_seq = torch.full((2, 1, 1, 1), 3.0, dtype=torch.float64)
    gradients = []
    for detach_reset in (False, True):
        node = clif.GLIFNode(1, detach_reset=detach_reset, surrogate_function="sigmoid", step_mode="m", backend="torch")
        with torch.no_grad():
            node.gamma.fill_(40.0)
        x = x_seq.clone().requires_grad_()
        gradients.append(torch.autograd.grad(node.double()(x)[1].sum(), x)[0][0])
    assert gradients[0] != 0
    assert gradients[1] == 0  # after a hard reset, nothing depends on the first step


def test_it_begins_as_its_options_say():
    node = clif.GLIFNode(3, 4.0, 0.6, 0.1, 0.3, 0.8)
    found = {name: value.sigmoid() for name, value in node.named_parameters()}
    expected = {"alpha": 0.5, "beta": 0.5, "gamma": 0.5, "w": 0.25}
    expected |= {"v_threshold": 0.6, "linear_decay": 0.1, "v_subreset": 0.3, "conduct": 0.8}
    assert_close(found, {name: torch.full((3,), value) for name, value in expected.items()})
    assert_close(clif.GLIFNode(2, init_v_threshold=0.7).v_subreset.sigmoid(), torch.full((2,), 0.7))


def test_a_network_makes_it_with_the_channels_of_each_layer():
    net = create_model("snn5_noAP", neuron="GLIF", T=2, tau=3.0, init_conduct=0.9)
    nodes = [node for node in net.modules() if isinstance(node, clif.GLIFNode)]
    assert [len(node.alpha) for node in nodes] == [node.channels_made_for for node in nodes]
    assert_close(nodes[0].w.sigmoid(), torch.full_like(nodes[0].w, 1 / 3))
    clif.neurons.exchange_neurons(net, "LIF")
    clif.neurons.exchange_neurons(net, "GLIF")
    assert [len(node.alpha) for node in net.modules() if isinstance(node, clif.GLIFNode)] == [
        node.channels_made_for for node in nodes
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels must be a whole number of at least 1, got 0"),
        ({"channels": 2.5}, "channels must be a whole number of at least 1, got 2.5"),
        ({"init_tau": nn.Parameter(torch.tensor(2.0))}, "init_tau is the initial value of a parameter"),
        ({"init_tau": 1.0}, "tau must be a finite number greater than 1"),
        *(
            ({name: 1.0}, f"{name} must be a finite number between 0 and 1, got 1.0")
            for name in ("init_v_threshold", "init_linear_decay", "init_v_subreset", "init_conduct")
        ),
    ],
)
def test_its_constants_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        clif.GLIFNode(**{"channels": 2, **options})


def test_other_channels_are_refused():
    with pytest.raises(InputError, match=r"alpha of GLIF has one element for every channel, \[2\], .* \[3, 4\]"):
        clif.GLIFNode(2)(torch.rand(3, 4))
    with pytest.raises(InputError, match="GLIF needs the channels of its layer"):
        clif.neurons.exchange_neurons(nn.Sequential(nn.Linear(2, 2), clif.LIFNode()), "GLIF")
