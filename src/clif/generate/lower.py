"""A program and its derivative as the steps that kernels run.

There are three kinds of steps, from most to least work: any step; the first one from rest, whose states are 0; the last
one, after which no state is needed and from whose states no gradient comes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clif.generate.gradient import Derived, differentiate
from clif.generate.operations import OPERATIONS
from clif.generate.program import Graph, Node, Program, needed, simplified
from clif.generate.tape import choose_kept

KINDS = ("Any", "FromRest", "Last")


class Prices(NamedTuple):
    """The costs of reading the input again and of a value on the tape, in units of an addition."""

    x: float
    kept: float


IN_CACHE = Prices(2.0, 2.5)
IN_MEMORY = Prices(32.0, 64.0)
"""The prices for a processor with a cache for the tape, and for one that computes much faster than it reads."""


@dataclass(frozen=True)
class Step:
    """What one kind of step computes: `nodes`, and the places of its results by name.

    Forward: "spike" (a mask if spikes are 0 and 1) and the states 0, 1, …; recorded: the states and ("kept", i);
    backward: "d_x", ("d_state", i) and ("d_coefficient", i).
    """

    nodes: tuple[Node, ...]
    results: dict[object, int]


@dataclass(frozen=True)
class Steps:
    """A kind of step forward, recorded for the backward pass, and backward; `kept` lists the values on the tape."""

    forward: Step
    recorded: Step
    backward: Step
    kept: tuple[int, ...]


def kinds_of(program: Program) -> tuple[str, ...]:
    """The kinds of steps that a program has."""
    return KINDS if any(program.rests_at_zero) else ("Any", "Last")


def lower(program: Program, prices: Prices = IN_CACHE) -> dict[str, Steps]:
    """The steps of every kind."""
    derived = differentiate(program)
    return {kind: _lower(program, derived, kind, prices) for kind in kinds_of(program)}


def _lower(program: Program, derived: Derived, kind: str, prices: Prices) -> Steps:
    states = range(len(program.rests_at_zero))
    names: list[object] = ["spike", *states, "d_x", *(("d_state", i) for i in states)]
    names += [("d_coefficient", i) for i in range(len(program.by_channel))]
    places = [*program.outputs, derived.x, *derived.states, *derived.coefficients]
    zero = {("d_state", float(i)) for i in states} if kind == "Last" else set()
    if kind == "FromRest":
        zero = {("state", float(i)) for i in states if program.rests_at_zero[i]}
    nodes, found = separated(*_without_zeros(derived.graph.nodes, places, zero))
    nodes, found = _without_divisions(nodes, found)
    at = dict(zip(names, found, strict=True))
    at["spike"] = _fires(nodes, at["spike"])
    forward: dict[object, int] = {"spike": at["spike"], **({} if kind == "Last" else {i: at[i] for i in states})}
    unwanted = {"spike", *states, *(("d_state", i) for i in states if kind == "FromRest")}
    backward = {name: place for name, place in at.items() if name not in unwanted}
    kept = _kept(nodes, list(backward.values()), prices)
    recorded: dict[object, int] = {
        **({} if kind == "Last" else {i: at[i] for i in states}),
        **{("kept", i): i for i in kept},
    }
    frozen = tuple(nodes)
    return Steps(Step(frozen, forward), Step(frozen, recorded), Step(frozen, backward), kept)


def _fires(nodes: Sequence[Node], place: int) -> int:
    """The mask of a value that is a choice between 1 and 0, else the value itself."""
    node = nodes[place]
    branches = [nodes[i] for i in node.arguments[1:]] if node.operation == "where" else []
    return node.arguments[0] if branches == [Node("literal", (), 1.0), Node("literal", (), 0.0)] else place


def _without_zeros(
    nodes: Sequence[Node], outputs: Sequence[int], zero: set[tuple[str, float]]
) -> tuple[list[Node], list[int]]:
    """The nodes that `outputs` need, with literal zeros for the leaves in `zero` and spikes as choices of 1 or 0."""
    graph, places = Graph(), dict[int, int]()
    for i in needed(nodes, outputs):
        node = nodes[i]
        arguments = tuple(places[j] for j in node.arguments)
        if (node.operation, node.value) in zero:
            places[i] = graph.literal(0)
        elif node.operation == "fire":
            fired = graph.add("le", graph.literal(0), arguments[0])
            places[i] = graph.add("where", fired, graph.literal(1), graph.literal(0))
        elif node.operation in ("detach", "detachif"):
            places[i] = arguments[0]
        else:
            places[i] = graph.copy(node, places)
    return graph.nodes, [places[i] for i in outputs]


def _without_divisions(nodes: Sequence[Node], outputs: Sequence[int]) -> tuple[list[Node], list[int]]:
    """Replace divisions by a constant with products, in gradients and in the arguments of a sigmoid or tanh.

    A value that decides about a spike is divided as in the step.
    """
    graph, places = Graph(), dict[int, int]()
    incoming = depends_on_incoming(nodes)

    def inverted(i: int) -> int:
        node = nodes[i]
        if node.operation != "div" or not is_uniform(nodes, node.arguments[1]):
            return places[i]
        inverse = graph.add("div", graph.literal(1), places[node.arguments[1]])
        return graph.add("mul", places[node.arguments[0]], inverse)

    for i in needed(nodes, outputs):
        node = nodes[i]
        if node.operation in ("sigmoid", "tanh"):
            places[i] = graph.add(node.operation, inverted(node.arguments[0]))
        else:
            places[i] = graph.copy(node, places)
            places[i] = inverted(i) if i in incoming else places[i]
    return graph.nodes, [places[i] for i in outputs]


def separated(nodes: Sequence[Node], outputs: Sequence[int]) -> tuple[list[Node], list[int]]:
    """The same values, with operations on a choice moved into its branches if one branch then needs no operation.

    u − (1 or 0)·y becomes a choice between u − y and u, which saves a product and the spike as a number.
    """
    graph, places = Graph(), dict[int, int]()
    for i in needed(nodes, outputs):
        node = nodes[i]
        arguments = tuple(places[j] for j in node.arguments)
        if not arguments:
            places[i] = graph.copy(node, places)
            continue
        chosen = _in_branches(graph, node.operation, arguments)
        places[i] = graph.add(node.operation, *arguments) if chosen is None else chosen
    return graph.nodes, [places[i] for i in outputs]


def _in_branches(graph: Graph, operation: str, arguments: tuple[int, ...]) -> int | None:
    if OPERATIONS[operation].gives == "mask":
        return None
    masks = [graph.nodes[i].arguments[0] for i in arguments if graph.nodes[i].operation == "where"]
    if operation == "where":
        masks = [arguments[0]]
    for mask in masks:
        branches = [
            tuple(_branch(graph, i, mask, which) if operation != "where" or n else i for n, i in enumerate(arguments))
            for which in (1, 2)
        ]
        if operation == "where":
            yes, no = branches[0][1], branches[1][2]
            return graph.add("where", mask, yes, no) if (yes, no) != arguments[1:] else None
        if any(_is_free(graph, operation, branch) for branch in branches):
            yes, no = (graph.add(operation, *branch) for branch in branches)
            return graph.add("where", mask, yes, no)
    return None


def _branch(graph: Graph, place: int, mask: int, which: int) -> int:
    node = graph.nodes[place]
    return node.arguments[which] if node.operation == "where" and node.arguments[0] == mask else place


def _is_free(graph: Graph, operation: str, arguments: tuple[int, ...]) -> bool:
    return graph.has(Node(operation, arguments)) or simplified(graph, operation, arguments) is not None


def used_backward(nodes: Sequence[Node], backward: Sequence[int]) -> set[int]:
    """The forward values that the operations of the backward pass take."""
    incoming = depends_on_incoming(nodes)
    used = {j for i in needed(nodes, backward) if i in incoming for j in nodes[i].arguments if j not in incoming}
    return used | {i for i in backward if i not in incoming}


def _kept(nodes: Sequence[Node], backward: list[int], prices: Prices) -> tuple[int, ...]:
    """The forward values on the tape, in their order."""
    wanted = used_backward(nodes, backward)

    def cost(i: int) -> float:
        node = nodes[i]
        if is_uniform(nodes, i):
            return 0.0
        if node.is_leaf:
            return {"x": prices.x, "coefficient": 0.0}.get(node.operation, math.inf)
        return OPERATIONS[node.operation].cost

    return tuple(sorted(choose_kept(nodes, wanted, cost, lambda i: nodes[i].kind == "number", prices.kept)))


def depends_on_incoming(nodes: Sequence[Node]) -> set[int]:
    """The nodes of the backward pass: those that depend on an incoming gradient."""
    found: set[int] = set()
    for i, node in enumerate(nodes):
        if node.operation in ("d_spike", "d_state") or found.intersection(node.arguments):
            found.add(i)
    return found


def is_uniform(nodes: Sequence[Node], i: int) -> bool:
    """Whether a value is the same for the whole layer at all steps."""
    node = nodes[i]
    if node.is_leaf:
        return node.operation == "constant"
    return all(is_uniform(nodes, j) for j in node.arguments)
