"""The statements of generated kernels."""

import re
from typing import ClassVar

import pytest
import torch

import clif
from clif.generate.cpp import source
from clif.generate.program import parse


class Curved(clif.SpikingNeuron):
    """The charge takes a slow function, and the derivative of the spike another one of its result."""

    def step(self, x, v):
        u = 0.5 * v + torch.tanh(v) + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


class Chained(clif.SpikingNeuron):
    """Sigmoids of products with constants, each of the result of the one before."""

    states: ClassVar = {"v": 0.0, "m": 0.0}

    def step(self, x, v, m):
        u = torch.sigmoid(3.0 * v) + x
        m = torch.sigmoid(0.7 * torch.sigmoid(1.5 * u - m))
        spike = self.fire(u - m)
        return spike, self.reset_after(u, spike), m


@pytest.mark.parametrize("kind", [Curved, Chained])
def test_no_loop_reads_a_state_that_an_earlier_one_has_overwritten(kind):
    text = source(parse(kind(surrogate_function="sigmoid").equations().plan.text))
    for function in text.split("template <class R, int numbers, class X")[1:]:
        written: set[str] = set()
        for loop in function.split("over<numbers>")[1:]:
            assert not written.intersection(re.findall(r"= ([sd]\[\d+\])\[i\]", loop))
            written.update(re.findall(r"^ *([sd]\[\d+\])\[i\] =", loop, re.MULTILINE))


@pytest.mark.parametrize("kind", [Curved, Chained])
def test_the_gradient_is_autograds(kind):
    x_seq = torch.randn(4, 2, 9, dtype=torch.float64, requires_grad=True)
    gradients = []
    for backend in ("auto", "torch"):
        node = kind(surrogate_function="sigmoid", step_mode="m", backend=backend)
        gradients.append(torch.autograd.grad((node(x_seq) * torch.linspace(-1, 1, 9)).sum() + node.v.sum(), x_seq)[0])
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)
