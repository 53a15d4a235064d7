"""Fixtures for all tests; a test that needs random tensors finds torch's generator seeded."""

from pathlib import Path

import golden
import pytest
import torch
from hypothesis import settings

import clif

settings.register_profile("clif", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("clif")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of the golden numbers, tests/data/golden."""
    return golden.DIR


@pytest.fixture(scope="session", params=["CLIF", "LIF", "PLIF"])
def Node(request: pytest.FixtureRequest) -> type[clif.neurons.SpikingNeuron]:
    """Each of the neuron modules in turn."""
    return getattr(clif, f"{request.param}Node")
