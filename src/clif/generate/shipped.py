"""The units of clif's own neurons, which are part of its library and therefore need no compiler at run time.

`python -m clif.generate.shipped` writes their C++ to csrc/generated, and the package's build compiles it. Run it after
a change of a neuron, a surrogate or the code generation. One header has the programs of a neuron, a source compiles
them for one storage type and instruction set, and lookup.cpp finds them.
"""

from itertools import product
from pathlib import Path
from typing import Any

import torch

from clif.generate import compiler, cpp, units
from clif.generate.program import forward_program, parse
from clif.instruction_sets import SETS
from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import options_of, spiking_neuron
from clif.surrogate import SURROGATES

FOLDER = compiler.HEADERS / "generated"
OPTIONS: dict[str, tuple[Any, ...]] = {
    "v_reset": (None, 0.0),
    "decay_input": (False, True),
    "surrogate_function": tuple(SURROGATES),
}
"""The options on which a neuron's program depends."""

NOTE = "// Written by `python -m clif.generate.shipped`.\n"


SHIPPED_NEURONS = ("CLIF", "LIF", "PLIF")
"""The neurons whose units every build compiles; the units of the others are compiled at their first use."""


def neurons() -> dict[str, type[SpikingNeuron]]:
    """The neurons whose units are shipped, by their names in C++."""
    return {name.lower(): spiking_neuron(name) for name in SHIPPED_NEURONS}


def variants(kind: type[SpikingNeuron]) -> list[dict[str, Any]]:
    """The combinations of options that decide which program a neuron has."""
    taken = options_of(kind)
    options = {name: values for name, values in OPTIONS.items() if name in taken}
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


def programs(kind: type[SpikingNeuron]) -> list[str]:
    """The canonical texts of a neuron's programs, each once."""
    texts = []
    for options in variants(kind):
        plan = kind(**options).equations().plan
        assert plan.refusal is None, plan.refusal
        texts.append(plan.text)
    return list(dict.fromkeys(texts))


def header(texts: list[str]) -> str:
    """The structs of programs; programs with the same forward pass share its struct."""
    forwards, cases, structs = dict[str, str](), [], []
    for number, text in enumerate(texts):
        program = parse(text)
        forward = forward_program(program)
        if forward.text not in forwards:
            forwards[forward.text] = f"Forward{len(forwards)}"
            structs.append(cpp.forward(forward, forwards[forward.text]))
        structs.append(cpp.backward(program, f"Backward{number}"))
        key = units.shipped_key(text)
        cases.append(
            f"        case {key:#018x}: unit = unit_of<{forwards[forward.text]}, Backward{number}, S>(); return true;\n"
        )
    return (
        f"{NOTE}#pragma once\n\nnamespace clif::CLIF_ISA {{\nnamespace {{\n\n" + "\n".join(structs) + "\n"
        "// Sets `unit` to that of the program with the key; returns false if there is none.\n"
        "template <class S>\nbool find(std::uint64_t key, Unit& unit) {\n    switch (key) {\n"
        + "".join(cases)
        + "        default: return false;\n    }\n}\n\n}  // namespace\n}  // namespace clif::CLIF_ISA\n"
    )


def source(name: str, dtype: torch.dtype, set_name: str) -> str:
    """The file that compiles a neuron's programs for one storage type and instruction set."""
    guard = SETS[set_name].guard
    body = (
        f'#include "../strips.hpp"\n#include "{name}.hpp"\n\nnamespace clif::CLIF_ISA {{\n\n'
        f"bool {_function(name, dtype)}(std::uint64_t key, Unit& unit) {{ "
        f"return find<{units.STORAGE[dtype]}>(key, unit); }}\n\n}}  // namespace clif::CLIF_ISA\n"
    )
    if not guard:
        begin = f'#define CLIF_ISA {set_name}\n\n#include "../unit.hpp"\n\n#include "../{SETS[set_name].numbers}"\n\n'
        return f"{NOTE}{begin}{body}"
    begin = f'#include "../begin_{set_name}.hpp"\n\n#ifdef {guard}\n'
    return f'{NOTE}{begin}{body}\n#include "../end_isa.hpp"\n#endif\n'


def _function(name: str, dtype: torch.dtype) -> str:
    return f"{name}_{str(dtype).removeprefix('torch.')}"


def lookup(names: list[str]) -> str:
    """The file with the function of the C interface that finds a unit."""
    declared, cases = "", ""
    for number, (set_name, one) in enumerate(SETS.items()):
        before, after = (f"#ifdef {one.guard}\n", "#endif\n") if one.guard else ("", "")
        dtypes = [dtype for dtype in units.STORAGE if set_name in units.SHIPPED[dtype]]
        functions = "".join(
            f"bool {_function(name, dtype)}(std::uint64_t, Unit&);\n" for dtype in dtypes for name in names
        )
        declared += f"{before}namespace {set_name} {{\n{functions}}}\n{after}"
        cases += before
        for dtype in dtypes:
            calls = [f"{set_name}::{_function(name, dtype)}(key, *unit)" for name in names]
            place = list(units.STORAGE).index(dtype) + len(units.STORAGE) * number
            either = f" ||\n{' ' * 19}".join(calls)
            cases += f"        case {place}:\n            return {either};\n"
        cases += after
    return (
        f'{NOTE}#include "../interface.hpp"\n#include "../unit.hpp"\n\nnamespace clif {{\n\n{declared}\n'
        "}  // namespace clif\n\nusing namespace clif;\n\n"
        "// Sets `unit` to a program's; `key` is 64 bits of the SHA-256 of its text. Returns 0 if there is none.\n"
        'extern "C" CLIF_EXPORT int clif_shipped_unit(std::uint64_t key, std::int32_t dtype, std::int32_t isa, '
        "Unit* unit) {\n"
        f"    if (!has_isa(isa) || dtype < 0 || dtype >= {len(units.STORAGE)}) return 0;\n"
        f"    switch (isa * {len(units.STORAGE)} + dtype) {{\n{cases}        default: return 0;\n    }}\n}}\n"
    )


def files() -> dict[str, str]:
    """The files of csrc/generated by name."""
    kinds = neurons()
    found = {"lookup.cpp": lookup(list(kinds))}
    for name, kind in kinds.items():
        found[f"{name}.hpp"] = header(programs(kind))
        for dtype, sets in units.SHIPPED.items():
            found |= {f"{_function(name, dtype)}_{taken}.cpp": source(name, dtype, taken) for taken in sets}
    return found


def write(folder: Path) -> None:
    """Write the files to a folder, and delete others there."""
    folder.mkdir(exist_ok=True)
    content = files()
    for name, text in content.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    for path in folder.iterdir():
        if path.name not in content:
            path.unlink()


if __name__ == "__main__":
    write(FOLDER)
