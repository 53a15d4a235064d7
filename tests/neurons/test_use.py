"""Common uses of neurons: outputs changed in place, inference before training, metrics beside them."""

import pytest
import torch
from torch import nn

import clif
from clif.errors import InputError
from clif.layers import Dropout, LeakyIntegrator, Recurrent

CHANGES = {
    "relu_": (lambda y: y.relu_(), lambda y: y.relu()),
    "mul_": (lambda y: y.mul_(2), lambda y: y * 2),
    "add_": (lambda y: y.add_(1), lambda y: y + 1),
    "mul_ by 0": (lambda y: y.mul_(0), lambda y: y * 0),
}


@pytest.mark.parametrize("options", [{}, {"v_reset": 0.0}, {"detach_reset": True}, {"backend": "torch"}])
@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_spikes_may_be_changed_in_place(Node, change, step_mode, options):
    x_seq = torch.rand(4, 3, 8) * 3
    gradients = []
    for way in change:
        node = Node(step_mode=step_mode, **options)
        x = x_seq.clone().requires_grad_()
        outputs = [way(node(part)) for part in ([x, x] if step_mode == "m" else x)]
        torch.stack(outputs).square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_training_goes_on_from_a_state_of_inference_mode(Node, step_mode):
    net = nn.Sequential(nn.Linear(8, 8), Node(step_mode=step_mode), Dropout(0.5, step_mode), nn.Linear(8, 2))
    x = torch.rand(4, 3, 8)[0 if step_mode == "s" else slice(None)]
    with torch.inference_mode():
        net(x)
    state = net[1].state
    net(x).sum().backward()
    assert net[0].weight.grad.isfinite().all()
    assert state[0].is_inference()


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_state_that_vmap_has_left_is_refused_until_a_reset(Node, step_mode):
    x = torch.rand(4, 3, 8)[0 if step_mode == "s" else slice(None)]
    recurrent = Recurrent(Node(), nn.Linear(8, 8), step_mode)
    for layer in (Node(step_mode=step_mode), LeakyIntegrator(step_mode=step_mode), recurrent):
        torch.vmap(layer)(torch.stack([x, x]))
        with pytest.raises(
            InputError, match=r"kept from a call under torch\.vmap.*call clif\.reset_net\(net\) after that"
        ):
            layer(x)
        clif.reset_net(layer)
        assert layer(x).shape == x.shape


def test_one_object_in_two_layers_is_named_as_the_cause(Node):
    node = Node()
    net = nn.Sequential(nn.Linear(8, 16), node, nn.Linear(16, 4), node)
    with pytest.raises(InputError, match=r"v is \[3, 16\] .* the input \[3, 4\].*one object used in two layers.*reset"):
        net(torch.rand(3, 8))


def test_one_dropout_in_two_layers_is_named_as_the_cause():
    dropout = Dropout(0.5)
    dropout(torch.rand(3, 8))
    with pytest.raises(InputError, match="used in two layers"):
        dropout(torch.rand(3, 4))
    with pytest.raises(InputError, match=r"\[2, 8\]; reset before a new batch"):
        dropout(torch.rand(2, 8))


class Metric(nn.Module):
    """A module that has `reset` and `detach` but does not spike, like those of torchmetrics."""

    total = 0

    def reset(self):
        self.total = 0

    def detach(self):
        self.total = 0


def test_reset_and_detach_leave_other_modules_alone(Node):
    net = nn.ModuleDict({"node": Node(), "metric": Metric(), "dropout": Dropout(0.5)})
    net["metric"].total = 7
    net["dropout"](net["node"](torch.rand(3, 8)))
    clif.detach_net(net)
    clif.reset_net(net)
    assert net["metric"].total == 7
    assert net["node"].state is None
    assert net["dropout"].mask is None


def test_a_network_whose_reset_calls_reset_net_does_not_call_itself(Node):
    class Net(nn.Sequential):
        def reset(self):
            clif.reset_net(self)

    net = Net(nn.Linear(8, 4), Node())
    net(torch.rand(3, 8))
    net.reset()
    assert net[1].state is None


class Delayed(clif.SpikingNeuron):
    """Fires by the input of the step before, and keeps its last spike."""

    states = {"v": 0.0, "x_before": 0.0, "last": 0.0}

    def step(self, x, v, x_before, last):
        u = v / 2 + x_before - last / 4
        spike = self.fire(u)
        return spike, self.reset_after(u, spike), x, spike.detach()


MEMORIES = {
    "states that are the input and the spike": Delayed,
    "the same in PyTorch": lambda: Delayed(backend="torch"),
    "the same with v of every step": lambda: Delayed(store_v_seq=True),
    "LeakyIntegrator": LeakyIntegrator,
    "LeakyIntegrator with decay_input": lambda: LeakyIntegrator(decay_input=True),
    "Recurrent": lambda: Recurrent(clif.LIFNode(), nn.Identity()),
    "Recurrent without a neuron": lambda: Recurrent(nn.Identity(), nn.Softsign()),
}


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("kind", MEMORIES.values(), ids=MEMORIES)
def test_what_a_layer_took_and_returned_may_be_changed_in_place(kind, step_mode):
    x_seq = torch.rand(6, 3, 8) * 2
    x_seq = x_seq if step_mode == "s" else x_seq.split([1, 1, 2, 2])
    changed, expected = kind(), kind()
    for layer in (changed, expected):
        clif.set_step_mode(layer, step_mode)
    with torch.no_grad():
        for x in x_seq:
            buffer, wanted = x.clone(), expected(x)
            y = changed(buffer)
            assert torch.equal(y, wanted)
            y.add_(5)
            buffer.fill_(9)
