import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clif.data import statistics
from clif.data.statistics import LEAST, channel_statistics


@given(st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_they_are_those_of_all_pixels_of_a_channel(n, channels, height, width, seed):
    images = np.random.default_rng(seed).integers(0, 256, (n, channels, height, width), dtype=np.uint8)
    mean, std = channel_statistics(images)
    scaled = images / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)))
    np.testing.assert_allclose(std, np.maximum(scaled.std((0, 2, 3)), LEAST), atol=1e-12)


def test_the_pieces_they_are_read_in_change_nothing(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (23, 3, 4, 5), dtype=np.uint8)
    whole = channel_statistics(images)
    monkeypatch.setattr(statistics, "PIXELS", 40)
    assert channel_statistics(images) == whole


@pytest.mark.parametrize("value", [0, 77, 255])
def test_one_value_everywhere_can_be_divided_by(value):
    mean, std = channel_statistics(np.full((2, 1, 3, 3), value, np.uint8))
    assert mean == pytest.approx((value / 255,))
    assert std == (LEAST,)
