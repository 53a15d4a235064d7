"""Tiny-ImageNet (Stanford CS231n): 200 classes of 64×64 JPEG images, 500 per class to train and 50 to validate.

The test set has no labels; its validation set is what accuracies are reported on.
"""

from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.augment import Augmentation, Crop, Flip
from clif.data.base import Dataset, Source, Split
from clif.data.complete import shortened
from clif.data.folders import Rank, candidates, choose, folders_in, nested, walk
from clif.data.images import image_size, images_in, read_rgb
from clif.data.policy import AutoAugment
from clif.data.text import read_lines, read_text
from clif.errors import InputError, MissingFileError

SIZE = 64
CLASSES = 200


def find_tiny_imagenet(root: Path, train: bool, _T: int, _sort_events: bool = False) -> Split:
    """The images of a split in `root` or a folder just below it, by class and name; val/ serves as the test set.

    Labels are indices in the sorted class ids of wnids.txt, else of the folders in train/. A folder with fewer classes
    than 200 is accepted, but not classes that only one of train/ and val/ has.
    """
    part = "train" if train else "val"
    if base := choose(root, "Tiny-ImageNet", partial(rank, part=part)):
        class_ids = find_classes(base)
        files, missing = list_images(base, part, class_ids)
        if not files:
            raise MissingFileError(f"{base / part} has no images; unpack tiny-imagenet-200.zip again")
        with suppress(InputError):
            others, _ = list_images(base, "val" if train else "train", class_ids)
            if absent := sorted({wnid for wnid, _ in others} - {wnid for wnid, _ in files}):
                missing.append(f"{base / part} has no image of {shortened(absent, ', ')}")
        index = {wnid: label for label, wnid in enumerate(class_ids)}
        sources = [Source(path, (index[wnid],), partial(read_image, path)) for wnid, path in sorted(files)]
        name = f"tiny_imagenet-{part}"
        return Split(base, name, f"{SIZE}x{SIZE}", (3, SIZE, SIZE), "uint8", sources, tuple(missing))
    for base in chain(*candidates(root, "Tiny-ImageNet")):
        if (archive := base / "tiny-imagenet-200.zip").is_file():
            raise MissingFileError(f"{archive} is still packed; unpack it there with: unzip {archive.name}")
        if (base / part).is_dir() and (count := len(find_classes(base))) > CLASSES:
            raise InputError(f"{base} has {count} classes, Tiny-ImageNet has {CLASSES}")
    raise MissingFileError(
        f"no Tiny-ImageNet {part}/ in {root} or one folder below; download tiny-imagenet-200.zip from "
        f"http://cs231n.stanford.edu/tiny-imagenet-200.zip and unpack it in {root}, or run clif data download"
    )


def rank(base: Path, part: str) -> Rank:
    """The certainty, by the list of classes, the name and the first image's size: ImageNet has the same folders."""
    folder = base / part
    if not folder.is_dir() or not 0 < len(find_classes(base)) <= CLASSES:
        return ()
    named = "tiny" in base.name.lower() and "imagenet" in base.name.lower()
    return (1 + (base / "wnids.txt").is_file() + named + has_small_image(folder),)


def has_small_image(folder: Path) -> bool:
    """Whether the first image in the folder, or below, is 64×64."""
    for images in map(images_in, walk(folder)):
        if images:
            try:
                return image_size(images[0]) == (SIZE, SIZE)
            except InputError:
                return False
    return False


def find_classes(base: Path) -> list[str]:
    """The sorted class ids; none if this is no folder of Tiny-ImageNet."""
    names = base / "wnids.txt"
    if names.is_file():
        return sorted(set(read_text(names).split()))
    for folder in (base / "train", base / "val"):
        for classes in (*nested(folder), folder / "images"):
            if ids := [path.name for path in folders_in(classes) if path.name not in (folder.name, "images")]:
                return ids
    return []


def list_images(base: Path, part: str, class_ids: list[str]) -> tuple[list[tuple[str, Path]], list[str]]:
    """(class id, image) of a split, and the missing files.

    The class is the folder's, with or without images/ around or inside it. In val/ it may be that of
    val_annotations.txt instead, with the images in one folder or in folders of classes; both must agree.
    """
    found = class_images(base / part, part)
    unknown = sorted({wnid for wnid, _ in found if wnid} - set(class_ids))
    if unknown:
        raise InputError(f"{base / part}: the class {unknown[0]} is in neither wnids.txt nor train/")
    table = find_table(base / part)
    in_folders = [(wnid, path) for wnid, path in found if wnid]
    if table is not None:
        named = read_annotations(table, class_ids)
        if not in_folders or not named.keys().isdisjoint(path.name for _, path in found):
            return match_annotations(table, named, found)
    elif part == "val" and len(in_folders) < len(found):
        raise MissingFileError(f"{base / part / 'val_annotations.txt'}, which lists the classes of val/, is missing")
    return in_folders, []


def find_table(folder: Path) -> Path | None:
    for base in (*nested(folder), folder / "images"):
        if (table := base / "val_annotations.txt").is_file():
            return table
    return None


def class_images(folder: Path, wnid: str, named: bool = False) -> list[tuple[str, Path]]:
    """(class id or "", image) of a folder and those below; images/ and a folder in one of its name are no classes."""
    images = [(wnid if named else "", path) for path in images_in(folder)]
    for inner in folders_in(folder):
        same = inner.name in ("images", folder.name)
        images += class_images(inner, wnid if same else inner.name, named or not same)
    return images


def read_annotations(table: Path, class_ids: list[str]) -> dict[str, str]:
    """The class id of each image: lines of file, class and the corners of a box."""
    named: dict[str, str] = {}
    known = set(class_ids)
    for number, line in read_lines(table):
        cells = line.split()
        if len(cells) < 2 or Path(cells[0]).name != cells[0]:
            raise InputError(f"{table}: line {number} does not name an image and its class")
        if cells[1] not in known:
            raise InputError(
                f"{table}: line {number} has the class {cells[1]}, which is in neither wnids.txt nor train/"
            )
        if cells[0] in named:
            raise InputError(f"{table}: line {number} names {cells[0]} a second time")
        named[cells[0]] = cells[1]
    return named


def match_annotations(
    table: Path, named: dict[str, str], found: list[tuple[str, Path]]
) -> tuple[list[tuple[str, Path]], list[str]]:
    """The annotated images with their classes, and those that are missing."""
    places: dict[str, Path] = {}
    for wnid, path in found:
        if wnid and wnid != named.get(path.name, wnid):
            raise InputError(f"{path}: is in the folder of {wnid}, but {table.name} gives {named[path.name]}")
        places.setdefault(path.name, path)
    files = [(wnid, places[name]) for name, wnid in named.items() if name in places]
    absent = [table.parent / "images" / name for name in named if name not in places]
    return files, [f"{path}, which {table.name} names, is missing" for path in absent]


def read_image(path: Path) -> NDArray[np.uint8]:
    """One image as uint8 [1, 3, 64, 64] (`clif.data.images.read_rgb`)."""
    return read_rgb(path, SIZE, SIZE)[None]


TINY_IMAGENET = Dataset(
    name="tiny_imagenet",
    find=find_tiny_imagenet,
    classes=tuple(str(i) for i in range(CLASSES)),
    in_channels=3,
    image_size=SIZE,
    published=(100_000, 10_000),
    fixed_classes=False,
    mean=(0.4802, 0.4481, 0.3975),
    std=(0.2302, 0.2265, 0.2262),
    augmentation=Augmentation(stored=(Crop(4), Flip())),
    strong=Augmentation(stored=(Crop(4), Flip(), AutoAugment())),
)
