"""Convolutions of spikes compared with PyTorch's, and the conditions for their use."""

import copy
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from checks import CONVOLVED, assert_convolves, spikes
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.autograd import forward_ad
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import clif
from clif import models
from clif.errors import InputError
from clif.layers import Conv2d
from clif.ops import cpu, spike_conv
from clif.ops.cpu import Geometry
from clif.ops.spike_conv_limits import Limits

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

LIMITS = Limits(rate=0.3, channels=32, pixels=128)


@st.composite
def geometries(draw):
    kernel = draw(st.integers(1, 5))
    padding = draw(st.integers(0, kernel))
    smallest = max(1, kernel - 2 * padding)
    height, width = (draw(st.integers(smallest, smallest + 9)) for _ in range(2))
    shape = (draw(st.integers(1, 5)), draw(st.sampled_from([1, 3, 16, 40, 64, 70])), height, width)
    return Geometry(shape, draw(st.sampled_from([1, 31, 32, 64, 65, 130])), kernel, draw(st.integers(1, 4)), padding)


@pytest.mark.usefixtures("each_isa", "poisoned")
@given(
    geometry=geometries(),
    rate=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    dtype=st.sampled_from(list(CONVOLVED)),
    spike=st.sampled_from([1.0, 1.25]),
    with_bias=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_any_convolution(geometry, rate, dtype, spike, with_bias, seed):
    assert_convolves(geometry, rate, dtype, spike, with_bias, seed)


@pytest.mark.parametrize("dtype", CONVOLVED)
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((20, 32, 4, 4), 64, 3, 1, 1),  # several small images at once, the last ones fewer
        Geometry((1, 32, 70, 40), 32, 3, 1, 1),  # strips of one image
        Geometry((1, 32, 61, 40), 32, 5, 2, 1),
        Geometry((1, 4, 3, 2000), 8, 3, 1, 1),  # a strip of a single row
    ],
)
def test_strips_and_groups(geometry, dtype):
    assert_convolves(geometry, dtype=dtype)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("dtype", CONVOLVED)
def test_instruction_sets(dtype):
    assert_convolves(Geometry((3, 40, 9, 7), 70, 3, 2, 1), dtype=dtype)


def test_the_number_of_threads_changes_nothing():
    x = spikes(8, 64, 12, 12, dtype=torch.float32)
    conv = Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            conv.zero_grad()
            out = spike_conv.convolve(conv, x, LIMITS)
            out.square().sum().backward()
            results.append((out, conv.weight.grad))
    finally:
        torch.set_num_threads(before)
    for out, gradient in results[1:]:
        assert torch.equal(out, results[0][0])
        assert torch.equal(gradient, results[0][1])


def convolution(in_channels=32, out_channels=48, kernel_size=3, padding=1, dtype=torch.float64, **options):
    conv = Conv2d(in_channels, out_channels, kernel_size, padding=padding, **options)
    return conv.to(dtype, memory_format=torch.channels_last)


@pytest.mark.parametrize("sequence", [False, True])
def test_gradients_of_the_layer_are_pytorchs(sequence):
    conv = convolution(stride=2)
    twin = copy.deepcopy(conv)
    twin.backend = "torch"
    inputs = []
    for layer in (conv, twin):
        x = spikes(12, 32, 9, 9).requires_grad_()
        inputs.append(x)
        out = layer(x.unflatten(0, (3, 4)) if sequence else x)
        (out * torch.arange(out.numel()).view(out.shape).sin()).sum().backward()
    assert_close(inputs[0].grad, inputs[1].grad)
    assert_close(conv.weight.grad, twin.weight.grad)
    assert_close(conv.bias.grad, twin.bias.grad)


def test_only_wanted_gradients_are_computed(monkeypatch):
    def refuse(*_):
        raise AssertionError("nobody asked for this gradient")

    conv, x = convolution(), spikes(4, 32, 8, 8).requires_grad_()
    conv.weight.requires_grad_(False)
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "spike_conv_weight_gradient", refuse)
        conv(x).sum().backward()
    assert x.grad.any()
    conv.weight.requires_grad_(True)
    monkeypatch.setattr(spike_conv, "conv2d_input", refuse)
    conv(x.detach()).sum().backward()
    assert conv.weight.grad.any()


def test_it_keeps_bits_for_the_backward_pass():
    kept = []
    x = spikes(4, 32, 8, 8, dtype=torch.float32).requires_grad_()
    conv = convolution(dtype=torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        out = spike_conv.convolve(conv, x, LIMITS)
    assert [tensor.nbytes for tensor in kept] == [conv.weight.nbytes, x.numel() // 8]
    out.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        out.sum().backward()


def test_autocast_gives_its_dtype():
    conv = convolution(dtype=torch.float32)
    x = spikes(4, 32, 8, 8, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out = spike_conv.convolve(conv, x, LIMITS)
        conv.backend = "torch"
        expected = conv(x)
    assert out.dtype == expected.dtype == torch.bfloat16
    assert_close(out, expected, rtol=2e-2, atol=2e-2)
    out.sum().backward()
    assert conv.weight.grad.dtype == torch.float32


REFUSED = {
    "many spikes": (convolution(), spikes(4, 32, 8, 8, rate=0.5)),
    "no spikes": (convolution(), spikes(4, 32, 8, 8) + 0.1),
    "another layout": (convolution(), spikes(4, 32, 8, 8).contiguous()),
    "a few pixels": (convolution(), spikes(1, 32, 8, 8)),
    "a few channels": (convolution(16), spikes(4, 16, 8, 8)),
    "a small kernel": (convolution(kernel_size=1, padding=0), spikes(4, 32, 8, 8)),
    "groups": (convolution(groups=2), spikes(4, 32, 8, 8)),
    "dilation": (convolution(dilation=2), spikes(4, 32, 16, 16)),
    "a padding mode": (convolution(padding_mode="circular"), spikes(4, 32, 8, 8)),
    "a padding by name": (convolution(padding="same"), spikes(4, 32, 8, 8)),
    "a kernel that is not square": (convolution(kernel_size=(3, 5)), spikes(4, 32, 8, 8)),
    "another dtype": (convolution(dtype=torch.float32), spikes(4, 32, 8, 8)),
    "half precision": (convolution(dtype=torch.float16), spikes(4, 32, 8, 8, dtype=torch.float16)),
    "no images": (convolution(), spikes(0, 32, 8, 8)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_left_to_pytorch(name):
    conv, x = REFUSED[name]
    assert spike_conv.convolve(conv, x, LIMITS) is None


def test_pytorch_counts_its_operations():
    conv, x = convolution(), spikes(4, 32, 8, 8)
    with FlopCounterMode(display=False) as counter:
        conv(x)
    assert counter.get_total_flops() == 2 * 4 * 8 * 8 * 32 * 48 * 9


class Wrapped(torch.Tensor):
    """A tensor of another kind, such as quantised weights."""


def with_weight(weight, bias):
    conv = convolution()
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return conv


def test_memory_of_any_layout_is_read_right():
    conv, x = convolution(), spikes(4, 32, 8, 8)
    strided = torch.randn(48, 3, dtype=torch.float64)[:, 0]
    twin = with_weight(conv.weight.detach().contiguous(), strided)
    assert_close(spike_conv.convolve(twin, x, LIMITS), F.conv2d(x, conv.weight, strided, padding=1))


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        (torch.randn(40, 32, 3, 3), torch.randn(40)),  # pruned
        (torch.randn(48, 32, 5, 5), torch.randn(48)),
        (torch.randn(48, 32, 3, 3).as_subclass(Wrapped), torch.randn(48)),
    ],
)
def test_weights_that_the_module_does_not_announce_are_pytorchs(weight, bias):
    conv, x = with_weight(weight.double(), bias.double()), spikes(4, 32, 8, 8)
    assert spike_conv.convolve(conv, x, LIMITS) is None
    assert_close(conv(x), F.conv2d(x, weight.double(), bias.double(), padding=1), check_dtype=False)


def test_a_bias_of_another_length_is_refused_by_pytorch():
    conv = with_weight(torch.randn(48, 32, 3, 3).double(), torch.randn(5).double())
    with pytest.raises(RuntimeError, match="bias"):
        conv(spikes(4, 32, 8, 8))


def test_autocast_leaves_float64_alone():
    with torch.autocast("cpu", torch.bfloat16):
        assert convolution()(spikes(4, 32, 8, 8)).dtype == torch.float64


def test_a_subclass_with_a_convolution_of_its_own():
    class Doubled(Conv2d):
        def _conv_forward(self, x, weight, bias):
            return 2 * super()._conv_forward(x, weight, bias)

    conv = Doubled(32, 48, 3, padding=1).to(torch.float64, memory_format=torch.channels_last)
    x = spikes(4, 32, 8, 8)
    assert_close(conv(x), 2 * F.conv2d(x, conv.weight, conv.bias, padding=1))


def test_a_stride_that_is_a_number():
    conv, x = convolution(), spikes(4, 32, 8, 8)
    conv.stride = 2
    assert_close(conv(x), F.conv2d(x, conv.weight, conv.bias, 2, 1))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_looks_at_pytorchs_operations_sees_them():
    conv, x = convolution(), spikes(4, 32, 8, 8)
    expected = F.conv2d(x, conv.weight, conv.bias, padding=1)
    assert_close(torch.jit.trace(conv, x)(x), expected)
    tangent = torch.randn_like(x)
    with forward_ad.dual_level():
        out = forward_ad.unpack_dual(conv(forward_ad.make_dual(x, tangent)))
    assert_close(out.tangent, F.conv2d(tangent, conv.weight, None, padding=1))


def test_several_gradients_at_once():
    conv, x = convolution(), spikes(4, 32, 8, 8).requires_grad_()
    out = conv(x)
    assert out.grad_fn.name() == "_SpikeConvBackward"
    d_outs = torch.randn(3, *out.shape, dtype=torch.float64)
    inputs = (x, conv.weight, conv.bias)
    together = torch.autograd.grad(out, inputs, d_outs, retain_graph=True, is_grads_batched=True)
    alone = [torch.autograd.grad(out, inputs, d_out, retain_graph=True) for d_out in d_outs]
    for batched, *single in zip(together, *alone, strict=True):
        assert_close(batched, torch.stack(single))


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointing_computes_it_again(use_reentrant):
    conv, x = convolution(), spikes(4, 32, 8, 8).requires_grad_()
    expected = torch.autograd.grad(conv(x).square().sum(), (x, conv.weight))
    checkpoint(conv, x, use_reentrant=use_reentrant).square().sum().backward()
    assert_close((x.grad, conv.weight.grad), expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sets Linux's limit of the address space")
def test_too_little_memory_is_an_error_not_an_abort():
    """Also if another thread than the caller's runs out of memory."""
    program = """
import resource, torch
from clif.ops import cpu
from clif.ops.cpu import Geometry
from clif.ops.packing import pack
from clif.ops.spike_conv_limits import Limits

torch.set_num_threads(2)
geometry = Geometry((64, 512, 32, 32), 64, 32, 1, 0)
x = pack((torch.rand(geometry.shape) < 0.2).float().contiguous(memory_format=torch.channels_last))
rows = cpu._weight_rows(geometry, torch.float32)
weight = torch.rand(geometry.weight_shape).contiguous(memory_format=torch.channels_last)
cpu._weight_rows = lambda *_: rows
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, resource.RLIM_INFINITY))
try:
    cpu.spike_conv(x.words, x.spike, geometry, weight, None)
except MemoryError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("clif_spike_conv_forward: not enough memory"), done.stderr


def test_an_input_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"Conv2d takes one step \[N, 32, H, W\].*got an input \[4, 31, 8, 8\]"):
        convolution()(spikes(4, 31, 8, 8))
    with pytest.raises(RuntimeError, match="size"):
        convolution(kernel_size=9, padding=0)(spikes(30, 32, 8, 8))


def test_an_unknown_backend_is_refused():
    with pytest.raises(InputError, match="unknown backend 'nonsense'"):
        convolution().backend = "nonsense"


def test_the_backend_torch_is_pytorchs_convolution():
    net = models.create_model("snn5_noAP", neuron="CLIF", T=2)
    clif.set_backend(net, "torch")
    convolutions = [module for module in net.modules() if isinstance(module, Conv2d)]
    assert {module.backend for module in convolutions} == {"torch"}
    conv, x = convolution(), spikes(4, 32, 8, 8).requires_grad_()
    assert conv(x).grad_fn.name() == "_SpikeConvBackward"
    conv.backend = "torch"
    assert conv(x).grad_fn.name() == "ConvolutionBackward0"


def test_second_derivatives_are_refused_by_name():
    conv, x = convolution(), spikes(4, 32, 8, 8).requires_grad_()
    (gradient,) = torch.autograd.grad(conv(x).square().sum(), x, create_graph=True)
    with pytest.raises(InputError, match="first derivative only"):
        gradient.sum().backward()


def test_a_network_takes_the_step_of_pytorchs_convolutions():
    torch.manual_seed(0)
    net = models.create_model("spiking_resnet18", neuron="CLIF", T=2, image_size=16).double()
    twin = copy.deepcopy(net)
    for module in twin.modules():
        if isinstance(module, Conv2d):
            module.backend = "torch"
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    taken = []
    for module in net.modules():
        if isinstance(module, Conv2d):
            module.register_forward_hook(lambda *a: taken.append(a[2].grad_fn.next_functions[0][0].name()))
    losses = [each(x).square().sum() for each in (net, twin)]
    for loss in losses:
        loss.backward()
    assert taken.count("_SpikeConvBackward") >= 5
    assert_close(losses[0], losses[1])
    largest = max(q.grad.abs().max().item() for q in twin.parameters())
    for (name, p), q in zip(net.named_parameters(), twin.parameters(), strict=True):
        assert_close(p.grad, q.grad, rtol=1e-9, atol=1e-12 * largest, msg=name)
