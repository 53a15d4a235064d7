"""int8 weights: exact activations, weights rounded once."""

import copy
import os
import pickle
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

import clif
from clif.deploy import Int8Conv2d, int8, quantize_weights
from clif.deploy.fit import watched
from clif.errors import InputError
from clif.export import to_safetensors
from clif.layers import AvgPool2d, Conv2d
from clif.models import create_model
from clif.neurons import LIFNode, SpikingNeuron, reset_net, set_step_mode

pytestmark = pytest.mark.skipif(not hasattr(torch.ops.onednn, "qconv2d_pointwise"), reason="needs oneDNN for x86")


@pytest.mark.parametrize("levels", [1, 4, 16])
@torch.no_grad()
def test_it_is_the_convolution_with_rounded_weights(levels):
    conv = Conv2d(8, 12, 3, stride=2, padding=1)
    x = torch.randint(0, levels + 1, (2, 3, 8, 9, 9)) / levels
    rounded = Int8Conv2d(conv, levels)
    scale = conv.weight.abs().amax((1, 2, 3), keepdim=True) / 127
    conv.weight.copy_((conv.weight / scale).round() * scale)
    assert_close(rounded(x), conv(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [3, 5, 7, 11])
@torch.no_grad()
def test_no_spike_of_a_pool_is_lost(size, dtype):
    n = size * size
    spikes = (torch.arange(n) < torch.arange(n + 1)[:, None]).to(dtype).view(-1, 1, size, size)
    conv = torch.nn.Conv2d(1, 1, 1, bias=False)
    conv.weight.fill_(n)
    counts = Int8Conv2d(conv, n)(torch.nn.functional.avg_pool2d(spikes, size)).flatten()
    assert_close(counts, torch.arange(n + 1).float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same", "kernel_size": 3},
        {"padding": "same", "kernel_size": (2, 3), "dilation": 2},
        {"padding": "same", "kernel_size": (4, 1), "padding_mode": "circular"},
        {"padding": "valid", "kernel_size": 3, "stride": 2},
        {"padding": (1, 2), "kernel_size": 3, "padding_mode": "reflect", "stride": 2, "groups": 2},
        {"padding": (0, 1), "kernel_size": 3, "padding_mode": "replicate"},
    ],
)
@torch.no_grad()
def test_every_padding_of_a_convolution_is_kept(options):
    conv = torch.nn.Conv2d(4, 6, **options)
    net = torch.nn.Sequential(LIFNode(), conv, LIFNode()).eval()
    set_step_mode(net, "m")
    rounded = quantize_weights(net)
    assert isinstance(rounded[1], Int8Conv2d)
    scale = conv.weight.abs().amax((1, 2, 3), keepdim=True) / 127
    conv.weight.copy_((conv.weight / scale).round() * scale)
    spikes = torch.randint(0, 2, (3, 4, 7, 8)).float()
    assert_close(rounded[1](spikes), conv(spikes), rtol=1e-5, atol=1e-5)


SUMS_WITHOUT_VNNI = """
import torch
from clif.deploy import Int8Conv2d, int8
conv = torch.nn.Conv2d(64, 1, 3, bias=False).requires_grad_(False)
conv.weight.fill_(1.0)
largest = Int8Conv2d(conv, int8.MOST_LEVELS)(torch.ones(1, 64, 3, 3))
torch.testing.assert_close(largest, torch.full((1, 1, 1, 1), 576.0))
"""


@pytest.mark.slow
def test_the_largest_sums_are_exact_without_vnni():
    lowered = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", SUMS_WITHOUT_VNNI], env=lowered, check=True)


def test_more_levels_are_refused_and_keep_the_convolution():
    conv = torch.nn.Conv2d(2, 3, 1)
    with pytest.raises(InputError, match="levels must be 1 to 129, got 144"):
        Int8Conv2d(conv, 144)
    for size, rounded in ((12, False), (11, True)):
        net = quantize_weights(torch.nn.Sequential(LIFNode(), AvgPool2d(size), Conv2d(2, 3, 1)))
        assert isinstance(net[2], Int8Conv2d) == rounded


@pytest.mark.parametrize(
    ("name", "floats", "levels"),
    [
        ("snn5", ["features.0.fwd.0"], [1, 4, 4, 4]),
        ("spiking_resnet18", ["conv1"], [1] * 19),
        ("vggsnn", ["features.0.fwd.0"], [1, 4, 1, 4, 1, 4, 1]),
    ],
)
def test_it_is_done_where_spikes_arrive(name, floats, levels):
    net = quantize_weights(create_model(name, "CLIF", T=2))
    left = [key for key, module in net.named_modules() if isinstance(module, Conv2d)]
    assert left == floats
    assert [module.levels for module in net.modules() if isinstance(module, Int8Conv2d)] == levels


@torch.no_grad()
def test_what_arrives_is_exact_in_int8():
    """Every activation is a whole multiple of 1/levels, so only the weights are rounded."""
    torch.manual_seed(3)
    net = create_model("snn5", "CLIF", T=2).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.02, 0.05)
    arrived = []
    for module in net.modules():
        if isinstance(module, AvgPool2d):
            module.register_forward_hook(lambda _m, _i, out: arrived.append(out))
    net(torch.randn(2, 3, 32, 32))
    assert len(arrived) == 4
    for x in arrived:
        assert torch.equal((4 * x).round(), 4 * x)
        assert x.max() > 0


@torch.no_grad()
def test_the_network_keeps_its_firing(firing_network):
    net = firing_network(T=4).eval()
    rates = []
    for each in (net, quantize_weights(net), quantize_weights(net, torch.bfloat16)):
        seen = []
        with watched(each, "features.4.act", lambda spikes, seen=seen: seen.append(spikes.float().mean())):
            each(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
        rates.append(seen[0].item())
    assert rates[0] > 0.02
    assert rates[1] == pytest.approx(rates[0], rel=0.1)
    assert rates[2] == pytest.approx(rates[0], rel=0.2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_the_potentials_of_a_residual_network_have_the_dtype_asked_for(dtype):
    """A float32 sum in one place would make everything after it float32."""
    net = quantize_weights(create_model("spiking_resnet18", "CLIF", T=2), dtype)
    seen = set()
    for module in net.modules():
        if isinstance(module, SpikingNeuron):
            module.register_forward_pre_hook(lambda _module, inputs: seen.add(inputs[0].dtype))
    net(torch.randn(1, 3, 32, 32))
    assert seen == {dtype}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "layers",
    [
        [torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 4, 3)],
        [torch.nn.AvgPool2d(2, ceil_mode=True), torch.nn.Conv2d(4, 4, 2)],
        [torch.nn.ConvTranspose2d(4, 4, 3, bias=False)],
        [torch.nn.Flatten(2), torch.nn.Conv1d(4, 4, 3)],
    ],
)
@torch.no_grad()
def test_convolutions_of_other_values_keep_their_weights(layers, dtype):
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), LIFNode(v_threshold=0.2), *layers, LIFNode()).eval()
    seen = []
    quantized, x = quantize_weights(net, dtype), torch.rand(5, 1, 8, 8) * 3
    assert type(quantized[-2]) is type(net[-2])
    for each in (net, quantized):
        each[-1].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        each(x)
    assert seen[1].dtype == dtype
    assert_close(seen[1].float(), seen[0], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("uses", [True, False])
@torch.no_grad()
def test_bfloat16_results_do_not_depend_on_who_rounds(uses, monkeypatch):
    """Without fast bfloat16 in PyTorch, sums are rounded after a convolution that returns float32."""
    rounded = Int8Conv2d(Conv2d(8, 12, 3), 4, torch.bfloat16)
    x = torch.randint(0, 5, (2, 3, 8, 9, 9)) / 4
    expected = rounded(x)
    asked = []
    run = torch.ops.onednn.qconv2d_pointwise
    monkeypatch.setattr(int8, "pytorch_uses_bfloat16", lambda: uses)
    monkeypatch.setattr(torch.ops.onednn, "qconv2d_pointwise", lambda *a: asked.append(a[-4]) or run(*a))
    assert torch.equal(rounded(x), expected)
    assert expected.dtype == torch.bfloat16
    assert asked == [torch.bfloat16 if uses else torch.float32]


def _convolutions(seed):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), LIFNode(), torch.nn.Conv2d(4, 4, 3), torch.nn.Flatten())
    return quantize_weights(net.eval())


@torch.no_grad()
def test_the_state_dict_has_the_rounded_weights(tmp_path):
    x = torch.rand(5, 1, 8, 8) * 3
    one, other = _convolutions(0), _convolutions(1)
    expected = one(x)
    to_safetensors(one, tmp_path / "int8.safetensors")
    clif.load(tmp_path / "int8.safetensors", net=other)
    assert one.state_dict()["2.weight"].dtype == torch.int8
    assert torch.equal(other(x), expected)


@torch.no_grad()
def test_it_is_copied_saved_and_stays_as_it_is():
    x = torch.rand(5, 1, 8, 8) * 3
    net = _convolutions(0)
    expected = net(x)
    for same in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        reset_net(same)
        assert torch.equal(same(x), expected)
    conv = net[2].double()
    assert conv.scale.dtype == torch.float32
    assert conv((x > 1).float().expand(5, 4, 8, 8)).dtype == torch.float32
