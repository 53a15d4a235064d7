import pytest
import torch
from comparing import OURS, outcome
from torch.testing import assert_close

import clif
from clif.errors import InputError


class Plain(torch.nn.Module):
    """The equations step by step; m is chosen by its sign, and the reset by the spike."""

    state_names = ("v", "m")

    def __init__(self, a, c, tau, v_threshold, v_reset, decay_input, detach_reset):
        super().__init__()
        self.a, self.c = (torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (a, c))
        self.tau, self.v_threshold, self.v_reset = tau, v_threshold, v_reset
        self.decay_input, self.detach_reset = decay_input, detach_reset

    def forward(self, x_seq):
        rest = self.v_reset or 0.0
        v, m, spikes = torch.full_like(x_seq[0], rest), torch.zeros_like(x_seq[0]), []
        for x in x_seq:
            u = v - (v - rest) / self.tau + (x / self.tau if self.decay_input else x)
            h = self.a.tanh() * x.tanh()
            spike = OURS["Sigmoid"](u - self.v_threshold - h)
            gate = 1 / (1 + torch.exp(-self.c * x))
            m = torch.where(m > 0, m * gate, m * (1 - gate))
            m = m + spike * x.sigmoid() - (1 - spike) * x.sigmoid()
            s = spike.detach() if self.detach_reset else spike
            if self.v_reset is None:
                v = u - s * (self.v_threshold + m.sigmoid() + h)
            else:
                v = (1 - s) * u + s * (rest - m.sigmoid())
            spikes.append(spike)
        self.v, self.m = v, m
        return torch.stack(spikes)


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("v_reset", [None, -0.1])
@pytest.mark.parametrize(("a", "c", "tau"), [(0.0, 1.0, 2.0), (0.4, 1.7, 3.0), (-0.3, -0.5, 1.25)])
def test_it_equals_its_equations(a, c, tau, v_reset, decay_input, detach_reset):
    plain = Plain(a, c, tau, 0.6, v_reset, decay_input, detach_reset)
    node = clif.ARLIFNode(tau, decay_input, 0.6, v_reset, "sigmoid", detach_reset, step_mode="m").double()
    torch.nn.init.constant_(node.a, a)
    torch.nn.init.constant_(node.c, c)
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64) * 2
    got, expected = outcome(node, x_seq), outcome(plain, x_seq)
    assert got["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert got["grad_a"] != 0
    assert got["grad_c"] != 0
    assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", OURS)
def test_it_begins_with_the_threshold_of_lif(name):
    options = {"surrogate_function": OURS[name], "backend": "torch"}
    x = torch.randn(3, 40, dtype=torch.float64, requires_grad=True)
    weights = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
    results = []
    for node in (clif.ARLIFNode(**options).double(), clif.LIFNode(**options)):
        spikes = node(x)
        results.append((spikes, *torch.autograd.grad((spikes * weights).sum(), x)))
    assert_close(*results)


def test_it_begins_with_a_0_and_c_1():
    assert {name: value.item() for name, value in clif.ARLIFNode().named_parameters()} == {"a": 0.0, "c": 1.0}


def test_its_constants_are_checked():
    with pytest.raises(InputError, match="tau must be a finite number greater than 1"):
        clif.ARLIFNode(tau=1.0)
    node = clif.ARLIFNode()
    node.tau = 0.5
    with pytest.raises(InputError, match="tau must be a finite number greater than 1"):
        node(torch.rand(2, 3))
