"""Networks of all kinds, with a batch and the function by which each of them computes it."""

from typing import Any, NamedTuple

import matplotlib.figure
import pytest
import torch
from torch import nn

import clif
from clif.models import create_model


class Seen(NamedTuple):
    """A network, a batch of three samples for it, over 4 steps, and the function that computes it (None: a call)."""

    net: nn.Module
    x: torch.Tensor
    forward: Any


def layers(step_mode):
    """Two layers that both fire."""
    first, second = nn.Linear(8, 12), nn.Linear(12, 5)
    with torch.no_grad():
        for linear in (first, second):
            linear.weight.mul_(2)
            linear.bias.fill_(0.4)
    return [first, clif.CLIFNode(step_mode=step_mode), second, clif.LIFNode(step_mode=step_mode)]


class Looping(nn.Module):
    """Computes its T steps one by one."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*layers("s"))

    def forward(self, x_seq):
        return torch.stack([self.body(x) for x in x_seq])


def image_net():
    net = create_model("snn5_noAP", neuron="CLIF", T=4, image_size=16)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.5)
    return net


def seen_by(kind):
    torch.manual_seed(0)
    x_seq = torch.rand(4, 3, 8) * 3
    if kind == "model":
        return Seen(image_net(), torch.randn(3, 3, 16, 16), None)
    if kind == "multi-step":
        return Seen(nn.Sequential(*layers("m")), x_seq, None)
    if kind == "looping":
        return Seen(Looping(), x_seq, None)
    if kind == "single-step":
        return Seen(nn.Sequential(*layers("s")), x_seq, lambda net, x: [net(step) for step in x])
    if kind == "wrapped":
        return Seen(clif.wrap(nn.Sequential(*layers("s")), T=4), torch.rand(3, 8) * 3, None)
    if kind == "recurrent":
        first, node, second, last = layers("m")
        hidden = clif.layers.Recurrent(node, nn.Linear(12, 12), step_mode="m")
        return Seen(nn.Sequential(first, hidden, second, last), x_seq, None)
    raise ValueError(kind)


KINDS = ("model", "multi-step", "looping", "single-step", "wrapped", "recurrent")


@pytest.fixture(params=KINDS)
def seen(request):
    """A network of each kind in turn."""
    return seen_by(request.param)


@pytest.fixture
def image_network():
    """A network of `clif.models` for images [3, 16, 16] over 4 steps, all of whose layers fire."""
    return image_net()


@pytest.fixture
def draws():
    """Checks that a plot draws into given axes, or else into new ones, and can be saved."""

    def check(plot, **options):
        ax = matplotlib.figure.Figure().subplots()
        assert plot(ax, **options) is ax
        assert ax.has_data()
        new = plot(**options)
        assert new is not ax
        new.figure.canvas.draw()
        return ax

    return check


@pytest.fixture
def recorded():
    """The inputs and outputs of each neuron of a network over its calls, [T, N, *], recorded independently."""

    def record(seen):
        net, x, forward = seen
        found = {}

        def keep(name):
            def hook(module, _inputs, spikes):
                found.setdefault(name, []).append(spikes if module.step_mode == "m" else spikes[None])

            return hook

        clif.reset_net(net)
        hooks = [node.register_forward_hook(keep(name)) for name, node in clif.analysis.spiking_layers(net).items()]
        was = net.training
        net.eval()
        with torch.no_grad():
            net(x) if forward is None else forward(net, x)
        net.train(was)
        for hook in hooks:
            hook.remove()
        clif.reset_net(net)
        return {name: torch.cat(parts) for name, parts in found.items()}

    return record
