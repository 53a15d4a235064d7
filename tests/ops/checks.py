"""Checks of the kernels' results, shared by the tests of several machines."""

import copy
import math

import golden
import numpy as np
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from clif import functional, surrogate
from clif.generate.program import Graph, Program
from clif.layers import BatchNorm2d
from clif.neurons.blocks import fire
from clif.ops import cpu, neuron
from clif.ops.packing import pack
from clif.surrogate import Sigmoid

SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-30, -1e-30, 1e30, -1e30, 88.7, 89.0, -104.0, 0.625, 20.0, 1e-42]
SPECIAL += [0.5, 1.5, 2.5, -0.5, 4000000.5, -5000001.5, 8388607.5, 2.0**51 + 0.5]
FUNCTIONS = {
    "exp": (torch.exp, 8),
    "log": (torch.log, 4),
    "tanh": (torch.tanh, 4),
    "softplus": (torch.nn.functional.softplus, 8),
    "erf": (torch.erf, 2),
    "sqrt": (torch.sqrt, 1),
    "floor": (torch.floor, 0),
    "round": (torch.round, 0),
}
"""PyTorch's functions, and the allowed errors in units in the last place."""

CONVOLVED = {torch.float64: 1e-13, torch.float32: 1e-5, torch.bfloat16: 1e-2}
"""The allowed difference between convolutions of spikes and PyTorch's in float64."""


def assert_original_numbers(case, dtype, tolerance):
    """The golden numbers of a neuron, a case of `golden.CASES`."""
    with np.load(golden.DIR / "neurons.npz") as arrays:
        prefix = f"{case['index']:02d}/"
        wanted = {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}
    x = torch.tensor(wanted["x"], dtype=dtype, requires_grad=True)
    constants = {k: case[k] for k in ("decay_input", "v_threshold", "v_reset", "detach_reset")}
    constants |= {"surrogate_function": surrogate.get(case["surrogate"]), "backend": "cpu"}
    if case["neuron"] == "PLIF":
        w = torch.tensor(wanted["w"], dtype=dtype, requires_grad=True)
        constants["w"] = w
    else:
        constants["tau"] = case["tau"]
    spikes, state = getattr(functional, f"{case['neuron'].lower()}_multi_step")(x, None, **constants)
    spikes.backward(torch.tensor(wanted["grad_spike"], dtype=dtype))
    actual = {"grad_x": x.grad, **dict(zip(("v_last", "m_last"), state, strict=False))}
    if case["neuron"] == "PLIF":
        actual["grad_w"] = w.grad
    np.testing.assert_array_equal(spikes.detach().numpy(), wanted["spike"])
    for name, value in actual.items():
        np.testing.assert_allclose(value.detach().numpy(), wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)


def all_at_once() -> Program:
    """A neuron whose output is exp(x) and whose states become the other functions of x."""
    graph = Graph()
    x = graph.leaf("x")
    outputs = tuple(graph.add(name, x) for name in FUNCTIONS)
    return Program((True,) * (len(outputs) - 1), (), 1, tuple(graph.nodes), outputs)


def assert_functions_are_accurate(dtype):
    grid = torch.cat([torch.linspace(-30, 30, 4001, dtype=torch.float64), torch.logspace(-6, 6, 999).double()])
    x = torch.cat([grid, torch.tensor(SPECIAL, dtype=torch.float64)]).to(dtype)
    rest = [torch.zeros((), dtype=dtype).expand(x.shape)] * (len(FUNCTIONS) - 1)
    first, others = neuron.run(x[None], rest, [], [], 0.0, all_at_once().text, [0.0], True)
    for (name, (function, ulps)), got in zip(FUNCTIONS.items(), [first[0], *others], strict=True):
        want = function(x.double())
        info = torch.finfo(dtype)
        error = (got.double() - want).abs()
        right = (error <= (ulps + 0.5) * info.eps * want.abs()) | (error < info.tiny)
        right |= (got == want.to(dtype)) | (got.isnan() & want.isnan())
        assert right.all(), (name, x[~right][:5], got[~right][:5], want[~right][:5])


def assert_sigmoid_is_accurate(dtype, tolerance):
    powers = torch.logspace(-44, 38, 165, dtype=torch.float64)
    u = torch.cat([torch.linspace(-30, 30, 20_001), torch.linspace(-1500, 1500, 20_001), powers, -powers])
    u = torch.cat([u, torch.tensor([0.0, -0.0, float("inf"), -float("inf")])]).to(dtype).view(1, 1, -1)
    m = torch.ones_like(u[0])
    _, (_, m_last) = functional.clif_multi_step(u, (torch.zeros_like(m), m), v_threshold=3e38, backend="cpu")
    difference = (m_last.double() - torch.sigmoid(u[0].double() / 2)).abs()
    assert (difference - (u[0] == float("inf")).double()).max() <= tolerance  # an infinite u has fired


def assert_nan_stays(dtype, bits):
    """Assert that NaN with these bits as a float32, and no other NaN, leaves its neuron NaN."""
    nan = torch.from_numpy(np.array([bits], dtype=np.uint32).view(np.float32))
    x_seq = torch.ones(2, 1, 37, dtype=dtype)
    x_seq[0, 0, ::3] = nan.to(dtype)
    x_seq.requires_grad_()
    spikes, (v, m) = functional.clif_multi_step(x_seq, surrogate_function=Sigmoid(), backend="cpu")
    gradient = torch.autograd.grad(v.sum() + m.sum(), x_seq)[0]
    expected = torch.zeros(37, dtype=torch.bool)
    expected[::3] = True
    for values in (v[0], m[0], *gradient[:, 0]):
        assert torch.equal(values.isnan(), expected)
    assert not spikes[:, 0, ::3].any()


def assert_rounds_to_the_nearest():
    """Results in bfloat16 are the nearest number, ties to even. Subnormal numbers may count as 0."""
    bits = torch.randint(-(2**31), 2**31, (6, 1999), generator=torch.Generator().manual_seed(0)).int()
    bits[1] = bits[1] & ~0xFFFF | 0x8000  # ties
    exact = bits.view(torch.float32)
    exact[exact.abs() < torch.finfo(torch.float32).tiny] = 1
    x_seq, zero = torch.zeros(6, 1, 1999, 1, 3, dtype=torch.bfloat16), torch.zeros_like(exact)
    x_seq = channels_last(x_seq)
    rounded = torch.zeros_like(x_seq)
    cpu.scale(x_seq, rounded, zero, zero, exact)
    expected = exact.bfloat16()[:, None, :, None, None].expand(x_seq.shape)
    assert_close(rounded, expected, rtol=0, atol=0, equal_nan=True)


def channels_last(x_seq):
    return x_seq.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, x_seq.shape[:2])


def sequence(T, N, C, H, W, dtype=torch.float64, seed=0):
    r = torch.Generator().manual_seed(seed)
    return channels_last((0.4 + 1.7 * torch.randn(T, N, C, H, W, generator=r, dtype=torch.float64)).to(dtype))


def batch_norm(C, dtype=torch.float64, training=True):
    r = torch.Generator().manual_seed(1)
    norm = BatchNorm2d(C).to(dtype).train(training)
    with torch.no_grad():
        for values, low, high in (
            (norm.weight, 0.5, 1.5),
            (norm.bias, -0.3, 0.6),
            (norm.running_mean, -1, 1),
            (norm.running_var, 0.5, 2),
        ):
            values.copy_(low + (high - low) * torch.rand(C, generator=r))
    return norm


def results(node, norm, x, fuse_norm, d_spike, state=None):
    """All results of one forward and backward pass, by name."""
    node, norm = copy.deepcopy(node), copy.deepcopy(norm)
    node.fuse_norm = fuse_norm
    x = x.detach().clone().requires_grad_()
    if state is not None:
        state = [s.clone().requires_grad_() for s in state]
        node.state = tuple(state)
    spikes = fire(node, norm, x)
    last = node.state or ()
    loss = (spikes * d_spike).sum() + sum(s.sin().sum() for s in last)
    loss.backward()
    named = {"spikes": spikes, "d_x": x.grad, "d_weight": norm.weight.grad, "d_bias": norm.bias.grad}
    named |= {f"last_{i}": s for i, s in enumerate(last)}
    named |= {f"d_{name}": parameter.grad for name, parameter in node.named_parameters()}
    named |= {f"d_state_{i}": s.grad for i, s in enumerate(state or [])}
    named |= {name: buffer for name, buffer in norm.named_buffers() if "running" in name}
    return {name: t.detach().double() for name, t in named.items()}, int(norm.num_batches_tracked)


def check_equal(node, norm, x, rtol=1e-9, atol=1e-10, state=None):
    d_spike = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
    fused, fused_batches = results(node, norm, x, True, d_spike, state)
    separate, batches = results(node, norm, x, False, d_spike, state)
    assert fused_batches == batches
    for name, expected in separate.items():
        assert_close(fused[name], expected, rtol=rtol, atol=atol * (1 + expected.abs().max().item()), msg=name)


def spikes(*shape, rate=0.15, dtype=torch.float64, spike=1.0, seed=0):
    r = torch.Generator().manual_seed(seed)
    x = spike * (torch.rand(shape, generator=r, dtype=torch.float64) < rate)
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def assert_convolves(geometry, rate=0.15, dtype=torch.float64, spike=1.0, with_bias=True, seed=0):
    """Output and gradient of the weights equal PyTorch's convolution in float64 within rounding."""
    x = spikes(*geometry.shape, rate=rate, dtype=dtype, spike=spike, seed=seed)
    r = torch.Generator().manual_seed(seed)
    weight = torch.randn(geometry.weight_shape, generator=r).to(dtype).contiguous(memory_format=torch.channels_last)
    bias = torch.randn(geometry.out_channels, generator=r).to(dtype) if with_bias else None
    d_out = torch.randn(geometry.out_shape, generator=r).to(dtype).contiguous(memory_format=torch.channels_last)
    packed = pack(x)
    out = cpu.spike_conv(packed.words, packed.spike, geometry, weight, bias)
    d_weight = cpu.spike_conv_weight_gradient(packed.words, packed.spike, geometry, d_out)

    exact = weight.double().requires_grad_()
    expected = F.conv2d(x.double(), exact, None if bias is None else bias.double(), geometry.stride, geometry.padding)
    expected.backward(d_out.double())
    for actual, wanted in ((out, expected.detach()), (d_weight, exact.grad)):
        assert actual.dtype == dtype
        scale = max(1.0, wanted.abs().max().item())
        assert_close(actual.double(), wanted, rtol=0, atol=CONVOLVED[dtype] * scale)
