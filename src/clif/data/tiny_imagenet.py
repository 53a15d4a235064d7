"""Tiny-ImageNet (Stanford CS231n): 200 classes of 64×64 JPEG images, 500 a class to train and 50 to validate.

The test set has no labels; its validation set is what accuracies are reported on.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clif.data.augment import Augmentation, Crop, Flip
from clif.data.base import Dataset, Source, Split
from clif.data.policy import AutoAugment
from clif.data.recordings import candidates, foreign, read_text
from clif.errors import InputError, MissingFileError

SIZE = 64
CLASSES = 200
SUFFIXES = {".jpeg", ".jpg", ".png"}


def find_tiny_imagenet(root: Path, train: bool, _T: int) -> Split:
    """The images of a split in `root` or a folder just below it, by class and name; val/ serves as the test set.

    Labels are places in the sorted class ids of wnids.txt, else of the folders in train/. A folder with fewer classes
    than 200 is accepted.
    """
    part = "train" if train else "val"
    for base in candidates(root, "Tiny-ImageNet"):
        if (base / part).is_dir() and (class_ids := find_classes(base)):
            files = list_val(base, class_ids) if not train and has_annotations(base) else list_folders(base, part)
            unknown = sorted({wnid for wnid, _ in files} - set(class_ids))
            if unknown:
                raise InputError(f"{base / part}: the class {unknown[0]} is in neither wnids.txt nor train/")
            if not files:
                raise MissingFileError(f"{base / part} has no images; unpack tiny-imagenet-200.zip again")
            sources = [
                Source(path, (class_ids.index(wnid),), partial(read_image, path)) for wnid, path in sorted(files)
            ]
            return Split(base, f"tiny_imagenet-{part}", f"{SIZE}x{SIZE}", (3, SIZE, SIZE), "uint8", sources)
        if (archive := base / "tiny-imagenet-200.zip").is_file() and not (root / "tiny-imagenet-200").is_dir():
            raise MissingFileError(f"{archive} is still packed; unpack it there with: unzip {archive.name}")
    raise MissingFileError(
        f"no Tiny-ImageNet {part}/ in {root} or one folder below; download tiny-imagenet-200.zip from "
        f"http://cs231n.stanford.edu/tiny-imagenet-200.zip and unpack it in {root}, or run clif data download"
    )


def find_classes(base: Path) -> list[str]:
    """The sorted class ids, or none where this is no folder of Tiny-ImageNet."""
    names = base / "wnids.txt"
    if names.is_file():
        class_ids = sorted(set(read_text(names).split()))
    else:
        class_ids = [path.name for path in subfolders(base / "train") or subfolders(base / "val")]
    if len(class_ids) > CLASSES:
        raise InputError(f"{base} has {len(class_ids)} classes, Tiny-ImageNet has {CLASSES}")
    return class_ids


def subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def has_annotations(base: Path) -> bool:
    return (base / "val" / "val_annotations.txt").is_file() and (base / "val" / "images").is_dir()


def list_val(base: Path, class_ids: list[str]) -> list[tuple[str, Path]]:
    """(class id, image) from val_annotations.txt: lines of file, class and the corners of a box."""
    table = base / "val" / "val_annotations.txt"
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(table).splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) < 2 or Path(cells[0]).name != cells[0]:
            raise InputError(f"{table}: line {number} does not name an image and its class")
        if cells[1] not in class_ids:
            raise InputError(
                f"{table}: line {number} has the class {cells[1]}, which is in neither wnids.txt nor train/"
            )
        if cells[0] in found:
            raise InputError(f"{table}: line {number} names {cells[0]} a second time")
        found[cells[0]] = cells[1]
    files = [(wnid, base / "val" / "images" / name) for name, wnid in found.items()]
    for _, path in files:
        if not path.is_file():
            raise MissingFileError(f"{path}, which {table.name} names, is missing; unpack tiny-imagenet-200.zip again")
    return files


def list_folders(base: Path, part: str) -> list[tuple[str, Path]]:
    """(class id, image) from folders of classes, with or without images/ in each."""
    files = []
    for folder in subfolders(base / part):
        inner = folder / "images" if (folder / "images").is_dir() else folder
        images = [path for path in inner.iterdir() if path.suffix.lower() in SUFFIXES]
        files += [(folder.name, path) for path in images]
    return files


def read_image(path: Path) -> NDArray[np.uint8]:
    """One image as uint8 [1, 3, 64, 64]; grey ones get three equal channels."""
    with foreign(path, "an image"), Image.open(path, formats=("JPEG", "PNG")) as image:
        if image.size != (SIZE, SIZE):
            raise InputError(f"{path}: is {image.size[0]}×{image.size[1]}, images of this set are {SIZE}×{SIZE}")
        pixels = np.asarray(image.convert("RGB"))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]


TINY_IMAGENET = Dataset(
    name="tiny_imagenet",
    find=find_tiny_imagenet,
    classes=tuple(str(i) for i in range(CLASSES)),
    in_channels=3,
    image_size=SIZE,
    published=(100_000, 10_000),
    mean=(0.4802, 0.4481, 0.3975),
    std=(0.2302, 0.2265, 0.2262),
    augmentation=Augmentation(stored=(Crop(4), Flip())),
    strong=Augmentation(stored=(Crop(4), Flip(), AutoAugment())),
)
