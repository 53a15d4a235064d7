"""The C++ compiler that makes a neuron's unit, and the commands for it."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from clif.instruction_sets import SETS

HEADERS = Path(__file__).resolve().parent.parent / "csrc"

FLAGS = (
    *("-std=c++17", "-O3", "-g0", "-w", "-fPIC", "-shared", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-exceptions", "-fno-rtti"),
)
OF_GCC = ("-fopenmp-simd", "-fno-tree-pre", "-falign-functions=64")
OF_CLANG = ("-fopenmp-simd", "-nostdlib++")


class Compiler(NamedTuple):
    """A command and its version text."""

    command: tuple[str, ...]
    version: str

    @property
    def flags(self) -> tuple[str, ...]:
        return (*FLAGS, *(OF_CLANG if "clang" in self.version else OF_GCC))


class CompilerError(RuntimeError):
    """There is no compiler, or it failed."""


@cache
def find() -> Compiler:
    """`$CXX`, else c++, g++, clang++ or the `zig c++` of the wheel ziglang. Raises `CompilerError` if none runs."""
    candidates: list[tuple[str, ...]] = [(name,) for name in ("c++", "g++", "clang++") if shutil.which(name)]
    if given := os.environ.get("CXX"):
        candidates.insert(0, tuple(shlex.split(given)))
    if find_spec("ziglang") is not None:
        candidates.append((sys.executable, "-m", "ziglang", "c++"))
    for command in candidates:
        try:
            said = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        return Compiler(command, said.stdout.strip())
    raise CompilerError(
        "no C++ compiler was found: install g++ or clang++, or the package ziglang (pip install clif-snn[compiler])"
    )


def compile_unit(source: str, isa: str, target: Path) -> None:
    """Compile a unit's text for an instruction set into a shared library. Raises `CompilerError`."""
    compiler = find()
    flags = (*compiler.flags, *SETS[isa].flags)
    command = [*compiler.command, *flags, f"-I{HEADERS}", "-x", "c++", "-", "-o", str(target)]
    try:
        done = subprocess.run([*command, "-lm"], input=source, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise CompilerError(f"{' '.join(compiler.command)} did not run: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise CompilerError(f"{' '.join(compiler.command)} failed: {first[:300]}")


def identity(isa: str) -> str:
    """Everything besides a unit's source that determines its machine code."""
    compiler = find()
    headers = "".join(path.read_text(encoding="utf-8") for path in sorted(HEADERS.glob("*.hpp")))
    machine = f"{sys.platform} {platform.machine()}"
    return "\n".join(
        [machine, " ".join(compiler.command), compiler.version, *compiler.flags, *SETS[isa].flags, headers]
    )
