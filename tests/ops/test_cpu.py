"""The compiled kernels compared with the original's numbers and with the reference."""

from dataclasses import replace

import checks
import golden
import pytest
import torch
from cases import TOLERANCES, Case, any_case, assert_equals_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clif import functional
from clif.ops import cpu, isa
from clif.surrogate import ATan, Sigmoid

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

DTYPES = (torch.float64, torch.float32, torch.bfloat16)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", golden.CASES, ids=lambda c: f"{c['index']}-{c['neuron']}-{c['surrogate']}")
def test_original_numbers(case, dtype, tolerance):
    checks.assert_original_numbers(case, dtype, tolerance)


@pytest.mark.usefixtures("each_isa")
@given(case=any_case(), dtype=st.sampled_from(DTYPES))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_equals_reference(case, dtype):
    assert_equals_reference(case, "cpu", dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("size", [1, 63, 64, 65, 127, 128, 129, 2047, 2049, 40_001])
def test_every_element_is_written(neuron, size, dtype):
    assert_equals_reference(Case(neuron, T=3, shape=(1, size), v_reset=-0.1), "cpu", dtype)


@pytest.mark.parametrize("zeros", [(), (2, 70)], ids=["one value", "whole tensor"])
@pytest.mark.parametrize("T", [1, 2, 3])
def test_gradient_of_a_state_at_rest(T, zeros):
    gradients = []
    for backend in ("cpu", "torch"):
        r = torch.Generator().manual_seed(T)
        x_seq = torch.randn(T, 2, 70, generator=r, dtype=torch.float64)
        state = [torch.zeros(zeros, dtype=torch.float64, requires_grad=True) for _ in ("v", "m")]
        spikes, (v, m) = functional.clif_multi_step(x_seq, tuple(s.expand(2, 70) for s in state), backend=backend)
        weight = torch.randn(spikes.shape, generator=r, dtype=torch.float64)
        gradients.append(torch.autograd.grad((spikes * weight).sum() + (v + m * m).sum(), state))
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


@pytest.mark.parametrize("T", [100, 1000])
@pytest.mark.parametrize("neuron", ["CLIF", "PLIF"])
def test_long_sequences(neuron, T):
    assert_equals_reference(Case(neuron, T=T, shape=(2, 70), surrogate=Sigmoid()), "cpu", torch.float64)


def channels_last(x_seq: Tensor) -> Tensor:
    return x_seq.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, x_seq.shape[:2])


LAYOUTS = {
    "channels_last": channels_last,
    "time after batch": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "slice of a wider tensor": lambda x: torch.cat([x, x], dim=-1)[..., : x.shape[-1]],
    "every second step": lambda x: x.repeat_interleave(2, dim=0)[::2],
    "transposed steps": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("neuron", ["CLIF", "PLIF"])
def test_any_layout(neuron, layout):
    for with_state in (True, False):
        case = Case(neuron, T=4, shape=(2, 3, 5, 6), with_state=with_state)
        assert_equals_reference(case, "cpu", torch.float64, layout)


def test_channels_last_stays_and_is_not_copied():
    x_seq = channels_last(torch.randn(4, 2, 3, 5, 6)).requires_grad_()
    spikes, (v, m) = functional.clif_multi_step(x_seq, backend="cpu")
    (gradient,) = torch.autograd.grad(spikes.sum(), x_seq)
    assert spikes.stride() == gradient.stride() == x_seq.stride()
    assert v.stride() == m.stride() == x_seq[0].stride()


@pytest.mark.parametrize("steps_layout", [lambda x: x, lambda x: x.to(memory_format=torch.channels_last)])
def test_repeated_image_is_not_copied(steps_layout, monkeypatch):
    image = steps_layout(torch.randn(2, 3, 5, 6, dtype=torch.float64)).requires_grad_()
    strides = []
    call = cpu.call
    monkeypatch.setattr(
        cpu, "call", lambda name, problem, what: strides.append(problem.x_stride) or call(name, problem, what)
    )
    gradients = []
    for backend in ("cpu", "torch"):
        spikes, _ = functional.clif_multi_step(image.expand(6, *image.shape), backend=backend)
        gradients += torch.autograd.grad((spikes * torch.arange(6).view(-1, 1, 1, 1, 1)).sum(), image)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)
    assert strides == [0, 0]


def test_gradient_of_the_last_state_only():
    x_seq = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    gradients = []
    for backend in ("cpu", "torch"):
        _, (v, _) = functional.clif_multi_step(x_seq, backend=backend)
        gradients += torch.autograd.grad(v.sum(), x_seq)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_extreme_inputs(value, dtype):
    x_seq = torch.zeros(3, 1, 40, dtype=dtype)
    x_seq[0] = value
    for v_reset in (None, -0.5):
        expected, expected_state = functional.clif_multi_step(x_seq, v_reset=v_reset, backend="torch")
        actual, state = functional.clif_multi_step(x_seq, v_reset=v_reset, backend="cpu")
        if value == float("inf") and v_reset is not None:  # PyTorch's 0·∞, which the kernels do not have
            assert expected_state[0].isnan().all()
            assert torch.cat(state).isfinite().all()
            assert actual[0].all()
            assert not actual[1:].any()
            continue
        torch.testing.assert_close((actual, *state), (expected, *expected_state), equal_nan=True, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
def test_threads_change_no_bit(neuron):
    case = Case(neuron, T=4, shape=(5, 20_011), surrogate=Sigmoid())
    threads = torch.get_num_threads()
    everywhere = torch.ones(case.shape)
    results = []
    for count in (1, 3):
        torch.set_num_threads(count)
        results.append(case.run("cpu", torch.float32, everywhere))
    torch.set_num_threads(threads)
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@pytest.mark.usefixtures("each_isa")
def test_instruction_sets():
    for dtype in DTYPES:
        for neuron in ("CLIF", "LIF", "PLIF"):
            case = Case(neuron, shape=(3, 137), surrogate=Sigmoid())
            assert_equals_reference(case, "cpu", dtype)
            assert_equals_reference(replace(case, surrogate=ATan(), v_reset=0.0), "cpu", dtype)


@pytest.mark.usefixtures("each_isa", "poisoned")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
def test_parts_of_a_vector(neuron, dtype):
    for size in (*range(1, 41), 127, 513, 1041):
        assert_equals_reference(Case(neuron, T=3, shape=(1, size), seed=size), "cpu", dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
def test_spikes_do_not_depend_on_the_instruction_set(neuron, dtype):
    case = Case(neuron, T=6, shape=(7, 1433), v_reset=None)
    results = []
    for name in isa.available():
        with isa.using(name):
            results.append(case.run("cpu", dtype, torch.ones(case.shape)))
    tolerance = TOLERANCES[dtype]
    for result in results[1:]:
        torch.testing.assert_close(result["spike"], results[0]["spike"], rtol=0, atol=0)
        torch.testing.assert_close(result, results[0], rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("each_isa", "poisoned")
@pytest.mark.parametrize("dtype", [*DTYPES[:2], pytest.param(DTYPES[2], marks=pytest.mark.slow)], ids=str)
def test_results_too_large_for_the_caches_are_written_past_them(dtype):
    elements = 2**23 // dtype.itemsize + 1024
    for shape in ((2, elements // 8), (1, elements // 4 + 1)):  # with and without every step at a cache line
        assert_equals_reference(Case("LIF", T=4, shape=shape), "cpu", dtype)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1.2e-7), (torch.float64, 3e-16)], ids=str)
def test_sigmoid_is_accurate_to_rounding(dtype, tolerance):
    checks.assert_sigmoid_is_accurate(dtype, tolerance)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF], ids=hex)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_nan_stays(dtype, bits):
    checks.assert_nan_stays(dtype, bits)


@pytest.mark.parametrize("shape", [(3, 0), (3, 0, 4), (1, 1)])
def test_empty_and_tiny(shape):
    x_seq = torch.full(shape, 2.0, requires_grad=True)
    spikes, state = functional.clif_multi_step(x_seq, backend="cpu")
    spikes.sum().backward()
    assert spikes.shape == x_seq.grad.shape == shape
    assert all(s.shape == shape[1:] for s in state)
    assert (spikes == 1).all()
