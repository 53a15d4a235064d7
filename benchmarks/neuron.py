"""Time of the CLIF neuron, forward and backward: our backends, SpikingJelly's, and the copy that bounds them all.

    python benchmarks/neuron.py [--shape 6 16 64 32 32] [--rounds 20] [--threads 2] [--json]

A correctness gate comes first: no time is reported for a backend whose spikes and gradients are not the reference's.
Then every contestant has its turn in every round, so that a machine that is busy slows all of them alike; of the two
runs of a turn the first, which still finds the caches and the allocator as others left them, is not timed. The table
shows the median over the rounds, the quartiles, and the ratio to the median of the copy of 20 bytes an element (what
the neuron must move in float32: read x, write s; read x and the gradient of s, write that of x).
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import clif
from clif import functional

Contestant = Callable[[], Any]


def forward_backward(neuron: Callable[[Tensor], Tensor], x_seq: Tensor, d_spike: Tensor) -> Tensor:
    """The gradient of x_seq; what the neuron allocates and frees counts as its time."""
    return torch.autograd.grad(neuron(x_seq), x_seq, d_spike)[0]


def ours(backend: str) -> Callable[[Tensor], Tensor]:
    return lambda x_seq: functional.clif_multi_step(x_seq, backend=backend)[0]


def spikingjelly() -> Callable[[Tensor], Tensor] | None:
    """SpikingJelly's CLIF, multi-step in torch (its only backend), or None where it is not installed."""
    try:
        from spikingjelly.activation_based import functional as sj_functional
        from spikingjelly.activation_based import neuron, surrogate
    except ImportError:
        return None
    node = neuron.ComplementaryLIFNode(tau=2.0, surrogate_function=surrogate.Rect(), step_mode="m")

    def run(x_seq: Tensor) -> Tensor:
        sj_functional.reset_net(node)
        return node(x_seq)

    return run


def check(neuron: Callable[[Tensor], Tensor], name: str) -> None:
    """The gate: spikes and gradients of a small input equal those of the reference in float64."""
    torch.manual_seed(1)
    x_seq = torch.randn(6, 4, 777, dtype=torch.float64)
    x_seq = (x_seq * 1024).round() / 1024
    d_spike = torch.randn_like(x_seq)
    expected = forward_backward(ours("torch"), x_seq.requires_grad_(), d_spike)
    actual = forward_backward(neuron, x_seq, d_spike)
    spikes_agree = torch.equal(neuron(x_seq), ours("torch")(x_seq))
    if not spikes_agree or not torch.allclose(actual, expected, rtol=0, atol=1e-10):
        raise SystemExit(f"{name} does not compute what the reference computes; its time would mean nothing")


def contestants(shape: tuple[int, ...]) -> dict[str, Contestant]:
    torch.manual_seed(0)
    x_seq, d_spike = torch.randn(shape), torch.randn(shape)
    narrow = x_seq.bfloat16(), d_spike.bfloat16()
    half = torch.randn(x_seq.numel() * 10 // 4)
    target = torch.empty_like(half)
    neurons = {name: ours(name) for name, backend in clif.backends().items() if backend.available}
    if theirs := spikingjelly():
        neurons["SpikingJelly"] = theirs
    for name, neuron in neurons.items():
        check(neuron, name)

    def timed(neuron: Callable[[Tensor], Tensor], x: Tensor, d: Tensor) -> Contestant:
        x = x.requires_grad_()
        return lambda: forward_backward(neuron, x, d)

    runs: dict[str, Contestant] = {
        "copy, 20 B an element": lambda: target.copy_(half),
        "copy into new memory": lambda: half.clone(),
    }
    runs |= {f"{name} float32": timed(neuron, x_seq, d_spike) for name, neuron in neurons.items()}
    return runs | {f"{name} bfloat16": timed(neurons[name], *narrow) for name in ("cpu", "torch") if name in neurons}


def measure(runs: dict[str, Contestant], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each contestant; two rounds to warm up are not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 2):
        for name, run in runs.items():
            run()
            start = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - start))
    results = {}
    for name, samples in times.items():
        low, median, high = statistics.quantiles(samples[2:], n=4)
        results[name] = {"median": median, "low": low, "high": high, "fastest": min(samples)}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs="+", default=[6, 16, 64, 32, 32], help="T, N and the rest")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = measure(contestants(tuple(args.shape)), args.rounds)
    machine = {
        "torch": torch.__version__,
        "threads": args.threads,
        "machine": platform.machine(),
        "backends": {name: backend.detail for name, backend in clif.backends().items()},
    }
    if args.json:
        print(json.dumps({"shape": args.shape, "machine": machine, "milliseconds": results}, indent=1))
        return
    print(f"CLIF forward + backward, {args.shape}, {machine}")
    copy = results["copy, 20 B an element"]["median"]
    for name, r in results.items():
        print(f"{name:24} {r['median']:8.2f} ms   [{r['low']:.2f}, {r['high']:.2f}]   {r['median'] / copy:6.2f} × copy")


if __name__ == "__main__":
    main()
