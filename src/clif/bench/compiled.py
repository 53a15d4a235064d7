"""torch.compile as a contestant, with a separate cache if PyTorch is lowered to a smaller instruction set."""

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import torch

from clif.bench.machine import LOWERING

CACHE = "TORCHINDUCTOR_CACHE_DIR"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, newly compiled for the shapes of its calls.

    PyTorch's cache of compiled code does not distinguish the instruction sets to which the environment lowers PyTorch:
    code compiled for another one crashes or computes wrong results. So a lowered process has its own temporary cache,
    for any folder that the environment names.
    """
    if any(os.environ.get(name) for name in LOWERING):
        os.environ[CACHE] = _own_cache()
    torch.compiler.reset()
    return torch.compile(function, dynamic=False)


@functools.cache
def _own_cache() -> str:
    folder = tempfile.mkdtemp(prefix="clif-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
