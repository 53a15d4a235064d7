"""Properties of all spiking neurons in the package."""

import copy

import pytest
import torch
from comparing import outcome
from torch.testing import assert_close

import clif
from clif.energy import operations_of
from clif.generate.compiler import CompilerError, find
from clif.models import create_model
from clif.neurons import exchange_neurons
from clif.neurons.registry import NEURONS, options_of
from clif.ops import cpu


def _no_kernels() -> str:
    try:
        find()
    except CompilerError as error:
        return str(error)
    return cpu.unavailable() or ""


SHIPPED = [
    name
    for name, kind in NEURONS.items()
    if issubclass(kind, clif.SpikingNeuron) and kind.__module__.startswith("clif.")
]
CHANNELS = 5
kernels = pytest.mark.skipif(bool(_no_kernels()), reason=_no_kernels())
each = pytest.mark.parametrize("name", SHIPPED)
each_reset = pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, options)
        for name in SHIPPED
        for options in ({}, {"v_reset": -0.1})
        if options.keys() <= options_of(NEURONS[name]).keys()
    ],
)


def make(name, step_mode="m", **options):
    kind = NEURONS[name]
    of_layer = {"channels": CHANNELS} if "channels" in options_of(kind) else {}
    return kind(step_mode=step_mode, surrogate_function="sigmoid", **of_layer, **options)


def sequence(dtype=torch.float64):
    return torch.randn(6, 2, CHANNELS, 7, dtype=dtype) * 1.5


class Recorder:
    """A surrogate function that records every neuron's distance from the threshold."""

    def __init__(self, surrogate_function):
        self.surrogate_function = surrogate_function
        self.distances = []

    def __call__(self, x):
        self.distances.append(x.detach().abs())
        return self.surrogate_function(x)


@kernels
@each_reset
def test_kernels_compute_what_the_loop_computes(name, options):
    node, x_seq = make(name, **options).double(), sequence()
    loop = copy.deepcopy(node)
    loop.backend = "torch"
    assert clif.backend_for(node, x_seq) == ("cpu", "")
    got, expected = outcome(node, x_seq), outcome(loop, x_seq)
    assert expected["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert_close(got, expected, rtol=1e-10, atol=1e-10)


@kernels
@each_reset
def test_float32_spikes_differ_at_the_threshold_only(name, options):
    node, x_seq = make(name, **options), sequence(torch.float32)
    assert clif.backend_for(node, x_seq) == ("cpu", "")
    exact = copy.deepcopy(node).double()
    exact.surrogate_function = recorder = Recorder(node.surrogate_function)
    expected, spikes = exact(x_seq.double()), node(x_seq)
    differs = spikes != expected
    first = differs & (differs.cumsum(0) == 1)
    assert (torch.stack(recorder.distances)[first] < 1e-5).all()
    assert expected.any()


@each_reset
def test_a_sequence_is_its_single_steps(name, options):
    node, x_seq = make(name, **options).double(), sequence()
    steps = copy.deepcopy(node)
    steps.step_mode = "s"
    assert torch.equal(torch.stack([steps(x) for x in x_seq]), node(x_seq))
    assert_close(steps.state, node.state, rtol=1e-10, atol=1e-10)


@each
def test_a_copy_goes_on_from_the_same_state(name):
    node, x_seq = make(name).double(), sequence()
    node(x_seq)
    other = copy.deepcopy(node)
    assert not any(value.requires_grad for value in other.state)
    assert torch.equal(other(x_seq), node(x_seq))
    assert_close(other.state, node.state, rtol=0, atol=0)
    other.reset()
    assert other.state is None
    assert node.state is not None


@each
def test_its_operations_are_counted(name):
    node = make(name)
    found = operations_of(node)
    assert found.states == len(node.states)
    assert found.macs + found.acs >= 1


@each
def test_it_takes_the_place_of_lif_and_gives_it_back(name):
    net = create_model("snn5_noAP", neuron="LIF", T=2, tau=1.5).double().eval()
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    exchange_neurons(net, name)
    again = create_model(**net.config).double().eval()
    again.load_state_dict(net.state_dict())
    assert net.config["neuron"] == name
    assert torch.equal(net(x), again(x))
    exchange_neurons(net, "LIF")
    assert net.features[0].act.tau == pytest.approx(1.5)


@each
def test_a_network_of_it_trains_and_streams(name):
    net = create_model("snn5_noAP", neuron=name, T=3).double()
    images = torch.rand(3, 2, 3, 32, 32, dtype=torch.float64)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    net(images).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())
    optimizer.step()
    assert any(not torch.equal(new, old) for new, old in zip(net.parameters(), before, strict=True))
    net.eval()
    stream = net.stream()
    with torch.no_grad():
        assert_close(torch.stack([stream(x) for x in images]), net(images), rtol=1e-9, atol=1e-9)
