"""The data set `images`: a person's own images, in folders by class or named by a table.

`ROOT/train/CLASS/…` with `ROOT/test/CLASS/…` or `ROOT/val/CLASS/…`; `ROOT/CLASS/…` with a seeded stratified split; or a
CSV or TSV file (`clif.data.image_table`). What lies below a class folder belongs to the class.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.augment import Augmentation, Crop, Flip
from clif.data.base import Dataset, Source, Split
from clif.data.complete import say_once, shortened
from clif.data.folders import files_in, folders_in
from clif.data.hold_out import hold_out
from clif.data.image_table import PARTS, SUFFIXES, read_table
from clif.data.images import read_fitted, readable_suffixes
from clif.data.policy import AutoAugment
from clif.data_options import DataOptions
from clif.errors import InputError, MissingFileError

SIZE = 64
CHANNELS = 3
LAYOUT = (
    "images lie in ROOT/train/CLASS and ROOT/test/CLASS, in ROOT/CLASS, or are named by a table with the columns path "
    "and label (-data_dir list.csv)"
)

Labelled = list[tuple[str, Path]]
"""(class, image) of each image."""


@dataclass(frozen=True)
class Listing:
    """The images of a set by part, "train", "test" and "val"; those without a part are under "".

    `base` is the set's folder, `source` what named the images, `missing` says which of them are not there.
    """

    base: Path
    source: Path
    parts: dict[str, Labelled]
    missing: dict[str, list[str]] = field(default_factory=dict)

    def test_part(self) -> str:
        """Which part is the test set: "" stands for one that a split must make."""
        if "test" in self.parts and "val" in self.parts:
            say_once(f"{self.source}: test is the test set, val is not read; -val_split holds a part of train out")
        return next((part for part in ("test", "val") if part in self.parts), "")


def open_images(root: Path, options: DataOptions) -> Dataset:
    """The description of the images in a folder or table: its classes are those of the training set.

    Whole numbers as classes are in their order, other names in that of the alphabet. Raises `InputError` where there
    are none, for images outside of class folders, and for options that are for other sets.
    """
    options.allow("images", "image_size", "in_channels", "resize", "test_split", "split_seed", "classes")
    options = replace(options, image_size=options.image_size or SIZE, in_channels=options.in_channels or CHANNELS)
    if not options.classes:
        listing = list_images(root)
        named = {name for name, _ in listing.parts.get("train", listing.parts.get("", []))}
        if not named:
            raise MissingFileError(f"{listing.source} has no training images; {LAYOUT}")
        if len(named) < 2:
            raise InputError(f"{listing.source} has images of one class only, {named.pop()}; {LAYOUT}")
        options = replace(options, classes=sort_classes(named))
    padding = options.image_size // 8
    change = (Crop(padding), Flip())
    return Dataset(
        name="images",
        classes=options.classes,
        in_channels=options.in_channels,
        image_size=options.image_size,
        resize=options.resize,
        fixed_classes=False,
        augmentation=Augmentation(stored=change),
        strong=Augmentation(stored=(*change, AutoAugment())) if options.in_channels == 3 else None,
        find=partial(find_images, options),
    )


def sort_classes(names: set[str]) -> tuple[str, ...]:
    """Class names in the order of their labels."""
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def find_images(options: DataOptions, root: Path, train: bool, _T: int, _sort_events: bool = False) -> Split:
    """The images of a part in the order of their classes and names; `options` has the classes and all sizes."""
    listing = list_images(root)
    index = {name: label for label, name in enumerate(options.classes)}
    test = listing.test_part()
    part = ("train" if train else test) if test else ""
    if test and options.test_split != DataOptions.test_split:
        raise InputError(f"{listing.source} has a test set of its own; leave test_split out")
    images = listing.parts.get(part, [])
    if not images:
        raise MissingFileError(f"{listing.source} has no {'training' if train else 'test'} images; {LAYOUT}")
    if unknown := sorted({name for name, _ in images} - index.keys()):
        raise InputError(
            f"{listing.source}: the {part or 'set'} has the class {unknown[0]}, which the training set has not; its "
            f"classes are {shortened(options.classes, ', ')}"
        )
    labelled = sorted(((index[name], path) for name, path in images), key=lambda one: (one[0], str(one[1])))
    missing = list(listing.missing.get(part, []))
    if not test:
        held_out = hold_out(
            [label for label, _ in labelled],
            options.test_split,
            options.split_seed,
            options.classes,
            str(listing.source),
        )
        labelled = [one for one, out in zip(labelled, held_out, strict=True) if out != train]
    present = {label for label, _ in labelled}
    if absent := [name for name, label in index.items() if label not in present]:
        missing.append(f"no image of {shortened(absent, ', ')}")
    size, channels, resize = options.image_size, options.in_channels, options.resize
    sources = [Source(path, (label,), partial(load_image, path, size, channels, resize)) for label, path in labelled]
    name = f"images-{'train' if train else 'test'}"
    shape = (channels, size, size)
    return Split(listing.base, name, describe(options, listing, bool(test)), shape, "uint8", sources, tuple(missing))


def describe(options: DataOptions, listing: Listing, official: bool) -> str:
    """All that the samples depend on, besides their files, as a part of a file's name."""
    words = [
        f"{options.image_size}x{options.image_size}",
        "rgb" if options.in_channels == 3 else "grey",
        options.resize,
    ]
    if not official:
        words.append(f"split{options.split_seed}-{options.test_split}")
    if listing.source != listing.base:
        words.append(hashlib.sha256(listing.source.name.encode()).hexdigest()[:8])
    return "-".join(words)


def load_image(path: Path, size: int, channels: int, resize: str) -> NDArray[np.uint8]:
    """One image as uint8 [1, channels, size, size]."""
    return read_fitted(path, size, channels, resize)[None]


def list_images(root: Path) -> Listing:
    """All images of a set. Raises `InputError` for what lies in no class."""
    if root.is_file():
        return list_table(root)
    if not root.is_dir():
        raise MissingFileError(f"{root} is neither a folder nor a table; {LAYOUT}")
    base = without_wrapping(root)
    parts: dict[str, Path] = {}
    for folder in filter(is_part, folders_in(base)):
        part = PARTS[folder.name.lower()]
        if part in parts:
            raise InputError(f"{parts[part]} and {folder} are both the {part} part of the set; rename one of them")
        parts[part] = folder
    if not parts:
        return Listing(base, base, {"": class_images(base)})
    found = {part: class_images(folder) for part, folder in parts.items()}
    if set(found) == {"train"}:
        return Listing(base, base, {"": found["train"]})
    return Listing(base, base, found)


def list_table(table: Path) -> Listing:
    """The images that a table names, with those that are not there."""
    if table.suffix.lower() not in SUFFIXES:
        raise InputError(f"{table}: is no table of images, those end in {' or '.join(SUFFIXES)}; {LAYOUT}")
    parts: dict[str, Labelled] = {}
    missing: dict[str, list[str]] = {}
    for row in read_table(table):
        if row.path.is_file():
            parts.setdefault(row.part, []).append((row.label, row.path))
        else:
            missing.setdefault(row.part, []).append(
                f"{row.path}, which line {row.line} of {table.name} names, is missing"
            )
    if not parts:
        raise MissingFileError(f"no image that {table} names is there: {next(iter(missing.values()))[0]}")
    if set(parts) == {"train"}:
        parts, missing = {"": parts["train"]}, {"": missing.get("train", [])}
    return Listing(table.parent, table, parts, missing)


def without_wrapping(root: Path) -> Path:
    """The folder itself or, twice at most, the one folder in it where there is nothing else, as packed sets have it."""
    for _ in range(2):
        inner = folders_in(root)
        if len(inner) != 1 or is_part(inner[0]) or files_in(root, *readable_suffixes()) or not folders_in(inner[0]):
            break
        root = inner[0]
    return root


def is_part(folder: Path) -> bool:
    """Whether a folder is a part of a set, not a class of trains."""
    return folder.name.lower() in PARTS and bool(folders_in(folder))


def class_images(folder: Path) -> Labelled:
    """(class, image) of all images below the class folders in a folder."""
    if stray := files_in(folder, *readable_suffixes()):
        raise InputError(f"{stray[0]}: lies in no folder of a class; move it into one. {LAYOUT[0].upper()}{LAYOUT[1:]}")
    images: Labelled = []
    others: list[str] = []
    for inner in folders_in(folder):
        found = []
        for path in files_below(inner):
            if path.name.lower().endswith(readable_suffixes()):
                found.append((inner.name, path))
            else:
                others.append(str(path))
        if not found:
            raise MissingFileError(
                f"{inner} has no image that can be read; remove it, or put the images of the class there"
            )
        images += found
    if others:
        number = f"{len(others)} file is" if len(others) == 1 else f"{len(others)} files are"
        say_once(f"{folder}: {number} left out, by the name no image that can be read: {shortened(others, ', ')}")
    return images


def files_below(folder: Path) -> Iterator[Path]:
    yield from files_in(folder)
    for inner in folders_in(folder):
        yield from files_below(inner)
