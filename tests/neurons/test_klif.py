import comparing
import pytest
import torch
from comparing import OURS, outcome
from torch.testing import assert_close

import clif
from clif.errors import InputError


def pair(name="Sigmoid", k=1.3, **options):
    nodes = comparing.pair("KLIFNode", name, **options)
    for node in nodes:
        node.double()
        torch.nn.init.constant_(node.k, k)
    return nodes


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("scale_reset", [False, True])
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.1])
def test_it_equals_spikingjellys(v_reset, decay_input, scale_reset, detach_reset):
    options = {"tau": 3.0, "v_threshold": 0.8, "v_reset": v_reset, "decay_input": decay_input}
    nodes = pair(scale_reset=scale_reset, detach_reset=detach_reset, **options)
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64)
    got, expected = (outcome(node, x_seq) for node in nodes)
    assert got["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert got["grad_k"] != 0
    assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("name", OURS)
def test_every_surrogate_and_slope_equals_spikingjellys(name, k):
    options = {"tau": 2.0, "decay_input": False, "v_reset": None}
    x_seq = torch.randn(6, 3, 40, dtype=torch.float64) * 2
    x_seq[:, :, ::4] = 0.0  # without input the potential is at the corner of max(0, ·)
    got, expected = (outcome(node, x_seq) for node in pair(name, k, **options))
    assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_it_begins_with_k_1():
    node = clif.KLIFNode()
    assert (node.k.item(), [name for name, _ in node.named_parameters()]) == (1.0, ["k"])


def test_its_constants_are_checked():
    with pytest.raises(InputError, match="tau must be a finite number greater than 1"):
        clif.KLIFNode(tau=1.0)
    node = clif.KLIFNode()
    node.tau = 0.5
    with pytest.raises(InputError, match="tau must be a finite number greater than 1"):
        node(torch.rand(2, 3))
