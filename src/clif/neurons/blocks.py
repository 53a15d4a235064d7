"""A batch norm and the neuron behind it, which every spiking network repeats."""

from torch import Tensor, nn

from clif.layers import BatchNorm2d
from clif.neurons.base import SpikingNeuron


def fire(neuron: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """neuron(norm(x)); a spiking neuron gets the batch norm along, for it may compute both at once."""
    if isinstance(neuron, SpikingNeuron) and isinstance(norm, BatchNorm2d) and not neuron.overrides("forward"):
        return neuron(x, norm)
    return neuron(norm(x))


class ConvBlock(nn.Sequential):
    """`torch.nn.Sequential` in which a batch norm and the neuron behind it are computed by `fire`."""

    def forward(self, x: Tensor) -> Tensor:
        modules = list(self)
        while modules:
            module = modules.pop(0)
            fires = isinstance(module, BatchNorm2d) and modules
            x = fire(modules.pop(0), module, x) if fires else module(x)
        return x
