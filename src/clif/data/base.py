"""The description of a data set for the loader, before and after reading it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.augment import Augmentation
from clif.data_options import DataOptions
from clif.sizes import Size


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
    frames of events. `read_recording(path, T)` reads a single recording as a sample [1, T, 2, H, W]; for your own
    recordings `recordings` says how they become frames. `image_size` is the height and width of the samples. `mean` and
    `std` normalise each channel of images on the scale 0–1; if they are not given, they are measured on the training
    set. Event frames keep their counts. `resize` says how images of other sizes are fitted (`DataOptions`). Training
    samples get `augmentation`, or `strong` with `cutupmix_auto`. `published` are the sizes of the complete training and
    test set, if there are such; with `fixed_classes` a split that lacks a class is incomplete.

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
    read_recording: Callable[[Path, int], NDArray] | None = None

    @property
    def num_classes(self) -> int:
        return len(self.classes)
