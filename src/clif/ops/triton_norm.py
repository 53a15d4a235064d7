"""The kernels of a fused batch norm on the GPU besides those of the neuron; see `clif.ops.norm`.

The neuron's own kernels normalise their input and sum the gradients by channel, so that a training step needs only
these passes over memory: statistics (read x), forward (read x, write s), backward (read x and ∂L/∂s, write g) and the
backward pass of the batch norm (read x and g, write ∂L/∂x).

Every sum is computed in float32 in many parts, always the same ones on one device, which are then added in float64:
without atomic operations, so that every run gives the same numbers.
"""

import torch
from torch import Tensor

from clif.ops import triton
from clif.ops.equations import compute_dtype

BLOCK = 1024  # elements of one program of 128 threads in the kernels that only read and add


def statistics(x_seq: Tensor) -> tuple[Tensor, Tensor]:
    from clif.ops import triton_norm_kernels

    T, size, channels = len(x_seq), x_seq[0].numel(), x_seq.shape[2]
    row = triton.row_size(x_seq, BLOCK, channels)
    sums = torch.empty((T, 2, row), dtype=torch.float32, device=x_seq.device)
    triton_norm_kernels.statistics[(-(-row // BLOCK), T)](
        x=x_seq,
        sums=sums,
        size=size,
        x_stride=x_seq.stride(0),
        channels=channels,
        row=row,
        BLOCK=BLOCK,
        enable_fp_fusion=True,
    )
    pixels = size // channels
    distance, square = (added_up(sums, channels) / pixels).unbind(1)
    pivot = x_seq[:, 0, :, 0, 0].double()
    dtype = compute_dtype(x_seq.dtype)
    return (pivot + distance).to(dtype), (square - distance.square()).clamp(min=0).to(dtype)


def scale(x_seq: Tensor, dx: Tensor, of_dx: Tensor, of_x: Tensor, constant: Tensor) -> None:
    from clif.ops import triton_norm_kernels

    size = x_seq[0].numel()
    if size == 0:
        return
    triton_norm_kernels.scale[(-(-size // BLOCK), len(x_seq))](
        x=x_seq,
        dx=dx,
        of_dx=of_dx,
        of_x=of_x,
        constant=constant,
        size=size,
        x_stride=x_seq.stride(0),
        channels=x_seq.shape[2],
        BLOCK=BLOCK,
        enable_fp_fusion=True,
    )


def added_up(sums: Tensor, channels: int) -> Tensor:
    """The sums [T, 2, C] in float64 over the lanes' sums, [T, 2, pixels·C]."""
    return sums.unflatten(2, (-1, channels)).sum(2, dtype=torch.float64)
