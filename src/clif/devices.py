"""Devices by name."""

import platform
import re
import warnings
from pathlib import Path

import torch

from clif.errors import InputError

CPUINFO = Path("/proc/cpuinfo")
"""Linux's description of the processor."""


def processor_name() -> str:
    """The processor's name as the system gives it."""
    if CPUINFO.exists() and (found := re.search(r"^model name\s*:\s*(.+)$", CPUINFO.read_text(), re.MULTILINE)):
        return found[1]
    return platform.processor() or platform.machine()


def find_device(name: str | torch.device) -> torch.device:
    """The device of that name. Raises `InputError` for one that is unknown or missing."""
    device = _parse(name)
    if device.type == "cuda":
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            raise InputError(f"no device {str(name)!r} here ({torch.cuda.device_count()} GPUs are visible); use cpu")
        return device
    try:
        torch.empty(0, device=device)
    except (AssertionError, ImportError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"no device {str(name)!r} here; use cpu or cuda") from error
    return device


def choose_device(name: str) -> torch.device:
    """The device to train and evaluate on, a CPU or a CUDA GPU; "auto" is the GPU if there is one.

    Raises `InputError` for any other, and for one that is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if _parse(name).type not in ("cpu", "cuda"):
        raise InputError(f"clif computes on CPUs and CUDA GPUs, not on {name!r}; use --device cpu, cuda or cuda:N")
    return find_device(name)


def _parse(name: str | torch.device) -> torch.device:
    try:
        with warnings.catch_warnings():  # torch warns about deprecated names
            warnings.simplefilter("ignore")
            device = torch.device(name)
    except (RuntimeError, TypeError, ValueError):
        raise InputError(f"unknown device {name!r}; use auto, cpu, cuda or cuda:N") from None
    return torch.device("cpu") if device.type == "cpu" else device
