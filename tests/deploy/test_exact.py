"""Sums that do not depend on their order, and so the same spikes in every runtime."""

import copy

import pytest
import torch
from torch import nn

from clif import LIFNode
from clif.deploy import EVENT_GRID, clif_to_lif, exact_sums, fold_batch_norm
from clif.deploy.exact import Grid
from clif.errors import InputError
from clif.layers import AvgPool2d, Conv2d
from clif.models import create_model

NETWORKS = ["snn5", "snn5_noAP", "spiking_resnet18", "spiking_vgg11_bn", "vggsnn"]


def network(name="snn5_noAP", neuron="LIF", **options):
    net = create_model(name, neuron, T=3, **options).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.1, 0.5)
            nn.init.uniform_(module.running_var, 0.3, 0.6)
    return net


def images(n=3, size=32):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_every_sum_is_exact_in_any_order(name):
    """Each convolution gives the same in float32, in float64, and with its channels in reverse order."""
    exact = exact_sums(network(name))
    seen = []
    convolutions = [module for module in exact.modules() if isinstance(module, Conv2d)]
    for conv in convolutions:
        conv.register_forward_hook(lambda conv, inputs, out: seen.append((conv, inputs[0], out)))
    exact(images())
    assert len(seen) == len(convolutions)
    for conv, x, out in seen:
        wide = copy.deepcopy(conv).double()
        wide._forward_hooks.clear()
        assert torch.equal(out.double(), wide(x.double()))
        backwards = copy.deepcopy(conv)
        backwards._forward_hooks.clear()
        backwards.weight.data = backwards.weight.flip(1)
        assert torch.equal(out, backwards(x.flip(-3)))
    assert any(x.max() > 0 for _, x, _ in seen[1:])


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_rounded_by_little(name):
    """Relative to the largest weight of an output channel: 2^-9 for those that see the image, 2^-10 for others."""
    net = network(name)
    folded = [m for m in fold_batch_norm(net, rest="affine").modules() if isinstance(m, Conv2d)]
    rounded = [m for m in exact_sums(net).modules() if isinstance(m, Conv2d)]
    for i, (before, after) in enumerate(zip(folded, rounded, strict=True)):
        largest = before.weight.abs().amax((1, 2, 3), keepdim=True)
        assert ((after.weight - before.weight).abs() / largest).max() <= (2**-10 if i else 2**-9)


@torch.no_grad()
def test_conversions_are_taken():
    exact = exact_sums(clif_to_lif(network(neuron="CLIF"), v_reset=-0.1))
    assert exact(images()).shape == (3, 3, 10)


def test_the_input_is_clamped_and_rounded():
    x = torch.tensor([-9.0, -1 / 3, 0.0, 1 / 512, 3 / 256, 8.5])
    assert torch.equal(Grid(128, 8.0)(x), torch.tensor([-8.0, -43 / 128, 0.0, 0.0, 2 / 128, 8.0]))


def test_counts_of_events_are_not_clamped():
    counts = torch.tensor([0.0, 3.0, 9.0, 40.0, 200.0, 7.25])
    assert torch.equal(Grid(**EVENT_GRID)(counts), counts)


def test_many_pools():
    layers = [Conv2d(3, 4, 3, padding=1), LIFNode(step_mode="m"), *(AvgPool2d(2) for _ in range(5)), Conv2d(4, 4, 1)]
    assert isinstance(exact_sums(nn.Sequential(*layers)), nn.Sequential)


@pytest.mark.parametrize("options", [{"levels": 100}, {"largest": 3.0}, {"levels": 0}, {"largest": float("nan")}])
def test_grids_are_powers_of_two(options):
    with pytest.raises(InputError, match="must be a power of two"):
        exact_sums(network(), **options)


@pytest.mark.parametrize(
    "layer",
    [AvgPool2d(3), AvgPool2d(2, padding=1), AvgPool2d(2, divisor_override=3), AvgPool2d(2, ceil_mode=True), nn.ReLU()],
)
def test_what_cannot_be_exact_is_named(layer):
    net = nn.Sequential(Conv2d(3, 4, 3), LIFNode(step_mode="m"), layer, Conv2d(4, 4, 3))
    with pytest.raises(InputError, match="the convolution 3 cannot have exact sums"):
        exact_sums(net)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2)),
        (nn.Conv2d(1, 2, 3), nn.AvgPool2d(2)),
        (nn.Conv2d(1, 2, 3), LIFNode(), nn.AvgPool2d(3)),
        (nn.Conv2d(1, 2, 3), nn.Sigmoid()),
        (nn.ConvTranspose2d(1, 2, 3),),
    ],
)
def test_other_layers_before_a_neuron_are_named(layers):
    net = nn.Sequential(*layers, LIFNode())
    name, kind = len(layers) - 1, type(layers[-1]).__name__
    with pytest.raises(InputError, match=f"the layer {name}, a {kind} before a neuron, may round differently"):
        exact_sums(net)
    assert exact_sums(net[:-1]) is not net


@torch.no_grad()
def test_sums_over_a_signal_are_exact():
    torch.manual_seed(0)
    exact = exact_sums(
        nn.Sequential(nn.Conv1d(2, 8, 3), nn.BatchNorm1d(8), LIFNode(v_threshold=0.2), nn.Conv1d(8, 4, 3))
    )
    x = torch.rand(5, 2, 16)
    for conv, seen in ((exact[0], x), (exact[3], exact[2](exact[0](x)))):
        assert torch.equal(conv(seen).double(), copy.deepcopy(conv).double()(seen.double()))
    assert 0 < seen.mean() < 1


@torch.no_grad()
def test_a_flattened_input_is_rounded():
    x = torch.rand(5, 1, 4, 4)
    exact = exact_sums(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), LIFNode()))
    assert torch.equal(exact[1](exact[0](x)), exact[1](exact[0]((x * 128).round() / 128)))
