"""Shared parts of the tests of the command line on a user's own data: class folders and a run on them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from clif.cli import main

Counts = Iterable[tuple[str, int]]


def write_folders(
    root: Path, counts: Counts, names: Iterable[str], write: Callable[[np.random.Generator, str, Path], None]
) -> Path:
    """ROOT/PART/CLASS/ with so many samples each; `write(rng, name, path)` writes one; `path` has no suffix."""
    rng = np.random.default_rng(0)
    for part, count in counts:
        for name in names:
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                write(rng, name, root / part / name / str(i))
    return root


def train_and_move(folder: Path, root: Path, *words: str) -> tuple[Path, Path]:
    """The folder of a run on the data in `root`, and the path to which these are moved after it."""
    assert main(["train", *words, "-data_dir", str(root), "-out_dir", str(folder / "runs")]) == 0
    (run,) = (folder / "runs").iterdir()
    return run, root.rename(folder / "elsewhere")
