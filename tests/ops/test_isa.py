"""The kernels' instruction set: the values of CLIF_ISA, and that unknown numbers are refused."""

import ctypes
import os
import re
import subprocess
import sys

import aarch64
import pytest
import torch

import clif
from clif import functional, precision
from clif.errors import InputError
from clif.generate import compiler
from clif.instruction_sets import best_of
from clif.ops import cpu, isa, problems, spike_conv
from clif.ops.packing import pack, unpack

compiled = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)
UNKNOWN = (-1, 99)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *command], env={**os.environ, **environment}, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("best", "wanted", "expected"),
    [
        ("avx2", None, "avx2"),
        ("avx2", "", "avx2"),
        ("avx2", "baseline", "baseline"),
        ("avx2", "avx2", "avx2"),
        ("avx512_bf16", "AVX512", "avx512"),
        ("baseline", " baseline ", "baseline"),
        ("neon", None, "neon"),
        ("neon", "baseline", "baseline"),
    ],
)
def test_the_best_set_or_the_one_that_is_wanted(best, wanted, expected):
    assert isa.lowered(best, wanted) == expected


@pytest.mark.parametrize(
    ("best", "wanted", "message"),
    [
        ("avx2", "avx512", "CLIF_ISA=avx512: this machine lacks AVX-512; it can be baseline, avx2 here"),
        ("baseline", "avx2", "CLIF_ISA=avx2: this machine lacks AVX2; it can be baseline here"),
        ("avx512", "avx512_bf16", "CLIF_ISA=avx512_bf16: this machine lacks AVX-512 with BF16"),
        ("avx512", "sse", "CLIF_ISA=sse: no such instruction set; it can be baseline, avx2, avx512 here"),
        ("avx2", "avx512 bf16", "CLIF_ISA=avx512 bf16: no such instruction set"),
        ("avx2", "1", "CLIF_ISA=1: no such instruction set"),
        ("avx512_bf16", "neon", "CLIF_ISA=neon: this machine lacks NEON; it can be baseline, avx2"),
        ("neon", "avx2", "CLIF_ISA=avx2: this machine lacks AVX2; it can be baseline, neon here"),
    ],
)
def test_what_the_machine_lacks_or_nobody_knows_is_refused_by_name(best, wanted, message):
    with pytest.raises(InputError) as refused:
        isa.lowered(best, wanted)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("machine", "best"), [("x86_64", "avx512_bf16"), ("AMD64", "avx512_bf16"), ("aarch64", "neon"), ("arm64", "neon")]
)
def test_without_the_library_a_set_of_the_kind_of_processor_may_be_named(machine, best):
    assert best_of(machine) == best


@compiled
def test_the_library_has_the_sets_of_this_processor_alone():
    problem, _memory = pack_problem()
    for number in range(len(isa.NAMES)):
        problem.isa = number
        status = isa.LIBRARY.clif_pack(ctypes.byref(problem))
        assert status == (0 if isa.NAMES[number] in isa.available() else 3), isa.NAMES[number]


@compiled
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "baseline")) for name in isa.available()]
)
def test_the_environment_lowers_it_and_backends_show_it(name):
    done = run("-c", "import clif; print(clif.backends()['cpu'].detail)", CLIF_ISA=name)
    assert done.stderr == ""
    lowered = "" if name == isa.BEST else f" (lowered from {isa.IN_WORDS[isa.BEST]} by CLIF_ISA)"
    assert done.stdout == f"compiled kernels, {isa.IN_WORDS[name]}{lowered}\n"


def test_a_wrong_environment_is_one_line_of_the_command_and_an_input_error_in_python():
    done = run("-m", "clif", "bench", "neuron", CLIF_ISA="avx1024")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("clif: error: CLIF_ISA=avx1024: no such instruction set; it can be baseline")
    assert done.stderr.count("\n") == 1
    program = "import clif.errors\ntry: clif.backends()\nexcept clif.errors.InputError as error: print(error)"
    assert run("-c", program, CLIF_ISA="avx1024").stdout.startswith("CLIF_ISA=avx1024: ")


@compiled
def test_using_one_set_ends_with_its_block():
    before = isa.current()
    with isa.using("baseline"):
        assert isa.current() == 0
    with pytest.raises(ZeroDivisionError), isa.using("baseline"):
        _ = 1 / 0
    assert isa.current() == before
    with pytest.raises(InputError, match="no such instruction set"), isa.using("mmx"):
        pass
    assert isa.current() == before


@compiled
def test_convolutions_of_spikes_choose_by_the_set_in_use(monkeypatch):
    """At a rate at which only the processor's units for bfloat16 are faster."""
    monkeypatch.setattr(isa, "PROCESSOR_BFLOAT16", "vectors")
    monkeypatch.setattr(precision, "pytorch_uses_bfloat16", lambda: True)
    conv = clif.layers.Conv2d(64, 64, 3, padding=1).bfloat16().to(memory_format=torch.channels_last)
    x = torch.zeros(8, 64, 8, 8, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    x[:, ::4] = 1
    taken = {}
    for name in isa.available():
        with isa.using(name):
            taken[name] = spike_conv.convolve(conv, x) is not None
    assert taken == {name: name != isa.BEST for name in isa.available()}
    monkeypatch.setattr(precision, "pytorch_uses_bfloat16", lambda: False)
    with isa.using(isa.BEST):
        assert spike_conv.convolve(conv, x) is not None


def neuron_problem(**numbers: int) -> tuple[problems.NeuronProblem, list[torch.Tensor]]:
    """A layer without neurons needs no unit; the sums of the batch norm before it are 0."""
    sums = torch.zeros(64, dtype=torch.float64)
    return problems.NeuronProblem(**{"norm_sums": sums.data_ptr(), "channels": 2, "steps": 1, **numbers}), [sums]


def norm_problem(**numbers: int) -> tuple[problems.NormProblem, list[torch.Tensor]]:
    memory = [torch.zeros(64, dtype=torch.float64) for _ in range(7)]
    names = ("x", "mean", "var", "dx", "of_dx", "of_x", "constant")
    places = {name: tensor.data_ptr() for name, tensor in zip(names, memory, strict=True)}
    return problems.NormProblem(**{**places, "steps": 1, "pixels": 1, "channels": 1, "threads": 1, **numbers}), memory


def pack_problem(**numbers: int) -> tuple[problems.PackProblem, list[torch.Tensor]]:
    memory = [torch.zeros(64, dtype=torch.float64) for _ in range(2)]
    places = {name: tensor.data_ptr() for name, tensor in zip(("elements", "words"), memory, strict=True)}
    return problems.PackProblem(**{**places, "size": 1, "threads": 1, **numbers}), memory


def conv_problem(**numbers: int) -> tuple[problems.SpikeConvProblem, list[torch.Tensor]]:
    memory = [torch.zeros(64, dtype=torch.float64) for _ in range(6)]
    names = ("words", "weight", "out", "d_out", "d_weight", "rows")
    places = {name: tensor.data_ptr() for name, tensor in zip(names, memory, strict=True)}
    sizes = ("images", "height", "width", "channels", "out_height", "out_width", "out_channels", "kernel", "stride")
    return problems.SpikeConvProblem(**{**places, **dict.fromkeys(sizes, 1), "threads": 1, **numbers}), memory


ENTRIES = {
    "clif_unit_forward": (neuron_problem, ("dtype",)),
    "clif_unit_backward": (neuron_problem, ("dtype",)),
    "clif_norm_statistics": (norm_problem, ("dtype", "isa")),
    "clif_norm_backward": (norm_problem, ("dtype", "isa")),
    "clif_pack": (pack_problem, ("dtype", "isa")),
    "clif_unpack": (pack_problem, ("dtype", "isa")),
    "clif_spike_conv_forward": (conv_problem, ("dtype", "isa")),
    "clif_spike_conv_backward": (conv_problem, ("dtype", "isa")),
}


def test_the_driver_for_64_bit_arm_has_every_entry():
    text = "".join((compiler.HEADERS / name).read_text("utf-8") for name in ("kernels.cpp", "units.cpp"))
    entries = re.findall(r"^CLIF_EXPORT int (\w+)\((?:const )?\w+Problem\*", text, re.MULTILINE)
    assert sorted(entries) == sorted(aarch64.CALLS)
    assert set(aarch64.SIZES) == set(problems.ALL)


@compiled
@pytest.mark.parametrize("number", UNKNOWN)
@pytest.mark.parametrize(
    ("entry", "field"), [(entry, field) for entry, (_, fields) in ENTRIES.items() for field in fields]
)
def test_a_number_that_stands_for_nothing_is_refused_and_nothing_is_written(entry, field, number):
    make, _ = ENTRIES[entry]
    function = getattr(isa.LIBRARY, entry)
    good, _memory = make()
    assert function(ctypes.byref(good)) == 0
    problem, memory = make(**{field: number})
    names = {**cpu.UNKNOWN, 3: "isa"}
    assert names[function(ctypes.byref(problem))] == field
    assert not any(tensor.any() for tensor in memory)


@compiled
@pytest.mark.parametrize("backward", [False, True])
def test_python_says_what_was_unknown(backward, monkeypatch):
    x_seq = torch.randn(2, 1, 5, requires_grad=backward)
    spikes = functional.clif_multi_step(x_seq, backend="cpu")[0] if backward else None
    monkeypatch.setitem(cpu.DTYPES, torch.float32, 99)
    with pytest.raises(InputError, match="have no dtype 99"):
        spikes.sum().backward() if backward else functional.clif_multi_step(x_seq, backend="cpu")


@compiled
def test_python_says_so_of_packing_and_convolutions_too(monkeypatch):
    x = (torch.rand(2, 4, 8, 8) < 0.2).float().contiguous(memory_format=torch.channels_last)
    packed = pack(x)
    monkeypatch.setitem(cpu.DTYPES, torch.float32, 99)
    geometry = cpu.Geometry((2, 4, 8, 8), 3, 3, 1, 1)
    weight = torch.randn(geometry.weight_shape).contiguous(memory_format=torch.channels_last)
    calls = {
        "clif_pack": lambda: pack(x),
        "clif_unpack": lambda: unpack(packed),
        "clif_spike_conv_forward": lambda: cpu.spike_conv(packed.words, 1.0, geometry, weight, None),
        "clif_spike_conv_backward": lambda: cpu.spike_conv_weight_gradient(packed.words, 1.0, geometry, weight),
    }
    for name, call in calls.items():
        with pytest.raises(InputError, match=f"{name}: the compiled kernels have no dtype 99; install clif again"):
            call()
