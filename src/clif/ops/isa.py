"""The compiled kernels' library, and the instruction set that they run with: the machine's best, or a lower one.

The environment variable CLIF_ISA lowers it for a process: to baseline, avx2, avx512 or avx512_bf16 on x86, to baseline
or neon on 64-bit ARM.
"""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clif.errors import InputError
from clif.instruction_sets import SETS, best_of, up_to
from clif.ops import problems

VARIABLE = "CLIF_ISA"
IN_WORDS = {name: one.words for name, one in SETS.items()}
"""The instruction sets by name, numbered as `enum class Isa` of csrc/work.hpp."""
NAMES = tuple(IN_WORDS)
BFLOAT16_UNITS = ("none", "vectors", "tiles")
FILE = Path(__file__).resolve().parent.parent / (
    "_kernels" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
)
"""The name of the library in setup.py."""
INTERFACE = 6
"""The version of the C interface that `clif.ops.cpu` calls, as `clif_interface` of csrc/kernels.cpp gives it."""


def lowered(best: str, wanted: str | None) -> str:
    """The instruction set for a machine that has the sets up to `best`: the one `wanted`, if it is given.

    Raises `InputError` for a name that is unknown and for a set that the machine lacks.
    """
    name = (wanted or "").strip().lower()
    if not name:
        return best
    has = up_to(best)
    if name not in has:
        wrong = f"this machine lacks {IN_WORDS[name]}" if name in NAMES else "no such instruction set"
        raise InputError(f"{VARIABLE}={wanted}: {wrong}; it can be {', '.join(has)} here")
    return name


def _load() -> tuple[ctypes.CDLL | None, str]:
    """The library of the kernels, or None; and the reason why it cannot run, or ""."""
    if not FILE.is_file():
        return None, "the kernels were not compiled: install clif again where a C++17 compiler is found"
    try:
        library = ctypes.CDLL(str(FILE))
    except OSError as error:
        return None, f"the compiled kernels do not load ({error}); install clif again"
    same = hasattr(library, "clif_interface") and library.clif_interface() == INTERFACE
    if not same or problems.differing(library) is not None:
        return None, "the compiled kernels are from another version of clif; install clif again"
    return library, ""


LIBRARY, _reason = _load()
BEST = NAMES[0] if LIBRARY is None else NAMES[LIBRARY.clif_isa()]
PROCESSOR_BFLOAT16 = BFLOAT16_UNITS[0] if LIBRARY is None else BFLOAT16_UNITS[LIBRARY.clif_bfloat16_unit()]
"""The processor's unit for multiplication in bfloat16: "none", "vectors" or "tiles"."""

_name = lowered(BEST if LIBRARY is not None else best_of(platform.machine()), os.environ.get(VARIABLE))
_current = NAMES.index(_name)


def available() -> tuple[str, ...]:
    """The instruction sets that the kernels can run with here, the best one last; none if they were not compiled."""
    return () if LIBRARY is None else up_to(BEST)


def current() -> int:
    """The number of the instruction set that the kernels run with."""
    return _current


def _describe() -> str:
    """The instruction set of the kernels in words, or why they cannot run."""
    if LIBRARY is None:
        return _reason
    name = NAMES[_current]
    lower = f" (lowered from {IN_WORDS[BEST]} by {VARIABLE})" if name != BEST else ""
    untested = "" if platform.system() == "Linux" else ", never tested on this system"
    return f"compiled kernels, {IN_WORDS[name]}{lower}{untested}"


DESCRIPTION = _describe()


@contextmanager
def using(name: str) -> Iterator[None]:
    """A context in which the kernels run with this instruction set, in all threads. Raises as `lowered` does."""
    global _current
    before, _current = _current, NAMES.index(lowered(BEST, name))
    try:
        yield
    finally:
        _current = before


def bfloat16_unit() -> str:
    """The unit that multiplies in bfloat16 with the present instruction set: "none", "vectors" or "tiles"."""
    return PROCESSOR_BFLOAT16 if NAMES[_current] == BEST else BFLOAT16_UNITS[0]
