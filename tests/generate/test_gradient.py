"""Derivatives of programs compared with autograd for the same operations, also at ties."""

import pytest
import torch

from clif.generate.evaluate import evaluate
from clif.generate.gradient import RULES, differentiate
from clif.generate.operations import OPERATIONS
from clif.generate.program import Graph, Program

VALUES = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 1.0, 2.0, 25.0], dtype=torch.float64)
POSITIVE = {"sqrt", "log", "pow"}


def program_of(operation: str) -> Program:
    """x, s0 -> (operation of x or of x and s0, s0); masks choose between x and s0."""
    graph = Graph()
    x, s = graph.leaf("x"), graph.leaf("state", 0)
    takes = OPERATIONS[operation].takes
    if takes == ("number",):
        value = graph.add(operation, x)
    elif takes == ("number", "number"):
        value = graph.add(operation, x, s)
    else:
        value = graph.add("where", graph.add("lt", x, s), graph.add("mul", x, s), s)
    return Program((True,), (), 0, tuple(graph.nodes), (value, s))


@pytest.mark.parametrize("operation", sorted(set(RULES) - {"fire", "detach", "detachif"}))
def test_every_rule_is_autograds(operation):
    program = program_of(operation)
    x, s = (grid.flatten() for grid in torch.meshgrid(VALUES, VALUES, indexing="ij"))
    if operation in POSITIVE:
        x = x.abs() + 0.25
    if operation == "div":
        s = s + 0.1
    x, s = x.requires_grad_(), s.clone().requires_grad_()
    incoming = torch.linspace(-1, 2, len(x), dtype=torch.float64)
    outputs = evaluate(program.nodes, program.outputs, {"x": [x], "state": [s]})
    wanted = torch.autograd.grad(outputs, (x, s), (incoming, 2 * incoming), materialize_grads=True)

    derived = differentiate(program)
    leaves = {"x": [x], "state": [s], "d_spike": [incoming], "d_state": [2 * incoming]}
    found = evaluate(derived.graph.nodes, (derived.x, *derived.states), leaves)
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.detach().expand_as(want), want, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(("condition", "wanted"), [(0.0, [1.0, 1.0]), (1.0, [0.0, 0.0])])
def test_a_gradient_passes_unless_the_constant_says_otherwise(condition, wanted):
    graph = Graph()
    value = graph.add("detachif", graph.leaf("x"), graph.leaf("constant", 0))
    program = Program((True,), (), 1, tuple(graph.nodes), (value, graph.leaf("state", 0)))
    program = Program((True,), (), 1, tuple(graph.nodes), program.outputs)
    derived = differentiate(program)
    x = torch.tensor([-1.0, float("inf")])
    leaves = {"x": [x], "state": [x], "d_spike": [torch.ones(2)], "d_state": [torch.ones(2)], "constant": [condition]}
    assert evaluate(program.nodes, program.outputs[:1], leaves)[0].tolist() == x.tolist()
    found = evaluate(derived.graph.nodes, [derived.x], leaves)[0]
    assert found.expand(2).tolist() == wanted


def test_a_spike_has_the_derivative_that_it_states():
    graph = Graph()
    x = graph.leaf("x")
    slope = graph.add("mul", x, graph.literal(3))
    program = Program((True,), (), 0, tuple(graph.nodes), (graph.add("fire", x, slope), graph.leaf("state", 0)))
    program = Program((True,), (), 0, tuple(graph.nodes), program.outputs)
    derived = differentiate(program)
    x = torch.tensor([-1.0, 2.0])
    leaves = {"x": [x], "state": [x], "d_spike": [torch.ones(2)], "d_state": [torch.ones(2)]}
    assert evaluate(derived.graph.nodes, [derived.x], leaves)[0].tolist() == [-3.0, 6.0]
