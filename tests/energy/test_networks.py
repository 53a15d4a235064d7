"""Layers of every kind: spikes are counted at the synapses that they reach, values as multiplications, or refused."""

import operator

import pytest
import torch
from torch import nn

import clif
from clif import energy, layers
from clif.errors import InputError

T, N = 3, 4


def behind(*parts, shape):
    """A network of neurons that see the input itself, and `parts` behind them."""
    return clif.wrap(nn.Sequential(clif.IFNode(), *parts).eval(), T=T, input_shape=shape)


def ones(layer):
    """The same connections with weights of 1, which count arriving spikes."""
    with torch.no_grad():
        layer.weight.fill_(1.0)
    layer.bias = None
    return layer.double()


def counted(net, x):
    report = energy.estimate(net, [(x, None)])
    return report, {layer.name: layer for layer in report.layers}


CONVOLUTIONS = {
    "grouped": (nn.Conv2d(6, 9, 3, padding=1, groups=3), (6, 7, 7)),
    "dilated": (nn.Conv2d(2, 3, 3, padding=2, dilation=2), (2, 8, 8)),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (4, 6, 6)),
    "oblong": (nn.Conv2d(2, 3, (1, 5), stride=(2, 3), padding=(0, 2)), (2, 6, 11)),
    "same": (nn.Conv2d(2, 3, 5, padding="same"), (2, 6, 6)),
    "circular": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 5, 5)),
    "reflected": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 5)),
    "one axis": (nn.Conv1d(3, 5, 5, stride=2, padding=1), (3, 17)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), (3, 5, 5)),
    "transposed, grouped": (nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), (4, 5, 5)),
    "vectors": (nn.Linear(12, 5), (12,)),
    "rows": (layers.Linear(6, 5), (4, 6)),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_spikes_reach_the_synapses_of(case):
    layer, shape = CONVOLUTIONS[case]
    torch.manual_seed(0)
    x = torch.rand(T, N, *shape) * 0.9
    net = behind(layer, shape=shape)
    spikes = net.net[0](x).flatten(0, 1)
    clif.reset_net(net)
    report, found = counted(net, x)
    reached = ones(layer)(spikes.double()).sum().item()
    assert 0 < report.firing_rate < 1
    assert found["1"].spikes * N == pytest.approx(spikes.sum().item())
    assert found["1"].sops * N == pytest.approx(reached)
    assert (found["1"].acs, found["1"].macs) == (found["1"].sops, 0)
    assert report.published.total_mJ > 0


POOLS = {
    "max": (nn.MaxPool2d(2), 1),
    "average": (nn.AvgPool2d(2), 4),
    "overlapping average": (nn.AvgPool2d(3, 2), 9),
    "padded average": (nn.AvgPool2d(3, 1, padding=1), 9),
    "adaptive average": (nn.AdaptiveAvgPool2d(2), 9),
    "enlarging average": (nn.AdaptiveAvgPool2d(12), 1),
}


@pytest.mark.parametrize("case", POOLS)
def test_a_pooled_spike_costs_as_much_as_one_that_was_not(case):
    pool, levels = POOLS[case]
    torch.manual_seed(0)
    x = torch.rand(T, N, 2, 6, 6) * 0.9
    layer = nn.Conv2d(2, 5, 1)
    net = behind(pool, layer, shape=(2, 6, 6))
    spikes = net.net[0](x).flatten(0, 1)
    clif.reset_net(net)
    _, found = counted(net, x)
    assert found["2"].sops * N == pytest.approx(ones(layer)(pool(spikes).double() * levels).sum().item())
    assert found["2"].macs == 0


@pytest.mark.parametrize(
    "between",
    [
        nn.AdaptiveAvgPool2d(4),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2, padding=1, count_include_pad=False),
        nn.Sigmoid(),
        nn.Conv2d(2, 2, 1),
        nn.BatchNorm2d(2),
    ],
    ids=repr,
)
def test_what_sees_other_values_multiplies_at_each_step(between):
    layer = nn.Conv2d(2, 5, 1)
    net = behind(between, layer, shape=(2, 5, 5))
    _, found = counted(net, torch.rand(N, 2, 5, 5))
    side = between(torch.zeros(1, 2, 5, 5)).shape[-1]
    assert (found["2"].sops, found["2"].macs) == (0, T * 10 * side**2)


def test_what_sees_a_static_image_multiplies_once():
    parts = [nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Conv2d(3, 2, 1), clif.LIFNode()]
    net = clif.wrap(nn.Sequential(*parts).eval(), T=T, input_shape=(1, 4, 4))
    for x, times in ((torch.rand(N, 1, 4, 4), 1), (torch.rand(T, N, 1, 4, 4), T)):
        report, _ = counted(net, x)
        assert [layer.macs for layer in report.layers[:2]] == [times * 3 * 16, times * 6 * 16]


class Joined(nn.Module):
    """Spikes that are added up (x) or concatenated with others (y)."""

    def __init__(self, add):
        super().__init__()
        self.add = add
        self.a, self.b, self.c = clif.IFNode(), nn.Conv2d(2, 2, 1), clif.IFNode()
        self.x, self.y = nn.Conv2d(2, 3, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        first = self.a(x)
        second = self.c(self.b(first))
        y = self.y(torch.cat([first, second], -3))
        return self.x(self.add(first, second)) + y


ADDITIONS = {
    "+": operator.add,
    "+=": operator.iadd,
    "function": torch.add,
    "method": lambda first, second: first.add(second),
    "method in place": lambda first, second: first.add_(other=second, alpha=1),
}


@pytest.mark.parametrize("add", ADDITIONS)
def test_spikes_of_several_layers(add):
    torch.manual_seed(0)
    net = Joined(ADDITIONS[add]).eval()
    nn.init.constant_(net.b.weight, 0.7)
    report, found = counted(clif.wrap(net, T=T, input_shape=(2, 4, 4)), torch.rand(N, 2, 4, 4))
    both = found["a"].spikes + found["c"].spikes
    assert found["c"].spikes > 0
    assert (found["x"].sops, found["y"].sops) == (pytest.approx(3 * both), pytest.approx(3 * both))
    assert report.published.read_in == pytest.approx(both * 2 / T + found["a"].spikes / T)


def test_norms_activations_and_integrators_cost_operations():
    parts = [nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4), clif.LIFNode(), nn.Conv2d(4, 2, 1), nn.Tanh()]
    tail = [nn.Flatten(), nn.Linear(18, 3), nn.LayerNorm(3), nn.ReLU(), layers.LeakyIntegrator()]
    net = clif.wrap(nn.Sequential(*parts, *tail).eval(), T=T, input_shape=(2, 3, 3))
    report, found = counted(net, torch.rand(N, 2, 3, 3))
    of = {name: (found[name].macs, found[name].acs, found[name].updates) for name in ("1", "4", "7", "9")}
    assert of == {"1": (2 * 36 * T, 36 * T, 0), "4": (18 * T, 0, 0), "7": (6 * T, 3 * T, 0), "9": (3 * T, 0, 3 * T)}
    assert "8" not in found
    assert report.macs == sum(layer.macs for layer in report.layers)
    assert found["9"].moved_bytes == 2 * 3 * T * 4
    assert report.stored_bytes == 4 * (2 * 4 + 4 + 36 + 4 * 2 + 2 + 18 * 3 + 3 + 3)


class Multiplying(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.neuron, self.how = clif.IFNode(), how
        self.weight = nn.Parameter(torch.eye(4))

    def forward(self, x):
        return self.how(self.neuron(x), self.weight)


@pytest.mark.parametrize(
    "how", [torch.matmul, lambda x, w: x @ w, lambda x, w: x.matmul(w), nn.functional.linear], ids=["f", "@", "m", "l"]
)
def test_a_function_that_multiplies_matrices_is_refused_by_name(how):
    net = clif.wrap(Multiplying(how), T=T, input_shape=(4,))
    with pytest.raises(InputError, match=r"the operations of (matmul|linear), a function that the network calls"):
        energy.estimate(net, [(torch.rand(N, 4), None)])


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.neuron, self.readout = clif.IFNode(), nn.Linear(4, 3)

    def forward(self, x):
        return self.readout(input=self.neuron(x))


def test_a_layer_that_gets_its_input_by_name():
    _, found = counted(clif.wrap(Named(), T=T, input_shape=(4,)), torch.rand(N, 4))
    assert found["readout"].sops == pytest.approx(3 * found["neuron"].spikes)
    assert found["neuron"].spikes > 0


def test_batches_have_one_shape():
    net = clif.wrap(nn.Sequential(nn.Conv2d(1, 2, 1), clif.IFNode()), T)
    with pytest.raises(InputError, match=r"the first batch has the shape \['N', 1, 4, 4\], another one"):
        energy.estimate(net, [(torch.rand(N, 1, 4, 4), None), (torch.rand(N, 1, 5, 5), None)])
    with pytest.raises(InputError, match="another one"):
        energy.estimate(net, [(torch.rand(2, N, 1, 4, 4), None), (torch.rand(3, N, 1, 4, 4), None)])


def test_batches_are_averaged():
    net = behind(nn.Conv2d(1, 2, 3), shape=(1, 5, 5))
    x = torch.rand(6, 1, 5, 5)
    whole = energy.estimate(net, [(x, None)])
    parts = energy.estimate(net, iter([(x[:2], None), (x[2:], None)]))
    assert parts.images == whole.images == 6
    assert parts.sops == pytest.approx(whole.sops)
    assert parts.memory_millijoule == pytest.approx(whole.memory_millijoule)


@pytest.mark.parametrize("batch", [lambda x: x, lambda x: (x,), lambda x: (x, None, 3)])
def test_batches_are_tensors_or_begin_with_one(batch):
    net, x = behind(nn.Conv2d(1, 2, 3), shape=(1, 5, 5)), torch.rand(6, 1, 5, 5)
    assert energy.estimate(net, [batch(x)]) == energy.estimate(net, [(x, None)])


@pytest.mark.parametrize("batch", [{"x": torch.rand(2, 1, 5, 5)}, ()])
def test_other_batches_are_refused(batch):
    with pytest.raises(InputError, match="a batch is a tensor, or a tuple that begins with one, got a"):
        energy.estimate(behind(nn.Conv2d(1, 2, 3), shape=(1, 5, 5)), [batch])


def test_a_module_with_its_own_forward_gets_its_shape_from_the_data():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, 8), clif.LIFNode(step_mode="m"), nn.Linear(8, 2))

        def forward(self, x):
            return self.layers(x)

    net, x = Own(), 3 * torch.rand(T, N, 4)
    assert energy.estimate(net, [x]).sops == energy.estimate(net.layers, [x]).sops > 0


def test_events_of_frames():
    net = clif.wrap(nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 2, 1), clif.IFNode()), T)
    x = torch.poisson(torch.rand(T, N, 1, 4, 4))
    report = energy.estimate(net, [(x, None)], events=True)
    events = nn.functional.max_pool2d(x.flatten(0, 1), 2).sum().item()
    assert report.layers[0].spikes * N == pytest.approx(events)
    assert (report.sops * N, report.macs) == (pytest.approx(2 * events), report.layers[1].macs)
    assert report.published.total_mJ > 0
    with pytest.raises(InputError, match=r"frames of events must be \[T, N, \*\], got images"):
        energy.estimate(net, [(x[0], None)], events=True)
    for wrong in (x / 2 + 0.1, -x - 1):
        with pytest.raises(InputError, match="frames of events must be whole numbers ≥ 0"):
            energy.estimate(net, [(wrong, None)], events=True)
