"""The neuron that a contestant of `clif bench neuron` computes: a registered neuron with options of its class."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clif.errors import InputError
from clif.generate.plan import Plan
from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import options_of, spiking_neuron
from clif.ops import dispatch
from clif.ops.equations import Equations, compute_dtype


class UnavailableError(Exception):
    """A contestant cannot run here; the message says why."""


class Layer(NamedTuple):
    """The layer that is timed: a registered neuron, its channels if the input has any, and the input's kind."""

    neuron: str
    channels: int | None
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Definition:
    """A registered neuron and the options of its class that are not the defaults."""

    neuron: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def node(self, layer: Layer) -> SpikingNeuron:
        """A layer of it, at rest, in multi-step mode and plain PyTorch.

        Raises `InputError` for an option without a default that is not given.
        """
        kind = spiking_neuron(self.neuron)
        known = options_of(kind)
        options = dict(self.options)
        if "channels" in known and layer.channels is not None:
            options["channels"] = layer.channels
        missing = [name for name, option in known.items() if option.default is option.empty and name not in options]
        if missing:
            raise InputError(f"{self.neuron} is timed with the defaults of its class, and {missing[0]} has none")
        node = kind(**options)
        node.step_mode, node.backend = "m", "torch"
        return node.to(layer.device, compute_dtype(layer.dtype))

    def __str__(self) -> str:
        return f"{self.neuron}({', '.join(f'{name}={value}' for name, value in self.options.items())})"


@dataclass(frozen=True)
class Contestant:
    """`run(x_seq)` gives the spikes of x_seq [T, N, *] from rest; `parameters` are the tensors that get a gradient.

    The parameters are those that the definition declares as `learnable`, in its order. `plan` is the plan of the
    generated kernels, if the contestant has them.
    """

    run: Callable[[Tensor], Tensor]
    definition: Definition
    parameters: tuple[Tensor, ...] = ()
    plan: Plan | None = None


Factory = Callable[[Layer], Contestant]
"""Makes a contestant; raises `ImportError`, `UnavailableError` or `InputError` if it cannot."""


def parameters_of(node: SpikingNeuron) -> tuple[Tensor, ...]:
    """The parameters that the neuron's class declares, in its order."""
    return tuple(node.equations().learnables.values())


def loop(equations: Equations, x_seq: Tensor) -> Tensor:
    """The spikes of x_seq [T, N, *] from rest by plain PyTorch, step by step."""
    return dispatch.multi_step(equations, x_seq, equations.start(x_seq[0], None), "torch", True)[0]


def neuron_by_neuron(equations: Equations, x_seq: Tensor, values: Sequence[Tensor], channel: Tensor) -> Tensor:
    """The spikes [T, P] of P neurons of a layer by `loop`, with these learnables; `channel` [P] has their channels.

    Every neuron becomes a separate channel.
    """
    learnables = {
        name: value[channel] if name in equations.by_channel else value
        for name, value in zip(equations.learnables, values, strict=True)
    }
    return loop(dataclasses.replace(equations, learnables=learnables), x_seq.unsqueeze(1)).squeeze(1)
