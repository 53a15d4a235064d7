"""The neurons on the GPU: Triton kernels (`triton_kernels.py`) that run through all steps with the state in registers.

They load and store float32, bfloat16 and float16 and compute in float32. Up to `UNROLLED_STEPS` the number of steps is
a constant of the kernels and the backward pass keeps the states of all steps in registers; for longer sequences it
leaves them in a scratch that only the running programs need. With TRITON_INTERPRET=1 in the environment the kernels
run, slowly, on CPU tensors, which is how they are tested without a GPU.
"""

import importlib.metadata
import importlib.util
import os
from typing import Any

import torch
from torch import Tensor

from clif.ops import operator
from clif.ops.norm import Affine
from clif.ops.operator import Dynamics, Gradients, Inputs, OutputGradients, Outputs
from clif.ops.reference import SurrogateFunction

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
INSTALLED = importlib.util.find_spec("triton") is not None
DESCRIPTION = "Triton kernels, interpreted on the CPU" if INTERPRETED else "Triton kernels on the GPU"

OLDEST = (3, 3)  # the first Triton with tuples

UNROLLED_STEPS = 32  # up to here T is a constant of the kernels
UNROLLED_NORM_STEPS = 12  # the same of the backward kernel with a batch norm, whose sums take registers too
PROGRAMS_PER_PROCESSOR = 8  # of a backward kernel whose programs keep something: a scratch, or a batch norm's sums
ROW_ALIGNMENT = 16  # pixels; whatever the channels, every row begins where a vector of elements may be read


def block_size(T: int, affine: Affine | None = None) -> int:
    """Neurons of one program of 128 threads: few for many steps, whose states are all in registers at a time."""
    if not unrolls(T, affine):
        return 512
    most = 512 if T <= 4 else 256 if T <= 8 else 128
    return most if affine is None else max(most // 2, 128)


def unrolls(T: int, affine: Affine | None = None) -> bool:
    """Whether the backward kernel keeps the states of all steps in registers."""
    return (UNROLLED_STEPS if affine is None else UNROLLED_NORM_STEPS) >= T


def unavailable() -> str | None:
    """Why this backend cannot run here, or None if it can."""
    if not INSTALLED:
        return "triton is not installed: pip install triton"
    version = importlib.metadata.version("triton")
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        return f"triton {version} is too old: pip install 'triton>={OLDEST[0]}.{OLDEST[1]}', which torch 2.7 takes"
    if not (INTERPRETED or torch.cuda.is_available()):
        return "there is no GPU that PyTorch can use"
    return None


def refuses(x_seq: Tensor, surrogate_function: SurrogateFunction) -> str | None:
    """Why the kernels do not take this input, or None if they do."""
    if x_seq.device.type != ("cpu" if INTERPRETED else "cuda"):
        return f"the input is on {x_seq.device}"
    if x_seq.dtype not in DTYPES:
        return f"the input is {x_seq.dtype}; the kernels take float32, bfloat16 and float16"
    if type(surrogate_function) not in operator.SURROGATE_NAMES:
        return f"the kernels know the surrogates of clif.surrogate, not {surrogate_function!r}"
    return None


def _constants(inputs: Inputs, dynamics: Dynamics, affine: Affine | None) -> dict[str, Any]:
    """The arguments that all kernels share, and one for their compiler."""
    x_seq, v, m, leak = inputs
    hard_reset = dynamics.v_reset is not None
    return {
        "x": x_seq,
        "v": v,
        "m": v if m is None else m,
        "leak": v if leak is None else leak,
        "scale": v if affine is None else affine.scale,
        "shift": v if affine is None else affine.shift,
        "size": x_seq[0].numel(),
        "x_stride": x_seq.stride(0),
        "v_stride": 0 if operator.is_one_value(v) else 1,
        "m_stride": 0 if m is None or operator.is_one_value(m) else 1,
        "channels": 1 if affine is None else affine.scale.shape[1],
        "fixed_leak": 1 / dynamics.tau,
        "threshold": dynamics.v_threshold,
        "reset": dynamics.v_reset if hard_reset else dynamics.v_subtract,
        "NEURON": dynamics.neuron,
        "HARD_RESET": hard_reset,
        "DECAY_INPUT": dynamics.decay_input,
        "HAS_NORM": affine is not None,
        "BLOCK": block_size(len(x_seq), affine),
        "enable_fp_fusion": False,  # rounds u as PyTorch does, so that spikes are its spikes
    }


def _programs(elements: int, block: int) -> int:
    return -(-elements // block)


def forward(inputs: Inputs, dynamics: Dynamics, outputs: Outputs, affine: Affine | None = None) -> None:
    """Fill `outputs`; with `affine` (see `clif.ops.norm`) for x·scale + shift in place of x."""
    from clif.ops import triton_kernels

    T, size = len(inputs.x_seq), inputs.x_seq[0].numel()
    if size == 0:
        return
    v_last, m_last = (state if state.numel() else inputs.v for state in (outputs.v, outputs.m))
    triton_kernels.forward[(_programs(size, block_size(T, affine)),)](
        **_constants(inputs, dynamics, affine),
        T=T,
        STEPS=T if T <= UNROLLED_STEPS else 0,
        spike=outputs.spike_seq,
        v_last=v_last,
        m_last=m_last,
        KEEP_STATE=outputs.v.numel() > 0,
    )


def backward(
    inputs: Inputs,
    dynamics: Dynamics,
    incoming: OutputGradients,
    gradients: Gradients,
    affine: Affine | None = None,
    sums: Tensor | None = None,
) -> None:
    """Fill `gradients`; with `affine` that of x_seq with g = ∂L/∂y, where y = x·scale + shift.

    Then `sums` [T, 2, row_size(...)] is needed too, all zeros: it takes Σg and Σg·(x − mean), spread over many pixels.
    """
    from clif.ops import triton_kernels

    x_seq, v = inputs[:2]
    T, size, block = len(x_seq), x_seq[0].numel(), block_size(len(x_seq), affine)
    if size == 0:
        return
    row = row_size(x_seq, block, 1 if affine is None else affine.scale.shape[1])
    given = {
        "d_spike": incoming.spike_seq,
        "d_v_last": incoming.v,
        "d_m_last": incoming.m,
        "dv": gradients.v if gradients.v.numel() else None,
        "dm": gradients.m if gradients.m.numel() else None,
        "d_leak": gradients.leak if gradients.leak.numel() else None,
    }
    arguments = {
        **_constants(inputs, dynamics, affine),
        **{name: v if tensor is None else tensor for name, tensor in given.items()},
        **{f"HAS_{name.upper()}": tensor is not None for name, tensor in given.items()},
        "dx": gradients.x_seq,
        "d_spike_stride": 0 if incoming.spike_seq is None else incoming.spike_seq.stride(0),
        "row": row,
        "mean": v if affine is None else affine.mean,
        "sums": v if sums is None else sums,
        "alpha": dynamics.alpha,
        "SURROGATE": dynamics.surrogate,
        "DETACH_RESET": dynamics.detach_reset,
    }
    if unrolls(T, affine):
        programs = _programs(size if affine is None else row, block)
        triton_kernels.backward_unrolled[(programs,)](**arguments, STEPS=T)
    else:
        programs = _programs(row, block)
        scratch = torch.empty((programs, T, 2, block), dtype=torch.float32, device=x_seq.device)
        triton_kernels.backward_looped[(programs,)](**arguments, T=T, scratch=scratch)


def row_size(x_seq: Tensor, block: int, channels: int = 1) -> int:
    """Elements that all programs together take at a time: whole pixels, as many as keep the device busy."""
    busy = PROGRAMS_PER_PROCESSOR * _processors(x_seq.device) * block
    unit = ROW_ALIGNMENT * channels
    return -(-min(x_seq[0].numel(), busy) // unit) * unit


def _processors(device: torch.device) -> int:
    return 1 if INTERPRETED else torch.cuda.get_device_properties(device).multi_processor_count


multi_step = operator.create("triton_neuron", forward, backward)
