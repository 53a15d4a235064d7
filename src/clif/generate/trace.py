"""The `step` of a neuron as a program.

A step sees a view of its module: plain attributes (numbers, bools, strings, None), the surrogate and its methods, but
no parameters, buffers or states, which are its arguments. What cannot be traced raises `TraceError`, with the line.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clif.generate.evaluate import evaluate
from clif.generate.program import Node, Program, needed, without_derivatives
from clif.generate.refusal import TraceError, refusal
from clif.generate.traced import Traced, Tracer
from clif.surrogate import Surrogate

PLAIN = (bool, int, float, str, type(None), Surrogate)
SAMPLES = 16


class Trace(NamedTuple):
    """A program and the values of its constants."""

    program: Program
    constants: tuple[float, ...]


class Signature(NamedTuple):
    """The arguments of a step after the input: states with their rest values, and learnables ("layer" or "channel")."""

    states: Mapping[str, float]
    learnable: Mapping[str, str]


def check_step(step: Callable[..., Any], signature: Signature, owner: str) -> None:
    """Raise `TraceError` unless `step` takes self, the input, the states and the learnables, by name and in order."""
    names = list(inspect.signature(step).parameters)[2:]
    wanted = [*signature.states, *signature.learnable]
    if names != wanted:
        raise TraceError(
            f"{owner}.step takes {', '.join(names) or 'nothing'} after the input; `states` and `learnable` say "
            f"{', '.join(wanted) or 'nothing'}: use these names in this order"
        )


@cache
def check_order(step: Callable[..., Any], wanted: tuple[str, ...], owner: str) -> None:
    """Raise `TraceError` if `step` takes one of these names in the place of another."""
    names = list(inspect.signature(step).parameters)[2:]
    if any(name in wanted and name != other for name, other in zip(names, wanted, strict=False)):
        check_step(step, Signature(dict.fromkeys(wanted, 0.0), {}), owner)


def trace(kind: type, attributes: Mapping[str, Any], signature: Signature) -> Trace:
    """The program of `kind.step(x, *states, *learnables)`, which returns the spike and the new states.

    `attributes` are those of the object whose step it is. Raises `TraceError` for a step that is not element-wise,
    branches on tensors, draws random numbers, writes to its module, or differs from its trace.
    """
    view = _view(kind, attributes)
    first, second = _traced(view, signature), _traced(view, signature)
    if first != second:
        raise TraceError(
            f"{kind.__name__}.step has different operations or numbers in each call; a kernel would repeat the first"
        )
    _check(view, signature, first, kind.__name__)
    return first


class _View:
    """Stands for a module in its step."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "surrogate_function":
            raise refusal("the surrogate is not from clif.surrogate", "derive it from clif.surrogate.Surrogate")
        raise refusal(
            f"self.{name} is learnt, or is not a number, bool, string or None",
            f"a parameter or state is an argument of step: declare {name} in `learnable` or `states`",
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise refusal(f"self.{name} is written", "a step may keep only the states that it returns")


@cache
def _view_class(kind: type) -> type:
    return type(kind.__name__, (_View, kind), {"__module__": kind.__module__})


def _view(kind: type, attributes: Mapping[str, Any]) -> Any:
    view: Any = object.__new__(_view_class(kind))
    view.__dict__.update(attributes)
    return view


def _traced(view: Any, signature: Signature) -> Trace:
    tracer = Tracer()
    x = tracer.leaf("x")
    states = [tracer.leaf("state", i) for i in range(len(signature.states))]
    learnables = [tracer.leaf("coefficient", i) for i in range(len(signature.learnable))]
    outputs = view.step(x, *states, *learnables)
    _check_outputs(outputs, signature, Traced)
    places = tuple(tracer.as_number(output) for output in outputs)
    nodes, used = _numbered_by_use(tracer.graph.nodes, places)
    program = Program(
        tuple(value == 0 for value in signature.states.values()),
        tuple(kind == "channel" for kind in signature.learnable.values()),
        len(used),
        nodes,
        places,
    )
    return Trace(program, tuple(tracer.constants[i] for i in used))


def _numbered_by_use(nodes: Sequence[Node], outputs: Sequence[int]) -> tuple[tuple[Node, ...], tuple[int, ...]]:
    """The nodes with the used constants numbered again, and the former numbers of these constants.

    The forward part comes first, so it is the same program for every surrogate.
    """
    order = [*needed(without_derivatives(nodes), outputs), *needed(nodes, outputs)]
    used = tuple(dict.fromkeys(int(nodes[i].value) for i in order if nodes[i].operation == "constant"))
    numbers = {old: new for new, old in enumerate(used)}
    renumbered = (n._replace(value=numbers.get(int(n.value), -1)) if n.operation == "constant" else n for n in nodes)
    return tuple(renumbered), used


def _check_outputs(outputs: Any, signature: Signature, kind: type) -> None:
    names = ["the spike", *signature.states]
    if not isinstance(outputs, tuple) or len(outputs) != len(names) or not all(isinstance(o, kind) for o in outputs):
        raise TraceError(f"step must return a tuple of tensors: {', '.join(names)}")


def _check(view: Any, signature: Signature, traced: Trace, owner: str) -> None:
    """Raise `TraceError` if the program and the step disagree on numbers that were drawn at random."""
    count = 1 + len(signature.states) + len(signature.learnable)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(count, SAMPLES, generator=generator, dtype=torch.float64) * 2
    results = []
    for compute in (view.step, lambda *leaves: run(traced, leaves)):
        leaves = [value.clone().requires_grad_() for value in values]
        with torch.enable_grad():
            outputs = compute(*leaves)
            _check_outputs(tuple(outputs), signature, Tensor)
            total = sum((output * (i + 1)).sum() for i, output in enumerate(outputs))
        gradients = torch.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else ()
        zeros = torch.zeros(SAMPLES, dtype=torch.float64)
        results.append([*(o.detach().double() for o in outputs), *(zeros if g is None else g for g in gradients)])
    same = len(results[0]) == len(results[1]) and all(
        torch.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in zip(*results, strict=True)
    )
    if not same:
        raise TraceError(f"the trace of {owner}.step computes different numbers from the step itself")


def run(traced: Trace, leaves: Any) -> list[Tensor]:
    """The outputs of a program for the tensors (x, *states, *coefficients), computed by PyTorch."""
    program, constants = traced
    states = len(program.rests_at_zero)
    x, rest = leaves[0], leaves[1:]
    named = {"x": [x], "state": rest[:states], "coefficient": rest[states:], "constant": constants}
    return evaluate(program.nodes, program.outputs, named)
