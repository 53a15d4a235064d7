"""The neurons on the CPU: C++ kernels (`clif/csrc`) that the package's build compiles, called through ctypes.

They compute float32 and bfloat16 in float32 and float64 in float64, on `torch.get_num_threads()` threads, with the
instruction set of the machine at hand; results do not depend on the number of threads. The kernels know nothing
of PyTorch but pointers, so one build serves every version of it.
"""

import ctypes
import importlib.util
from typing import Any

import torch
from torch import Tensor

from clif.ops import norm, operator
from clif.ops.operator import Dynamics, Gradients, Inputs, OutputGradients, Outputs
from clif.ops.reference import SurrogateFunction, compute_dtype

NEURONS = {"CLIF": 0, "LIF": 1, "PLIF": 2}
DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float64: 2}
SURROGATES = {"rectangle": 0, "sigmoid": 1, "triangle": 2, "atan": 3}
INSTRUCTION_SETS = ("baseline", "AVX2", "AVX-512", "AVX-512 with BF16")


class Problem(ctypes.Structure):
    """`struct Problem` of csrc/problem.hpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("steps", "size", "x_stride", "d_spike_stride", "v_stride", "m_stride")),
        *((name, ctypes.c_void_p) for name in ("x", "v", "m", "spike", "v_last", "m_last")),
        *((name, ctypes.c_void_p) for name in ("d_spike", "d_v_last", "d_m_last", "dx", "dv", "dm", "d_leak")),
        *((name, ctypes.c_void_p) for name in ("scale", "shift", "mean", "norm_sums")),
        ("channels", ctypes.c_int64),
        *((name, ctypes.c_double) for name in ("leak", "keep", "threshold", "subtract", "reset", "alpha")),
        *((name, ctypes.c_int32) for name in ("neuron", "dtype", "surrogate")),
        *((name, ctypes.c_int32) for name in ("decay_input", "hard_reset", "detach_reset", "threads", "isa")),
    )


class NormProblem(ctypes.Structure):
    """`struct NormProblem` of csrc/problem.hpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("steps", "pixels", "channels", "x_stride")),
        *((name, ctypes.c_void_p) for name in ("x", "mean", "var", "dx", "of_dx", "of_x", "constant")),
        *((name, ctypes.c_int32) for name in ("dtype", "threads", "isa")),
    )


def _load() -> tuple[ctypes.CDLL | None, str]:
    """The compiled kernels, or None; and in words what they run on or why they cannot."""
    spec = importlib.util.find_spec("clif._kernels")
    if spec is None or spec.origin is None:
        return None, "the kernels were not compiled: install clif again where a C++17 compiler is found"
    try:
        library = ctypes.CDLL(spec.origin)
    except OSError as error:
        return None, f"the compiled kernels do not load ({error}); install clif again"
    return library, f"compiled kernels, {INSTRUCTION_SETS[library.clif_isa()]}"


_LIBRARY, DESCRIPTION = _load()
MOST_CHANNELS = 0 if _LIBRARY is None else _LIBRARY.clif_most_channels()


def unavailable() -> str | None:
    """Why this backend cannot run here, or None if it can."""
    return DESCRIPTION if _LIBRARY is None else None


def refuses(x_seq: Tensor, surrogate_function: SurrogateFunction) -> str | None:
    """Why the kernels do not take this input, or None if they do."""
    if x_seq.device.type != "cpu":
        return f"the input is on {x_seq.device}"
    if x_seq.dtype not in DTYPES:
        return f"the input is {x_seq.dtype}; the kernels take float32, bfloat16 and float64"
    if type(surrogate_function) not in operator.SURROGATE_NAMES:
        return f"the kernels know the surrogates of clif.surrogate, not {surrogate_function!r}"
    return None


def _problem(inputs: Inputs, dynamics: Dynamics) -> Problem:
    x_seq, v, m, leak_tensor = inputs
    leak = 1 / dynamics.tau if leak_tensor is None else leak_tensor.item()
    hard_reset = dynamics.v_reset is not None
    return Problem(
        steps=len(x_seq),
        size=x_seq[0].numel(),
        x_stride=x_seq.stride(0),
        v_stride=0 if operator.is_one_value(v) else 1,
        m_stride=0 if m is None or operator.is_one_value(m) else 1,
        x=x_seq.data_ptr(),
        v=v.data_ptr(),
        m=_pointer(m),
        leak=leak,
        keep=1 - leak,
        threshold=dynamics.v_threshold,
        subtract=dynamics.v_subtract,
        reset=dynamics.v_reset if hard_reset else 0.0,
        alpha=dynamics.alpha,
        neuron=NEURONS[dynamics.neuron],
        dtype=DTYPES[x_seq.dtype],
        surrogate=SURROGATES[dynamics.surrogate],
        decay_input=dynamics.decay_input,
        hard_reset=hard_reset,
        detach_reset=dynamics.detach_reset,
        threads=torch.get_num_threads(),
        isa=len(INSTRUCTION_SETS) - 1,
    )


def _pointer(tensor: Tensor | None) -> int | None:
    """The address of a tensor's elements; None, the null pointer, where there are none."""
    return None if tensor is None or tensor.numel() == 0 else tensor.data_ptr()


def _forward(inputs: Inputs, dynamics: Dynamics, outputs: Outputs) -> None:
    problem = _problem(inputs, dynamics)
    problem.spike, problem.v_last, problem.m_last = map(_pointer, outputs)
    _call("clif_forward", problem)


def _backward_problem(inputs: Inputs, dynamics: Dynamics, incoming: OutputGradients, gradients: Gradients) -> Problem:
    problem = _problem(inputs, dynamics)
    problem.d_spike, problem.d_v_last, problem.d_m_last = map(_pointer, incoming)
    problem.d_spike_stride = 0 if incoming.spike_seq is None else incoming.spike_seq.stride(0)
    problem.dx, problem.dv, problem.dm, problem.d_leak = map(_pointer, gradients)
    return problem


def _backward(inputs: Inputs, dynamics: Dynamics, incoming: OutputGradients, gradients: Gradients) -> None:
    _call("clif_backward", _backward_problem(inputs, dynamics, incoming, gradients))


def refuses_norm(x_seq: Tensor, of: norm.Norm) -> str | None:
    """Why the kernels do not fuse this batch norm with the neuron behind it, or None if they do."""
    if x_seq.dim() == 5 and x_seq.shape[2] > MOST_CHANNELS:
        return f"{x_seq.shape[2]} channels are more than the {MOST_CHANNELS} that the kernels take"
    return norm.refuses(x_seq, of)


def _norm_problem(x_seq: Tensor) -> NormProblem:
    T, N, C, H, W = x_seq.shape
    return NormProblem(
        steps=T,
        pixels=N * H * W,
        channels=C,
        x_stride=x_seq.stride(0),
        x=x_seq.data_ptr(),
        dtype=DTYPES[x_seq.dtype],
        threads=torch.get_num_threads(),
        isa=len(INSTRUCTION_SETS) - 1,
    )


def _statistics(x_seq: Tensor) -> tuple[Tensor, Tensor]:
    mean = x_seq.new_empty((len(x_seq), x_seq.shape[2]), dtype=compute_dtype(x_seq.dtype))
    var = torch.empty_like(mean)
    problem = _norm_problem(x_seq)
    problem.mean, problem.var = mean.data_ptr(), var.data_ptr()
    _call("clif_norm_statistics", problem)
    return mean, var


def _norm_forward(inputs: Inputs, dynamics: Dynamics, affine: norm.Affine, outputs: Outputs) -> None:
    problem = _problem(inputs, dynamics)
    problem.spike, problem.v_last, problem.m_last = map(_pointer, outputs)
    problem.scale, problem.shift, problem.mean = map(_pointer, affine)
    problem.channels = affine.scale.shape[1]
    _call("clif_forward", problem)


def _norm_backward(
    inputs: Inputs, dynamics: Dynamics, affine: norm.Affine, incoming: OutputGradients, gradients: Gradients
) -> Tensor:
    problem = _backward_problem(inputs, dynamics, incoming, gradients)
    problem.scale, problem.shift, problem.mean = map(_pointer, affine)
    T, problem.channels = affine.scale.shape
    sums = torch.empty((T, 2, problem.channels), dtype=torch.float64)
    problem.norm_sums = sums.data_ptr()
    _call("clif_backward", problem)
    return sums


def _scale(x_seq: Tensor, dx: Tensor, of_dx: Tensor, of_x: Tensor, constant: Tensor) -> None:
    problem = _norm_problem(x_seq)
    problem.dx, problem.of_dx, problem.of_x, problem.constant = map(_pointer, (dx, of_dx, of_x, constant))
    _call("clif_norm_backward", problem)


def _call(function: str, problem: Problem | NormProblem) -> None:
    assert _LIBRARY is not None
    if getattr(_LIBRARY, function)(ctypes.byref(problem)):
        raise MemoryError(f"{function}: not enough memory for the states of {problem.steps} steps")


def pack(x: Tensor) -> tuple[Tensor, float] | None:
    """The bits of a dense tensor of spikes, 64 in an int64, and what a spike counts; None if it has other numbers."""
    assert _LIBRARY is not None
    words = torch.empty(-(-x.numel() // 64), dtype=torch.int64)
    height, spikes = ctypes.c_double(), ctypes.c_int32()
    places = (ctypes.c_void_p(words.data_ptr()), ctypes.byref(height), ctypes.byref(spikes))
    if _LIBRARY.clif_pack(*_elements(x), *places):
        raise MemoryError(f"not enough memory to pack {list(x.shape)}")
    return (words, height.value) if spikes.value else None


def unpack(words: Tensor, height: float, x: Tensor) -> None:
    """Fill the dense tensor `x` with what `pack` made of it."""
    assert _LIBRARY is not None
    if _LIBRARY.clif_unpack(*_elements(x), ctypes.c_void_p(words.data_ptr()), ctypes.c_double(height)):
        raise MemoryError(f"not enough memory to unpack {list(x.shape)}")


def _elements(x: Tensor) -> tuple[Any, ...]:
    size, dtype, threads = x.numel(), DTYPES[x.dtype], torch.get_num_threads()
    return ctypes.c_void_p(x.data_ptr()), ctypes.c_int64(size), ctypes.c_int32(dtype), ctypes.c_int32(threads)


multi_step = operator.create("cpu_neuron", _forward, _backward)
norm_multi_step = norm.create("cpu_norm_neuron", norm.Kernels(_statistics, _norm_forward, _norm_backward, _scale))
