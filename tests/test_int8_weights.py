"""Weights rounded to int8, with one scale for each index of their first dimension."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clif.int8_weights import from_int8, to_int8


@given(shape=st.lists(st.integers(1, 4), min_size=2, max_size=5), seed=st.integers(0, 999), size=st.floats(1e-30, 1e30))
def test_the_rounding_to_int8_is_at_most_half_a_step(shape, seed, size):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * size
    rounded, scale = to_int8(weight)
    step = scale.view(-1, *[1] * (weight.dim() - 1))
    assert ((from_int8(rounded, scale) - weight).abs() <= 0.501 * step).all()


def test_rows_have_scales_of_their_own_and_zeros_stay_zeros():
    weight = torch.tensor([[1e-6, -1e-6], [0.0, 0.0], [127.0, 1.0]])
    rounded, scale = to_int8(weight)
    assert rounded.tolist() == [[127, -127], [0, 0], [127, 1]]
    assert (from_int8(rounded, scale) - weight).abs().max() < 1e-12


def test_scales_of_another_shape_or_dtype_are_refused():
    rounded, scale = to_int8(torch.rand(2, 3))
    for wrong in ((rounded, scale[:1]), (rounded, scale.double()), (rounded.float(), scale)):
        with pytest.raises(ValueError, match="do not match their scales"):
            from_int8(*wrong)
