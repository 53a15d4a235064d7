"""The terms of a step that depend on its learnables alone, which PyTorch computes before the kernels run."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clif.generate.evaluate import evaluate
from clif.generate.operations import OPERATIONS
from clif.generate.program import Graph, Node, Program, needed
from clif.generate.tape import choose_kept

CHEAP, DEAR = 0.01, 2.0
"""The costs, in coefficients, of an operation that kernels may compute and of one that they must not."""


class Prologue(NamedTuple):
    """The values of a step's graph that become the coefficients of its kernels."""

    nodes: tuple[Node, ...]
    values: tuple[int, ...]

    def coefficients(self, learnables: Sequence[Tensor], constants: Sequence[float]) -> list[Tensor]:
        """The coefficients for learnables of shape [] or [C], differentiable."""
        if all(self.nodes[i].operation == "coefficient" for i in self.values):
            return [learnables[int(self.nodes[i].value)] for i in self.values]
        with torch.amp.autocast(learnables[0].device.type, enabled=False):
            return evaluate(self.nodes, self.values, {"coefficient": learnables, "constant": constants})


def split(program: Program) -> tuple[Program, Prologue]:
    """The program that is left for kernels, and the prologue that comes before it.

    Kernels get as few coefficients as possible, and compute no slow function of them.
    """
    nodes = program.nodes
    alone = _of_learnables_alone(nodes)
    order = needed(nodes, program.outputs)
    wanted = [i for i in program.outputs if i in alone]
    wanted += [j for i in order if i not in alone for j in nodes[i].arguments if j in alone]

    def cost(i: int) -> float:
        node = nodes[i]
        if i not in alone:
            return 0.0
        if node.is_leaf:
            return float("inf")
        return DEAR * len(alone) if OPERATIONS[node.operation].cost >= OPERATIONS["div"].cost else CHEAP

    def can_keep(i: int) -> bool:
        return nodes[i].kind == "number"

    chosen = sorted(choose_kept(nodes, dict.fromkeys(wanted), cost, can_keep, 1.0))
    return _with_coefficients(program, chosen), Prologue(nodes, tuple(chosen))


def _of_learnables_alone(nodes: Sequence[Node]) -> dict[int, bool]:
    """The values that depend on learnables and constants only, and whether each depends on a learnable per channel."""
    known: dict[int, bool] = {}
    uniform: set[int] = set()
    for i, node in enumerate(nodes):
        if node.operation == "coefficient":
            known[i] = True
        elif node.operation in ("constant", "literal"):
            uniform.add(i)
        elif node.arguments and all(j in known or j in uniform for j in node.arguments):
            if any(j in known for j in node.arguments):
                known[i] = True
            else:
                uniform.add(i)
    return known


def _channels(program: Program, i: int) -> bool:
    nodes = program.nodes
    leaves = (nodes[j] for j in needed(nodes, [i]) if nodes[j].operation == "coefficient")
    return any(program.by_channel[int(leaf.value)] for leaf in leaves)


def _with_coefficients(program: Program, chosen: Sequence[int]) -> Program:
    """The program whose coefficients are the values `chosen`."""
    graph = Graph()
    places = {i: graph.leaf("coefficient", number) for number, i in enumerate(chosen)}
    for i in needed(program.nodes, program.outputs, known=places):
        if i not in places:
            places[i] = graph.copy(program.nodes[i], places)
    return Program(
        program.rests_at_zero,
        tuple(_channels(program, i) for i in chosen),
        program.constants,
        tuple(graph.nodes),
        tuple(places[i] for i in program.outputs),
    )
