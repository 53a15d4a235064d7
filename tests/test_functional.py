import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from clif import functional
from clif.errors import InputError
from clif.neurons.registry import spiking_neuron
from clif.surrogate import ATan, Rectangle, Sigmoid, Triangle

NEURONS = ["CLIF", "LIF", "PLIF"]

TAUS = st.floats(1.05, 8)
SEEDS = st.integers(0, 2**32 - 1)
DYNAMICS = st.fixed_dictionaries(
    {
        "decay_input": st.booleans(),
        "v_threshold": st.floats(0.3, 2),
        "v_reset": st.none() | st.floats(-1, 0.2),
        "surrogate_function": st.sampled_from([Rectangle(), Sigmoid(), Triangle(), ATan()]),
        "detach_reset": st.booleans(),
    }
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def step_of(neuron):
    return getattr(functional, f"{neuron.lower()}_step")


def multi_step_of(neuron):
    return getattr(functional, f"{neuron.lower()}_multi_step")


def leak(neuron, tau=2.0):
    """The argument that sets the time constant."""
    return {"w": tensor(-math.log(tau - 1)).squeeze()} if neuron == "PLIF" else {"tau": tau}


def state_of(neuron, like, v=0.4, m=2.0):
    return tuple(torch.full_like(like, value) for value in (v, m)[: len(spiking_neuron(neuron).states)])


# One step by hand, from v = 0.4 and m = 2: a silent input, then one that makes it fire.
STEPS = {
    "soft": ({}, 0.3, 0.5, 0),
    "hard": ({"v_reset": -0.2}, 0.3, 0.4 - 0.3 + 0.3, 0),
    "decayed input": ({"decay_input": True}, 0.3, 0.35, 0),
    "soft fires": ({}, 1.1, 1.3, 1),
    "hard fires": ({"v_reset": -0.2}, 1.1, 1.2, 1),
    "decayed input fires": ({"decay_input": True}, 2.2, 1.3, 1),
    "decayed input and hard fires": ({"decay_input": True, "v_reset": -0.2}, 2.2, 1.2, 1),
    "high threshold": ({"v_threshold": 1.31}, 1.1, 1.3, 0),
    "low threshold": ({"v_threshold": 0.5}, 0.3, 0.5, 1),
}


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(("dynamics", "x", "u", "s"), STEPS.values(), ids=STEPS.keys())
def test_one_step_follows_the_equations(neuron, dynamics, x, u, s):
    x = tensor(x)
    spike, state = step_of(neuron)(x, state_of(neuron, x), **leak(neuron), **dynamics)
    m = 2 * sigmoid(u / 2) + s
    v = dynamics["v_reset"] if s and "v_reset" in dynamics else u - s * dynamics.get("v_threshold", 1.0)
    expected = (v - s * sigmoid(m), m) if neuron == "CLIF" else (v,)
    assert spike.tolist() == [s]
    assert_close(torch.cat(state), tensor(*expected), rtol=0, atol=1e-15)


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(("v_reset", "v"), [(None, 0.0), (-0.3, -0.3)])
def test_rest_is_v_at_the_reset_value_and_m_at_zero(neuron, v_reset, v):
    x = random(0, 5, 3)
    arguments = {**leak(neuron), "v_reset": v_reset}
    from_rest = step_of(neuron)(x, None, **arguments)
    from_state = step_of(neuron)(x, state_of(neuron, x, v, 0.0), **arguments)
    assert_close(from_rest, from_state, rtol=0, atol=0)


@pytest.mark.parametrize("neuron", NEURONS)
@given(
    tau=TAUS,
    dynamics=DYNAMICS,
    seed=SEEDS,
    T=st.integers(1, 7),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_a_sequence_equals_its_steps(neuron, tau, dynamics, seed, T, shape):
    x_seq = random(seed, T, *shape).requires_grad_()
    arguments = {**leak(neuron, tau), **dynamics}

    many, last = multi_step_of(neuron)(x_seq, None, **arguments)
    one_by_one, state = [], None
    for x in x_seq:
        spike, state = step_of(neuron)(x, state, **arguments)
        one_by_one.append(spike)
    steps = torch.stack(one_by_one)

    assert torch.equal(many, steps)
    assert_close(last, state, rtol=1e-12, atol=1e-12)
    g = random(seed, *x_seq.shape)
    losses = [(spikes * g).sum() + sum(s.sum() for s in states) for spikes, states in [(many, last), (steps, state)]]
    gradients = [torch.autograd.grad(loss, x_seq)[0] for loss in losses]
    assert_close(*gradients, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("neuron", NEURONS)
@given(tau=TAUS, dynamics=DYNAMICS, seed=SEEDS, cut=st.integers(1, 5))
def test_a_sequence_may_be_continued_from_its_state(neuron, tau, dynamics, seed, cut):
    x_seq = random(seed, 6, 4)
    arguments = {**leak(neuron, tau), **dynamics}
    whole, last = multi_step_of(neuron)(x_seq, None, **arguments)
    head, state = multi_step_of(neuron)(x_seq[:cut], None, **arguments)
    tail, state = multi_step_of(neuron)(x_seq[cut:], state, **arguments)
    assert torch.equal(whole, torch.cat([head, tail]))
    assert_close(last, state, rtol=1e-12, atol=1e-12)


@given(tau=TAUS, decay_input=st.booleans(), v_threshold=st.floats(0.2, 2), depth=st.floats(0.01, 2), seed=SEEDS)
def test_a_hard_reset_is_a_reset_to_zero_of_the_scaled_input(tau, decay_input, v_threshold, depth, seed):
    v_reset = v_threshold - depth
    x_seq = random(seed, 8, 12)
    spikes, (v,) = functional.lif_multi_step(
        x_seq, tau=tau, decay_input=decay_input, v_threshold=v_threshold, v_reset=v_reset
    )
    scaled, (scaled_v,) = functional.lif_multi_step(x_seq / depth, tau=tau, decay_input=decay_input, v_reset=0.0)
    assert torch.equal(spikes, scaled)
    assert_close(v, v_reset + depth * scaled_v, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_hard_reset_does_not_change_silent_neurons(neuron):
    x = tensor(0.1, 0.2)
    spike, (v, *_) = step_of(neuron)(x, state_of(neuron, x), **leak(neuron), v_reset=-0.06)
    assert not spike.any()
    assert_close(v, 0.4 - (0.4 + 0.06) / 2 + x, rtol=0, atol=1e-15)


@given(tau=TAUS, decay_input=st.booleans(), v_reset=st.none() | st.floats(-1, 0.2), seed=SEEDS)
def test_plif_equals_lif_of_the_same_time_constant(tau, decay_input, v_reset, seed):
    x_seq = random(seed, 5, 6)
    dynamics = {"decay_input": decay_input, "v_reset": v_reset}
    plif, plif_state = functional.plif_multi_step(x_seq, None, **leak("PLIF", tau), **dynamics)
    lif, lif_state = functional.lif_multi_step(x_seq, None, tau=tau, **dynamics)
    assert torch.equal(plif, lif)
    assert_close(plif_state, lif_state, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("v_subtract", [0.0, 0.4, 1.0])
def test_a_soft_reset_subtracts_v_subtract(v_subtract):
    spike, (v,) = functional.lif_step(tensor(1.5), None, v_subtract=v_subtract)
    assert spike.item() == 1
    assert v.item() == 1.5 - v_subtract


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("detach_reset", [False, True])
def test_the_gradient_through_the_reset_is_cut_where_asked(neuron, detach_reset):
    """s[1] depends on x[0] through v[0] = u − s·(1 + σ(m)) with m = s; the detached s leaves the path through m."""
    u0 = 1.2
    surrogate = Sigmoid().derivative
    s0 = surrogate(tensor(u0 - 1)).item()
    dv = 1.0
    v0 = u0 - 1
    if neuron == "CLIF":
        v0 -= sigmoid(1)
        dv -= sigmoid(1) * (1 - sigmoid(1)) * s0
    if not detach_reset:
        dv -= s0 * (1 + sigmoid(1) if neuron == "CLIF" else 1)
    u1 = v0 / 2 + 0.3
    expected = surrogate(tensor(u1 - 1)).item() * dv / 2

    x_seq = tensor(u0, 0.3)[:, None].requires_grad_()
    arguments = {**leak(neuron), "surrogate_function": Sigmoid(), "detach_reset": detach_reset}
    spikes, _ = multi_step_of(neuron)(x_seq, None, **arguments)
    spikes[1].sum().backward()
    assert x_seq.grad[0].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("neuron", NEURONS)
def test_gradients_reach_the_first_state(neuron):
    x_seq = random(0, 4, 10)
    state = tuple(s.requires_grad_() for s in state_of(neuron, x_seq[0]))
    spikes, _ = multi_step_of(neuron)(x_seq, state, **leak(neuron), surrogate_function=Sigmoid())
    assert all(gradient.any() for gradient in torch.autograd.grad(spikes.sum(), state))


def test_gradients_reach_the_time_constant_of_plif():
    """d s / d w in one step from v: u = v·(1 − σ(w)) + x."""
    w = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    spike, _ = functional.plif_step(tensor(0.8), (tensor(0.4),), w, surrogate_function=Sigmoid())
    spike.sum().backward()
    u = 0.4 * (1 - sigmoid(0.7)) + 0.8
    slope = -0.4 * sigmoid(0.7) * (1 - sigmoid(0.7))
    assert w.grad.item() == pytest.approx(Sigmoid().derivative(tensor(u - 1)).item() * slope, rel=1e-12)


@pytest.mark.parametrize("neuron", NEURONS)
def test_the_functions_change_neither_input_nor_state(neuron):
    x_seq = random(0, 3, 4)
    state = state_of(neuron, x_seq[0])
    before = [t.clone() for t in (x_seq, *state)]
    step_of(neuron)(x_seq[0], state, **leak(neuron))
    multi_step_of(neuron)(x_seq, state, **leak(neuron))
    assert all(torch.equal(t, old) for t, old in zip((x_seq, *state), before, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("neuron", NEURONS)
def test_half_precision_is_computed_in_float32(neuron, dtype):
    x_seq = random(0, 6, 100).to(dtype).requires_grad_()
    exact = x_seq.detach().float().requires_grad_()
    arguments = {**leak(neuron), "surrogate_function": Sigmoid(), "backend": "torch"}
    spikes, state = multi_step_of(neuron)(x_seq, None, **arguments)
    exact_spikes, exact_state = multi_step_of(neuron)(exact, None, **arguments)
    assert spikes.dtype == dtype
    assert torch.equal(spikes.float(), exact_spikes)
    assert_close(state, exact_state, rtol=0, atol=0)
    spikes.sum().backward()
    exact_spikes.sum().backward()
    assert torch.equal(x_seq.grad, exact.grad.to(dtype))


@pytest.mark.parametrize("neuron", NEURONS)
def test_an_empty_batch_gives_no_spikes(neuron):
    spikes, state = multi_step_of(neuron)(torch.zeros(3, 0, 2), None, **leak(neuron))
    assert spikes.shape == (3, 0, 2)
    assert {s.shape for s in state} == {(0, 2)}


@pytest.mark.parametrize("tau", [1.0, 0.5, -2.0, math.nan, math.inf])
@pytest.mark.parametrize("function", [functional.clif_step, functional.lif_step])
def test_a_time_constant_that_keeps_no_memory_is_refused(function, tau):
    with pytest.raises(InputError, match=r"tau must be a finite number greater than 1 .*; try tau=2\.0"):
        function(torch.zeros(2), None, tau=tau)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"v_reset": 1.0}, r"v_reset must be a finite number below v_threshold=1\.0, got 1\.0; use v_reset=None"),
        ({"v_reset": 1.5}, "v_reset must be a finite number below v_threshold"),
        ({"v_reset": math.nan}, "v_reset must be a finite number below v_threshold"),
        ({"v_threshold": math.nan}, "v_threshold must be a finite number, got nan"),
        ({"v_threshold": math.inf}, "v_threshold must be a finite number, got inf"),
    ],
)
@pytest.mark.parametrize("neuron", NEURONS)
def test_impossible_constants_are_refused(neuron, constants, message):
    with pytest.raises(InputError, match=message):
        step_of(neuron)(torch.zeros(2), None, **leak(neuron), **constants)
    with pytest.raises(InputError, match=message):
        multi_step_of(neuron)(torch.zeros(3, 2), None, **leak(neuron), **constants)


def test_v_subtract_with_a_hard_reset_is_refused():
    with pytest.raises(InputError, match="give either v_subtract or v_reset, not both"):
        functional.lif_step(torch.zeros(2), None, v_reset=0.0, v_subtract=1.0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("neuron", NEURONS)
def test_an_integer_input_is_refused(neuron, dtype):
    message = rf"floating-point input, got {dtype}; convert it with x\.float\(\)"
    with pytest.raises(InputError, match=message):
        step_of(neuron)(torch.zeros(2, dtype=dtype), None, **leak(neuron))
    with pytest.raises(InputError, match=message):
        multi_step_of(neuron)(torch.zeros(3, 2, dtype=dtype), None, **leak(neuron))


@pytest.mark.parametrize("shape", [(), (4,), (0, 4)])
@pytest.mark.parametrize("neuron", NEURONS)
def test_a_sequence_without_steps_is_refused(neuron, shape):
    with pytest.raises(
        InputError, match=r"shape \[T, N, \*\] with T ≥ 1, got .*; add the time axis, or use the single"
    ):
        multi_step_of(neuron)(torch.zeros(shape), None, **leak(neuron))


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_state_of_another_shape_is_refused(neuron):
    state = state_of(neuron, torch.zeros(3, 2))
    message = (
        r"state v is \[3, 2\] on cpu but the input \[4, 2\] on cpu; reset before a new batch: clif\.reset_net\(net\)"
    )
    with pytest.raises(InputError, match=message):
        step_of(neuron)(torch.zeros(4, 2), state, **leak(neuron))
    with pytest.raises(InputError, match=message):
        multi_step_of(neuron)(torch.zeros(5, 4, 2), state, **leak(neuron))


def test_a_state_on_another_device_is_refused():
    with pytest.raises(InputError, match=r"on meta but the input .* on cpu; reset before a new batch"):
        functional.lif_step(torch.zeros(2), (torch.zeros(2, device="meta"),))


@pytest.mark.parametrize(("neuron", "names"), [("CLIF", "v, m"), ("LIF", "v"), ("PLIF", "v")])
def test_a_state_of_too_few_or_too_many_tensors_is_refused(neuron, names):
    x = torch.zeros(2)
    with pytest.raises(InputError, match=rf"the state of {neuron} is \({names}\), got 3 tensors"):
        step_of(neuron)(x, (x, x, x), **leak(neuron))


@pytest.mark.parametrize("neuron", NEURONS)
def test_an_unknown_backend_is_refused_with_the_nearest(neuron):
    with pytest.raises(InputError, match="unknown backend 'trch'; did you mean torch"):
        multi_step_of(neuron)(torch.zeros(3, 2), None, **leak(neuron), backend="trch")


@pytest.mark.parametrize("step", [functional.clif_step, functional.clif_multi_step])
def test_a_state_of_numbers_is_refused(step):
    with pytest.raises(InputError, match=r"the state v of CLIF must be a tensor .*, got 0\.0; pass None"):
        step(torch.zeros(2, 3, 4), (0.0, 0.0))
