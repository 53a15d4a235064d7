"""The fused neurons as operators, which PyTorch's transforms must treat like its own."""

import copy

import pytest
import torch
from cases import Case
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import clif
from clif import functional
from clif.errors import InputError
from clif.ops import cpu
from clif.surrogate import Sigmoid

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

NEURONS = ["CLIF", "LIF", "PLIF"]


def loss(x_seq, w, neuron, backend="cpu"):
    """A function that uses both the spikes and the last state more than once."""
    learnt = {"w": w} if neuron == "PLIF" else {}
    multi_step = getattr(functional, f"{neuron.lower()}_multi_step")
    spikes, state = multi_step(x_seq, None, **learnt, surrogate_function=Sigmoid(), backend=backend)
    return spikes.sum(0).square().sum() + sum(s.sin().sum() for s in state)


def inputs(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(
    ("layout", "keep_state"), [("dense", True), ("dense", False), ("repeated", True), ("channels_last", False)]
)
def test_opcheck(neuron, layout, keep_state):
    case = Case(neuron, T=3, shape=(2, 3, 2, 2))
    tensors = {name: t.float() for name, t in case.inputs(torch.float32).items()}
    x = tensors["x"]
    if layout == "repeated":
        x = x[0].expand(x.shape)
    if layout == "channels_last":
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, x.shape[:2])
    equations = getattr(clif, f"{neuron}Node")(surrogate_function="sigmoid").equations()
    states = [tensors[name].requires_grad_() for name in equations.states]
    text, constants = equations.plan.text, list(equations.plan.constants)
    coefficients = [torch.tensor(0.4, requires_grad=True)] if equations.learnables else []
    arguments = (x.detach().requires_grad_(), states, coefficients, [], 0.0, text, constants, keep_state, "cpu")
    torch.library.opcheck(torch.ops.clif.neuron.default, arguments)
    incoming = [tensors["d_spike"], tensors["d_v"], *(None for _ in states[1:])]
    inputs = (x.detach(), [s.detach() for s in states], [k.detach() for k in coefficients], [], 0.0, text, constants)
    torch.library.opcheck(torch.ops.clif.neuron_backward.default, (*inputs, False, incoming, True, "cpu"))


def in_dims(*dims):
    return (*dims, None, None)


@pytest.mark.parametrize("neuron", NEURONS)
def test_per_sample_gradients(neuron):
    x, w = inputs(4, 5, 3, 7)
    tau_each = torch.linspace(-1, 1, 4, dtype=torch.float64)
    for arguments, dims in (
        ((x, w), in_dims(0, None)),
        ((x.movedim(0, 2), w), in_dims(2, None)),
        ((x, tau_each), in_dims(0, 0)),
        ((x[0], tau_each), in_dims(None, 0)),
    ):
        wanted = (0, 1) if neuron == "PLIF" else (0,)
        per_sample = vmap(grad(loss, wanted), dims)
        assert_close(per_sample(*arguments, neuron, "cpu"), per_sample(*arguments, neuron, "torch"))


@pytest.mark.parametrize("neuron", NEURONS)
def test_gradient_of_vmap(neuron):
    x, w = inputs(4, 5, 3, 7)

    def total(x, w, backend):
        return vmap(loss, (0, None, None, None))(x, w, neuron, backend).square().sum()

    wanted = (0, 1) if neuron == "PLIF" else (0,)
    assert_close(grad(total, wanted)(x, w, "cpu"), grad(total, wanted)(x, w, "torch"))


def test_vmap_over_states():
    x, _ = inputs(5, 3, 7)
    v = torch.randn(4, 3, 7, dtype=torch.float64)

    def last(v, backend):
        return functional.clif_multi_step(x, (v, torch.zeros_like(v)), backend=backend)

    assert_close(vmap(last, (0, None))(v, "cpu"), vmap(last, (0, None))(v, "torch"))


@pytest.mark.parametrize("neuron", NEURONS)
def test_compile(neuron):
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for backend in ("cpu", "auto"):
        expected, actual = (t.float().requires_grad_() for t in (inputs(5, 3, 7)[0], inputs(5, 3, 7)[0]))
        w = torch.tensor(0.3)
        loss(expected, w, neuron).backward()
        compiled(actual, w, neuron, backend).backward()
        assert_close(actual.grad, expected.grad)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compile_with_inductor():
    net = nn.Sequential(nn.Linear(7, 16), clif.CLIFNode(step_mode="m"), nn.Linear(16, 3), clif.PLIFNode(step_mode="m"))
    x = torch.randn(5, 4, 7)

    def run(x):
        clif.reset_net(net)
        return net(x)

    compiled = torch.compile(run, fullgraph=True)
    for batch in (4, 6):
        x = torch.randn(5, batch, 7)
        expected, actual = run(x), compiled(x)
        assert_close(actual, expected)
        gradients = [torch.autograd.grad(out.sum(), list(net.parameters())) for out in (actual, expected)]
        assert_close(*gradients)


class Functional(nn.Module):
    def forward(self, x_seq):
        return functional.clif_multi_step(x_seq)[0]


@pytest.mark.parametrize("dynamic", [False, True])
def test_export(dynamic):
    shapes = ({1: torch.export.Dim("N", min=2, max=64)},) if dynamic else None
    program = torch.export.export(Functional(), (torch.randn(5, 4, 7),), dynamic_shapes=shapes)
    assert "clif.neuron" in str(program.graph)
    x_seq = torch.randn(5, 9 if dynamic else 4, 7)
    assert_close(program.module()(x_seq), Functional()(x_seq))


def test_second_derivatives_are_refused():
    x, w = inputs(5, 3, 7)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x, w, "CLIF"), x, create_graph=True)
    with pytest.raises(InputError, match=r'first derivative only.*backend="torch"'):
        gradient.sum().backward()
    with pytest.raises(InputError, match="first derivative only"):
        grad(lambda x: grad(loss)(x, w, "CLIF").sum())(x.detach())


def test_activation_checkpointing():
    x, _ = inputs(5, 3, 7)
    layer = nn.Sequential(nn.Linear(7, 7), clif.CLIFNode(step_mode="m")).double()

    def run(x):
        clif.reset_net(layer)
        return layer(x)

    gradients = []
    for call in (run, lambda x: checkpoint(run, x, use_reentrant=False)):
        gradients.append(torch.autograd.grad(call(x).sum(), list(layer.parameters())))
    assert_close(*gradients)


def test_autocast():
    layer = nn.Sequential(nn.Linear(7, 7), clif.CLIFNode(step_mode="m"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spikes = layer(torch.randn(5, 3, 7))
    spikes.float().sum().backward()
    assert spikes.dtype == torch.bfloat16
    assert layer[1].v.dtype == torch.float32
    assert layer[0].weight.grad.isfinite().all()


@pytest.mark.parametrize("name", NEURONS)
def test_module_used_twice_carries_its_state_and_gradient(name):
    x, _ = inputs(6, 3, 7)
    node = getattr(clif, f"{name}Node")(step_mode="m", surrogate_function=Sigmoid()).double()
    results = []
    for backend, parts in (("cpu", 2), ("torch", 1)):
        clif.reset_net(node)
        clif.set_backend(node, backend)
        x_in = x.clone().requires_grad_()
        out = torch.cat([node(part) for part in x_in.chunk(parts)])
        results.append((out, *torch.autograd.grad(out.sum(0).square().sum(), [x_in, *node.parameters()])))
    assert_close(*results)


def test_only_the_input_is_kept():
    x_seq = torch.randn(6, 3, 7, requires_grad=True)
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        functional.clif_multi_step(x_seq * 1, backend="cpu")
    assert sorted(kept.values())[-1] == x_seq.nbytes
    assert sum(kept.values()) <= x_seq.nbytes + 16


def test_parameters_through_functional_call():
    node = clif.PLIFNode(step_mode="m", surrogate_function=Sigmoid()).double()
    x, _ = inputs(5, 4, 7)

    def total(parameters, x):
        fresh = copy.copy(node)
        fresh.reset()
        return functional_call(fresh, parameters, (x,)).sum(0).square().sum()

    parameters = dict(node.named_parameters())
    results = []
    for backend in ("cpu", "torch"):
        clif.set_backend(node, backend)
        results.append(vmap(grad(total), (None, 0))(parameters, torch.stack([x, x + 0.1])))
    assert_close(*results)
