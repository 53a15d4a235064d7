"""The kernels for 64-bit ARM: cross-compiled, and run by an emulator instead of this machine's kernels."""

import contextlib
import ctypes
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from clif.generate import compiler, units
from clif.instruction_sets import ARM
from clif.ops import cpu, isa
from clif.ops.problems import NeuronProblem, NormProblem, PackProblem, SpikeConvProblem, SumProblem

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("aarch64_driver.cpp")
CALLS = (
    *("clif_unit_forward", "clif_unit_backward", "clif_norm_statistics", "clif_norm_backward"),
    *("clif_pack", "clif_unpack", "clif_spike_conv_forward", "clif_spike_conv_backward", "clif_channel_sums"),
)
FACTS = ("clif_interface", "clif_isa", "clif_bfloat16_unit")
"""The functions of the driver, in the order of their numbers."""


def cross_compiler() -> tuple[str, ...] | None:
    """The command of a C++ compiler for 64-bit ARM with Linux, or None if there is none."""
    if shutil.which("aarch64-linux-gnu-g++"):
        return ("aarch64-linux-gnu-g++",)
    if find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "c++", "-target", "aarch64-linux-musl")
    return None


def emulator() -> str | None:
    """The path of QEMU's emulator of 64-bit ARM for programs of Linux, or None if there is none."""
    return shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")


def missing() -> str | None:
    """What to install so that the kernels can be built and run for 64-bit ARM, or None if nothing is missing."""
    lacking = [] if cross_compiler() else ["a compiler (apt-get install g++-aarch64-linux-gnu, or pip install ziglang)"]
    lacking += [] if emulator() else ["an emulator (apt-get install qemu-user)"]
    return f"for 64-bit ARM this machine lacks {' and '.join(lacking)}" if lacking else None


def build(folder: Path, programs: list[str]) -> Path:
    """The driver with the package's library and units of further programs, built in `folder` like the package."""
    command = cross_compiler()
    assert command is not None
    text = " ".join(command)
    variables = {"CC": text, "CXX": text, "LDSHARED": f"{text} -shared", "LDCXXSHARED": f"{text} -shared"}
    places = [f"--build-temp={folder / 'objects'}", f"--build-lib={folder / 'library'}"]
    built = _run([sys.executable, "setup.py", "build_ext", *places], cwd=ROOT, env={**os.environ, **variables})
    objects = sorted((folder / "objects").rglob("*.o"))
    assert len(objects) == len(list((ROOT / "src/clif/csrc").rglob("*.cpp"))), built
    wanted = [(program, dtype, name) for program in programs for dtype in units.STORAGE for name in ARM]
    objects += [_own_unit(folder, command, i, *unit) for i, unit in enumerate(wanted)]
    table = folder / "own_units.cpp"
    table.write_text(_table(wanted))
    headers = [f"-I{compiler.HEADERS}", "-std=c++17", "-O1"]
    _run([*command, *headers, DRIVER, table, *objects, "-o", folder / "driver", "-static", "-pthread", "-ldl", "-lm"])
    return folder / "driver"


def _run(command, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _own_unit(folder: Path, command, number: int, program: str, dtype: torch.dtype, name: str) -> Path:
    """A program's unit with the flags of a neuron's own kernels, under a separate name."""
    source = folder / f"own_{number}.cpp"
    source.write_text(units.source(program, dtype, name))
    flags = [flag for flag in compiler.Compiler(command, _run([*command, "--version"])).flags if flag != "-shared"]
    _run([*command, *flags, f"-Dclif_unit=own_{number}", f"-I{compiler.HEADERS}", "-c", source, "-o", f"{source}.o"])
    return Path(f"{source}.o")


def _table(wanted: list[tuple[str, torch.dtype, str]]) -> str:
    """The function of the driver that finds those units."""
    declared, cases = "", ""
    for i, (program, dtype, name) in enumerate(wanted):
        declared += f'extern "C" void own_{i}(clif::Unit*);\n'
        this = f"key == {units.shipped_key(program)}u && dtype == {cpu.DTYPES[dtype]} && isa == {isa.NAMES.index(name)}"
        cases += f"    if ({this}) return own_{i}(unit), true;\n"
    head = "bool own_unit(std::uint64_t key, std::int64_t dtype, std::int64_t isa, clif::Unit* unit)"
    return f'#include "unit.hpp"\n\n{declared}\n{head} {{\n{cases}    return false;\n}}\n'


class Emulated:
    """A 64-bit ARM processor that runs the driver."""

    def __init__(self, driver: Path, processor: str = "max") -> None:
        path = emulator()
        assert path is not None
        command = [path, "-cpu", processor, str(driver)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.calls = 0
        self.units: dict[tuple[str, torch.dtype, str], units.Unit] = {}
        self.keys: dict[int, tuple[int, int, int]] = {}

    def close(self) -> None:
        self.process.communicate()

    def fact(self, name: str) -> int:
        """The result of a function without a problem."""
        return self._ask(struct.pack("<qQqqqq", len(CALLS) + FACTS.index(name), 0, 0, 0, 0, 0), 0)[0]

    @contextlib.contextmanager
    def in_place(self, name: str) -> Iterator[None]:
        """A context in which the backend "cpu" computes on that processor, with that instruction set."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(isa, "_current", isa.NAMES.index(name))
            patch.setattr(cpu, "call", self._call)
            patch.setattr(units, "load", self._load)
            patch.setattr(units, "problem", lambda *_: None)
            yield

    def _load(self, program: str, dtype: torch.dtype, name: str) -> units.Unit:
        """A stand-in for a unit, whose address identifies it in `_call`."""
        unit = self.units.setdefault((program, dtype, name), units.Unit())
        number = isa.NAMES.index(name)
        self.keys[ctypes.addressof(unit)] = units.shipped_key(program), cpu.DTYPES[dtype], number
        return unit

    def _call(self, function: str, problem: ctypes.Structure, what: str) -> None:
        key = self.keys[problem.unit] if isinstance(problem, NeuronProblem) else (0, 0, 0)
        arrays = [(place, address, size) for place, address, size in _arrays(problem) if address]
        request = struct.pack("<qQqqq", CALLS.index(function), *key, ctypes.sizeof(problem)) + bytes(problem)
        request += struct.pack("<q", len(arrays))
        request += b"".join(
            struct.pack("<qq", at, size) + ctypes.string_at(address, size) for at, address, size in arrays
        )
        status, answer = self._ask(request, ctypes.sizeof(problem) + sum(size for _, _, size in arrays))
        assert status == 0, (function, what, status)
        self.calls += 1
        if isinstance(problem, PackProblem):
            done = PackProblem.from_buffer_copy(answer)
            problem.count, problem.spike = done.count, done.spike
        at = ctypes.sizeof(problem)
        for _, address, size in arrays:
            ctypes.memmove(address, answer[at : at + size], size)
            at += size

    def _ask(self, request: bytes, size: int) -> tuple[int, bytes]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(request)
        self.process.stdin.flush()
        answer = self.process.stdout.read(8 + size)
        assert len(answer) == 8 + size, f"the driver ended with {self.process.wait()}"
        return struct.unpack_from("<q", answer)[0], answer[8:]


def _arrays(problem: ctypes.Structure) -> Iterator[tuple[int, int | None, int]]:
    """For each pointer of a problem: its position in the problem, its target, and the bytes of the target."""
    kind = type(problem)
    for name, sizes in SIZES[kind](problem, {0: 4, 1: 2, 2: 8}[problem.dtype], 8 if problem.dtype == 2 else 4).items():
        place, value = getattr(kind, name).offset, getattr(problem, name)
        pointers = [value] if isinstance(sizes, int) else list(value)[: len(sizes)]
        for i, (address, size) in enumerate(zip(pointers, [sizes] if isinstance(sizes, int) else sizes, strict=True)):
            yield place + 8 * i, address, size


def _of_neuron(p: NeuronProblem, element: int, computed: int) -> dict[str, int | list[int]]:
    states, rows = [p.size * computed] * len(p.state), p.steps * p.channels * computed
    return {
        "x": ((p.steps - 1) * p.x_stride + p.size) * element,
        "state": [(p.size if stride else 1) * computed for stride in p.state_stride],
        "coefficient": [max(period, 1) * computed for period in p.period],
        "constants": p.constant_count * 8,
        "spike": p.steps * p.size * element,
        "last": states,
        "d_spike": ((p.steps - 1) * p.d_spike_stride + p.size) * element,
        "d_last": states,
        "dx": p.steps * p.size * element,
        "d_state": states,
        "d_coefficient": [p.size * computed] * len(p.coefficient),
        **dict.fromkeys(("scale", "shift", "mean"), rows),
        "norm_sums": p.steps * 2 * p.channels * 8,
    }


def _of_norm(p: NormProblem, element: int, computed: int) -> dict[str, int]:
    size, row = p.pixels * p.channels, p.steps * p.channels * computed
    return {
        "x": ((p.steps - 1) * p.x_stride + size) * element,
        "dx": p.steps * size * element,
        **dict.fromkeys(("mean", "var", "of_dx", "of_x", "constant"), row),
    }


def _of_pack(p: PackProblem, element: int, computed: int) -> dict[str, int]:  # noqa: ARG001
    return {"elements": p.size * element, "words": -(-p.size // 64) * 8}


def _of_conv(p: SpikeConvProblem, element: int, computed: int) -> dict[str, int]:
    taps, block = p.kernel**2, cpu.ROW_BYTES // computed
    out = p.images * p.out_height * p.out_width * p.out_channels * element
    return {
        "words": -(-p.images * p.height * p.width * p.channels // 64) * 8,
        **dict.fromkeys(("weight", "d_weight"), p.out_channels * taps * p.channels * element),
        "bias": p.out_channels * element,
        **dict.fromkeys(("out", "d_out"), out),
        "rows": -(-p.out_channels // block) * block * taps * p.channels * computed,
    }


def _of_sums(p: SumProblem, element: int, computed: int) -> dict[str, int]:  # noqa: ARG001
    return {"values": p.outer * p.channels * p.inner * computed, "sums": p.channels * 8}


SIZES = {
    NeuronProblem: _of_neuron,
    NormProblem: _of_norm,
    PackProblem: _of_pack,
    SpikeConvProblem: _of_conv,
    SumProblem: _of_sums,
}
"""The bytes behind the pointers of each problem, from the sizes of its elements and of its compute dtype."""
