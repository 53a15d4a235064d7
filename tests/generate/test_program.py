"""Programs: their canonical text, and the parser's refusals."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clif.errors import InputError
from clif.generate.program import Graph, Program, parse

TEXT = """states zr coefficients lc constants 2
%0 = mul s0 c0
%1 = add %0 x
%2 = le #0.0 %1
%3 = where %2 #1.0 k0
%4 = mul s1 k1
%5 = sub %4 c1
out %3 %1 %5"""


def test_a_text_is_read_and_written_alike():
    assert parse(TEXT).text == TEXT
    assert parse(TEXT).by_channel == (False, True)
    assert parse(TEXT).rests_at_zero == (True, False)


def test_equal_values_are_one_and_unused_ones_are_left_out():
    graph = Graph()
    x, s = graph.leaf("x"), graph.leaf("state", 0)
    total = graph.add("add", x, s)
    graph.add("mul", x, x)
    assert graph.add("add", x, s) == total
    program = Program((True,), (), 0, tuple(graph.nodes), (total, s))
    assert program.text == "states z coefficients - constants 0\n%0 = add x s0\nout %0 s0"


def test_an_output_may_be_a_leaf_that_nothing_else_uses():
    text = "states zz coefficients - constants 1\n%0 = neg x\nout %0 s1 c0"
    assert parse(text).text == text


def test_masks_with_what_is_known():
    graph = Graph()
    mask, yes, no = graph.add("lt", graph.leaf("x"), graph.leaf("state")), graph.literal(1), graph.literal(0)
    assert [graph.add("and", mask, yes), graph.add("and", no, mask)] == [mask, no]
    assert [graph.add("or", yes, mask), graph.add("or", mask, no)] == [yes, mask]


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "states z",
        TEXT.replace("mul", "mod"),
        TEXT.replace("%1 = add %0 x", "%1 = add %0 %9"),
        TEXT.replace("%1 = add %0 x", "%1 = add %0 x x"),
        TEXT.replace("s1", "s2"),
        TEXT.replace("c1", "c2"),
        TEXT.replace("where %2", "where %1"),
        TEXT.replace("add %0 x", "add %2 x"),
        TEXT.replace("out %3 %1 %5", "out %3 %1"),
        TEXT.replace("#1.0", "#__import__('os')"),
        TEXT.replace("zr", "z" * 40),
        TEXT.replace("%0 = mul s0 c0", "%0 = mul s0 c0; system"),
        TEXT.replace("constants 2", "constants " + "2" * 5000),
        TEXT.replace("%0 = mul", "%" + "0" * 5000 + " = mul"),
        *(TEXT.replace("c0", name) for name in ("c²", "c٠", "c" + "0" * 5000, "#٠.0", "#1e999")),
    ],
)
def test_a_text_that_is_no_program_is_refused(damaged):
    with pytest.raises(InputError, match="program of a neuron"):
        parse(damaged)


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="ascii"))
def test_a_changed_character_gives_another_program_or_an_error(place, character):
    changed = TEXT[:place] + character + TEXT[place + 1 :]
    with contextlib.suppress(InputError):
        assert parse(changed).text == changed
