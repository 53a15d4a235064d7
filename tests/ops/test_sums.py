"""The sums by channel of the gradients of coefficients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clif.ops import cpu, layout

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

SHAPES = [(0, 3, 5), (1, 1, 0), (1, 1, 1), (1, 1, 5000), (7, 3, 1), (130, 3, 63), (3, 5, 64), (2, 3, 65), (33, 2, 200)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_those_of_pytorch(shape, dtype):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    expected = values.sum((0, 2), dtype=torch.float64)
    assert torch.allclose(cpu.sums(values), expected, rtol=0, atol=1e-6 * values.numel() ** 0.5)


@settings(deadline=None, max_examples=50)
@given(*(st.integers(1, most) for most in (40, 9, 300)))
def test_sums_of_small_whole_numbers_are_exact(outer, channels, inner):
    values = (torch.arange(outer * channels * inner) % 13 - 6).float().view(outer, channels, inner)
    assert torch.equal(cpu.sums(values), values.sum((0, 2), dtype=torch.float64))


def test_sums_do_not_depend_on_the_threads():
    values = torch.randn(16, 8, 1000, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(cpu.sums(values))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(other, found[0]) for other in found)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (1, 0, 2, 3), (2, 0, 1, 3), (3, 1, 2, 0)])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 4, 5), (1, 3, 1, 1), (2, 3, 0, 5)])
def test_any_dense_layout_is_summed_by_channel(shape, order):
    ordered = torch.randn([shape[i] for i in order])
    state = ordered.permute([order.index(i) for i in range(4)])
    for has_channels, dims in ((True, (0, 2, 3)), (False, (0, 1, 2, 3))):
        values = layout.by_channel(state, state.stride(), has_channels)
        assert torch.allclose(values.sum((0, 2)), state.sum(dims).reshape(-1), atol=1e-5)
