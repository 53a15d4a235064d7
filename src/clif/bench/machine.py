"""The machine of a benchmark: processor, GPU, threads and versions, for the report."""

import importlib.metadata
import os
import platform
from typing import Any

import torch

import clif
from clif.devices import processor_name
from clif.ops import isa

LOWERING = (isa.VARIABLE, "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Variables of the environment that keep the kernels, PyTorch or oneDNN from instructions that the processor has."""
LIBRARIES = ("torch", "triton", "spikingjelly", "snntorch", "norse", "onnxruntime", "nir")


def describe(device: torch.device, threads: int) -> dict[str, Any]:
    """The machine in plain values, ready for JSON."""
    description: dict[str, Any] = {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "clif": clif.__version__,
        "versions": {name: version for name in LIBRARIES if (version := _version(name)) is not None},
        "backends": {name: backend.detail for name, backend in clif.backends().items()},
    }
    if lowered := {name: value for name in LOWERING if (value := os.environ.get(name))}:
        description["lowered"] = lowered
    if hasattr(os, "getloadavg"):
        description["load"] = round(os.getloadavg()[0], 2)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        description["gpu"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    return description


def in_words(machine: dict[str, Any]) -> str:
    """The machine of the figures in one line."""
    place = machine.get("gpu") or f"{machine['processor']}, {machine['backends']['cpu']}"
    lowered = [f"{name}={value}" for name, value in machine.get("lowered", {}).items() if name != isa.VARIABLE]
    if lowered:
        place += f", PyTorch lowered by {' '.join(lowered)}"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = f", load {machine['load']} at the start" if "load" in machine else ""
    return f"{place}; {machine['threads']} threads on {machine['cores']} cores{load}; {versions}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
