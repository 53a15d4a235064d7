"""The correctness gate: checks the results of a contestant before its speed is reported."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clif.bench.definition import Contestant, Layer, neuron_by_neuron
from clif.bench.jumps import Distance, with_its_derivative
from clif.neurons.base import SpikingNeuron
from clif.precision import why_slow

TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-4, torch.bfloat16: 2e-2, torch.float16: 4e-3}
"""The largest error relative to the largest value, for gradients that a kernel wrote in that dtype."""

MARGIN = 1e-3
"""Below float64, neurons closer to a discontinuity of their equations are not compared: rounding decides there."""

COMPARED_NEURONS = 2000


def refuses(contestant: Contestant, x_seq: Tensor) -> str | None:
    """Why `contestant` does not compute its definition on x_seq [T, N, *], or None if it does.

    The definition runs in float64, by clif's loop, on neurons from the start, the end and in between. The incoming
    gradient is zero for all others, so all their gradients must be zero.
    """
    places = _places(x_seq[0].numel(), x_seq.device)
    channel = _channels(x_seq.shape[1:], places)
    exact = x_seq.detach().flatten(1)[:, places].double()
    w = [parameter.detach().double().requires_grad_() for parameter in contestant.parameters]
    channels = x_seq.shape[2] if x_seq.dim() > 2 else None
    layer = Layer(contestant.definition.neuron, channels, torch.float64, x_seq.device)
    node = contestant.definition.node(layer)
    safe = torch.ones_like(exact[0], dtype=torch.bool)
    if x_seq.dtype != torch.float64:
        safe = _distance(node, exact, w, channel) > MARGIN
    if safe.double().mean() < 0.5:
        return f"most neurons are too near to a discontinuity to be compared in {x_seq.dtype}"

    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(exact.shape, generator=generator, dtype=torch.float64).to(x_seq.device, x_seq.dtype) * safe
    d_spike = torch.zeros_like(x_seq)
    d_spike.flatten(1)[:, places] = drawn

    x_seq = x_seq.detach().requires_grad_()
    exact.requires_grad_()
    spikes = contestant.run(x_seq)
    expected_spikes = neuron_by_neuron(node.equations(), exact, w, channel)
    wrong = (spikes.detach().flatten(1)[:, places] != expected_spikes) & safe
    if wrong.any():
        return f"{wrong.double().mean():.2%} of its spikes differ from those of {contestant.definition}"

    gradients = torch.autograd.grad(spikes, (x_seq, *contestant.parameters), d_spike, materialize_grads=True)
    expected = torch.autograd.grad(expected_spikes, (exact, *w), drawn.double(), materialize_grads=True)
    dx = gradients[0].flatten(1).clone()
    pairs = [(dx[:, places], expected[0]), *zip(gradients[1:], expected[1:], strict=True)]
    for actual, wanted in pairs:
        tolerance = TOLERANCES[x_seq.dtype] * max(1.0, wanted.abs().max().item())
        if not torch.allclose(actual.double(), wanted, rtol=0, atol=tolerance):
            error = (actual.double() - wanted).abs().max().item()
            return f"its gradients differ by {error:.2g} from those of {contestant.definition}"
    dx[:, places] = 0
    if dx.any() or not dx.isfinite().all():
        return "it returns gradients for neurons that have none"
    return None


def left_out(name: str, dtype: str, device: torch.device) -> str | None:
    """Why a network in `dtype` is not timed unless its contestant is named: PyTorch would take its slow fallback."""
    reason = why_slow(getattr(torch, dtype, torch.float32), device)
    return None if reason is None else f"left out: {reason}; --contestants {name} times it anyway"


def _places(neurons: int, device: torch.device) -> Tensor:
    """The indices of the neurons that are compared."""
    if neurons <= COMPARED_NEURONS:
        return torch.arange(neurons, device=device)
    edge = COMPARED_NEURONS // 4
    between = torch.randint(neurons, (COMPARED_NEURONS,), generator=torch.Generator().manual_seed(0))
    ends = torch.cat([torch.arange(edge), torch.arange(neurons - edge, neurons)])
    return torch.cat([ends, between]).unique().to(device)


def _channels(shape: Sequence[int], places: Tensor) -> Tensor:
    """The channels of neurons of a step of that shape, [N, C, *]; all 0 if there is no such axis."""
    if len(shape) < 2:
        return torch.zeros_like(places)
    behind = torch.Size(shape[2:]).numel()
    return places // behind % shape[1]


def _distance(node: SpikingNeuron, x_seq: Tensor, w: Sequence[Tensor], channel: Tensor) -> Tensor:
    """The distance [P] of each neuron from a discontinuity of its equations or of the surrogate's derivative."""
    usual = node.surrogate_function
    node.surrogate_function = with_its_derivative(usual)
    try:
        with torch.no_grad(), Distance(x_seq[0]) as distance:
            neuron_by_neuron(node.equations(), x_seq, w, channel)
    finally:
        node.surrogate_function = usual
    return distance.nearest
