"""Tests of Triton kernels: on a GPU, or in Triton's interpreter in a separate process."""

import os
import re
import subprocess
import sys

import pytest

from clif.ops import triton

DEVICE = "cpu" if triton.INTERPRETED else "cuda"

runs = pytest.mark.skipif(triton.unavailable() is not None, reason="needs a GPU, or triton and TRITON_INTERPRET=1")


def on_a_gpu(test):
    """A test of the kernels, marked `gpu` unless they are interpreted."""
    return runs(test if triton.INTERPRETED else pytest.mark.gpu(test))


def passed_with_the_interpreter(file: str, *options: str) -> int:
    """The number of tests of a file that pass if Triton is interpreted; none may fail."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not gpu", "-p", "no:cacheprovider", file, *options]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:]
    return int(re.findall(r"(\d+) passed", result.stdout)[-1])
