"""Runs that take a second: a CIFAR-10 of 50 + 20 random images, a small network, two steps."""

from collections.abc import Callable
from typing import Any

import pytest

from clif.train.config import TrainConfig, resolve
from clif.train.loop import fit
from clif.train.metrics import Result


@pytest.fixture(scope="session")
def short_run(tiny_cifar10) -> dict[str, Any]:
    """The options of a run of one second, in float32."""
    values = {"dataset": "cifar10", "data_dir": str(tiny_cifar10), "model": "snn5_noAP", "neuron": "CLIF", "T": 2}
    return values | {"b": 16, "epochs": 2, "T_max": 2, "lr": 0.05, "amp": False}


@pytest.fixture
def config(short_run, tmp_path) -> Callable[..., TrainConfig]:
    """Configurations of a short run in `tmp_path`; options replace its values."""
    return lambda **options: resolve(**{**short_run, "out_dir": str(tmp_path / "logs"), **options})


@pytest.fixture
def train(config) -> Callable[..., Result]:
    """Train with `config`'s options, without output."""
    return lambda **options: fit(config(**options), quiet=True)
