"""Options of single neurons, set by hand or by name, in the files of a network."""

import logging
from types import MappingProxyType

import pytest
import torch
from torch import nn

import clif
from clif.errors import InputError
from clif.export import to_safetensors
from clif.models import create_model
from clif.models.registry import _MODELS
from clif.neurons.registry import NEURONS


def written(net, tmp_path):
    """The network read from its file."""
    to_safetensors(net, tmp_path / "net.safetensors")
    return clif.load(tmp_path / "net.safetensors")


def neurons(net):
    return [module for module in net.modules() if isinstance(module, clif.SpikingNeuron)]


@pytest.mark.parametrize(
    ("neuron", "name", "value"),
    [
        ("ALIF", "beta", 20.0),
        ("ALIF", "tau_a", torch.tensor(3.0)),
        ("LIF", "decay_input", True),
        ("LIF", "v_subtract", 0.7),
        ("EIF", "delta_T", 0.5),
        ("CLIF", "detach_reset", True),
        ("CLIF", "surrogate_function", clif.surrogate.Triangle(0.5)),
        ("KLIF", "scale_reset", True),
        ("PLIF", "decay_input", True),
        ("Izhikevich", "a", 0.3),
    ],
)
def test_options_set_by_hand_are_written(neuron, name, value, tmp_path):
    net = create_model("snn5_noAP", neuron, T=4, image_size=16, v_threshold=0.05).eval()
    for node in neurons(net)[1:]:
        setattr(node, name, value)
    made, x = written(net, tmp_path), torch.rand(2, 3, 16, 16)
    for node, like in zip(neurons(net), neurons(made), strict=True):
        assert node.constants() == like.constants()
    assert torch.equal(made(x), net(x))
    assert "layer_options" not in net.config
    assert made.config.pop("layer_options").keys() == {f"features.{i}.act" for i in range(1, 5)}
    assert made.config == net.config
    assert neurons(written(made, tmp_path))[1].constants() == neurons(net)[1].constants()


def test_the_present_number_of_time_steps_is_written(tmp_path):
    net = create_model("snn5_noAP", T=2, image_size=16)
    net.T = 4
    assert written(net, tmp_path).T == 4


class Own(clif.SpikingNeuron):
    """A neuron with options of several types, one of which it stores changed, and with random parameters."""

    learnable = MappingProxyType({"gain": "channel"})

    def __init__(self, channels, rate=1.0, kind="soft", delay=2, floor=None, **options):
        super().__init__(**options)
        self.gain = nn.Parameter(torch.rand(channels))
        self.rate = rate / 2
        self.kind, self.delay, self.floor = kind, delay, floor

    def step(self, x, v, gain):
        u = v * self.rate + x * gain
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    monkeypatch.setattr("clif.models.registry._MODELS", dict(_MODELS))
    names = dict(NEURONS)
    for module in ("clif.neurons.registry", "clif.models.network"):
        monkeypatch.setattr(f"{module}.NEURONS", names)


def test_options_of_an_own_neuron_are_written_without_drawing_random_numbers(tmp_path):
    clif.register_neuron("Own")(Own)
    net = create_model("snn5_noAP", "Own", T=2, rate=0.5)
    before = torch.get_rng_state()
    to_safetensors(net, tmp_path / "net.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
    assert clif.load(tmp_path / "net.safetensors").config == net.config
    for name, value in {"rate": 0.125, "kind": "hard", "delay": 3, "floor": -1.5}.items():
        setattr(net.features[1].act, name, value)
    made = written(net, tmp_path)
    assert [(node.rate, node.kind, node.delay, node.floor) for node in neurons(made)[:2]] == [
        (0.25, "soft", 2, None),
        (0.125, "hard", 3, -1.5),
    ]
    assert type(neurons(made)[1].delay) is int


@pytest.mark.parametrize(
    ("created", "name", "value"),
    [
        ({}, "floor", "deep"),
        ({}, "floor", True),
        ({"floor": 2.0}, "floor", None),
        ({"floor": 2.0}, "floor", "deep"),
        ({}, "kind", None),
        ({}, "kind", 3),
        ({"kind": 3}, "kind", "hard"),
    ],
)
def test_an_option_of_an_own_neuron_may_change_its_type(created, name, value, tmp_path):
    clif.register_neuron("Own")(Own)
    net = create_model("snn5_noAP", "Own", T=2, **created)
    setattr(net.features[1].act, name, value)
    made = getattr(written(net, tmp_path).features[1].act, name)
    assert (type(made), made) == (type(value), value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("delay", None, r"delay of the neuron features\.1\.act must be a number, got None"),
        ("delay", "long", "must be a number, got 'long'"),
        ("decay_input", 1, "must be True or False, got 1"),
    ],
)
def test_an_option_that_could_not_be_read_is_not_written(name, value, message, tmp_path):
    clif.register_neuron("Own")(Own)
    net = create_model("snn5_noAP", "Own" if name == "delay" else "LIF", T=2)
    setattr(net.features[1].act, name, value)
    with pytest.raises(InputError, match=message):
        to_safetensors(net, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("other", [lambda: clif.IFNode(step_mode="m"), lambda: Own(64, step_mode="m")])
def test_a_network_with_a_replaced_neuron_is_refused(other, tmp_path):
    net = create_model("snn5_noAP", T=2)
    net.features[1].act = other()
    with pytest.raises(InputError, match=r"with CLIF neurons, and features\.1\.act is now .*Node|Own; a file cannot"):
        to_safetensors(net, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_neuron_whose_step_was_replaced_is_refused(tmp_path):
    net = create_model("snn5_noAP", T=2)
    net.features[1].act.step = net.features[0].act.step
    with pytest.raises(InputError, match="CLIFNode with step of its own"):
        to_safetensors(net, tmp_path / "net.safetensors")


def test_a_neuron_whose_call_is_wrapped_is_written(tmp_path):
    net = create_model("snn5_noAP", T=2, image_size=16)
    node = net.features[0].act
    node.forward = node.forward
    to_safetensors(net, tmp_path / "net.safetensors")
    assert clif.load(tmp_path / "net.safetensors").config["neuron"] == "CLIF"


def test_a_network_of_your_own_may_have_other_neurons(tmp_path):
    @clif.models.register_model("mixed")
    def mixed(neuron, num_classes, in_channels, T, drop_rate, image_size):
        del drop_rate
        layers = [nn.Flatten(), nn.Linear(in_channels * image_size**2, 8), neuron(), nn.Linear(8, num_classes)]
        return clif.wrap(nn.Sequential(*layers, clif.IFNode(0.5)), T, (in_channels, image_size, image_size))

    net = create_model("mixed", "LIF", T=2, image_size=4, in_channels=1)
    net.net[4].v_threshold = 0.3
    made = written(net, tmp_path)
    assert (type(made.net[4]), made.net[4].v_threshold) == (clif.IFNode, 0.3)


@pytest.mark.parametrize("name", ["Kernel", "LIF"])
def test_a_network_of_your_own_may_have_neurons_that_their_defaults_cannot_create(name, tmp_path):
    class Kernel(clif.LIFNode):
        def __init__(self, path="kernel.txt", **options):
            super().__init__(**options)
            if path:
                raise FileNotFoundError(path)

    @clif.models.register_model("kernels")
    def kernels(neuron, num_classes, in_channels, T, drop_rate, image_size):
        del neuron, drop_rate
        layers = [nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes), Kernel(path="")]
        return clif.wrap(nn.Sequential(*layers), T, (in_channels, image_size, image_size))

    clif.register_neuron("Kernel")(Kernel)
    net = create_model("kernels", name, T=2, image_size=4, in_channels=1).eval()
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(written(net, tmp_path)(x), net(x))


def test_a_surrogate_without_a_name_is_left_out_with_a_warning(tmp_path, caplog):
    net = create_model("snn5_noAP", T=2, surrogate="atan")

    def mine(x):
        return clif.surrogate.Sigmoid()(x)

    for node in neurons(net)[:2]:
        node.surrogate_function = mine
    with caplog.at_level(logging.WARNING):
        made = written(net, tmp_path)
    assert "the surrogate mine of features.0.act and 1 more layers has no name, so the file stores atan" in caplog.text
    assert made.features[0].act.surrogate_function == clif.surrogate.ATan()


@pytest.mark.parametrize(
    ("neuron", "options", "message"),
    [
        ("LIF", {"decay_input": 1.0}, r"decay_input of the neuron features\.0\.act must be True or False, got 1\.0"),
        ("LIF", {"surrogate_function": 3}, "must be the name of a surrogate, got 3"),
        ("LIF", {"surrogate_function": "round"}, "unknown surrogate 'round'"),
        ("ALIF", {"beta": None}, "beta of the neuron .* must be a number, got None"),
        ("ALIF", {"tau_a": 0.5}, "tau_a must be a finite number greater than 1"),
        ("CLIF", {"beta": 1.0}, "unknown constant of the neuron"),
        ("CLIF", {"step": 1.0}, "unknown constant of the neuron"),
        ("CLIF", {"backend": "torch"}, "unknown constant of the neuron"),
        ("PLIF", {"w": 1.0}, "unknown constant of the neuron"),
    ],
)
def test_an_option_of_another_form_is_refused(neuron, options, message):
    with pytest.raises(InputError, match=message):
        create_model("snn5_noAP", neuron, layer_options={"features.0.act": options})
