"""The peak memory of a function, measured in a separate process."""

import json
import resource
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from clif.bench.fresh_process import in_fresh_process

STATUS = Path("/proc/self/status")


class Peak(NamedTuple):
    """MiB of memory: `before` the work, once everything is imported, and at `most`."""

    before: float
    most: float


def peak_resident() -> float:
    """The most MiB this process ever had resident.

    Linux's VmHWM; `ru_maxrss` elsewhere. The latter would on Linux begin with that of the parent process, whose
    memory a child shares until it executes its own program.
    """
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def peak_of(function: str, *arguments: str, without: Iterable[str] = ()) -> Peak:
    """The peak of `module:function` called with these strings in a new interpreter, which must call `print_peak`."""
    return Peak(**in_fresh_process(function, *arguments, without=without))


def print_peak(work: Callable[[], object], device: torch.device) -> None:
    """Do the work and print its peak memory, on the GPU if it runs on one, else of the process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) / 2**20
        work()
        peak = Peak(before, torch.cuda.max_memory_allocated(device) / 2**20)
    else:
        before = peak_resident()
        work()
        peak = Peak(before, peak_resident())
    print(json.dumps(peak._asdict()))
