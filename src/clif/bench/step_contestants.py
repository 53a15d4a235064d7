"""The ways to train a network that `clif bench step` times: each is the same step, computed differently."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import clif
from clif import memory
from clif.bench.compiled import compiled
from clif.bench.settings import StepSettings
from clif.layers import Conv2d
from clif.loss import SpikingLoss
from clif.models import SpikingNetwork, create_model
from clif.models.network import step_by_step
from clif.models.resnet import BasicBlock, Bottleneck, SpikingResNet
from clif.neurons import SpikingNeuron

MEMOPT = "spikingjelly.activation_based.memopt"

Forward = Callable[[SpikingNetwork, Tensor], Tensor]


@dataclass(frozen=True)
class Way:
    """A way to compute a step: `forward(net, x)` returns the logits [T, N, classes]; `describe` is its description.

    `lean` frees large tensors at once, as `clif train` does (`clif.memory`). `needs` is a module of another package.
    """

    describe: str
    prepare: Callable[[SpikingNetwork], Forward]
    autocast: torch.dtype | None = None
    lean: bool = True
    needs: str = ""


def _plain(net: SpikingNetwork) -> Forward:
    net.memory_format = torch.preserve_format
    clif.set_backend(net, "torch")
    return step_by_step


def _ours(net: SpikingNetwork) -> Forward:
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as the trainer does
    return lambda net, x: net(x)


def _dense(net: SpikingNetwork) -> Forward:
    for module in net.modules():
        if isinstance(module, Conv2d):
            module.backend = "torch"
    return _ours(net)


def _packed(net: SpikingNetwork) -> Forward:
    clif.set_pack_spikes(net, True)
    return _ours(net)


def _dense_packed(net: SpikingNetwork) -> Forward:
    clif.set_pack_spikes(net, True)
    return _dense(net)


def _blocks(net: SpikingNetwork) -> Forward:
    clif.set_checkpoint_blocks(net, True)
    return _ours(net)


def _memopt(level: int) -> Callable[[SpikingNetwork], Forward]:
    """SpikingJelly's memory optimiser at a level on clif's network; for ResNets on the residual blocks."""

    def prepare(net: SpikingNetwork) -> Forward:
        memopt = importlib.import_module(MEMOPT)
        forward = _ours(net)
        kinds = (BasicBlock, Bottleneck) if isinstance(net, SpikingResNet) else (SpikingNeuron,)
        parameter = next(net.parameters())
        own = torch.Generator().manual_seed(0)  # leaves the random numbers of the step the same as in all other ways
        example = torch.rand(1, *net.sample_shape, generator=own).to(parameter)
        memopt.optimize_memory(
            net,
            kinds,
            lambda net: forward(net, example),
            level=level,
            split_fn=lambda module: [part for part in module.children() if isinstance(part, SpikingNeuron)],
            can_chunk=lambda module: isinstance(module, SpikingNeuron),
        )
        return forward

    return prepare


def _compiled(net: SpikingNetwork) -> Forward:
    run = compiled(net)
    return lambda _, x: run(x)


WAYS = {
    "plain": Way("T single-step calls, neurons in PyTorch operations, contiguous, float32", _plain, lean=False),
    "ours": Way("the whole sequence at once, fused neurons, convolutions of spikes, channels_last, float32", _ours),
    "ours-dense": Way("ours with PyTorch's convolutions", _dense),
    "ours-dense-bits": Way("the same, spikes kept as one bit each", _dense_packed),
    "ours-bits": Way("ours, all spikes kept as one bit each", _packed),
    "ours-blocks": Way("ours with every block checkpointed, of which the spikes are kept as one bit each", _blocks),
    **{
        f"ours-memopt-{level}": Way(f"ours under SpikingJelly's memopt, level {level}", _memopt(level), needs=MEMOPT)
        for level in (1, 2, 3)
    },
    "ours-bfloat16": Way("ours under bfloat16 autocast", _ours, torch.bfloat16),
    "ours-bfloat16-bits": Way("the same, all spikes kept as one bit each", _packed, torch.bfloat16),
    "ours-blocks-bfloat16": Way("ours-blocks under bfloat16 autocast", _blocks, torch.bfloat16),
    "ours-compiled": Way("ours under torch.compile", _compiled),
}
DEFAULT_WAYS = ("plain", "ours", "ours-dense", "ours-blocks", "ours-bfloat16", "ours-bfloat16-bits")
"""torch.compile takes minutes before its first step, so it is measured only if it is asked for."""


class Trainer:
    """A network with seeded weights and data, and the training step of one way."""

    def __init__(self, way: Way, settings: StepSettings, dtype: torch.dtype = torch.float32) -> None:
        torch.manual_seed(0)
        self.way = way
        self.device = torch.device(settings.device)
        self.net = create_model(
            settings.model,
            settings.neuron,
            T=settings.T,
            num_classes=settings.num_classes,
            image_size=settings.image_size,
        ).to(self.device, dtype)
        self.parameters = dict(self.net.named_parameters())  # with their names from before a way wraps modules
        self.forward = way.prepare(self.net)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-3, momentum=0.9)
        self.loss = SpikingLoss()
        shape = (settings.batch, self.net.in_channels, settings.image_size, settings.image_size)
        self.images = torch.randn(shape).to(self.device, dtype)
        self.labels = torch.randint(settings.num_classes, (settings.batch,)).to(self.device)

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Logits and loss after a forward and a backward pass; the gradients are in the parameters."""
        self.optimizer.zero_grad(set_to_none=True)
        kind = self.way.autocast
        with torch.autocast(self.device.type, dtype=kind, enabled=kind is not None):
            logits = self.forward(self.net, self.images)
            loss = self.loss(logits, self.labels)
        loss.backward()
        return logits.detach(), loss.detach()

    def step(self) -> None:
        """One training step."""
        memory.lean() if self.way.lean else memory.usual()
        self.gradients()
        self.optimizer.step()
