"""Runs of a second: a CIFAR-10 of 50 + 20 random images, a small network, two steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clif.train.config import TrainConfig, resolve
from clif.train.loop import Result, fit


@pytest.fixture(scope="session")
def tiny_cifar10(tmp_path_factory) -> Path:
    """The folder of a CIFAR-10 with 5 training and 2 test images a class, in the binary layout."""
    root = tmp_path_factory.mktemp("cifar10")
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, n in [*((f"data_batch_{i}", 10) for i in range(1, 6)), ("test_batch", 20)]:
        records = rng.integers(0, 256, (n, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(n) % 10
        records.tofile(folder / f"{name}.bin")
    return root


@pytest.fixture(scope="session")
def short_run(tiny_cifar10) -> dict[str, Any]:
    """The options of a run of a second, in float32."""
    values = {"dataset": "cifar10", "data_dir": str(tiny_cifar10), "model": "snn5_noAP", "neuron": "CLIF", "T": 2}
    return values | {"b": 16, "epochs": 2, "T_max": 2, "lr": 0.05, "amp": False}


@pytest.fixture
def config(short_run, tmp_path) -> Callable[..., TrainConfig]:
    """Configurations of a short run below `tmp_path`; options replace its values."""
    return lambda **options: resolve(**{**short_run, "out_dir": str(tmp_path / "logs"), **options})


@pytest.fixture
def train(config) -> Callable[..., Result]:
    """Train with `config`'s options, without output."""
    return lambda **options: fit(config(**options), quiet=True)
