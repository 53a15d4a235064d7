"""The Triton kernels compiled for a GPU, without one: to PTX and machine code, with what they are launched with."""

import importlib

import pytest
import torch
from cases import Case
from compiling import Recorder, compiled, stack_bytes

from clif.ops import triton, triton_norm
from clif.ops.norm import Affine
from clif.ops.operator import SURROGATE_NAMES, Dynamics, Gradients, Inputs, OutputGradients, Outputs
from clif.surrogate import ATan, Rectangle, Sigmoid, Triangle

pytestmark = [
    pytest.mark.skipif(not triton.INSTALLED, reason="triton is not installed"),
    pytest.mark.skipif(triton.INTERPRETED, reason="the interpreter compiles nothing"),
]

KERNELS = {
    "clif.ops.triton_kernels": ("forward", "backward_unrolled", "backward_looped"),
    "clif.ops.triton_norm_kernels": ("statistics", "scale"),
}


def launches(case: Case, dtype: torch.dtype, monkeypatch, channels: int | None = None) -> list[Recorder]:
    """The kernels that forward and backward of a case launch, with their arguments; with channels after a batch norm.

    The shape of such a case is [N, C, H, W].
    """
    recorders = []
    for module, names in KERNELS.items():
        for name in names:
            recorders.append(Recorder(getattr(importlib.import_module(module), name)))
            monkeypatch.setattr(f"{module}.{name}", recorders[-1])
    monkeypatch.setattr(triton, "_processors", lambda _: 132)

    x_seq = torch.zeros(case.T, *case.shape, dtype=dtype)
    v = torch.zeros(case.shape) if case.with_state else torch.zeros(()).expand(case.shape)
    m = torch.zeros(case.shape) if case.neuron == "CLIF" else None
    leak = torch.tensor(0.5) if case.neuron == "PLIF" else None
    inputs = Inputs(x_seq, v, m, leak)
    kind, alpha = SURROGATE_NAMES[type(case.surrogate)], case.surrogate.alpha
    dynamics = Dynamics(case.neuron, 2.0, case.decay_input, 1.0, case.v_reset, 1.0, kind, alpha, case.detach_reset)
    state = torch.zeros(case.shape)
    none = torch.zeros(0)
    outputs = Outputs(x_seq, state, none if m is None else state)
    incoming = OutputGradients(x_seq, state, None if m is None else state) if case.with_state else (x_seq, None, None)
    wanted = (state if case.with_state else none, state if case.with_state and m is not None else none)
    gradients = Gradients(x_seq, *wanted, none if leak is None else state)
    if channels is None:
        triton.forward(inputs, dynamics, outputs)
        triton.backward(inputs, dynamics, OutputGradients(*incoming), gradients)
    else:
        factors = torch.zeros(case.T, channels)
        affine = Affine(factors, factors, factors)
        triton_norm.KERNELS.statistics(x_seq)
        triton_norm.KERNELS.forward(inputs, dynamics, affine, outputs)
        triton_norm.KERNELS.backward(inputs, dynamics, affine, OutputGradients(*incoming), gradients)
        triton_norm.KERNELS.scale(x_seq, gradients.x_seq, factors, factors, factors)
    return [recorder for recorder in recorders if recorder.arguments is not None]


CASES = {
    "CLIF": (Case("CLIF", T=6, with_state=False), torch.float32),
    "CLIF bfloat16": (Case("CLIF", T=6), torch.bfloat16),
    "CLIF one step": (Case("CLIF", T=1, surrogate=Sigmoid(), v_reset=-0.1, decay_input=True), torch.float16),
    "CLIF many steps": (Case("CLIF", T=16, surrogate=Triangle(), detach_reset=True), torch.bfloat16),
    "CLIF long": (Case("CLIF", T=1000, surrogate=ATan()), torch.float32),
    "LIF": (Case("LIF", T=6, v_reset=0.0, surrogate=Rectangle(0.7)), torch.float32),
    "LIF long": (Case("LIF", T=1000, with_state=False), torch.bfloat16),
    "PLIF": (Case("PLIF", T=6, decay_input=True, surrogate=Sigmoid()), torch.float32),
    "PLIF many steps": (Case("PLIF", T=20, v_reset=-0.1), torch.float16),
    "PLIF long": (Case("PLIF", T=1000, decay_input=True, v_reset=0.0), torch.bfloat16),
}


@pytest.mark.parametrize(("case", "dtype"), CASES.values(), ids=CASES)
def test_kernels_compile_and_stay_in_registers(case, dtype, monkeypatch, tmp_path):
    kernels = [compiled(launch) for launch in launches(case, dtype, monkeypatch)]
    looped = case.T > triton.UNROLLED_STEPS
    assert [kernel.name for kernel in kernels] == ["forward", "backward_looped" if looped else "backward_unrolled"]
    for kernel in kernels:
        assert ".target sm_90" in kernel.asm["ptx"]
        assert stack_bytes(kernel, tmp_path) == 0


NORM_CASES = {
    "CLIF": (Case("CLIF", T=6, shape=(4, 64, 8, 8), with_state=False), torch.float32),
    "CLIF odd channels": (Case("CLIF", T=6, shape=(4, 17, 8, 8)), torch.bfloat16),
    "CLIF four steps": (Case("CLIF", T=4, shape=(4, 64, 8, 8), surrogate=Triangle()), torch.bfloat16),
    "CLIF many steps": (Case("CLIF", T=triton.UNROLLED_NORM_STEPS, shape=(4, 64, 8, 8)), torch.bfloat16),
    "CLIF long": (Case("CLIF", T=40, shape=(4, 64, 8, 8), surrogate=ATan()), torch.float16),
    "LIF": (Case("LIF", T=8, shape=(4, 3, 8, 8), v_reset=0.0, with_state=False), torch.float32),
    "PLIF": (Case("PLIF", T=6, shape=(4, 64, 8, 8), decay_input=True, surrogate=Sigmoid()), torch.float16),
}


@pytest.mark.parametrize(("case", "dtype"), NORM_CASES.values(), ids=NORM_CASES)
def test_kernels_with_a_batch_norm_compile_and_stay_in_registers(case, dtype, monkeypatch, tmp_path):
    kernels = [compiled(launch) for launch in launches(case, dtype, monkeypatch, channels=case.shape[1])]
    backward = "backward_looped" if case.T > triton.UNROLLED_NORM_STEPS else "backward_unrolled"
    assert [kernel.name for kernel in kernels] == ["forward", backward, "statistics", "scale"]
    for kernel in kernels:
        assert ".target sm_90" in kernel.asm["ptx"]
        assert "atom." not in kernel.asm["ptx"]
        assert stack_bytes(kernel, tmp_path) == 0


@pytest.mark.slow
@pytest.mark.parametrize("channels", [None, 64])
def test_the_longest_unrolled_kernel_compiles(channels, monkeypatch, tmp_path):
    case = Case("CLIF", T=triton.UNROLLED_STEPS, shape=(4, 64, 8, 8), surrogate=Sigmoid())
    for launch in launches(case, torch.float16, monkeypatch, channels):
        assert stack_bytes(compiled(launch), tmp_path) == 0


def test_an_old_triton_is_refused(monkeypatch):
    monkeypatch.setattr(triton.importlib.metadata, "version", lambda _: "3.2.0")
    assert "triton 3.2.0 is too old: pip install 'triton>=3.3'" in triton.unavailable()
