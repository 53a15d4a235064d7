"""Programs for the operator of generated neurons, inputs for them, and PyTorch's evaluation of them."""

import torch
from torch import Tensor

from clif.generate.evaluate import evaluate
from clif.generate.program import Graph, Program

BINARY = ("add", "sub", "mul", "maximum", "minimum")
UNARY = ("neg", "abs", "tanh", "sigmoid", "softplus", "exp")

SHAPES = [
    ((4, 3, 5), "contiguous"),
    ((1, 2, 3, 4, 5), "contiguous"),
    ((3, 2, 5, 6, 4), "channels_last"),
    ((2, 3, 70, 3), "transposed"),
]


def small(graph: Graph, value: int) -> int:
    """A value limited to a range in which nothing overflows."""
    return graph.add("tanh", value)


def two_states(choices: list[int]) -> Program:
    """A neuron with two states, one of which rests at 0, a coefficient per layer, one per channel, and one constant."""
    graph = Graph()
    values = [graph.leaf("x"), graph.leaf("state", 0), graph.leaf("state", 1)]
    values += [graph.leaf("coefficient", 0), graph.leaf("coefficient", 1), graph.leaf("constant", 0)]
    for i in range(0, len(choices) - 2, 3):
        operation, a, b = choices[i : i + 3]
        a, b = values[a % len(values)], values[b % len(values)]
        if operation % 3 == 0:
            values.append(graph.add("where", graph.add("lt", a, b), a, graph.add("mul", b, a)))
        elif operation % 3 == 1:
            values.append(small(graph, graph.add(UNARY[operation % len(UNARY)], small(graph, a))))
        else:
            values.append(small(graph, graph.add(BINARY[operation % len(BINARY)], a, b)))
    u = graph.add("add", values[-1], graph.add("mul", values[1], values[-2]))
    d = graph.add("sub", u, values[5])
    spike = graph.add("fire", d, graph.add("sub", graph.literal(1), graph.add("mul", small(graph, d), small(graph, d))))
    kept = graph.add("where", graph.add("le", graph.literal(0), d), graph.add("mul", u, values[3]), u)
    other = small(graph, graph.add("add", graph.add("mul", values[2], values[4]), spike))
    return Program((True, False), (False, True), 1, tuple(graph.nodes), (spike, kept, other))


def loop(program: Program, x_seq: Tensor, states, coefficients, constants) -> tuple[Tensor, list[Tensor]]:
    """The spikes and the last states, computed step by step by PyTorch."""
    return _stepwise(program, x_seq, states, coefficients, constants)[:2]


def safe_neurons(program: Program, x_seq: Tensor, states, coefficients, constants, margin: float) -> Tensor:
    """Which neurons [N, *] are farther than `margin` from every jump of the program and of its derivatives."""
    return _stepwise(program, x_seq, states, coefficients, constants)[2] > margin


def _stepwise(program: Program, x_seq: Tensor, states, coefficients, constants) -> tuple[Tensor, list[Tensor], Tensor]:
    graph = Graph(program.nodes)
    jumps = []
    for node in program.nodes:
        if node.operation in ("lt", "le", "eq", "maximum", "minimum"):
            jumps.append(graph.add("sub", *node.arguments))
        elif node.operation in ("abs", "fire"):
            jumps.append(node.arguments[0])
    wide = (-1, *(1 for _ in range(x_seq.dim() - 3)))
    shaped = [value if value.dim() == 0 else value.view(wide) for value in coefficients]
    spikes, distance = [], torch.full_like(x_seq[0].detach(), float("inf"))
    for x in x_seq:
        leaves = {"x": [x], "state": states, "coefficient": shaped, "constant": constants}
        values = evaluate(graph.nodes, [*program.outputs, *jumps], leaves)
        spike, *states = values[: len(program.outputs)]
        spikes.append(spike.expand(x.shape))
        for jump in values[len(program.outputs) :]:
            distance = torch.minimum(distance, jump.detach().abs())
    return torch.stack(spikes), list(states), distance


def inputs(shape, layout: str, rests: bool, dtype: torch.dtype = torch.float64):
    """A sequence, two states and two coefficients for `two_states`."""
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(shape, generator=generator, dtype=dtype) * 1.5
    if layout == "channels_last":
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, shape[:2])
    elif layout == "transposed":
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
    zero = torch.zeros((), dtype=dtype)
    states = [zero.expand(shape[1:]), (zero + 0.25).expand(shape[1:])]
    if not rests:
        states = [torch.randn(shape[1:], generator=generator, dtype=dtype).requires_grad_() for _ in range(2)]
    channel = torch.rand(shape[2], generator=generator, dtype=dtype) + 0.5
    coefficients = [torch.tensor(0.8, dtype=dtype).requires_grad_(), channel.requires_grad_()]
    return x.requires_grad_(), states, coefficients
