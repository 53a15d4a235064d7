"""Inspection and preparation of a data set's files, for `clif data check` and `clif data prepare`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clif.data.base import Arrays, Dataset
from clif.data.convert import convert_all, load_split, skipped_files
from clif.errors import InputError, MissingFileError


@dataclass(frozen=True)
class PartReport:
    """What is there of a training or test set: samples of each class, and what is wrong with its files."""

    part: str
    folder: Path
    counts: dict[str, int]
    published: int
    missing: list[str]
    damaged: list[str]

    @property
    def samples(self) -> int:
        return sum(self.counts.values())


def check_files(dataset: Dataset, root: Path, T: int, quiet: bool = True) -> list[PartReport]:
    """Read every file of the training and the test set; nothing is written."""
    return [check_part(dataset, root, train, T, quiet) for train in (True, False)]


def check_part(dataset: Dataset, root: Path, train: bool, T: int, quiet: bool) -> PartReport:
    folder = root
    missing: list[str] = []
    damaged: list[str] = []
    labels: list[int] = []
    try:
        if dataset.find is None:
            assert dataset.read is not None
            labels = dataset.read(root, train).labels.tolist()
        else:
            split = dataset.find(root, train, T)
            folder = split.root
            for index, result in convert_all(split.sources, f"checking {split.name}", quiet):
                if isinstance(result, InputError):
                    (missing if isinstance(result, MissingFileError) else damaged).append(str(result))
                else:
                    labels += split.sources[index].labels
    except MissingFileError as error:
        missing.append(str(error))
    except InputError as error:
        damaged.append(str(error))
    return PartReport(
        part="train" if train else "test",
        folder=folder,
        counts=count_classes(dataset, labels),
        published=dataset.published[0 if train else 1],
        missing=missing,
        damaged=sorted(damaged),
    )


def count_classes(dataset: Dataset, labels: list[int]) -> dict[str, int]:
    counts = np.bincount(np.array(labels, dtype=np.int64), minlength=dataset.num_classes)
    return dict(zip(dataset.classes, counts.tolist(), strict=True))


@dataclass(frozen=True)
class Prepared:
    """A converted split and the damaged files it leaves out."""

    part: str
    arrays: Arrays
    skipped: list[str]


def prepare_files(
    dataset: Dataset, root: Path, T: int, skip_damaged: bool = False, quiet: bool = True
) -> list[Prepared]:
    """Convert the training and the test set, where that was not done before. Raises `InputError` for damaged files."""
    if dataset.find is None:
        raise InputError(f"{dataset.name} is read as it is, there is nothing to prepare")
    prepared = []
    for train in (True, False):
        split = dataset.find(root, train, T)
        arrays = load_split(split, skip_damaged=skip_damaged, quiet=quiet)
        prepared.append(Prepared("train" if train else "test", arrays, skipped_files(split)))
    return prepared
