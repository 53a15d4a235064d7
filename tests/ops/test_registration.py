"""The form of an operator for each kind of call, and that all forms compute the same."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing import assert_close
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode

import clif
from clif.errors import InputError
from clif.layers import BatchNorm2d
from clif.neurons.blocks import fire
from clif.ops import cpu
from clif.surrogate import Sigmoid

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

CALLS = {"neuron": lambda node, _norm, x: node(x), "norm and neuron": lambda node, norm, x: fire(node, norm, x)}


class Recorder(TorchDispatchMode):
    """The operators that are called within the context."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def node(Node):
    return Node(step_mode="m", surrogate_function=Sigmoid())


@pytest.fixture
def norm():
    return BatchNorm2d(6)


@pytest.fixture
def x():
    return torch.randn(3, 2, 4, 4, 6).permute(0, 1, 4, 2, 3).requires_grad_()


def gradients(spikes, node, x):
    return torch.autograd.grad(spikes.sum(0).square().sum(), [x, *node.parameters()])


@pytest.mark.parametrize("name", CALLS)
def test_an_observer_sees_the_operators_and_changes_no_number(name, node, norm, x):
    call = CALLS[name]
    expected = call(node, norm, x)
    d_expected = gradients(expected, node, x)
    clif.reset_net(node)
    with Recorder() as recorder:
        actual = call(node, norm, x)
        d_actual = gradients(actual, node, x)
    assert [n for n in recorder.names if n.startswith("clif")] == [
        "clif.neuron.default",
        "clif.neuron_backward.default",
    ]
    assert torch.equal(actual, expected)
    assert all(map(torch.equal, d_actual, d_expected))


@pytest.mark.parametrize("name", CALLS)
def test_a_profile_shows_the_operators_by_name(name, node, norm, x):
    with torch.profiler.profile() as profile:
        gradients(CALLS[name](node, norm, x), node, x)
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts["clif::neuron"] == counts["clif::neuronBackward"] == 1


@pytest.mark.parametrize("name", CALLS)
def test_fake_tensors_go_through(name, norm, x, node):
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        spikes = CALLS[name](node, norm, mode.from_tensor(x))
    assert (spikes.shape, spikes.stride()) == (x.shape, x.stride())


def test_a_tensor_with_behaviour_of_its_own_keeps_it(node, x):
    one, two = x.detach(), x.detach() + 0.5
    spikes = node(TwoTensor(one, two))
    assert isinstance(spikes, TwoTensor)
    for actual, plain in ((spikes.a, one), (spikes.b, two)):
        clif.reset_net(node)
        assert torch.equal(actual, node(plain))


def test_several_gradients_at_once(node, x):
    spikes = node(x)
    d_spikes = torch.randn(4, *spikes.shape)
    wanted = [x, *node.parameters()]
    together = torch.autograd.grad(spikes, wanted, d_spikes, retain_graph=True, is_grads_batched=True)
    apart = [torch.autograd.grad(spikes, wanted, d_spike, retain_graph=True) for d_spike in d_spikes]
    assert_close(together, tuple(torch.stack(each) for each in zip(*apart, strict=True)))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_forward_mode_derivatives_are_refused(node, norm, x):
    for call in CALLS.values():
        with torch.autograd.forward_ad.dual_level(), pytest.raises(InputError, match="no forward-mode derivative"):
            call(node, norm, torch.autograd.forward_ad.make_dual(x.detach(), torch.ones_like(x)))
    with pytest.raises(InputError, match=r"use backward\(\), torch\.func\.vjp or jacrev"):
        torch.func.jvp(lambda x: clif.functional.clif_multi_step(x)[0], (x.detach(),), (torch.ones_like(x),))
