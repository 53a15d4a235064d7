import comparing
import pytest
import torch
from comparing import OURS, outcome
from torch.testing import assert_close

import clif
from clif.errors import InputError

CONSTANTS = {"tau": 3.0, "v_c": 0.7, "a0": 0.5, "v_rest": -0.05, "tau_w": 4.0, "v_threshold": 0.9}


def pair(name, **options):
    nodes = comparing.pair("IzhikevichNode", name, {"decay_input": True}, **options)
    nodes[1].state_names = ("v", "w")
    return nodes


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize(("a", "b"), [(0.1, 0.2), (-0.3, 0.0)])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.1])
def test_it_equals_spikingjellys(v_reset, a, b, detach_reset):
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64) * 3
    nodes = pair("Sigmoid", v_reset=v_reset, a=a, b=b, detach_reset=detach_reset, **CONSTANTS)
    got, expected = (outcome(node, x_seq) for node in nodes)
    assert got["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OURS)
def test_every_surrogate_equals_spikingjellys(name):
    x_seq = torch.randn(6, 3, 40, dtype=torch.float64) * 3
    ours, theirs = pair(name, v_reset=0.0, a=0.1, b=0.2, **CONSTANTS)
    ours.backend = "torch"
    assert_close(outcome(ours, x_seq), outcome(theirs, x_seq), rtol=1e-10, atol=1e-10)


def test_the_input_is_not_divided_by_default():
    node, x = clif.IzhikevichNode(v_threshold=10.0), torch.rand(2, 3)
    node(x)
    assert_close(node.v, x)


def test_above_the_critical_potential_it_fires_by_itself():
    node = clif.IzhikevichNode(a=0.0, step_mode="m")
    x_seq = torch.zeros(12, 1, 2)
    x_seq[0] = torch.tensor([0.7, 0.9])
    assert node(x_seq).sum(0).tolist() == [[0.0, 1.0]]
    assert (node.v < 0.1).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau", 1.0, "tau must be a finite number greater than 1"),
        ("v_reset", 1.0, "v_reset must be a finite number below v_threshold"),
        ("a0", 0.0, "a0 must be a finite number greater than 0, got 0.0"),
        ("tau_w", 1.0, "tau_w must be a finite number greater than 1, got 1.0"),
        *((name, float("nan"), f"{name} must be a finite number, got nan") for name in ("v_c", "v_rest", "a", "b")),
    ],
)
def test_its_constants_are_checked(name, value, message):
    with pytest.raises(InputError, match=message):
        clif.IzhikevichNode(**{name: value})
    node = clif.IzhikevichNode()
    setattr(node, name, value)
    with pytest.raises(InputError, match=message):
        node(torch.rand(2, 3))
