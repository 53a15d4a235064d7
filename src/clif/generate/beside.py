"""The values that a step reads besides its neuron's attributes: classes, functions and constants, which may change."""

import dis
from collections.abc import Iterator
from functools import cache
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from clif.generate.trace import PLAIN

LIBRARIES = frozenset(("clif", "torch", "numpy", "scipy", "spikingjelly", "builtins", "math"))
"""Packages whose classes, functions and constants do not change."""

MOST_ELEMENTS = 64
"""A longer list, tuple or dictionary does not count as a table of constants."""

CHANGING: list[Any] = []
"""Stands for an object that may change unnoticed. It cannot be hashed, so no plan is remembered."""

OF_BUILTIN_TYPES = (list, tuple, dict, set, frozenset, bytearray, MethodType, Tensor, np.ndarray, np.generic)
"""Objects that may change, of classes that do not."""


def read_beside(kind: type) -> Iterator[Any]:
    """The user's classes of a neuron, their functions, and the plain values that these functions read by name.

    This includes the functions that a function calls by name, and the values that they read. `CHANGING` stands for
    other objects, such as one whose attributes a function reads.
    """
    seen: set[int] = set()
    for owner in kind.__mro__:
        if not _is_of_library(owner.__module__):
            yield owner
            for name, value in vars(owner).items():
                yield from _parts(name, value, seen)


def _parts(name: str, value: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, property):
        for function in (value.fget, value.fset):
            yield from _parts(name, function, seen)
        return
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, FunctionType):
        if id(value) not in seen and not _is_of_library(value.__module__):
            seen.add(id(value))
            yield from (name, value)
            yield from _read_by(value, seen)
    elif isinstance(value, PLAIN):
        yield from () if value is None else (name, value)
    elif (elements := _constants_of(value)) is not None:
        yield from (name, *elements)
    elif _may_change(value) and not name.startswith("__"):
        yield CHANGING


def _constants_of(value: Any) -> list[Any] | None:
    """The elements of a table of constants, None for another object."""
    if not isinstance(value, list | tuple | dict) or len(value) > MOST_ELEMENTS:
        return None
    elements = list(value.values() if isinstance(value, dict) else value)
    return elements if all(isinstance(element, PLAIN) for element in elements) else None


def _may_change(value: Any) -> bool:
    return isinstance(value, OF_BUILTIN_TYPES) or not _is_of_library(
        value.__module__ if isinstance(value, type) else type(value).__module__
    )


def _read_by(function: FunctionType, seen: set[int]) -> Iterator[Any]:
    code = function.__code__
    read = [(name, function.__globals__.get(name)) for name in _globals(code)]
    read += [("", cell.cell_contents) for cell in function.__closure__ or () if cell != CellType()]
    for name, value in read:
        if not isinstance(value, ModuleType | type):
            yield from _parts(name, value, seen)
        elif not _is_of_library(value.__name__ if isinstance(value, ModuleType) else value.__module__):
            for member in _names(code):
                yield from _parts(member, _member(value, member), seen)


def _member(holder: ModuleType | type, name: str) -> Any:
    places = holder.__mro__ if isinstance(holder, type) else (holder,)
    return next((vars(place)[name] for place in places if name in vars(place)), None)


@cache
def _names(code: CodeType) -> tuple[str, ...]:
    """The names of globals and attributes in the code of a function."""
    return tuple(dict.fromkeys(name for part in _codes(code) for name in part.co_names))


@cache
def _globals(code: CodeType) -> tuple[str, ...]:
    """The names of globals that the code of a function reads."""
    read = (step for part in _codes(code) for step in dis.get_instructions(part))
    return tuple(dict.fromkeys(step.argval for step in read if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


@cache
def _is_of_library(module: str | None) -> bool:
    return str(module).partition(".")[0] in LIBRARIES
