import pytest
import torch
from comparing import OURS, outcome
from torch.testing import assert_close

import clif

REASON = "SpikingJelly cannot be imported"
sj_neuron = pytest.importorskip("spikingjelly.activation_based.neuron", reason=REASON, exc_type=ImportError)
from spikingjelly.activation_based import surrogate as sj_surrogate  # noqa: E402


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.1])
@pytest.mark.parametrize("name", OURS)
def test_it_equals_spikingjellys(name, v_reset, detach_reset):
    options = {"v_threshold": 0.8, "v_reset": v_reset, "detach_reset": detach_reset, "step_mode": "m"}
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64)
    got = outcome(clif.IFNode(surrogate_function=OURS[name], **options), x_seq)
    theirs = getattr(sj_surrogate, name)(alpha=OURS[name].alpha)
    expected = outcome(sj_neuron.IFNode(surrogate_function=theirs, **options), x_seq)
    assert got["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_it_counts_the_input_and_forgets_nothing():
    node = clif.IFNode(v_threshold=1.0)
    assert [node(torch.full((1,), 0.5)).item() for _ in range(4)] == [0, 1, 0, 1]
    assert "tau" not in repr(node)
