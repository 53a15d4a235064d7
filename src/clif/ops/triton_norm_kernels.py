"""The part of a batch norm that is not fused with the neuron, in Triton.

Sequences are [T, size] with the channels closest in memory; the second index of a program is the step.
"""

import triton
import triton.language as tl

from clif.ops.triton_functions import channel_of


@triton.jit
def statistics(x, sums, size, x_stride, channels, row, BLOCK: tl.constexpr):
    """sums [T, 2, row] of x − pivot and of its square; the pivot of a channel is its first pixel.

    A program takes the same columns of all rows of `row` elements, a whole number of pixels.
    """
    step = tl.program_id(1).to(tl.int64)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    column = first + tl.arange(0, BLOCK)
    channel = channel_of(first, BLOCK, channels)
    here = x + step * x_stride
    pivot = tl.load(here + channel).to(tl.float32)
    sum = tl.zeros([BLOCK], tl.float32)
    square = tl.zeros([BLOCK], tl.float32)
    for row_index in range(tl.cdiv(size, row)):
        at = column + row_index * tl.cast(row, tl.int64)
        inside = (at < size) & (column < row)
        distance = tl.where(inside, tl.load(here + at, inside, 0.0).to(tl.float32) - pivot, 0.0)
        sum += distance
        square += distance * distance
    to = sums + step * 2 * row + column
    tl.store(to, sum, column < row)
    tl.store(to + row, square, column < row)


@triton.jit
def scale(x, dx, of_dx, of_x, constant, size, x_stride, channels, BLOCK: tl.constexpr):
    """Replace dx [T, size] with dx·of_dx + x·of_x + constant; the factors are [T, channels]."""
    step = tl.program_id(1).to(tl.int64)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    at = first + tl.arange(0, BLOCK)
    inside = at < size
    factor = step * channels + channel_of(first, BLOCK, channels)
    d_x = dx + step * size + at
    g = tl.load(d_x, inside, 0.0).to(tl.float32)
    read = tl.load(x + step * x_stride + at, inside, 0.0).to(tl.float32)
    scaled = g * tl.load(of_dx + factor) + read * tl.load(of_x + factor) + tl.load(constant + factor)
    tl.store(d_x, scaled, inside)
