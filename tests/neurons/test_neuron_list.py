"""docs/neuron_list.md agrees with the classes."""

import importlib.util
import re
from pathlib import Path

import pytest

import clif
from clif.names import neuron_names
from clif.neurons.registry import options_of, spiking_neuron

ROOT = Path(__file__).parents[2]
NAMES = [name for name in neuron_names() if name != "ReLU"]
COMMON = options_of(clif.SpikingNeuron).keys() | {"decay_input"}


@pytest.fixture(scope="module")
def script():
    """benchmarks/neurons.py"""
    spec = importlib.util.spec_from_file_location("neurons", ROOT / "benchmarks" / "neurons.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tables():
    """The rows of the page's tables, without the two header lines of each."""
    text = (ROOT / "docs" / "neuron_list.md").read_text(encoding="utf-8")
    found = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]] for table in found]


def shown(value):
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def test_both_tables_have_every_neuron_in_the_order_of_the_command_line():
    assert [[row[0] for row in table] for table in tables()] == [NAMES, NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_the_options_and_defaults_are_those_of_the_class(name):
    options = options_of(spiking_neuron(name))
    expected = {
        option: None if parameter.default is parameter.empty else shown(parameter.default)
        for option, parameter in options.items()
        if option not in COMMON or parameter.default != options_of(clif.LIFNode)[option].default
    }
    cell = next(row[2] for row in tables()[0] if row[0] == name)
    assert dict(re.findall(r"`(\w+)`(?: ([\w.]+))?", cell)) == {k: v or "" for k, v in expected.items()}


def test_the_common_options_are_where_the_page_says():
    common = COMMON - {"v_threshold", "v_reset", "decay_input"}
    for name in NAMES:
        options = options_of(spiking_neuron(name)).keys()
        assert common <= options
        assert ({"v_threshold", "v_reset"} <= options) == (name != "GLIF")
        assert ("decay_input" in options) == (name not in ("IF", "GLIF"))


def test_states_parameters_and_operations_are_those_that_are_counted(script):
    assert [tuple(row[:5]) for row in tables()[1]] == [script.facts(name) for name in NAMES]


def test_times_are_given_beside_clifs():
    """Except for rounding to tenths of a millisecond and to hundredths."""
    clif_ms = float(tables()[1][0][5])
    for *_, milliseconds, ratio in tables()[1]:
        least, most = ((float(milliseconds) + sign * 0.05) / (clif_ms - sign * 0.05) for sign in (-1, 1))
        assert least - 0.005 <= float(ratio) <= most + 0.005
