"""A neuron as a function of its state: pure, differentiable, with the results of a call."""

import pytest
import torch
from torch import nn
from torch.func import grad, vmap
from torch.testing import assert_close

import clif
from clif.errors import InputError
from clif.surrogate import Sigmoid


@pytest.fixture(params=["auto", "torch"])
def node(request, Node):
    return Node(step_mode="m", backend=request.param, surrogate_function=Sigmoid()).double()


def random_states(node, *shape):
    return tuple([torch.rand(*shape, dtype=torch.float64, requires_grad=True) for _ in node.states])


def inputs(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def gradients(result, *tensors):
    (spikes,), states = result
    loss = sum((value * torch.linspace(-1, 1, value.numel()).view_as(value)).sum() for value in (spikes, *states))
    return torch.autograd.grad(loss, tensors)


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_nothing_is_written_and_the_numbers_are_those_of_a_call(node, step_mode):
    clif.set_step_mode(node, step_mode)
    x = inputs(*(5, 2, 3)[step_mode == "s" :])
    start = random_states(node, *x.shape[-2:])
    result = node.functional_forward((x,), start)
    assert node.state is None
    wanted = (x, *start, *node.parameters())
    got = gradients(result, *wanted)
    for name, value in zip(node.states, start, strict=True):
        setattr(node, name, value)
    spikes = node(x)
    assert torch.equal(spikes, result[0][0])
    assert_close(node.state, result[1])
    assert_close(got, gradients(((spikes,), node.state), *wanted))


def test_a_sequence_may_be_cut_in_two(node):
    x_seq = inputs(6, 2, 3)
    start = random_states(node, 2, 3)
    (spikes,), last = node.functional_forward((x_seq,), start)
    (first,), between = node.functional_forward((x_seq[:2],), start)
    (second,), end = node.functional_forward((x_seq[2:],), between)
    assert torch.equal(torch.cat([first, second]), spikes)
    assert_close(end, last)
    wanted = (x_seq, *start, *node.parameters())
    cut = ((torch.cat([first, second]),), end)
    assert_close(gradients(cut, *wanted), gradients(((spikes,), last), *wanted), rtol=1e-9, atol=1e-9)


def test_numbers_are_states_at_rest(node):
    x_seq = inputs(4, 2, 3)
    rest = tuple(node.memories())
    assert rest == (0.0,) * len(node.states)
    (spikes,), _ = node.functional_forward((x_seq,), rest)
    assert torch.equal(spikes, node(x_seq))
    assert_close(tuple(node.memories()), node.state)


def test_named_memories_are_what_the_next_call_begins_from(Node):
    node = Node(v_reset=-0.5, step_mode="m")
    assert dict(node.named_memories()) == {**node.states, "v": -0.5}
    clif.set_keep_state(node, False)
    with torch.no_grad():
        node(torch.randn(4, 2, 3))
    assert isinstance(node.v, torch.Tensor)
    assert dict(node.named_memories()) == {**node.states, "v": -0.5}
    clif.set_step_mode(node, "s")
    assert dict(node.named_memories())["v"] is node.v


def test_states_that_are_given_count_where_none_is_kept(node):
    x_seq, start = inputs(4, 2, 3), random_states(node, 2, 3)
    expected = node.functional_forward((x_seq,), start)
    clif.set_keep_state(node, False)
    assert_close(node.functional_forward((x_seq,), start), expected, rtol=0, atol=0)


def test_a_learnt_reset_value_learns_from_where_a_sequence_begins():
    x_seq = inputs(4, 2, 3)
    node = clif.LIFNode(v_reset=nn.Parameter(torch.tensor([0.3])), step_mode="m", surrogate_function=Sigmoid()).double()
    (spikes,), _ = node.functional_forward((x_seq,), tuple(node.memories()))
    got = torch.autograd.grad(spikes.square().sum(), node.v_reset)
    assert_close(got, torch.autograd.grad(node(x_seq).square().sum(), node.v_reset))


def test_transforms_of_states(node):
    x_seq = inputs(4, 2, 3).detach()
    batch = tuple([torch.rand(3, 2, 3, dtype=torch.float64) for _ in node.states])

    def loss(states):
        (spikes,), last = node.functional_forward((x_seq,), states)
        return spikes.sum() + sum(value.square().sum() for value in last)

    each = [grad(loss)(tuple(part[i] for part in batch)) for i in range(3)]
    assert_close(vmap(grad(loss))(batch), tuple(torch.stack(parts) for parts in zip(*each, strict=True)))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile does it
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_compiled_without_a_break(node, step_mode):
    torch._dynamo.reset()
    clif.set_step_mode(node, step_mode)
    x = inputs(*(4, 2, 3)[step_mode == "s" :])
    compiled = torch.compile(node.functional_forward, fullgraph=True, backend="eager")
    for states in (tuple(node.memories()), random_states(node, 2, 3)):
        assert_close(compiled((x,), states), node.functional_forward((x,), states))


class Halved(clif.LIFNode):
    """Overrides single steps."""

    def single_step_forward(self, x):
        return super().single_step_forward(x / 2)


class Doubled(clif.LIFNode):
    """Overrides the call."""

    def forward(self, x):
        return super().forward(x * 2)


@pytest.mark.parametrize("kind", [Halved, Doubled])
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_classes_that_compute_in_their_own_way(kind, step_mode):
    node = kind(step_mode=step_mode, surrogate_function=Sigmoid()).double()
    clif.set_keep_state(node, False)
    x, start = inputs(*(4, 2, 3)[step_mode == "s" :]), random_states(node, 2, 3)
    got = node.functional_forward((x,), start)
    assert node.state is None
    plain = clif.LIFNode(step_mode=step_mode, surrogate_function=Sigmoid()).double()
    expected = plain.functional_forward((x / 2 if kind is Halved else x * 2,), start)
    assert_close(got, expected)
    assert_close(gradients(got, x, *start), gradients(expected, x, *start))


def test_stored_potentials_go_when_they_are_stored_no_more(Node):
    node = Node(step_mode="m", store_v_seq=True)
    x_seq = torch.randn(4, 2, 3)
    node.functional_forward((x_seq,), tuple(node.memories()))
    assert node.v_seq is None
    node(x_seq)
    assert node.v_seq.shape == x_seq.shape
    node.store_v_seq = False
    assert node.v_seq is None


def test_materialized_states_are_tensors_like_a_step(Node):
    node = Node(v_reset=-0.5)
    x = torch.randn(2, 3, dtype=torch.bfloat16)
    numbers = tuple(node.memories())
    for states in (numbers, tuple(torch.tensor(value) for value in numbers)):
        found = node.materialize_states((x,), states, "s")
        assert_close(found, tuple(torch.full((2, 3), value) for value in numbers))
    assert_close(node.materialize_states((x.expand(4, 2, 3),), numbers, "m"), found)


@pytest.mark.parametrize(
    ("inputs", "states", "message"),
    [
        ([torch.zeros(4, 2, 3)], [torch.zeros(5, 3)], r"the state v is \[5, 3\] .* but the input \[2, 3\]"),
        ([torch.zeros(4, 2, 3)], [0.0, 0.0], "the state of LIF is .v., got 2"),
        ([torch.zeros(4, 2, 3)], [None], "a state is a number or a tensor, got None"),
        ([torch.zeros(4, 2, 3)] * 2, [0.0], "takes only one input, got 2"),
        ([torch.zeros(3)], [0.0], "a sequence must have shape"),
        ([torch.zeros(4, 2, 3).int()], [0.0], "floating-point input"),
    ],
)
def test_what_is_no_call_is_refused(inputs, states, message):
    node = clif.LIFNode(step_mode="m")
    for call in (node.functional_forward, node.multi_step_functional_forward):
        with pytest.raises(InputError, match=message) as caught:
            call(inputs, states)
        assert "\n" not in str(caught.value)


def test_unknown_step_modes_and_arguments_are_refused():
    node, x = clif.LIFNode(), torch.zeros(2, 3)
    with pytest.raises(InputError, match="step_mode must be"):
        node.materialize_states((x,), (0.0,), "x")
    with pytest.raises(InputError, match=r"only one input, got 1 and \['norm'\]"):
        node.functional_forward((x,), (0.0,), norm=None)
