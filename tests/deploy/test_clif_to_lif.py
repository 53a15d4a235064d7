"""A CLIF network as a LIF network: a copy that differs only in its neurons."""

import copy

import pytest
import torch
from torch.testing import assert_close

import clif
from clif.deploy import clif_to_lif
from clif.errors import InputError
from clif.models import create_model
from clif.train.checkpoint import save_checkpoint

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("v_reset", [None, 0.0, -0.06])
@pytest.mark.parametrize("trained", ["CLIF", "LIF"])
@torch.no_grad()
def test_it_equals_a_lif_network_made_with_the_same_weights(firing_network, trained, v_reset):
    net = firing_network(trained).eval()
    made = create_model("snn5_noAP", "LIF", T=3, v_reset=v_reset).eval()
    made.load_state_dict(net.state_dict())
    lif = clif_to_lif(net, v_reset)
    assert_close(lif(X), made(X), rtol=0, atol=0)
    assert lif.config == made.config
    if trained == "CLIF" or v_reset is not None:
        assert not torch.equal(lif(X), net(X))


@pytest.mark.parametrize("v_reset", [None, 0.0])
@torch.no_grad()
def test_a_network_made_with_another_amount_of_reset_reloads(tmp_path, v_reset):
    lif = clif_to_lif(create_model("snn5_noAP", "LIF", T=3, v_subtract=1.5).eval(), v_reset)
    clif.export.to_safetensors(lif, tmp_path / "lif.safetensors")
    assert_close(clif.load(tmp_path / "lif.safetensors")(X), lif(X), rtol=0, atol=0)


@torch.no_grad()
def test_each_reset_value_gives_other_logits(firing_network):
    net = firing_network().eval()
    logits = [clif_to_lif(net, v_reset)(X) for v_reset in (None, 0.0, -0.06)]
    assert not torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[1], logits[2])


@torch.no_grad()
def test_the_network_itself_is_left_alone(firing_network):
    net = firing_network().eval()
    before, config, state = net(X), copy.deepcopy(net.config), copy.deepcopy(net.state_dict())
    lif = clif_to_lif(net, -0.06)
    for p in lif.parameters():
        p.zero_()
    assert_close(net.state_dict(), state, rtol=0, atol=0)
    assert_close(net(X), before, rtol=0, atol=0)
    assert net.config == config
    assert {type(m) for m in net.modules() if isinstance(m, clif.neurons.SpikingNeuron)} == {clif.CLIFNode}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_dtype_mode_and_step_mode_are_kept(firing_network, dtype, training, step_mode):
    net = firing_network().to(dtype).train(training)
    clif.set_step_mode(net, step_mode)
    lif = clif_to_lif(net, -0.06)
    assert {p.dtype for p in lif.parameters()} == {dtype}
    nodes = [m for m in lif.modules() if isinstance(m, clif.neurons.SpikingNeuron)]
    assert {type(node) for node in nodes} == {clif.LIFNode}
    assert {(node.training, node.step_mode) for node in nodes} == {(training, step_mode)}
    assert (lif.training, lif.step_mode) == (training, step_mode)
    assert lif(X.to(dtype)).dtype == dtype


def test_what_is_set_on_the_neurons_is_kept(firing_network):
    options = {"v_threshold": 0.8, "detach_reset": True, "decay_input": True, "backend": "torch", "store_v_seq": True}
    net = firing_network("CLIF", tau=1.5, surrogate="sigmoid", **options)
    node = clif_to_lif(net, -0.02).features[2].act
    assert {key: getattr(node, key) for key in options} == options
    assert (node.tau, node.v_reset) == (1.5, -0.02)
    assert isinstance(node.surrogate_function, clif.surrogate.Sigmoid)


@torch.no_grad()
def test_it_is_at_rest_whatever_the_network_went_through(firing_network):
    net = firing_network().eval()
    clif.set_step_mode(net, "s")
    net(X)
    warm, fresh = clif_to_lif(net), clif_to_lif(firing_network().eval())
    clif.set_step_mode(fresh, "s")
    assert_close(warm(X), fresh(X), rtol=0, atol=0)


def test_the_state_dict_is_the_same(firing_network):
    net = firing_network()
    assert_close(dict(clif_to_lif(net, 0.0).state_dict()), dict(net.state_dict()), rtol=0, atol=0)


def test_every_neuron_of_a_deep_network_is_converted():
    net = create_model("spiking_resnet18", "CLIF", T=1)
    lif = clif_to_lif(net, -0.06)
    assert not any(isinstance(m, clif.CLIFNode) for m in lif.modules())
    count = sum(isinstance(m, clif.CLIFNode) for m in net.modules())
    assert sum(isinstance(m, clif.LIFNode) and m.v_reset == -0.06 for m in lif.modules()) == count == 17


@pytest.mark.parametrize(("neuron", "message"), [("PLIF", "PLIF network"), ("ReLU", "no CLIF or LIF neuron")])
def test_networks_that_cannot_be_converted_are_refused(neuron, message):
    with pytest.raises(InputError, match=message):
        clif_to_lif(create_model("snn5_noAP", neuron, T=2))


@pytest.mark.parametrize("neuron", ["IF", "KLIF", "CLIFTau"])
def test_neurons_that_lif_is_no_stand_in_for_are_refused(neuron):
    net = create_model("snn5_noAP", neuron)
    with pytest.raises(InputError, match=rf"features\.0\.act is a {neuron}Node; only CLIF and LIF become LIF"):
        clif_to_lif(net)


def own(config):
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), clif.CLIFNode(), torch.nn.Linear(8, 2))
    net.config = config
    return net


@pytest.mark.parametrize(
    "config", [{"neuron": "mine", "layer_options": 3}, [1], object()], ids=["dict", "list", "object"]
)
def test_an_attribute_config_of_your_own_module_stays(config, tmp_path):
    net = own(config)
    lif = clif_to_lif(net, 0.0)
    assert isinstance(lif[1], clif.LIFNode)
    if isinstance(config, dict):
        assert lif.config == {"neuron": "mine", "layer_options": 3}
    clif.neurons.exchange_neurons(net, "LIF")
    assert net.config is config
    save_checkpoint(tmp_path / "net.pth", {"net": net.state_dict()})
    assert clif.load(tmp_path / "net.pth", net=net) is net


def test_a_single_neuron_is_refused():
    with pytest.raises(InputError, match="a single CLIFNode cannot be replaced"):
        clif_to_lif(clif.CLIFNode())


def test_hooks_of_the_neurons_stay_on_the_copy():
    net, seen = create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval(), []
    handle = net.features[0].act.register_forward_hook(lambda module, *_: seen.append(type(module).__name__))
    lif = clif_to_lif(net)
    handle.remove()
    lif(torch.rand(1, 3, 16, 16))
    net(torch.rand(1, 3, 16, 16))
    assert seen == ["LIFNode"]
