import comparing
import pytest
import torch
from comparing import OURS, outcome
from torch.testing import assert_close

import clif
from clif.errors import InputError

CONSTANTS = {"tau": 3.0, "delta_T": 1.2, "theta_rh": 0.9, "v_rest": 0.1, "v_threshold": 0.9}
MAX_EXPONENT = 4.0


def pair(name, **options):
    return comparing.pair("EIFNode", name, {"decay_input": True, "max_exponent": MAX_EXPONENT}, **options)


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
@pytest.mark.parametrize(("options", "bound"), [({}, 1.0), ({"max_exponent": 4.0}, 4.0)])
def test_the_exponent_is_clamped(options, bound, backend):
    node = clif.EIFNode(2.0, v_threshold=100.0, surrogate_function="sigmoid", step_mode="m", backend=backend, **options)
    exponent = torch.tensor([[-3.0, bound - 0.5, bound - 1e-6, bound + 1e-6, bound + 1, 300]], dtype=torch.float64)
    start = (0.8 + 0.25 * exponent).requires_grad_()
    node.v = start
    node(torch.zeros_like(start).unsqueeze(0))
    upswing = 0.25 * torch.exp(exponent.clamp(max=bound))
    assert_close(node.v, start / 2 + upswing / 2, rtol=1e-10, atol=1e-10)
    (got,) = torch.autograd.grad(node.v.sum(), start)
    assert_close(got, 0.5 + 0.5 * torch.exp(exponent) * (exponent < bound), rtol=1e-10, atol=1e-10)


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
        ("max_exponent", float("inf"), "max_exponent must be a finite number, got inf"),
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
