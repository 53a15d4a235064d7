"""The functions of the kernels against PyTorch's in float64, on every instruction set of the machine."""

import math

import pytest
import torch

from clif.generate.program import Graph, Program
from clif.ops import neuron

SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-30, -1e-30, 1e30, -1e30, 88.7, 89.0, -104.0, 0.625, 20.0, 1e-42]
SPECIAL += [0.5, 1.5, 2.5, -0.5, 4000000.5, -5000001.5, 8388607.5, 2.0**51 + 0.5]
FUNCTIONS = {
    "exp": (torch.exp, 8),
    "log": (torch.log, 4),
    "tanh": (torch.tanh, 4),
    "softplus": (torch.nn.functional.softplus, 8),
    "erf": (torch.erf, 2),
    "sqrt": (torch.sqrt, 1),
    "floor": (torch.floor, 0),
    "round": (torch.round, 0),
}
"""PyTorch's function, and the error allowed in units of the last place."""


def all_at_once() -> Program:
    """A neuron whose output is exp(x) and whose states become the other functions of x."""
    graph = Graph()
    x = graph.leaf("x")
    outputs = tuple(graph.add(name, x) for name in FUNCTIONS)
    return Program((True,) * (len(outputs) - 1), (), 1, tuple(graph.nodes), outputs)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions(dtype):
    grid = torch.cat([torch.linspace(-30, 30, 4001, dtype=torch.float64), torch.logspace(-6, 6, 999).double()])
    x = torch.cat([grid, torch.tensor(SPECIAL, dtype=torch.float64)]).to(dtype)
    rest = [torch.zeros((), dtype=dtype).expand(x.shape)] * (len(FUNCTIONS) - 1)
    first, others = neuron.run(x[None], rest, [], [], 0.0, all_at_once().text, [0.0], True)
    for (name, (function, ulps)), got in zip(FUNCTIONS.items(), [first[0], *others], strict=True):
        want = function(x.double())
        info = torch.finfo(dtype)
        error = (got.double() - want).abs()
        right = (error <= (ulps + 0.5) * info.eps * want.abs()) | (error < info.tiny)
        right |= (got == want.to(dtype)) | (got.isnan() & want.isnan())
        assert right.all(), (name, x[~right][:5], got[~right][:5], want[~right][:5])
