"""Subclasses with their own computation: no built-in function replaces it."""

import pytest
import torch
from torch import nn

import clif
from clif import models
from clif.errors import InputError
from clif.layers import BatchNorm2d
from clif.neurons import exchange_neurons, set_gradient_window, set_keep_state
from clif.neurons.blocks import ConvBlock
from clif.ops import cpu

compiled = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)


class OwnStep(clif.LIFNode):
    def step(self, x, v):
        spike, v = super().step(x, v)
        return spike * 0, v


class OwnFire(clif.LIFNode):
    def fire(self, u, threshold=None):
        return super().fire(u, threshold) * 0


class OwnSingleStep(clif.LIFNode):
    def single_step_forward(self, x):
        return super().single_step_forward(x) * 0


class OwnMultiStep(clif.LIFNode):
    def multi_step_forward(self, x_seq):
        return super().multi_step_forward(x_seq) * 0


class OwnForward(clif.LIFNode):
    def forward(self, x):
        return super().forward(x) * 0


class OwnFormula(clif.LIFNode):
    """A step for which no kernel can be generated."""

    def step(self, x, v):
        spike, v = super().step(x, v)
        return spike * float(x.sum() > 1e9), v


class Silent(clif.LIFNode):
    """An instance with its own function."""

    def __init__(self, **options):
        super().__init__(**options)
        self.single_step_forward = torch.zeros_like


class Named(clif.LIFNode):
    """Overrides nothing."""


OWN = [OwnStep, OwnFire, OwnSingleStep, OwnMultiStep, OwnForward, OwnFormula, Silent]


def channels_last(*shape):
    x = torch.rand(shape) * 3
    return x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, shape[:2])


def block(node):
    norm = BatchNorm2d(8)
    nn.init.constant_(norm.bias, 2.0)
    return ConvBlock(norm, node)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("keep_state", [True, False])
@pytest.mark.parametrize("Own", OWN)
def test_its_own_computation_runs_behind_a_batch_norm(Own, keep_state, training):
    x_seq = channels_last(4, 2, 8, 6, 6)
    node = Own(step_mode="m")
    set_keep_state(node, keep_state)
    assert not block(node).train(training)(x_seq).any()
    assert block(Named(step_mode="m")).train(training)(x_seq).any()


@pytest.mark.parametrize("Own", [OwnStep, OwnFire, OwnSingleStep, OwnForward, OwnFormula, Silent])
def test_its_own_computation_runs_in_single_steps(Own):
    node = Own()
    assert not any(node(x).any() for x in torch.rand(4, 3, 8) * 3)


class StepOf(clif.CLIFNode):
    def step(self, x, v, m):
        return super().step(x, v, m)


class SingleOf(clif.CLIFNode):
    def single_step_forward(self, x):
        return super().single_step_forward(x)


@pytest.mark.parametrize("keep_state", [True, False])
@pytest.mark.parametrize("store_v_seq", [True, False])
@pytest.mark.parametrize("Own", [StepOf, SingleOf])
def test_a_sequence_follows_from_its_steps(Own, store_v_seq, keep_state):
    nodes = [kind(step_mode="m", store_v_seq=store_v_seq, v_reset=-0.1).double() for kind in (Own, clif.CLIFNode)]
    x_seq = torch.rand(4, 3, 8, dtype=torch.float64) * 3
    found = []
    for node in nodes:
        set_keep_state(node, keep_state)
        x = x_seq.clone().requires_grad_()
        outputs = [node(x), node(x)]
        torch.cat(outputs).square().sum().backward()
        found.append([*outputs, x.grad])
        assert (node.state is None) is not keep_state
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected)
    if store_v_seq:
        assert torch.equal(nodes[0].v_seq, nodes[1].v_seq)


@compiled
@pytest.mark.parametrize(
    ("Own", "options", "window", "message"),
    [
        (SingleOf, {"backend": "cpu"}, None, 'SingleOf needs backend "auto" or "torch"'),
        (OwnFormula, {"backend": "cpu"}, None, r"test_subclasses.py, line \d+ .* a kernel has no tensor.sum"),
        (SingleOf, {}, 2, "defines single_step_forward: define step"),
    ],
)
def test_what_cannot_be_is_refused(Own, options, window, message):
    node = Own(step_mode="m", **options)
    set_gradient_window(node, window)
    with pytest.raises(InputError, match=message):
        node(torch.rand(4, 3, 8, requires_grad=True))


@pytest.mark.parametrize("name", ["one_step", "many_steps", "dynamics"])
def test_what_nothing_would_call_is_refused(name):
    with pytest.raises(InputError, match=rf"defines {name}, which is never called; define step"):
        type("Own", (clif.LIFNode,), {name: lambda: None})


class OwnCLIF(clif.CLIFNode):
    def multi_step_forward(self, x_seq):
        return super().multi_step_forward(x_seq) * 0


class NamedCLIF(clif.CLIFNode):
    pass


def network(node, **options):
    net = models.create_model("snn5_noAP", T=2, **options)
    net.features[2].act = node
    return net


def test_no_other_neuron_takes_its_place():
    net = network(OwnCLIF(step_mode="m"))
    before = [type(module) for module in net.modules()]
    with pytest.raises(InputError, match=r"OwnCLIF overrides the neuron's computation \(multi_step_forward\)"):
        clif.deploy.clif_to_lif(net)
    with pytest.raises(InputError, match="OwnCLIF overrides the neuron's computation"):
        exchange_neurons(net, "LIF")
    assert [type(module) for module in net.modules()] == before
    assert type(clif.deploy.clif_to_lif(network(NamedCLIF(step_mode="m"))).features[2].act) is clif.LIFNode


@pytest.mark.parametrize("node", [OwnCLIF(step_mode="m"), clif.LIFNode(step_mode="m")])
def test_its_energy_is_not_known(node):
    with pytest.raises(InputError, match=r"features\.2\.act is a (OwnCLIF|LIFNode); its operations are not known"):
        clif.energy.estimate(network(node), [(torch.rand(1, 3, 32, 32), torch.zeros(1))])


def test_nir_has_no_such_neuron():
    pytest.importorskip("nir")
    with pytest.raises(InputError, match="OwnMultiStep, which overrides the neuron's computation"):
        clif.export.to_nir(network(OwnMultiStep(step_mode="m", v_reset=0.0), neuron="LIF", v_reset=0.0))


@pytest.mark.parametrize("name", ["tau", "v_threshold"])
def test_constants_are_checked_behind_a_batch_norm(name):
    node = clif.CLIFNode(step_mode="m")
    setattr(node, name, float("nan"))
    with pytest.raises(InputError, match=f"{name} must be a finite number"):
        block(node)(channels_last(4, 2, 8, 6, 6))


@pytest.mark.parametrize("way", ["instance", "global hook"])
def test_a_batch_norm_that_someone_watches_is_called(way):
    norm_and_node = block(clif.CLIFNode(step_mode="m"))
    norm, seen = norm_and_node[0], []
    if way == "instance":
        original = norm.forward
        norm.forward = lambda x: seen.append(norm) or original(x)
        norm_and_node(channels_last(4, 2, 8, 6, 6))
    else:
        handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
        try:
            norm_and_node(channels_last(4, 2, 8, 6, 6))
        finally:
            handle.remove()
    assert any(module is norm for module in seen)
