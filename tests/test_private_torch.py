"""PyTorch's private names: all of them exist, and clif works without any of them."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import clif
from clif import private_torch


@pytest.mark.parametrize(("module", "name"), private_torch.NAMES)
def test_the_name_is_still_there(module, name):
    """If this fails, find the successor of the name; until then clif works without it, more slowly."""
    assert callable(getattr(importlib.import_module(module), name))


def test_the_operator_is_still_there():
    """If this fails, find the successor of the name; until then the instruction set decides about bfloat16."""
    assert isinstance(private_torch.mkldnn_uses_bfloat16(), bool)


def test_no_other_module_uses_private_names():
    private = re.compile(r"torch\._(?!_)|from torch(\.\w+)* import _|from torch(\.\w+)*\._")
    package = Path(clif.__file__).parent
    found = [
        path.relative_to(package)
        for path in package.rglob("*.py")
        if path.name != "private_torch.py" and private.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


WITHOUT = """
import importlib, sys, torch
from torch import nn
from clif import private_torch
real, missing = getattr, sys.argv[1:]
private_torch.getattr = lambda module, name, *instead: instead[0] if name in missing else real(module, name, *instead)
importlib.reload(private_torch)
import clif
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
net(torch.rand(3, 2, 4) * 9).sum().backward()
print(net[0].weight.grad.abs().sum().item())
"""


@pytest.mark.slow
def test_neurons_learn_without_any_of_the_names():
    gradients = []
    for missing in ([], [name for _, name in private_torch.NAMES]):
        done = subprocess.run([sys.executable, "-c", WITHOUT, *missing], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        gradients.append(float(done.stdout))
    assert gradients[0] == gradients[1] > 0


def test_tensors_move_without_the_name():
    tensors, ends = [torch.zeros(3), torch.ones(2)], [torch.ones(3), torch.zeros(2)]
    private_torch._lerp_one_by_one(tensors, ends, 0.25)
    assert [tensor.tolist() for tensor in tensors] == [[0.25] * 3, [0.75] * 2]


def test_constants_of_compiled_functions_are_marked_as_by_torch():
    marked = private_torch.constant_when_compiled(lambda: 1)
    assert vars(marked) == vars(torch.compiler.assume_constant_result(lambda: 1)) != {}


LIGHT = """
import sys, torch, clif
net = clif.models.create_model("snn5_noAP", neuron="CLIF", T=2)
net(torch.rand(1, 3, 32, 32)).sum().backward()
print(*(name for name in ("torch._dynamo", "sympy", "triton", "matplotlib", "sklearn") if name in sys.modules))
"""


def test_networks_compute_without_the_import_of_dynamo():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
