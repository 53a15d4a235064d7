"""The correctness gate: what a contestant computes against what it should, before its speed is reported."""

import torch
from torch import Tensor

from clif.bench.neuron_contestants import Contestant, Definition
from clif.precision import why_slow
from clif.surrogate import Rectangle

TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-4, torch.bfloat16: 2e-2, torch.float16: 4e-3}
"""Of the largest value, for gradients that left a kernel in that dtype."""

MARGIN = 1e-3
"""Neurons whose potential comes nearer to a jump are not compared below float64: rounding decides there."""

COMPARED_NEURONS = 2000


def refuses(contestant: Contestant, x_seq: Tensor) -> str | None:
    """Why `contestant` does not compute its definition on x_seq [T, N, *], or None if it does.

    The definition runs in float64 on neurons from the beginning, the end and in between; the incoming gradient is zero
    but for them, so that all gradients elsewhere must be zero.
    """
    places = _places(x_seq[0].numel(), x_seq.device)
    exact = x_seq.detach().flatten(1)[:, places].double()
    safe = torch.ones_like(exact[0], dtype=torch.bool)
    if x_seq.dtype != torch.float64:
        safe = _distance(contestant.definition, exact, contestant.parameters) > MARGIN
    if safe.double().mean() < 0.5:
        return f"most neurons come too near to a jump to be compared in {x_seq.dtype}"

    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(exact.shape, generator=generator, dtype=torch.float64).to(x_seq.device, x_seq.dtype) * safe
    d_spike = torch.zeros_like(x_seq)
    d_spike.flatten(1)[:, places] = drawn

    x_seq = x_seq.detach().requires_grad_()
    exact.requires_grad_()
    w = [parameter.detach().double().requires_grad_() for parameter in contestant.parameters]
    spikes = contestant.run(x_seq)
    expected_spikes = contestant.definition(exact, w[0] if w else None)
    wrong = (spikes.detach().flatten(1)[:, places] != expected_spikes) & safe
    if wrong.any():
        return f"{wrong.double().mean():.2%} of its spikes differ from those of {contestant.definition}"

    gradients = torch.autograd.grad(spikes, (x_seq, *contestant.parameters), d_spike)
    expected = torch.autograd.grad(expected_spikes, (exact, *w), drawn.double())
    dx = gradients[0].flatten(1).clone()
    pairs = [(dx[:, places], expected[0]), *zip(gradients[1:], expected[1:], strict=True)]
    for actual, wanted in pairs:
        tolerance = TOLERANCES[x_seq.dtype] * max(1.0, wanted.abs().max().item())
        if not torch.allclose(actual.double(), wanted, rtol=0, atol=tolerance):
            error = (actual.double() - wanted).abs().max().item()
            return f"its gradients differ by {error:.2g} from those of {contestant.definition}"
    dx[:, places] = 0
    if dx.any() or not dx.isfinite().all():
        return "it gives gradients to neurons that have none"
    return None


def left_out(name: str, dtype: str, device: torch.device) -> str | None:
    """Why a network in `dtype` is not timed unless its contestant is named: PyTorch would take its slow fallback."""
    reason = why_slow(getattr(torch, dtype, torch.float32), device)
    return None if reason is None else f"left out: {reason}; --contestants {name} times it all the same"


def _places(neurons: int, device: torch.device) -> Tensor:
    """Which of the neurons are compared."""
    if neurons <= COMPARED_NEURONS:
        return torch.arange(neurons, device=device)
    edge = COMPARED_NEURONS // 4
    between = torch.randint(neurons, (COMPARED_NEURONS,), generator=torch.Generator().manual_seed(0))
    ends = torch.cat([torch.arange(edge), torch.arange(neurons - edge, neurons)])
    return torch.cat([ends, between]).unique().to(device)


def _distance(definition: Definition, x_seq: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    """How near [N] each neuron's potential comes to a jump of the spikes or of the surrogate gradient."""
    distances = []
    kind = definition.surrogate_function

    def recording(x: Tensor) -> Tensor:
        edge = kind.alpha / 2 if isinstance(kind, Rectangle) else 0.0
        distances.append(torch.minimum(x.abs(), (x.abs() - edge).abs()))
        return kind(x)

    w = parameters[0].detach().double() if parameters else None
    definition(x_seq, w, surrogate_function=recording)
    return torch.stack(distances).amin(0)
