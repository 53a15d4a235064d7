"""The description of a data set for the loader, before and after reading it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.augment import Augmentation
from clif.data_options import DataOptions
from clif.errors import InputError
from clif.sizes import Size, height_width


@dataclass(frozen=True)
class Arrays:
    """One split: samples [n, …] and labels int64 [n], in file order; on disk if they are memory-mapped.

    Images are uint8 [n, C, H, W]. Event frames are [n, T, 2, H, W]: int16 counts, or float16 if they were resized.
    `mean` and `std` are those of each channel of images on the scale 0–1, if they have been measured.

    >>> split = clif.data.Arrays(np.zeros((4, 1, 32, 32), np.uint8), np.array([0, 1, 0, 1]))
    >>> len(split.labels)
    4
    """

    images: NDArray
    labels: NDArray[np.int64]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class Source:
    """One file of a data set that needs conversion: the labels of its samples and a function that reads them.

    `load()` returns [len(labels), *sample shape] and raises `InputError` naming the file that is damaged.
    """

    path: Path
    labels: tuple[int, ...]
    load: Callable[[], NDArray]


@dataclass(frozen=True)
class Split:
    """A split that needs conversion before training, such as recordings or JPEG files.

    `sources` are in file order; `parameters` are everything except the files on which the samples depend. `missing`
    lists missing files that the set's own lists name.
    """

    root: Path
    name: str
    parameters: str
    shape: tuple[int, ...]
    dtype: str
    sources: list[Source]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A data set by name.

    `read(root, train)` returns a split that is fast to read; `find(root, train, T, sort_events)` returns one that is
    converted once into a cache. A data set has one of them, except for a description from a checkpoint, which has no
    files. A data set inside a dependency ignores root (`needs_root` False). Samples are images or, with `events`,
    frames of events. `read_recording(path, T)` reads a single recording as a sample [1, T, 2, H, W], with `sort=True`
    also one whose times run backwards; for your own recordings `recordings` says how they become frames. `image_size`
    is the height and width of the samples. `mean` and `std` normalise each channel of images on the scale 0–1; if they
    are not given, they are measured on the training set. Event frames keep their counts. `resize` says how images of
    other sizes are fitted (`DataOptions`). Training samples get `augmentation`, or `strong` with `cutupmix_auto`.
    `published` are the sizes of the complete training and test set, if there are such; with `fixed_classes` a split
    that lacks a class is incomplete.

    >>> dataset = clif.data.get_dataset("digits")
    >>> dataset.name, dataset.in_channels, dataset.image_size, dataset.events
    ('digits', 3, 32, False)
    """

    name: str
    classes: tuple[str, ...]
    in_channels: int
    image_size: Size
    published: tuple[int, int] = (0, 0)
    augmentation: Augmentation | None = None
    strong: Augmentation | None = None
    events: bool = False
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    resize: str = "crop"
    recordings: DataOptions | None = None
    needs_root: bool = True
    fixed_classes: bool = True
    read: Callable[[Path, bool], Arrays] | None = None
    find: Callable[[Path, bool, int, bool], Split] | None = None
    read_recording: Callable[..., NDArray] | None = None

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def has_files(self) -> bool:
        return self.read is not None or self.find is not None


def read_arrays(dataset: Dataset, root: Path, train: bool) -> Arrays:
    """The split that `dataset.read` returns, as NumPy arrays.

    Raises `InputError` if it has no samples, and if its samples or labels do not fit the data set.
    """
    assert dataset.read is not None
    found = dataset.read(root, train)
    if not isinstance(found, Arrays):
        raise InputError(
            f"read of the data set {dataset.name} must return clif.data.Arrays, got {type(found).__name__}"
        )
    images, labels = np.asanyarray(found.images), np.asanyarray(found.labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images):
        raise InputError(
            f"the labels of {dataset.name} must be whole numbers, one for each of its {len(images)} samples, got "
            f"{labels.dtype} {list(labels.shape)}"
        )
    if not len(labels):
        raise InputError(f"{dataset.name} has no {'training' if train else 'test'} samples")
    check_samples(dataset, images.shape[1:], images.dtype)
    check_labels(dataset, int(labels.min()), int(labels.max()))
    return replace(found, images=for_torch(dataset, images), labels=np.array(labels, np.int64))


def for_torch(dataset: Dataset, images: NDArray) -> NDArray:
    """The samples in a form that `torch.from_numpy` and the augmentation take, copied only if they have another.

    Unsigned counts become signed ones of the same size. Raises `InputError` if a count is too large for that.
    """
    if images.dtype.kind == "u" and images.dtype.itemsize > 1:
        signed = np.dtype(images.dtype.str.replace("u", "i"))
        if (most := int(images.max())) > np.iinfo(signed).max:
            raise InputError(
                f"a count of {dataset.name} is {most}, but {np.iinfo(signed).max} is the maximum for samples in "
                f"{images.dtype.name}; return a larger type or float32"
            )
        images = images.view(signed)
    if images.dtype.itemsize > 8:
        return images.astype(np.float64, order="C")
    if not images.dtype.isnative or any(stride < 0 or stride % images.itemsize for stride in images.strides):
        return images.astype(images.dtype.newbyteorder("="), order="C")
    return images


def check_split(dataset: Dataset, split: Split) -> None:
    """Raise `InputError` if the samples or labels of a split that needs conversion do not fit the data set."""
    check_samples(dataset, split.shape, np.dtype(split.dtype))
    labels = [label for source in split.sources for label in source.labels]
    check_labels(dataset, min(labels, default=0), max(labels, default=0))


def check_samples(dataset: Dataset, shape: tuple[int, ...], dtype: np.dtype) -> None:
    expected = (dataset.in_channels, *height_width(dataset.image_size))
    frames = ["T"] if dataset.events else []
    fits = dtype.kind in "iuf" if dataset.events else dtype == np.uint8
    if not fits or shape[len(frames) :] != expected:
        wanted = str([*frames, *expected]).replace("'", "")
        kind = "numbers" if dataset.events else "uint8"
        raise InputError(f"each sample of {dataset.name} must be {kind} {wanted}, got {dtype} {list(shape)}")


def check_labels(dataset: Dataset, least: int, most: int) -> None:
    if least < 0 or most >= dataset.num_classes:
        raise InputError(
            f"the labels of {dataset.name} are {least} to {most}; those of its {dataset.num_classes} classes must be "
            f"0 to {dataset.num_classes - 1}"
        )
