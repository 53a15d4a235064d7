import golden
import numpy as np
import pytest
import torch
from torch import nn

import clif
from clif import models
from clif.errors import InputError
from clif.layers import Dropout
from clif.models.registry import register_model
from clif.neurons import SpikingNeuron
from clif.neurons.registry import NEURONS

SLOW = {"spiking_resnet101", "spiking_resnet152"}


def create(name, *args, **kwargs):
    """A model without storage, which has only shapes."""
    with torch.device("meta"):
        return models.create_model(name, *args, **kwargs)


def neurons(net):
    return [module for module in net.modules() if isinstance(module, SpikingNeuron)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in models.list_models()]
)
def test_every_model_runs_forward_and_backward(name):
    net = models.create_model(name, num_classes=5, in_channels=2, T=2, drop_rate=0.1)
    logits = net(torch.randn(2, 2, 32, 32))
    assert logits.shape == (2, 2, 5)
    logits.square().mean().backward()
    gradients = {name: p.grad for name, p in net.named_parameters()}
    assert all(grad is not None and grad.isfinite().all() for grad in gradients.values())
    assert any(grad.any() for name, grad in gradients.items() if "linear" in name or "classifier" in name)
    assert all(buffer.isfinite().all() for buffer in net.buffers())


@pytest.mark.parametrize("name", golden.MODELS)
def test_parameters_and_state_dict_keys_are_the_originals(name):
    expected = golden.MODELS[name]
    image_size = 48 if name == "vggsnn" else 32
    arguments = {key: expected[key] for key in ("num_classes", "in_channels")}
    net = create(name, "CLIF", image_size=image_size, **arguments)
    assert sum(p.numel() for p in net.parameters()) == expected["parameters"]
    assert [(key, list(value.shape)) for key, value in net.state_dict().items()] == list(expected["state_dict"].items())


def test_all_models_are_listed():
    assert models.list_models() == sorted([*golden.MODELS, "snn4", "snn5", "snn7", "snn7_wide"])


def test_models_are_listed_by_pattern():
    assert models.list_models("snn*") == ["snn4", "snn5", "snn5_noAP", "snn7", "snn7_wide"]
    assert models.list_models("spiking_vgg??_bn") == [f"spiking_vgg{n}_bn" for n in (11, 13, 16, 19)]
    assert models.list_models("nothing*") == []


def test_snn5_follows_the_pattern_of_snn5_noAP():
    net = create("snn5")
    widths = [tuple(p.shape) for name, p in net.named_parameters() if name.endswith("fwd.0.weight")]
    assert widths == [(16, 3, 3, 3), (64, 16, 5, 5), (128, 64, 5, 5), (256, 128, 5, 5), (512, 256, 3, 3)]
    assert net.classifier.in_features == 512
    pattern = {name.split(".", 2)[-1] for name in golden.MODELS["snn5_noAP"]["state_dict"]}
    assert {name.split(".", 2)[-1] for name in net.state_dict()} == pattern


@pytest.mark.parametrize(
    ("name", "widths", "parameters"),
    [
        ("snn7", [64, 128, 128, 256, 256, 256, 256], 2_293_898),
        ("snn7_wide", [96, 192, 192, 288, 288, 288, 288], 3_245_194),
    ],
)
def test_seven_convolutions_halve_the_image_three_times(name, widths, parameters):
    net = create(name)
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == widths
    assert [m.stride for m in convolutions] == [(1, 1), *[(2, 2), (1, 1)] * 3]
    assert sum(p.numel() for p in net.parameters()) == parameters


@pytest.mark.parametrize(("image_size", "features"), [(32, 512 * 4), (48, 512 * 9), (128, 512 * 64)])
def test_vggsnn_is_made_for_its_image_size(image_size, features):
    assert create("vggsnn", in_channels=2, image_size=image_size).classifier.in_features == features


def test_a_registered_function_is_a_model(monkeypatch):
    monkeypatch.setattr("clif.models.registry._MODELS", {})

    @register_model
    def mine(**kwargs):
        return models.plain.PlainSNN([(4, 3, 1), "pool"], **kwargs)

    assert models.list_models() == ["mine"]
    assert models.create_model("mine", T=2, image_size=8)(torch.randn(1, 3, 8, 8)).shape == (2, 1, 10)


@pytest.mark.parametrize(
    ("given", "proper"),
    [("CLIF", "CLIF"), ("clif", "CLIF"), ("Lif", "LIF"), ("plif", "PLIF"), ("relu", "ReLU"), ("ReLU", "ReLU")],
)
def test_neurons_are_named_in_any_case(given, proper):
    net = create("snn5_noAP", given)
    assert net.config["neuron"] == proper
    assert type(net.features[0].act) is NEURONS[proper]


def test_the_arguments_reach_every_layer_and_are_kept():
    options = {"v_reset": -0.06, "v_threshold": 0.7, "detach_reset": True}
    arguments = {"num_classes": 7, "in_channels": 2, "T": 3, "tau": 1.5, "surrogate": "sigmoid", "drop_rate": 0.2}
    net = create("spiking_resnet18", "lif", image_size=16, **arguments, **options)
    assert net.T == 3
    assert len(neurons(net)) == 17
    for node in neurons(net):
        shown = node.constants()
        assert (shown["tau"], shown["surrogate_function"].alpha) == (1.5, 4.0)
        assert {key: shown[key] for key in options} == options
        assert node.step_mode == "m"
    assert {module.p for module in net.modules() if isinstance(module, Dropout)} == {0.2}
    assert net.config == {
        "name": "spiking_resnet18", "neuron": "LIF", "image_size": 16, **arguments, **options
    }  # fmt: skip
    assert create(**net.config).config == net.config


def test_relu_forces_a_single_step():
    net = create("snn5_noAP", "relu", T=6)
    assert (net.T, net.config["T"]) == (1, 1)


def test_plif_starts_at_the_given_time_constant():
    net = models.create_model("snn5_noAP", "plif", tau=3.0)
    assert [node.tau for node in neurons(net)] == pytest.approx([3.0] * 5)


def test_fresh_weights_follow_the_originals_initialisation():
    net = models.create_model("spiking_resnet18")
    conv = net.layer3[0].conv1
    assert conv.weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)
    assert conv.bias.abs().max().item() <= (128 * 9) ** -0.5
    assert conv.bias.any()
    assert not net.linear.bias.any()

    vgg = models.create_model("spiking_vgg11_bn")
    assert not vgg.layer3[0].bias.any()
    assert vgg.classifier[1].weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not vgg.classifier[1].bias.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "spiking_resnet19"}, "unknown model 'spiking_resnet19'; did you mean spiking_resnet18"),
        ({"name": "snn5_noap"}, "unknown model 'snn5_noap'; did you mean snn5_noAP"),
        ({"neuron": "CLIFF"}, "unknown neuron 'CLIFF'; did you mean CLIF"),
        ({"surrogate": "sigmoidal"}, "unknown surrogate 'sigmoidal'; did you mean sigmoid"),
        ({"v_rest": 0.0}, "unknown option of the neuron CLIF 'v_rest'; did you mean v_reset"),
        ({"neuron": "relu", "v_reset": 0.0}, "unknown option of the neuron .* 'v_reset'"),
        ({"tau": 1.0}, r"tau must be a finite number greater than 1 .*try tau=2\.0"),
        ({"num_classes": 0}, "num_classes must be a whole number of at least 1, got 0"),
        ({"num_classes": 2.5}, r"num_classes must be a whole number of at least 1, got 2\.5"),
        ({"in_channels": True}, "in_channels must be a whole number of at least 1, got True"),
        ({"T": 0}, "T must be a whole number of at least 1 time step, got 0"),
        ({"drop_rate": 1.0}, r"the dropout rate must be in \[0, 1\), got 1\.0"),
        ({"image_size": 8}, "image_size=8 is too small for this network"),
        ({"name": "spiking_vgg11_bn", "image_size": 16}, "needs image_size ≥ 32, got 16"),
    ],
)
def test_wrong_arguments_are_refused_with_the_mend(arguments, message):
    with pytest.raises(InputError, match=message):
        create(**{"name": "snn5_noAP", **arguments})


def test_scalars_of_numpy_and_torch_are_kept_as_numbers(tmp_path):
    labels = torch.tensor([2, 0, 1])
    options = {"in_channels": np.int64(1), "T": np.int64(2), "drop_rate": np.float32(0)}
    net = models.create_model("snn4", num_classes=labels.max() + 1, **options)
    clif.export.to_safetensors(net, tmp_path / "net.safetensors")
    assert clif.load(tmp_path / "net.safetensors").config["num_classes"] == 3


class NeedsBeta(SpikingNeuron):
    def __init__(self, beta, **options):
        super().__init__(**options)
        self.beta = beta

    def step(self, x, v):
        u = v * self.beta + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


class Fixed(NeedsBeta):
    def __init__(self):
        super().__init__(0.5)


@pytest.fixture
def own(monkeypatch):
    """Registers a class of neurons under its name until the end of a test."""

    def register(kind):
        monkeypatch.setitem(NEURONS, kind.__name__, kind)
        monkeypatch.setattr(kind, "neuron", kind.__name__)

    return register


def test_a_missing_option_of_a_neuron_is_named(own):
    own(NeedsBeta)
    message = r"the neuron NeedsBeta needs beta; give a value, as in beta=…, or define a default in __init__ of NeedsB"
    with pytest.raises(InputError, match=message):
        create("snn5_noAP", "NeedsBeta")
    with pytest.raises(InputError, match=message):
        clif.convert(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "NeedsBeta")
    with pytest.raises(InputError, match=message):
        clif.neurons.exchange_neurons(nn.Sequential(nn.Linear(2, 2), clif.LIFNode()), "NeedsBeta")
    assert create("snn5_noAP", "NeedsBeta", beta=0.5).config["beta"] == 0.5


def test_a_surrogate_that_a_neuron_does_not_take_is_refused(own):
    own(Fixed)
    create("snn5_noAP", "Fixed")
    with pytest.raises(InputError, match=r"Fixed takes no surrogate_function, so 'sigmoid' has no effect; pass"):
        create("snn5_noAP", "Fixed", surrogate="sigmoid")
