"""The text of the generated Triton kernels, and the files from which it runs."""

import hashlib
import math

import pytest
import traced_neurons

from clif.generate import cache, triton_units
from clif.generate.operations import OPERATIONS
from clif.generate.program import Graph, Program
from clif.generate.triton_body import FORMS
from clif.generate.triton_source import source
from clif.ops import triton
from clif.surrogate import ATan

installed = pytest.mark.skipif(not triton.INSTALLED, reason="triton is not installed")


def program_of(value: int, graph: Graph) -> Program:
    """A neuron whose output is a value and whose state does not change."""
    state = graph.leaf("state", 0)
    return Program((True,), (), 1, tuple(graph.nodes), (value, state))


def lines_of(text: str, function: str) -> list[str]:
    """The body of a function of a module."""
    return text.split(f"\ndef {function}(")[1].split("\n\n\n")[0].splitlines()[1:]


@pytest.mark.parametrize("name", ["CLIF", "LIF", "PLIF", "Adaptive", "Functions"])
def test_kernels_are_python(name):
    text = source(getattr(traced_neurons, name)().traced().program).text
    compile(text, name, "exec")
    assert all(f"def {kernel}(" in text for kernel in ("forward", "backward_unrolled", "backward_looped"))


def test_every_operation_has_a_form():
    assert set(FORMS) == set(OPERATIONS) - {"fire", "detach", "detachif"}


def test_neurons_that_differ_in_numbers_share_a_text():
    first, second = (traced_neurons.CLIF(tau=tau, v_threshold=tau / 3).traced() for tau in (2.0, 3.0))
    a, b = source(first.program), source(second.program)
    assert a.text == b.text
    assert a.uniforms.values(first.constants) != b.uniforms.values(second.constants)


def test_uniform_values_are_computed_before_a_launch():
    graph = Graph()
    constant = graph.leaf("constant", 0)
    third = graph.add("div", graph.literal(1), constant)
    made = source(program_of(graph.add("mul", graph.leaf("x"), graph.add("exp", third)), graph))
    assert lines_of(made.text, "advance") == ["    v5 = x * u3", "    return v5, s0"]
    assert made.uniforms.values([3.0])["u3"] == pytest.approx(math.exp(1 / 3), rel=1e-7)
    assert made.uniforms.values([0.0])["u3"] == math.inf


@pytest.mark.parametrize("value", [1e-40, 1e300, -1e-300])
def test_numbers_that_triton_would_take_as_float64_are_arguments(value):
    graph = Graph()
    made = source(program_of(graph.add("add", graph.leaf("x"), graph.literal(value)), graph))
    assert repr(value) not in "".join(lines_of(made.text, "advance"))
    (given,) = made.uniforms.values([0.0]).values()
    assert given == pytest.approx(value, abs=1e-44) or abs(given) == math.inf


def test_only_what_decides_about_spikes_is_divided_exactly():
    text = source(traced_neurons.Adaptive(ATan()).traced().program).text
    forward, backward = lines_of(text, "advance"), lines_of(text, "retreat_usual")
    exact = [{line.split(" = ")[0] for line in lines if "tl.div_rn" in line} for lines in (forward, backward)]
    assert exact[1] <= exact[0]
    assert exact[0]
    assert not any(" / " in line for line in forward)
    assert any(" / " in line for line in backward)


def test_values_of_the_whole_layer_become_blocks():
    graph = Graph()
    constant = graph.leaf("constant", 0)
    text = source(program_of(graph.add("fire", constant, constant), graph)).text
    assert "    v2 = spread(0.0, zero) <= c0" in lines_of(text, "advance")
    assert "    return spread(0.0, zero), d0" in lines_of(text, "retreat_usual")


def test_the_tape_is_short_where_memory_is_slow():
    assert source(traced_neurons.LIF().traced().program).planes == 1
    assert source(traced_neurons.CLIF().traced().program).planes == 2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of units, and a process that has loaded no unit."""
    monkeypatch.setenv("CLIF_CACHE", str(tmp_path / "units"))
    for cached in (cache.folder, triton_units.load):
        cached.cache_clear()
    yield cache.folder()
    for cached in (cache.folder, triton_units.load):
        cached.cache_clear()


TEXT = traced_neurons.LIF().traced().program.text


@installed
def test_a_unit_is_a_file_named_by_its_hash_and_loaded_once(folder):
    unit = triton_units.load(TEXT)
    file = cache.units(cache.folder())[0].path
    assert file.parent == folder
    assert file.stem == hashlib.sha256(file.read_bytes()).hexdigest()
    assert unit.module.__file__ == str(file)
    assert triton_units.load(TEXT) is unit
    assert cache.clear(cache.folder()).files >= 1
    assert not list(folder.iterdir())


@installed
@pytest.mark.usefixtures("folder")
def test_a_changed_file_is_written_anew():
    triton_units.load(TEXT)
    file = cache.units(cache.folder())[0].path
    file.write_text("raise RuntimeError('this ran')")
    triton_units.load.cache_clear()
    assert triton_units.load(TEXT).module.forward
    assert file.stem == hashlib.sha256(file.read_bytes()).hexdigest()


@installed
@pytest.mark.usefixtures("folder")
def test_a_file_with_another_hash_is_not_run():
    triton_units.load(TEXT)
    file = cache.units(cache.folder())[0].path
    changed = b"raise RuntimeError('this ran')"
    file.write_bytes(changed)
    file.with_suffix(".sha256").write_text(hashlib.sha256(changed).hexdigest())
    triton_units.load.cache_clear()
    with pytest.raises(ImportError, match="was changed"):
        triton_units.load(TEXT)
