"""Activation checkpointing by block: the same gradients to the last bit, statistics once, spikes kept as bits."""

import copy
import pickle

import pytest
import torch
from torch import nn

import clif
from clif.errors import InputError
from clif.layers import BatchNorm2d, Conv2d, Dropout, LeakyIntegrator, Linear, Recurrent
from clif.models import create_model
from clif.neurons.blocks import ConvBlock
from clif.neurons.checkpointing import checkpoint_block

MODELS = ("spiking_resnet18", "spiking_resnet50", "spiking_vgg11_bn", "snn5_noAP", "vggsnn")


@clif.register_neuron("SlowIFOfBlocks")
class SlowIF(clif.SpikingNeuron):
    def step(self, x, v):
        u = 0.9 * v + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


def step(net, x, autocast=False):
    """The results of a training step: logits, gradients, buffers."""
    torch.manual_seed(1)
    clif.reset_net(net)
    net.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        logits = net(x)
    logits.float().square().mean().backward()
    return [logits.detach(), *(p.grad for p in net.parameters()), *net.buffers()]


def pair(net):
    twin = copy.deepcopy(net)
    clif.set_checkpoint_blocks(twin, True)
    return net, twin


def assert_same(first, second):
    assert len(first) == len(second)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def saved_bytes(net, x):
    """The bytes that autograd keeps between forward and backward, besides the parameters."""
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    kept = {}

    def keep(tensor):
        if (storage := tensor.untyped_storage()).data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = net(x)
    del result
    return sum(kept.values())


@pytest.mark.parametrize("model", MODELS)
def test_a_step_is_the_same_to_the_last_bit(model):
    net = create_model(model, "CLIF", T=2, drop_rate=0.2)
    x = torch.rand(2, 3, 32, 32)
    assert_same(*(step(one, x) for one in pair(net)))


@pytest.mark.parametrize("repeated", ["by the network", "as a leaf"])
@pytest.mark.parametrize("N", [1, 2])
def test_an_image_that_needs_a_gradient_gets_the_same(N, repeated):
    image, gradients = torch.rand(N, 3, 16, 16), []
    for net in pair(create_model("snn4", "CLIF", T=3, surrogate="sigmoid")):
        x = (image.expand(3, *image.shape) if repeated == "as a leaf" else image.clone()).requires_grad_()
        net(x).square().sum().backward()
        gradients.append(x.grad)
    assert gradients[0].any()
    assert torch.equal(*gradients)


@pytest.mark.parametrize("neuron", ["LIF", "PLIF", "SlowIFOfBlocks"])
@pytest.mark.parametrize("model", ["spiking_resnet18", "snn5_noAP"])
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_every_neuron_and_precision(model, neuron, autocast):
    net = create_model(model, neuron, T=2, in_channels=2, drop_rate=0.2)
    x = torch.rand(2, 2, 2, 32, 32)
    assert_same(*(step(one, x, autocast) for one in pair(net)))


@pytest.mark.parametrize("change", [
    lambda net: clif.set_backend(net, "torch"),
    lambda net: clif.set_fuse_norm(net, False),
    lambda net: clif.set_keep_state(net, True),
    lambda net: clif.neurons.set_gradient_window(net, 1),
    lambda net: net.eval(),
])  # fmt: skip
def test_every_way_to_compute(change):
    net = create_model("snn5_noAP", T=3)
    change(net)
    x = torch.rand(2, 3, 32, 32)
    assert_same(*(step(one, x) for one in pair(net)))


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("keep_state", [False, True])
def test_gradient_windows(window, keep_state):
    net = nn.Sequential(Linear(4, 8), clif.CLIFNode(step_mode="m"), Linear(8, 2))
    clif.set_keep_state(net, keep_state)
    clif.neurons.set_gradient_window(net, window)
    x = 4 * torch.rand(5, 3, 4)
    assert_same(*(step(one, x) for one in pair(net)))


def test_batch_norms_count_once():
    _, twin = pair(create_model("snn5_noAP", T=3))
    step(twin, torch.rand(2, 3, 32, 32))
    counts = {int(m.num_batches_tracked) for m in twin.modules() if isinstance(m, BatchNorm2d)}
    assert counts == {3}


def test_steps_one_by_one_and_streams_go_on_from_their_states():
    results = []
    for net in pair(create_model("snn5_noAP", T=3)):
        clif.set_step_mode(net, "s")
        clif.reset_net(net)
        stream, x = net.stream(), torch.ones(2, 3, 32, 32)
        logits = [net(x) + stream(x.flip(0)) for _ in range(3)]
        torch.stack(logits).square().sum().backward()
        results.append([*(p.grad for p in net.parameters()), *net.buffers()])
    assert_same(*results)


def test_states_that_are_kept_between_sequences():
    net = nn.Sequential(Linear(4, 8), clif.CLIFNode(step_mode="m"), Linear(8, 8), clif.PLIFNode(step_mode="m"))
    windows, results = [torch.randn(3, 2, 4) for _ in range(3)], []
    for one in pair(net):
        torch.stack([one(x).square().sum() + one[1].v.sum() for x in windows]).sum().backward()
        results.append([*(p.grad for p in one.parameters()), one[1].v.detach(), one[1].m.detach()])
    assert_same(*results)


def test_masks_states_and_keys_are_those_of_the_first_call():
    net = nn.Sequential(
        nn.Sequential(Linear(4, 8), clif.LIFNode(v_threshold=0.1), Dropout(0.5)),
        nn.Sequential(Dropout(0.5), Recurrent(clif.CLIFNode(), Linear(8, 8)), Linear(8, 3), LeakyIntegrator()),
    )
    clif.set_step_mode(net, "m")
    x, results = torch.randn(3, 2, 4), []
    for one in pair(net):
        torch.manual_seed(3)
        clif.layers.key_dropout(one, torch.tensor([1, 2]))
        y = one(x)
        clif.layers.key_dropout(one, None)
        one.eval()
        clif.reset_net(one)
        torch.manual_seed(9)
        y.square().sum().backward()
        assert one[0][1].state is None
        results.append([y.detach(), *(p.grad for p in one.parameters())])
    assert_same(*results)


def test_layers_of_torch_learn_once():
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), clif.LIFNode(), nn.Linear(8, 2))
    x, results = torch.randn(6, 4), []
    for one in pair(net):
        results.append(step(one, x))
    assert_same(*results)


def test_conv_blocks_fuse_as_before_within_other_containers():
    def block(C):
        return ConvBlock(Conv2d(C, 64, 3, padding=1), BatchNorm2d(64), clif.CLIFNode(step_mode="m"))

    net = nn.Sequential(block(4), nn.Sequential(block(64), clif.layers.AvgPool2d(2)))
    clif.set_keep_state(net, False)
    x = torch.randn(4, 2, 4, 16, 16).flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 2))
    assert_same(*(step(one, x) for one in pair(net)))


def test_what_is_kept_between_blocks_is_bits():
    x = torch.rand(2, 3, 32, 32)
    ours, twin = (saved_bytes(net, x) for net in pair(create_model("spiking_resnet18", T=4)))
    assert twin < ours / 20


def test_retained_graphs_are_computed_again():
    net, twin = pair(create_model("snn5_noAP", T=2))
    results = []
    for one in (net, twin):
        loss = one(torch.ones(1, 3, 32, 32)).square().mean()
        loss.backward(retain_graph=True)
        loss.backward()
        results.append([p.grad for p in one.parameters()])
    assert_same(*results)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Linear(4, 4)
        self.node = clif.CLIFNode(step_mode="m")

    def forward(self, x):
        return x + self.node(self.body(x))


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.blocks, self.head = Residual(), nn.ModuleList([Residual(), Residual()]), Linear(4, 2)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@pytest.mark.parametrize("blocks", [None, ("first", "blocks.1")])
def test_own_modules(blocks):
    net = Own()
    twin = copy.deepcopy(net)
    clif.set_checkpoint_blocks(twin, True, blocks)
    x, calls = torch.randn(3, 2, 4), []
    hook = twin.blocks[1].body.register_forward_hook(lambda *_: calls.append(1))
    assert_same(*(step(one, x) for one in (net, twin)))
    assert len(calls) == 2
    hook.remove()
    assert list(twin.state_dict()) == list(net.state_dict())
    assert_same(step(net, x), step(pickle.loads(pickle.dumps(twin)), x))
    clif.set_checkpoint_blocks(twin, False)
    assert not any("forward" in vars(module) for module in twin.modules())


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (("frist",), "unknown module 'frist'.*first"),
        (("first.node",), "first.node is a CLIFNode, which cannot be a block"),
        (("blocks",), "blocks is a ModuleList, which cannot be a block"),
        (("first", "first.body"), "first and first.body are nested"),
    ],
)
def test_names_that_are_no_blocks(blocks, message):
    with pytest.raises(InputError, match=message):
        clif.set_checkpoint_blocks(Own(), True, blocks)


def test_a_network_without_blocks_that_can_be_told():
    with pytest.raises(InputError, match="this Residual has no blocks"):
        clif.set_checkpoint_blocks(Residual(), True)


def test_parameters_that_changed_are_refused():
    net = nn.Sequential(nn.Linear(4, 8), clif.LIFNode())
    clif.set_checkpoint_blocks(net, True)
    loss = net(torch.ones(2, 4)).sum()
    with torch.no_grad():
        net[0].weight.add_(1)
    with pytest.raises(InputError, match="block changed in place between its forward and its"):
        loss.backward()


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_may_change_before_the_backward_pass(training):
    net, twin = pair(nn.Sequential(Conv2d(2, 4, 3), BatchNorm2d(4), clif.CLIFNode(step_mode="m")))
    x = 4 * torch.rand(3, 2, 2, 5, 5)
    for one in (net, twin):
        spikes = one.train(training)(x)
        one.train(not training)
        spikes.sum().backward()
    assert_same(*([*(p.grad for p in one.parameters()), *one.buffers()] for one in (net, twin)))


def test_parameters_of_a_functional_call():
    net, twin = pair(nn.Sequential(Linear(4, 8), clif.CLIFNode(step_mode="m"), Linear(8, 8), clif.CLIFNode()))
    clif.set_step_mode(net, "m")
    clif.set_step_mode(twin, "m")
    x, gradients = 4 * torch.rand(3, 2, 4), []
    given = {name: (2 * p).detach() for name, p in twin.named_parameters()}
    for one in (net, twin):
        parameters = {name: p.clone().requires_grad_() for name, p in given.items()}
        torch.func.functional_call(copy.deepcopy(one), parameters, (x,)).square().sum().backward()
        gradients.append([p.grad for p in parameters.values()])
    assert_same(*gradients)


def test_torch_func_is_refused():
    net = nn.Sequential(nn.Linear(4, 8), clif.LIFNode(), nn.Linear(8, 1))
    clif.set_checkpoint_blocks(net, True)
    with pytest.raises(InputError, match=r"under torch.func; .*set_checkpoint_blocks\(net, False\)"):
        torch.func.grad(lambda x: net(x).sum())(torch.ones(2, 4))


def test_an_input_needs_no_gradient_and_may_be_any():
    layer = nn.Linear(3, 3)
    x = torch.rand(2, 3)
    y = checkpoint_block([layer], lambda a, b: layer(a) + b, x, x > 0.5)
    y.sum().backward()
    assert torch.equal(layer.bias.grad, torch.full((3,), 2.0))
