"""The units in clif's library: they belong to the present neurons, and need no compiler."""

import itertools
import os
import subprocess
import sys
from functools import cache, partial

import pytest
import torch

import clif
from clif.generate import shipped, units
from clif.generate.program import parse
from clif.ops import cpu, isa

compiled = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

NODES = (
    lambda: clif.CLIFNode(step_mode="m", detach_reset=True),
    lambda: clif.LIFNode(v_reset=0.1, surrogate_function="atan", step_mode="m"),
    lambda: clif.PLIFNode(decay_input=True, surrogate_function="sigmoid", step_mode="m"),
)
SETS = [(dtype, name) for dtype, names in units.SHIPPED.items() for name in names]


def test_the_generated_sources_are_those_of_the_present_neurons():
    found = {path.name: path.read_bytes() for path in shipped.FOLDER.iterdir()}
    assert found == {name: text.encode() for name, text in shipped.files().items()}, (
        "run `python -m clif.generate.shipped` and build again"
    )


def test_writing_them_deletes_what_is_of_no_neuron(tmp_path):
    (tmp_path / "former.cpp").write_text("")
    shipped.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == shipped.files().keys()


@compiled
@pytest.mark.parametrize("name", shipped.neurons())
def test_the_library_has_every_program_of_a_neuron(name):
    for text, dtype, best in itertools.product(
        shipped.programs(shipped.neurons()[name]), units.SHIPPED, isa.available()
    ):
        unit = units.shipped(text, dtype, best)
        assert unit is not None
        assert unit.layout == units.LAYOUT
        assert (unit.states, unit.coefficients) == (len(parse(text).rests_at_zero), len(parse(text).by_channel))


@pytest.mark.parametrize(
    ("dtype", "best", "expected"),
    [
        (torch.float32, "avx512_bf16", "avx512"),
        (torch.float32, "avx2", "avx2"),
        (torch.bfloat16, "avx512_bf16", "avx512_bf16"),
        (torch.bfloat16, "avx512", "avx2"),
        (torch.float64, "avx512_bf16", "avx2"),
        (torch.float64, "baseline", "baseline"),
        (torch.bfloat16, "neon", "neon"),
    ],
)
def test_the_next_lower_set_is_taken(dtype, best, expected):
    assert units.shipped_set(dtype, best) == expected


@compiled
def test_another_program_or_set_is_not_found():
    text = NODES[0]().equations().plan.text
    assert units.shipped(text.replace("zz", "rr"), torch.float32, "baseline") is None
    for dtype, number in ((0, -1), (0, 99), (-1, 1), (3, 0), (99, 0)):
        assert isa.LIBRARY.clif_shipped_unit(units.ctypes.c_uint64(units.shipped_key(text)), dtype, number, None) == 0


def results(node, dtype) -> list[torch.Tensor]:
    """Spikes, states, and the gradients of input and learnables: from rest, and from the state after that."""
    found = []
    node.to(dtype)
    for seed in (1, 2):
        x_seq = torch.randn(5, 3, 70, generator=torch.Generator().manual_seed(seed)).to(dtype).requires_grad_()
        node.zero_grad()
        node.detach()
        spikes = node(x_seq)
        spikes.backward(torch.linspace(-1, 1, spikes.numel()).view(spikes.shape).to(dtype))
        found += [spikes, x_seq.grad, *node.state, *(parameter.grad for parameter in node.parameters())]
    return found


def check_shipped_is_compiled(make, dtype, name, monkeypatch):
    with isa.using(name):
        found = {}
        for kind in (units.shipped, units.compiled):
            monkeypatch.setattr(units, "load", cache(kind))
            found[kind.__name__] = results(make(), dtype)
    assert found["shipped"][0].any()
    assert found["shipped"][1].any()
    assert all(map(torch.equal, found["shipped"], found["compiled"]))


@compiled
@pytest.mark.parametrize(
    ("make", "dtype", "name"), [(NODES[i % len(NODES)], dtype, name) for i, (dtype, name) in enumerate(SETS)]
)
def test_shipped_units_are_bit_for_bit_the_compiled_ones(make, dtype, name, monkeypatch):
    if name not in isa.available():
        pytest.skip(f"this machine lacks {isa.IN_WORDS[name]}")
    check_shipped_is_compiled(make, dtype, name, monkeypatch)


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("name", shipped.neurons())
def test_every_program_is_bit_for_bit_the_compiled_one(name, monkeypatch):
    """Programs with the same forward part share it, and the library finds each by its key: none is confused."""
    kind = shipped.neurons()[name]
    options = {kind(**options).equations().plan.text: options for options in shipped.variants(kind)}
    best = units.shipped_set(torch.float32, isa.BEST)
    for chosen in options.values():
        node = partial(kind, **chosen, step_mode="m", backend="cpu")
        check_shipped_is_compiled(node, torch.float32, best, monkeypatch)


WITHOUT_COMPILER = """
import itertools, sys, warnings
sys.modules["ziglang"] = None
import torch
import clif
from clif.surrogate import SURROGATES

class Slope(clif.SpikingNeuron):
    def step(self, x, v):
        u = 0.5 * v + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)

def run(node):
    x = torch.randn(4, 2, 30, requires_grad=True)
    node(x).sum().backward()
    node.reset()
    assert x.grad.isfinite().all()
    return clif.backend_for(node, x)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for kind, surrogate, v_reset, decay_input in itertools.product(
        (clif.CLIFNode, clif.LIFNode, clif.PLIFNode), SURROGATES, (None, 0.0, 0.1), (False, True)
    ):
        node = kind(
            decay_input=decay_input, v_reset=v_reset, surrogate_function=surrogate, step_mode="m", backend="cpu"
        )
        assert run(node) == ("cpu", ""), (kind, surrogate, v_reset)
        node.backend = "auto"
        assert run(node) == ("cpu", "")
    assert not caught
    node = Slope(step_mode="m")
    found = [run(node) for _ in range(3)]
print(*[warning.category.__name__ for warning in caught])
print(*found[0])
"""


def child(program: str, folder, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "CLIF_CACHE": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@compiled
def test_without_a_compiler_clifs_own_neurons_run_in_kernels_and_others_step_by_step(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(WITHOUT_COMPILER)
    started = f"import runpy; runpy.run_path({str(program)!r})"
    out, errors = child(started, tmp_path / "units", CXX="false", PATH="").communicate()
    assert errors == ""
    categories, found = out.splitlines()
    assert categories == "RuntimeWarning"
    assert found.startswith("torch ")
    assert "no C++ compiler was found" in found
