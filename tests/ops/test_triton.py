"""The Triton kernels compared with the reference: on a GPU, or in Triton's interpreter in a separate process."""

import copy
from dataclasses import dataclass, replace
from unittest import mock

import pytest
import torch
from cases import Case, assert_equals_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreting import DEVICE, on_a_gpu, passed_with_the_interpreter

import clif
from clif import functional
from clif.errors import InputError
from clif.neurons import norm_fusion
from clif.ops import dispatch, triton, triton_norm
from clif.surrogate import ATan, Rectangle, Sigmoid, Surrogate, Triangle

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@pytest.mark.slow
@pytest.mark.skipif(not triton.INSTALLED, reason="triton is not installed")
@pytest.mark.skipif(triton.INTERPRETED, reason="this is that process")
def test_with_the_interpreter():
    assert passed_with_the_interpreter(__file__) > 10


@pytest.mark.skipif(triton.unavailable() is None, reason="triton can run here")
def test_says_why_it_cannot_run():
    assert not clif.backends()["triton"].available
    with pytest.raises(InputError, match="backend 'triton' cannot run here: "):
        clif.CLIFNode(backend="triton")


@on_a_gpu
def test_refuses_float64():
    with pytest.raises(InputError, match="float32, bfloat16 and float16"):
        functional.clif_multi_step(torch.zeros(3, 2, dtype=torch.float64, device=DEVICE), backend="triton")


@st.composite
def cases(draw) -> Case:
    neuron = draw(st.sampled_from(["CLIF", "LIF", "PLIF"]))
    v_reset = draw(st.sampled_from([None, -0.25]))
    return Case(
        neuron=neuron,
        T=draw(st.sampled_from([1, 2, 4, 6, 9])),
        shape=draw(st.sampled_from([(1,), (2, 17), (3, 300)])),
        tau=draw(st.sampled_from([1.25, 2.0])),
        decay_input=draw(st.booleans()),
        v_threshold=draw(st.sampled_from([1.0, 0.6])),
        v_reset=v_reset,
        v_subtract=draw(st.sampled_from([None, 0.5])) if neuron == "LIF" and v_reset is None else None,
        surrogate=draw(st.sampled_from([Rectangle(0.7), Sigmoid(), Triangle(), ATan()])),
        detach_reset=draw(st.booleans()),
        with_state=draw(st.booleans()),
        with_state_gradients=draw(st.booleans()),
        keep_state=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


@on_a_gpu
@given(case=cases(), dtype=st.sampled_from(DTYPES))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_equals_reference(case, dtype):
    assert_equals_reference(case, "triton", dtype, device=DEVICE)


@on_a_gpu
@given(case=cases(), dtype=st.sampled_from(DTYPES))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_loops_equal_reference(case, dtype):
    with mock.patch.object(triton, "UNROLLED_STEPS", 0):
        assert_equals_reference(case, "triton", dtype, device=DEVICE)


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("unrolled", [0, triton.UNROLLED_STEPS])
@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
@pytest.mark.parametrize("size", [1, 511, 512, 513, 5000])
def test_every_element_is_written(neuron, size, unrolled, monkeypatch):
    monkeypatch.setattr(triton, "UNROLLED_STEPS", unrolled)
    assert_equals_reference(Case(neuron, T=2, shape=(1, size), v_reset=-0.1), "triton", torch.float32, device=DEVICE)


@on_a_gpu
@pytest.mark.parametrize(
    ("neuron", "T"),
    [
        ("CLIF", triton.UNROLLED_STEPS),
        ("PLIF", triton.UNROLLED_STEPS),
        ("CLIF", triton.UNROLLED_STEPS + 1),
        ("PLIF", 1000),
    ],
)
def test_long_sequences(neuron, T):
    case = Case(neuron, T=T, shape=(1, 140), surrogate=Sigmoid())
    assert_equals_reference(case, "triton", torch.float32, device=DEVICE)


@on_a_gpu
def test_layouts():
    for layout in (lambda x: x.transpose(0, 1).contiguous().transpose(0, 1), lambda x: x.repeat_interleave(2, 0)[::2]):
        assert_equals_reference(Case(shape=(2, 3, 5)), "triton", torch.float32, layout, DEVICE)
    image = torch.randn(2, 3, 4, 4, device=DEVICE, requires_grad=True)
    gradients = []
    for backend in ("triton", "torch"):
        spikes, _ = functional.clif_multi_step(image.expand(4, *image.shape), backend=backend)
        gradients += torch.autograd.grad(spikes.sum(), image)
    torch.testing.assert_close(*gradients)


def fuses(node, x_seq, norm) -> bool:
    """Whether a neuron and the batch norm before it would be one kernel."""
    return node.fuse_norm and norm_fusion.applies(node.equations(), x_seq, norm, node.backend)


@dataclass(frozen=True)
class NormCase:
    """A batch norm and a neuron over random channels_last inputs [T, N, C, H, W], in training or evaluation."""

    neuron: str = "CLIF"
    T: int = 4
    shape: tuple[int, ...] = (2, 17, 5, 3)
    dtype: torch.dtype = torch.float32
    train: bool = True
    v_reset: float | None = None
    surrogate: Surrogate = Sigmoid()  # noqa: RUF009
    decay_input: bool = False
    detach_reset: bool = False
    with_state: bool = True
    seed: int = 0
    rounded_to: torch.dtype = torch.float32

    def run(self, fused: bool) -> dict[str, torch.Tensor]:
        """Spikes, last states, running statistics and every gradient."""
        torch.manual_seed(self.seed)
        norm = clif.layers.BatchNorm2d(self.shape[1])
        for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            tensor.uniform_(0.3, 1.5)
        node = getattr(clif, f"{self.neuron}Node")(
            v_reset=self.v_reset,
            surrogate_function=self.surrogate,
            decay_input=self.decay_input,
            detach_reset=self.detach_reset,
            step_mode="m",
            backend="triton",
        ).to(DEVICE)
        norm.train(self.train).to(DEVICE)
        node.fuse_norm = fused
        T, N, C, H, W = self.T, *self.shape

        def sequence(offset: float) -> torch.Tensor:
            drawn = offset + torch.randn(T, N, H, W, C)
            return drawn.to(self.rounded_to).to(DEVICE, self.dtype).permute(0, 1, 4, 2, 3)

        x_seq = sequence(0.5).requires_grad_()
        start = [torch.rand(self.shape).to(DEVICE).requires_grad_() for _ in node.state_names]
        if self.with_state:
            node.state = tuple(start)
        assert fuses(node, x_seq, norm) == fused
        spikes = node(x_seq, norm)
        sources = {"x": x_seq, **dict(norm.named_parameters()), **dict(node.named_parameters())}
        if self.with_state:
            sources |= {f"{name}_start": s for name, s in zip(node.state_names, start, strict=True)}
        given_state = [torch.randn(self.shape).to(DEVICE) for _ in node.state]
        found = torch.autograd.grad([spikes, *node.state], [*sources.values()], [sequence(0), *given_state])
        results = {
            "spikes": spikes,
            **dict(zip(node.state_names, node.state, strict=True)),
            **dict(norm.named_buffers()),
        }
        return results | {f"d_{name}": g for name, g in zip(sources, found, strict=True)}


def assert_equals_separate_modules(case: NormCase) -> None:
    """Within rounding, in float32: in 16 bits the separate batch norm rounds its output, which can change spikes."""
    fused, separate = case.run(fused=True), case.run(fused=False)
    assert fused.keys() == separate.keys()
    for name, expected in separate.items():
        atol = 2e-5 * max(1.0, expected.abs().max().item())
        torch.testing.assert_close(fused[name], expected, rtol=0, atol=atol, msg=lambda m, name=name: f"{name}: {m}")


@st.composite
def norm_cases(draw) -> NormCase:
    return NormCase(
        neuron=draw(st.sampled_from(["CLIF", "LIF", "PLIF"])),
        T=draw(st.sampled_from([1, 2, 6])),
        shape=draw(st.sampled_from([(2, 3, 5, 7), (3, 17, 4, 3), (2, 64, 3, 3), (1, 1, 2, 9)])),
        train=draw(st.booleans()),
        v_reset=draw(st.sampled_from([None, -0.25])),
        surrogate=draw(st.sampled_from([Sigmoid(), ATan()])),
        decay_input=draw(st.booleans()),
        detach_reset=draw(st.booleans()),
        with_state=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@given(case=norm_cases())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_with_a_batch_norm_equals_the_separate_modules(case):
    assert_equals_separate_modules(case)


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("neuron", "T", "shape"),
    [("CLIF", 40, (2, 17, 9, 7)), ("PLIF", 20, (2, 3, 20, 15)), ("LIF", 4, (2, 17, 9, 7)), ("PLIF", 3, (3, 64, 5, 5))],
)
def test_sums_over_many_rows_equal_the_separate_modules(neuron, T, shape, train, monkeypatch):
    monkeypatch.setattr(triton, "PROGRAMS_PER_PROCESSOR", 1)
    assert_equals_separate_modules(NormCase(neuron, T=T, shape=shape, train=train))


@on_a_gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("train", [True, False])
def test_with_a_batch_norm_in_16_bits_equals_float32(dtype, train):
    """For the same inputs: only the gradient of x is rounded, after the neuron and at the end."""
    case = NormCase(T=4, shape=(3, 17, 7, 5), train=train, rounded_to=dtype)
    exact, actual = case.run(fused=True), replace(case, dtype=dtype).run(fused=True)
    assert actual["spikes"].dtype == actual["d_x"].dtype == dtype
    for name, expected in exact.items():
        relative = 2 * torch.finfo(dtype).eps if name == "d_x" else 2e-5
        atol = relative * max(1.0, expected.abs().max().item())
        torch.testing.assert_close(actual[name].to(expected.dtype), expected, rtol=0, atol=atol)


@on_a_gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 3, 9, 7), (2, 64, 6, 6), (1, 17, 1, 2)])
def test_statistics_of_values_far_from_zero(shape, dtype, monkeypatch):
    monkeypatch.setattr(triton, "PROGRAMS_PER_PROCESSOR", 1)
    N, C, H, W = shape
    x_seq = (100 + torch.randn(3, N, H, W, C)).to(DEVICE, dtype).permute(0, 1, 4, 2, 3)
    mean, var = triton_norm.statistics(x_seq)
    expected_var, expected_mean = torch.var_mean(x_seq.double(), (1, 3, 4), correction=0)
    torch.testing.assert_close(mean.double(), expected_mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(var.double(), expected_var, rtol=1e-5, atol=0)


@on_a_gpu
def test_no_batch_norm_of_an_empty_batch_is_fused():
    norm = clif.layers.BatchNorm2d(3).to(DEVICE)
    node = clif.LIFNode(step_mode="m", backend="triton")
    x_seq = torch.zeros(2, 0, 4, 4, 3, device=DEVICE).permute(0, 1, 4, 2, 3)
    assert not fuses(node, x_seq, norm)
    assert node(x_seq, norm).shape == x_seq.shape
    assert norm.running_mean.eq(0).all()
    assert fuses(node, x_seq, norm.eval())
    node.reset()
    x_seq.requires_grad_()
    node(x_seq, norm).sum().backward()
    assert norm.weight.grad.eq(0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that PyTorch can use")
def test_a_network_with_fused_batch_norms_equals_one_without():
    net = clif.models.create_model("spiking_resnet18", T=3).cuda().to(memory_format=torch.channels_last)
    x = torch.randn(4, 3, 32, 32, device="cuda").contiguous(memory_format=torch.channels_last)
    twin = copy.deepcopy(net)
    for module in twin.modules():
        if isinstance(module, clif.neurons.SpikingNeuron):
            module.fuse_norm = False
    fused = mock.Mock(side_effect=dispatch.BACKENDS["triton"].norm_multi_step)
    with mock.patch.dict(dispatch.BACKENDS, triton=replace(dispatch.BACKENDS["triton"], norm_multi_step=fused)):
        outputs = [net(x), twin(x)]
    assert fused.call_count > 10
    assert (outputs[0] - outputs[1]).norm() <= 0.05 * outputs[1].norm()
    for output in outputs:
        output.square().mean().backward()
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert abs(p.grad.norm() / q.grad.norm() - 1) < 0.3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that PyTorch can use")
def test_auto_takes_the_kernels_on_a_gpu_and_a_network_trains():
    net = clif.models.create_model("spiking_resnet18", T=3).cuda()
    x = torch.randn(4, 3, 32, 32, device="cuda")
    assert clif.backend_for(next(m for m in net.modules() if isinstance(m, clif.SpikingNeuron)), x[None])[0] == "triton"
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            net(x).float().square().mean().backward()
        assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that PyTorch can use")
def test_more_elements_than_32_bits_can_count():
    """A sequence whose last step begins after element 2**31."""
    size = 2**30 + 5
    if torch.cuda.mem_get_info()[0] < 40 * size:
        pytest.skip("needs 40 GiB of free GPU memory")
    x_seq = torch.zeros(3, 1, size, dtype=torch.bfloat16, device="cuda")
    x_seq[2, 0, -1] = 1.25
    x_seq.requires_grad_()
    spikes, _ = functional.clif_multi_step(x_seq, backend="triton")
    assert spikes.sum(dtype=torch.float64) == spikes[2, 0, -1] == 1
    (gradient,) = torch.autograd.grad(spikes, x_seq, torch.ones_like(spikes))
    assert gradient[2, 0, -1] == 1
    assert gradient[2, 0, :-1].any() == 0
