"""Activation checkpointing computes modules again in the backward pass; neurons then start from the same state."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import clif
from clif import models
from clif.errors import InputError
from clif.layers import Dropout
from clif.surrogate import Sigmoid


@pytest.fixture(params=[False, True], ids=["", "reentrant"])
def checkpointed(request):
    """A function that checkpoints modules or functions."""
    return lambda function: lambda *inputs: checkpoint(function, *inputs, use_reentrant=request.param)


@pytest.fixture
def block(Node):
    node = Node(step_mode="m", surrogate_function=Sigmoid())
    return nn.Sequential(nn.Linear(5, 8), node, Dropout(0.3, step_mode="m"), nn.Linear(8, 5)).double()


def inputs(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def gradients(loss, *tensors):
    for tensor in tensors:
        tensor.grad = None
    loss.backward()
    return [tensor.grad for tensor in tensors]


def outcome(block, loss, x):
    """Gradients of the loss and the neuron's state afterwards."""
    return [*gradients(loss, x, *block.parameters()), *(s.detach() for s in block[1].state)]


def test_a_block_gets_its_gradients_and_keeps_its_state(block, checkpointed):
    x, results = inputs(4, 2, 5), []
    for run in (block, checkpointed(block)):
        clif.reset_net(block)
        torch.manual_seed(1)
        results.append(outcome(block, run(x).square().sum(), x))
    assert_close(*results, rtol=0, atol=0)


def test_a_state_set_before_is_where_it_starts_again(block, checkpointed):
    x, results = inputs(4, 2, 5), []
    for start in (0.7, torch.full((2, 8), 0.7, dtype=torch.float64)):
        for run in (block, checkpointed(block)):
            clif.reset_net(block)
            block[1].v = start
            torch.manual_seed(1)
            results.append(outcome(block, run(x).square().sum(), x))
    for other in results[1:]:
        assert_close(other, results[0], rtol=0, atol=0)


def test_truncated_back_propagation_goes_on_from_the_detached_state(block, checkpointed):
    windows, results = [inputs(3, 2, 5) for _ in range(2)], []
    for run in (block, checkpointed(block)):
        clif.reset_net(block)
        torch.manual_seed(1)
        for x in windows:
            results.append(outcome(block, run(x).square().sum(), x))
            clif.detach_net(block)
    assert_close(results[:2], results[2:], rtol=0, atol=0)


def test_a_reset_may_come_before_the_backward_pass(block, checkpointed):
    x, results = inputs(4, 2, 5), []
    for run in (block, checkpointed(block)):
        clif.reset_net(block)
        torch.manual_seed(1)
        loss = run(x).square().sum()
        clif.reset_net(block)
        results.append(gradients(loss, x, *block.parameters()))
        assert block[1].state is None
    assert_close(*results, rtol=0, atol=0)


def test_a_function_that_resets_may_call_a_neuron_twice(block, checkpointed):
    def twice(x):
        clif.reset_net(block)
        return block(block(x))

    x, results = inputs(4, 2, 5), []
    for run in (twice, checkpointed(twice)):
        torch.manual_seed(1)
        results.append(outcome(block, run(x).square().sum(), x))
    assert_close(*results, rtol=0, atol=0)


def test_what_cannot_be_computed_again_is_refused(block, checkpointed):
    run = checkpointed(block)
    loss = run(run(inputs(4, 2, 5))).square().sum()
    with pytest.raises(InputError, match=r"called 2 times since its last reset.*clif\.reset_net inside"):
        loss.backward()


def test_calls_without_checkpointing_are_as_before(Node):
    node = Node(surrogate_function=Sigmoid()).double()
    x_seq = inputs(5, 3)
    sum(node(x) for x in x_seq).square().sum().backward()
    one_by_one, x_seq.grad = x_seq.grad, None
    clif.reset_net(node)
    clif.set_step_mode(node, "m")
    node(x_seq).sum(0).square().sum().backward()
    assert_close(x_seq.grad, one_by_one)


def test_a_copy_forgets_the_call(block, checkpointed):
    x = inputs(4, 2, 5)
    checkpointed(block)(x)
    twin = copy.deepcopy(block)
    results = []
    for net, run in ((block, block), (twin, checkpointed(twin))):
        clif.detach_net(net)
        torch.manual_seed(1)
        results.append(outcome(net, run(x).square().sum(), x))
    assert_close(*results, rtol=0, atol=0)


def test_stages_of_a_network():
    net = models.create_model("spiking_resnet18", T=3, surrogate="sigmoid").double()
    twin = copy.deepcopy(net)
    for stage in (twin.layer1, twin.layer3):
        stage.forward = lambda x, forward=stage.forward: checkpoint(forward, x, use_reentrant=False)
    image = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    assert_close(*(gradients(n(image).square().sum(), *n.parameters()) for n in (net, twin)), rtol=1e-12, atol=1e-12)
