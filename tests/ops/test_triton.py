"""The Triton kernels against the reference, through Triton's interpreter in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cases import Case, assert_equals_reference
from hypothesis import given, settings
from hypothesis import strategies as st

import clif
from clif import functional
from clif.errors import InputError
from clif.ops import triton
from clif.surrogate import ATan, Rectangle, Sigmoid, Triangle

interpreted = pytest.mark.skipif(
    not (triton.INSTALLED and triton.INTERPRETED), reason="needs triton and TRITON_INTERPRET=1"
)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@pytest.mark.slow
@pytest.mark.skipif(not triton.INSTALLED, reason="triton is not installed")
@pytest.mark.skipif(triton.INTERPRETED, reason="this is that process")
def test_with_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:]
    assert int(re.findall(r"(\d+) passed", result.stdout)[-1]) > 10


@pytest.mark.skipif(triton.unavailable() is None, reason="triton can run here")
def test_says_why_it_cannot_run():
    assert not clif.backends()["triton"].available
    with pytest.raises(InputError, match="backend 'triton' cannot run here: "):
        clif.CLIFNode(backend="triton")


@interpreted
def test_refuses_float64():
    with pytest.raises(InputError, match="float32, bfloat16 and float16"):
        functional.clif_multi_step(torch.zeros(3, 2, dtype=torch.float64), backend="triton")


@st.composite
def cases(draw) -> Case:
    neuron = draw(st.sampled_from(["CLIF", "LIF", "PLIF"]))
    v_reset = draw(st.sampled_from([None, -0.25]))
    return Case(
        neuron=neuron,
        T=draw(st.integers(1, 6)),
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


@interpreted
@given(case=cases(), dtype=st.sampled_from(DTYPES))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_equals_reference(case, dtype):
    assert_equals_reference(case, "triton", dtype)


@interpreted
@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
@pytest.mark.parametrize("size", [1, 511, 512, 513, 5000])
def test_every_element_is_written(neuron, size):
    torch.use_deterministic_algorithms(True)
    try:
        assert_equals_reference(Case(neuron, T=2, shape=(1, size), v_reset=-0.1), "triton", torch.float32)
    finally:
        torch.use_deterministic_algorithms(False)


@interpreted
def test_long_sequence():
    assert_equals_reference(Case("PLIF", T=1000, shape=(1, 40), surrogate=Sigmoid()), "triton", torch.float32)


@interpreted
def test_layouts():
    for layout in (lambda x: x.transpose(0, 1).contiguous().transpose(0, 1), lambda x: x.repeat_interleave(2, 0)[::2]):
        assert_equals_reference(Case(shape=(2, 3, 5)), "triton", torch.float32, layout)
    image = torch.randn(2, 3, 4, 4, requires_grad=True)
    gradients = []
    for backend in ("triton", "torch"):
        spikes, _ = functional.clif_multi_step(image.expand(4, *image.shape), backend=backend)
        gradients += torch.autograd.grad(spikes.sum(), image)
    torch.testing.assert_close(*gradients)
