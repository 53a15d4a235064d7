"""The plan of a neuron: its step traced with its present attributes, or the reason why kernels cannot compute it."""

import inspect
import math
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.generate.plan import Plan, plan, refused
from clif.generate.trace import PLAIN, Signature, check_order
from clif.ops.constants import as_constant

STEP = frozenset(("step", "fire", "reset_after", "in_reset"))

OWN = frozenset(
    (
        *("_step_mode", "backend", "store_v_seq", "gradient_window", "fuse_norm", "keep_state", "channels_made_for"),
        *("_names", "_values", "_calls", "_planned", "v_seq"),
        *("_is_full_backward_hook", "call_super_init", "dump_patches"),
    )
)
"""Attributes that do not belong to the equations."""

CONSTANTS = frozenset(("v_threshold", "v_reset", "surrogate_function", "detach_reset"))
"""Attributes of every neuron that its equations may read."""

LEARNABLE = ("layer", "channel")


def check_declared(kind: Any, base: type) -> None:
    """Raise `InputError` for `states` and `learnable` of a class that no neuron can have."""
    states, learnable = (_declared(kind, *one) for one in (("states", {"v": 0.0}), ("learnable", {"k": "layer"})))
    for name, value in states.items():
        try:
            as_constant(name, value)
        except InputError as error:
            raise InputError(f"{kind.__name__}.states: {error}") from None
        if name in CONSTANTS:
            raise InputError(
                f"{kind.__name__} declares the state {name!r}, a constant of every neuron; give it another name"
            )
    for name, of in learnable.items():
        if of not in LEARNABLE:
            raise InputError(
                f'learnable[{name!r}] of {kind.__name__} is "layer" (a number) or "channel" ([C]), not {of!r}'
            )
        if name in states:
            raise InputError(f"{kind.__name__} declares {name!r} as a state and as learnable; it can be only one")
    for name in (*states, *learnable):
        if hasattr(base, name) or name in OWN or name == "training":
            raise InputError(f"{kind.__name__} declares {name!r}, which every neuron has already; give it another name")


def _declared(kind: Any, name: str, example: dict[str, Any]) -> Mapping[str, Any]:
    """The dictionary of a class by that name, its own or inherited; empty if it is a property."""
    found = inspect.getattr_static(kind, name)
    if hasattr(type(found), "__get__"):
        return {}
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise InputError(f"{kind.__name__}.{name} is a dictionary such as {example}, got {found!r}")
    return found


def check_is_free(name: str, kind: type, base: type) -> None:
    """Raise `InputError` for the name of a method, or of a property that cannot be set."""
    member = inspect.getattr_static(base, name, None)
    if inspect.isfunction(member) or (isinstance(member, property) and member.fset is None):
        raise InputError(
            f"{name} is a {'property' if isinstance(member, property) else 'method'} of every neuron; give the "
            f"attribute of {kind.__name__} another name"
        )


class Planned(NamedTuple):
    """A plan that holds until an attribute of the neuron is set."""

    step: Any
    states: dict[str, Any]
    plan: Plan


def plan_of(neuron: nn.Module, base: type, states: Mapping[str, Any], learnable: Mapping[str, str]) -> Plan:
    """The plan of a neuron with these states at rest; `base` is the class of all neurons.

    Raises `InputError` for a step that takes states or learnables in another order than they are declared in.
    """
    kind: Any = type(neuron)
    if not torch.compiler.is_compiling():
        check_order(kind.step, (*states, *learnable), kind.__name__)
    remembers = not torch.compiler.is_compiling() and _reads_attributes_only(neuron, learnable)
    if remembers:
        known: Planned | None = vars(neuron).get("_planned")
        if known is not None and known.step is kind.step and known.states == states:
            return known.plan
    found = _make(neuron, base, states, learnable)
    if remembers:
        vars(neuron)["_planned"] = Planned(kind.step, dict(states), found)
    return found


def _reads_attributes_only(neuron: Any, learnable: Mapping[str, str]) -> bool:
    """Whether the step reads only assigned attributes: no tensor that changes in place, nothing of a user's module."""
    own = (type(neuron).__module__, type(neuron.surrogate_function).__module__)
    return (
        all(str(name).partition(".")[0] == "clif" for name in own)
        and not neuron._buffers
        and neuron._parameters.keys() <= learnable.keys()
        and not any(isinstance(value, Tensor) and name not in OWN for name, value in vars(neuron).items())
    )


def _make(neuron: nn.Module, base: type, states: Mapping[str, Any], learnable: Mapping[str, str]) -> Plan:
    attributes = _attributes(neuron, learnable)
    kind = type(neuron)
    for name in sorted(vars(neuron).keys() - attributes.keys()):
        # An attribute of the object that replaces one of its class for `step`.
        if name in STEP if hasattr(base, name) else hasattr(kind, name):
            return refused(f"{name} of this {kind.__name__} was replaced on the object")
    rest = {name: value if isinstance(value, int | float) else math.nan for name, value in states.items()}
    return plan(kind, attributes, Signature(rest, learnable))


def _attributes(neuron: nn.Module, learnable: Mapping[str, str]) -> dict[str, Any]:
    """The plain values that `step` may read; a tensor of one element that is not learnt now is a number."""
    found: dict[str, Any] = {}
    for name, value in (*vars(neuron).items(), *neuron._parameters.items(), *neuron._buffers.items()):
        if isinstance(value, PLAIN):
            if name not in OWN:
                found[name] = value
        elif isinstance(value, Tensor):
            if value.numel() == 1 and name not in learnable and name not in OWN:
                number = as_constant(name, value)
                if not isinstance(number, Tensor):
                    found[name] = number
        elif isinstance(value, numbers.Real):
            found[name] = float(value)
        elif isinstance(value, np.bool_):
            found[name] = bool(value)
    return found
