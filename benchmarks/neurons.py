"""The second table of docs/neuron_list.md, as Markdown: states, learnables, operations and times of the neurons.

    python benchmarks/neurons.py [--rounds 20] [--threads 2]

A layer of every neuron computes [6, 16, 64, 32, 32] in float32, forward and backward, by the compiled kernels, with the
defaults of its class. Each takes turns with CLIF, so that a busy machine slows all alike; a time is the median.
"""

import argparse

import torch

from clif import memory
from clif.bench import gate, machine
from clif.bench.definition import Definition, Layer
from clif.bench.measure import Run, Timing, measure, threads
from clif.bench.neuron import forward_backward
from clif.bench.neuron_contestants import factories
from clif.energy import operations_of
from clif.names import neuron_names

SHAPE = (6, 16, 64, 32, 32)
HEADER = ("neuron", "states", "learnt", "multiplications", "additions", "ms", "CLIF = 1")
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    names = [name for name in neuron_names() if name != "ReLU"]
    times = timings(names, given.rounds, given.threads)
    print(*table(names, times), sep="\n")
    print(f"\n{machine.in_words(machine.describe(CPU, given.threads))}")


def table(names: list[str], times: dict[str, Timing]) -> list[str]:
    rows = [
        (*facts(name), f"{times[name].median:.1f}", f"{times[name].median / times['CLIF'].median:.2f}")
        for name in names
    ]
    return [f"| {' | '.join(cells)} |" for cells in (HEADER, ["---"] * 3 + ["---:"] * 4, *rows)]


def facts(name: str) -> tuple[str, ...]:
    """A neuron's name, states, learnables, and its operations per step as the energy counts them."""
    node = Definition(name).node(Layer(name, SHAPE[2], torch.float32, CPU))
    learnt = ", ".join(node.learnable) or "–"
    if "channel" in node.learnable.values():
        learnt += ", each [C]"
    operations = operations_of(node)
    return name, ", ".join(node.states), learnt, f"{operations.macs:g}", f"{operations.acs:g}"


def timings(names: list[str], rounds: int, count: int) -> dict[str, Timing]:
    torch.manual_seed(0)
    x_seq, d_spike = torch.randn(SHAPE).requires_grad_(), torch.randn(SHAPE)
    memory.keep()
    with threads(count):
        return measure({name: run_of(name, x_seq, d_spike) for name in names}, rounds, CPU)


def run_of(name: str, x_seq: torch.Tensor, d_spike: torch.Tensor) -> Run:
    """A layer's forward and backward, which the gate has compared with PyTorch's loop."""
    contestant = factories(name)["cpu"](Layer(name, SHAPE[2], torch.float32, CPU))
    if reason := gate.refuses(contestant, x_seq):
        raise SystemExit(f"{name}: {reason}")
    return forward_backward(contestant, x_seq, d_spike)


if __name__ == "__main__":
    main()
