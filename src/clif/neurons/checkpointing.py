"""Activation checkpointing by block: keeps only the input of a block, spikes as bits, and recomputes the rest.

The spikes of a network are small as bits, and its other activations are large. So a block reaches from spikes to
spikes.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from clif.errors import InputError
from clif.layers import has_hooks
from clif.neurons.base import SpikingNeuron
from clif.ops.packing import Packed, known_as, pack, unpack
from clif.ops.recomputing import with_states
from clif.ops.registration import is_exported, is_transformed

COPIED = ("_parameters", "_buffers", "_memories")
"""Dictionaries of a module whose entries a call, or `torch.func.functional_call`, may replace.

`_memories` is SpikingJelly's.
"""


def checkpoint_block(
    modules: Iterable[nn.Module], function: Callable[..., Any], *inputs: Any, last: nn.Module | None = None
) -> Any:
    """`function(*inputs)`, recomputed in the backward pass; only its inputs are kept.

    An input of spikes is kept as one bit per element. `modules` are those that the function calls: in the second
    computation they have the states, the masks and the mode of the first, and what they then learn (the
    running statistics of a batch norm) is dropped. If `last` is given it is the neuron whose spikes are the result.
    Without gradients it is `function(*inputs)`.

    Raises `InputError` under torch.compile and torch.func, and in the backward pass if a parameter has changed since.
    """
    if not _records(inputs):
        return function(*inputs)
    _require_plain()
    return _Block(modules, function, inputs, last)()


class OwnForward:
    """A replacement for the `forward` of a module's class that checkpoints the module; see `attach`."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class WholeBlock(OwnForward):
    """A module as a block."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = partial(type(self.module).forward, self.module, **kwargs)
        return checkpoint_block([self.module], function, *args)


def attach(module: nn.Module, kind: type[OwnForward]) -> None:
    """Compute `module(...)` by an object of `kind`. Names, parameters and class do not change."""
    vars(module)["forward"] = kind(module)


def detach(module: nn.Module) -> None:
    """Compute `module(...)` by the `forward` of its class again."""
    if isinstance(vars(module).get("forward"), OwnForward):
        del vars(module)["forward"]


def is_checkpointed(module: nn.Module) -> bool:
    """Whether a module checkpoints its own blocks, or itself."""
    return isinstance(vars(module).get("forward"), OwnForward) or bool(getattr(module, "checkpoint_blocks", False))


def _records(inputs: tuple[Any, ...]) -> bool:
    """Whether there will be a backward pass; there is none for a graph that is made for export."""
    if not torch.is_grad_enabled() or is_exported() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return False
    return all(isinstance(x, Tensor) for x in inputs)


def _require_plain() -> None:
    for what, holds in (("torch.compile", torch.compiler.is_compiling()), ("torch.func", is_transformed())):
        if holds:
            raise InputError(
                f"blocks cannot be checkpointed under {what}; switch checkpointing off: "
                "clif.set_checkpoint_blocks(net, False)"
            )


class _Block:
    """One call of a block, with everything that is needed to repeat it."""

    def __init__(
        self,
        modules: Iterable[nn.Module],
        function: Callable[..., Any],
        inputs: tuple[Tensor, ...],
        last: nn.Module | None,
    ) -> None:
        self.function = function
        self.last = last
        self.modules = list(dict.fromkeys(part for module in modules for part in module.modules()))
        self.before = [_attributes(module) for module in self.modules]
        self.kept = [pack(x.detach()) for x in inputs]
        self.versions = self._versions()
        self.like = [(x.requires_grad, x.is_leaf) for x in inputs]
        self.inputs: tuple[Tensor, ...] | None = inputs

    def __call__(self) -> Any:
        on = self.inputs[0].new_empty(0) if self.inputs else None  # PyTorch reads it for the device of the random state
        return checkpoint(self._run, on, use_reentrant=False)

    def _run(self, _: Tensor | None) -> Any:
        if self.inputs is not None:
            inputs, self.inputs = self.inputs, None
            return self._compute(inputs)
        if self._versions() != self.versions:
            raise InputError(
                "parameters, buffers or the input of a checkpointed block changed in place between its forward and its "
                "backward pass, which would recompute it with the new ones; call backward() before the optimiser's "
                "step, and leave modules that change their buffers out of it (blocks=…)"
            )
        again = tuple([_again(unpack(x), *like) for x, like in zip(self.kept, self.like, strict=True)])
        last = self.last if _gives_its_spikes(self.last) else None
        with with_states(last), self._as_before():
            return self._compute(again)

    def _compute(self, inputs: tuple[Tensor, ...]) -> Any:
        with ExitStack() as stack:
            for x, kept in zip(inputs, self.kept, strict=True):
                if isinstance(kept, Packed):
                    stack.enter_context(known_as(x, kept))
            return self.function(*inputs)

    def _versions(self) -> list[int]:
        """The versions of the tensors on which the block depends, except the statistics of batch norms."""
        tensors = [x for x in self.kept if isinstance(x, Tensor)]
        for module, before in zip(self.modules, self.before, strict=True):
            learns = isinstance(module, nn.modules.batchnorm._NormBase) and before["training"]
            held = (*before["_parameters"].values(), *(() if learns else before["_buffers"].values()))
            tensors += [x for x in held if x is not None and not x.is_inference()]
        return [x._version for x in tensors]

    @contextmanager
    def _as_before(self) -> Iterator[None]:
        """A context with the modules as they were before the first call; changes of their buffers are dropped."""
        present = [dict(vars(module)) for module in self.modules]
        try:
            for module, before in zip(self.modules, self.before, strict=True):
                vars(module).update(before)
                vars(module)["_buffers"] = {name: _copied(buffer) for name, buffer in before["_buffers"].items()}
            yield
        finally:
            for module, attributes in zip(self.modules, present, strict=True):
                vars(module).clear()
                vars(module).update(attributes)


def _again(x: Tensor, needs_grad: bool, is_leaf: bool) -> Tensor:
    """An input that the layers treat as they did the first time: they compute a repeated image once unless a leaf."""
    x = x.detach().requires_grad_(needs_grad)
    return x if is_leaf else x[...]  # view_as might change the stride of an axis of one element


def _gives_its_spikes(neuron: nn.Module | None) -> bool:
    """Whether a neuron's output is exactly the spikes of its equations, without hooks or other changes."""
    if not isinstance(neuron, SpikingNeuron) or has_hooks(neuron):
        return False
    return not any(map(neuron.overrides, ("forward", "single_step_forward", "multi_step_forward")))


def _attributes(module: nn.Module) -> dict[str, Any]:
    found = dict(vars(module))
    return {**found, **{name: dict(found[name]) for name in COPIED if name in found}}


def _copied(buffer: Tensor | None) -> Tensor | None:
    return None if buffer is None else buffer.detach().clone()
