import copy
import json

import pytest
import torch
from torch import nn

import clif
from clif import analysis
from clif.errors import InputError
from clif.loss import CrossEntropy
from clif.models import create_model


def labels(n=3):
    return torch.arange(n)


def network(neuron="CLIF", **options):
    torch.manual_seed(0)
    return create_model("snn5_noAP", neuron=neuron, T=4, image_size=16, **options)


def batch(n=6):
    return torch.randn(n, 3, 16, 16), labels(n)


def by_hand(net, x, y):
    """The terms of the last layer: its gradient if dL/ds is kept at one step only."""
    name, node = list(analysis.spiking_layers(net).items())[-1]
    net.train()
    kept = {}
    hooks = [
        node.register_forward_pre_hook(lambda _m, args: (args[1](args[0]),) if len(args) > 1 else None),
        node.register_forward_pre_hook(lambda _m, args: kept.update(x=args[0])),
        node.register_forward_hook(lambda _m, _a, spikes: kept.update(spikes=spikes)),
    ]
    loss = clif.loss.SpikingLoss()(net(x), y)
    (of_spikes,) = torch.autograd.grad(loss, kept["spikes"], retain_graph=True)
    sums = torch.zeros(len(of_spikes), len(of_spikes), dtype=torch.float64)
    for later in range(len(of_spikes)):
        alone = torch.zeros_like(of_spikes)
        alone[later] = of_spikes[later]
        (part,) = torch.autograd.grad(kept["spikes"], kept["x"], alone, retain_graph=True)
        sums[:, later] = part.abs().flatten(1).sum(1)
    for hook in hooks:
        hook.remove()
    return name, sums


@pytest.mark.parametrize("neuron", ["CLIF", "LIF"])
def test_the_terms_are_those_of_the_network_s_own_backward_pass(neuron):
    net, (x, y) = network(neuron).double(), batch()
    name, expected = by_hand(copy.deepcopy(net), x.double(), y)
    found = analysis.temporal_gradient(net, [(x, y)])[name]
    torch.testing.assert_close(found.terms, expected)
    assert found.disagreement < 1e-12
    assert found.terms.tril(-1).count_nonzero() == 0


@pytest.mark.parametrize("neuron", [name for name in clif.neurons.registry.NEURONS if name != "ReLU"])
def test_any_neuron_has_terms_that_add_up_in_every_layer(neuron):
    found = analysis.temporal_gradient(network(neuron), [batch()])
    assert found.neuron == neuron
    assert len(found.layers) == 5
    for layer in found.layers.values():
        assert layer.disagreement < 1e-4
        assert layer.share.sum().item() == pytest.approx(1)
        assert layer.kept[0] == 1
        assert layer.later == pytest.approx(1 - layer.share[0].item())


def test_all_kinds_of_networks(seen):
    forward = seen.forward
    y = labels(3)

    def loss(output, y):
        logits = torch.stack(output) if isinstance(output, list) else output
        return CrossEntropy()(logits, y)

    found = analysis.temporal_gradient(seen.net, [(seen.x, y)], loss, forward=forward)
    assert list(found.layers) == list(analysis.spiking_layers(seen.net))
    for layer in found.layers.values():
        assert layer.terms.shape == (4, 4)
        assert layer.disagreement < 1e-4


def test_single_steps_and_sequences_have_the_same_terms():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(8, 12), clif.CLIFNode(), nn.Linear(12, 5), clif.CLIFNode()).double()
    x_seq, y = torch.rand(5, 4, 8).double() * 3, labels(4)

    def steps(net, x_seq):
        return torch.stack([net(x) for x in x_seq])

    one_by_one = analysis.temporal_gradient(body, [(x_seq, y)], CrossEntropy(), forward=steps)
    clif.set_step_mode(body, "m")
    at_once = analysis.temporal_gradient(body, [(x_seq, y)], CrossEntropy())
    for name in ("1", "3"):
        torch.testing.assert_close(one_by_one[name].terms, at_once[name].terms)
        torch.testing.assert_close(one_by_one[name].membrane_terms, at_once[name].membrane_terms)


def test_batches_are_summed_and_may_differ_in_length():
    net = network()
    x, y = torch.randn(3, 6, 3, 16, 16), labels(6)
    longer = torch.randn(5, 6, 3, 16, 16)
    one, other, both = (
        analysis.temporal_gradient(net, batches)["features.4.act"]
        for batches in ([(x, y)], [(longer, y)], [(x, y), (longer, y)])
    )
    padded = nn.functional.pad(one.terms, (0, 2, 0, 2))
    torch.testing.assert_close(both.terms, padded + other.terms)
    assert analysis.temporal_gradient(net, [(x, y)] * 4)["features.4.act"].terms.shape == one.terms.shape


def test_the_paper_s_argument_holds_in_untrained_networks():
    """A smaller part of LIF's gradient than of CLIF's comes from later steps, and the more so the later they are."""
    nets = {name: network(name) for name in ("CLIF", "LIF")}
    found = analysis.temporal_gradients(nets, [batch(8)])
    clif_share, lif_share = found["CLIF"].share, found["LIF"].share
    ratio = clif_share[1:] / lif_share[1:]
    assert (ratio > 1).all()
    assert (ratio.diff() > 0).all()
    assert found["LIF"]["features.0.act"].later < found["CLIF"]["features.0.act"].later


def test_the_network_stays_as_it_was():
    net = network(drop_rate=0.2)
    net.features[0].fwd[1].eval()
    before = copy.deepcopy(net.state_dict())
    modes = [module.training for module in net.modules()]
    analysis.temporal_gradient(net, [batch()])
    analysis.temporal_gradient(net, [batch()], training=False)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(node.state is None for node in analysis.spiking_layers(net).values())


def test_what_has_no_meaning_is_refused():
    net = network()
    with pytest.raises(InputError, match="the loader is empty"):
        analysis.temporal_gradient(net, [])
    with pytest.raises(InputError, match=r"give batches \(x, y\)"):
        analysis.temporal_gradient(net, [batch()[0]])
    clif.neurons.set_gradient_window(net, 2)
    with pytest.raises(InputError, match="has a gradient window"):
        analysis.temporal_gradient(net, [batch()])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda output, _y: output.detach().mean(), "the loss has no gradient"),
        (lambda output, _y: output.mean((0, 2)), r"the loss must be one number, the mean over the samples, got \[4\]"),
        (lambda _output, _y: 1.0, "got float"),
    ],
)
def test_a_loss_without_a_gradient_is_refused(loss, message):
    net = nn.Sequential(nn.Linear(8, 5), clif.LIFNode(step_mode="m"))
    with pytest.raises(InputError, match=message):
        analysis.temporal_gradient(net, [(torch.rand(3, 4, 8), labels(4))], loss)


def test_layers_of_other_numbers_of_steps_have_a_mean(draws):
    class Halving(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Linear(8, 8), clif.LIFNode(step_mode="m"))
            self.second = nn.Sequential(nn.Linear(8, 8), clif.LIFNode(step_mode="m"), nn.Linear(8, 5))

        def forward(self, x):
            return self.second(self.first(x)[::2])

    torch.manual_seed(0)
    found = analysis.temporal_gradient(Halving(), [(3 * torch.rand(6, 4, 8), labels(4))])
    first, second = (layer.share for layer in found.layers.values())
    expected = (first + torch.cat([second, torch.zeros(3)])) / 2
    torch.testing.assert_close(found.share, expected)
    draws(found.plot)


def test_a_state_that_is_detached_between_steps_is_noticed():
    net, y = nn.Sequential(nn.Linear(8, 5), clif.CLIFNode()), labels(4)

    def truncated(net, x_seq):
        outputs = []
        for x in x_seq:
            outputs.append(net(x))
            clif.detach_net(net)
        return torch.stack(outputs)

    with pytest.raises(InputError, match="differ from autograd's gradient by"):
        analysis.temporal_gradient(net, [(torch.rand(4, 4, 8) * 3, y)], CrossEntropy(), forward=truncated)


def test_numbers_and_plots(draws):
    nets = {name: network(name) for name in ("CLIF", "LIF")}
    found = analysis.temporal_gradients(nets, [batch()])
    rows = found.table()
    assert len(rows) == 2 * 5
    first = found["CLIF"]["features.0.act"]
    assert rows[0]["later"] == first.later
    assert rows[0]["share 1"] == first.share[1].item()
    assert first.table()[1]["through v alone"] == first.membrane_share[1].item()
    again = json.loads(json.dumps(found.to_dict()))
    layer = again["networks"]["LIF"]["layers"]["features.0.act"]
    assert layer["terms"] == found["LIF"]["features.0.act"].terms.tolist()
    assert len(layer["by_distance"]) == 4
    assert len(draws(found.plot).lines) == 2
    assert len(draws(found["LIF"].plot).lines) == 5
    draws(first.plot)
    panels = found.figure().axes
    assert [panel.get_title(loc="left") for panel in panels] == ["CLIF", "LIF", "Mean of the layers"]
