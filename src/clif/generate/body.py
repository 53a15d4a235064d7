"""The statements of one function of a generated kernel; see `cpp.py`."""

import math
from collections import Counter
from collections.abc import Callable

from clif.generate.lower import Step, depends_on_incoming, is_uniform
from clif.generate.operations import OPERATIONS
from clif.generate.program import needed
from clif.generate.tape import choose_kept

FORMS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "lt": "{} < {}",
    "le": "{} <= {}",
    "eq": "equal({}, {})",
    "and": "both({}, {})",
    "or": "either({}, {})",
    "not": "opposite<R>({})",
    "where": "select({}, {}, {})",
    "abs": "absolute({})",
    "maximum": "maximum({}, {})",
    "minimum": "minimum({}, {})",
    "floor": "floored<R>({})",
    "round": "nearest<R>({})",
    "sqrt": "root({})",
    "exp": "exponential<R>({})",
    "log": "logarithm<R>({})",
    "tanh": "hyperbolic_tangent<R>({})",
    "sigmoid": "sigmoid<R>({}, N(R(1)))",
    "softplus": "softplus<R>({})",
    "erf": "error_function<R>({})",
    "pow": "power<R>({}, {})",
}
"""Operations in C++."""

Name = Callable[[int], str]

FROM_MEMORY, IN_REGISTER = 2.0, 1.5
"""The costs of reading a value and of a register that holds one from loop to loop, in units of an addition."""


class Body:
    """Statements that compute a step's results for each `Number` of a strip.

    The statements are cut into loops over the strip, so that a loop has at most one slow operation on the way to a
    value. Arrays hold the values of earlier loops that a later one needs; masks are compared again.
    """

    def __init__(self, step: Step, uniform: Name, layer: list[int], kept: dict[int, str]) -> None:
        self.nodes = step.nodes
        self.results = step.results
        self.uniform = uniform
        self.layer = layer
        self.kept = kept
        self.order = [i for i in needed(step.nodes, step.results.values(), kept) if not self._is_there(i)]
        self.incoming = depends_on_incoming(step.nodes)
        self.uses = Counter(j for i in self.order for j in step.nodes[i].arguments)
        self.uses.update(step.results.values())
        self.loop_of = self._loops()
        self.statements: list[tuple[str, int, int]] = []
        self.crossing: set[int] = set()

    def write(self, form: str, place: int) -> None:
        """Add a statement with the value at `place`. It may overwrite a state, which only the first loop reads."""
        self.statements.append((form, place, self.loop_of.get(place, 0)))

    def lines(self) -> list[str]:
        """The body of the function."""
        loops = range(1 + max([0, *self.loop_of.values(), *(loop for _, _, loop in self.statements)]))
        self.crossing = {i for loop in loops[1:] for i in self._crossing(loop)}
        written = [text for loop in loops for text in self._loop(loop)]
        arrays = [f"        Number<R> n{i}[numbers];" for i in sorted(self.crossing)]
        return ["        using N [[maybe_unused]] = Number<R>;", *arrays, *written]

    def _crossing(self, loop: int) -> set[int]:
        """The values of earlier loops that this one reads from arrays; cheap ones are computed again."""
        wanted = [j for i in self.order if self.loop_of[i] == loop for j in self._operands(i)]
        wanted += [place for _, place, at in self.statements if at == loop]

        def cost(i: int) -> float:
            node = self.nodes[i]
            if is_uniform(self.nodes, i) or i in self.kept or self.loop_of.get(i, -1) == loop:
                return 0.0
            if not node.arguments:
                return FROM_MEMORY if node.operation in ("x", "coefficient", "d_spike") else math.inf
            return OPERATIONS[node.operation].cost

        def can_keep(i: int) -> bool:
            return self.nodes[i].kind == "number"

        return choose_kept(self.nodes, wanted, cost, can_keep, IN_REGISTER)

    def _operands(self, i: int) -> tuple[int, ...]:
        """The operands of the expression of a value; the factors if it is the sigmoid of a product with a constant."""
        scaled = self.scales(i)
        return self.nodes[i if scaled is None else scaled].arguments

    def _is_there(self, i: int) -> bool:
        return i in self.kept or not self.nodes[i].arguments or is_uniform(self.nodes, i)

    def _loops(self) -> dict[int, int]:
        depth: dict[int, int] = {}
        for i in self.order:
            slow = OPERATIONS[self.nodes[i].operation].is_slow
            depth[i] = slow + max([0, *(depth.get(j, 0) for j in self.nodes[i].arguments)])
        return {i: max(0, d - 1) for i, d in depth.items()}

    def _loop(self, loop: int) -> list[str]:
        writer = _Loop(self, loop)
        if loop == 0:
            for i in sorted(i for i in self.crossing if not self.nodes[i].arguments):
                writer.operand(i)
        wanted = [i for i in self.crossing if self.loop_of.get(i, 0) == loop]
        wanted += [place for _, place, at in self.statements if at == loop]
        used = set(needed(self.nodes, wanted, self.kept))
        for i in self.order:
            here = self.loop_of[i] == loop and i in used
            if here and self.nodes[i].kind == "number" and not self._is_fused(i):
                writer.compute(i)
        for form, place, at in self.statements:
            if at == loop:
                writer.results.append(f"{form.format(writer.operand(place))};")
        if not (writer.lines or writer.results):
            return []
        lines = [f"            {line}" for line in [*writer.lines, *writer.results]]
        return ["        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {", *lines, "        });"]

    def _is_fused(self, i: int) -> bool:
        """Whether a product is computed as part of the only operation that uses it."""
        if self.nodes[i].operation != "mul" or self.uses[i] != 1:
            return False
        users = [j for j in self.order if i in self.nodes[j].arguments]
        return bool(users) and i in (self.fuses(users[0]), self.scales(users[0]))

    def scales(self, i: int) -> int | None:
        """The product with a constant whose sigmoid is `i`, or None."""
        node = self.nodes[i]
        if node.operation != "sigmoid":
            return None
        j = node.arguments[0]
        product = self.nodes[j]
        constant = any(is_uniform(self.nodes, factor) for factor in product.arguments)
        return j if product.operation == "mul" and constant and self.uses[j] == 1 and not self._is_there(j) else None

    def fuses(self, i: int) -> int | None:
        """The product that the sum `i` of a gradient computes with itself (a fused multiply-add), or None."""
        node = self.nodes[i]
        if node.operation not in ("add", "sub") or i not in self.incoming:
            return None
        return next(
            (
                j
                for j in node.arguments
                if self.nodes[j].operation == "mul"
                and j in self.incoming
                and not self._is_there(j)
                and self.uses[j] == 1
                and self.loop_of[j] == self.loop_of[i]
            ),
            None,
        )


class _Loop:
    """The lines of one loop over the numbers of a strip."""

    def __init__(self, body: Body, loop: int) -> None:
        self.body = body
        self.loop = loop
        self.lines: list[str] = []
        self.results: list[str] = []
        self.names: dict[int, str] = {}

    def operand(self, i: int) -> str:
        if i not in self.names:
            self.names[i] = self._fetch(i)
        return self.names[i]

    def _fetch(self, i: int) -> str:
        body = self.body
        node = body.nodes[i]
        if i in body.kept:
            return self._define(i, body.kept[i])
        if is_uniform(body.nodes, i) and node.kind == "number":
            return body.uniform(i)
        if node.operation == "coefficient" and int(node.value) in body.layer:
            return f"h.k{int(node.value)}"
        if self.loop > 0 and i in body.crossing:
            return f"n{i}[i]"
        if node.is_leaf:
            assert self.loop == 0 or node.operation not in ("state", "d_state"), "the first loop has overwritten it"
            return self._define(i, LEAVES[node.operation].format(int(node.value)))
        return self._define(i, self._expression(i))

    def compute(self, i: int) -> None:
        self.names[i] = self._define(i, self._expression(i))

    def _define(self, i: int, expression: str) -> str:
        self.lines.append(f"const auto v{i} = {expression};")
        if i in self.body.crossing and self.loop == self.body.loop_of.get(i, 0):
            self.lines.append(f"n{i}[i] = v{i};")
        return f"v{i}"

    def _expression(self, i: int) -> str:
        body = self.body
        node = body.nodes[i]
        product = body.fuses(i)
        if product is not None:
            a, b = (self.operand(j) for j in body.nodes[product].arguments)
            other = next((j for j in node.arguments if j != product), product)
            c = self.operand(other)
            if node.operation == "add":
                return f"multiply_add({a}, {b}, {c})"
            return f"multiply_add({a}, {b}, -{c})" if node.arguments[0] == product else f"multiply_add(-{a}, {b}, {c})"
        if (scaled := body.scales(i)) is not None:
            value, factor = body.nodes[scaled].arguments
            if not is_uniform(body.nodes, factor):
                value, factor = factor, value
            return f"sigmoid<R>({self.operand(value)}, {body.uniform(factor)})"
        return FORMS[node.operation].format(*(self.operand(j) for j in node.arguments))


LEAVES = {
    "x": "x.at(i)",
    "state": "s[{}][i]",
    "coefficient": "k({}, i)",
    "d_spike": "d_spike.at(i)",
    "d_state": "d[{}][i]",
}
