import pytest
import torch
from comparing import OURS, outcome
from torch.testing import assert_close

import clif
from clif.errors import InputError

REASON = "SpikingJelly cannot be imported"
sj_neuron = pytest.importorskip("spikingjelly.activation_based.neuron", reason=REASON, exc_type=ImportError)
from spikingjelly.activation_based import surrogate as sj_surrogate  # noqa: E402

CONSTANTS = {"tau": 3.0, "delta_T": 1.2, "theta_rh": 0.9, "v_rest": 0.1, "v_threshold": 0.9}


def pair(name, **options):
    """Our neuron and SpikingJelly's, with the same constants and surrogate."""
    theirs = getattr(sj_surrogate, name)(alpha=OURS[name].alpha)
    return [
        clif.EIFNode(decay_input=True, surrogate_function=OURS[name], step_mode="m", **options),
        sj_neuron.EIFNode(surrogate_function=theirs, step_mode="m", **options),
    ]


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.1])
def test_below_the_bound_it_equals_spikingjellys(v_reset, detach_reset):
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64) * 2
    nodes = pair("Sigmoid", v_reset=v_reset, detach_reset=detach_reset, **CONSTANTS)
    got, expected = (outcome(node, x_seq) for node in nodes)
    assert got["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", OURS)
def test_every_surrogate_equals_spikingjellys(name):
    x_seq = torch.randn(6, 3, 40, dtype=torch.float64) * 2
    ours, theirs = pair(name, v_reset=None, **CONSTANTS)
    ours.backend = "torch"
    assert_close(outcome(ours, x_seq), outcome(theirs, x_seq), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_the_exponent_is_clamped_at_4(backend):
    node = clif.EIFNode(2.0, delta_T=0.25, theta_rh=0.8, v_threshold=100.0, step_mode="m", backend=backend)
    bound = 0.8 + 4 * 0.25
    start = torch.tensor([[bound - 0.5, bound - 1e-9, bound + 1e-9, bound + 0.1, 90.0]], dtype=torch.float64)
    x_seq = torch.stack([start, torch.zeros_like(start)]).requires_grad_()
    node(x_seq.detach())
    upswing = 0.25 * torch.exp(((start - 0.8) / 0.25).clamp(max=4))
    node.reset()
    node.v = start
    assert_close(node(x_seq[1:].detach()), torch.zeros_like(x_seq[1:]))
    assert_close(node.v, start / 2 + upswing / 2, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_beyond_the_bound_the_upswing_has_no_derivative(backend):
    node = clif.EIFNode(2.0, v_threshold=100.0, surrogate_function="sigmoid", step_mode="m", backend=backend)
    start = torch.tensor([[1.0, 1.7, 1.9, 5.0]], dtype=torch.float64, requires_grad=True)
    node.v = start
    node(torch.zeros_like(start).unsqueeze(0))
    (got,) = torch.autograd.grad(node.v.sum(), start)
    below = torch.exp((start.detach() - 0.8) / 0.25)
    expected = 0.5 + 0.5 * torch.where(start.detach() <= 1.8, below, torch.zeros_like(below))
    assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_large_inputs_overflow_nothing():
    x_seq = torch.full((20, 2, 3), 1e4, requires_grad=True)
    node = clif.EIFNode(step_mode="m")
    node(x_seq).sum().backward()
    assert node.v.isfinite().all()
    assert x_seq.grad.isfinite().all()


def test_without_input_it_is_silent():
    assert not clif.EIFNode(step_mode="m")(torch.zeros(100, 1, 1)).any()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau", 0.5, "tau must be a finite number greater than 1"),
        ("delta_T", 0.0, "delta_T must be a finite number greater than 0, got 0.0"),
        ("theta_rh", float("inf"), "theta_rh must be a finite number, got inf"),
        ("v_rest", float("nan"), "v_rest must be a finite number, got nan"),
    ],
)
def test_its_constants_are_checked(name, value, message):
    with pytest.raises(InputError, match=message):
        clif.EIFNode(**{name: value})
    node = clif.EIFNode()
    setattr(node, name, value)
    with pytest.raises(InputError, match=message):
        node(torch.rand(2, 3))
