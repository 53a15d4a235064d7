"""Compiled units: the loops of one program for one storage type and instruction set.

Those of clif's own neurons are in its library (`clif.generate.shipped`), others are compiled when first needed.
"""

import ctypes
import hashlib
import sys
from functools import cache

import torch

from clif.errors import InputError
from clif.generate import cache as store
from clif.generate import compiler, cpp
from clif.generate.program import MOST_COEFFICIENTS, MOST_STATES, parse
from clif.instruction_sets import SETS, up_to
from clif.ops.isa import LIBRARY, NAMES
from clif.private_torch import constant_when_compiled

STORAGE = {torch.float32: "float", torch.bfloat16: "clif::Bfloat16", torch.float64: "double"}
"""The storage types in C++, numbered as `with_dtype` of csrc/interface.hpp does."""

SHIPPED = {
    torch.float32: ("baseline", "avx2", "avx512", "neon"),
    torch.bfloat16: ("baseline", "avx2", "avx512_bf16", "neon"),
    torch.float64: ("baseline", "avx2", "neon"),
}
"""The instruction sets for which the library has units; for another one it has the next lower of these."""


class Unit(ctypes.Structure):
    """`struct Unit` of csrc/unit.hpp, field by field."""

    _fields_ = (
        ("layout", ctypes.c_int64),
        ("layer_bytes", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("states", "coefficients", "planes", "forward_strip", "backward_strip")),
        ("forward", ctypes.c_void_p * 2),
        ("backward", ctypes.c_void_p * 2),
        ("rests_at_zero", ctypes.c_int32 * MOST_STATES),
    )


LAYOUT = 1
"""`unit_layout` of csrc/unit.hpp."""
assert MOST_COEFFICIENTS == 16


def source(text: str, dtype: torch.dtype, isa: str) -> str:
    """The C++ source of the unit of a program, given by its canonical text."""
    storage = STORAGE[dtype]
    only_bfloat16 = "#define CLIF_BFLOAT16_ONLY\n" if isa == "avx512_bf16" else ""
    return (
        f"#define CLIF_ISA {isa}\n{only_bfloat16}\n"
        f'#include "unit.hpp"\n\n#include "{SETS[isa].numbers}"\n\n#include "strips.hpp"\n\n'
        f"namespace clif::CLIF_ISA {{\nnamespace {{\n\n{cpp.source(parse(text))}\n}}  // namespace\n"
        "}  // namespace clif::CLIF_ISA\n\n"
        'extern "C" __attribute__((visibility("default"))) void clif_unit(clif::Unit* unit) {\n'
        f"    *unit = clif::CLIF_ISA::unit_of<clif::CLIF_ISA::Forward, clif::CLIF_ISA::Backward, {storage}>();\n}}\n"
    )


def shipped_key(text: str) -> int:
    """The key of a program in the library."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)


def shipped_set(dtype: torch.dtype, isa: str) -> str:
    """The instruction set of the unit that the library has for a machine with `isa`."""
    return next(name for name in reversed(up_to(isa)) if name in SHIPPED[dtype])


def shipped(text: str, dtype: torch.dtype, isa: str) -> Unit | None:
    """The library's own unit of a program, or None if it has none."""
    if LIBRARY is None:
        return None
    unit = Unit()
    number = NAMES.index(shipped_set(dtype, isa))
    key = ctypes.c_uint64(shipped_key(text))
    found = LIBRARY.clif_shipped_unit(key, list(STORAGE).index(dtype), number, ctypes.byref(unit))
    return unit if found else None


@cache
def load(text: str, dtype: torch.dtype, isa: str) -> Unit:
    """The unit of a program: the library's own, else the compiled one. Raises `CompilerError`."""
    return shipped(text, dtype, isa) or compiled(text, dtype, isa)


def compiled(text: str, dtype: torch.dtype, isa: str) -> Unit:
    """The unit of a program, compiled if the cache has none. Raises `CompilerError`.

    AVX-512 with BF16 differs from AVX-512 in bfloat16 only.
    """
    if isa == "avx512_bf16" and dtype != torch.bfloat16:
        isa = "avx512"
    code = source(text, dtype, isa)
    key = hashlib.sha256(f"{compiler.identity(isa)}\n{code}".encode()).hexdigest()[:32]

    def make(path) -> None:
        print(f"clif: compiling the kernels of a neuron for {dtype}, {isa}, once", file=sys.stderr)
        compiler.compile_unit(code, isa, path)

    path = store.get(key, make)
    try:
        library = ctypes.CDLL(str(path))
        unit = Unit()
        library.clif_unit(ctypes.byref(unit))
    except (OSError, AttributeError) as error:
        raise compiler.CompilerError(f"{path} does not load ({error}); clif cache --clear deletes it") from error
    if unit.layout != LAYOUT:
        raise compiler.CompilerError(f"{path} was compiled by another version of clif; clif cache --clear deletes it")
    return unit


@constant_when_compiled
def problem(text: str, dtype: torch.dtype, isa: str) -> str | None:
    """Why there is no unit of a program, or None if there is; it is then loaded."""
    return _problem(text, dtype, isa)


@cache
def _problem(text: str, dtype: torch.dtype, isa: str) -> str | None:
    try:
        load(text, dtype, isa)
    except (compiler.CompilerError, InputError, OSError) as error:
        return str(error)
    return None
