"""The kernels of `clif.ops.neuron` on the CPU: generated units, run by the compiled library."""

import ctypes

import torch
from torch import Tensor

from clif.generate import units
from clif.ops import cpu, isa, layout
from clif.ops.equations import Equations
from clif.ops.kernel_interface import Aligned, Gradients, Kernels
from clif.ops.problems import NeuronProblem


def refuses(x_seq: Tensor, equations: Equations) -> str | None:
    """Why the kernels do not take this input, or None if they do."""
    if x_seq.device.type != "cpu":
        return f"the input is on {x_seq.device}"
    if x_seq.dtype not in cpu.DTYPES:
        return f"the input is {x_seq.dtype}; the kernels take float32, bfloat16 and float64"
    return missing_unit(x_seq, equations)


def missing_unit(x_seq: Tensor, equations: Equations) -> str | None:
    """Why there are no kernels of a layer's equations for this input, or None if there are."""
    if equations.plan.refusal is not None or x_seq.dtype not in cpu.DTYPES:
        return None
    return units.problem(equations.plan.text, x_seq.dtype, isa.NAMES[isa.current()])


def _problem(inputs: Aligned) -> NeuronProblem:
    x_seq = inputs.x_seq
    unit = units.load(inputs.program, x_seq.dtype, isa.NAMES[isa.current()])
    problem = NeuronProblem(
        unit=ctypes.addressof(unit),
        steps=len(x_seq),
        size=x_seq[0].numel(),
        x_stride=x_seq.stride(0),
        x=x_seq.data_ptr(),
        constants=inputs.constants.data_ptr(),
        constant_count=inputs.constants.numel(),
        dtype=cpu.DTYPES[x_seq.dtype],
        threads=torch.get_num_threads(),
    )
    for j, state in enumerate(inputs.states):
        problem.state[j] = state.data_ptr()
        problem.state_stride[j] = 0 if layout.is_one_value(state) else 1
    for j, coefficient in enumerate(inputs.coefficients):
        problem.coefficient[j] = coefficient.data_ptr()
        problem.period[j] = coefficient.numel() if coefficient.dim() else 0
    if inputs.affine is not None:
        problem.scale, problem.shift, problem.mean = map(cpu.pointer, inputs.affine)
        problem.channels = inputs.affine.scale.shape[1]
    return problem


def _forward(inputs: Aligned, spike_seq: Tensor, last: list[Tensor]) -> None:
    if spike_seq.numel() == 0:
        return
    problem = _problem(inputs)
    problem.spike = cpu.pointer(spike_seq)
    for j, state in enumerate(last):
        problem.last[j] = cpu.pointer(state)
    cpu.call("clif_unit_forward", problem, f"the states of {problem.steps} steps")


def _backward(inputs: Aligned, incoming: list[Tensor | None], gradients: Gradients) -> Tensor | None:
    if inputs.x_seq.numel() == 0:
        return None if inputs.affine is None else _no_sums(inputs.affine.scale)
    problem = _problem(inputs)
    d_spike, *d_last = incoming
    problem.d_spike = cpu.pointer(d_spike)
    problem.d_spike_stride = 0 if d_spike is None else d_spike.stride(0)
    problem.dx = cpu.pointer(gradients.x_seq)
    for j, d in enumerate(d_last):
        problem.d_last[j] = cpu.pointer(d)
    for j, d in enumerate(gradients.states):
        problem.d_state[j] = cpu.pointer(d)
    for j, d in enumerate(gradients.coefficients):
        problem.d_coefficient[j] = cpu.pointer(d)
    sums = None
    if inputs.affine is not None:
        sums = torch.empty((problem.steps, 2, problem.channels), dtype=torch.float64)
        problem.norm_sums = sums.data_ptr()
    cpu.call("clif_unit_backward", problem, f"the states of {problem.steps} steps")
    return sums


def _no_sums(scale: Tensor) -> Tensor:
    steps, channels = scale.shape
    return torch.zeros((steps, 2, channels), dtype=torch.float64)


KERNELS = Kernels(_forward, _backward, cpu.statistics, cpu.scale, cpu.sums)
