"""The functions of a generated Triton kernel that compute one step; see `triton_source.py`."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clif.generate.lower import Step
from clif.generate.operations import OPERATIONS
from clif.generate.program import Node, needed

FORMS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "lt": "{} < {}",
    "le": "{} <= {}",
    "eq": "{} == {}",
    "and": "{} & {}",
    "or": "{} | {}",
    "not": "~{}",
    "where": "tl.where({}, {}, {})",
    "abs": "tl.abs({})",
    "maximum": "tl.maximum({}, {}, propagate_nan=tl.PropagateNan.ALL)",
    "minimum": "tl.minimum({}, {}, propagate_nan=tl.PropagateNan.ALL)",
    "floor": "tl.floor({})",
    "round": "nearest({})",
    "sqrt": "tl.sqrt_rn({})",
    "exp": "exponential({})",
    "log": "logarithm({})",
    "tanh": "hyperbolic_tangent({})",
    "sigmoid": "tl.sigmoid({})",
    "softplus": "softplus({})",
    "erf": "tl.erf({})",
    "pow": "power({}, {})",
}
"""Operations in Triton."""

EXACT_DIVISION = "tl.div_rn({}, {})"
"""Divisions before a spike round as PyTorch's; those of a gradient may be off by two units in the last place."""

COMPARISONS = ("lt", "le", "eq")

LEAVES = {"x": "x", "state": "s{}", "coefficient": "k{}", "d_spike": "d_spike", "d_state": "d{}"}
LEAST, MOST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max
"""The bounds between which Triton takes a number in the source as float32."""


class Function(NamedTuple):
    """A function of a generated module: its name, the names of its parameters, the number of its results, its text."""

    name: str
    parameters: tuple[str, ...]
    results: int
    text: str

    def call(self, results: Sequence[str], arguments: Mapping[str, str]) -> list[str]:
        """The statement that calls it; a parameter that is not in `arguments` gets the variable of the same name."""
        if not self.results:
            return []
        given = ", ".join(arguments.get(name, name) for name in self.parameters)
        return [f"{', '.join(results)} = {self.name}({given})"]


class Uniforms:
    """Numbers that are the same for all neurons and steps: arguments of the kernels, computed before a launch.

    Equal numbers of several graphs are one. `places` maps the uniform values of a graph to their indices.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[Node, tuple[int, ...]], int] = {}
        self._used: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        return list(self._used)

    def places(self, nodes: Sequence[Node]) -> dict[int, int]:
        found: dict[int, int] = {}
        for i, node in enumerate(nodes):
            if node.operation == "constant" or (not node.is_leaf and all(j in found for j in node.arguments)):
                key = node._replace(arguments=()), tuple(found[j] for j in node.arguments)
                found[i] = self._numbers.setdefault(key, len(self._numbers))
        return found

    def name(self, node: Node, number: int) -> str:
        """The text of a value in a kernel: its name, or a literal."""
        if node.operation == "literal" and (node.value == 0 or LEAST <= abs(node.value) <= MOST):
            return repr(node.value)
        name = f"c{int(node.value)}" if node.operation == "constant" else f"u{number}"
        self._used[name] = number
        return name

    def values(self, constants: Sequence[float]) -> dict[str, float]:
        """The values of all names, computed in float64 and rounded to float32."""
        values: list[Tensor] = []
        for node, arguments in self._numbers:
            if node.operation in ("constant", "literal"):
                value = constants[int(node.value)] if node.operation == "constant" else node.value
                values.append(torch.tensor(value, dtype=torch.float64, device="cpu"))
            else:
                values.append(OPERATIONS[node.operation].compute(*(values[j] for j in arguments)))
        return {name: values[number].float().item() for name, number in self._used.items()}


class Body:
    """The statements that compute some values of a step.

    `kept` has the names of values that are known, `layer` the coefficients of the whole layer. A division at one of
    the places `exact` rounds as PyTorch's.
    """

    def __init__(
        self, step: Step, uniforms: Uniforms, layer: Container[int], exact: Container[int], kept: Mapping[int, str]
    ) -> None:
        self.nodes = step.nodes
        self.uniforms = uniforms
        self.uniform = uniforms.places(step.nodes)
        self.exact = exact
        self.kept = kept
        self.varying = set(kept)
        for i, node in enumerate(self.nodes):
            leaf = node.is_leaf and not (node.operation == "coefficient" and int(node.value) in layer)
            if (leaf and node.operation != "constant") or self.varying.intersection(node.arguments):
                self.varying.add(i)
        self.parameters: dict[str, None] = {}

    def function(self, name: str, results: Iterable[int]) -> Function:
        """A function that returns the values at the places `results`, each [BLOCK]."""
        places = list(results)
        known = {i for i in self.uniform if self.nodes[i].kind == "number"} | set(self.kept)
        lines = [
            f"v{i} = {self._expression(i)}"
            for i in needed(self.nodes, places, known)
            if i not in known and self.nodes[i].arguments
        ]
        lines.append(f"return {', '.join(self._result(i) for i in places)}")
        body = "\n".join(f"    {line}" for line in lines)
        text = f"@triton.jit\ndef {name}({', '.join(self.parameters)}):\n{body}\n"
        return Function(name, tuple(self.parameters), len(places), text)

    def _operand(self, i: int) -> str:
        node = self.nodes[i]
        if i in self.kept:
            return self._parameter(self.kept[i])
        if i in self.uniform and node.kind == "number":
            name = self.uniforms.name(node, self.uniform[i])
            return self._parameter(name) if name.isidentifier() else name
        return self._parameter(LEAVES[node.operation].format(int(node.value))) if node.is_leaf else f"v{i}"

    def _parameter(self, name: str) -> str:
        self.parameters[name] = None
        return name

    def _expression(self, i: int) -> str:
        node = self.nodes[i]
        operands = [self._operand(j) for j in node.arguments]
        if node.operation in COMPARISONS and i not in self.varying:
            operands[0] = self._spread(operands[0])  # masks have one shape
        form = EXACT_DIVISION if node.operation == "div" and i in self.exact else FORMS[node.operation]
        return form.format(*operands)

    def _result(self, i: int) -> str:
        operand = self._operand(i)
        if self.nodes[i].kind == "mask":
            return f"tl.where({operand}, 1.0, 0.0)"
        return operand if i in self.varying else self._spread(operand)

    def _spread(self, operand: str) -> str:
        return f"spread({operand}, {self._parameter('zero')})"
