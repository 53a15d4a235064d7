"""Truncated back-propagation through time compared with its definition in autograd."""

import pytest
import torch
from torch.testing import assert_close

import clif
from clif import surrogate
from clif.errors import InputError
from clif.neurons import exchange_neurons, set_gradient_window, set_tbptt
from clif.ops import cpu

compiled = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

T = 5
OPTIONS = [
    {},
    {"v_reset": -0.1, "decay_input": True},
    {"detach_reset": True, "v_threshold": 0.7},
]


def make(kind, **options):
    node = getattr(clif, f"{kind}Node")(surrogate_function=surrogate.Sigmoid(), step_mode="m", **options)
    return node.double()


def by_definition(node, x_seq, grad, window):
    """d/dx of Σ_t grad[t]·s[t], with the state before step t − window + 1 as a constant for s[t]; and the spikes."""
    parameters = [x_seq, *node.parameters()]
    totals = [torch.zeros_like(p) for p in parameters]
    spikes = []
    for t in range(len(x_seq)):
        node.reset()
        node.step_mode = "s"
        for step in range(t + 1):
            if step == t - window + 1:
                node.detach()
            spike = node(x_seq[step])
        found = torch.autograd.grad((spike * grad[t]).sum(), parameters, allow_unused=True)
        totals = [total + (0 if g is None else g) for total, g in zip(totals, found, strict=True)]
        spikes.append(spike)
    node.step_mode = "m"
    node.reset()
    return totals, torch.stack(spikes)


class Inhibited(clif.SpikingNeuron):
    """A step that is not element-wise: the mean over axis 1 [N, C] inhibits."""

    def step(self, x, v):
        u = v / 2 + x - 0.5 * x.mean(1, keepdim=True)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


@pytest.mark.parametrize("window", [1, 3])
def test_a_step_that_mixes_neurons_is_computed_step_by_step(window):
    node = Inhibited(surrogate_function=surrogate.Sigmoid(), step_mode="m").double()
    x_seq = torch.randn(T, 3, 4, dtype=torch.float64).mul(2).requires_grad_()
    grad = torch.randn(T, 3, 4, dtype=torch.float64)
    expected, spikes = by_definition(node, x_seq, grad, window)
    set_gradient_window(node, window)
    got = node(x_seq)
    assert torch.equal(got, spikes)
    assert_close(torch.autograd.grad((got * grad).sum(), x_seq)[0], expected[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["CLIF", "LIF", "PLIF"])
def test_the_gradient_is_that_of_a_window_that_slides(kind, window, options):
    node = make(kind, **options)
    x_seq = torch.randn(T, 3, 4, dtype=torch.float64).add(0.4).requires_grad_()
    grad = torch.randn(T, 3, 4, dtype=torch.float64)
    expected, spikes = by_definition(node, x_seq, grad, window)
    set_gradient_window(node, window)
    got = node(x_seq)
    assert torch.equal(got, spikes)
    assert 0 < got.mean() < 1
    for value, wanted in zip(
        torch.autograd.grad((got * grad).sum(), [x_seq, *node.parameters()]), expected, strict=True
    ):
        assert_close(value, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["CLIF", "LIF", "PLIF"])
def test_a_window_of_all_steps_is_the_whole_back_propagation(kind):
    node = make(kind)
    x_seq = torch.randn(T, 3, 4, dtype=torch.float64).add(0.4).requires_grad_()
    (expected,) = torch.autograd.grad(node(x_seq).pow(2).sum(), x_seq)
    last = node.state
    for window in (T, T + 3):
        node.reset()
        set_gradient_window(node, window)
        assert_close(torch.autograd.grad(node(x_seq).pow(2).sum(), x_seq)[0], expected)
        assert_close(node.state, last)


@pytest.mark.parametrize("kind", ["CLIF", "LIF"])
def test_a_shorter_window_loses_gradient_and_a_window_of_one_all_of_it_in_time(kind):
    node = make(kind)
    x_seq = torch.randn(T, 50, dtype=torch.float64).add(0.4).requires_grad_()
    reached = []
    for window in range(1, T + 1):
        node.reset()
        set_gradient_window(node, window)
        grad = torch.autograd.grad(node(x_seq)[-1].sum(), x_seq)[0]
        reached.append((grad.abs().sum(1) > 0).nonzero()[0].item())
    assert reached == [T - window for window in range(1, T + 1)]


def test_the_state_goes_on_as_without_truncation():
    first, second = make("CLIF"), make("CLIF")
    set_gradient_window(second, 2)
    x_seq = torch.randn(T, 3, 4, dtype=torch.float64).add(0.4).requires_grad_()
    for _ in range(2):
        assert torch.equal(first(x_seq), second(x_seq))
        assert_close(first.state, second.state)


def test_evaluation_and_none_leave_the_kernels_at_work(monkeypatch):
    from clif.neurons import sequence

    monkeypatch.setattr(sequence, "truncated_by_steps", None)
    monkeypatch.setattr(sequence, "truncated_by_sequences", None)
    node = make("CLIF")
    set_gradient_window(node, 2)
    with torch.no_grad():
        node(torch.randn(T, 3, dtype=torch.float64))
    set_gradient_window(node, None)
    node(torch.randn(T, 3, dtype=torch.float64, requires_grad=True))


class ByChannel(clif.SpikingNeuron):
    states = {"v": 0.0}
    learnable = {"leak": "channel"}

    def __init__(self, **options):
        super().__init__(**options)
        self.leak = torch.nn.Parameter(torch.linspace(0.4, 0.9, 6))

    def step(self, x, v, leak):
        v = v + leak * (x - v)
        s = self.fire(v)
        return s, self.reset_after(v, s)


@compiled
@pytest.mark.parametrize("layout", ["channels_last", "rows", "single", "empty"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [1, 3, 4])
@pytest.mark.parametrize("Node", [clif.CLIFNode, clif.PLIFNode, clif.ALIFNode, ByChannel])
def test_kernels_compute_the_windows_as_pytorch_does(Node, window, dtype, layout):
    shape = {"channels_last": (T, 2, 6, 4, 3), "rows": (T, 3, 6), "single": (T, 1, 6), "empty": (T, 0, 6)}[layout]
    values = torch.randn(2, *shape).add(0.5).to(dtype)
    if layout == "channels_last":
        values = values.flatten(0, 2).to(memory_format=torch.channels_last).unflatten(0, (2, T, 2))
    weights = torch.randn(shape)
    found = []
    for backend in ("cpu", "torch"):
        node = Node(step_mode="m", backend=backend)
        set_gradient_window(node, window)
        x_seqs = values.clone().requires_grad_()
        # The second sequence starts from the state after the first, through which gradients also flow.
        spikes = torch.stack([node(x_seq) for x_seq in x_seqs])
        gradients = torch.autograd.grad((spikes * weights).sum(), [x_seqs, *node.parameters()])
        found.append((spikes, node.state, gradients))
        assert clif.backend_for(node, x_seqs[0])[0] == backend
    (spikes, state, gradients), (expected, last, wanted) = found
    assert torch.equal(spikes, expected)
    assert_close(state, last)
    if dtype == torch.float32:
        assert_close(gradients, wanted)
    else:  # the sum over the windows of a step is rounded several times
        for got, gradient in zip(gradients, wanted, strict=True):
            assert (got - gradient).norm() <= 0.01 * gradient.norm()


@compiled
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile does it
def test_compiled_without_a_break():
    torch._dynamo.reset()
    node, x_seq = clif.CLIFNode(step_mode="m"), torch.randn(T, 2, 3, requires_grad=True)
    set_gradient_window(node, 2)
    expected = node.multi_step_functional_forward((x_seq,), (0.0, 0.0))
    whole = torch.compile(node.multi_step_functional_forward, fullgraph=True, backend="eager")
    assert_close(whole((x_seq,), (0.0, 0.0)), expected)


def test_neurons_are_exchanged_with_their_constants():
    options = {"tau": 1.7, "v_threshold": 0.8, "v_reset": -0.2, "decay_input": True, "detach_reset": True}
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), clif.LIFNode(**options, step_mode="m"), clif.LIFNode())
    set_gradient_window(net, 3)
    before = net.state_dict()
    exchange_neurons(net.eval(), "CLIF")
    assert [type(module) for module in net[1:]] == [clif.CLIFNode, clif.CLIFNode]
    assert {name: getattr(net[1], name) for name in options} == options
    assert (net[1].step_mode, net[1].gradient_window, net[1].training, net[2].step_mode) == ("m", 3, False, "s")
    assert net.state_dict().keys() == before.keys()
    exchange_neurons(net, "LIF")
    assert type(net[2]) is clif.LIFNode


def test_other_neurons_are_not_exchanged():
    with pytest.raises(InputError, match="ReLU is not a spiking neuron"):
        exchange_neurons(torch.nn.Sequential(clif.LIFNode()), "ReLU")
    with pytest.raises(InputError, match="unknown neuron 'LIG'"):
        exchange_neurons(torch.nn.Sequential(clif.LIFNode()), "LIG")
    with pytest.raises(InputError, match="no spiking neuron to exchange"):
        exchange_neurons(torch.nn.Sequential(torch.nn.ReLU()), "CLIF")


def test_a_learnt_time_constant_starts_where_it_was():
    net = torch.nn.Sequential(clif.CLIFNode(tau=3.0))
    exchange_neurons(net, "PLIF")
    assert net[0].tau == pytest.approx(3.0)
    exchange_neurons(net, "LIF")
    assert type(net[0]) is clif.LIFNode
    assert net[0].tau == pytest.approx(3.0)


@pytest.mark.parametrize("kind", ["CLIF", "LIF", "PLIF"])
def test_storing_v_seq_leaves_the_gradient_truncated(kind):
    x_seq = torch.randn(T, 3, 4, dtype=torch.float64).add(0.4)
    gradients, voltages = [], []
    for store_v_seq, window in ((False, 2), (True, 2), (True, None)):
        node = make(kind, store_v_seq=store_v_seq)
        set_gradient_window(node, window)
        x = x_seq.clone().requires_grad_()
        gradients.append(torch.autograd.grad(node(x).square().sum(), x)[0])
        voltages.append(node.v_seq)
    assert_close(gradients[1], gradients[0], rtol=1e-12, atol=1e-14)
    assert not torch.equal(gradients[1], gradients[2])
    assert torch.equal(voltages[1], voltages[2])


@pytest.mark.parametrize("window", [0, -1, 1.5, "2"])
def test_a_window_of_no_step_is_refused(window):
    node = make("CLIF")
    with pytest.raises(InputError, match="a whole number of at least 1 time step, got"):
        set_gradient_window(node, window)
    node.gradient_window = window
    with pytest.raises(InputError, match="a whole number of at least 1 time step, got"):
        node(torch.randn(T, 3, dtype=torch.float64, requires_grad=True))


def test_the_former_name_warns():
    node = clif.CLIFNode(step_mode="m")
    with pytest.warns(FutureWarning, match="set_tbptt is now set_gradient_window"):
        set_tbptt(node, 2)
    assert node.gradient_window == 2
