"""The values that a step reads besides its neuron's attributes: classes, functions and constants, which may change."""

from collections.abc import Iterator
from functools import cache
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from clif.generate.trace import PLAIN

LIBRARIES = frozenset(("clif", "torch", "numpy", "scipy", "spikingjelly", "builtins"))
"""Packages whose classes, functions and constants do not change."""

MOST_ELEMENTS = 64
"""A longer list, tuple or dictionary does not count as a table of constants."""


def read_beside(kind: type) -> Iterator[Any]:
    """The user's classes of a neuron, their functions, and the plain values that these functions read by name.

    This includes the functions that a function calls by name, and the values that they read.
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
    value = getattr(value, "__func__", value)
    if isinstance(value, FunctionType):
        if id(value) not in seen and not _is_of_library(value.__module__):
            seen.add(id(value))
            yield from (name, value)
            yield from _read_by(value, seen)
    elif isinstance(value, list | tuple | dict):
        elements = list(value.values() if isinstance(value, dict) else value)
        if len(elements) <= MOST_ELEMENTS and all(isinstance(element, PLAIN) for element in elements):
            yield from (name, *elements)
    elif isinstance(value, PLAIN) and value is not None:
        yield from (name, value)


def _read_by(function: FunctionType, seen: set[int]) -> Iterator[Any]:
    names = list(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            if not _is_of_library(value.__name__):
                for member in names:
                    yield from _parts(member, vars(value).get(member), seen)
        else:
            yield from _parts(name, value, seen)
    for cell in function.__closure__ or ():
        if cell != CellType():
            yield from _parts("", cell.cell_contents, seen)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


@cache
def _is_of_library(module: str) -> bool:
    return module.partition(".")[0] in LIBRARIES
