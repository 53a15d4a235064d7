import math

import pytest
import torch
from comparing import OURS, outcome
from torch.testing import assert_close

import clif
from clif.errors import InputError


class Plain(torch.nn.Module):
    """The equations step by step, from the paper of CLIF with τ = 1 + e^(−w)."""

    def __init__(self, tau, surrogate, v_threshold, v_reset, decay_input, detach_reset):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(-math.log(tau - 1)))
        self.surrogate, self.v_threshold, self.v_reset = surrogate, v_threshold, v_reset
        self.decay_input, self.detach_reset = decay_input, detach_reset
        self.state_names = ("v", "m")

    def forward(self, x_seq):
        tau, rest = 1 + torch.exp(-self.w), self.v_reset or 0.0
        v, m = torch.full_like(x_seq[0], rest), torch.zeros_like(x_seq[0])
        spikes = []
        for x in x_seq:
            u = rest + (v - rest) * (1 - 1 / tau) + (x / tau if self.decay_input else x)
            spike = self.surrogate(u - self.v_threshold)
            m = m / (1 + torch.exp(-u / tau)) + spike
            s = spike.detach() if self.detach_reset else spike
            after = u - s * self.v_threshold if self.v_reset is None else u * (1 - s) + s * rest
            v = after - s / (1 + torch.exp(-m))
            spikes.append(spike)
        self.v, self.m = v, m
        return torch.stack(spikes)


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.1])
@pytest.mark.parametrize("tau", [1.2, 3.0])
def test_it_equals_its_equations(tau, v_reset, decay_input, detach_reset):
    plain = Plain(tau, OURS["Sigmoid"], 0.6, v_reset, decay_input, detach_reset).double()
    node = clif.CLIFTauNode(tau, decay_input, 0.6, v_reset, "sigmoid", detach_reset, step_mode="m").double()
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64)
    got, expected = outcome(node, x_seq), outcome(plain, x_seq)
    assert got["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert got["grad_w"] != 0
    assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("v_reset", [None, -0.1])
@pytest.mark.parametrize("tau", [1.5, 2.0, 4.0])
def test_it_begins_as_clif(tau, v_reset):
    node = clif.CLIFTauNode(tau, v_reset=v_reset, step_mode="m").double()
    torch.nn.init.constant_(node.w, -math.log(tau - 1))
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64)
    got = outcome(node, x_seq)
    del got["grad_w"]
    assert_close(got, outcome(clif.CLIFNode(tau, v_reset=v_reset, step_mode="m"), x_seq), rtol=1e-10, atol=1e-10)


def test_its_time_constant_is_learnt():
    node = clif.CLIFTauNode(init_tau=3.0)
    assert node.tau == pytest.approx(3.0)
    assert "tau=3" in repr(node)
    with pytest.raises(InputError, match="CLIFTauNode learns its time constant through its parameter w"):
        node.tau = torch.nn.Parameter(torch.tensor(2.0))
    with pytest.raises(InputError, match="tau must be a finite number greater than 1"):
        clif.CLIFTauNode(init_tau=1.0)
