"""A program as C++: the equations of a step, around which `csrc/strips.hpp` has the loops.

Every kind of step becomes three functions: `advance` (forward) in one struct, `record` (forward, with the values for
the tape) and `retreat` (backward) in another. Sums of products are fused in gradients only, so that spikes do not
depend on the compiler.
"""

from collections.abc import Iterable, Sequence

from clif.generate.body import FORMS, Body
from clif.generate.lower import Step, Steps, is_uniform, lower
from clif.generate.program import Node, Program, forward_program, needed

ADVANCE = """
    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance({kind}, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {{
{body}
    }}
"""

RECORD = """
    template <class R, int numbers, class X>
    static CLIF_INLINE void record({kind}, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {{
{body}
    }}
"""

RETREAT = """
    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat({kind}, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {{
{body}
    }}
"""


def source(program: Program) -> str:
    """The definitions of `struct Forward` and `struct Backward`, without the headers that they need."""
    return f"{forward(forward_program(program), 'Forward')}\n{backward(program, 'Backward')}"


def forward(program: Program, name: str) -> str:
    """The struct of a `forward_program`, which programs that differ only in the surrogate share."""
    steps = lower(program)
    uniforms = _Uniforms(program, [step.forward for step in steps.values()])
    functions = "".join(_forward(kind, step, uniforms) for kind, step in steps.items())
    return _struct(program, name, steps, [], f"{uniforms.text()}{functions}")


def backward(program: Program, name: str) -> str:
    """The struct of the backward pass of a program."""
    steps = lower(program)
    uniforms = _Uniforms(program, [part for step in steps.values() for part in (step.recorded, step.backward)])
    functions = "".join(_backward(kind, step, uniforms) for kind, step in steps.items())
    facts = [
        f"static constexpr int planes = {max(len(step.kept) for step in steps.values())};",
        f"static constexpr bool rests_at_zero[] = {{{_bools(program.rests_at_zero)}}};",
        "template <class R, int numbers>",
        "using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];",
    ]
    return _struct(program, name, steps, facts, f"{uniforms.text()}{functions}")


def _struct(program: Program, name: str, steps: dict[str, Steps], facts: list[str], functions: str) -> str:
    comment = "\n".join(f"// {line}" for line in program.text.split("\n"))
    facts = [
        f"static constexpr int states = {len(program.rests_at_zero)};",
        f"static constexpr int coefficients = {len(program.by_channel)};",
        f"static constexpr bool starts_from_rest = {_bools(['FromRest' in steps])};",
        f"static constexpr bool by_channel[] = {{{_bools((*program.by_channel, False))}}};",
        "template <class R, int numbers>",
        "using States = Number<R>[states][numbers];",
        *facts,
    ]
    body = "\n".join(f"    {line}" for line in facts)
    return f"{comment}\nstruct {name} {{\n{body}\n\n{functions}}};\n"


def _bools(values: Iterable[bool]) -> str:
    return ", ".join(str(value).lower() for value in values)


class _Uniforms:
    """Values that are the same for all neurons and steps, computed once before the loops."""

    def __init__(self, program: Program, parts: Iterable[Step]) -> None:
        self.names: dict[str, str] = {}
        self.layer = [i for i, channel in enumerate(program.by_channel) if not channel]
        for part in parts:
            for i in needed(part.nodes, part.results.values()):
                if is_uniform(part.nodes, i) and part.nodes[i].kind == "number":
                    self.value(part.nodes, i)

    def value(self, nodes: Sequence[Node], i: int, prefix: str = "") -> str:
        """The C++ expression of a uniform value; names of members begin with `prefix`."""
        node = nodes[i]
        if node.operation == "literal":
            return f"N(R({node.value!r}))"
        if node.is_leaf:
            definition, name = f"N(constants[{int(node.value)}])", f"c{int(node.value)}"
        else:
            definition = FORMS[node.operation].format(*(self.value(nodes, j) for j in node.arguments))
            if node.kind == "mask":
                return f"({definition})"
            name = f"u{len(self.names)}"
        return prefix + self.names.setdefault(definition, name)

    def text(self) -> str:
        members = [*self.names.values(), *(f"k{i}" for i in self.layer)]
        lines = [
            "template <class R>",
            "struct Uniforms {",
            "    using N = Number<R>;",
            *([f"    N {', '.join(members)};"] if members else []),
            "",
            "    CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,",
            "                         [[maybe_unused]] const R* const* coefficients) {",
            *(f"        {name} = {definition};" for definition, name in self.names.items()),
            *(f"        k{i} = N(*coefficients[{i}]);" for i in self.layer),
            "    }",
            "};",
        ]
        return "".join(f"    {line}\n" if line else "\n" for line in lines)


def _body(step: Step, uniforms: _Uniforms, kept: dict[int, str]) -> Body:
    return Body(step, lambda i: uniforms.value(step.nodes, i, "h."), uniforms.layer, kept)


def _write_states(body: Body) -> None:
    for name, place in body.results.items():
        if isinstance(name, int):
            body.write(f"s[{name}][i] = {{}}", place)


def _forward(kind: str, steps: Steps, uniforms: _Uniforms) -> str:
    advance = _body(steps.forward, uniforms, {})
    _write_states(advance)
    advance.write("fire(i, {})", steps.forward.results["spike"])
    return ADVANCE.format(kind=kind, body="\n".join(advance.lines()))


def _backward(kind: str, steps: Steps, uniforms: _Uniforms) -> str:
    record = _body(steps.recorded, uniforms, {})
    _write_states(record)
    for plane, place in enumerate(steps.kept):
        record.write(f"tape[{plane} * numbers + i] = {{}}", place)
    planes = {place: f"tape[{plane} * numbers + i]" for plane, place in enumerate(steps.kept)}
    retreat = _body(steps.backward, uniforms, planes)
    for name, place in steps.backward.results.items():
        form = {"d_x": "write_dx(i, {})", "d_state": "d[{}][i] = {{}}", "d_coefficient": "d_k[{}][i] += {{}}"}
        if name == "d_x":
            retreat.write(form["d_x"], place)
        else:
            assert isinstance(name, tuple)
            which, index = name
            retreat.write(form[which].format(index), place)
    return "".join(
        form.format(kind=kind, body="\n".join(body.lines())) for form, body in ((RECORD, record), (RETREAT, retreat))
    )
