"""The choice of the precision, for training, evaluation, deployment, demo and bench.

On a CPU bfloat16 is fast only if the processor has instructions for it and PyTorch uses them. Without either PyTorch
computes convolutions in a reference implementation, and training takes ten times as long as in float32.
"""

import functools
import logging
import os
import platform
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from clif import private_torch
from clif.devices import CPUINFO
from clif.errors import InputError, unknown_name
from clif.names import AMP_DTYPES
from clif.ops import isa

logger = logging.getLogger("clif.precision")

INSTRUCTIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16", "bf16": "ARM BF16"}
"""The processor's flags for arithmetic in bfloat16 and their names in words, the fastest first."""

ONEDNN_WITHOUT_BFLOAT16 = {"sse41", "avx", "avx2", "avx2_vnni", "avx512_core", "avx512_core_vnni"}
"""Values of ONEDNN_MAX_CPU_ISA that keep oneDNN from the instructions for bfloat16."""


@dataclass(frozen=True)
class Precision:
    """The precision of a computation: `dtype` everywhere if it is float32 or float64, else under autocast.

    `why` gives the reason in words. `slow` says why an explicit choice is slow on this machine, or is "".

    >>> clif.precision.choose(torch.device("cpu"), dtype="float64").dtype
    torch.float64
    """

    device: str
    dtype: torch.dtype
    asked: str
    why: str
    slow: str = ""

    @property
    def name(self) -> str:
        """The dtype by its name: "float32", "bfloat16", "float16" or "float64"."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def mixed(self) -> bool:
        """Whether autocast chooses between `dtype` and float32, operation by operation."""
        return self.dtype in (torch.bfloat16, torch.float16)

    def autocast(self, cache_enabled: bool = True) -> AbstractContextManager[Any]:
        """The context in which the forward pass runs; it does nothing in float32 and float64.

        A cache keeps the weights that were cast until the context ends, even if they change within it.
        """
        return torch.autocast(self.device, self.dtype, cache_enabled=cache_enabled) if self.mixed else nullcontext()

    def __str__(self) -> str:
        how = f"{self.name} autocast" if self.mixed else self.name
        return f"{how} ({self.why})"

    def record(self) -> dict[str, str]:
        """Plain values for a run's files."""
        slow = {"slow": self.slow} if self.slow else {}
        return {"computed_in": self.name, "asked": self.asked, "why": self.why, **slow}


def choose(
    device: torch.device, amp: bool = True, amp_dtype: str = "auto", dtype: str = "float32", scaled: bool = True
) -> Precision:
    """The precision on `device` for the options `amp`, `amp_dtype` and `dtype` of a configuration.

    "auto" takes the fastest: on a CPU bfloat16 if `why_slow` returns no reason against it, else float32; on a GPU
    float16 with loss scaling, as the original does, or, without a scaler (`scaled=False`), bfloat16 if the GPU has it.
    Raises `InputError` for an unknown `amp_dtype` and for float16 on a CPU.

    >>> clif.precision.choose(torch.device("cpu"), amp=False).dtype
    torch.float32
    """
    if amp_dtype not in AMP_DTYPES:
        raise unknown_name("amp_dtype", amp_dtype, AMP_DTYPES)
    kind = device.type
    if dtype == "float64":
        return Precision(kind, torch.float64, dtype, "--dtype float64 has no mixed precision")
    if not amp:
        return Precision(kind, torch.float32, dtype, "--amp False")
    if amp_dtype != "auto":
        return _explicit(kind, amp_dtype)
    bfloat16_is_slow = why_slow(torch.bfloat16, device)
    if kind == "cuda":
        return Precision(kind, torch.float16 if scaled or bfloat16_is_slow else torch.bfloat16, "auto", "a GPU")
    if bfloat16_is_slow:
        return Precision(kind, torch.float32, "auto", f"bfloat16 is slow here: {bfloat16_is_slow}")
    return Precision(kind, torch.bfloat16, "auto", f"the processor has {bfloat16_instructions()}")


def _explicit(kind: str, amp_dtype: str) -> Precision:
    if amp_dtype == "float16" and kind == "cpu":
        raise InputError("float16 needs a GPU; use --amp-dtype bfloat16 on a CPU")
    dtype = {"float16": torch.float16, "bfloat16": torch.bfloat16}[amp_dtype]
    return Precision(kind, dtype, amp_dtype, f"--amp-dtype {amp_dtype}", why_slow(dtype, torch.device(kind)) or "")


def asked_for(given: dict[str, Any], device: torch.device, dtype: str = "float32") -> Precision:
    """The precision of an evaluation or a deployment: that of the weights, unless `given` has an "amp_dtype".

    `given` are options of a configuration as a caller gave them. "amp" alone concerns only training: an evaluation is
    compared with the evaluations during training, which are in full precision.
    """
    if "amp_dtype" not in given:
        return Precision(device.type, getattr(torch, dtype), dtype, "--amp-dtype was not given")
    return choose(device, given.get("amp", True), given["amp_dtype"], dtype, scaled=False)


def common(precision: Precision, gather: Callable[[Precision], list[Precision]]) -> Precision:
    """One precision for processes on several machines: float32 if "auto" did not choose the same on all of them."""
    found = gather(precision)
    if len({one.dtype for one in found}) == 1:
        return precision
    why = next(one.why for one in found if one.dtype == torch.float32)
    return Precision(precision.device, torch.float32, "auto", f"on one of the machines {why}")


def why_slow(dtype: torch.dtype, device: torch.device) -> str | None:
    """Why a network in `dtype` is slower on `device` than in float32, or None if it is not."""
    if dtype != torch.bfloat16:
        return None
    if device.type == "cuda":
        has_it = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if has_it else "the GPU has no arithmetic in bfloat16"
    if device.type != "cpu":
        return f"mixed precision on {device.type} was not measured"
    if not bfloat16_instructions():
        return "the processor has no instructions for bfloat16"
    if not pytorch_uses_bfloat16():
        return f"PyTorch does not use the processor's {bfloat16_instructions()}{_held_back()}"
    return None


def bfloat16_instructions() -> str:
    """The processor's instructions for bfloat16 in words ("AMX", "AVX-512 BF16", "ARM BF16"), or "" if it has none."""
    flags = processor_flags()
    return next((words for flag, words in INSTRUCTIONS.items() if flag in flags), "")


def processor_flags() -> set[str]:
    """The processor's flags as the system names them; elsewhere those for bfloat16 that the kernels or PyTorch find."""
    try:
        text = CPUINFO.read_text(errors="replace")
    except OSError:
        text = ""
    if found := re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE):
        return set(found[1].split())
    vectors = "bf16" if isa.BEST == "neon" else "avx512_bf16"
    units: dict[str, set[str]] = {"tiles": {"amx_bf16"}, "vectors": {vectors}, "none": set()}
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return units[isa.PROCESSOR_BFLOAT16] | {name for name, has_it in capabilities.items() if has_it is True}


def pytorch_uses_bfloat16() -> bool:
    """Whether PyTorch's convolutions on this CPU use instructions for bfloat16, if the processor has them."""
    backend = torch.backends.mkldnn
    return bool(backend.is_available() and backend.enabled) and not _held_back() and pytorchs_answer()


@functools.cache
def pytorchs_answer() -> bool:
    """PyTorch's own answer; without its private operator, the answer from its instruction set.

    It is also True for AVX-512 without BF16.
    """
    answer = private_torch.mkldnn_uses_bfloat16()
    if answer is not None:
        return answer
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512") or platform.machine() in ("aarch64", "arm64")


def _held_back() -> str:
    """The environment's variable that keeps oneDNN from bfloat16, in words for the end of a sentence, or ""."""
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        if os.environ.get(name, "").lower() in ONEDNN_WITHOUT_BFLOAT16:
            return f" ({name}={os.environ[name]})"
    return ""


said: set[str] = set()
"""The lines about precision that this process has printed."""


def first_time(text: str) -> bool:
    """Whether this process says `text` for the first time; from now on it does not."""
    new = text not in said
    said.add(text)
    return new


def warn_if_slow(precision: Precision) -> None:
    """Warn once in a process that the chosen precision is slow here."""
    if precision.slow and first_time(slow_warning(precision)):
        logger.warning(slow_warning(precision))


def slow_warning(precision: Precision) -> str:
    """The one line of that warning."""
    return f"{precision.name} is slow here: {precision.slow}; --amp-dtype auto would choose the fastest"
