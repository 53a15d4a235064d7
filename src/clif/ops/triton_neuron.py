"""The kernels of `clif.ops.neuron` on the GPU: generated in Triton, with the states in registers over all steps.

They load and store float32, bfloat16 and float16 and compute in float32. If there are few steps, their number is a
constant of the kernels, and the backward pass keeps the values of all steps in registers; for longer sequences it
keeps them in a scratch, which only the running programs need.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clif.errors import InputError
from clif.generate import triton_units
from clif.generate.triton_units import TritonUnit
from clif.ops import layout, triton, triton_norm
from clif.ops.kernel_interface import Aligned, Gradients, Kernels
from clif.ops.norm import Affine

UNROLLED_VALUES = 192  # of all steps, in the registers of a thread at a time
UNROLLED_NORM_VALUES = 108  # the same with a batch norm, whose sums are among them
WIDE_ROW = 2**30  # coefficients; the places in a longer row are computed in 64 bits


class _Plan(NamedTuple):
    """The plan of a backward kernel: all steps in registers or not, and the neurons of one program of 128 threads."""

    unrolled: bool
    block: int


def _plan(unit: TritonUnit, T: int, affine: Affine | None) -> _Plan:
    """The plan for the values in registers: about half of those that the backward pass needs, x, the spike's gradient.

    With a batch norm, x − mean and two sums are added to them.
    """
    values = T * ((unit.live + 1) // 2 + (2 if affine is None else 5))
    if not triton.unrolls(T, affine) or values > (UNROLLED_VALUES if affine is None else UNROLLED_NORM_VALUES):
        return _Plan(False, 512)
    return _Plan(True, min(triton.block_size(T, affine), 512 if values <= 24 else 256 if values <= 48 else 128))


def _arguments(inputs: Aligned, unit: TritonUnit) -> dict[str, Any]:
    """The arguments that all kernels share, and one for their compiler."""
    x_seq, affine = inputs.x_seq, inputs.affine
    rows = [coefficient.numel() for coefficient in inputs.coefficients]
    arguments: dict[str, Any] = {
        "x": x_seq,
        "scale": None if affine is None else affine.scale,
        "shift": None if affine is None else affine.shift,
        "size": x_seq[0].numel(),
        "x_stride": x_seq.stride(0),
        "channels": 1 if affine is None else affine.scale.shape[1],
        "WIDE": max([0, *rows]) > WIDE_ROW,
        "enable_fp_fusion": False,  # rounds as PyTorch does, so the spikes are the same
        **unit.values(tuple(inputs.constants.tolist())),
    }
    for i, state in enumerate(inputs.states):
        arguments[f"state{i}"] = state
        arguments[f"stride{i}"] = 0 if layout.is_one_value(state) else 1
    for i, coefficient in enumerate(inputs.coefficients):
        arguments[f"coefficient{i}"] = coefficient
        if coefficient.dim():
            arguments[f"period{i}"] = rows[i]
    return arguments


def _given(name: str, tensors: Sequence[Tensor | None], count: int) -> dict[str, Tensor | None]:
    """Tensors as arguments that are None if there are none."""
    return {f"{name}{i}": tensors[i] if tensors else None for i in range(count)}


def _unit(inputs: Aligned) -> TritonUnit:
    if inputs.x_seq.dtype not in triton.DTYPES:
        raise InputError(f"the Triton kernels take float32, bfloat16 and float16, not {inputs.x_seq.dtype}")
    return triton_units.load(inputs.program)


def _forward(inputs: Aligned, spike_seq: Tensor, last: list[Tensor]) -> None:
    unit = _unit(inputs)
    T, size, block = len(inputs.x_seq), inputs.x_seq[0].numel(), triton.block_size(len(inputs.x_seq), inputs.affine)
    if size == 0:
        return
    with torch.cuda.device_of(inputs.x_seq):
        unit.module.forward[(-(-size // block),)](
            **_arguments(inputs, unit),
            **_given("last", last, len(inputs.states)),
            spike=spike_seq,
            T=T,
            STEPS=T if T <= triton.UNROLLED_STEPS else 0,
            BLOCK=block,
        )


def _backward(inputs: Aligned, incoming: list[Tensor | None], gradients: Gradients) -> Tensor | None:
    unit = _unit(inputs)
    x_seq, affine = inputs.x_seq, inputs.affine
    T, size, channels = len(x_seq), x_seq[0].numel(), 1 if affine is None else affine.scale.shape[1]
    plan = _plan(unit, T, affine)
    row = triton.row_size(x_seq, plan.block, channels)
    sums = None if affine is None else affine.scale.new_zeros(T, 2, row)
    d_spike, *d_last = incoming
    if size:
        arguments = {
            **_arguments(inputs, unit),
            **_given("d_last", d_last, len(d_last)),
            **_given("d_state", gradients.states, len(inputs.states)),
            **_given("d_coefficient", gradients.coefficients, len(gradients.coefficients)),
            "mean": None if affine is None else affine.mean,
            "sums": sums,
            "row": row,
            "d_spikes": d_spike,
            "d_spike_stride": 0 if d_spike is None else d_spike.stride(0),
            "dx": gradients.x_seq,
            "BLOCK": plan.block,
            "LIGHT_END": int(all(d is None for d in d_last)),
        }
        programs = -(-(size if plan.unrolled and affine is None else row) // plan.block)
        with torch.cuda.device_of(x_seq):
            if plan.unrolled:
                unit.module.backward_unrolled[(programs,)](**arguments, STEPS=T)
            else:
                scratch = x_seq.new_empty((programs, T, unit.planes, plan.block), dtype=torch.float32)
                unit.module.backward_looped[(programs,)](**arguments, T=T, scratch=scratch if unit.planes else None)
    return None if sums is None else triton_norm.added_up(sums, channels)


def _sums(values: Tensor) -> Tensor:
    return values.sum((0, 2), dtype=torch.float64)


KERNELS = Kernels(_forward, _backward, triton_norm.statistics, triton_norm.scale, _sums)
