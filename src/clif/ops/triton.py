"""Triton on this machine: whether its kernels can run, their inputs, and the number of neurons per program.

With TRITON_INTERPRET=1 in the environment they run, slowly, on CPU tensors; this tests them without a GPU.
"""

import importlib.metadata
import importlib.util
import os

import torch
from torch import Tensor

from clif.ops.equations import Equations
from clif.ops.norm import Affine

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
INSTALLED = importlib.util.find_spec("triton") is not None
DESCRIPTION = "Triton kernels, interpreted on the CPU" if INTERPRETED else "Triton kernels on the GPU"

OLDEST = (3, 3)  # the first Triton with tuples

UNROLLED_STEPS = 32  # up to this T it is a constant of the kernels
UNROLLED_NORM_STEPS = 12  # the same for the backward kernel with a batch norm, whose sums also take registers
PROGRAMS_PER_PROCESSOR = 8  # for a backward kernel whose programs keep a scratch or a batch norm's sums
ROW_ALIGNMENT = 16  # pixels: every row then begins at an address from which a vector can be read, for any channels


def block_size(T: int, affine: Affine | None = None) -> int:
    """Neurons of one program of 128 threads: few if there are many steps, whose states are all in registers at once."""
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
        return f"triton {version} is too old: pip install 'triton>={OLDEST[0]}.{OLDEST[1]}', which comes with torch 2.7"
    if not (INTERPRETED or torch.cuda.is_available()):
        return "there is no GPU that PyTorch can use"
    return None


def refuses(x_seq: Tensor, equations: Equations) -> str | None:  # noqa: ARG001
    """Why the kernels do not take this input, or None if they do."""
    if x_seq.device.type != ("cpu" if INTERPRETED else "cuda"):
        return f"the input is on {x_seq.device}"
    if x_seq.dtype not in DTYPES:
        return f"the input is {x_seq.dtype}; the kernels take float32, bfloat16 and float16"
    return None


def row_size(x_seq: Tensor, block: int, channels: int = 1) -> int:
    """The elements that all programs together take at once: whole pixels, as many as keep the device busy."""
    busy = PROGRAMS_PER_PROCESSOR * processors(x_seq.device) * block
    unit = ROW_ALIGNMENT * channels
    return -(-min(x_seq[0].numel(), busy) // unit) * unit


def processors(device: torch.device) -> int:
    """The multiprocessors of a GPU, or 1 in Triton's interpreter."""
    return 1 if INTERPRETED else torch.cuda.get_device_properties(device).multi_processor_count
