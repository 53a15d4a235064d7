"""Networks of SpikingJelly's model zoo with neurons of clif: they compute the same as before, spike by spike."""

import importlib
import sys
import types

import pytest
import torch
from torch import nn

import clif
from clif.errors import InputError


@pytest.fixture
def zoo(monkeypatch):
    """Modules of the zoo by name. They import torchvision only for the addresses of weights, so a stand-in suffices."""
    reason = "no SpikingJelly 2.0"
    pytest.importorskip("spikingjelly.activation_based.memopt", reason=reason, exc_type=ImportError)
    try:
        importlib.import_module("torchvision._internally_replaced_utils")
    except (ImportError, RuntimeError):
        stand_in = types.ModuleType("torchvision._internally_replaced_utils")
        stand_in.load_state_dict_from_url = None
        monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    return lambda name: importlib.import_module(f"spikingjelly.activation_based.model.{name}")


def neuron():
    return importlib.import_module("spikingjelly.activation_based.neuron")


def lif(**options):
    return {"spiking_neuron": neuron().LIFNode, "decay_input": False, "v_threshold": 0.5, **options}


def vgg(zoo):
    return zoo("spiking_vgg").SpikingVGG([8, "M", 512, "M"], True, num_classes=5, **lif()), (3, 16, 16)


def resnet(zoo):
    return zoo("spiking_resnet").SpikingResNet(
        zoo("spiking_resnet").Bottleneck, [1, 1, 1, 1], num_classes=5, **lif()
    ), (3, 32, 32)


def sew(zoo):
    module = zoo("sew_resnet")
    return module.SEWResNet(module.BasicBlock, [1, 1, 1, 1], num_classes=5, cnf="IAND", **lif()), (3, 32, 32)


def plif_net(zoo):
    return zoo("parametric_lif_net").MNISTNet(channels=4, **lif(v_reset=None)), (1, 28, 28)


def ms_resnet(zoo):
    return zoo("ms_resnet").MSResNet(num_classes=5, layers=(1, 1, 1), base_channels=8), (3, 16, 16)


def masnn(zoo):
    return zoo("masnn").MASNN(4, channels=(8, 8, 8), fc_hidden=16, reduction_t=2, reduction_c=2), (2, 32, 32)


def attention_resnet(zoo):
    options = {"T": 4, "num_classes": 5, "layers": (1, 1, 1), "base_channels": 8, "reduction_c": 2}
    return zoo("masnn").AttMSResNet(**options), (3, 16, 16)


def spikformer(zoo):
    options = {"T": 4, "img_size_h": 32, "img_size_w": 32, "embed_dims": 16, "num_heads": 2, "depths": 1}
    return zoo("spikformer").Spikformer(num_classes=5, **options), (3, 32, 32)


def spikes_of(net, kinds):
    """A list that gets the spikes of every neuron, in the order of the calls."""
    found = []
    for module in net.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "modes"),
    [
        (vgg, "sm"),
        (resnet, "sm"),
        (sew, "sm"),
        (plif_net, "sm"),
        (ms_resnet, "m"),
        (masnn, "m"),
        (attention_resnet, "m"),
        (spikformer, "m"),
    ],
)
def test_converted_networks_compute_what_they_did(zoo, make, modes):
    functional = importlib.import_module("spikingjelly.activation_based.functional")
    torch.manual_seed(0)
    source, shape = make(zoo)
    source.eval()
    for module in source.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.constant_(module.weight, 4.0)  # so that deep layers fire
            nn.init.uniform_(module.bias, -1.0, 2.0)
    x_seq = torch.rand(4, 2, *shape) * 2
    for mode in modes:
        functional.set_step_mode(source, mode)
        converted = clif.convert(source, neuron="LIF")
        assert all(layer.differences == () for layer in converted.layers)
        theirs, ours = spikes_of(source, neuron().LIFNode), spikes_of(converted.net, clif.LIFNode)
        with torch.no_grad():
            for net in (source, converted.net):
                functional.reset_net(net)
                outputs = [net(x) for x in x_seq] if mode == "s" else [net(x_seq)]
                if net is source:
                    expected = outputs
            assert all(map(torch.equal, outputs, expected))
        assert len(theirs) == len(ours) >= len(converted.layers)
        assert all(map(torch.equal, ours, theirs))
        rates = torch.tensor([spikes.mean() for spikes in theirs])
        assert (rates > 0).double().mean() > 0.7
    assert converted.net.state_dict().keys() == source.state_dict().keys()


@pytest.mark.slow
def test_a_network_that_reads_the_step_mode_of_a_layer_is_one_of_clif(zoo):
    source, shape = resnet(zoo)
    converted = clif.convert(source.eval()).net
    net = clif.wrap(converted, T=2, input_shape=shape)
    x = torch.rand(2, *shape)
    expected = net(x)
    step = net.stream()
    torch.testing.assert_close(torch.stack([step(x), step(x)]), expected)


class Block(nn.Module):
    """A module with its own forward, which calls the given module."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x


@pytest.mark.usefixtures("zoo")
def test_layers_of_pytorch_and_activations_stay_in_a_network_with_neurons():
    layer = importlib.import_module("spikingjelly.activation_based.layer")
    lif_node = neuron().LIFNode(step_mode="m")
    pool = nn.AdaptiveAvgPool3d(1)
    converted = clif.convert(Block(layer.Linear(4, 4, step_mode="m"), lif_node, nn.ReLU(), nn.Sequential(pool)))
    net = converted.net
    assert converted.notes == ["parts.2: an activation in a network that has neurons, which stays"]
    assert type(net.parts[2]) is nn.ReLU
    assert type(net.parts[3][0]) is nn.AdaptiveAvgPool3d
    assert net(torch.rand(3, 2, 2, 4)).shape == (3, 1, 1, 1)


@pytest.mark.usefixtures("zoo")
def test_what_cannot_be_converted_exactly_says_why():
    layer = importlib.import_module("spikingjelly.activation_based.layer")
    LIFNode = neuron().LIFNode

    class OwnNode(LIFNode):
        pass

    class Memory(importlib.import_module("spikingjelly.activation_based.base").MemoryModule):
        pass

    mixed = nn.Sequential(layer.Flatten(), LIFNode(step_mode="m"))
    folded = nn.Sequential(layer.SeqToANNContainer(Block(nn.Flatten())), LIFNode(step_mode="m"))
    recurrent = layer.LinearRecurrentContainer(LIFNode(), 4, 4)
    refused = [
        (mixed, "0 takes one step and 1 a sequence"),
        (nn.Sequential(layer.SeqToANNContainer(nn.Linear(2, 2)), LIFNode()), "1 takes one step and 0 a sequence"),
        (folded, "0.0, a Block, defines its own forward, which SeqToANNContainer calls without the axis of time"),
        (nn.Sequential(recurrent), "0, a LinearRecurrentContainer, has its own state"),
        (nn.Sequential(LIFNode(), OwnNode()), "1 is a OwnNode of your own, derived from a neuron of SpikingJelly"),
        (nn.Sequential(LIFNode(), Memory()), "1, a Memory, has a state that SpikingJelly keeps"),
        (nn.Sequential(LIFNode(), layer.WSConv2d(1, 1, 3)), "1 is a WSConv2d of SpikingJelly"),
    ]
    for net, message in refused:
        with pytest.raises(InputError, match=message):
            clif.convert(net)
