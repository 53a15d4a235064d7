"""The Triton kernels against the reference: on a GPU, or through Triton's interpreter in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from cases import Case, assert_equals_reference
from hypothesis import given, settings
from hypothesis import strategies as st

import clif
from clif import functional
from clif.errors import InputError
from clif.ops import dispatch, triton
from clif.surrogate import ATan, Rectangle, Sigmoid, Triangle

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
DEVICE = "cpu" if triton.INTERPRETED else "cuda"

runs = pytest.mark.skipif(triton.unavailable() is not None, reason="needs a GPU, or triton and TRITON_INTERPRET=1")


def on_a_gpu(test):
    """A test of the kernels: marked `gpu` where they are not interpreted."""
    return runs(test if triton.INTERPRETED else pytest.mark.gpu(test))


@pytest.mark.slow
@pytest.mark.skipif(not triton.INSTALLED, reason="triton is not installed")
@pytest.mark.skipif(triton.INTERPRETED, reason="this is that process")
def test_with_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not gpu", "-p", "no:cacheprovider", str(Path(__file__))]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:]
    assert int(re.findall(r"(\d+) passed", result.stdout)[-1]) > 10


@pytest.mark.skipif(triton.unavailable() is None, reason="triton can run here")
def test_says_why_it_cannot_run():
    assert not clif.backends()["triton"].available
    with pytest.raises(InputError, match="backend 'triton' cannot run here: "):
        clif.CLIFNode(backend="triton")


@on_a_gpu
def test_refuses_float64():
    with pytest.raises(InputError, match="float32, bfloat16 and float16"):
        functional.clif_multi_step(torch.zeros(3, 2, dtype=torch.float64, device=DEVICE), backend="triton")


@st.composite
def cases(draw) -> Case:
    neuron = draw(st.sampled_from(["CLIF", "LIF", "PLIF"]))
    v_reset = draw(st.sampled_from([None, -0.25]))
    return Case(
        neuron=neuron,
        T=draw(st.sampled_from([1, 2, 4, 6, 9])),
        shape=draw(st.sampled_from([(1,), (2, 17), (3, 300)])),
        tau=draw(st.sampled_from([1.25, 2.0])),
        decay_input=draw(st.booleans()),
        v_threshold=draw(st.sampled_from([1.0, 0.6])),
        v_reset=v_reset,
        v_subtract=draw(st.sampled_from([None, 0.5])) if neuron == "LIF" and v_reset is None else None,
        surrogate=draw(st.sampled_from([Rectangle(0.7), Sigmoid(), Triangle(), ATan()])),
        detach_reset=draw(st.booleans()),
        with_state=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


@on_a_gpu
@given(case=cases(), dtype=st.sampled_from(DTYPES))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_equals_reference(case, dtype):
    assert_equals_reference(case, "triton", dtype, device=DEVICE)


@on_a_gpu
@given(case=cases(), dtype=st.sampled_from(DTYPES))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_loops_equal_reference(case, dtype):
    with mock.patch.object(triton, "UNROLLED_STEPS", 0):
        assert_equals_reference(case, "triton", dtype, device=DEVICE)


@pytest.fixture
def poisoned():
    """Memory that nobody wrote reads as NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("unrolled", [0, triton.UNROLLED_STEPS])
@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
@pytest.mark.parametrize("size", [1, 511, 512, 513, 5000])
def test_every_element_is_written(neuron, size, unrolled, monkeypatch):
    monkeypatch.setattr(triton, "UNROLLED_STEPS", unrolled)
    assert_equals_reference(Case(neuron, T=2, shape=(1, size), v_reset=-0.1), "triton", torch.float32, device=DEVICE)


@on_a_gpu
@pytest.mark.parametrize(
    ("neuron", "T"),
    [
        ("CLIF", triton.UNROLLED_STEPS),
        ("PLIF", triton.UNROLLED_STEPS),
        ("CLIF", triton.UNROLLED_STEPS + 1),
        ("PLIF", 1000),
    ],
)
def test_long_sequences(neuron, T):
    case = Case(neuron, T=T, shape=(1, 140), surrogate=Sigmoid())
    assert_equals_reference(case, "triton", torch.float32, device=DEVICE)


@on_a_gpu
def test_layouts():
    for layout in (lambda x: x.transpose(0, 1).contiguous().transpose(0, 1), lambda x: x.repeat_interleave(2, 0)[::2]):
        assert_equals_reference(Case(shape=(2, 3, 5)), "triton", torch.float32, layout, DEVICE)
    image = torch.randn(2, 3, 4, 4, device=DEVICE, requires_grad=True)
    gradients = []
    for backend in ("triton", "torch"):
        spikes, _ = functional.clif_multi_step(image.expand(4, *image.shape), backend=backend)
        gradients += torch.autograd.grad(spikes.sum(), image)
    torch.testing.assert_close(*gradients)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that PyTorch can use")
def test_auto_takes_the_kernels_on_a_gpu_and_a_network_trains():
    net = clif.models.create_model("spiking_resnet18", T=3).cuda()
    x = torch.randn(4, 3, 32, 32, device="cuda")
    assert dispatch.choose(x, Rectangle())[0] == "triton"
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            net(x).float().square().mean().backward()
        assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that PyTorch can use")
def test_more_elements_than_32_bits_can_count():
    """A sequence whose last step begins behind element 2**31."""
    size = 2**30 + 5
    if torch.cuda.mem_get_info()[0] < 40 * size:
        pytest.skip("needs 40 GiB of free GPU memory")
    x_seq = torch.zeros(3, 1, size, dtype=torch.bfloat16, device="cuda")
    x_seq[2, 0, -1] = 1.25
    x_seq.requires_grad_()
    spikes, _ = functional.clif_multi_step(x_seq, backend="triton")
    assert spikes.sum(dtype=torch.float64) == spikes[2, 0, -1] == 1
    (gradient,) = torch.autograd.grad(spikes, x_seq, torch.ones_like(spikes))
    assert gradient[2, 0, -1] == 1
    assert gradient[2, 0, :-1].any() == 0
