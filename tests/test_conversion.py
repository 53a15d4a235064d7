"""Networks of other libraries with neurons of clif, compared with the originals if the dynamics agree."""

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import clif
from clif.errors import InputError
from clif.surrogate import ATan, Rectangle, Sigmoid, Triangle


def test_activations_become_neurons_and_weights_stay():
    ann = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).double()
    converted = clif.convert(ann, tau=1.5)
    assert isinstance(ann[2], nn.ReLU)
    assert isinstance(converted.net[2], clif.CLIFNode)
    assert converted.net[2].tau == 1.5
    assert torch.equal(converted.net[0].weight, ann[0].weight)
    assert ann.state_dict().keys() == converted.net.state_dict().keys()
    assert str(converted).startswith("2: ReLU -> CLIFNode\n    differs: it fires 0 or 1 over time")
    assert "tau=1.5 (clif's default: 2.0)" in str(converted)
    net = clif.wrap(converted.net, T=3)
    assert net(torch.rand(2, 1, 8, 8, dtype=torch.float64)).shape == (3, 2, 2)


def test_a_shared_activation_becomes_a_neuron_for_each_place():
    relu = nn.ReLU()
    net = clif.convert(nn.Sequential(nn.Linear(2, 2), relu, nn.Linear(2, 2), relu)).net
    assert net[1] is not net[3]


def test_hooks_of_replaced_layers_stay_on_the_copy():
    net, seen = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), []
    handle = net[1].register_forward_hook(lambda module, *_: seen.append(type(module)))
    converted = clif.convert(net).net
    handle.remove()
    converted(torch.rand(2, 4))
    net(torch.rand(2, 4))
    assert seen == [clif.CLIFNode]


class Twice(nn.Module):
    def __init__(self, function=None):
        super().__init__()
        self.linear, self.relu, self.function = nn.Linear(2, 2), nn.ReLU(), function

    def forward(self, x):
        x = self.relu(self.linear(x))
        return self.function(x) if self.function else self.relu(x)


def test_an_activation_that_is_called_twice_is_refused_and_a_function_noted():
    with pytest.raises(InputError, match="relu is called more than once"):
        clif.convert(Twice())
    assert clif.convert(Twice(F.relu)).notes == [
        "relu is called as a function and stays; make it a module to replace it"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((nn.Sequential(nn.Linear(2, 2)),), "no activation module"),
        ((nn.Sequential(nn.ReLU()), "CLIFF"), "did you mean CLIF"),
        ((nn.Sequential(nn.ReLU()), clif.CLIFNode), 'a neuron is given by its registered name, such as "CLIF"'),
    ],
)
def test_what_cannot_be_converted_says_why(arguments, message):
    with pytest.raises(InputError, match=message):
        clif.convert(*arguments)
    with pytest.raises(InputError, match="unknown option of the neuron CLIF 'thau'; did you mean tau"):
        clif.convert(nn.Sequential(nn.ReLU()), thau=2.0)


def jelly():
    reason = "no SpikingJelly 2.0"
    pytest.importorskip("spikingjelly.activation_based.memopt", reason=reason, exc_type=ImportError)
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    return functional, layer, neuron, surrogate


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("v_reset", [None, 0.0])
@pytest.mark.parametrize("kind", ["LIFNode", "IFNode", "ParametricLIFNode"])
def test_networks_of_spikingjelly_compute_what_they_did(kind, v_reset, step_mode):
    functional, layer, neuron, _ = jelly()
    torch.manual_seed(0)
    constants = {"v_reset": v_reset, "v_threshold": 0.25, **({} if kind == "IFNode" else {"decay_input": False})}
    source = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1),
        layer.BatchNorm2d(4),
        getattr(neuron, kind)(**constants),
        layer.MaxPool2d(2),
        layer.Dropout(0.1),
        layer.Flatten(),
        layer.Linear(64, 32),
        getattr(neuron, kind)(**constants),
    ).eval()
    functional.set_step_mode(source, step_mode)
    x_seq = torch.rand(4, 2, 1, 8, 8) * 4
    converted = clif.convert(source, neuron=None)
    assert not any(type(module).__module__.startswith("spikingjelly") for module in converted.net.modules())
    run = (lambda net: net(x_seq)) if step_mode == "m" else (lambda net: torch.stack([net(x) for x in x_seq]))
    expected = run(source)
    assert 0 < expected.mean() < 1
    assert torch.equal(run(converted.net), expected)
    if kind != "ParametricLIFNode":
        assert converted.net.state_dict().keys() == source.state_dict().keys()
    assert converted.layers[0].differences == ()
    assert (
        "surrogate_function=Sigmoid(alpha=4.0) (clif's default: Rectangle(alpha=1.0))" in converted.layers[0].defaults
    )
    assert any("statistics of each step" in note for note in converted.notes)
    assert clif.wrap(converted.net, T=4)(x_seq).equal(expected)


def test_containers_of_spikingjelly_are_unpacked():
    _, layer, neuron, _ = jelly()
    torch.manual_seed(0)
    source = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)), neuron.LIFNode(decay_input=False, step_mode="m")
    ).eval()
    x_seq = torch.rand(4, 2, 1, 8, 8) * 4
    assert torch.equal(clif.convert(source, neuron="LIF").net(x_seq), source(x_seq))


def test_a_forward_that_reads_the_step_mode_of_a_layer_is_refused():
    sj = pytest.importorskip("spikingjelly.activation_based")

    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.sn = sj.layer.Linear(3, 3), sj.neuron.LIFNode()

        def forward(self, x):
            return self.sn(self.fc(x)).sum(-1 if self.fc.step_mode == "s" else 0)

    with pytest.raises(InputError, match=r"forward of 0, a Reads, reads self.fc.step_mode, but a Linear takes"):
        clif.convert(nn.Sequential(Reads()))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_scripted_module_stays():
    sj = pytest.importorskip("spikingjelly.activation_based")
    scripted = torch.jit.script(nn.Identity())
    converted = clif.convert(nn.Sequential(sj.layer.Linear(3, 3), sj.neuron.LIFNode(), scripted))
    assert converted.net(torch.rand(2, 3)).shape == (2, 3)


def test_clif_takes_the_constants_of_spikingjelly_and_says_so():
    _, _, neuron, surrogate = jelly()
    source = nn.Sequential(nn.Linear(2, 2), neuron.LIFNode(tau=3.0, surrogate_function=surrogate.Erf()))
    converted = clif.convert(source)
    node = converted.net[1]
    assert (node.tau, node.decay_input, node.v_reset, node.v_threshold) == (3.0, True, 0.0, 1.0)
    (layer,) = converted.layers
    assert layer.differences[0] == "the equations are those of CLIF, no longer of LIF"
    assert "Erf of SpikingJelly is kept" in layer.differences[1]
    assert "decay_input=True (clif's default: False)" in layer.defaults
    assert clif.convert(source, v_reset=None).net[1].v_reset is None
    assert "v_reset=None was 0.0" in str(clif.convert(source, v_reset=None))
    assert "IF has no tau; tau=3.0 is gone" in str(clif.convert(source, "IF"))


def test_surrogates_of_spikingjelly_are_translated():
    _, _, neuron, surrogate = jelly()
    pairs = [
        (surrogate.Sigmoid(3.0), Sigmoid(3.0)),
        (surrogate.ATan(1.5), ATan(1.5)),
        (surrogate.PiecewiseQuadratic(0.8), Triangle(0.8)),
        (surrogate.Rect(2.0), Rectangle(0.5)),
    ]
    for theirs, ours in pairs:
        net = clif.convert(nn.Sequential(neuron.IFNode(surrogate_function=theirs)), neuron=None).net
        assert net[0].surrogate_function == ours
        x = torch.linspace(-0.9, 0.9, 8, requires_grad=True)
        expected = torch.autograd.grad(theirs(x).sum(), x)[0]
        torch.testing.assert_close(torch.autograd.grad(ours(x).sum(), x)[0], expected)


def test_neurons_of_spikingjelly_that_are_not_known_are_named():
    _, _, neuron, _ = jelly()
    with pytest.raises(InputError, match="0 is a QIFNode of SpikingJelly"):
        clif.convert(nn.Sequential(neuron.QIFNode()))
    with pytest.raises(InputError, match=r"SpikingJelly; clif\.convert"):
        clif.wrap(nn.Sequential(neuron.LIFNode(), nn.Linear(2, 2)), T=2)


def test_leaky_of_snntorch_becomes_lif_and_its_delayed_reset_is_named():
    snn = pytest.importorskip("snntorch")
    torch.manual_seed(0)
    source = nn.Sequential(nn.Linear(4, 8), snn.Leaky(0.9, threshold=1.5, init_hidden=True), nn.Linear(8, 2))
    converted = clif.convert(source, neuron=None)
    node = converted.net[1]
    assert isinstance(node, clif.LIFNode)
    assert (round(node.tau, 6), node.v_threshold, node.v_reset, node.detach_reset) == (10.0, 1.5, None, True)
    assert "snnTorch (reset_delay=True) a step later, after the leak" in str(converted)
    assert "snnTorch if mem > threshold" in str(converted)
    assert "surrogate is clif's default" in str(converted)
    x = torch.rand(3, 4)
    assert torch.equal(converted.net(x), source(x))  # the first step, before any reset


def test_leaky_with_a_reset_to_zero_fires_the_same_spikes():
    snn = pytest.importorskip("snntorch")
    source = nn.Sequential(snn.Leaky(0.9, init_hidden=True, reset_mechanism="zero"))
    converted = clif.convert(source, neuron=None)
    assert "reset_delay" not in str(converted)
    x_seq = torch.rand(20, 50, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([source(x) for x in x_seq])
    assert 0 < expected.mean() < 1
    assert torch.equal(torch.stack([converted.net(x) for x in x_seq]), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.9}, "init_hidden=True"),
        ({"beta": torch.rand(3), "init_hidden": True}, "beta for each neuron"),
        ({"beta": 0.0, "init_hidden": True}, "beta=0"),
        ({"beta": 0.9, "init_hidden": True, "state_quant": torch.round}, "state_quant"),
    ],
)
def test_leaky_of_another_kind_is_refused(options, message):
    snn = pytest.importorskip("snntorch")
    with pytest.raises(InputError, match=message):
        clif.convert(nn.Sequential(snn.Leaky(**options)))


def test_a_network_that_has_computed_is_copied():
    snn = pytest.importorskip("snntorch")
    source = nn.Sequential(nn.Linear(4, 8), snn.Leaky(0.9, init_hidden=True), nn.Linear(8, 2))
    source(torch.rand(3, 4)).sum().backward()
    mem = source[1].mem
    assert isinstance(clif.convert(source).net[1], clif.CLIFNode)
    assert source[1].mem is mem


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_network_of_spikingjelly_that_has_computed_is_copied(step_mode):
    functional, layer, neuron, _ = jelly()
    source = nn.Sequential(layer.Linear(4, 8), neuron.LIFNode(step_mode=step_mode))
    functional.set_step_mode(source, step_mode)
    source(torch.rand(3, 5, 4)).sum().backward()
    assert isinstance(clif.convert(source).net[1], clif.CLIFNode)


def test_leaky_without_a_reset_fires_the_same_spikes_as_lif():
    snn = pytest.importorskip("snntorch")
    source = nn.Sequential(snn.Leaky(0.9, init_hidden=True, reset_mechanism="none"))
    converted = clif.convert(source, neuron=None)
    assert "v_subtract=0.0 (clif's default: None)" in str(converted)
    x_seq = torch.rand(20, 50, 4, generator=torch.Generator().manual_seed(0)) / 4
    expected = torch.stack([source(x) for x in x_seq])
    assert 0 < expected.mean() < 1
    assert torch.equal(torch.stack([converted.net(x) for x in x_seq]), expected)
    assert "CLIF has no v_subtract; v_subtract=0.0 is gone" in str(clif.convert(source))
    assert clif.convert(source, neuron=None, v_reset=0.0).net[0].v_reset == 0.0
    integrating = nn.Sequential(snn.Leaky(1.0, init_hidden=True, reset_mechanism="none"))
    assert "it resets, by subtraction, after each spike" in str(clif.convert(integrating, neuron=None))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (clif.models.create_model("snn5_noAP", "ReLU", T=1), "network of clif"),
        (nn.ReLU(), "a ReLU is a single neuron or activation"),
    ],
)
def test_networks_of_clif_and_single_activations_are_refused(net, message):
    with pytest.raises(InputError, match=message):
        clif.convert(net)


class Strict(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x):
        if not isinstance(x, torch.Tensor):
            raise TypeError
        return self.relu(x)


def test_a_forward_that_cannot_be_followed_is_noted():
    (note,) = clif.convert(Strict()).notes
    assert "the calls of Strict could not be followed (TypeError)" in note


@pytest.mark.parametrize("w", [0.3, 40.0])
def test_a_parametric_lif_keeps_its_parameter_and_whether_it_is_learnt(w):
    _, _, neuron, _ = jelly()
    source = nn.Sequential(neuron.ParametricLIFNode(decay_input=False))
    source[0].w.data.fill_(w)
    source[0].w.requires_grad_(False)
    node = clif.convert(source, neuron=None).net[0]
    assert torch.equal(node.w, source[0].w)
    assert not node.w.requires_grad


def test_a_surrogate_of_ones_own_with_a_known_name_is_kept():
    _, _, neuron, _ = jelly()

    class ATan(nn.Module):
        alpha = 2.0

        def forward(self, x):
            return Rectangle()(x)

    converted = clif.convert(nn.Sequential(neuron.IFNode(surrogate_function=ATan())), neuron=None)
    assert type(converted.net[0].surrogate_function) is ATan
    assert "the surrogate ATan is kept" in str(converted)


def test_constants_that_no_neuron_has_are_refused_with_the_layer():
    _, _, neuron, _ = jelly()
    with pytest.raises(InputError, match=r"^hidden: v_reset must be a finite number below v_threshold=1\.0, got 2\.0"):
        clif.convert(nn.Sequential(OrderedDict(hidden=neuron.LIFNode(v_reset=2.0))))


def test_neurons_of_spikingjelly_without_a_threshold_are_named_too():
    _, _, neuron, _ = jelly()
    with pytest.raises(InputError, match="0 is a NonSpikingLIFNode of SpikingJelly; known are LIFNode"):
        clif.convert(nn.Sequential(neuron.NonSpikingLIFNode()))


def test_what_leaky_learnt_and_clipped_is_named():
    snn = pytest.importorskip("snntorch")
    graded = snn.Leaky(0.9, init_hidden=True, learn_graded_spikes_factor=True)
    assert "graded_spikes_factor was learnt and is gone" in str(clif.convert(nn.Sequential(graded)))
    clipped = snn.Leaky(torch.tensor(1.01), init_hidden=True, learn_beta=True)  # snnTorch clips beta to [0, 1]
    assert isinstance(clif.convert(nn.Sequential(clipped), neuron=None).net[0], clif.neurons.IFNode)


def test_the_functions_of_snntorch_that_find_no_neuron_of_clif_are_noted():
    snn = pytest.importorskip("snntorch")
    (note,) = clif.convert(nn.Sequential(nn.Linear(4, 2), snn.Leaky(0.9, init_hidden=True))).notes
    assert "call clif.reset_net(net) before each batch" in note
    assert "utils.reset and backprop of snnTorch find no neurons of clif" in note


class Loop(nn.Module):
    def __init__(self, node, resets):
        super().__init__()
        self.fc, self.lif, self.resets = nn.Linear(4, 2), node, resets

    def forward(self, x):
        if self.resets:
            self.lif.reset_mem()
        return torch.stack([self.lif(self.fc(x)) for _ in range(5)])


@pytest.mark.parametrize(
    ("resets", "message"),
    [
        (False, r"lif is called more than once, .* let forward compute one step, and clif.wrap\(net, T=5\) repeats it"),
        (True, "the forward of Loop calls reset_mem of a neuron, which a CLIFNode of clif lacks; .*reset_net"),
    ],
)
def test_a_loop_over_the_steps_is_refused_with_what_to_do(resets, message):
    snn = pytest.importorskip("snntorch")
    with pytest.raises(InputError, match=message):
        clif.convert(Loop(snn.Leaky(0.9, init_hidden=True), resets))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (F.selu, "selu"),
        (F.softplus, "softplus"),
        (F.relu_, "relu_"),
        (F.hardtanh, "hardtanh"),
        (F.mish, "mish"),
        (torch.relu_, "relu_"),
        (F.tanh, "tanh"),
        (lambda x: x.sigmoid(), "sigmoid"),
        (lambda x: F.prelu(x, torch.ones(1)), "prelu"),
    ],
)
def test_functions_and_methods_that_stay_are_noted(function, name):
    assert clif.convert(Twice(function)).notes == [
        f"{name} is called as a function and stays; make it a module to replace it"
    ]


def test_activation_modules_that_stay_are_noted():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Hardsigmoid(), nn.Softmax(-1))
    assert clif.convert(net).notes == [
        "3, a Hardsigmoid, stays; no neuron replaces this activation",
        "4, a Softmax, stays; no neuron replaces this activation",
    ]
    with pytest.raises(InputError, match=r"no activation module that a neuron replaces \(ReLU, .*PReLU\)"):
        clif.convert(nn.Sequential(nn.Linear(4, 4), nn.Hardsigmoid()))


def test_the_linear_layers_of_attention_are_no_activations():
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.MultiheadAttention(8, 2), nn.Softmax(-1))
    assert clif.convert(net).notes[-1] == "3, a Softmax, stays; no neuron replaces this activation"
    assert "Linear" not in str(clif.convert(net))


def test_activations_that_are_functions_alone_are_named_in_the_error():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x):
            return F.relu(self.fc(x))

    with pytest.raises(InputError, match=r"; relu is called as a function and stays; make it a module to replace it$"):
        clif.convert(Functional())


def test_neurons_by_channel_need_channels():
    ann = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
    with pytest.raises(InputError, match=r"^1: GLIF needs the channels of its layer: .* give channels="):
        clif.convert(ann, "GLIF")
    converted = clif.convert(ann, "GLIF", channels=4)
    assert converted.net(torch.rand(3, 2)).shape == (3, 4)
    assert "1: ReLU -> GLIFNode" in str(converted)


@pytest.mark.parametrize("net", [None, nn.ReLU, "net.pth"])
def test_only_modules_are_converted(net):
    with pytest.raises(InputError, match=r"convert takes a torch\.nn\.Module, got"):
        clif.convert(net)


def test_classes_derived_from_neurons_of_others_are_refused_by_name():
    _, _, neuron, _ = jelly()
    snn = pytest.importorskip("snntorch")

    class LIFNode(neuron.LIFNode):
        def single_step_forward(self, x):
            return super().single_step_forward(x / 2)

    class Leaky(snn.Leaky):
        def forward(self, x):
            return super().forward(x / 2)

    for node, library in ((LIFNode(), "SpikingJelly"), (Leaky(0.9, init_hidden=True), "snnTorch")):
        kind = type(node).__name__
        with pytest.raises(InputError, match=rf"2 is a {kind} of your own, derived from a neuron of {library}"):
            clif.convert(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), node))
