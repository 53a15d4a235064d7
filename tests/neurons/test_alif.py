import pytest
import torch
from comparing import OURS, outcome
from torch.testing import assert_close

import clif
from clif.errors import InputError


class Plain(torch.nn.Module):
    """The equations of the paper step by step, with decay factors instead of time constants."""

    state_names = ("v", "b")

    def __init__(self, alpha, rho, beta, v_threshold, v_reset, gain, detach_reset):
        super().__init__()
        self.alpha, self.rho, self.beta, self.gain = alpha, rho, beta, gain
        self.v_threshold, self.v_reset, self.detach_reset = v_threshold, v_reset, detach_reset

    def forward(self, x_seq):
        rest = self.v_reset or 0.0
        v, b, spikes = torch.full_like(x_seq[0], rest), torch.zeros_like(x_seq[0]), []
        for x in x_seq:
            u = rest + self.alpha * (v - rest) + self.gain * x
            threshold = self.v_threshold + self.beta * b
            spike = OURS["Sigmoid"](u - threshold)
            s = spike.detach() if self.detach_reset else spike
            v = u - s * threshold if self.v_reset is None else u + s * (rest - u)
            b = self.rho * b + (1 - self.rho) * spike
            spikes.append(spike)
        self.v, self.b = v, b
        return torch.stack(spikes)


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("v_reset", [None, -0.1])
@pytest.mark.parametrize(("tau", "tau_a", "beta"), [(2.0, 10.0, 1.8), (1.25, 4.0, -0.3)])
def test_it_equals_its_equations(tau, tau_a, beta, v_reset, decay_input, detach_reset):
    gain = 1 / tau if decay_input else 1.0
    plain = Plain(1 - 1 / tau, 1 - 1 / tau_a, beta, 0.6, v_reset, gain, detach_reset)
    options = {"beta": beta, "tau_a": tau_a, "detach_reset": detach_reset, "step_mode": "m"}
    node = clif.ALIFNode(tau, decay_input, 0.6, v_reset, "sigmoid", **options)
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64) * 2
    got, expected = outcome(node, x_seq), outcome(plain, x_seq)
    assert got["spikes"].any()
    assert torch.equal(got["spikes"], expected["spikes"])
    assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", OURS)
def test_without_beta_it_is_lif(name):
    options = {"tau": 3.0, "surrogate_function": OURS[name], "step_mode": "m", "backend": "torch"}
    x_seq = torch.randn(8, 3, 20, dtype=torch.float64) * 2
    got = outcome(clif.ALIFNode(beta=0.0, **options), x_seq)
    del got["b"]
    assert_close(got, outcome(clif.LIFNode(**options), x_seq), rtol=1e-12, atol=1e-12)


def test_it_tires():
    node = clif.ALIFNode(step_mode="m")
    spikes = node(torch.full((40, 1), 1.2))
    assert spikes[:8].sum() > spikes[-8:].sum() > 0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau", 1.0, "tau must be a finite number greater than 1"),
        ("tau_a", 1.0, "tau_a must be a finite number greater than 1, got 1.0"),
        ("beta", float("nan"), "beta must be a finite number, got nan"),
        ("beta", "much", "beta must be a number, got 'much'"),
    ],
)
def test_its_constants_are_checked(name, value, message):
    with pytest.raises(InputError, match=message):
        clif.ALIFNode(**{name: value})
    node = clif.ALIFNode()
    setattr(node, name, value)
    with pytest.raises(InputError, match=message):
        node(torch.rand(2, 3))
