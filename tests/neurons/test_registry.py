"""Accepted and refused registrations, and steps for which no kernel can be generated: they run in the loop."""

import inspect
import re
import types

import pytest
import torch
from torch import nn

import clif
from clif.errors import InputError
from clif.neurons import registry

X = torch.linspace(-1, 3, 24).view(4, 2, 3)
OTHER = torch.full((), 0.5)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "NEURONS", dict(registry.NEURONS))


class Plain(clif.SpikingNeuron):
    def step(self, x, v):
        u = v + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


def variant(step=Plain.step, name="Variant", base=clif.SpikingNeuron, **attributes):
    """A class with that name in this module, and with its own step."""
    own = {} if step is None else {"step": step}
    return type(name, (base,), {**own, **attributes, "__module__": __name__, "__qualname__": name})


def taking(*names):
    """A step whose arguments after the input have these names."""

    def step(*arguments):
        return arguments[1:]

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    step.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in ("self", "x", *names)])
    return step


@pytest.mark.parametrize(
    ("step", "attributes", "message"),
    [
        (taking("u"), {}, r"takes u after the input; .* say v: use these names in this order"),
        (taking(), {}, "takes nothing after the input"),
        (taking("k", "v"), {"learnable": {"k": "layer"}}, "takes k, v after the input; .* say v, k"),
        (taking("m", "v"), {"states": {"v": 0.0, "m": 0.0}}, "takes m, v .* say v, m"),
        (taking("v", "k"), {}, "takes v, k after the input; .* say v:"),
        (taking("v", "k"), {"learnable": {"k": "neuron"}}, r'"layer" .* or "channel" .*, not \'neuron\''),
        (None, {}, r"Variant has no step: define step\(self, x, v\)"),
        (None, {"states": {"v": 0.0, "a": 0.0}, "learnable": {"k": "layer"}}, r"define step\(self, x, v, a, k\)"),
    ],
)
def test_a_class_that_is_no_neuron_is_refused(step, attributes, message):
    with pytest.raises(InputError, match=message):
        clif.register_neuron("Variant")(variant(step, **attributes))
    assert "Variant" not in registry.NEURONS


@pytest.mark.parametrize("kind", [nn.ReLU, nn.Module, object, Plain(), lambda: Plain()])
def test_only_spiking_neurons_are_registered(kind):
    with pytest.raises(InputError, match=r"takes a class derived from clif\.SpikingNeuron"):
        clif.register_neuron("Variant")(kind)


@pytest.mark.parametrize("name", ["", "my neuron", "1st", "a-b", 3, None])
def test_a_name_is_an_identifier(name):
    with pytest.raises(InputError, match="takes a name of letters, digits and _"):
        clif.register_neuron(name)


def test_the_same_class_again_replaces_it():
    first, second = (clif.register_neuron("Variant")(variant()) for _ in range(2))
    assert first is not second
    assert registry.NEURONS["Variant"] is second


def test_the_same_class_under_another_spelling_replaces_it():
    clif.register_neuron("Variant")(variant())
    second = clif.register_neuron("VARIANT")(variant())
    assert [name for name in registry.NEURONS if name.lower() == "variant"] == ["VARIANT"]
    assert registry.spiking_neuron("variant") is second


@pytest.mark.parametrize("name", ["CLIF", "clif", "Clif", "relu", "Variant", "vARIANT"])
def test_a_name_that_is_taken_is_refused(name):
    known = clif.register_neuron("Variant")(variant())
    with pytest.raises(InputError, match=rf"the name '{name}' is taken by .*; give Other another"):
        clif.register_neuron(name)(variant(name="Other"))
    assert registry.NEURONS["Variant"] is known


def test_bare_the_name_is_that_of_the_class():
    kind = clif.register_neuron(variant(name="Bare"))
    assert (registry.NEURONS["Bare"], kind.neuron) == (kind, "Bare")


def test_states_may_be_a_property():
    def make(self, rest=0.0):
        clif.SpikingNeuron.__init__(self, step_mode="m")
        self.level = rest

    def step(self, x, v, a):
        spike = self.fire(v + x + a)
        return spike, self.reset_after(v + x, spike), a * 0.5

    states = property(lambda self: {"v": 0.0, "a": self.level})
    kind = clif.register_neuron("Variant")(variant(step, __init__=make, states=states))
    assert clif.backend_for(kind(0.7), X)[0] == "cpu"
    for rest in (0.0, 0.7):
        node = kind(rest)
        assert node.a == rest
        node(X)
        assert torch.equal(node.a, torch.full((2, 3), rest) * 0.5**4)


def test_states_begin_at_rest():
    def step(self, x, v, a):
        spike = self.fire(v + x)
        return spike, v, a

    node = variant(step, states={"v": 0.0, "a": -1.5})(v_reset=-0.25, step_mode="m")
    assert (node.v, node.a) == (-0.25, -1.5)
    node(torch.zeros(2, 3, 4))
    assert node.v.unique().item() == -0.25
    assert node.a.unique().item() == -1.5
    assert variant(step, states={"v": 0.5, "a": 0.0})().v == 0.5


def test_v_seq_needs_v():
    def step(self, x, u):
        spike = self.fire(u + x)
        return spike, self.reset_after(u + x, spike)

    node = variant(step, states={"u": 0.0})(step_mode="m", store_v_seq=True)
    with pytest.raises(InputError, match="store_v_seq keeps the state v, and Variant has u"):
        node(X)


def learning(of, **parameters):
    def step(self, x, v, k):
        spike = self.fire(v + x * k)
        return spike, v

    node = variant(step, learnable={"k": of})(step_mode="m")
    for name, value in parameters.items():
        setattr(node, name, nn.Parameter(value))
    return node


def test_a_learnable_must_be_set():
    with pytest.raises(InputError, match=r"declares 'k' as learnable but has no parameter .* set self\.k"):
        learning("layer")(X)


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("size", [1, 4])
def test_a_learnable_has_the_channels_of_the_input(size, step_mode):
    node = learning("channel", k=torch.ones(size))
    node.step_mode = step_mode
    with pytest.raises(InputError, match=rf"k of Variant has one element for every channel, \[{size}\]"):
        node(X)


def test_a_learnable_of_the_layer_is_one_number():
    with pytest.raises(InputError, match="k of Variant must be a tensor of one element"):
        learning("layer", k=torch.ones(3))(X)
    learning("layer", k=torch.ones(1))(X)


def random(self, x, v):
    u = v + x + 0 * torch.rand_like(x)
    return self.fire(u), u


def branch(self, x, v):
    u = v + x
    if u.max() > 1e9:
        u = u * 2
    return self.fire(u), u


def comparison(self, x, v):
    u = v + x
    return self.fire(u), (u if u.sum() < 1e9 else v)


def cast(self, x, v):
    u = (v + x).float()
    return self.fire(u), u


def written(self, x, v):
    self.last = v + x
    return self.fire(v + x), v + x


def captured(self, x, v):
    u = v + x + OTHER * 0
    return self.fire(u), u


@pytest.mark.parametrize(
    ("step", "line", "why"),
    [
        (random, 1, "a random draw"),
        (branch, 2, r"a kernel has no tensor\.max"),
        (comparison, 2, r"a kernel has no tensor\.sum"),
        (cast, 1, "a cast"),
        (written, 1, r"self\.last is written"),
        (captured, 1, "a tensor that is not an argument of step"),
    ],
)
def test_what_kernels_cannot_do_runs_in_the_loop(step, line, why):
    # `refuse` searches a frame with this name, which a method would have
    step = types.FunctionType(step.__code__.replace(co_name="step"), step.__globals__, "step")
    node, plain = variant(step)(step_mode="m"), variant(lambda self, x, v: (self.fire(v + x), v + x))(step_mode="m")
    backend, reason = clif.backend_for(node, X)
    number = inspect.getsourcelines(step)[1] + line
    assert backend == "torch"
    assert re.search(rf"test_registry\.py, line {number} \(.*\): {why}", reason), reason
    assert torch.equal(node(X), plain(X))
    assert torch.equal(node.v, plain.v)


def attribute(self, x, v, k):
    del k
    u = v + x * self.k
    return self.fire(u), u


def test_a_parameter_read_from_self_is_refused_by_kernels_and_runs():
    step = types.FunctionType(attribute.__code__.replace(co_name="step"), attribute.__globals__, "step")
    node = variant(step, learnable={"k": "layer"})(step_mode="m")
    node.k = nn.Parameter(torch.tensor(0.5))
    backend, reason = clif.backend_for(node, X)
    assert backend == "torch"
    assert f"line {inspect.getsourcelines(step)[1] + 2}" in reason
    assert "self.k is learnt" in reason
    node(X).sum().backward()
    assert node.k.grad is not None
