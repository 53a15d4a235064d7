"""Completeness of a data set: an error or a line for missing parts, a line if it is smaller than published."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.base import Dataset
from clif.errors import MissingFileError

LISTED = 20

logger = logging.getLogger("clif.data")
_said: set[str] = set()


def absent_samples(dataset: Dataset, labels: Sequence[int] | NDArray, listed: Sequence[str]) -> list[str]:
    """The missing parts of a split: `listed` files of its own lists, and classes if the set's classes are fixed."""
    absent = []
    if dataset.fixed_classes:
        counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=dataset.num_classes)
        absent = [name for name, count in zip(dataset.classes, counts, strict=True) if not count]
    return [*listed, *([f"no sample of {shortened(absent, ', ')}"] if absent else [])]


def require_complete(name: str, folder: Path, missing: Sequence[str], allow_incomplete: bool, quiet: bool) -> None:
    """Raise `MissingFileError` that lists the missing parts, or, if they are allowed, list them in one line."""
    if not missing:
        return
    what = f"{name} in {folder} is not complete: {shortened(missing, '; ')}"
    if not allow_incomplete:
        raise MissingFileError(f"{what}; complete it, or accept this with --allow-incomplete")
    if not quiet:
        say_once(what)


def compare_size(dataset: Dataset, train: bool, folder: Path, labels: NDArray[np.int64]) -> None:
    """Warn in one line if a split has fewer samples than published, relative to its classes unless they are fixed."""
    counts = np.bincount(labels, minlength=dataset.num_classes)
    present = counts[counts > 0]
    published = dataset.published[0 if train else 1]
    if not dataset.fixed_classes:
        published = published * len(present) // dataset.num_classes
    if len(labels) < published:
        least, most = present.min(), present.max()
        each = f"{least}" if least == most else f"{least} to {most}"
        classes = "" if dataset.fixed_classes else f" in {len(present)} classes"
        say_once(
            f"{dataset.name} {part_name(train)} in {folder} has {len(labels)} samples, {each} a class; the published "
            f"set has {published}{classes}"
        )


def part_name(train: bool) -> str:
    return "train" if train else "test"


def say_once(line: str) -> None:
    """A warning of the logger "clif.data", which goes to stderr by default; the same line is logged once."""
    if line not in _said:
        _said.add(line)
        logger.warning("%s", line)


def shortened(words: Sequence[str], separator: str) -> str:
    """The first words, and the number of the others."""
    rest = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return separator.join(words[:LISTED]) + rest
