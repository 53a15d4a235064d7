"""Constants of neurons that are not plain numbers: tensors, and learnt Parameters."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.testing import assert_close

import clif
from clif import functional, models
from clif.errors import InputError
from clif.layers import BatchNorm2d
from clif.neurons import sequence
from clif.neurons.blocks import ConvBlock
from clif.ops import cpu

compiled = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

LEARNT = {"tau": 2.0, "v_threshold": 1.0, "v_reset": -0.1, "v_subtract": 0.8}
CASES = [
    (kind, name)
    for kind in ("CLIF", "LIF", "PLIF")
    for name in LEARNT
    if (kind, name) != ("PLIF", "tau") and (name != "v_subtract" or kind == "LIF")
]
SMOOTH = {"surrogate_function": "sigmoid"}


def parameter(value):
    return nn.Parameter(torch.tensor(value))


def make(kind, **options):
    return getattr(clif, f"{kind}Node")(**SMOOTH, **options)


def run(node, x_seq):
    node.reset()
    return node(x_seq) if node.step_mode == "m" else torch.stack([node(x) for x in x_seq])


@pytest.fixture
def x_seq():
    return torch.rand(4, 3, 8) * 3


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_constant_that_is_a_parameter_is_learnt(kind, name, step_mode, backend, later, x_seq):
    options = {} if later else {name: parameter(LEARNT[name])}
    node = make(kind, step_mode=step_mode, backend=backend, **options)
    if later:
        setattr(node, name, parameter(LEARNT[name]))
    node.double()
    x_seq = x_seq.double()
    plain = make(kind, step_mode=step_mode, **{name: getattr(node, name).item()}).double()
    spikes = run(node, x_seq)
    assert torch.equal(spikes, run(plain, x_seq))
    spikes.sum().backward()
    assert getattr(node, name).grad.abs() > 0
    assert name in dict(node.named_parameters())


def smooth(distance):
    """Returns no spikes, but a function whose finite differences are the gradient."""
    return torch.sigmoid(4 * distance)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_its_gradient_is_the_derivative(kind, name, x_seq, monkeypatch):
    monkeypatch.setattr(sequence, "check_spikes", lambda *_: None)
    x_seq = x_seq.double()

    def total(value):
        node = getattr(clif, f"{kind}Node")(surrogate_function=smooth, step_mode="m").double()
        setattr(node, name, value)
        return (run(node, x_seq) * torch.linspace(0.5, 1.5, 8, dtype=torch.float64)).sum()

    value = nn.Parameter(torch.tensor(LEARNT[name], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(total(value), value)
    h = 1e-6
    assert_close(gradient, (total(LEARNT[name] + h) - total(LEARNT[name] - h)) / (2 * h), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["tau", "v_threshold"])
def test_it_is_learnt_behind_a_batch_norm(name):
    x_seq = (torch.rand(4, 2, 8, 5, 5) * 3).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    node = clif.CLIFNode(step_mode="m", **SMOOTH)
    setattr(node, name, parameter(LEARNT[name]))
    ConvBlock(BatchNorm2d(8), node)(x_seq.unflatten(0, (4, 2))).sum().backward()
    assert getattr(node, name).grad.abs() > 0


@compiled
@pytest.mark.parametrize("name", ["tau", "v_threshold", "v_reset"])
def test_a_kernel_by_name_refuses_it(name, x_seq):
    node = clif.LIFNode(step_mode="m", **{name: parameter(LEARNT[name])})
    node.backend = "cpu"
    with pytest.raises(InputError, match=rf"self\.{name} is learnt.*backend=\"auto\""):
        node(x_seq)
    with torch.no_grad():
        assert torch.equal(node(x_seq), run(clif.LIFNode(step_mode="m", **{name: LEARNT[name]}), x_seq))


@pytest.mark.parametrize("name", ["tau", "v_threshold", "v_reset"])
@pytest.mark.parametrize("neuron", ["clif", "lif"])
def test_the_functions_learn_it_too(neuron, name, x_seq):
    for form in ("step", "multi_step"):
        value = parameter(LEARNT[name])
        function = getattr(functional, f"{neuron}_{form}")
        x = x_seq + 0.4
        if form == "step":
            state, total = None, 0
            for step in x:
                spikes, state = function(step, state, **{name: value}, **SMOOTH)
                total = total + spikes.sum()
        else:
            total = function(x, None, **{name: value}, **SMOOTH)[0].sum()
        total.backward()
        assert value.grad.abs() > 0


@pytest.mark.parametrize(
    "value",
    [torch.tensor(3.0), torch.tensor([3.0]), torch.tensor(3), np.float32(3), nn.Parameter(torch.tensor(3.0), False)],
)
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_tensor_of_one_element_without_gradient_is_a_number(value, step_mode, x_seq):
    expected = run(clif.CLIFNode(3.0, step_mode=step_mode), x_seq)
    assert torch.equal(run(clif.CLIFNode(value, step_mode=step_mode), x_seq), expected)
    assert torch.equal(functional.clif_multi_step(x_seq, tau=value)[0], expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.tensor([2.0, 3.0]), r"tau must be one number for all neurons of a layer, got a tensor of shape \[2\]"),
        (nn.Parameter(torch.ones(8)), r"got a tensor of shape \[8\]"),
        ("2", "tau must be a number, got '2'"),
        (torch.tensor(0.5), "tau must be a finite number greater than 1"),
    ],
)
def test_other_values_are_refused(value, message, x_seq):
    with pytest.raises(InputError, match=message):
        clif.CLIFNode(value)
    with pytest.raises(InputError, match=message):
        functional.clif_multi_step(x_seq, tau=value)
    node = clif.CLIFNode(step_mode="m")
    node.tau = value
    with pytest.raises(InputError, match=message):
        node(x_seq)


def test_a_tau_that_was_learnt_out_of_its_range_is_refused_with_the_neuron_that_cannot(x_seq):
    node = clif.LIFNode(parameter(2.0), step_mode="m")
    with torch.no_grad():
        node.tau.fill_(0.9)
    with pytest.raises(InputError, match=r"greater than 1 .* PLIFNode learns a time constant that stays above 1"):
        node(x_seq)


def test_plif_learns_its_own_time_constant_only():
    with pytest.raises(InputError, match="init_tau is the initial value of the learnt w"):
        clif.PLIFNode(parameter(2.0))
    with pytest.raises(InputError, match="learns its time constant through its parameter w"):
        clif.PLIFNode().tau = parameter(2.0)
    assert clif.PLIFNode(torch.tensor(3.0)).tau == pytest.approx(3.0)


def test_a_computed_constant_passes_its_gradient_on(x_seq):
    raw = parameter(0.5)
    node = clif.CLIFNode(step_mode="m", **SMOOTH)
    node.v_threshold = nn.functional.softplus(raw)
    node(x_seq).sum().backward()
    assert raw.grad.abs() > 0
    assert not copy.deepcopy(node).v_threshold.requires_grad


def test_a_parametrised_constant_is_learnt(x_seq):
    node = clif.CLIFNode(step_mode="m", v_threshold=parameter(0.5), **SMOOTH)
    parametrize.register_parametrization(node, "v_threshold", nn.Softplus())
    node(x_seq).sum().backward()
    assert node.parametrizations.v_threshold.original.grad.abs() > 0


def test_a_learnt_reset_value_is_where_the_neuron_starts_and_no_second_parameter(x_seq):
    node = clif.LIFNode(step_mode="m", v_reset=parameter(-0.1))
    node(x_seq).sum().backward()
    node.reset()
    assert [name for name, _ in node.named_parameters()] == ["v_reset"]
    with torch.no_grad():
        node.v_reset.fill_(-0.5)
        assert torch.equal(node(x_seq), run(clif.LIFNode(step_mode="m", v_reset=-0.5), x_seq))


def test_per_sample_gradients_of_learnt_constants(x_seq):
    node = clif.CLIFNode(
        step_mode="m", tau=parameter(2.0), v_threshold=parameter(1.0), v_reset=parameter(-0.1), **SMOOTH
    )
    parameters = dict(node.named_parameters())

    def loss(parameters, x):
        node.reset()
        return torch.func.functional_call(node, parameters, (x[:, None],)).sum()

    found = torch.func.vmap(torch.func.grad(loss), (None, 1))(parameters, x_seq)
    run(node, x_seq).sum().backward()
    for name, value in parameters.items():
        assert_close(found[name].sum(), value.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"tau": parameter(2.0)}, r"tau of a network is a number .*node\.tau = torch\.nn\.Parameter.*PLIF"),
        ({"v_threshold": parameter(1.0)}, "v_threshold of a network is a number"),
        ({"v_threshold": torch.ones(3)}, "one number for all neurons of a layer"),
        ({"surrogate": torch.sigmoid}, "a network stores its surrogate by name"),
        ({"surrogate_function": "sigmoid"}, "as surrogate=, not surrogate_function="),
    ],
)
def test_a_network_takes_what_its_checkpoint_can_say(option, message):
    with pytest.raises(InputError, match=message):
        models.create_model("snn5_noAP", **option)


def test_a_network_keeps_tensors_and_classes_as_plain_values():
    net = models.create_model(
        "snn5_noAP", tau=torch.tensor(3.0), v_threshold=np.float32(0.5), surrogate=clif.surrogate.Sigmoid
    )
    assert (net.config["tau"], net.config["v_threshold"], net.config["surrogate"]) == (3.0, 0.5, "sigmoid")
    assert {type(net.config[name]) for name in ("tau", "v_threshold")} == {float}
