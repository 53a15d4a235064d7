"""The time of a neuron's first call, with kernels to compile and with kernels from the cache."""

import json
import tempfile
import time
from typing import Any

import torch

from clif.bench.fresh_process import in_fresh_process
from clif.generate.plan import Plan
from clif.generate.program import parse
from clif.ops import neuron
from clif.ops.equations import compute_dtype

CACHES = ("CLIF_CACHE", "TRITON_CACHE_DIR")
SHAPE = (2, 1, 2, 8)
"""A small input, so that the time is that of making or loading the kernels."""


def describe(plan: Plan, backend: str, dtype: torch.dtype, device: torch.device) -> str:
    """Both times in words, each from a separate process; the first process finds the cache empty."""
    name = str(dtype).removeprefix("torch.")
    with tempfile.TemporaryDirectory(prefix="clif-first-call-") as folder:
        compiles, loads = (
            in_fresh_process(
                f"{__name__}:first_call", plan.text, json.dumps(plan.constants), backend, name, str(device),
                environment=dict.fromkeys(CACHES, folder),
            )
            for _ in range(2)
        )  # fmt: skip
    return f"first call (compiles) {compiles:.2g} s, from the cache {loads:.2g} s"


def first_call(text: str, constants: str, backend: str, dtype_name: str, device: str) -> None:
    """Print the seconds of a forward and a backward call of a program in this process."""
    dtype = getattr(torch, dtype_name)
    program = parse(text)
    x_seq = torch.randn(SHAPE).to(device, dtype).requires_grad_()
    options: dict[str, Any] = {"dtype": compute_dtype(dtype), "device": device}
    states = [torch.full((), 0.0 if zero else 1.0, **options).expand(SHAPE[1:]) for zero in program.rests_at_zero]
    coefficients = [torch.ones(SHAPE[2:3] if channel else (), **options) for channel in program.by_channel]
    begin = time.perf_counter()
    spikes, _ = neuron.run(x_seq, states, coefficients, [], 0.0, text, json.loads(constants), True, backend)
    torch.autograd.grad(spikes, x_seq, torch.ones_like(spikes))
    if x_seq.is_cuda:
        torch.cuda.synchronize()
    print(json.dumps(time.perf_counter() - begin))
