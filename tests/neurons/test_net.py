import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import clif
from clif.errors import InputError
from clif.layers import Dropout
from clif.surrogate import Sigmoid


@pytest.fixture
def net(Node):
    """Two layers with their own states and a dropout mask, in single-step mode."""
    first, second = (Node(surrogate_function=Sigmoid()) for _ in range(2))
    return nn.Sequential(nn.Linear(3, 8), first, Dropout(0.5), nn.Sequential(nn.Linear(8, 4), second)).double()


def nodes(net):
    return [module for module in net.modules() if isinstance(module, clif.neurons.SpikingNeuron)]


def inputs(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_reset_net_brings_all_neurons_and_masks_back_to_rest(net):
    net(inputs(2, 3))
    assert net[2].mask is not None
    assert all(node.state is not None for node in nodes(net))
    clif.reset_net(net)
    assert net[2].mask is None
    assert all(node.state is None for node in nodes(net))
    assert net(inputs(5, 3)).shape == (5, 4)


def test_reset_net_acts_on_a_single_neuron(Node):
    node = Node()
    node(torch.ones(2))
    clif.reset_net(node)
    assert node.state is None


def test_detach_net_truncates_the_graph_and_keeps_the_numbers(net):
    first, second = inputs(2, 3).requires_grad_(), inputs(2, 3).requires_grad_()
    twin = copy.deepcopy(net)
    torch.manual_seed(1)
    net(first)
    clif.detach_net(net)
    out = net(second)
    torch.manual_seed(1)
    twin(first)
    assert_close(out, twin(second), rtol=0, atol=0)
    out.sum().backward()
    assert first.grad is None
    assert second.grad.any()


def test_without_detach_net_the_gradient_reaches_the_first_step(net):
    first = inputs(2, 3).requires_grad_()
    net(first)
    net(inputs(2, 3)).sum().backward()
    assert first.grad.any()


def test_detach_net_leaves_neurons_at_rest(net):
    clif.detach_net(net)
    assert all(node.state is None for node in nodes(net))


def test_set_step_mode_sets_every_module_that_has_one(net):
    clif.set_step_mode(net, "m")
    assert [module.step_mode for module in (*nodes(net), net[2])] == ["m"] * 3
    assert net(inputs(5, 2, 3)).shape == (5, 2, 4)
    clif.set_step_mode(net, "s")
    assert [module.step_mode for module in (*nodes(net), net[2])] == ["s"] * 3


def test_both_step_modes_give_the_same_numbers_and_gradients(net):
    x_seq = inputs(5, 2, 3)
    twin = copy.deepcopy(net)
    clif.set_step_mode(twin, "m")
    torch.manual_seed(1)
    one_by_one = torch.stack([net(x) for x in x_seq])
    torch.manual_seed(1)
    many = twin(x_seq)
    assert torch.equal(one_by_one, many)
    g = torch.randn_like(many)
    one_by_one.backward(g)
    many.backward(g)
    assert_close([p.grad for p in net.parameters()], [p.grad for p in twin.parameters()], rtol=1e-10, atol=1e-12)


def test_set_step_mode_refuses_an_unknown_mode_and_changes_nothing(net):
    for module in (net, nn.Linear(1, 1)):
        with pytest.raises(InputError, match='step_mode must be "s"'):
            clif.set_step_mode(module, "x")
    assert {node.step_mode for node in nodes(net)} == {"s"}


def test_set_backend_sets_every_neuron(net):
    clif.set_backend(net, "torch")
    assert [node.backend for node in nodes(net)] == ["torch", "torch"]
    clif.set_backend(net, "auto")
    assert [node.backend for node in nodes(net)] == ["auto", "auto"]


def test_set_backend_refuses_an_unknown_name_with_the_nearest_and_changes_nothing(net):
    with pytest.raises(InputError, match="unknown backend 'trch'; did you mean torch"):
        clif.set_backend(net, "trch")
    assert {node.backend for node in nodes(net)} == {"auto"}


@pytest.mark.parametrize("way", [{}, {"gradient_window": 2}, {"store_v_seq": True}, {"backend": "torch"}])
@pytest.mark.parametrize("T", [1, 4])
def test_without_keep_state_every_sequence_begins_at_rest(net, T, way):
    clif.set_step_mode(net, "m")
    for node in nodes(net):
        vars(node).update(way)
    twin = copy.deepcopy(net)
    clif.set_keep_state(net, False)
    for seed in (1, 2):
        x_seq = inputs(T, 2, 3)
        outputs = []
        for one in (net, twin):
            torch.manual_seed(seed)
            outputs.append(one(x_seq))
            outputs[-1].sum().backward()
        assert torch.equal(*outputs)
        assert all(node.state is None for node in nodes(net))
        assert all(node.state is not None for node in nodes(twin))
        clif.reset_net(net[2])
        clif.reset_net(twin)
    for p, expected in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p.grad, expected.grad)


@pytest.mark.parametrize("store_v_seq", [False, True])
def test_without_keep_state_the_last_state_can_be_looked_at_where_no_gradient_is_recorded(Node, store_v_seq):
    node, twin = (Node(step_mode="m", store_v_seq=store_v_seq).double() for _ in range(2))
    clif.set_keep_state(node, False)
    x_seq = inputs(4, 2, 3)
    with torch.no_grad():
        assert torch.equal(node(x_seq), twin(x_seq))
        for s, expected in zip(node.state, twin.state, strict=True):
            assert torch.equal(s, expected)
        assert torch.equal(node(x_seq), node(x_seq))


def test_single_steps_keep_their_state_in_any_case(net):
    twin = copy.deepcopy(net)
    clif.set_keep_state(net, False)
    for one in (net, twin):
        torch.manual_seed(1)
        one(torch.ones(2, 3, dtype=torch.float64))
    x = inputs(2, 3)
    assert torch.equal(net(x), twin(x))
