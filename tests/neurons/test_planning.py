"""A neuron's plan is kept between calls, and made again if something that its step reads changes."""

import copy
import pickle

import pytest
import torch
from torch import nn

import clif
from clif import surrogate

CHANGES = {
    "tau": lambda node: setattr(node, "tau", 3.0),
    "v_threshold": lambda node: setattr(node, "v_threshold", 0.5),
    "v_reset": lambda node: setattr(node, "v_reset", -0.5),
    "decay_input": lambda node: setattr(node, "decay_input", True),
    "surrogate": lambda node: setattr(node, "surrogate_function", surrogate.Sigmoid(2.0)),
    "detach_reset": lambda node: setattr(node, "detach_reset", True),
    "a learnt constant": lambda node: setattr(node, "tau", nn.Parameter(torch.tensor(3.0))),
    "a buffer": lambda node: (delattr(node, "tau"), node.register_buffer("tau", torch.tensor(4.0))),
}


def computed(node):
    x = torch.randn(4, 2, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    node.reset()
    spikes = node(x)
    spikes.backward(torch.linspace(-1, 1, spikes.numel(), dtype=torch.float64).view_as(spikes))
    return spikes.detach(), node.v.detach(), x.grad


@pytest.mark.parametrize("change", CHANGES)
def test_a_call_after_a_change_computes_with_the_new_value(change):
    node = clif.CLIFNode(step_mode="m", v_reset=None)
    before = computed(node)
    CHANGES[change](node)
    fresh = clif.CLIFNode(step_mode="m", backend="torch")
    CHANGES[change](fresh)
    after = computed(node)
    for got, expected in zip(after, computed(fresh), strict=True):
        assert torch.allclose(got, expected, rtol=1e-10, atol=1e-12)
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_a_buffer_that_changes_in_place_is_read_at_every_call():
    node = clif.LIFNode(step_mode="m")
    CHANGES["a buffer"](node)
    before = computed(node)
    node.tau.fill_(1.5)
    after, expected = computed(node), computed(clif.LIFNode(tau=1.5, step_mode="m"))
    assert all(torch.equal(got, want) for got, want in zip(after, expected, strict=True))
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_tensor_that_changes_in_place_is_read_at_every_call(backend):
    tau = torch.tensor(4.0)
    node = clif.LIFNode(tau=tau, step_mode="m", backend=backend)
    before = computed(node)
    tau.fill_(2.0)
    after, expected = computed(node), computed(clif.LIFNode(tau=2.0, step_mode="m", backend=backend))
    assert all(torch.equal(got, want) for got, want in zip(after, expected, strict=True))
    assert not torch.equal(before[1], after[1])


def test_a_tensor_is_learnt_after_a_call_without_gradients():
    tau = torch.tensor(2.0, requires_grad=True)
    node, x = clif.LIFNode(tau=tau, step_mode="m"), torch.rand(4, 2, 30)
    with torch.no_grad():
        node(x)
    node.reset()
    node(x).sum().backward()
    found, tau.grad = tau.grad, None
    clif.LIFNode(tau=tau, step_mode="m")(x).sum().backward()
    assert torch.equal(found, tau.grad)


def test_a_method_replaced_on_the_object_after_a_call_goes_to_pytorch():
    node, x = clif.LIFNode(step_mode="m"), torch.rand(3, 2, 5)
    node(x)
    node.fire = lambda u: (u >= 0.1).to(u.dtype)
    name, reason = clif.backend_for(node, x)
    assert name == "torch"
    assert "fire of this LIFNode was replaced on the object" in reason


def test_a_step_replaced_on_the_class_after_a_call_is_traced_anew(monkeypatch):
    node, x = clif.LIFNode(step_mode="m"), torch.rand(3, 2, 5)
    node(x)
    monkeypatch.setattr(clif.LIFNode, "step", lambda self, x, v: (self.fire(x), v + 7))
    node.reset()
    node(x)
    assert torch.equal(node.v, torch.full((2, 5), 21.0))


def test_a_step_replaced_on_the_class_is_that_of_its_function_too(monkeypatch):
    x_seq = torch.rand(3, 2, 5)
    clif.functional.lif_multi_step(x_seq)
    monkeypatch.setattr(clif.LIFNode, "step", lambda self, x, v: (self.fire(x), v + 7))
    _, (v,) = clif.functional.lif_multi_step(x_seq)
    assert torch.equal(v, torch.full((2, 5), 21.0))


def test_a_called_neuron_is_copied_and_pickled():
    node = clif.CLIFNode(step_mode="m")
    expected = computed(node)
    for other in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        other.tau = 3.0
        assert not torch.equal(computed(other)[1], expected[1])
    assert torch.equal(computed(node)[1], expected[1])
