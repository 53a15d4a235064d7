"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) from either official layout, python or binary.

The python layout is a pickle. It is untrusted input: `clif.data.pickles` executes nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.augment import Augmentation, Crop, CutOut, Flip, RandomErasing
from clif.data.base import Arrays, Dataset
from clif.data.folders import Rank, choose, files_in
from clif.data.mix import Mix
from clif.data.pickles import load_arrays
from clif.data.policy import TrivialAugmentWide
from clif.errors import InputError, MissingFileError, in_words

PIXELS = 3 * 32 * 32
SUFFIXES = (".bin", "")


@dataclass(frozen=True)
class Layout:
    """The files and labels of one of the two sets; a published training file has `train_images`."""

    name: str
    archive: str
    train: tuple[str, ...]
    test: str
    label_key: str
    label_bytes: int
    num_classes: int
    train_images: int

    def files(self, train: bool) -> tuple[str, ...]:
        return self.train if train else (self.test,)


CIFAR10_LAYOUT = Layout(
    "CIFAR-10", "cifar-10", tuple(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "labels", 1, 10, 10_000
)
CIFAR100_LAYOUT = Layout("CIFAR-100", "cifar-100", ("train",), "test", "fine_labels", 2, 100, 50_000)


def read_cifar(layout: Layout, root: Path, train: bool) -> Arrays:
    """One split from `root` or a folder just below it. Raises `InputError` naming the file that is missing or wrong."""
    folder, suffix = find_folder(layout, root)
    paths = [folder / f"{name}{suffix}" for name in layout.files(train)]
    absent = [str(path) for path in paths if not path.is_file()]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        raise MissingFileError(f"{', '.join(absent)} {verb} missing; unpack the {layout.name} archive again")
    if suffix:
        check_binary_sizes(layout, folder)
    read = read_binary_batch if suffix else read_python_batch
    batches = [read(layout, path) for path in paths]
    images = np.concatenate([batch.images for batch in batches])
    return Arrays(np.ascontiguousarray(images), np.concatenate([batch.labels for batch in batches]))


def find_folder(layout: Layout, root: Path) -> tuple[Path, str]:
    """The folder that holds the batches and their suffix, ".bin" or ""."""

    def rank(folder: Path) -> Rank:
        """Rank by the number of files; for equal numbers the binary files come first."""
        counts = [sum((folder / name).is_file() for name in names(suffix)) for suffix in SUFFIXES]
        return (1, max(counts), -counts.index(max(counts))) if any(counts) else ()

    def names(suffix: str) -> list[str]:
        return [f"{name}{suffix}" for name in layout.files(True) + layout.files(False)]

    if folder := choose(root, layout.name, rank):
        return folder, SUFFIXES[-rank(folder)[-1]]
    packed = files_in(root, ".tar.gz")
    if packed := [path for path in packed if path.name.startswith(f"{layout.archive}-")]:
        raise MissingFileError(f"{packed[0]} is still packed; unpack it there with: tar xzf {packed[0].name}")
    raise MissingFileError(
        f"no {layout.name} in {root} or one folder below; download {layout.archive}-python.tar.gz or -binary.tar.gz "
        f"from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it in {root}, or run clif data download"
    )


def read_binary_batch(layout: Layout, path: Path) -> Arrays:
    """Records of label bytes (the last one counts) and 3,072 pixels."""
    try:
        raw = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    record = layout.label_bytes + PIXELS
    if raw.size == 0 or raw.size % record:
        raise InputError(
            f"{path}: {raw.size} bytes are not a whole number of {layout.name} records of {record} bytes; "
            "the file is truncated or foreign"
        )
    records = raw.reshape(-1, record)
    return make_arrays(layout, path, records[:, layout.label_bytes :], records[:, layout.label_bytes - 1])


def check_binary_sizes(layout: Layout, folder: Path) -> None:
    """Find a file cut at a record's edge: training files are equally large, and a full set has 10,000 test images."""
    record = layout.label_bytes + PIXELS
    sizes = {path: path.stat().st_size for name in layout.train if (path := folder / f"{name}.bin").is_file()}
    expected = dict.fromkeys(sizes, max(sizes.values(), default=0))
    test = folder / f"{layout.test}.bin"
    if test.is_file() and set(expected.values()) == {layout.train_images * record}:
        sizes[test], expected[test] = test.stat().st_size, 10_000 * record
    for path, size in sizes.items():
        if size != expected[path]:
            raise InputError(
                f"{path}: {size // record} images where {expected[path] // record} are expected; the file is truncated"
            )


def read_python_batch(layout: Layout, path: Path) -> Arrays:
    """A pickled dict with "data" uint8 [n, 3072] and the labels, as the publisher and torchvision know it.

    "data" may also be [n, 3, 32, 32] or [n, 32, 32, 3].
    """
    try:
        batch = load_arrays(path.read_bytes())
    except Exception as error:  # a foreign or damaged pickle can raise anything
        raise InputError(f"{path}: not a {layout.name} batch, truncated or foreign ({in_words(error)})") from error
    if not isinstance(batch, dict):
        raise InputError(f"{path}: not a {layout.name} batch, but a pickled {type(batch).__name__}")
    content = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
    data, labels = content.get("data"), content.get(layout.label_key)
    if not isinstance(data, np.ndarray) or not isinstance(labels, list | tuple | np.ndarray):
        keys = ", ".join(sorted(str(key) for key in content))
        raise InputError(
            f'{path}: a {layout.name} batch has an array "data" and "{layout.label_key}"; this file has {keys}'
        )
    if isinstance(labels, list | tuple) and not all(isinstance(label, int | np.integer) for label in labels):
        raise InputError(f'{path}: "{layout.label_key}" must be whole numbers')
    data = np.asarray(data)
    if data.dtype == np.uint8 and data.shape[1:] == (32, 32, 3):
        data = data.transpose(0, 3, 1, 2)
    if data.dtype == np.uint8 and data.shape[1:] == (3, 32, 32):
        data = data.reshape(-1, PIXELS)
    if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != PIXELS:
        raise InputError(f'{path}: "data" must be uint8 [n, {PIXELS}], got {data.dtype} {list(data.shape)}')
    return make_arrays(layout, path, data, labels)


def make_arrays(layout: Layout, path: Path, pixels: NDArray[np.uint8], labels: Sequence[int] | NDArray) -> Arrays:
    """Check the labels against the images and the number of classes."""
    label_array = np.asarray(labels)
    if label_array.ndim != 1 or label_array.dtype.kind not in "iu" or len(label_array) != len(pixels):
        raise InputError(f"{path}: {len(pixels)} images but labels {label_array.dtype} {list(label_array.shape)}")
    wrong = np.flatnonzero((label_array < 0) | (label_array >= layout.num_classes))
    if len(wrong):
        raise InputError(
            f"{path}: label {label_array[wrong[0]]} at image {wrong[0]} is outside 0…{layout.num_classes - 1}; "
            f"this is not a {layout.name} batch or it is damaged"
        )
    return Arrays(pixels.reshape(-1, 3, 32, 32), label_array.astype(np.int64))


AUGMENTATION = Augmentation(stored=(Crop(4), CutOut(0.5), Flip()))
STRONG_AUGMENTATION = Augmentation(
    stored=(Flip(), TrivialAugmentWide()), normalised=(RandomErasing(0.1),), mix=Mix(mixup_alpha=0.2, cutmix_alpha=1.0)
)

CIFAR10 = Dataset(
    name="cifar10",
    read=partial(read_cifar, CIFAR10_LAYOUT),
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    in_channels=3,
    image_size=32,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
    augmentation=AUGMENTATION,
    strong=STRONG_AUGMENTATION,
    published=(50_000, 10_000),
)

CIFAR100 = Dataset(
    name="cifar100",
    read=partial(read_cifar, CIFAR100_LAYOUT),
    classes=tuple(str(i) for i in range(100)),
    in_channels=3,
    image_size=32,
    mean=(0.5071, 0.4867, 0.4408),
    std=(0.2675, 0.2565, 0.2761),
    augmentation=AUGMENTATION,
    strong=STRONG_AUGMENTATION,
    published=(50_000, 10_000),
)
