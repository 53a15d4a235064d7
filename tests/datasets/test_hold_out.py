import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clif.data.hold_out import hold_out
from clif.errors import InputError

CLASSES = ("a", "b", "c")


def names_of(labels):
    return [f"{CLASSES[label]}/{number}.png" for number, label in enumerate(labels)]


@given(st.lists(st.integers(2, 30), min_size=1, max_size=3), st.floats(0.01, 0.99), st.integers(0, 99))
def test_every_class_keeps_and_gives_its_share(counts, fraction, seed):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    out = hold_out(names_of(labels), labels, fraction, seed, CLASSES, "here")
    assert (out == hold_out(names_of(labels), labels, fraction, seed, CLASSES, "here")).all()
    for label, count in enumerate(counts):
        held = int(out[np.array(labels) == label].sum())
        assert 1 <= held <= count - 1
        assert abs(held - fraction * count) <= 1


def test_the_seed_and_no_other_class_decides():
    labels = [0] * 30 + [1] * 30
    names = names_of(labels)
    out = hold_out(names, labels, 0.3, 0, CLASSES, "here")
    assert (hold_out(names, labels, 0.3, 1, CLASSES, "here") != out).any()
    assert (hold_out(names[:37], labels[:37], 0.3, 0, CLASSES, "here")[:30] == out[:30]).all()


@given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 99), st.data())
def test_an_added_sample_moves_at_most_one_other(count, fraction, seed, data):
    names = [f"{number}.png" for number in range(count)]
    out = hold_out(names, [0] * count, fraction, seed, CLASSES, "here")
    place = data.draw(st.integers(0, count))
    more = hold_out([*names[:place], "new.png", *names[place:]], [0] * (count + 1), fraction, seed, CLASSES, "here")
    assert (np.delete(more, place) != out).sum() <= 1


def test_a_class_of_one_is_named():
    with pytest.raises(InputError, match="here: the class b has one sample"):
        hold_out(["a/0", "a/1", "b/0"], [0, 0, 1], 0.5, 0, CLASSES, "here")
