"""Fixtures for all tests; torch's generator is seeded for tests with random tensors."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import golden
import numpy as np
import pytest
import torch
from hypothesis import settings
from own_code import NETWORK, TRAIN_MY_NET, OwnCode

import clif
from clif import precision
from clif.cli import main
from clif.names import REGISTRIES
from clif.ops import isa

os.environ.setdefault("CLIF_CACHE", str(Path(__file__).parents[1] / "build" / "test-units"))
settings.register_profile("clif", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("clif")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnCode]:
    """A folder for the user's code, `tmp_path`, as the current folder."""
    code = OwnCode(tmp_path, monkeypatch)
    yield code
    code.new_process()


@pytest.fixture
def own_code_run(own_code: OwnCode) -> Path:
    """The folder of a run of `my_net` that ended after a step; the code is no longer loaded in this process."""
    own_code.write("my_net.py", NETWORK)
    assert main(["train", "-import", "my_net.py", *TRAIN_MY_NET.split(), "-max_steps", "1"]) == 0
    own_code.new_process()
    (folder,) = Path("logs").iterdir()
    return folder


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of the golden numbers, tests/data/golden."""
    return golden.DIR


@pytest.fixture(scope="session", params=["CLIF", "LIF", "PLIF"])
def Node(request: pytest.FixtureRequest) -> type[clif.neurons.SpikingNeuron]:
    """Each of the neuron modules."""
    return getattr(clif, f"{request.param}Node")


@pytest.fixture(scope="module", params=isa.available())
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of each instruction set of this machine, with which the compiled kernels run."""
    with isa.using(request.param):
        yield request.param


@pytest.fixture
def slow_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without instructions for bfloat16, in a process that has printed nothing about it yet."""
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: "")
    monkeypatch.setattr(precision, "said", set())


@pytest.fixture
def fast_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with such instructions that PyTorch uses, in a process that has printed nothing about it yet."""
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: "AVX-512 BF16")
    monkeypatch.setattr(precision, "pytorch_uses_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "said", set())


@pytest.fixture(scope="session")
def tiny_cifar10(tmp_path_factory) -> Path:
    """The folder of a CIFAR-10 with 5 training and 2 test images per class, in the binary layout."""
    root = tmp_path_factory.mktemp("cifar10")
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, n in [*((f"data_batch_{i}", 10) for i in range(1, 6)), ("test_batch", 20)]:
        records = rng.integers(0, 256, (n, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(n) % 10
        records.tofile(folder / f"{name}.bin")
    return root


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; names that a test registers are removed after it."""
    monkeypatch.chdir(tmp_path)
    registries = [getattr(importlib.import_module(module), name) for module, name in REGISTRIES.values()]
    kept = [dict(registry) for registry in registries]
    yield tmp_path
    for registry, content in zip(registries, kept, strict=True):
        registry.clear()
        registry.update(content)
