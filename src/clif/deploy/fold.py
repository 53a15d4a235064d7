"""Batch norm folded into the convolution before it, where that is exact."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, fx, nn

from clif.deploy.affine import ChannelAffine
from clif.deploy.graph import layer_graph, layer_of
from clif.errors import InputError
from clif.layers import BatchNorm2d, Conv2d
from clif.neurons import reset_net

Network = TypeVar("Network", bound=nn.Module)


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The batch norm's eval mode as y = scale·x + shift: two tensors [C] in float64."""
    if norm.running_mean is None or norm.running_var is None:
        raise InputError("a batch norm without running statistics has no fixed scale in eval mode")
    weight, bias, mean, var = (
        value.detach().double() for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    scale = weight / torch.sqrt(var + norm.eps)
    return scale, bias - mean * scale


def foldable_norms(net: nn.Module) -> dict[str, str | None]:
    """Every batch norm by name, with the convolution into which it folds exactly, or None where there is none.

    It folds where its only input is a convolution whose result nothing else uses. In a pre-activation block the first
    batch norm normalises the sum of two branches, so nothing before it can take its scale.
    """
    graph = layer_graph(net)
    found: dict[str, str | None] = {}
    for node in graph.graph.nodes:
        if isinstance(layer_of(graph, node), BatchNorm2d):
            before: fx.Node = node.all_input_nodes[0]
            alone = isinstance(layer_of(graph, before), Conv2d) and len(before.users) == 1
            found[str(node.target)] = str(before.target) if alone else None
    return found


def fold_batch_norm(net: Network, rest: str = "refuse") -> Network:
    """A copy of `net` in eval mode, whose batch norms are part of the convolutions before them.

    The copy computes what `net` computes in eval mode, within rounding. `rest` says what becomes of a batch norm that
    no convolution can take (see `foldable_norms`): "refuse" raises `InputError` with its name; "affine" puts a
    `ChannelAffine`, one multiplication and one addition a value, in its place; "keep" leaves it, for the neuron behind
    it to compute along (`clif.set_fuse_norm`).
    """
    if rest not in ("refuse", "affine", "keep"):
        raise InputError(f'rest must be "refuse", "affine" or "keep", got {rest!r}')
    folded = copy.deepcopy(net).eval()
    reset_net(folded)
    for name, before in foldable_norms(folded).items():
        norm = folded.get_submodule(name)
        assert isinstance(norm, BatchNorm2d)
        if before is not None:
            conv = folded.get_submodule(before)
            assert isinstance(conv, Conv2d)
            _fold_into(conv, norm)
            replace(folded, name, nn.Identity())
        elif rest == "affine":
            scale, shift = (value.to(norm.weight.dtype) for value in scale_and_shift(norm))
            replace(folded, name, ChannelAffine(scale, shift))
        elif rest == "refuse":
            raise InputError(
                f"the batch norm {name} does not follow a convolution of its own (pre-activation blocks normalise a "
                'sum), so it cannot be folded exactly; rest="affine" leaves it as a scale and a shift a channel'
            )
    return folded


def _fold_into(conv: Conv2d, norm: BatchNorm2d) -> None:
    scale, shift = scale_and_shift(norm)
    weight = conv.weight.detach().double() * scale[:, None, None, None]
    bias = shift if conv.bias is None else shift + conv.bias.detach().double() * scale
    weight = weight.to(conv.weight).to(memory_format=torch.channels_last)
    conv.weight = nn.Parameter(weight, conv.weight.requires_grad)
    conv.bias = nn.Parameter(bias.to(conv.weight), conv.weight.requires_grad)


def replace(net: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` in the place of the layer `name`."""
    parent, _, child = name.rpartition(".")
    setattr(net.get_submodule(parent), child, module)
