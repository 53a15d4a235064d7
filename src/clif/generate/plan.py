"""The plan by which kernels compute the step of a neuron, traced once per class and values of its attributes."""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch

from clif.generate.beside import read_beside
from clif.generate.program import MOST_COEFFICIENTS, MOST_NODES, MOST_STATES
from clif.generate.prologue import Prologue, split
from clif.generate.refusal import TraceError
from clif.generate.trace import Signature, Trace, trace
from clif.private_torch import constant_when_compiled
from clif.surrogate import Surrogate

MOST_PLANS = 10_000


class Plan(NamedTuple):
    """The program of a step for kernels, or the reason why there is none.

    `text` is the program's canonical text, `constants` are its numbers; `prologue` makes the program's coefficients of
    the learnables, and `trace` is the step before that.
    """

    text: str
    constants: tuple[float, ...]
    prologue: Prologue
    trace: Trace | None
    refusal: str | None


Key = tuple[Any, ...]
_plans: dict[Key, Plan] = {}


def plan(kind: type, attributes: Mapping[str, Any], signature: Signature) -> Plan:
    """The plan of `kind.step` with these attributes: numbers, bools, strings, None and surrogates."""
    values = tuple([_flat(value) for value in attributes.values()])
    shape = (tuple(signature.states), tuple([v == 0 for v in signature.states.values()]))
    key = (kind, tuple(attributes), values, shape, tuple(signature.learnable.items()))
    if torch.compiler.is_compiling():
        return _constant_plan(*key)
    return _remembered(key, kind, attributes, signature)


@constant_when_compiled
def _constant_plan(
    kind: type,
    names: tuple[str, ...],
    values: tuple[Any, ...],
    shape: tuple[tuple[str, ...], tuple[bool, ...]],
    learnable: tuple[tuple[str, str], ...],
) -> Plan:
    """The plan, from values that torch.compile can treat as constants."""
    attributes = {name: _restored(value) for name, value in zip(names, values, strict=True)}
    signature = Signature({name: float(not zero) for name, zero in zip(*shape, strict=True)}, dict(learnable))
    return _remembered((kind, names, values, shape, learnable), kind, attributes, signature)


def _remembered(key: Key, kind: type, attributes: Mapping[str, Any], signature: Signature) -> Plan:
    kinds = [kind, *(type(value) for value in attributes.values() if isinstance(value, Surrogate))]
    key = (*key, getattr(kind, "step", None), *(_flat(part) for one in kinds for part in read_beside(one)))
    try:
        found = _plans.get(key)
    except TypeError:  # a surrogate has a value that cannot be hashed, or the step reads an object that may change
        return _make(kind, attributes, signature)
    if found is None:
        if len(_plans) >= MOST_PLANS:
            _plans.clear()
        found = _plans[key] = _make(kind, attributes, signature)
    return found


def _flat(value: Any) -> Any:
    """A value as parts that can be hashed; under torch.compile, as parts that it guards one by one."""
    if isinstance(value, Surrogate):
        return (type(value), *[(name, _flat(part)) for name, part in vars(value).items()])
    if isinstance(value, float) and torch.compiler.is_compiling():
        return ("ratio", *value.as_integer_ratio())
    return (type(value), value) if isinstance(value, bool) else value


def _restored(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    kind, *parts = value
    if kind == "ratio":
        return parts[0] / parts[1]
    if kind is bool:
        return parts[0]
    surrogate = object.__new__(kind)
    vars(surrogate).update({name: _restored(part) for name, part in parts})
    return surrogate


def _make(kind: type, attributes: Mapping[str, Any], signature: Signature) -> Plan:
    """The plan, made in a thread of its own: there no transform, mode or autocast of PyTorch is active."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(_traced_plan, kind, attributes, signature).result()


def _traced_plan(kind: type, attributes: Mapping[str, Any], signature: Signature) -> Plan:
    states = signature.states
    if "v" in states and attributes.get("v_reset") is not None:
        states = {**states, "v": math.nan}  # a hard reset to 0 shares the program of all hard resets
    try:
        traced = trace(kind, attributes, signature._replace(states=states))
    except TraceError as error:
        return refused(str(error))
    except Exception as error:  # an error of the step itself, which PyTorch raises again
        return refused(f"{kind.__name__}.step cannot be traced: {type(error).__name__}: {error}")
    if not signature.states:
        return refused(f"{kind.__name__} has no state; a kernel computes one from step to step")
    program, prologue = split(traced.program)
    count, coefficients = len(program.rests_at_zero), len(program.by_channel)
    if count > MOST_STATES or coefficients > MOST_COEFFICIENTS or len(program.nodes) > MOST_NODES:
        return refused(
            f"{kind.__name__} has {count} states, {coefficients} coefficients and {len(program.nodes)} operations; "
            f"kernels take up to {MOST_STATES}, {MOST_COEFFICIENTS} and {MOST_NODES}"
        )
    return Plan(program.text, traced.constants or (0.0,), prologue, traced, None)


def refused(why: str) -> Plan:
    """A plan without a program, for the reason `why`."""
    return Plan("", (0.0,), Prologue((), ()), None, why)
