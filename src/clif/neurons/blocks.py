"""Batch norms with the neuron after them, and layers called in order, by block."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from clif.layers import BatchNorm2d, has_hooks
from clif.neurons.base import SpikingNeuron
from clif.neurons.checkpointing import checkpoint_block, is_checkpointed


def fire(neuron: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """neuron(norm(x)); a spiking neuron gets the batch norm as an argument, because one kernel may compute both.

    Hooks of the neuron get its input after the batch norm.
    """
    takes_norm = isinstance(neuron, SpikingNeuron) and not neuron.overrides("forward")
    if takes_norm and isinstance(norm, BatchNorm2d) and not has_hooks(neuron, of_inputs=True):
        return neuron(x, norm)
    return neuron(norm(x))


class ConvBlock(nn.Sequential):
    """`torch.nn.Sequential` in which a batch norm and the neuron after it are computed by `fire`."""

    def forward(self, x: Tensor) -> Tensor:
        return in_turn([Layer(module, self) for module in self], x)


class Layer(NamedTuple):
    """A module and the container that calls it."""

    module: nn.Module
    within: nn.Module | None


def in_turn(layers: Sequence[Layer], x: Tensor) -> Tensor:
    """Call the layers in order; within a `ConvBlock` `fire` computes a batch norm and the neuron after it."""
    left = list(layers)
    while left:
        module, within = left.pop(0)
        fires = isinstance(module, BatchNorm2d) and isinstance(within, ConvBlock) and left and left[0].within is within
        x = fire(left.pop(0).module, module, x) if fires else module(x)
    return x


def by_block(modules: Iterable[nn.Module], x: Tensor, within: nn.Module | None = None) -> Tensor:
    """The modules in order, with activation checkpointing of every block.

    A block is the modules up to the next one that has neurons. A sequential container counts as the modules in it.
    Modules whose own blocks are checkpointed do not change, and neither do those after the last neuron.
    """
    waiting: list[Layer] = []
    for layer in _flat(modules, within):
        waiting.append(layer)
        if any(is_checkpointed(part) for part in layer.module.modules()):
            x, waiting = in_turn(waiting, x), []
        elif has_neurons(layer.module):
            block, waiting = waiting, []
            x = checkpoint_block([part.module for part in block], partial(in_turn, block), x, last=layer.module)
    return in_turn(waiting, x)


def _flat(modules: Iterable[nn.Module], within: nn.Module | None) -> Iterator[Layer]:
    for module in modules:
        if is_sequential(module) and not has_hooks(module):
            yield from _flat(module.children(), module)
        else:
            yield Layer(module, within)


def is_sequential(module: nn.Module) -> bool:
    """Whether a module calls its children one after the other, and nothing else."""
    return isinstance(module, nn.Sequential) and type(module).forward in (nn.Sequential.forward, ConvBlock.forward)


def has_neurons(module: nn.Module) -> bool:
    """Whether there is a spiking neuron in a module, or it is one."""
    return any(isinstance(part, SpikingNeuron) for part in module.modules())
