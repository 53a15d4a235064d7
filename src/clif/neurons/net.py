"""Functions over all stateful modules of a network, including SpikingJelly's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from clif.layers import Conv2d, StepModule, check_step_mode
from clif.neurons.base import SpikingNeuron
from clif.ops import dispatch
from clif.ops.equations import first_step


def reset_net(net: nn.Module) -> None:
    """Reset every neuron and dropout mask of `net`. Call it between batches in single-step mode.

    Other modules that have a `reset` method, such as metrics, do not change.

    >>> node = clif.CLIFNode()
    >>> spikes = node(torch.ones(1, 3))
    >>> clif.reset_net(node)
    >>> node.v
    0.0
    """
    _call_on_stateful(net, "reset")


def detach_net(net: nn.Module) -> None:
    """Cut the graph at the present state of every neuron of `net` (truncated back-propagation through time).

    >>> net = nn.Sequential(nn.Linear(4, 4), clif.CLIFNode())
    >>> for t, x in enumerate(torch.rand(6, 1, 4)):
    ...     spikes = net(x)
    ...     if t % 2 == 1:  # back-propagation through two steps at a time
    ...         spikes.sum().backward()
    ...         clif.detach_net(net)
    """
    _call_on_stateful(net, "detach")


def _call_on_stateful(net: nn.Module, method: str) -> None:
    for module in net.modules():
        if (isinstance(module, StepModule) or is_foreign(module)) and callable(call := getattr(module, method, None)):
            call()


def is_foreign(module: nn.Module) -> bool:
    """Whether a module is a stateful module of SpikingJelly, by its common attributes."""
    return isinstance(vars(module).get("_memories"), dict) and hasattr(module, "step_mode")


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """A context with `net` in eval mode; it restores the mode of each module."""
    in_training = [module for module in net.modules() if module.training]
    if in_training:
        net.eval()
    try:
        yield
    finally:
        for module in in_training:
            module.training = True


@contextmanager
def visiting(net: nn.Module, step_mode: str | None = None) -> Iterator[None]:
    """A context with `net` in eval mode, at rest and without gradients, in `step_mode` if given.

    It restores modes and states.
    """
    memories = [(module, _memory(module)) for module in net.modules()]
    try:
        with evaluating(net), torch.no_grad():
            reset_net(net)
            if step_mode is not None:
                set_step_mode(net, step_mode)
            yield
    finally:
        for module, memory in memories:
            vars(module).update(memory)


def _memory(module: nn.Module) -> dict[str, Any]:
    if isinstance(module, StepModule):
        return module.memory
    if is_foreign(module):
        return {"_memories": dict(vars(module)["_memories"]), "_step_mode": vars(module)["_step_mode"]}
    return {}


def like_weights(net: nn.Module, x: Tensor) -> Tensor:
    """An input in the dtype of the weights of `net`; integers, and the inputs of a net without weights, stay.

    >>> clif.neurons.net.like_weights(nn.Linear(2, 2).double(), torch.rand(3, 2)).dtype
    torch.float64
    """
    weight = next((p for p in net.parameters() if p.is_floating_point()), None)
    return x if weight is None or not x.is_floating_point() else x.to(weight.dtype)


def set_step_mode(net: nn.Module, step_mode: str) -> None:
    """Set "s" (a call takes one step) or "m" (a call takes a sequence) on every module of `net` with a step mode.

    >>> net = nn.Sequential(nn.Linear(4, 4), clif.CLIFNode())
    >>> clif.set_step_mode(net, "m")
    >>> net(torch.rand(6, 1, 4)).shape  # [T, N, features]
    torch.Size([6, 1, 4])
    """
    check_step_mode(step_mode)
    for module in net.modules():
        if hasattr(module, "step_mode"):
            module.step_mode = step_mode  # type: ignore[assignment]


def set_backend(net: nn.Module, backend: str) -> None:
    """Set the backend of every neuron of `net`: "auto", or one by name, which raises `InputError` if it cannot run.

    It also sets the convolutions: with "torch" they are PyTorch's; with any other backend compiled kernels compute
    those of spikes (`clif.layers.Conv2d` says which).

    >>> net = nn.Sequential(nn.Linear(4, 4), clif.CLIFNode(step_mode="m"))
    >>> clif.set_backend(net, "torch")
    >>> clif.backend_for(net[1], torch.rand(6, 1, 4))
    ('torch', 'backend="torch" was set')
    """
    dispatch.check_backend(backend)
    for module in net.modules():
        if isinstance(module, SpikingNeuron | Conv2d):
            module.backend = backend


def backend_for(node: SpikingNeuron, x: Tensor) -> tuple[str, str]:
    """The backend that computes this input of a neuron, and why not a faster one ("" if there is none).

    `x` is [N, *] in single-step mode and [T, N, *] in multi-step mode. The call compiles kernels that this input needs.

        >>> clif.backend_for(clif.CLIFNode(step_mode="m"), torch.rand(4, 8, 16))
        ('cpu', '')
    """
    if node.step_mode == "s":
        return "torch", "a single step is computed in PyTorch; kernels take sequences"
    first_step(x)
    route = node.sequence_mode().route(len(x))
    if route in BY_STEPS:
        return "torch", BY_STEPS[route].format(type(node).__name__)
    if node.backend == "torch":
        return "torch", 'backend="torch" was set'
    found, why = dispatch.choose(x, node.equations())
    return (found, why) if node.backend in ("auto", found) else (node.backend, "")


BY_STEPS = {
    "steps": "store_v_seq=True keeps v of every step, which kernels do not write",
    "own steps": "{} defines single_step_forward instead of step",
}


def set_fuse_norm(net: nn.Module, fuse_norm: bool) -> None:
    """Switch the fusion of every neuron of `net` with the batch norm before it on (the default) or off.

    The numbers are the same except for rounding; the fused kernel never writes the normalised sequence to memory. Only
    the call `neuron(x, norm)` fuses, as in the networks of clif and in `clif.neurons.blocks.ConvBlock`; a plain
    `torch.nn.Sequential(norm, neuron)` does not.

    That call does not fuse if x [T, N, C, H, W] is one repeated image (before the first neuron of static images) or not
    channels_last. It does not fuse in single-step mode, with a gradient window below T, with `store_v_seq`, with
    backend "torch" or under torch.func. Nor does it fuse if the norm is not `clif.layers.BatchNorm2d` itself (sync-bn),
    has another dtype than the neuron computes in, has one value per channel or, on a CPU, more than 2,048 channels, or
    if the norm or the neuron has hooks.

    >>> net = clif.models.create_model("snn5_noAP", T=2)
    >>> clif.set_fuse_norm(net, False)
    """
    for module in net.modules():
        if isinstance(module, SpikingNeuron):
            module.fuse_norm = fuse_norm


def set_keep_state(net: nn.Module, keep_state: bool) -> None:
    """Set whether every neuron of `net` keeps its state from one sequence to the next (the default) or starts at rest.

    This includes leaky integrators and recurrent containers.

    It has an effect in multi-step mode only. With False and with gradients, as in training, the neuron does not compute
    its last state and is at rest after the call, which saves time and memory. The networks of `clif.models` start every
    sequence at rest, so their neurons have False. Set True to read their last `v` and `m` in training too.

    >>> node = clif.CLIFNode(step_mode="m")
    >>> clif.set_keep_state(node, False)
    >>> spikes = node(torch.rand(6, 1, 4, requires_grad=True))
    >>> node.v
    0.0
    """
    for module in net.modules():
        if isinstance(module, StepModule) and hasattr(module, "keep_state"):
            module.keep_state = keep_state  # type: ignore[assignment]


def set_pack_spikes(net: nn.Module, pack_spikes: bool) -> None:
    """Set whether every convolution of `net` keeps its input spikes as one bit each for the backward pass.

    It changes no results; on a CPU it trades some time for memory (docs/benchmarks.md). Inputs that are not spikes, and
    inputs on other devices, are kept unchanged.

    >>> net = clif.models.create_model("snn5_noAP", T=2)
    >>> clif.set_pack_spikes(net, True)
    """
    for module in net.modules():
        if isinstance(module, Conv2d):
            module.pack_spikes = pack_spikes
