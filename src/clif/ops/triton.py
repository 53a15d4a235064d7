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
from clif.ops.operator import Dynamics, Gradients, Inputs, OutputGradients, Outputs
from clif.ops.reference import SurrogateFunction

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
INSTALLED = importlib.util.find_spec("triton") is not None
DESCRIPTION = "Triton kernels, interpreted on the CPU" if INTERPRETED else "Triton kernels on the GPU"

OLDEST = (3, 3)  # the first Triton with tuples

UNROLLED_STEPS = 32  # up to here T is a constant of the kernels
PROGRAMS_PER_PROCESSOR = 8  # of the looped backward kernel, each with its own scratch


def block_size(T: int) -> int:
    """Neurons of one program of 128 threads: few for many steps, whose states are all in registers at a time."""
    return 512 if T <= 4 or T > UNROLLED_STEPS else 256 if T <= 8 else 128


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


def _constants(inputs: Inputs, dynamics: Dynamics) -> dict[str, Any]:
    """The arguments that all kernels share, and one for their compiler."""
    x_seq, v, m, leak = inputs
    hard_reset = dynamics.v_reset is not None
    return {
        "x": x_seq,
        "v": v,
        "m": v if m is None else m,
        "leak": v if leak is None else leak,
        "size": x_seq[0].numel(),
        "x_stride": x_seq.stride(0),
        "v_stride": 0 if operator.is_one_value(v) else 1,
        "m_stride": 0 if m is None or operator.is_one_value(m) else 1,
        "fixed_leak": 1 / dynamics.tau,
        "threshold": dynamics.v_threshold,
        "reset": dynamics.v_reset if hard_reset else dynamics.v_subtract,
        "NEURON": dynamics.neuron,
        "HARD_RESET": hard_reset,
        "DECAY_INPUT": dynamics.decay_input,
        "BLOCK": block_size(len(x_seq)),
        "enable_fp_fusion": False,  # rounds u as PyTorch does, so that spikes are its spikes
    }


def _blocks(x_seq: Tensor) -> int:
    return -(-x_seq[0].numel() // block_size(len(x_seq)))


def _forward(inputs: Inputs, dynamics: Dynamics, outputs: Outputs) -> None:
    from clif.ops import triton_kernels

    if (blocks := _blocks(inputs.x_seq)) == 0:
        return
    T = len(inputs.x_seq)
    m_last = outputs.m if inputs.m is not None else outputs.v
    triton_kernels.forward[(blocks,)](
        **_constants(inputs, dynamics),
        T=T,
        STEPS=T if T <= UNROLLED_STEPS else 0,
        spike=outputs.spike_seq,
        v_last=outputs.v,
        m_last=m_last,
    )


def _backward(inputs: Inputs, dynamics: Dynamics, incoming: OutputGradients, gradients: Gradients) -> None:
    from clif.ops import triton_kernels

    x_seq = inputs.x_seq
    if (blocks := _blocks(x_seq)) == 0:
        return
    given = {
        "d_spike": incoming.spike_seq,
        "d_v_last": incoming.v,
        "d_m_last": incoming.m,
        "dv": gradients.v if gradients.v.numel() else None,
        "dm": gradients.m if gradients.m.numel() else None,
        "d_leak": gradients.leak if gradients.leak.numel() else None,
    }
    arguments = {
        **_constants(inputs, dynamics),
        **{name: inputs.v if tensor is None else tensor for name, tensor in given.items()},
        **{f"HAS_{name.upper()}": tensor is not None for name, tensor in given.items()},
        "dx": gradients.x_seq,
        "d_spike_stride": 0 if incoming.spike_seq is None else incoming.spike_seq.stride(0),
        "alpha": dynamics.alpha,
        "SURROGATE": dynamics.surrogate,
        "DETACH_RESET": dynamics.detach_reset,
    }
    T = len(x_seq)
    if T <= UNROLLED_STEPS:
        triton_kernels.backward_unrolled[(blocks,)](**arguments, STEPS=T)
        return
    programs = min(blocks, PROGRAMS_PER_PROCESSOR * _processors(x_seq.device))
    scratch = torch.empty((programs, T, 2, block_size(T)), dtype=torch.float32, device=x_seq.device)
    triton_kernels.backward_looped[(programs,)](**arguments, T=T, scratch=scratch)


def _processors(device: torch.device) -> int:
    return 1 if INTERPRETED else torch.cuda.get_device_properties(device).multi_processor_count


multi_step = operator.create("triton_neuron", _forward, _backward)
