import copy
import io
import math

import golden
import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import clif
from clif import functional
from clif.errors import InputError
from clif.surrogate import Sigmoid

golden_cases = pytest.mark.parametrize("case", golden.CASES, ids=golden.case_id)
STEP_MODES = ["s", "m"]


@pytest.fixture(scope="module")
def arrays(golden_dir):
    """The arrays of a golden case by their names."""
    with np.load(golden_dir / "neurons.npz") as stored:
        everything = {key: torch.from_numpy(stored[key]) for key in stored.files}

    def of(case):
        prefix = f"{case['index']:02d}/"
        return {key.removeprefix(prefix): value for key, value in everything.items() if key.startswith(prefix)}

    return of


class Recorder:
    """A surrogate function that records its input: u − v_threshold of every step."""

    def __init__(self, surrogate_function):
        self.surrogate_function = surrogate_function
        self.steps = []

    def __call__(self, x):
        self.steps.append(x.detach())
        return self.surrogate_function(x)


def run(node, x_seq):
    """The spikes of a sequence from the node's present state, in its step mode."""
    return node(x_seq) if node.step_mode == "m" else torch.stack([node(x) for x in x_seq])


def save_and_load(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@golden_cases
@pytest.mark.parametrize("step_mode", STEP_MODES)
def test_float64_equals_the_original(case, step_mode, arrays):
    expected = arrays(case)
    node = golden.node(case, step_mode=step_mode).double()
    x_seq = expected["x"].clone().requires_grad_()
    spikes = run(node, x_seq)
    spikes.backward(expected["grad_spike"])

    got = {"grad_x": x_seq.grad, "v_last": node.v.detach()}
    if case["neuron"] == "CLIF":
        got["m_last"] = node.m.detach()
    if case["neuron"] == "PLIF":
        got |= {"w": node.w.detach(), "grad_w": node.w.grad}
    assert torch.equal(spikes.to(torch.uint8), expected["spike"])
    assert set(got) == set(expected) - {"x", "grad_spike", "spike"}
    assert_close(got, {key: expected[key] for key in got}, rtol=0, atol=1e-10)


@golden_cases
def test_float32_spikes_equal_the_original_except_at_the_threshold(case, arrays):
    expected = arrays(case)
    x_seq = expected["x"]
    recorder = Recorder(golden.node(case).surrogate_function)
    golden.node(case, step_mode="m", surrogate_function=recorder).double()(x_seq)
    distance = torch.stack(recorder.steps).abs()

    spikes = golden.node(case, step_mode="m")(x_seq.float())
    differs = spikes != expected["spike"]
    first = differs & (differs.cumsum(0) == 1)
    rounding = 4 * torch.finfo(torch.float32).eps * x_seq.abs().amax()
    assert (distance[first] <= rounding).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("step_mode", STEP_MODES)
def test_half_precision_spikes_are_those_of_float32(Node, dtype, step_mode):
    x_seq = torch.randn(6, 4, 50).to(dtype)
    node, exact = (Node(step_mode=step_mode, backend="torch") for _ in range(2))
    spikes = run(node, x_seq)
    assert spikes.dtype == dtype
    assert node.v.dtype == torch.float32
    assert torch.equal(spikes.float(), run(exact, x_seq.float()))
    assert torch.equal(node.v, exact.v)


@pytest.mark.parametrize("v_reset", [None, -0.1])
def test_sequences_and_steps_may_be_mixed(Node, v_reset):
    x_seq = torch.randn(6, 3, 5, dtype=torch.float64)
    whole = Node(v_reset=v_reset, step_mode="m")(x_seq)
    node = Node(v_reset=v_reset)
    parts = [node(x_seq[0])[None]]
    node.step_mode = "m"
    parts.append(node(x_seq[1:4]))
    node.step_mode = "s"
    parts += [node(x)[None] for x in x_seq[4:]]
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize("v_reset", [None, -0.1])
def test_reset_brings_a_neuron_back_to_rest(Node, v_reset):
    node = Node(v_reset=v_reset, step_mode="m", store_v_seq=True)
    x_seq = torch.randn(3, 2, 4)
    first = node(x_seq)
    assert node.state is not None
    node.reset()
    assert node.state is None
    assert node.v == (0.0 if v_reset is None else v_reset)
    assert node.v_seq is None
    assert getattr(node, "m", 0.0) == 0.0
    assert torch.equal(node(x_seq), first)


def test_v_seq_holds_the_potential_after_every_step(Node):
    x_seq = torch.randn(5, 2, 3)
    node, stepwise = Node(step_mode="m", store_v_seq=True), Node()
    spikes = node(x_seq)
    expected_spikes, expected_v = zip(*[(stepwise(x), stepwise.v) for x in x_seq], strict=True)
    assert torch.equal(spikes, torch.stack(expected_spikes))
    assert torch.equal(node.v_seq, torch.stack(expected_v))
    assert torch.equal(node.v_seq[-1], node.v)
    assert Node(step_mode="m").v_seq is None


def test_storing_v_seq_changes_no_gradient(Node):
    x_seq = torch.randn(5, 2, 3, dtype=torch.float64)
    gradients = []
    for store_v_seq in (False, True):
        x = x_seq.clone().requires_grad_()
        Node(step_mode="m", surrogate_function=Sigmoid(), store_v_seq=store_v_seq)(x).sum().backward()
        gradients.append(x.grad)
    assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("move", [nn.Module.double, lambda node: node.to(torch.float64)])
def test_state_moves_with_the_module(Node, move):
    node = Node(step_mode="m", store_v_seq=True)
    node(torch.randn(3, 2, 4))
    before = node.state
    assert move(node) is node
    assert [s.dtype for s in (*node.state, node.v_seq)] == [torch.float64] * (len(before) + 1)
    assert_close(node.state, tuple(s.double() for s in before), rtol=0, atol=0)
    node.to("meta")
    assert {s.device.type for s in (*node.state, node.v_seq)} == {"meta"}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, save_and_load])
@pytest.mark.parametrize("step_mode", STEP_MODES)
def test_a_copy_after_a_forward_is_independent(Node, duplicate, step_mode):
    node = Node(step_mode=step_mode, store_v_seq=True)
    x_seq = torch.randn(4, 2, 3, requires_grad=True)
    loss = run(node, x_seq).sum()
    twin = duplicate(node)
    assert all(s.requires_grad for s in node.state)
    assert not any(s.requires_grad for s in twin.state)
    assert_close(twin.state, tuple(s.detach() for s in node.state), rtol=0, atol=0)
    assert (twin.step_mode, twin.constants().keys()) == (step_mode, node.constants().keys())

    kept = [s.detach().clone() for s in node.state]
    run(twin, x_seq)
    for s in twin.state:
        s.detach().fill_(7)
    twin.reset()
    assert_close(node.state, tuple(kept), rtol=0, atol=0, check_stride=False)
    loss.backward()
    assert x_seq.grad.isfinite().all()


def test_a_copy_continues_where_the_neuron_stood(Node):
    x_seq = torch.randn(6, 2, 30)
    node = Node(step_mode="m")
    node(x_seq[:3])
    twin = copy.deepcopy(node)
    assert torch.equal(node(x_seq[3:]), twin(x_seq[3:]))


def test_states_are_neither_parameters_nor_buffers_nor_in_the_state_dict(Node):
    node = Node(step_mode="m", store_v_seq=True)
    node(torch.randn(3, 2, 4))
    names = ["w"] if Node is clif.PLIFNode else []
    assert list(node.state_dict()) == names
    assert [name for name, _ in node.named_parameters()] == names
    assert not list(node.buffers())


def test_loading_a_state_dict_leaves_the_state_alone(Node):
    node = Node()
    node(torch.randn(2, 4))
    before = node.state
    node.load_state_dict(Node().state_dict())
    assert all(a is b for a, b in zip(before, node.state, strict=True))


def test_the_state_can_be_set(Node):
    x = torch.randn(2, 20, dtype=torch.float64)
    node, other = Node(), Node()
    node(x)
    other.state = node.state
    assert torch.equal(node(x), other(x))
    other.state = None
    assert other.v == 0.0


@pytest.mark.parametrize("tau", [1.1, 2.0, 4.0])
def test_plif_starts_at_the_given_time_constant(tau):
    node = clif.PLIFNode(init_tau=tau)
    assert node.w.shape == ()
    assert node.w.dtype == torch.float32
    assert node.w.item() == pytest.approx(-math.log(tau - 1), rel=1e-6)
    assert node.tau == pytest.approx(tau, rel=1e-6)
    assert f"tau={tau:.4g}" in repr(node)
    assert "tau" not in repr(node.to("meta"))


def test_plif_learns_its_time_constant():
    node = clif.PLIFNode(step_mode="m", surrogate_function=Sigmoid())
    node(torch.rand(4, 2, 10)).mean().backward()
    before = node.tau
    torch.optim.SGD(node.parameters(), lr=1.0).step()
    assert node.tau != before


def test_lif_subtracts_v_subtract():
    node = clif.LIFNode(v_subtract=0.25)
    assert node(torch.tensor([1.5])).tolist() == [1]
    assert node.v.tolist() == [1.25]
    assert torch.equal(run(clif.LIFNode(v_subtract=0.25, step_mode="m"), torch.full((1, 1), 1.5))[0], torch.ones(1))


def test_every_argument_reaches_the_computation(Node):
    surrogate_function = Sigmoid(2.0)
    arguments = {"decay_input": True, "v_threshold": 0.7, "v_reset": -0.2, "detach_reset": True, "backend": "torch"}
    node = Node(3.0, surrogate_function=surrogate_function, step_mode="m", **arguments)
    leak = {"w": node.w.detach()} if Node is clif.PLIFNode else {"tau": 3.0}
    function = getattr(functional, f"{node.neuron.lower()}_multi_step")
    x_seq = torch.randn(5, 2, 3)
    inputs = [x_seq.clone().requires_grad_() for _ in range(2)]
    spikes = node(inputs[0])
    expected, state = function(inputs[1], None, surrogate_function=surrogate_function, **leak, **arguments)
    assert torch.equal(spikes, expected)
    assert_close(node.state, state, rtol=0, atol=0)
    spikes.sum().backward()
    expected.sum().backward()
    assert torch.equal(inputs[0].grad, inputs[1].grad)


def test_a_changed_batch_shape_is_refused_before_a_reset(Node):
    node = Node()
    node(torch.zeros(2, 3))
    with pytest.raises(
        InputError, match=r"v is \[2, 3\] .* the input \[4, 3\] .*; reset before a new batch: clif\.reset"
    ):
        node(torch.zeros(4, 3))
    assert node.v.shape == (2, 3)
    node.reset()
    assert node(torch.zeros(4, 3)).shape == (4, 3)


@pytest.mark.parametrize("store_v_seq", [False, True])
def test_a_changed_batch_shape_in_a_sequence_is_refused_before_a_reset(Node, store_v_seq):
    node = Node(step_mode="m", store_v_seq=store_v_seq)
    node(torch.zeros(5, 2, 3))
    with pytest.raises(InputError, match=r"v is \[2, 3\] .* the input \[4, 3\] .*; reset before a new batch"):
        node(torch.zeros(5, 4, 3))


@pytest.mark.parametrize("store_v_seq", [False, True])
@pytest.mark.parametrize("shape", [(), (3,), (0, 3)])
def test_a_missing_time_axis_is_refused(Node, shape, store_v_seq):
    with pytest.raises(InputError, match=r'add the time axis, or use the single-step form \(step_mode="s"\)'):
        Node(step_mode="m", store_v_seq=store_v_seq)(torch.zeros(shape))


@pytest.mark.parametrize("step_mode", STEP_MODES)
def test_an_integer_input_is_refused(Node, step_mode):
    with pytest.raises(InputError, match=r"floating-point input, got torch\.int64; convert it with x\.float\(\)"):
        Node(step_mode=step_mode)(torch.zeros(3, 2, dtype=torch.int64))


@pytest.mark.parametrize("tau", [1.0, 0.5, math.nan, math.inf])
def test_a_time_constant_that_keeps_no_memory_is_refused(Node, tau):
    with pytest.raises(InputError, match=r"tau must be a finite number greater than 1 .*try tau=2\.0"):
        Node(tau)


def test_a_reset_value_at_the_threshold_is_refused(Node):
    message = r"v_reset must be a finite number below v_threshold=0\.5, got 0\.5; use v_reset=None"
    with pytest.raises(InputError, match=message):
        Node(v_threshold=0.5, v_reset=0.5)


def test_a_step_mode_or_backend_that_does_not_exist_is_refused(Node):
    with pytest.raises(InputError, match='step_mode must be "s"'):
        Node(step_mode="multi")
    with pytest.raises(InputError, match="unknown backend 'trch'; did you mean torch"):
        Node(backend="trch")


def test_a_state_set_as_a_number_holds_for_every_neuron():
    node = clif.LIFNode()
    node.v = 0.9
    assert node(torch.tensor([0.6, 0.1])).tolist() == [1.0, 0.0]


def test_moving_to_channels_last_takes_a_stored_v_seq_along():
    node = clif.CLIFNode(step_mode="m", store_v_seq=True)
    node(torch.randn(2, 1, 3, 4, 4))
    node.to(memory_format=torch.channels_last)
    assert node.v_seq.shape == (2, 1, 3, 4, 4)
