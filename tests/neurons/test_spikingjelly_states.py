"""Inside SpikingJelly 2.0: its functions of states, and its memory optimiser, on networks with our neurons."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import clif
from clif.errors import InputError
from clif.layers import Dropout
from clif.surrogate import Sigmoid

REASON = "SpikingJelly 2.0 cannot be imported"
memopt = pytest.importorskip("spikingjelly.activation_based.memopt", reason=REASON, exc_type=ImportError)
if not hasattr(memopt, "optimize_memory"):
    pytest.skip(REASON, allow_module_level=True)
from spikingjelly.activation_based import base, functional, layer  # noqa: E402
from spikingjelly.activation_based import neuron as sj_neuron  # noqa: E402
from spikingjelly.activation_based.functional import net_config  # noqa: E402
from spikingjelly.activation_based.memopt import pipeline  # noqa: E402
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper  # noqa: E402


class Block(nn.Module):
    """A module with a buffer; SpikingJelly loads its states during a call."""

    def __init__(self, node):
        super().__init__()
        self.linear, self.node = nn.Linear(5, 5), node
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x):
        return self.node(self.linear(x) * self.scale)


def sequential(Node):
    return nn.Sequential(nn.Linear(5, 5), Node(step_mode="m", surrogate_function=Sigmoid()), nn.Linear(5, 5))


class Pair(nn.Module):
    """A module that the memory optimiser may split into those of `net`."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


NETWORKS = {
    "node": lambda Node: Node(step_mode="m", surrogate_function=Sigmoid()),
    "sequential": sequential,
    "with theirs": lambda Node: sequential(Node).append(sj_neuron.LIFNode(step_mode="m")),
    "block": lambda Node: Block(Node(step_mode="m", surrogate_function=Sigmoid())),
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys())
def net(request, Node):
    return request.param(Node).double()


def outcome(net, x):
    """The results of a call: output, states and buffers, and all gradients."""
    x = x.clone().requires_grad_()
    net.zero_grad()
    y = net(x)
    (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    states = [state.detach() for state in base.extract_memories(net)]
    return [y.detach(), *states, x.grad, *(p.grad for p in net.parameters()), *net.buffers()]


def sequences(T=6):
    return torch.randn(T, 3, 5, dtype=torch.float64)


def test_states_are_found_by_name(Node):
    net = nn.ModuleDict({"first": Node(), "rest": nn.Sequential(nn.Linear(5, 5), Node())})
    names = [f"{place}.{name}" for place in ("first", "rest.1") for name in net["first"].states]
    assert list(dict(base.named_memories(net))) == names
    assert [name for name, _ in base.named_memories(net, prefix="net")] == [f"net.{name}" for name in names]
    assert list(base.memories(net)) == base.extract_memories(net) == [0.0] * len(names)


def test_states_are_loaded(Node):
    net = nn.Sequential(Node(), Node())
    values = [torch.full((2,), float(i)) for i, _ in enumerate(base.memories(net))]
    base.load_memories(net, values)
    assert all(found is value for found, value in zip(base.memories(net), values, strict=True))
    with pytest.raises(ValueError, match="Memory length mismatch"):
        base.load_memories(net, values[:-1])
    base.load_memories(net, [0.0] * len(values))
    assert net[0].state is None


def test_functional_forward_of_a_network(net):
    x, start = sequences(), [torch.rand(3, 5, dtype=torch.float64) for _ in base.memories(net)]
    (y,), states = base.to_functional_forward(net)((x,), tuple(start))
    assert set(base.extract_memories(net)) == {0.0}
    base.load_memories(net, start)
    assert torch.equal(net(x), y)
    assert_close(base.extract_memories(net), list(states))


def test_the_mask_of_a_dropout_is_a_state(Node):
    net, x = nn.Sequential(Node(v_threshold=0.1), Dropout(0.5)), torch.ones(2, 50)
    forward = base.to_functional_forward(net)
    (first,), states = forward((x,), tuple(base.extract_memories(net)))
    assert net[1].mask is None
    (again,), _ = forward((x,), (*(0.0 for _ in net[0].states), states[-1]))
    assert torch.equal(again, first)
    assert 0 < first.count_nonzero() < first.numel()


@pytest.mark.parametrize("container", [layer.MultiStepContainer, lambda node: layer.StepModeContainer(True, "m", node)])
def test_functional_forward_of_a_container_that_loops(container, Node):
    module, x = container(Node()), torch.full((2, 1, 2), 1.5)
    rest = tuple(base.extract_memories(module))
    (y,), states = base.to_functional_forward(module)((x,), rest)
    assert tuple(base.extract_memories(module)) == rest
    assert torch.equal(module(x), y)
    assert_close(base.extract_memories(module), list(states))


def test_the_number_of_states_is_checked(net):
    with pytest.raises(ValueError, match=r"expected \d states"):
        base.to_functional_forward(net)((sequences(),), ())


def test_a_state_of_another_shape_is_refused(net):
    node = next(module for module in net.modules() if isinstance(module, clif.neurons.SpikingNeuron))
    states = tuple(torch.zeros(7, 7) if "v" in name else 0.0 for name, _ in base.named_memories(net))
    with pytest.raises(InputError, match=r"the state v is \[7, 7\]"):
        base.to_functional_forward(net)((sequences(),), states)
    assert node.state is None


def test_its_functions_on_networks_say_nothing(net, monkeypatch):
    said = []
    monkeypatch.setattr(net_config.logger, "warning", lambda *message: said.append(message))
    net = nn.Sequential(net, Dropout(0.5, step_mode="m"))
    net.eval()(sequences().requires_grad_())
    assert any(isinstance(state, torch.Tensor) and state.requires_grad for state in base.memories(net))
    functional.detach_net(net)
    assert not any(state.requires_grad for state in base.memories(net) if isinstance(state, torch.Tensor))
    functional.reset_net(net)
    assert set(base.extract_memories(net)) <= {0.0, None}
    functional.set_step_mode(net, "s")
    assert net[1].step_mode == "s"
    assert not said


@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_a_checkpointed_module_computes_the_same(net, chunks):
    twin = copy.deepcopy(net)
    wrapped = memopt.checkpoint_module(twin, chunks=chunks)
    for _ in range(3):
        x = sequences()
        assert_close(outcome(wrapped, x), outcome(net, x), rtol=1e-9, atol=1e-9)
        functional.detach_net(net)
        functional.detach_net(wrapped)


def test_a_reset_may_come_before_the_backward_pass(net):
    results = []
    for run in (net, memopt.checkpoint_module(net, chunks=2)):
        x = sequences().fill_(0.4).requires_grad_()
        functional.reset_net(run)
        loss = run(x).square().sum()
        functional.reset_net(run)
        loss.backward()
        results.append(x.grad)
        assert set(base.extract_memories(net)) == {0.0}
    assert_close(*results)


def test_neurons_that_begin_every_sequence_at_rest(Node):
    net = sequential(Node).double()
    clif.set_keep_state(net, False)
    wrapped, x = memopt.checkpoint_module(copy.deepcopy(net), chunks=2), sequences()
    for _ in range(2):
        assert_close(wrapped(x), net(x), rtol=0, atol=0)


def test_a_checkpoint_keeps_the_input_alone_or_its_bits(Node):
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    net = nn.Sequential(*(Node(step_mode="m", surrogate_function=Sigmoid()) for _ in range(2)))
    x = torch.randint(0, 2, (16, 4, 32)).float().requires_grad_()
    compressed = memopt.checkpoint_module(net, compressor=memopt.BitSpikeCompressor())
    amounts, gradients = [], []
    for run in (net, memopt.checkpoint_module(net), compressed):
        functional.reset_net(net)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = run(x)
        amounts.append(sum(kept.values()))
        kept.clear()
        gradients.append(torch.autograd.grad(y.square().sum(), x))
    of_x = 4 * x.numel()
    assert amounts[0] >= 2 * of_x
    assert amounts[1] == of_x
    assert amounts[2] < of_x / 16
    assert_close(gradients[1:], gradients[:1] * 2)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile does it
def test_a_checkpointed_neuron_compiles_without_a_break(Node):
    torch._dynamo.reset()
    node, x = Node(step_mode="m", surrogate_function=Sigmoid()).double(), sequences()
    wrapped = memopt.checkpoint_module(copy.deepcopy(node))
    assert_close(outcome(torch.compile(wrapped, backend="eager", fullgraph=True), x)[0], outcome(node, x)[0])


def optimised(net, example, **options):
    return memopt.optimize_memory(copy.deepcopy(net), type(net[1]), example, **options)


def wrappers(net):
    return [module for module in net.modules() if isinstance(module, CheckpointWrapper)]


def test_optimize_memory_probes_without_a_trace_and_checkpoints_neurons(Node):
    net, x = sequential(Node).double(), sequences()
    twin = optimised(net, lambda net: net(x), level=1)
    assert isinstance(twin[1], CheckpointWrapper)
    assert twin[1]._checkpoint_wrapped_module.state is None
    assert_close(outcome(twin, x), outcome(net, x), rtol=1e-9, atol=1e-9)


def test_optimize_memory_cuts_sequences_where_it_helps(Node, monkeypatch):
    def peak(net, example):
        pipeline._execute_example(net, example, backward=True)
        return -sum(pipeline._checkpoint_options(module)["chunks"] for module in wrappers(net))

    monkeypatch.setattr(pipeline, "_measure_peak", peak)
    net, x = nn.Sequential(nn.Linear(5, 5), Pair(sequential(Node))).double(), sequences()
    twin = optimised(
        net,
        lambda net: functional.reset_net(net) or net(x),
        level=3,
        split_fn=lambda module: list(module.net)[:2] if isinstance(module, Pair) else (),
        can_chunk=lambda module: isinstance(module, clif.neurons.SpikingNeuron),
    )
    functional.reset_net(twin)
    assert [pipeline._checkpoint_options(module)["chunks"] for module in wrappers(twin)] == [1, 4]
    assert_close(outcome(twin, x), outcome(net, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chunks", [1, 2])
def test_networks_of_ours(chunks):
    image = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    net = clif.models.create_model("spiking_resnet18", T=2, surrogate="sigmoid").double()
    clif.set_keep_state(net, chunks > 1)
    twin = copy.deepcopy(net)
    for name in ("layer1", "layer3"):
        setattr(twin, name, memopt.checkpoint_module(getattr(twin, name), chunks=chunks))
    results = []
    for run in (net, twin):
        run(image).square().sum().backward()
        results.append([[p.grad for p in run.parameters()], [b.clone() for b in run.buffers()]])
    assert_close(*results, rtol=1e-9, atol=1e-9)


def test_states_are_declared_not_registered(Node):
    node = Node(v_reset=-0.5)
    assert isinstance(node, base.MemoryModule)
    assert node.get_reset_value("v") == -0.5
    with pytest.raises(KeyError, match="w is not a state of"):
        node.get_reset_value("w")
    with pytest.raises(InputError, match=r"declares its states by name in `states`; 'w' cannot be registered"):
        node.register_memory("w", 0.0)
    with pytest.raises(InputError, match=r"v by v_reset; 'v' cannot be set here"):
        node.set_reset_value("v", 0.0)
    assert Dropout(0.5).get_reset_value("mask") is None


@pytest.mark.slow
def test_neurons_follow_when_it_is_loaded_later():
    code = """
import sys
import clif
before = clif.LIFNode()
assert not any(name.startswith("spikingjelly") for name in sys.modules)
assert list(before.named_memories()) == [("v", 0.0)]
from spikingjelly.activation_based import base
after = clif.layers.Dropout(0.1)
assert isinstance(before, base.MemoryModule) and isinstance(after, base.MemoryModule)
assert list(base.named_memories(before)) == [("v", 0.0)]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
