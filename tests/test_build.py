"""Building the package: with a compiler it contains the kernels, and without one it installs and runs too."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

PROGRAM = """
import warnings
import torch
import clif

assert clif.__file__.startswith({folder!r}), clif.__file__
print(clif.backends()["cpu"].available)
node = clif.CLIFNode(step_mode="m")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        node.reset()
        node(torch.ones(4, 2, 5))
print(sum("plain PyTorch" in str(w.message) for w in caught))
"""


def build_wheel(folder: Path, **environment: str) -> zipfile.ZipFile:
    pytest.importorskip("setuptools")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", folder, source]
    subprocess.run(command, check=True, env={**os.environ, **environment}, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def run(wheel: zipfile.ZipFile, folder: Path) -> list[str]:
    wheel.extractall(folder)
    program = PROGRAM.format(folder=str(folder))
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", program], check=True, env=environment, cwd=folder, capture_output=True, text=True
    ).stdout.split()


def test_machine_without_a_compiler(tmp_path):
    wheel = build_wheel(tmp_path, CC="/bin/false", CXX="/bin/false")
    assert not any(name.startswith("clif/_kernels") for name in wheel.namelist())
    shipped = ("page.html", "page.css", "page.js", "uplot/uPlot.iife.min.js", "uplot/uPlot.min.css", "uplot/LICENSE")
    assert {f"clif/report/{name}" for name in shipped} <= set(wheel.namelist())
    assert run(wheel, tmp_path / "installed") == ["False", "1"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_machine_with_a_compiler(tmp_path):
    wheel = build_wheel(tmp_path)
    assert any(name.startswith("clif/_kernels") for name in wheel.namelist())
    assert run(wheel, tmp_path / "installed") == ["True", "0"]
