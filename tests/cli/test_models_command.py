"""`clif models` shows the docstring of each registered function, without loading it."""

import inspect
import re

import pytest
import torch

from clif.cli import main
from clif.data import DATASETS
from clif.models import create_model, list_models
from clif.names import DATASET_NAMES, SURROGATE_NAMES, model_descriptions, neuron_names
from clif.neurons.registry import NEURONS
from clif.surrogate import SURROGATES


def test_models_describes_every_network_on_a_line(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list_models()
    assert all(re.fullmatch(r"\w+ +[\d.]+ M  \S.{20,}\.", line) for line in lines)
    assert main(["models", "snn5*"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["snn5", "snn5_noAP"]


def test_the_descriptions_are_the_docstrings_of_the_registered_networks():
    from clif.models import plain, resnet, vgg

    functions = {name: function for module in (plain, resnet, vgg) for name, function in vars(module).items()}
    assert model_descriptions() == {name: inspect.getdoc(functions[name]) for name in list_models()}


@pytest.mark.parametrize("name", list_models())
def test_the_parameters_are_those_of_the_network(name):
    with torch.device("meta"):
        parameters = sum(p.numel() for p in create_model(name).parameters())
    assert f"{parameters / 1e6:.2f} M parameters for 10 classes of 32×32 colour images." in model_descriptions()[name]


def test_the_names_that_are_known_without_torch_are_those_that_are_registered():
    assert tuple(DATASETS) == DATASET_NAMES
    assert set(neuron_names()) <= set(NEURONS)
    assert tuple(SURROGATES) == SURROGATE_NAMES


def test_without_weights_the_list_says_so(capsys, monkeypatch):
    monkeypatch.setattr("clif.cli.models.pretrained_index", dict)
    assert main(["models", "--pretrained"]) == 0
    assert capsys.readouterr().out == "no weights come with this version\n"
