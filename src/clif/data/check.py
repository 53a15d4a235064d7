"""Inspection and preparation of a data set's files, for `clif data check` and `clif data prepare`."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clif.data.base import Arrays, Dataset, read_arrays
from clif.data.complete import absent_samples, part_name, require_complete
from clif.data.loader import check_sorting, find_split
from clif.data.split_cache import convert_all, load_split, skipped_files
from clif.errors import InputError, MissingFileError


@dataclass(frozen=True)
class PartReport:
    """The state of a training or test set: samples of each class, and problems with its files.

    `absent` are missing classes and listed files, if that is allowed; else they are among `missing`.
    """

    part: str
    folder: Path
    counts: dict[str, int]
    published: int
    missing: list[str]
    damaged: list[str]
    absent: list[str] = field(default_factory=list)

    @property
    def samples(self) -> int:
        return sum(self.counts.values())


def check_files(
    dataset: Dataset,
    root: Path,
    T: int,
    quiet: bool = True,
    allow_incomplete: bool = False,
    sort_events: bool = False,
) -> list[PartReport]:
    """Read every file of the training and the test set; nothing is written."""
    return [check_part(dataset, root, train, T, quiet, allow_incomplete, sort_events) for train in (True, False)]


def check_part(
    dataset: Dataset,
    root: Path,
    train: bool,
    T: int,
    quiet: bool,
    allow_incomplete: bool = False,
    sort_events: bool = False,
) -> PartReport:
    check_sorting(dataset, sort_events)
    folder = root
    absent: list[str] = []
    missing: list[str] = []
    damaged: list[str] = []
    labels: list[int] = []
    try:
        split = find_split(dataset, root, train, T, sort_events)
        if split is None:
            labels = read_arrays(dataset, root, train).labels.tolist()
            absent = absent_samples(dataset, labels, ())
        else:
            folder = split.root
            found = [label for source in split.sources for label in source.labels]
            absent = absent_samples(dataset, found, split.missing)
            for index, result in convert_all(split, f"checking {split.name}", quiet):
                if isinstance(result, InputError):
                    (missing if isinstance(result, MissingFileError) else damaged).append(str(result))
                else:
                    labels += split.sources[index].labels
    except MissingFileError as error:
        missing.append(str(error))
    except InputError as error:
        damaged.append(str(error))
    if not allow_incomplete:
        missing, absent = [*missing, *absent], []
    return PartReport(
        part=part_name(train),
        folder=folder,
        counts=count_classes(dataset, labels),
        published=dataset.published[0 if train else 1],
        missing=missing,
        damaged=sorted(damaged),
        absent=absent,
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
    dataset: Dataset,
    root: Path,
    T: int,
    skip_damaged: bool = False,
    quiet: bool = True,
    allow_incomplete: bool = False,
    sort_events: bool = False,
) -> list[Prepared]:
    """Convert the training and the test set unless that was done before.

    Raises `InputError` for damaged files, and for a set that is not complete unless that is allowed.
    """
    splits = [find_split(dataset, root, train, T, sort_events) for train in (True, False)]
    prepared = []
    for part, split in zip(("train", "test"), splits, strict=True):
        if split is None:
            raise InputError(f"{dataset.name} needs no preparation; it is read from its own files")
        labels = [label for source in split.sources for label in source.labels]
        absent = absent_samples(dataset, labels, split.missing)
        require_complete(f"{dataset.name} {part}", split.root, absent, allow_incomplete, quiet=False)
        arrays = load_split(split, skip_damaged=skip_damaged, quiet=quiet)
        prepared.append(Prepared(part, arrays, skipped_files(split)))
    return prepared
