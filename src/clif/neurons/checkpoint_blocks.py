"""The choice of the blocks of a network that are checkpointed."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from clif.errors import InputError, unknown_name
from clif.neurons.base import SpikingNeuron
from clif.neurons.blocks import by_block, has_neurons, is_sequential
from clif.neurons.checkpointing import OwnForward, WholeBlock, attach, detach, is_checkpointed


def set_checkpoint_blocks(net: nn.Module, checkpoint_blocks: bool, blocks: Iterable[str] | None = None) -> None:
    """Switch activation checkpointing by block on or off: keep only the input of every block and recompute the rest.

    The gradients are the same to the last bit, and batch norms update their running statistics once. Spikes as input
    are kept as one bit per element. A step takes the time of one more forward pass and much less memory
    (docs/benchmarks.md).

    In the networks of `clif.models` a block computes the next spikes from those of one or two layers: convolution,
    batch norm and neuron, and the residual sum. In other networks a block is the modules of a `torch.nn.Sequential` up
    to the next module that is, or contains, a spiking neuron, and each module with neurons in a `torch.nn.ModuleList`.
    `blocks` names other modules as the blocks, as in `net.named_modules()`; their inputs must be tensors.

    It does not work under torch.compile and torch.func. The backward pass calls forward hooks inside a block again.
    Raises `InputError` if there is no block, and for names that are not modules with something to recompute.

    >>> net = nn.Sequential(clif.layers.Linear(4, 8), clif.CLIFNode(step_mode="m"), clif.layers.Linear(8, 2))
    >>> clif.set_checkpoint_blocks(net, True)
    >>> net(torch.rand(6, 32, 4)).sum().backward()
    """
    for module in net.modules():
        detach(module)
        if hasattr(module, "checkpoint_blocks"):
            module.checkpoint_blocks = False  # type: ignore[assignment]
    if not checkpoint_blocks:
        if blocks is not None:
            raise InputError("blocks= selects modules to checkpoint; leave it out to disable checkpointing")
        return
    if blocks is None:
        _choose(net)
        if not any(is_checkpointed(module) for module in net.modules()):
            raise InputError(
                f"this {type(net).__name__} has no blocks: no torch.nn.Sequential or ModuleList with "
                'spiking neurons; name the modules to be checkpointed, as in blocks=("layer1", "layer2")'
            )
        return
    known = dict(net.named_modules())
    chosen = [name for name in known if name in set(names := list(blocks))]
    for name in names:
        if name not in known:
            raise unknown_name("module", name, [known for known in known if known])
        if isinstance(known[name], SpikingNeuron | nn.ModuleList | nn.ModuleDict):
            raise InputError(
                f"{name} is a {type(known[name]).__name__}, which cannot be a block: a neuron keeps only its input, "
                "and a list is not called; name the module around it"
            )
        if outer := next((other for other in chosen if name.startswith(f"{other}.")), None):
            raise InputError(f"the blocks {outer} and {name} are nested; name only one of them")
    for name in chosen:
        attach(known[name], WholeBlock)


class ByBlock(OwnForward):
    """A sequential container, computed by the blocks in it."""

    def __call__(self, x: Any) -> Any:
        return by_block(self.module.children(), x, self.module)


def _choose(module: nn.Module) -> None:
    """Find the blocks in a module: the innermost ones, from the outside."""
    if not has_neurons(module) or isinstance(module, SpikingNeuron):
        return
    if hasattr(module, "checkpoint_blocks"):
        module.checkpoint_blocks = True  # type: ignore[assignment]
        return
    for child in module.children():
        inner = child.children() if is_sequential(module) and is_sequential(child) else [child]
        for part in inner:
            _choose(part)
    if is_sequential(module):
        attach(module, ByBlock)
    elif isinstance(module, nn.ModuleList):
        for child in module:
            if (
                has_neurons(child)
                and not isinstance(child, SpikingNeuron)
                and not any(map(is_checkpointed, child.modules()))
            ):
                attach(child, WholeBlock)
