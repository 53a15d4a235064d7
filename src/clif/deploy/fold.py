"""Batch norm folded into the convolution before it, if that is exact."""

from typing import TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from clif.deploy.affine import ChannelAffine
from clif.deploy.graph import layer_graph, layer_of, layers_read
from clif.errors import InputError
from clif.models.wrapped import layer_name
from clif.neurons import reset_net
from clif.sequence_layers import detached_copy

Network = TypeVar("Network", bound=nn.Module)
Norm = nn.BatchNorm1d | nn.BatchNorm2d
Weights = nn.Conv1d | nn.Conv2d | nn.Linear


def scale_and_shift(norm: Norm) -> tuple[Tensor, Tensor]:
    """The batch norm's eval mode as y = scale·x + shift: two tensors [C] in float64."""
    if norm.running_mean is None or norm.running_var is None:
        raise InputError("a batch norm without running statistics has no fixed scale in eval mode")
    mean, var = norm.running_mean.detach().double(), norm.running_var.detach().double()
    if not norm.affine:
        scale = torch.rsqrt(var + norm.eps)
        return scale, -mean * scale
    weight, bias = norm.weight.detach().double(), norm.bias.detach().double()
    scale = weight / torch.sqrt(var + norm.eps)
    return scale, bias - mean * scale


def foldable_norms(net: nn.Module) -> dict[str, str | None]:
    """Every batch norm by name, with the convolution (or linear layer) into which it folds exactly, or None.

    A `BatchNorm2d` folds if its only input is a `Conv2d` with no other use, a `BatchNorm1d` if it is a `Conv1d` or a
    linear layer. In a pre-activation block the first batch norm normalises the sum of two branches, so nothing before
    it can take its scale.
    """
    graph = layer_graph(net)
    found: dict[str, str | None] = {}
    for node in graph.graph.nodes:
        if isinstance(norm := layer_of(graph, node), Norm):
            before: fx.Node = node.all_input_nodes[0]
            weights = layer_of(graph, before)
            kinds = (nn.Conv2d,) if isinstance(norm, nn.BatchNorm2d) else (nn.Conv1d, nn.Linear)
            fits = isinstance(weights, kinds) and len(weights.weight) == norm.num_features
            found[str(node.target)] = str(before.target) if fits and len(before.users) == 1 else None
    return found


def fold_batch_norm(net: Network, rest: str = "refuse") -> Network:
    """A copy of `net` in eval mode, whose batch norms are part of the convolutions before them.

    The copy computes the same as `net` in eval mode, within rounding. Weights that PyTorch computes at every call
    (`torch.nn.utils.parametrize`, `prune`, `weight_norm`, `spectral_norm`) become plain weights. `rest` sets the
    treatment of a batch norm that no convolution can take (see `foldable_norms`): "refuse" raises `InputError` with its
    name; "affine" replaces it by a `ChannelAffine`, one multiplication and one addition per value; "keep" keeps it, and
    the neuron after it can compute it in its kernel (`clif.set_fuse_norm`). If the network's own `forward` reads a
    parameter of either layer, such as `self.conv.weight`, only "keep" is possible.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> folded = clif.deploy.fold_batch_norm(net)
    >>> x = torch.rand(4, 3, 16, 16)
    >>> torch.equal(clif.models.predict(folded(x)), clif.models.predict(net(x)))
    True
    """
    if rest not in ("refuse", "affine", "keep"):
        raise InputError(f'rest must be "refuse", "affine" or "keep", got {rest!r}')
    folded: Network = detached_copy(net).eval()
    reset_net(folded)
    for module in list(folded.modules()):
        if parametrize.is_parametrized(module):
            _make_plain(module)
        _remove_hooks(module)
    read = layers_read(layer_graph(folded))
    for name, before in foldable_norms(folded).items():
        norm = folded.get_submodule(name)
        assert isinstance(norm, Norm)
        shown = layer_name(folded, name)
        if layer := next((layer for layer in (name, before) if layer in read), None):
            if rest == "keep":
                continue
            raise InputError(
                f"the forward of the network itself reads a parameter of the layer {layer_name(folded, layer)}, so "
                f'the batch norm {shown} cannot be folded; rest="keep" leaves it as it is'
            )
        if norm.running_mean is None and rest != "keep":
            raise InputError(
                f"the batch norm {shown} has no running statistics and no fixed scale, so it cannot be folded; "
                'rest="keep" leaves it as it is'
            )
        if before is not None and norm.running_mean is not None:
            conv = folded.get_submodule(before)
            assert isinstance(conv, Weights)
            _fold_into(conv, norm)
            replace(folded, name, nn.Identity())
        elif rest == "affine" and isinstance(norm, nn.BatchNorm2d):
            scale, shift = (value.to(norm.running_var) for value in scale_and_shift(norm))
            replace(folded, name, ChannelAffine(scale, shift))
        elif rest != "keep":
            raise InputError(
                f"the batch norm {shown} does not follow a convolution of its own (pre-activation blocks normalise a "
                'sum), so it cannot be folded exactly; rest="affine" leaves it as a scale and a shift a channel, of '
                'images, and rest="keep" as it is'
            )
    return folded


def _make_plain(module: nn.Module) -> None:
    """Make parameters of parametrized weights; `torch.nn.utils.parametrize` itself would also change other copies."""
    parametrized = module.get_submodule("parametrizations")
    weights = {name: getattr(module, name).detach() for name, _ in parametrized.named_children()}
    del module.parametrizations
    module.__class__ = parametrize.type_before_parametrizations(module)
    for name, weight in weights.items():
        setattr(module, name, nn.Parameter(weight))


def _remove_hooks(module: nn.Module) -> None:
    """Make parameters of weights that a hook computes before every call."""
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)
        elif isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)


def _fold_into(conv: Weights, norm: Norm) -> None:
    scale, shift = scale_and_shift(norm)
    weight = conv.weight.detach().double() * scale.view(-1, *[1] * (conv.weight.dim() - 1))
    bias = shift if conv.bias is None else shift + conv.bias.detach().double() * scale
    weight = weight.to(conv.weight)
    if weight.dim() == 4:
        weight = weight.to(memory_format=torch.channels_last)
    conv.weight = nn.Parameter(weight, conv.weight.requires_grad)
    conv.bias = nn.Parameter(bias.to(conv.weight), conv.weight.requires_grad)


def replace(net: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the layer `name` with `module`, also where it has another name."""
    layer = net.get_submodule(name)
    for parent in list(net.modules()):
        for child, found in list(parent._modules.items()):
            if found is layer:
                setattr(parent, child, module)
