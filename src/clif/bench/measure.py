"""Time and memory of functions without arguments, on the CPU or a GPU."""

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Run = Callable[[], Any]

WARM_UP_ROUNDS = 2
SHORTEST_TURN = 2e-3  # seconds; a shorter call is repeated, beyond the resolution of the clock
MOST_CALLS = 1000
CACHE_BYTES = 256 * 2**20  # overwritten once per round on a GPU; only the first of repeated calls finds the cache cold


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a call over the rounds: the median, the quartiles `low` and `high`, and the fastest."""

    median: float
    low: float
    high: float
    fastest: float
    rounds: int


def summarise(milliseconds: list[float]) -> Timing:
    """The median and quartiles of a contestant's rounds."""
    low, median, high = (
        statistics.quantiles(milliseconds, n=4, method="inclusive") if len(milliseconds) > 1 else milliseconds * 3
    )
    return Timing(median, low, high, min(milliseconds), len(milliseconds))


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """A context in which torch and clif's kernels use `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(runs: Mapping[str, Run], rounds: int, device: torch.device) -> dict[str, Timing]:
    """Time every contestant once a round, A B C A B C …, so that a busy machine slows all of them alike.

    In each round a contestant runs once untimed, because another contestant used the caches and the allocator before,
    and then timed until 2 ms have passed. Two rounds to warm up (and compile) are not counted.
    """
    clock = _GpuClock(device) if device.type == "cuda" else _CpuClock()
    calls = dict.fromkeys(runs, 1)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-WARM_UP_ROUNDS, rounds):
        for name, run in runs.items():
            run()
            milliseconds = clock(run, calls[name])
            if number < 0:
                calls[name] = min(MOST_CALLS, math.ceil(SHORTEST_TURN * 1e3 / max(milliseconds, 1e-6)))
            else:
                times[name].append(milliseconds)
    return {name: summarise(samples) for name, samples in times.items()}


class _CpuClock:
    def __call__(self, run: Run, calls: int) -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - begin) * 1e3 / calls


class _GpuClock:
    """Milliseconds on the GPU between two events; overwriting the cache, once for all calls, lets the CPU run ahead."""

    def __init__(self, device: torch.device) -> None:
        self.cache = torch.empty(CACHE_BYTES, dtype=torch.int8, device=device)

    def __call__(self, run: Run, calls: int) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        self.cache.zero_()
        begin.record()
        for _ in range(calls):
            run()
        end.record()
        torch.cuda.synchronize()
        return float(begin.elapsed_time(end)) / calls


def bytes_kept(forward: Run) -> int:
    """Bytes of the distinct storages that autograd keeps for the backward of `forward()`, its inputs included."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would keep its graph, which keeps the tensor, forever

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = forward()
    del result
    return sum(kept.values())
