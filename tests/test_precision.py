"""The choice of the precision, from the processor's flags and PyTorch's answer."""

import os
import platform
import subprocess
import sys
import types

import pytest
import torch

from clif import precision, private_torch
from clif.errors import InputError
from clif.ops import isa

CPU, GPU = torch.device("cpu"), torch.device("cuda")
AMD = "model name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_bf16 avx512vbmi\n"
INTEL = "flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile\n"
ARM = "BogoMIPS\t: 50.00\nFeatures\t: fp asimd sve bf16 i8mm\n"
AVX2 = "flags\t\t: fpu avx2 fma\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that does not lower oneDNN's instruction set."""
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)


def processor(monkeypatch, tmp_path, text: str) -> None:
    """Simulate a processor that the system describes by `text`."""
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    monkeypatch.setattr(precision, "CPUINFO", file)


@pytest.mark.parametrize(
    ("text", "uses", "expected", "why"),
    [
        (AMD, True, "bfloat16", "the processor has AVX-512 BF16"),
        (INTEL, True, "bfloat16", "the processor has AMX"),
        (ARM, True, "bfloat16", "the processor has ARM BF16"),
        (AVX2, True, "float32", "bfloat16 is slow here: the processor has no instructions for bfloat16"),
        (AVX2, False, "float32", "bfloat16 is slow here: the processor has no instructions for bfloat16"),
        (AMD, False, "float32", "bfloat16 is slow here: PyTorch does not use the processor's AVX-512 BF16"),
    ],
)
def test_auto_on_a_cpu(text, uses, expected, why, monkeypatch, tmp_path):
    processor(monkeypatch, tmp_path, text)
    monkeypatch.setattr(precision, "pytorch_uses_bfloat16", lambda: uses)
    chosen = precision.choose(CPU)
    assert (chosen.name, chosen.why, chosen.slow) == (expected, why, "")
    assert chosen.mixed == (expected == "bfloat16")
    with chosen.autocast():
        assert torch.is_autocast_enabled("cpu") == chosen.mixed
    assert chosen.record() == {"computed_in": expected, "asked": "auto", "why": why}


@pytest.mark.usefixtures("fast_bfloat16")
@torch.no_grad()
def test_without_a_cache_autocast_sees_weights_that_change():
    linear, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    with precision.choose(CPU).autocast(cache_enabled=False), torch.enable_grad():
        before = linear(x)
        linear.weight.data.add_(1)
        assert not torch.equal(linear(x), before)


@pytest.mark.usefixtures("slow_bfloat16")
def test_an_explicit_choice_is_obeyed_with_one_warning(caplog):
    chosen = precision.choose(CPU, amp_dtype="bfloat16")
    assert (chosen.name, chosen.mixed) == ("bfloat16", True)
    for _ in range(2):
        precision.warn_if_slow(chosen)
    assert [record.message for record in caplog.records] == [
        "bfloat16 is slow here: the processor has no instructions for bfloat16; --amp-dtype auto would choose the "
        "fastest"
    ]
    precision.warn_if_slow(precision.choose(CPU))
    assert len(caplog.records) == 1


@pytest.mark.usefixtures("fast_bfloat16")
def test_what_is_not_auto():
    assert precision.choose(CPU, amp=False).dtype == torch.float32
    assert precision.choose(CPU, dtype="float64").dtype == torch.float64
    assert not precision.choose(CPU, dtype="float64", amp_dtype="bfloat16").mixed
    assert precision.choose(CPU, amp_dtype="bfloat16").slow == ""
    with pytest.raises(InputError, match="float16 needs a GPU"):
        precision.choose(CPU, amp_dtype="float16")
    with pytest.raises(InputError, match="unknown amp_dtype 'bf16'; did you mean bfloat16"):
        precision.choose(CPU, amp_dtype="bf16")
    assert precision.choose(torch.device("meta")).dtype == torch.float32


@pytest.mark.parametrize(("has_it", "unscaled"), [(True, torch.bfloat16), (False, torch.float16)])
def test_on_a_gpu(has_it, unscaled, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_it or including_emulation)
    assert precision.choose(GPU).dtype == torch.float16
    assert precision.choose(GPU, scaled=False).dtype == unscaled
    assert bool(precision.choose(GPU, amp_dtype="bfloat16").slow) is not has_it
    assert precision.choose(GPU, amp_dtype="float16").slow == ""


@pytest.mark.usefixtures("fast_bfloat16")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "float32"),
        ({"b": 4}, "float32"),
        ({"amp": True}, "float32"),
        ({"amp_dtype": "auto"}, "bfloat16"),
        ({"amp_dtype": "auto", "amp": True}, "bfloat16"),
        ({"amp_dtype": "bfloat16"}, "bfloat16"),
        ({"amp": False, "amp_dtype": "bfloat16"}, "float32"),
    ],
)
def test_an_evaluation_is_in_full_precision_unless_asked(given, expected):
    assert precision.asked_for(given, CPU).name == expected
    assert precision.asked_for(given, CPU, "float64").name == "float64"


def test_machines_that_choose_differently_compute_in_float32(monkeypatch):
    monkeypatch.setattr(precision, "pytorch_uses_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: "AMX")
    fast = precision.choose(CPU)
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: "")
    slow = precision.choose(CPU)
    for mine in (fast, slow):
        assert precision.common(mine, lambda one: [one, fast, slow]).dtype == torch.float32
        assert precision.common(mine, lambda one: [one, one]) is mine


@pytest.mark.parametrize(
    ("best", "unit", "expected"),
    [
        ("avx2", "none", ""),
        ("avx512_bf16", "vectors", "AVX-512 BF16"),
        ("avx512_bf16", "tiles", "AMX"),
        ("neon", "none", ""),
        ("neon", "vectors", "ARM BF16"),
    ],
)
def test_without_the_systems_flags_those_that_the_kernels_find(best, unit, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "nothing")
    monkeypatch.setattr(isa, "BEST", best)
    monkeypatch.setattr(isa, "PROCESSOR_BFLOAT16", unit)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert precision.bfloat16_instructions() == expected


def test_flags_that_pytorch_finds_count_too(monkeypatch, tmp_path):
    processor(monkeypatch, tmp_path, "nothing of use\n")
    monkeypatch.setattr(isa, "PROCESSOR_BFLOAT16", "none")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True, "amx_bf16": False}, raising=False)
    assert precision.bfloat16_instructions() == "ARM BF16"


@pytest.mark.parametrize(
    ("capability", "machine", "expected"),
    [("AVX512", "x86_64", True), ("AVX2", "x86_64", False), ("DEFAULT", "x86_64", False), ("DEFAULT", "aarch64", True)],
)
def test_without_that_name_the_instruction_set_decides(capability, machine, expected, monkeypatch):
    monkeypatch.setattr(private_torch, "MKLDNN_BFLOAT16", "_is_gone")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    precision.pytorchs_answer.cache_clear()
    try:
        assert precision.pytorch_uses_bfloat16() is (expected and torch.backends.mkldnn.is_available())
    finally:
        precision.pytorchs_answer.cache_clear()


def test_pytorch_without_onednn_does_not_use_it(monkeypatch):
    monkeypatch.setattr(torch.backends, "mkldnn", types.SimpleNamespace(is_available=lambda: True, enabled=False))
    assert not precision.pytorch_uses_bfloat16()


@pytest.mark.parametrize("value", ["AVX2", "avx512_core", "AVX512_CORE_VNNI"])
def test_onednn_held_to_older_instructions_does_not_use_it(value, monkeypatch, tmp_path):
    processor(monkeypatch, tmp_path, AMD)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", value)
    assert not precision.pytorch_uses_bfloat16()
    assert precision.choose(CPU).why.endswith(f"does not use the processor's AVX-512 BF16 (ONEDNN_MAX_CPU_ISA={value})")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86")
def test_pytorchs_own_answer_follows_the_environment():
    """PyTorch's operator itself, not clif's reading of the environment."""
    program = "from clif import precision; print(precision.pytorchs_answer())"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
