"""Steps as programs: what is traced, and refusals with the line of the step."""

import random

import pytest
import torch
from torch import nn

from clif import surrogate
from clif.generate.refusal import TraceError
from clif.generate.trace import PLAIN, Signature, check_step, run, trace

TWO = Signature({"v": 0.0, "m": 0.0}, {"k": "layer"})


class Neuron(nn.Module):
    """A neuron with constants, a state that is not an argument, a parameter and a list."""

    def __init__(self, tau=2.0, hard=False):
        super().__init__()
        self.tau = tau
        self.hard = hard
        self.surrogate_function = surrogate.Sigmoid()
        self.k = nn.Parameter(torch.tensor(0.5))
        self.table = [1.0, 2.0]

    def fire(self, u):
        return self.surrogate_function(u - 1.0)

    def step(self, x, v, m, k):
        u = torch.relu(k * (v * (1 - 1 / self.tau) + x))
        spike = self.fire(u)
        m = torch.where(u > 0.5, torch.tanh(m) + spike, m / self.tau)
        reset = spike.detach() if self.hard else spike
        return spike, (1 - reset) * u + reset * 0.1, m


def trace_of(node):
    return trace(type(node), {name: value for name, value in vars(node).items() if isinstance(value, PLAIN)}, TWO)


def traced(body):
    """The trace of a neuron whose step is `body`."""
    kind = type("Own", (Neuron,), {"step": body})
    return trace_of(kind())


def test_numbers_are_constants_and_small_whole_ones_are_not():
    first, second = trace_of(Neuron(2.0)), trace_of(Neuron(3.0))
    assert first.program == second.program
    assert first.constants != second.constants
    assert 1 - 1 / 3.0 in second.constants
    assert "#1.0" in first.program.text


def test_another_branch_on_a_constant_is_another_program():
    assert trace_of(Neuron(hard=True)).program != trace_of(Neuron()).program


def test_a_program_computes_what_the_step_computes():
    node = Neuron()
    leaves = [torch.randn(3, 50, dtype=torch.float64) for _ in range(4)]
    for got, want in zip(run(trace_of(node), leaves), node.step(*leaves), strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.clamp(v, -1, 0.5) + v.clamp(min=0.1)",
        "torch.maximum(v, m) - v.minimum(x)",
        "v.abs() + torch.sign(m) * x.sign()",
        "torch.exp(-v.abs()) + torch.log(m * m + 1.5) + (v * v).sqrt()",
        "v ** 2 + (x * x + 0.5) ** 1.5 + 2.0 ** m",
        "torch.sigmoid(v) + nn.functional.softplus(m) + torch.erf(x)",
        "torch.floor(v * 3) + torch.round(m * 3)",
        "torch.where((v > 0) & ~(m < x) | (v == m), v, torch.zeros_like(v))",
        "(v >= 0.5).to(v.dtype) * m + (x != v) * 1.0",
        "torch.ones_like(v) - torch.full_like(v, 0.25) * v.reciprocal()",
        "torch.add(v, m, alpha=2) + torch.square(x) + m.rsqrt().detach()",
        "torch.add(v, 0.3, alpha=2) - v.sub(2, alpha=0.5)",
        "torch.where(v > 0, 0.3, 0.7) * m + torch.where(m > 0, 1, 0.1) + torch.where(x > 0, 3, 2)",
        "(v > 0) * 0.3 + x + 0.1 * (m > 0) + x + ((x > 0) + 0.7) * v + (x > v) / 3 * m",
    ],
)
def test_operations(expression):
    scope = {"torch": torch, "nn": nn}
    exec(f"def step(self, x, v, m, k):\n    return self.fire(v), {expression}, m * k", scope)
    assert traced(scope["step"]).program.outputs


REFUSED = {
    "if v > 0:\n        v = m": "a branch on a tensor",
    "v = v.sum()": "no tensor.sum",
    "v = torch.cumsum(v, 0)": "no cumsum",
    "v = v.float()": "a cast",
    "v += x": "in place",
    "v = v.mul_(2)": "in place",
    "self.tau = 3.0": "self.tau is written",
    "v = v * self.k": "is an argument of step",
    "v = v * self.table[0]": "self.table is learnt, or is not a number",
    "v = v * torch.ones(3)": "a tensor that is not an argument",
    "v = v + torch.rand_like(v)": "random draw",
    "v = v[0]": "index or sequence",
    "v = float(v) * v": "Python number",
    "v = torch.div(v, m, rounding_mode='floor')": "div with these arguments",
    "v = torch.where(v, v, m)": "without a comparison",
    "v = v.reshape(-1)": "no tensor.reshape",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_no_element_wise_operation_is_refused_with_its_line(line, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(f"import torch\n\n\ndef step(self, x, v, m, k):\n    {line}\n    return self.fire(v), v * k, m\n")
    scope = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    with pytest.raises(TraceError, match=REFUSED[line]) as error:
        traced(scope["step"])
    assert "own.py, line 5 (" in str(error.value)
    assert "\n" not in str(error.value)


def test_numbers_drawn_in_python_are_refused():
    def step(self, x, v, m, k):
        return self.fire(v * random.random() + x), v * k, m

    with pytest.raises(TraceError, match="in each call"):
        traced(step)


@pytest.mark.parametrize("outputs", ["self.fire(v), v", "[self.fire(v), v, m]", "self.fire(v), v, 1.0"])
def test_a_step_returns_the_spike_and_every_state(outputs):
    scope = {}
    exec(f"def step(self, x, v, m, k):\n    return {outputs}", scope)
    with pytest.raises(TraceError, match="the spike, v, m"):
        traced(scope["step"])


def test_a_surrogate_without_a_derivative_in_these_operations_is_refused():
    class Odd(surrogate.Surrogate):
        def derivative(self, x):
            return x.cumsum(0)

    node = Neuron()
    node.surrogate_function = Odd()
    with pytest.raises(TraceError, match=r"no tensor\.cumsum"):
        trace_of(node)


def test_arguments_are_named_in_order():
    check_step(Neuron.step, TWO, "Neuron")
    with pytest.raises(TraceError, match=r"takes v, m, k after the input; .* say v, k, m: use"):
        check_step(Neuron.step, Signature({"v": 0.0}, {"k": "layer", "m": "layer"}), "Neuron")
