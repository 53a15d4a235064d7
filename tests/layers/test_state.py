"""Layers with a state: a leaky integrator compared with its equation, recurrent containers with a loop."""

import copy
import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import clif
from clif import layers
from clif.errors import InputError


@settings(max_examples=25, deadline=None)
@given(T=st.integers(1, 6), tau=st.floats(1.01, 50), decay=st.booleans(), seed=st.integers(0, 1000))
def test_the_leaky_integrator_is_the_sum_of_decayed_inputs(T, tau, decay, seed):
    x_seq = torch.randn(T, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights = [[(1 - 1 / tau) ** (t - s) if s <= t else 0.0 for s in range(T)] for t in range(T)]
    expected = torch.einsum("ts,snc->tnc", torch.tensor(weights, dtype=torch.float64), x_seq)
    readout = layers.LeakyIntegrator(tau, decay, step_mode="m")
    assert_close(readout(x_seq), expected / tau if decay else expected)
    single = layers.LeakyIntegrator(tau, decay)
    assert_close(torch.stack([single(x) for x in x_seq]), expected / tau if decay else expected)


def test_an_endless_tau_adds_up():
    assert layers.LeakyIntegrator(math.inf, step_mode="m")(torch.ones(4, 1, 1)).flatten().tolist() == [1, 2, 3, 4]


def test_a_tau_that_is_a_parameter_is_learnt():
    x_seq = torch.rand(4, 2, 3, dtype=torch.float64)
    readout = layers.LeakyIntegrator(nn.Parameter(torch.tensor(3.0, dtype=torch.float64)), step_mode="m")
    assert [name for name, _ in readout.named_parameters()] == ["tau"]
    assert torch.autograd.gradcheck(lambda tau: _with_tau(readout, tau, x_seq), readout.tau)
    with torch.no_grad():
        readout.tau.fill_(0.5)
    with pytest.raises(InputError, match=r"tau of a LeakyIntegrator must be greater than 1, got 0\.5"):
        readout(x_seq)


def _with_tau(readout, tau, x_seq):
    readout.reset()
    return torch.func.functional_call(readout, {"tau": tau}, (x_seq,))


def stateful():
    torch.manual_seed(0)
    options = {"surrogate_function": "sigmoid"}
    recurrent = layers.Recurrent(clif.CLIFNode(**options), layers.Linear(3, 3))
    linear = layers.LinearRecurrentContainer(nn.Sequential(nn.Linear(3, 4), clif.LIFNode(**options)), 3, 4)
    element = layers.ElementWiseRecurrentContainer(clif.LIFNode(**options), torch.add)
    return [layers.LeakyIntegrator(), recurrent, linear, element]


@pytest.mark.parametrize("net", stateful(), ids=lambda net: type(net).__name__)
class TestStateful:
    def test_both_modes_agree_and_go_on_from_the_call_before(self, net):
        x_seq = torch.rand(6, 2, 3) * 2
        clif.reset_net(net)
        clif.set_step_mode(net, "s")
        single = torch.stack([net(x) for x in x_seq])
        clif.reset_net(net)
        clif.set_step_mode(net, "m")
        assert_close(torch.cat([net(x_seq[:2]), net(x_seq[2:])]), single)
        clif.reset_net(net)
        assert_close(net(x_seq), single)
        assert {m.step_mode for m in net.modules() if isinstance(m, layers.StepModule)} == {"m"}

    def test_a_sequence_begins_at_rest_where_no_state_is_kept(self, net):
        net = copy.deepcopy(net)
        clif.set_step_mode(net, "m")
        clif.set_keep_state(net, False)
        clif.reset_net(net)
        x_seq = torch.rand(4, 2, 3) * 2
        assert_close(net(x_seq), net(x_seq))

    def test_the_state_is_copied_detached_and_follows_the_module(self, net):
        clif.reset_net(net)
        clif.set_step_mode(net, "s")
        net(torch.rand(2, 3, requires_grad=True))
        twin = copy.deepcopy(net)
        assert not twin.state[0].requires_grad
        torch.save(net, file := io.BytesIO())
        assert file.tell() > 0
        assert twin.double().state[0].dtype == torch.float64
        clif.detach_net(net)
        assert not net.state[0].requires_grad
        assert not any("v" in name.split(".") or "y" in name.split(".") for name in net.state_dict())
        clif.reset_net(net)
        assert net.state is None

    def test_another_batch_is_refused_before_a_reset(self, net):
        clif.reset_net(net)
        clif.set_step_mode(net, "s")
        net(torch.rand(2, 3))
        with pytest.raises(InputError, match=r"is \[2, \d\] on cpu but the input \[5, 3\] on cpu; reset"):
            net(torch.rand(5, 3))

    def test_a_missing_time_axis_is_refused(self, net):
        clif.reset_net(net)
        clif.set_step_mode(net, "m")
        with pytest.raises(InputError, match=r"T, N, \*\].* with T ≥ 1, got \[3\]"):
            net(torch.rand(3))

    def test_gradients_go_through_time(self, net):
        clif.reset_net(net)
        clif.set_step_mode(net, "m")
        x_seq = (torch.rand(5, 2, 3) * 2).requires_grad_()
        net(x_seq)[-1].sum().backward()
        assert x_seq.grad[0].abs().sum() > 0
        clif.reset_net(net)


def test_recurrent_is_its_definition():
    torch.manual_seed(0)
    feedback = layers.Conv2d(3, 3, 3, padding=1)
    net = layers.Recurrent(clif.LIFNode(), feedback, step_mode="m")
    clif.set_step_mode(net, "m")
    x_seq = torch.rand(5, 2, 3, 4, 4) * 2
    node, y, expected = clif.LIFNode(), None, []
    for x in x_seq:
        y = node(x if y is None else x + feedback(y))
        expected.append(y)
    assert_close(net(x_seq), torch.stack(expected))
    assert 0 < net.y.mean() < 1


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_the_containers_are_those_of_spikingjelly(step_mode):
    torch.manual_seed(0)
    jelly = pytest.importorskip("spikingjelly.activation_based.layer", exc_type=ImportError)
    from spikingjelly.activation_based import neuron

    def inner(module):
        return nn.Sequential(nn.Linear(3, 4), module)

    theirs = jelly.LinearRecurrentContainer(inner(neuron.LIFNode(v_reset=None, decay_input=False)), 3, 4)
    ours = layers.LinearRecurrentContainer(inner(clif.LIFNode(surrogate_function="sigmoid")), 3, 4)
    ours.load_state_dict(theirs.state_dict())
    x_seq = torch.rand(6, 2, 3) * 20
    expected = torch.stack([theirs(x) for x in x_seq])
    clif.set_step_mode(ours, step_mode)
    assert_close(ours(x_seq) if step_mode == "m" else torch.stack([ours(x) for x in x_seq]), expected)
    assert 0 < expected.mean() < 1
    x_seq = x_seq / 20
    element = jelly.ElementWiseRecurrentContainer(neuron.IFNode(v_reset=None), torch.add)
    own = layers.ElementWiseRecurrentContainer(clif.IFNode(), torch.add, step_mode="m")
    assert_close(own(x_seq), torch.stack([element(x) for x in x_seq]))


def test_a_sequence_has_one_dropout_mask_and_each_sequence_its_own():
    net = layers.Recurrent(nn.Sequential(layers.Dropout(0.5), nn.Identity()), layers.Linear(200, 200, bias=False))
    nn.init.zeros_(net.feedback.weight)
    clif.set_step_mode(net, "m")
    first, second = net(torch.ones(3, 1, 200)), net(torch.ones(3, 1, 200))
    assert torch.equal(first, first[:1].expand_as(first))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("make", "x", "message"),
    [
        (
            lambda: layers.Recurrent(clif.LIFNode(), clif.LIFNode()),
            None,
            "feedback of Recurrent must be stateless, got a LI",
        ),
        (
            lambda: layers.Recurrent(clif.LIFNode(), layers.Linear(3, 2), "m"),
            (2, 2, 3),
            r"shape of a step's input, \[2, 3\]; from the output \[2, 3\] it returns \[2, 2\]",
        ),
        (lambda: layers.LinearRecurrentContainer(clif.LIFNode(), 4, 4), (2, 3), r"one step \[N, \*, 4\] or a sequence"),
        (lambda: layers.LinearRecurrentContainer(clif.LIFNode(), 3, 4, step_mode="m"), (2, 2, 3), "out_features is 4"),
        (lambda: layers.LeakyIntegrator(tau=1.0), None, "tau of a LeakyIntegrator must be greater than 1, got 1.0"),
        (lambda: layers.LeakyIntegrator("2"), None, "tau of a LeakyIntegrator must be a number, got '2'"),
        (lambda: layers.LeakyIntegrator(math.inf, decay_input=True), None, "divides the input by tau"),
        (lambda: layers.LeakyIntegrator(), "integers", "needs a floating-point input, got torch.int64"),
    ],
)
def test_mistakes_are_one_clear_line(make, x, message):
    with pytest.raises(InputError, match=message):
        make()(torch.ones(2, 3, dtype=torch.int64) if x == "integers" else torch.rand(x))


def test_a_gradient_window_inside_a_container_is_refused():
    net = layers.Recurrent(clif.LIFNode(), layers.Linear(3, 3))
    clif.set_step_mode(net, "m")
    clif.neurons.set_gradient_window(net, 2)
    with pytest.raises(InputError, match="a gradient window needs whole sequences, but Recurrent calls its LIFNode"):
        net(torch.rand(4, 2, 3))


def test_activation_checkpointing_never_begins_from_the_last_state():
    readout = layers.LeakyIntegrator(step_mode="m")
    x_seq = torch.rand(3, 2, 2, requires_grad=True)
    out = checkpoint(lambda x: readout(x).square(), x_seq, use_reentrant=False)
    with pytest.raises(InputError, match="activation checkpointing would recompute LeakyIntegrator"):
        out.sum().backward()

    def call(x):
        clif.reset_net(readout)
        return readout(x).square()

    grads = []
    for run in (call, lambda x: checkpoint(call, x, use_reentrant=False)):
        x_seq.grad = None
        run(x_seq).sum().backward()
        grads.append(x_seq.grad)
    assert_close(*grads)


def test_a_network_of_such_layers_learns_and_streams():
    torch.manual_seed(0)

    class Net(clif.models.SpikingNetwork):
        def __init__(self):
            super().__init__(T=4, in_channels=1, image_size=4, any_size=False)
            hidden = layers.Recurrent(clif.CLIFNode(), layers.Linear(8, 8))
            norm = layers.BatchNorm1d(8)
            self.layers = nn.Sequential(
                layers.Flatten(), layers.Linear(16, 8), norm, hidden, layers.Linear(8, 3), layers.LeakyIntegrator()
            )
            clif.set_step_mode(self, "m")

        def logits(self, x):
            return self.layers(x)

    net, x, labels = Net(), torch.rand(12, 1, 4, 4), torch.arange(12) % 3
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(net(x).mean(0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    net.eval()
    stream = net.stream()
    assert_close(torch.stack([stream(x) for _ in range(4)]), net(x))
