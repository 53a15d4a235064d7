"""torch.compile as a contestant, with a cache of its own if PyTorch is lowered to fewer instructions."""

import atexit
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
    that was compiled for another one crashes. So a lowered process has a cache of its own, until it ends.
    """
    if CACHE not in os.environ and any(os.environ.get(name) for name in LOWERING):
        os.environ[CACHE] = tempfile.mkdtemp(prefix="clif-compiled-")
        atexit.register(shutil.rmtree, os.environ[CACHE], ignore_errors=True)
    torch.compiler.reset()
    return torch.compile(function, dynamic=False)
