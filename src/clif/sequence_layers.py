"""The counterparts of PyTorch's layers for sequences, and the conversion of a network to them."""

import copy
from collections.abc import Collection
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from clif import layers
from clif.errors import InputError
from clif.layers import StepModule, fold


class SequenceLayer(nn.Module):
    """Base of the layers that a deployment puts into networks, which take a step or a sequence."""


class AdaptiveMaxPool2d(nn.AdaptiveMaxPool2d):
    """`torch.nn.AdaptiveMaxPool2d` for a step or a sequence."""

    def forward(self, x: Tensor) -> Any:
        return fold(super().forward, x)


class ConvTranspose2d(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` for a step or a sequence."""

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        return fold(lambda y: super(ConvTranspose2d, self).forward(y, output_size), x)


class GroupNorm(nn.GroupNorm):
    """`torch.nn.GroupNorm` for images of a step or a sequence, or for vectors of a step."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            raise InputError(f"GroupNorm takes sequences of images [T, N, C, H, W], got {list(x.shape)}; use LayerNorm")
        return fold(super().forward, x)


class StepFlatten(StepModule):
    """`torch.nn.Flatten()` for a step, [N, *] -> [N, F], or a sequence, [T, N, *] -> [T, N, F]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1 if self.step_mode == "s" else 2)


class StepAdaptiveAvgPool2d(layers.AdaptiveAvgPool2d, StepModule):
    """`clif.layers.AdaptiveAvgPool2d` with a step mode, which the networks of SpikingJelly ask it for."""


class Voting(nn.Module):
    """The means of `voting_size` features each, [..., F] -> [..., F / voting_size], as SpikingJelly's VotingLayer."""

    def __init__(self, voting_size: int) -> None:
        super().__init__()
        self.voting_size = voting_size

    def forward(self, x: Tensor) -> Tensor:
        size = self.voting_size
        return F.avg_pool1d(x.flatten(0, -2).unsqueeze(1), size, size).squeeze(1).unflatten(0, x.shape[:-1])

    def extra_repr(self) -> str:
        return f"voting_size={self.voting_size}"


SAME: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: layers.Conv2d,
    nn.BatchNorm2d: layers.BatchNorm2d,
    nn.AvgPool2d: layers.AvgPool2d,
    nn.AdaptiveAvgPool2d: layers.AdaptiveAvgPool2d,
    nn.MaxPool2d: layers.MaxPool2d,
    nn.AdaptiveMaxPool2d: AdaptiveMaxPool2d,
    nn.ConvTranspose2d: ConvTranspose2d,
    nn.GroupNorm: GroupNorm,
    nn.BatchNorm1d: layers.BatchNorm1d,
    nn.Conv1d: layers.Conv1d,
}
"""Layers with the same attributes, parameters and names as those of PyTorch."""

ELEMENTWISE: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Softplus, nn.Sigmoid, nn.Tanh, nn.Hardtanh),
)
"""Activations without a weight."""

COUNTERPARTS: tuple[type[nn.Module], ...] = tuple(SAME.values())
AS_THEY_ARE = (SequenceLayer, nn.Linear, nn.Identity, nn.LayerNorm, layers.Flatten, Voting, *ELEMENTWISE, *COUNTERPARTS)
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def sharing_copy(net: nn.Module) -> Any:
    """A copy of the modules of `net` that shares its parameters and buffers."""
    shared = {id(tensor): tensor for tensor in (*net.parameters(), *net.buffers())}
    return copy.deepcopy(net, {**_detached(net), **shared})


def detached_copy(net: nn.Module) -> Any:
    """A deep copy of `net`, also if its modules hold tensors with a graph, which are detached in it.

    Such are states of other libraries, and weights that a hook computes (`torch.nn.utils.prune`).
    """
    return copy.deepcopy(net, _detached(net))


def _detached(net: nn.Module) -> dict[int, Any]:
    """Copies without a graph of the tensors in `net` that have one, by the identity of the tensors."""
    stores = [store for m in net.modules() for store in (vars(m), m._buffers, vars(m).get("_memories", {}))]
    values = [value for store in stores for value in store.values()]
    return {id(value): value.detach().clone() for value in values if isinstance(value, Tensor) and not value.is_leaf}


def take_sequences(net: nn.Module, only: Collection[nn.Module] | None = None) -> nn.Module:
    """Make the layers of `net`, in place, take [T, N, *] as well as [N, *]; returns it, or its replacement.

    With `only`, other layers do not change. Raises `InputError` with the name of a layer that has no counterpart.
    """
    counterparts: dict[nn.Module, nn.Module] = {}
    inside = {part for module in net.modules() if isinstance(module, StepModule) for part in list(module.modules())[1:]}
    inside |= parametrizations(net)
    for name, module in list(net.named_modules()):
        if module in inside or (only is not None and module not in only):
            continue
        counterparts[module] = _counterpart(name or "the network itself", module)
    for module in list(net.modules()):
        for name, child in list(module._modules.items()):
            if child is not None and counterparts.get(child, child) is not child:
                setattr(module, name, counterparts[child])
    return counterparts.get(net, net)


def parametrizations(net: nn.Module) -> set[nn.Module]:
    """The modules in `net` that compute parametrized weights (`torch.nn.utils.parametrize`)."""
    parametrized = [module for module in net.modules() if parametrize.is_parametrized(module)]
    return {part for module in parametrized for part in module.get_submodule("parametrizations").modules()}


def _counterpart(name: str, module: nn.Module) -> nn.Module:
    kind: type[Any] = parametrize.type_before_parametrizations(module)
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d) and not (module.affine and module.track_running_stats):
        raise InputError(
            f"{name} is a {kind.__name__} with affine=False or track_running_stats=False; clif.layers.{kind.__name__} "
            "always has weight, bias and running statistics"
        )
    if isinstance(module, nn.MaxPool2d | nn.AdaptiveMaxPool2d) and module.return_indices:
        raise InputError(f"{name} returns indices (return_indices=True), which no layer for sequences takes")
    if kind in SAME:
        _change_class(module, SAME[kind])
        if isinstance(module, StepModule):
            module.step_mode = "m"
    elif isinstance(module, nn.Dropout) and kind is nn.Dropout:
        return layers.Dropout(module.p, step_mode="m").train(module.training)
    elif isinstance(module, nn.Flatten) and kind is nn.Flatten:
        start, end = module.start_dim, module.end_dim
        if start != 1 or end not in (-1, 3):
            raise InputError(
                f"{name} flattens from axis {start} to {end}; networks of sequences flatten "
                "whole images, torch.nn.Flatten() or clif.layers.Flatten()"
            )
        return StepFlatten("m")
    elif not isinstance(module, (StepModule, *AS_THEY_ARE)) and not has_own_forward(module):
        raise InputError(
            f"{name}, a {kind.__module__}.{kind.__name__}, cannot take sequences [T, N, *]; use a layer of "
            "clif.layers or one of PyTorch's for images and vectors, put a stateless one into "
            "clif.layers.TimeDistributed, or derive yours from clif.layers.StepModule; clif.convert makes networks of "
            "SpikingJelly and snnTorch ours"
        )
    return module


def _change_class(module: nn.Module, kind: type[nn.Module]) -> None:
    """Make a module one of `kind`; parametrized weights are properties of its class, which go into the new one."""
    if parametrize.is_parametrized(module):
        own = {name: value for name, value in vars(type(module)).items() if name not in ("__dict__", "__weakref__")}
        kind = type(type(module).__name__, (kind,), own)
    module.__class__ = kind


def has_own_forward(module: nn.Module) -> bool:
    """Whether a module is a container or has children, not counting those that compute parametrized weights."""
    return isinstance(module, CONTAINERS) or bool(module._modules.keys() - {"parametrizations"})
