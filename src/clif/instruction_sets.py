"""The instruction sets of the kernels on a CPU; all Python code uses this list, C++ uses csrc/work.hpp."""

from typing import NamedTuple


class InstructionSet(NamedTuple):
    """One instruction set.

    `words` is its name in words, and `flags` are the flags of GCC and Clang for it. A compiler without the macro
    `guard` of csrc/work.hpp cannot build for it; "" means that every compiler can. `numbers` is the header of its
    numbers.
    """

    words: str
    flags: tuple[str, ...]
    guard: str
    numbers: str


_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma")

SETS = {
    "baseline": InstructionSet("baseline", (), "", "scalar.hpp"),
    "avx2": InstructionSet("AVX2", ("-mavx2", "-mfma"), "CLIF_X86", "avx2.hpp"),
    "avx512": InstructionSet("AVX-512", _AVX512, "CLIF_X86", "avx512.hpp"),
    "avx512_bf16": InstructionSet("AVX-512 with BF16", (*_AVX512, "-mavx512bf16"), "CLIF_AVX512_BF16", "avx512.hpp"),
    "neon": InstructionSet("NEON", (), "CLIF_NEON", "neon.hpp"),
}
"""The instruction sets by name, numbered as `enum class Isa` of csrc/work.hpp."""

X86 = ("baseline", "avx2", "avx512", "avx512_bf16")
ARM = ("baseline", "neon")
"""The sets of a kind of processor, each after the sets that it includes."""


def up_to(best: str) -> tuple[str, ...]:
    """The sets of a machine whose best one is `best`, in rising order."""
    family = X86 if best in X86 else ARM
    return family[: family.index(best) + 1]


def best_of(machine: str) -> str:
    """The best set that a kind of processor may have; `platform.machine()` gives the name of the kind."""
    return (ARM if machine.lower() in ("aarch64", "arm64") else X86)[-1]
