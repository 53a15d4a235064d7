"""What the loader needs to know of a data set, before and after reading it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.augment import Augmentation


@dataclass(frozen=True)
class Arrays:
    """One split in memory: images uint8 [n, C, H, W] and labels int64 [n], in file order."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """A data set by name.

    `read(root, train)` returns a split; a set that lies inside a dependency takes no notice of root (`needs_root`
    False). `mean` and `std` normalise each channel on the scale 0–1; `augmentation` is what training images get.
    """

    name: str
    read: Callable[[Path, bool], Arrays]
    classes: tuple[str, ...]
    in_channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation
    needs_root: bool = True

    @property
    def num_classes(self) -> int:
        return len(self.classes)
