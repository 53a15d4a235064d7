import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clif.data.hold_out import hold_out
from clif.errors import InputError

CLASSES = ("a", "b", "c")


@given(st.lists(st.integers(2, 30), min_size=1, max_size=3), st.floats(0.01, 0.99), st.integers(0, 99))
def test_every_class_keeps_and_gives_its_share(counts, fraction, seed):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    out = hold_out(labels, fraction, seed, CLASSES, "here")
    assert (out == hold_out(labels, fraction, seed, CLASSES, "here")).all()
    for label, count in enumerate(counts):
        held = int(out[np.array(labels) == label].sum())
        assert 1 <= held <= count - 1
        assert abs(held - fraction * count) <= 1


def test_the_seed_and_no_other_class_decides():
    labels = [0] * 30 + [1] * 30
    out = hold_out(labels, 0.3, 0, CLASSES, "here")
    assert (hold_out(labels, 0.3, 1, CLASSES, "here") != out).any()
    assert (hold_out([*labels[:30], *[1] * 7], 0.3, 0, CLASSES, "here")[:30] == out[:30]).all()


def test_a_class_of_one_is_named():
    with pytest.raises(InputError, match="here: the class b has one sample"):
        hold_out([0, 0, 1], 0.5, 0, CLASSES, "here")
