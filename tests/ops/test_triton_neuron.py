"""The generated Triton kernels compared with PyTorch's results for their programs: on a GPU, or interpreted."""

import pytest
import torch
import traced_neurons
from cases import MARGIN, TOLERANCES
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreting import DEVICE, on_a_gpu, passed_with_the_interpreter
from programs import SHAPES, inputs, loop, safe_neurons, two_states

from clif.bench.definition import Definition, Layer
from clif.errors import InputError
from clif.generate.program import Graph, Program, parse
from clif.names import neuron_names
from clif.ops import kernel_interface, neuron, triton
from clif.surrogate import ATan, Rectangle, Sigmoid, Triangle

pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")  # from numpy in the interpreter

SURROGATES = [Rectangle(0.7), Sigmoid(), Triangle(), ATan()]


@pytest.mark.slow
@pytest.mark.skipif(not triton.INSTALLED, reason="triton is not installed")
@pytest.mark.skipif(triton.INTERPRETED, reason="this is that process")
def test_with_the_interpreter():
    assert passed_with_the_interpreter(__file__) > 10


def drawn(program: Program, shape, dtype=torch.float32, rests=False):
    """A sequence, states and coefficients in float64 that float32, or `dtype` for the sequence, can represent."""
    generator = torch.Generator().manual_seed(sum(shape))

    def normal(*size):
        return torch.randn(size, generator=generator)

    x = (normal(*shape) * 1.5).to(dtype).double()
    states = [normal(*shape[1:]).double() for _ in program.rests_at_zero]
    if rests:
        states = [torch.tensor(0.25 * i, dtype=torch.float64).expand(shape[1:]) for i, _ in enumerate(states)]
    coefficients = [(normal(shape[2]) if c else normal(1)[0]).sigmoid().double() for c in program.by_channel]
    return x, states, coefficients


def agree(program, constants, tensors, keep_state=True, dtype=torch.float32, without=(), normalised=None) -> None:
    """Assert that spikes, last states and gradients are PyTorch's in float64; neurons near a jump are left out.

    `tensors` are a sequence, states and coefficients; states that are one expanded value have no gradient. `without`
    has the indices of the outputs without a gradient. `normalised` are a norm's tensors, its ε and a function
    that computes it from x and the tensors.
    """
    x, states, coefficients = ([t.detach() for t in group] for group in ([tensors[0]], *tensors[1:]))
    norm, eps, normalise = normalised or ([], 0.0, lambda x: x)
    leaves = [*x, *(s for s in states if s.numel() == 1 or s.stride(-1)), *coefficients, *norm[:2]]
    for leaf in leaves:
        leaf.requires_grad_()
    spikes, last = loop(program, normalise(x[0], *norm), states, coefficients, constants)
    safe = safe_neurons(program, normalise(x[0], *norm).detach(), states, coefficients, constants, MARGIN)
    wanted = [spikes, *last] if keep_state else [spikes]
    incoming = [
        torch.randn(o.shape).to(dtype if i == 0 else torch.float32).double() * safe for i, o in enumerate(wanted)
    ]
    given = [i for i in range(len(wanted)) if i not in without]
    gradients = torch.autograd.grad(
        [wanted[i] for i in given], leaves, [incoming[i] for i in given], materialize_grads=True
    )

    def on_device(tensor, dtype=torch.float32):
        return tensor.detach().to(DEVICE, dtype).requires_grad_(tensor.requires_grad)

    place = {
        id(leaf): on_device(leaf, dtype if leaf is x[0] else torch.float32)
        for leaf in [*x, *states, *coefficients, *norm]
    }
    groups = [[place[id(t)] for t in group] for group in (states, coefficients, norm)]
    found, extra = neuron.run(place[id(x[0])], *groups, eps, program.text, list(constants), keep_state, "triton")
    assert found.dtype == dtype
    outputs = [found, *extra][: len(wanted)]
    back = torch.autograd.grad(
        [outputs[i] for i in given], [place[id(leaf)] for leaf in leaves],
        [incoming[i].to(outputs[i]) for i in given], materialize_grads=True,
    )  # fmt: skip
    assert torch.equal(found.double().cpu()[:, safe], spikes.detach()[:, safe])
    for got, want in zip(outputs[1:], wanted[1:], strict=True):
        close(got[safe], want[safe], torch.float32)
    for leaf, got, want in zip(leaves, back, gradients, strict=True):
        close(got, want, dtype if leaf is x[0] else torch.float32)


def close(got, want, dtype) -> None:
    atol = TOLERANCES[dtype] * max([1.0, *want.abs().flatten().tolist()])
    torch.testing.assert_close(got.double().cpu(), want.detach().double(), rtol=0, atol=atol)


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("T", [1, 3, 40])
@pytest.mark.parametrize("surrogate", SURROGATES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("name", ["CLIF", "LIF", "PLIF", "Adaptive"])
def test_equals_pytorch(name, surrogate, T):
    program, constants = getattr(traced_neurons, name)(surrogate, v_reset=-0.25 if T == 3 else None).traced()
    agree(program, constants, drawn(program, (T, 3, 5, 7)), keep_state=T != 1)


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("name", [name for name in neuron_names() if name != "ReLU"])
def test_registered_neurons_equal_pytorch(name):
    node = Definition(name).node(Layer(name, 5, torch.float32, torch.device("cpu")))
    node.surrogate_function = Sigmoid()
    plan = node.equations().plan
    program = parse(plan.text)
    agree(program, plan.constants, drawn(program, (4, 3, 5, 7)))


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("unrolled", [0, triton.UNROLLED_STEPS])
@pytest.mark.parametrize("name", ["CLIF", "Adaptive"])
@pytest.mark.parametrize("size", [1, 127, 511, 512, 513, 5000])
def test_every_element_is_written(name, size, unrolled, monkeypatch):
    monkeypatch.setattr(triton, "UNROLLED_STEPS", unrolled)
    program, constants = getattr(traced_neurons, name)(Sigmoid()).traced()
    agree(program, constants, drawn(program, (2, 1, 1, size)))


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("unrolled", [0, triton.UNROLLED_STEPS])
@pytest.mark.parametrize("without", [(0,), (1,), (2, 3), (1, 2, 3)])
def test_gradients_that_do_not_come_count_as_zero(without, unrolled, monkeypatch):
    monkeypatch.setattr(triton, "UNROLLED_STEPS", unrolled)
    program, constants = traced_neurons.Adaptive(Sigmoid(), detach_reset=True).traced()
    agree(program, constants, drawn(program, (3, 2, 5, 7)), without=without)


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("keep_state", [True, False])
def test_states_of_one_value(keep_state):
    program, constants = traced_neurons.Adaptive(decay_input=True).traced()
    agree(program, constants, drawn(program, (4, 2, 5, 7), rests=True), keep_state)


@on_a_gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("T", [3, 40])
def test_16_bits(dtype, T):
    program, constants = traced_neurons.Adaptive(Sigmoid()).traced()
    agree(program, constants, drawn(program, (T, 2, 5, 7), dtype), dtype=dtype)


def agree_in_float32(program, shape, layout, rests, keep_state=True) -> None:
    x, states, coefficients = inputs(shape, layout, rests, torch.float32)
    agree(program, [0.4], [x.double(), [s.double() for s in states], [c.double() for c in coefficients]], keep_state)


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(("shape", "layout"), SHAPES)
@pytest.mark.parametrize("rests", [True, False])
def test_layouts(shape, layout, rests):
    agree_in_float32(two_states([2, 0, 1, 4, 6, 3, 0, 7, 2, 1, 8, 4]), shape, layout, rests)


@on_a_gpu
def test_rows_that_need_64_bits(monkeypatch):
    monkeypatch.setattr("clif.ops.triton_neuron.WIDE_ROW", 1)
    agree_in_float32(two_states([2, 0, 1, 4, 6, 3]), (2, 3, 70, 3), "transposed", False)


@on_a_gpu
@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 29), min_size=6, max_size=24), st.sampled_from(SHAPES), st.booleans())
def test_random_equations(choices, shape, keep_state):
    agree_in_float32(two_states(choices), *shape, keep_state, keep_state)


@pytest.mark.slow
@on_a_gpu
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 29), min_size=6, max_size=60), st.sampled_from(SHAPES), st.booleans(), st.booleans())
def test_many_random_equations(choices, shape, rests, keep_state):
    agree_in_float32(two_states(choices), *shape, rests, keep_state)


@on_a_gpu
def test_the_same_input_at_every_step():
    program, constants = traced_neurons.CLIF(Sigmoid()).traced()
    image = torch.randn(2, 5, 7, device=DEVICE, requires_grad=True)
    states = [torch.zeros((), device=DEVICE).expand(2, 5, 7)] * 2
    found = [
        torch.autograd.grad(
            neuron.run(x, states, [], [], 0.0, program.text, list(constants), False, "triton")[0].sum(), image
        )
        for x in (image.expand(4, 2, 5, 7), image.repeat(4, 1, 1, 1))
    ]
    torch.testing.assert_close(*found)


EPS = 1e-5


def batch_norm(x, weight, bias, mean=None, var=None):
    wide = (slice(None), None, slice(None), None, None)
    if mean is None:
        mean, var = x.mean((1, 3, 4)), x.var((1, 3, 4), unbiased=False)
    else:
        mean, var = mean[None], var[None]
    normal = (x - mean[wide]) / (var[wide] + EPS).sqrt()
    return normal * weight[:, None, None] + bias[:, None, None]


@on_a_gpu
@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("shape", [(1, 2, 3, 5, 7), (4, 3, 17, 4, 3), (20, 2, 5, 20, 15)])
@pytest.mark.parametrize("name", ["CLIF", "Adaptive"])
def test_a_batch_norm_in_front(name, shape, train, monkeypatch):
    monkeypatch.setattr(triton, "PROGRAMS_PER_PROCESSOR", 1)
    program, constants = getattr(traced_neurons, name)(Sigmoid()).traced()
    x, states, coefficients = drawn(program, shape)
    x, *states = (
        t.flatten(0, -4).contiguous(memory_format=torch.channels_last).view(t.shape[:-3] + t.shape[-3:])
        if t.dim() == 4 else t.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, shape[:2])
        for t in (x, *states)
    )  # fmt: skip
    norm = [t.double() for t in torch.rand(2 if train else 4, shape[2]) + 0.5]
    agree(program, constants, (x, states, coefficients), normalised=(norm, EPS, batch_norm))


@on_a_gpu
def test_nothing_is_done_for_no_neurons():
    program, constants = traced_neurons.PLIF().traced()
    x = torch.zeros(3, 0, 4, device=DEVICE, requires_grad=True)
    leak = torch.tensor(0.5, device=DEVICE, requires_grad=True)
    spikes, _ = neuron.run(
        x, [torch.zeros(0, 4, device=DEVICE)], [leak], [], 0.0, program.text, list(constants), True, "triton"
    )
    spikes.sum().backward()
    assert leak.grad == 0


SPECIAL = [
    0.0,
    -0.0,
    torch.inf,
    -torch.inf,
    torch.nan,
    1e-30,
    -1e-30,
    1e30,
    -1e30,
    88.7,
    89.0,
    -104.0,
    0.625,
    20.0,
    1e-42,
]
SPECIAL += [0.5, 1.5, 2.5, -0.5, 4000000.5, -5000001.5, 8388607.5]
FUNCTIONS = {
    "exp": (torch.exp, 6),
    "log": (torch.log, 3),
    "tanh": (torch.tanh, 4),
    "softplus": (torch.nn.functional.softplus, 6),
    "erf": (torch.erf, 2),
    "sqrt": (torch.sqrt, 0),
    "floor": (torch.floor, 0),
    "round": (torch.round, 0),
}
"""PyTorch's functions, and the allowed errors in units in the last place."""


def outputs_of(program: Program, x, *states):
    states = [state.to(DEVICE) for state in states]
    first, others = neuron.run(x[None].to(DEVICE), states, [], [], 0.0, program.text, [], True, "triton")
    return [first[0].cpu(), *(other.cpu() for other in others)]


def assert_within(got, want, ulps, x) -> None:
    """Assert that float32 numbers equal those of float64 within some units in the last place."""
    info = torch.finfo(torch.float32)
    error = (got.double() - want).abs()
    right = (error <= (ulps + 0.5) * info.eps * want.abs()) | (error < info.tiny)
    right |= (got == want.float()) | (got.isnan() & want.isnan())
    assert right.all(), (x[~right][:5], got[~right][:5], want[~right][:5])


@on_a_gpu
def test_functions():
    graph = Graph()
    outputs = tuple(graph.add(name, graph.leaf("x")) for name in FUNCTIONS)
    program = Program((True,) * (len(outputs) - 1), (), 0, tuple(graph.nodes), outputs)
    x = torch.cat([torch.linspace(-30, 30, 4001), torch.logspace(-6, 6, 999), torch.tensor(SPECIAL)])
    found = outputs_of(program, x, *[torch.zeros(()).expand(x.shape)] * (len(FUNCTIONS) - 1))
    for (function, ulps), got in zip(FUNCTIONS.values(), found, strict=True):
        assert_within(got, function(x.double()), ulps, x)


@on_a_gpu
def test_powers():
    graph = Graph()
    x, s = graph.leaf("x"), graph.leaf("state", 0)
    outputs = (graph.add("pow", x, s), graph.add("pow", graph.literal(-2), s), graph.add("pow", x, graph.literal(3)))
    program = Program((True, True), (), 0, tuple(graph.nodes), outputs)
    grid = torch.tensor([*SPECIAL, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 33.0, 16777216.0, 7.3])
    base, exponent = (values.flatten() for values in torch.meshgrid(grid, grid, indexing="ij"))
    found = outputs_of(program, base, exponent, torch.zeros_like(base))
    for got, (a, b) in zip(
        found, [(base, exponent), (-2 * torch.ones(()), exponent), (base, torch.tensor(3.0))], strict=True
    ):
        want = torch.pow(a.double(), b.double())
        assert_within(got, want, 1, base)
        assert torch.equal(got.signbit()[~want.isnan()], want.signbit()[~want.isnan()])


@on_a_gpu
def test_masks_and_derivatives_at_ties():
    """On whole numbers, whose arithmetic is exact, in an order that makes masks of numbers and of uniform values."""
    graph = Graph()
    x, v, w = graph.leaf("x"), graph.leaf("state", 0), graph.leaf("state", 1)
    layer, channel, constant = graph.leaf("coefficient", 0), graph.leaf("coefficient", 1), graph.leaf("constant", 0)
    ties = graph.add("add", graph.add("maximum", x, v), graph.add("minimum", graph.add("abs", v), w))
    uniform = graph.add("or", graph.add("lt", constant, layer), graph.add("eq", x, w))
    chosen = graph.add("and", uniform, graph.add("not", graph.add("le", channel, v)))
    u = graph.add("where", chosen, graph.add("mul", ties, channel), graph.add("sub", ties, layer))
    spike, same = graph.add("fire", graph.add("sub", u, constant), graph.literal(1)), graph.add("neg", constant)
    program = Program((True, True), (False, True), 1, tuple(graph.nodes), (spike, u, same))
    shape = (3, 40, 3, 2)
    x, v, w = (torch.randint(-2, 3, size).double() for size in (shape, shape[1:], shape[1:]))
    leaves = [x, v, w, torch.tensor(1.0, dtype=torch.float64), torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)]
    found = []
    for dtype, device in ((torch.float64, "cpu"), (torch.float32, DEVICE)):
        moved = [leaf.to(device, dtype).requires_grad_() for leaf in leaves]
        if dtype == torch.float64:
            spikes, last = loop(program, moved[0], moved[1:3], moved[3:], [2.0])
            last = [state.expand(shape[1:]) for state in last]
        else:
            spikes, last = neuron.run(moved[0], moved[1:3], moved[3:], [], 0.0, program.text, [2.0], True, "triton")
        total = spikes.sum() + sum(((i + 2) * state).sum() for i, state in enumerate(last))
        found.append([t.cpu().double() for t in (spikes, *last, *torch.autograd.grad(total, moved))])
    for got, want in zip(*found, strict=True):
        assert torch.equal(got, want)


@on_a_gpu
def test_opcheck_and_compile():
    program = two_states([2, 0, 1, 4, 6, 3])
    x, states, coefficients = inputs((3, 2, 5, 4), "contiguous", False, torch.float32)
    x, *rest = (t.detach().to(DEVICE).requires_grad_() for t in (x, *states, *coefficients))
    arguments = (x, rest[:2], rest[2:], [], 0.0, program.text, [0.4], True, "triton")
    torch.library.opcheck(neuron.neuron, arguments)

    def total(x):
        spikes, last = neuron.run(x, *arguments[1:])
        return spikes.sum() + sum(state.sum() for state in last)

    compiled = torch.compile(total, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(*(torch.autograd.grad(f(x), x) for f in (compiled, total)))


@on_a_gpu
def test_refuses_float64():
    program, constants = traced_neurons.LIF().traced()
    x = torch.zeros(2, 3, dtype=torch.float64, device=DEVICE)
    with pytest.raises(InputError, match="float32, bfloat16 and float16, not"):
        neuron.run(x, [x[0]], [], [], 0.0, program.text, list(constants), True, "triton")


@pytest.mark.parametrize(
    ("device", "backend", "message"),
    [("cpu", "tritom", "'cpu' with backend 'tritom'"), ("cuda", "cpu", "'cuda' with backend"), ("meta", "", "'meta'$")],
)
def test_backends_that_cannot_compute_are_refused(device, backend, message):
    with pytest.raises(InputError, match=message):
        kernel_interface.kernels_for(device, backend)


@pytest.mark.skipif(triton.INTERPRETED, reason="interpreted kernels take CPU tensors")
def test_cpu_tensors_are_refused_unless_interpreted():
    with pytest.raises(InputError, match="run on 'cpu' with backend 'triton'"):
        kernel_interface.kernels_for("cpu", "triton")
