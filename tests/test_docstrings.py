"""Every public class and function has an example in its docstring, and the examples run."""

import doctest
from pathlib import Path

import numpy as np
import public_names
import pytest
import torch
from torch import nn

import clif

SLOW = {
    *(f"clif.{name}Node" for name in ("ALIF", "ARLIF", "CLIFTau", "EIF", "GLIF", "IF", "Izhikevich", "KLIF")),
    *(f"clif.deploy.{name}" for name in ("Conversion", "Deployment", "calibrate", "convert", "deploy_checkpoint")),
    *(f"clif.deploy.{name}" for name in ("finetune", "subtract", "sweep")),
    *(f"clif.energy.{name}" for name in ("PublishedCount", "published")),
    *(f"clif.export.{name}" for name in ("NIRNetwork", "from_nir", "save_program", "to_nir", "to_onnx", "to_program")),
    *(f"clif.experiment.{name}" for name in ("collect", "deploy_all", "train_all", "write_report")),
    *(f"clif.report.{name}" for name in ("find_runs", "make_report", "write_page")),
    *(f"clif.train.{name}" for name in ("fit", "fit_seeds")),
    "clif.SpikingNeuron",
    "clif.models.create_model",
    "clif.models.register_model",
    "clif.register_neuron",
}
"""Objects whose examples compile a kernel, train, export or fit."""

WITHOUT_EXAMPLE = {
    "clif.data.Source",
    "clif.data.Split",
    "clif.data.events.parse_aedat2",
    "clif.data.events.read_aedat2",
    "clif.data.events.read_aedat3",
    "clif.data.events.read_nmnist",
    "clif.neurons.set_tbptt",
}
"""Objects without an example: parts of a data set on disk, readers of files, a former name."""

NEEDS = {"NIRNetwork": "nir", "from_nir": "nir", "to_nir": "nir", "to_onnx": "onnxscript"}
DESCRIBED = dict(public_names.described())
WITH = {name: value for name, value in DESCRIBED.items() if ">>> " in (value.__doc__ or "")}


def marked(name):
    return pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())


def test_every_public_name_has_an_example():
    assert set(DESCRIBED) - set(WITH) == WITHOUT_EXAMPLE
    assert set(WITH) >= SLOW


@pytest.mark.parametrize("name", [marked(name) for name in WITH])
@pytest.mark.usefixtures("workplace")
def test_the_example_runs(name):
    if package := NEEDS.get(name.rsplit(".", 1)[1]):
        pytest.importorskip(package)
    there = {"clif": clif, "nn": nn, "np": np, "torch": torch, "Path": Path, "__name__": "example"}
    example = doctest.DocTestParser().get_doctest(WITH[name].__doc__, there, name, None, 0)
    said = []
    doctest.DocTestRunner().run(example, out=said.append, clear_globs=False)
    assert not said, "".join(said)
