"""The neurons on the CPU: C++ kernels (`clif/csrc`) that the package's build compiles, called through ctypes.

They compute float32 and bfloat16 in float32 and float64 in float64, on `torch.get_num_threads()` threads, with the best
instruction set of the machine at hand or a lower one (`clif.ops.isa`); results do not depend on the number of threads.
The kernels get only pointers from PyTorch, so one build works with every version of it.
"""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from clif.errors import InputError
from clif.ops import isa, norm
from clif.ops.equations import compute_dtype
from clif.ops.problems import NormProblem, PackProblem, SpikeConvProblem, SumProblem

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float64: 2}
ROW_BYTES = 256  # row_block of csrc/work.hpp
NO_MEMORY, UNKNOWN = 1, {2: "dtype", 3: "instruction set"}
"""The status codes of the kernels if they did nothing: `enum Status` of csrc/work.hpp."""


class Geometry(NamedTuple):
    """A convolution with a square kernel: its input [images, C, H, W], output channels, kernel, stride and padding."""

    shape: tuple[int, int, int, int]
    out_channels: int
    kernel: int
    stride: int
    padding: int

    @property
    def out_shape(self) -> tuple[int, int, int, int]:
        images, _, *sizes = self.shape
        height, width = ((size + 2 * self.padding - self.kernel) // self.stride + 1 for size in sizes)
        return images, self.out_channels, height, width

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.out_channels, self.shape[1], self.kernel, self.kernel


_LIBRARY, DESCRIPTION = isa.LIBRARY, isa.DESCRIPTION
MOST_CHANNELS = 0 if _LIBRARY is None else _LIBRARY.clif_most_channels()


def unavailable() -> str | None:
    """Why this backend cannot run here, or None if it can."""
    return DESCRIPTION if _LIBRARY is None else None


def pointer(tensor: Tensor | None) -> int | None:
    """The address of a tensor's elements; None, the null pointer, if there are none."""
    return None if tensor is None or tensor.numel() == 0 else tensor.data_ptr()


def refuses_norm(x_seq: Tensor, of: norm.Norm) -> str | None:
    """Why the kernels do not fuse this batch norm with the neuron after it, or None if they do."""
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
        isa=isa.current(),
    )


def statistics(x_seq: Tensor) -> tuple[Tensor, Tensor]:
    mean = x_seq.new_empty((len(x_seq), x_seq.shape[2]), dtype=compute_dtype(x_seq.dtype))
    var = torch.empty_like(mean)
    problem = _norm_problem(x_seq)
    problem.mean, problem.var = mean.data_ptr(), var.data_ptr()
    call("clif_norm_statistics", problem, _steps(problem))
    return mean, var


def scale(x_seq: Tensor, dx: Tensor, of_dx: Tensor, of_x: Tensor, constant: Tensor) -> None:
    problem = _norm_problem(x_seq)
    problem.dx, problem.of_dx, problem.of_x, problem.constant = map(pointer, (dx, of_dx, of_x, constant))
    call("clif_norm_backward", problem, _steps(problem))


def sums(values: Tensor) -> Tensor:
    """The sums [C] of dense values [outer, C, inner], in float64 and always in the same order."""
    outer, channels, inner = values.shape
    found = torch.empty(channels, dtype=torch.float64)
    problem = SumProblem(
        outer=outer,
        channels=channels,
        inner=inner,
        values=values.data_ptr(),
        sums=found.data_ptr(),
        dtype=DTYPES[values.dtype],
        threads=torch.get_num_threads(),
    )
    call("clif_channel_sums", problem, f"the sums of {channels} channels")
    return found


def _steps(problem: NormProblem) -> str:
    return f"the states of {problem.steps} steps"


def call(function: str, problem: ctypes.Structure, what: str) -> None:
    assert _LIBRARY is not None
    status = getattr(_LIBRARY, function)(ctypes.byref(problem))
    if status == NO_MEMORY:
        raise MemoryError(f"{function}: not enough memory for {what}")
    if status in UNKNOWN:
        number = getattr(problem, "isa" if status == 3 else UNKNOWN[status])
        raise InputError(f"{function}: the compiled kernels have no {UNKNOWN[status]} {number}; install clif again")


def pack(x: Tensor) -> tuple[Tensor, float, int] | None:
    """The bits of a dense tensor of spikes, 64 in an int64, the value of a spike, and the number of spikes.

    None if it has other numbers.
    """
    words = torch.empty(-(-x.numel() // 64), dtype=torch.int64)
    problem = _pack_problem(words, x)
    call("clif_pack", problem, f"packing {list(x.shape)}")
    return None if problem.count < 0 else (words, problem.spike, problem.count)


def unpack(words: Tensor, spike: float, x: Tensor) -> None:
    """Fill the dense tensor `x` from the result of `pack`."""
    problem = _pack_problem(words, x)
    problem.spike = spike
    call("clif_unpack", problem, f"unpacking {list(x.shape)}")


def _pack_problem(words: Tensor, x: Tensor) -> PackProblem:
    return PackProblem(
        size=x.numel(),
        elements=x.data_ptr(),
        words=words.data_ptr(),
        dtype=DTYPES[x.dtype],
        threads=torch.get_num_threads(),
        isa=isa.current(),
    )


def spike_conv(spikes: Tensor, spike: float, geometry: Geometry, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution [images, O, H, W] of spikes as bits with `weight` [O, C, k, k], both channels_last."""
    out = torch.empty(geometry.out_shape, dtype=weight.dtype, memory_format=torch.channels_last)
    rows = _weight_rows(geometry, weight.dtype)
    problem = _spike_conv_problem(spikes, spike, geometry, rows, weight.dtype)
    problem.weight, problem.bias, problem.out = map(pointer, (weight, bias, out))
    call("clif_spike_conv_forward", problem, f"a convolution of {list(geometry.shape)}")
    return out


def spike_conv_weight_gradient(spikes: Tensor, spike: float, geometry: Geometry, d_out: Tensor) -> Tensor:
    """The gradient of that convolution's weight from that of its output, both channels_last."""
    d_weight = torch.empty(geometry.weight_shape, dtype=d_out.dtype, memory_format=torch.channels_last)
    rows = _weight_rows(geometry, d_out.dtype)
    problem = _spike_conv_problem(spikes, spike, geometry, rows, d_out.dtype)
    problem.d_out, problem.d_weight = d_out.data_ptr(), d_weight.data_ptr()
    call("clif_spike_conv_backward", problem, f"a convolution of {list(geometry.shape)}")
    return d_weight


def _weight_rows(geometry: Geometry, dtype: torch.dtype) -> Tensor:
    """A buffer for the weights in the order of the kernels, with output channels padded to whole blocks."""
    dtype = compute_dtype(dtype)
    block = ROW_BYTES // dtype.itemsize
    out_channels = -(-geometry.out_channels // block) * block
    return torch.empty(out_channels * geometry.kernel**2 * geometry.shape[1], dtype=dtype)


def _spike_conv_problem(
    spikes: Tensor, spike: float, geometry: Geometry, rows: Tensor, dtype: torch.dtype
) -> SpikeConvProblem:
    images, channels, height, width = geometry.shape
    _, out_channels, out_height, out_width = geometry.out_shape
    return SpikeConvProblem(
        images=images,
        height=height,
        width=width,
        channels=channels,
        out_height=out_height,
        out_width=out_width,
        out_channels=out_channels,
        kernel=geometry.kernel,
        stride=geometry.stride,
        padding=geometry.padding,
        words=spikes.data_ptr(),
        rows=rows.data_ptr(),
        spike=spike,
        dtype=DTYPES[dtype],
        threads=torch.get_num_threads(),
        isa=isa.current(),
    )
