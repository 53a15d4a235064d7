"""Spikes kept as bits: the same numbers from less memory."""

import copy
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import clif
from clif.layers import Conv2d
from clif.ops import cpu
from clif.ops.packing import Packed, pack, unpack

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

DTYPES = [torch.float32, torch.bfloat16, torch.float64]


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(
    size=st.one_of(st.integers(1, 300), st.sampled_from([32767, 32768, 32769, 100_001])),
    rate=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    spike=st.sampled_from([1.0, 1.25, -2.0]),
    seed=st.integers(0, 100),
)
def test_what_is_packed_comes_back(dtype, size, rate, spike, seed):
    r = torch.Generator().manual_seed(seed)
    x = (spike * (torch.rand(size, generator=r) < rate)).to(dtype)
    packed = pack(x)
    assert isinstance(packed, Packed)
    assert packed.words.nbytes <= size // 8 + 8
    back = unpack(packed)
    assert back.dtype == dtype
    assert torch.equal(back, x)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("position", [0, 1, 63, 64, 5000, 99_999])
@pytest.mark.parametrize("other", [0.25, 2.0, torch.nan, torch.inf])
def test_one_other_number_keeps_the_tensor(dtype, position, other):
    x = torch.ones(100_000, dtype=dtype)
    x[::3] = 0
    x[position] = other
    assert pack(x) is x


def test_layouts_are_kept():
    x = (torch.rand(2, 6, 5, 4) < 0.3).float()
    for layout in (x, x.contiguous(memory_format=torch.channels_last), x.permute(3, 1, 0, 2)):
        back = unpack(pack(layout))
        assert torch.equal(back, layout)
        assert back.stride() == layout.stride()


def test_what_does_not_lie_densely_is_kept():
    x = (torch.rand(8, 8) < 0.3).float()
    for view in (x[::2], x[0].expand(4, 8), x[:, 1:], x[:0]):
        assert pack(view) is view
    assert pack(x.half()).dtype == torch.float16


@pytest.mark.parametrize("autocast", [False, True])
def test_gradients_of_a_network_are_the_same_to_the_bit(autocast):
    torch.manual_seed(0)
    net = clif.models.create_model("snn5_noAP", neuron="CLIF", T=3, drop_rate=0.2)
    twin = copy.deepcopy(net)
    clif.set_pack_spikes(twin, True)
    x = torch.randn(2, 3, 32, 32)
    for each in (net, twin):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            each(x).square().sum().backward()
    for (name, p), q in zip(net.named_parameters(), twin.named_parameters(), strict=True):
        assert torch.equal(p.grad, q[1].grad), name


def test_a_convolution_lets_go_of_its_input():
    conv = Conv2d(8, 8, 3, padding=1)
    spikes = (torch.rand(2, 2, 8, 16, 16) < 0.2).float().requires_grad_()

    def saved():
        return conv(spikes).grad_fn.next_functions[0][0]._saved_input

    assert saved().data_ptr() == spikes.data_ptr()
    clif.set_pack_spikes(conv, True)
    assert saved().data_ptr() != spikes.data_ptr()
    assert torch.equal(saved().unflatten(0, (2, 2)), spikes)


def test_nothing_else_keeps_the_spikes():
    conv = Conv2d(8, 8, 3, padding=1)
    clif.set_pack_spikes(conv, True)
    spikes = (torch.rand(2, 2, 8, 16, 16) < 0.2).float()
    alive = weakref.ref(spikes)
    out = conv(spikes)
    del spikes
    assert alive() is None
    out.sum().backward()
    assert conv.weight.grad.any()
