"""The results of a neuron for a sequence, with gradients, for comparisons; surrogates of two packages by name."""

import torch

from clif import surrogate

OURS = {
    "Rect": surrogate.Rectangle(1.0),
    "Sigmoid": surrogate.Sigmoid(4.0),
    "PiecewiseQuadratic": surrogate.Triangle(1.0),
    "ATan": surrogate.ATan(2.0),
}
"""The surrogates of `clif` by the names of SpikingJelly's."""


def outcome(node, x_seq):
    """The spikes of a sequence, the state after it, and the gradients of the input and of all parameters by name."""
    x = x_seq.clone().requires_grad_()
    spikes = node(x)
    weights = torch.linspace(-1, 1, spikes.numel(), dtype=x.dtype).view_as(spikes)
    gradients = torch.autograd.grad((spikes * weights).sum(), [x, *node.parameters()])
    names = ["x", *(name for name, _ in node.named_parameters())]
    state = {name: getattr(node, name).detach() for name in getattr(node, "state_names", ("v",))}
    return {"spikes": spikes.detach(), **state, **{f"grad_{n}": g for n, g in zip(names, gradients, strict=True)}}
