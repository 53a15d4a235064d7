"""Unusual steps, and later changes of what they read: kernels compute the same as the loop."""

import copy
from functools import partial
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

import clif
from clif.errors import InputError

X = torch.linspace(-1, 3, 48).view(4, 2, 6).sin() * 2


def assert_as_the_loop(node):
    """Assert that a backend computes the present step, with the loop's spikes, state and gradient; returns its name."""
    loop = copy.deepcopy(node)
    loop.backend = "torch"
    results = []
    for one in (node, loop):
        one.reset()
        x = X.clone().requires_grad_()
        spikes = one(x)
        results.append([spikes, *one.state, torch.autograd.grad((spikes * X).sum() + one.v.sum(), x)[0]])
    torch.testing.assert_close(*results)
    return clif.backend_for(node, X)[0]


class Mask(clif.SpikingNeuron):
    def step(self, x, v):
        u = v + x
        spike = u >= self.v_threshold
        return spike, torch.where(spike, 0.0, u)


def test_a_comparison_may_be_the_spike():
    with torch.no_grad():
        spikes = Mask(step_mode="m")(X)
        assert "cannot be traced" not in clif.backend_for(Mask(step_mode="m"), X)[1]
    assert torch.equal(spikes, Mask(step_mode="m", backend="torch")(X))


class Stateless(clif.SpikingNeuron):
    states = {}

    def step(self, x):
        return (self.fire(x),)


def test_a_neuron_without_state_runs_in_the_loop():
    node = Stateless(step_mode="m")
    backend, why = clif.backend_for(node, X)
    assert (backend, "Stateless has no state" in why) == ("torch", True)
    assert torch.equal(node(X), (X >= 1).float())


LEAK, TABLE, SETTINGS = 0.5, [1.0, 2.0], ModuleType("settings")
SETTINGS.scale = 1.0
OBJECT = SimpleNamespace(gain=1.0)


def leaked(v):
    return v * LEAK * TABLE[0] * SETTINGS.scale


class Reading(clif.SpikingNeuron):
    """A step that reads a constant of the module, one of the class, a helper and attributes."""

    gain = 1.0

    def weighted(self, x):
        return x * self.gain

    def step(self, x, v):
        u = leaked(v) + self.weighted(x) * (2.0 if self.doubles else 1.0)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


CHANGES = {
    "constant of the module": (lambda patch: patch.setitem(globals(), "LEAK", 0.9)),
    "element of a list": (lambda patch: patch.setitem(globals(), "TABLE", [0.8, 2.0])),
    "constant of another module": (lambda patch: patch.setattr(SETTINGS, "scale", 0.7)),
    "function of the module": (lambda patch: patch.setitem(globals(), "leaked", lambda v: v * 0.1)),
    "constant of the class": (lambda patch: patch.setattr(Reading, "gain", 0.3)),
    "method of the class": (lambda patch: patch.setattr(Reading, "weighted", lambda self, x: x * self.gain * 0.4)),
}


def assert_follows(node, backend, change, monkeypatch):
    """The change gives other spikes, which the backend computes as the loop does."""
    node.reset()
    before = node(X)
    change(monkeypatch)
    assert assert_as_the_loop(node) == backend
    node.reset()
    assert not torch.equal(node(X), before)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_step_reads_may_change(change, monkeypatch):
    node = Reading(step_mode="m")
    node.doubles = False
    backend = assert_as_the_loop(node)
    assert_follows(node, backend, change, monkeypatch)


class Constants:
    gain = 1.0


def times(factor, v):
    return factor * v


HALF, NESTED, ARRAY, TENSOR = partial(times, 0.5), {"lif": {"leak": 0.5}}, np.array([0.5]), torch.tensor(0.5)

READ = {
    "v * OBJECT.gain": lambda patch: patch.setattr(OBJECT, "gain", 0.3),
    "v * OBJECT.gain + x * 0": lambda patch: patch.setitem(globals(), "OBJECT", SimpleNamespace(gain=0.2)),
    "v * Constants.gain": lambda patch: patch.setattr(Constants, "gain", 0.3),
    "HALF(v)": lambda patch: patch.setitem(globals(), "HALF", partial(times, 0.9)),
    "v * NESTED['lif']['leak']": lambda patch: patch.setitem(NESTED["lif"], "leak", 0.9),
    "v * float(ARRAY[0])": lambda patch: patch.setitem(globals(), "ARRAY", np.array([0.9])),
    "v * TENSOR.item()": lambda patch: patch.setitem(globals(), "TENSOR", torch.tensor(0.9)),
    "v * self.own.gain": lambda patch: patch.setattr(OBJECT, "gain", 0.3),
}


@pytest.mark.parametrize(("leaked", "change"), READ.items(), ids=READ)
def test_an_object_that_a_step_reads_may_change(leaked, change, monkeypatch):
    scope = {}
    exec(f"def step(self, x, v):\n    u = {leaked} + x\n    return self.fire(u), u - self.fire(u)", globals(), scope)
    node = type("Read", (clif.SpikingNeuron,), {"step": scope["step"], "own": OBJECT})(step_mode="m")
    backend = assert_as_the_loop(node)
    assert backend != "torch" or clif.backend_for(clif.LIFNode(step_mode="m"), X)[0] == "torch"
    assert_follows(node, backend, change, monkeypatch)


def test_code_without_a_module_is_the_users():
    scope = {}
    source = "def leaked(v):\n    return v * 0.5\n\n\ndef step(self, x, v):\n    return self.fire(v + x), leaked(v) + x"
    exec(source, scope)
    assert scope["step"].__module__ is None
    for own in ({}, {"__module__": None}):
        kind = type("WithoutModule", (clif.SpikingNeuron,), {"step": scope["step"], **own})
        assert_as_the_loop(kind(step_mode="m"))


gain = torch.tensor(0.5)


def test_an_object_with_the_name_of_an_attribute_is_not_read():
    node = Reading(step_mode="m")
    node.doubles = False
    assert "gain" in globals()
    assert node.equations().plan is node.equations().plan


class ByDtype(clif.SpikingNeuron):
    def step(self, x, v):
        u = v * (0.25 if x.dtype == torch.float32 else 0.75) + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


def test_a_branch_on_the_dtype_runs_in_the_loop():
    node = ByDtype(step_mode="m")
    assert assert_as_the_loop(node) == "torch"
    assert "a branch on the dtype" in clif.backend_for(node, X)[1]


class Levels(clif.SpikingNeuron):
    """Sums and products of comparisons, which PyTorch computes as logical ones, beyond the values of the check."""

    def step(self, x, v):
        u = 0.5 * v + x
        spike = self.fire(u)
        high = (u > 50) + (u > 60)
        return spike, self.reset_after(u, spike) + 0.125 * high + ((u > 70) * (u < 90) + (u > 75)) * 0.25


def test_comparisons_add_and_multiply_as_in_pytorch():
    node = Levels(step_mode="m")
    x = torch.tensor([[55.0, 65.0, 72.0, 80.0, 95.0]]).repeat(2, 1)
    node(x)
    loop = copy.deepcopy(node)
    loop.backend = "torch"
    loop.reset()
    loop(x)
    assert torch.equal(node.v, loop.v)


class Pooled(clif.SpikingNeuron):
    def step(self, x, v):
        u = v + x
        return self.fire(u).sum(), u


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_spike_of_another_shape_is_refused(step_mode):
    with pytest.raises(InputError, match=r"step of Pooled returned \[\] for the spike of an input \[2, 6\]"):
        Pooled(step_mode=step_mode)(X if step_mode == "m" else X[0])


@pytest.mark.parametrize("value", [True, 1, np.bool_(True), np.float32(1), np.int64(1), torch.tensor(1.0)])
def test_attributes_may_be_set_later(value):
    node = Reading(step_mode="m")
    node.doubles = False
    backend = assert_as_the_loop(node)
    node.doubles = value
    assert assert_as_the_loop(node) == backend


@pytest.mark.parametrize(("name", "value"), [("weighted", lambda x: x * 3), ("fire", lambda u: (u > 2).to(u.dtype))])
def test_a_method_replaced_on_the_object_runs_in_the_loop(name, value):
    node = Reading(step_mode="m")
    node.doubles = False
    setattr(node, name, value)
    assert assert_as_the_loop(node) == "torch"
    assert f"{name} of this Reading was replaced on the object" in clif.backend_for(node, X)[1]


def test_what_a_step_does_not_read_may_be_replaced():
    node = clif.LIFNode(step_mode="m")
    backend = assert_as_the_loop(node)
    node.extra_repr = lambda: "mine"
    assert assert_as_the_loop(node) == backend


class Swapped(clif.SpikingNeuron):
    states = {"v": 0.0, "w": 0.0}

    def step(self, x, w, v):
        spike = self.fire(v + x)
        return spike, self.reset_after(v + x, spike), w


class Numbered(clif.SpikingNeuron):
    states = {"v": 0.0, "w": 0.0}

    def step(self, x, v, w):
        spike = self.fire(v + x)
        return spike, self.reset_after(v + x - w, spike), 0.5


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_states_in_another_order_are_refused_without_registration_too(backend):
    with pytest.raises(InputError, match=r"Swapped\.step takes w, v after the input; .* say v, w: use these names"):
        Swapped(step_mode="m", backend=backend)(X)


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_number_in_place_of_a_state_is_refused_by_name(backend):
    with pytest.raises(InputError, match=r"step of Numbered returned 0\.5 for w; it must return tensors"):
        Numbered(step_mode="m", backend=backend)(X)


@pytest.mark.parametrize("name", ["reset", "check", "constants", "equations", "memory", "state_names", "type", "float"])
def test_an_attribute_in_the_place_of_a_method_is_refused(name):
    node = clif.LIFNode()
    with pytest.raises(
        InputError, match=f"{name} is a (method|property) of every neuron; give the attribute of LIFNode"
    ):
        setattr(node, name, "fast")
    assert not isinstance(getattr(node, name), str)


@pytest.mark.parametrize("name", ["mode", "rest", "start", "kind", "model", "gain"])
def test_other_names_are_free(name):
    node = clif.LIFNode()
    setattr(node, name, "fast")
    assert getattr(node, name) == "fast"


@pytest.mark.parametrize("declared", ["states", "learnable"])
@pytest.mark.parametrize("name", ["reset", "state", "training", "v_seq", "fire", "backend"])
def test_a_state_that_would_hide_something_is_refused(declared, name):
    with pytest.raises(InputError, match=f"Hiding declares '{name}', which every neuron has already"):
        type("Hiding", (clif.SpikingNeuron,), {declared: {name: 0.0 if declared == "states" else "layer"}})


@pytest.mark.parametrize("name", ["v_threshold", "v_reset", "surrogate_function", "detach_reset"])
def test_a_state_in_the_place_of_a_constant_is_refused(name):
    with pytest.raises(InputError, match=f"Hiding declares the state '{name}', a constant of every neuron"):
        type("Hiding", (clif.SpikingNeuron,), {"states": {"v": 0.0, name: 1.0}})


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"states": ["v"]}, r"Odd\.states is a dictionary such as \{'v': 0\.0\}, got \['v'\]"),
        ({"states": None}, r"Odd\.states is a dictionary"),
        ({"states": {1: 0.0}}, r"Odd\.states is a dictionary"),
        ({"states": {"v": "0"}}, r"Odd\.states: v must be a number, got '0'"),
        ({"states": {"v": None}}, r"Odd\.states: v must be a number, got None"),
        ({"learnable": ("k",)}, r"Odd\.learnable is a dictionary such as \{'k': 'layer'\}, got \('k',\)"),
        ({"learnable": {"k": "layers"}}, r"learnable\['k'\] of Odd is \"layer\" .* not 'layers'"),
        ({"learnable": {"v": "layer"}}, r"Odd declares 'v' as a state and as learnable"),
    ],
)
def test_declarations_of_another_form_are_refused(declared, message):
    with pytest.raises(InputError, match=message):
        type("Odd", (clif.SpikingNeuron,), declared)


class Gated(clif.SpikingNeuron):
    """The surrogate's sigmoid, of a multiple of u, comes after the sigmoid of a state that changes in between."""

    states = {"v": 0.0, "a": 0.5}

    def step(self, x, v, a):
        u = 0.75 * v + x * torch.sigmoid(a)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike), 0.5 * a + 0.25 * spike


@pytest.mark.parametrize("surrogate", ["rectangle", "sigmoid", "triangle", "atan"])
def test_a_sigmoid_behind_another_reads_states_before_they_change(surrogate):
    assert assert_as_the_loop(Gated(step_mode="m", surrogate_function=surrogate)) == "cpu"
