"""The graph of one step of a neuron, its canonical text, and the parser of that text.

A program computes, element by element, the spike and the new states from the input x, the states, the coefficients (a
number for the whole layer or one a channel) and constants that are known when it runs. Its text lists the values in the
order in which they are computed:

    states zr coefficients lc constants 2
    %0 = mul s0 c0
    %1 = add %0 x
    ...
    out %5 %6 %7

A state is "z" if it rests at 0, else "r"; a coefficient is "l" (layer) or "c" (channel). Operands are values (`%0`),
the input `x`, states `s0`, coefficients `k0`, constants `c0` and literals `#0.5`. `fire d g` is 1 if d ≥ 0, else 0, and
has the derivative g with respect to d.
"""

import math
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clif.errors import InputError
from clif.generate.operations import OPERATIONS, Kind

MOST_STATES, MOST_COEFFICIENTS, MOST_NODES = 8, 16, 2000


class Node(NamedTuple):
    """A value of a program: an operation and its arguments, or a leaf with its index or literal."""

    operation: str
    arguments: tuple[int, ...] = ()
    value: float = 0.0

    @property
    def is_leaf(self) -> bool:
        return self.operation in LEAVES

    @property
    def kind(self) -> Kind:
        return "number" if self.is_leaf or self.operation == "literal" else OPERATIONS[self.operation].gives


LEAVES = {"x": "x", "state": "s", "coefficient": "k", "constant": "c", "d_spike": "ds", "d_state": "d"}
"""Leaves that have a value only when the program runs, and their letters in the text."""


class Graph:
    """Nodes in an order in which they can be computed. Equal nodes are one; operations on literals are folded."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes: list[Node] = list(nodes)
        self._places = {node: i for i, node in enumerate(self.nodes)}

    def leaf(self, operation: str, index: int = 0) -> int:
        return self._place(Node(operation, (), index))

    def literal(self, value: float) -> int:
        return self._place(Node("literal", (), float(value)))

    def add(self, operation: str, *arguments: int) -> int:
        """The value of an operation, simplified if it can be."""
        known = simplified(self, operation, arguments)
        return self._place(Node(operation, arguments)) if known is None else known

    def has(self, node: Node) -> bool:
        return node in self._places

    def literal_of(self, index: int) -> float | None:
        node = self.nodes[index]
        return node.value if node.operation == "literal" else None

    def _place(self, node: Node) -> int:
        if node not in self._places:
            self._places[node] = len(self.nodes)
            self.nodes.append(node)
        return self._places[node]

    def copy(self, node: Node, places: dict[int, int]) -> int:
        """The node of another graph in this one, simplified again; `places` maps the places of its arguments."""
        if node.is_leaf or node.operation == "literal":
            return self._place(node)
        return self.add(node.operation, *(places[i] for i in node.arguments))


def simplified(graph: Graph, operation: str, arguments: tuple[int, ...]) -> int | None:
    """The place of an equal value that takes no operation, or None.

    It folds the operations with 0 and 1 that derivatives and states at rest bring in. A product with the literal 0 is
    0, also if the other factor is not finite.
    """
    if operation == "detach":
        return arguments[0] if graph.literal_of(arguments[0]) is not None else None
    literals = [graph.literal_of(i) for i in arguments]
    a, b = [*literals, None, None][:2]
    record = OPERATIONS[operation]
    if record.fold is not None and all(value is not None for value in literals) and operation != "fire":
        try:
            folded = record.fold(*literals)
        except (ArithmeticError, ValueError):
            return None
        return graph.literal(folded) if math.isfinite(folded) else None
    first, second = (*arguments, -1, -1)[:2]
    match operation:
        case "add" if a == 0:
            return second
        case "add" | "sub" if b == 0:
            return first
        case "sub" if a == 0:
            return graph.add("neg", second)
        case "mul" if a == 0 or b == 0:
            return graph.literal(0)
        case "mul" if a == 1:
            return second
        case "mul" | "div" if b == 1:
            return first
        case "mul" if a == -1:
            return graph.add("neg", second)
        case "mul" if b == -1:
            return graph.add("neg", first)
        case "div" if a == 0:
            return graph.literal(0)
        case "neg" if graph.nodes[first].operation == "neg":
            return graph.nodes[first].arguments[0]
        case "and" if a is not None or b is not None:
            known, other = (a, second) if a is not None else (b, first)
            return other if known else graph.literal(0)
        case "or" if a is not None or b is not None:
            known, other = (a, second) if a is not None else (b, first)
            return graph.literal(1) if known else other
        case "where" if arguments[1] == arguments[2]:
            return arguments[1]
        case "where" if a is not None:
            return arguments[1] if a else arguments[2]
    return None


@dataclass(frozen=True)
class Program:
    """A step: which states rest at 0, which coefficients are per channel, its values, and the places of its outputs."""

    rests_at_zero: tuple[bool, ...]
    by_channel: tuple[bool, ...]
    constants: int
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]  # the spike, then the states

    @property
    def text(self) -> str:
        """The canonical text: only the values that the outputs need, numbered in the order of a walk from them."""
        order = needed(self.nodes, self.outputs)
        names: dict[int, str] = {}
        lines: list[str] = []
        for i in order:
            node = self.nodes[i]
            if node.operation == "literal":
                names[i] = f"#{node.value!r}"
            elif node.is_leaf:
                names[i] = "x" if node.operation == "x" else f"{LEAVES[node.operation]}{int(node.value)}"
            else:
                names[i] = f"%{len(lines)}"
                lines.append(f"{names[i]} = {node.operation} {' '.join(names[j] for j in node.arguments)}")
        states = "".join("z" if zero else "r" for zero in self.rests_at_zero)
        coefficients = "".join("c" if channel else "l" for channel in self.by_channel) or "-"
        head = f"states {states} coefficients {coefficients} constants {self.constants}"
        return "\n".join([head, *lines, f"out {' '.join(names[i] for i in self.outputs)}"])


def needed(nodes: Sequence[Node], outputs: Iterable[int], known: Container[int] = ()) -> list[int]:
    """The nodes on which `outputs` depend, arguments first, from a depth-first walk that does not go beyond `known`."""
    order: list[int] = []
    seen: set[int] = set()
    stack = [(i, False) for i in reversed(list(outputs))]
    while stack:
        i, done = stack.pop()
        if done:
            order.append(i)
        elif i not in seen:
            seen.add(i)
            stack.append((i, True))
            if i not in known:
                stack += [(j, False) for j in reversed(nodes[i].arguments)]
    return order


def without_derivatives(nodes: Sequence[Node]) -> list[Node]:
    """The nodes at the same places; a `fire` has no derivative, only its first argument."""
    return [node._replace(arguments=node.arguments[:1]) if node.operation == "fire" else node for node in nodes]


def forward_program(program: Program) -> Program:
    """The forward part of a program, as a program whose spikes have the derivative 0."""
    graph, places = Graph(), dict[int, int]()
    nodes = without_derivatives(program.nodes)
    for i in needed(nodes, program.outputs):
        arguments = tuple(places[j] for j in nodes[i].arguments)
        if nodes[i].operation == "fire":
            places[i] = graph.add("fire", *arguments, graph.literal(0))
        else:
            places[i] = graph.copy(nodes[i], places)
    constants = sum(node.operation == "constant" for node in graph.nodes)
    outputs = tuple(places[i] for i in program.outputs)
    return Program(program.rests_at_zero, program.by_channel, constants, tuple(graph.nodes), outputs)


_HEAD = re.compile(r"states ([zr]+) coefficients ([lc]+|-) constants ([0-9]{1,4})")
_LINE = re.compile(r"%([0-9]{1,4}) = ([a-z]+)((?: [^ ]+)+)")
_PLACE = re.compile(r"[%skc][0-9]{1,4}")
_NUMBER = re.compile(r"#-?\d+\.\d+(e-?\d+)?|#-?\d+e-?\d+", re.ASCII)


def parse(text: str) -> Program:
    """The program of a canonical text. Raises `InputError` for anything else."""
    head, *lines = text.split("\n")
    found = _HEAD.fullmatch(head)
    if found is None or not lines:
        raise _not_a_program(head)
    states, coefficients, constants = found[1], found[2].replace("-", ""), int(found[3])
    counts = {"s": len(states), "k": len(coefficients), "c": constants}
    if len(states) > MOST_STATES or len(coefficients) > MOST_COEFFICIENTS or len(lines) > MOST_NODES:
        raise InputError("the program of a neuron is too long; it was damaged")
    reader = _Reader(counts)
    for number, line in enumerate(lines[:-1]):
        reader.read(number, line)
    word, *outputs = lines[-1].split(" ")
    if word != "out" or len(outputs) != 1 + len(states):
        raise _not_a_program(lines[-1])
    places = tuple(reader.operand(name, "number", lines[-1]) for name in outputs)
    program = Program(
        tuple(letter == "z" for letter in states),
        tuple(letter == "c" for letter in coefficients),
        constants,
        tuple(reader.graph.nodes),
        places,
    )
    if program.text != text:
        raise InputError("the program of a neuron is not in canonical form; it was damaged")
    return program


class _Reader:
    """Reads the lines of a text into a graph."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.graph = Graph()
        self.counts = counts
        self.values: list[int] = []

    def read(self, number: int, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None or int(found[1]) != number or found[2] not in OPERATIONS:
            raise _not_a_program(line)
        operation, names = OPERATIONS[found[2]], found[3].split()
        if len(names) != len(operation.takes):
            raise _not_a_program(line)
        arguments = [self.operand(name, kind, line) for name, kind in zip(names, operation.takes, strict=True)]
        self.graph.nodes.append(Node(found[2], tuple(arguments)))
        self.values.append(len(self.graph.nodes) - 1)

    def operand(self, name: str, kind: Kind, line: str) -> int:
        letters = {letter: leaf for leaf, letter in LEAVES.items() if letter in self.counts}
        index = int(name[1:]) if _PLACE.fullmatch(name) else -1
        if name[:1] == "%" and 0 <= index < len(self.values):
            place = self.values[index]
        elif name == "x":
            place = self.graph.leaf("x")
        elif _NUMBER.fullmatch(name):
            place = self.graph.literal(float(name[1:]))
        elif name[:1] in letters and 0 <= index < self.counts[name[0]]:
            place = self.graph.leaf(letters[name[0]], index)
        else:
            raise _not_a_program(line)
        if self.graph.nodes[place].kind != kind:
            raise _not_a_program(line)
        return place


def _not_a_program(line: str) -> InputError:
    return InputError(f"not the program of a neuron: {line[:80]!r}; it was damaged, or another version wrote it")
