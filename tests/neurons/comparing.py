"""Neurons of clif and SpikingJelly with equal surrogates, and their results with gradients, for comparisons."""

import pytest
import torch

import clif
from clif import surrogate

OURS = {
    "Rect": surrogate.Rectangle(1.0),
    "Sigmoid": surrogate.Sigmoid(4.0),
    "PiecewiseQuadratic": surrogate.Triangle(1.0),
    "ATan": surrogate.ATan(2.0),
}
"""The surrogates of `clif` by the names of SpikingJelly's."""


def pair(class_name, surrogate_name, ours=None, **options):
    """The neurons of that class of clif and SpikingJelly, with the same options and surrogate; `ours` is for clif only.

    The test that calls it is skipped if SpikingJelly cannot be imported.
    """
    imported = {"reason": "SpikingJelly cannot be imported", "exc_type": ImportError}
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron", **imported)
    sj_surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate", **imported)
    clif_function = OURS[surrogate_name]
    function = getattr(sj_surrogate, surrogate_name)(alpha=clif_function.alpha)
    return [
        getattr(clif, class_name)(surrogate_function=clif_function, step_mode="m", **(ours or {}), **options),
        getattr(neuron, class_name)(surrogate_function=function, step_mode="m", **options),
    ]


def outcome(node, x_seq):
    """The spikes of a sequence, the state after it, and the gradients of the input and of all parameters by name."""
    x = x_seq.clone().requires_grad_()
    spikes = node(x)
    weights = torch.linspace(-1, 1, spikes.numel(), dtype=x.dtype).view_as(spikes)
    gradients = torch.autograd.grad((spikes * weights).sum(), [x, *node.parameters()])
    names = ["x", *(name for name, _ in node.named_parameters())]
    state = {name: getattr(node, name).detach() for name in getattr(node, "state_names", ("v",))}
    return {"spikes": spikes.detach(), **state, **{f"grad_{n}": g for n, g in zip(names, gradients, strict=True)}}
