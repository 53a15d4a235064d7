"""The shared rule of all registries of names, tested on networks and surrogates; neurons have separate tests."""

import math

import pytest
import torch

import clif
from clif.errors import InputError
from clif.models import create_model, list_models, register_model
from clif.models.plain import PlainSNN
from clif.models.registry import _MODELS
from clif.registration import register
from clif.surrogate import SURROGATES, Surrogate, register_surrogate
from clif.train.config import resolve


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    monkeypatch.setattr("clif.models.registry._MODELS", dict(_MODELS))
    monkeypatch.setattr("clif.surrogate.SURROGATES", dict(SURROGATES))


def network(name="small"):
    def function(**options):
        return PlainSNN([(4, 3, 1), "pool"], **options)

    function.__name__, function.__qualname__ = name, f"network.{name}"
    return function


def shape(name="Gauss", **attributes):
    def derivative(self, x):
        return self.alpha * torch.exp(-((self.alpha * x) ** 2))

    return type(name, (Surrogate,), {"derivative": derivative, "__module__": __name__, **attributes})


def test_a_network_goes_by_its_own_name_or_another():
    assert register_model(function := network()) is function
    register_model("other")(network("third"))
    assert {"small", "other"} <= set(list_models())
    assert "third" not in list_models()
    assert create_model("other", T=2, image_size=8)(torch.randn(1, 3, 8, 8)).shape == (2, 1, 10)


def test_the_same_function_again_replaces_it():
    register_model(network())
    again = register_model(network())
    assert len([name for name in list_models() if name == "small"]) == 1
    assert create_model("small", T=1, image_size=8).config["name"] == "small"
    assert register_model("SMALL")(again) is again
    assert [name for name in list_models() if name.lower() == "small"] == ["SMALL"]


@pytest.mark.parametrize("name", ["small", "Small", "spiking_vgg11_bn"])
def test_a_name_of_another_function_is_refused(name):
    register_model(network())
    with pytest.raises(InputError, match=rf"the name '{name}' is taken by .*; give other another"):
        register_model(name)(network("other"))


@pytest.mark.parametrize("register", [register_model, register_surrogate])
@pytest.mark.parametrize("name", ["", "my net", "a-b", 3, None])
def test_a_name_is_an_identifier(register, name):
    with pytest.raises(InputError, match=r"^register_\w+ takes a name of letters, digits and _"):
        register(name)


def test_a_network_is_a_function():
    with pytest.raises(InputError, match="takes a function that returns a SpikingNetwork, got 3"):
        register_model("three")(3)


def test_the_arguments_of_a_network_are_checked():
    with pytest.raises(
        InputError,
        match=r"register_model\('few'\) takes a function of neuron, num_classes, in_channels, T, drop_rate, image_size "
        "by name: got an unexpected keyword argument 'num_classes'",
    ):
        register_model("few")(lambda neuron: neuron)
    assert "few" not in list_models()


@pytest.mark.parametrize("returned", [None, torch.nn.Linear(2, 2)])
def test_a_function_that_returns_no_network_is_named(returned):
    register_model("mine")(lambda **_: returned)
    with pytest.raises(InputError, match=r"model mine must return a SpikingNetwork, got (NoneType|Linear); clif\.wrap"):
        create_model("mine")


def test_a_network_has_the_number_of_steps_that_is_asked_for():
    register_model("fixed")(lambda **_: create_model("snn4", T=4))
    assert create_model("fixed", T=4).T == 4
    with pytest.raises(InputError, match="the function of the model fixed got T=2, but its network has T=4"):
        create_model("fixed", T=2)


def test_a_surrogate_is_taken_by_name_everywhere():
    register_surrogate(shape())
    node = clif.LIFNode(surrogate_function="gauss:2", backend="torch")
    x = torch.full([1, 3], 0.5, requires_grad=True)
    node(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full([1, 3], 2 / math.e))
    net = create_model("snn5_noAP", "LIF", surrogate="Gauss:0.5", T=1)
    assert net.config["surrogate"] == "gauss:0.5"
    assert resolve(surrogate="GAUSS:3").surrogate == "gauss:3"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("Sigmoid", shape(), r"the name 'sigmoid' is taken by clif\.surrogate\.Sigmoid; give Gauss another"),
        ("mine", torch.nn.ReLU, "takes a class derived from clif.surrogate.Surrogate"),
        ("mine", type("Bare", (Surrogate,), {}), r"that defines derivative\(self, x\)"),
        ("mine", shape(__init__=lambda _: None), r"must accept Gauss\(\) and Gauss\(alpha\)"),
    ],
)
def test_a_surrogate_that_does_not_fit_is_refused(name, kind, message):
    with pytest.raises(InputError, match=message):
        register_surrogate(name)(kind)


def made(text="first", module="notebook"):
    """A function like one that a cell of a notebook defines."""

    def thing():
        return text

    thing.__module__, thing.__qualname__, thing.__name__ = module, "thing", "thing"
    return thing


def test_bare_the_name_is_its_own_and_the_thing_stays():
    registry, thing = {}, made()
    assert register(registry, "register_x", thing) is thing
    assert register(registry, "register_x", "Other")(thing) is thing
    assert registry == {"thing": thing, "Other": thing}


def test_the_same_place_replaces_and_another_is_refused():
    registry = {}
    register(registry, "register_x", made())
    again = register(registry, "register_x", "THING")(made("second"))
    assert registry == {"THING": again}
    with pytest.raises(InputError, match=r"the name 'Thing' is taken by notebook\.thing; give thing another"):
        register(registry, "register_x", "Thing")(made(module="elsewhere"))


@pytest.mark.parametrize("name", ["two words", "", 3, None])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InputError, match="register_x takes a name of letters, digits and _, such as"):
        register({}, "register_x", name)


@pytest.mark.parametrize("function", [lambda a: a, lambda a, b, c: (a, b, c), lambda a, *, b: (a, b)])
def test_the_arguments_of_a_function_are_checked(function):
    with pytest.raises(InputError, match=r"register_x\('a'\) takes a function of first, second: (too many|missing)"):
        register(registry := {}, "register_x", "a", ("first", "second"))(function)
    assert registry == {}


@pytest.mark.parametrize("function", [lambda a, b: (a, b), lambda *a: a, lambda a, b, c=1: (a, b, c), min])
def test_a_function_may_take_more_arguments_by_default(function):
    register(registry := {}, "register_x", "a", ("first", "second"))(function)
    assert registry == {"a": function}


def test_a_class_whose_argument_has_another_meaning_is_refused():
    class Lion(torch.optim.SGD):
        def __init__(self, params, lr=1e-4):
            super().__init__(params, lr)

    with pytest.raises(
        InputError, match=r"takes a function of groups, config, but config would be its lr=0.0001; write"
    ):
        register({}, "register_optimizer", Lion, ("groups", "config"))


def test_what_is_neither_function_nor_class_is_refused():
    with pytest.raises(InputError, match=r"register_x\('a'\) takes a function or a class, got 3"):
        register({}, "register_x", "a")(3)
