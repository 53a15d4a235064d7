"""The derivative of a program in reverse mode, as further nodes of its graph.

Derivatives at ties are PyTorch's: 0 for |x| and relu at 0, 1 for a clamp at its bound, ½ for the equal arguments of
maximum and minimum.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from clif.generate.program import Graph, Program, needed

Rule = Callable[[Graph, int, int, tuple[int, ...]], tuple[int | None, ...]]
DIFFERENTIABLE = ("x", "state", "coefficient")


class Derived(NamedTuple):
    """A program's graph with its derivative, and the places of the forward outputs and of the gradients of all inputs.

    Leaves "d_spike" and "d_state" are the incoming gradients. `forward` counts the nodes of the program itself, which
    come first.
    """

    graph: Graph
    forward: int
    x: int
    states: tuple[int, ...]
    coefficients: tuple[int, ...]


def differentiate(program: Program) -> Derived:
    """The gradients of x, the states and the coefficients at one step, from those of the spike and the new states."""
    graph = Graph(program.nodes)
    count = len(program.nodes)
    order = needed(program.nodes, program.outputs)
    varies: set[int] = set()
    for i in order:
        node = graph.nodes[i]
        if node.operation in DIFFERENTIABLE or varies.intersection(node.arguments):
            varies.add(i)
    incoming = [graph.leaf("d_spike"), *(graph.leaf("d_state", i) for i in range(len(program.outputs) - 1))]
    totals: dict[int, int] = {}

    def collect(place: int, gradient: int) -> None:
        totals[place] = graph.add("add", totals[place], gradient) if place in totals else gradient

    for place, gradient in zip(program.outputs, incoming, strict=True):
        collect(place, gradient)
    for i in reversed(order):
        node = graph.nodes[i]
        if i not in totals or i not in varies or node.is_leaf:
            continue
        gradients = RULES[node.operation](graph, totals[i], i, node.arguments)
        for argument, found in zip(node.arguments, gradients, strict=True):
            if found is not None and argument in varies:
                collect(argument, found)

    def of(operation: str, index: int = 0) -> int:
        return totals.get(graph.leaf(operation, index), graph.literal(0))

    states = tuple(of("state", i) for i in range(len(program.rests_at_zero)))
    coefficients = tuple(of("coefficient", i) for i in range(len(program.by_channel)))
    return Derived(graph, count, of("x"), states, coefficients)


def _mul(graph: Graph, *factors: int) -> int:
    first, *rest = factors
    for factor in rest:
        first = graph.add("mul", first, factor)
    return first


def _division(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    b = arguments[1]
    return graph.add("div", g, b), graph.add("neg", _mul(graph, g, graph.add("div", y, b)))


def _absolute(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    (a,), zero = arguments, graph.literal(0)
    below = graph.add("where", graph.add("lt", a, zero), graph.add("neg", g), zero)
    return (graph.add("where", graph.add("lt", zero, a), g, below),)


def _extreme(smaller_loses: bool) -> Rule:
    def rule(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
        a, b = arguments
        half, zero, tie = _mul(graph, g, graph.literal(0.5)), graph.literal(0), graph.add("eq", a, b)
        loses = [graph.add("lt", a, b), graph.add("lt", b, a)]
        if not smaller_loses:
            loses.reverse()
        return tuple(graph.add("where", tie, half, graph.add("where", lost, zero, g)) for lost in loses)

    return rule


def _sigmoid(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    return (_mul(graph, g, graph.add("sub", graph.literal(1), y), y),)


def _softplus(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    (a,) = arguments
    linear = graph.add("lt", graph.literal(20), a)
    return (graph.add("where", linear, g, _mul(graph, g, graph.add("sigmoid", a))),)


def _erf(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    (a,) = arguments
    bell = graph.add("exp", graph.add("neg", _mul(graph, a, a)))
    return (_mul(graph, g, graph.literal(2 / math.sqrt(math.pi)), bell),)


def _power(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    a, b = arguments
    zero, one = graph.literal(0), graph.literal(1)
    lower = _mul(graph, g, b, graph.add("pow", a, graph.add("sub", b, one)))
    of_base = graph.add("where", graph.add("eq", b, zero), zero, lower)
    flat = graph.add("and", graph.add("eq", a, zero), graph.add("le", zero, b))
    of_exponent = graph.add("where", flat, zero, _mul(graph, g, y, graph.add("log", a)))
    return of_base, of_exponent


def _where(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    mask, zero = arguments[0], graph.literal(0)
    return None, graph.add("where", mask, g, zero), graph.add("where", mask, zero, g)


def _detach_if(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    zero = graph.literal(0)
    return graph.add("where", graph.add("eq", arguments[1], zero), g, zero), None


def _tanh(graph: Graph, g: int, y: int, arguments: tuple[int, ...]) -> tuple[int | None, ...]:
    return (_mul(graph, g, graph.add("sub", graph.literal(1), _mul(graph, y, y))),)


RULES: dict[str, Rule] = {
    "add": lambda graph, g, y, arguments: (g, g),
    "sub": lambda graph, g, y, arguments: (g, graph.add("neg", g)),
    "mul": lambda graph, g, y, arguments: (_mul(graph, g, arguments[1]), _mul(graph, g, arguments[0])),
    "div": _division,
    "neg": lambda graph, g, y, arguments: (graph.add("neg", g),),
    "abs": _absolute,
    "maximum": _extreme(smaller_loses=True),
    "minimum": _extreme(smaller_loses=False),
    "floor": lambda graph, g, y, arguments: (None,),
    "round": lambda graph, g, y, arguments: (None,),
    "sqrt": lambda graph, g, y, arguments: (graph.add("div", g, _mul(graph, graph.literal(2), y)),),
    "exp": lambda graph, g, y, arguments: (_mul(graph, g, y),),
    "log": lambda graph, g, y, arguments: (graph.add("div", g, arguments[0]),),
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "erf": _erf,
    "pow": _power,
    "detach": lambda graph, g, y, arguments: (None,),
    "detachif": _detach_if,
    "fire": lambda graph, g, y, arguments: (_mul(graph, g, arguments[1]), None),
    "where": _where,
}
"""The rules: from the gradient of a value, its place and its arguments to the arguments' gradients (None: none)."""
