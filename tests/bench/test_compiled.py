"""The cache of torch.compile in a benchmark."""

import os

import pytest
import torch

from clif.bench import compiled as module

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, when it loads its compiler


@pytest.mark.slow
@pytest.mark.parametrize("lowered", [True, False])
def test_a_lowered_process_has_a_cache_of_its_own(lowered, monkeypatch):
    for name in (*module.LOWERING, module.CACHE):
        monkeypatch.setenv(name, "")  # so that the test restores it
        monkeypatch.delenv(name)
    if lowered:
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    module.compiled(torch.sin)
    assert ("clif-compiled-" in os.environ.get(module.CACHE, "")) == lowered


@pytest.mark.parametrize("lowered", [True, False])
def test_a_cache_that_pytorch_has_named_is_another_one_s(lowered, monkeypatch, tmp_path):
    for name in module.LOWERING:
        monkeypatch.setenv(name, "")
    if lowered:
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    monkeypatch.setenv(module.CACHE, str(tmp_path))
    module.compiled(torch.sin)
    assert (os.environ[module.CACHE] != str(tmp_path)) == lowered
