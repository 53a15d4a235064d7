"""torch.compile as a contestant, with a cache of its own if PyTorch is lowered to fewer instructions."""

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
    """`function` compiled anew for the shapes it meets.

    PyTorch's cache of compiled code does not tell the instruction sets apart to which the environment lowers it: code
    that was compiled for another one crashes or computes something else. So a lowered process has a cache of its own,
    until it ends, whatever folder the environment names: PyTorch writes its usual one there when it first asks for it.
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
