"""The data set `images`: the user's own images, in class folders or listed in a table.

`ROOT/train/CLASS/…` with `ROOT/test/CLASS/…` or `ROOT/val/CLASS/…`; `ROOT/CLASS/…` with a seeded stratified split; or a
CSV or TSV file (`clif.data.image_table`). Everything below a class folder belongs to the class.
"""

import hashlib
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.augment import Augmentation, Crop, Flip
from clif.data.base import Dataset, Source, Split
from clif.data.class_folders import Kind, Labelled, Listing, choose_part, classes_of, list_folder
from clif.data.image_table import SUFFIXES, read_table
from clif.data.images import read_fitted, readable_suffixes
from clif.data.policy import AutoAugment
from clif.data_options import DataOptions
from clif.errors import InputError, MissingFileError

SIZE = 64
CHANNELS = 3
LAYOUT = (
    "images must be in ROOT/train/CLASS and ROOT/test/CLASS, in ROOT/CLASS, or in a table with the columns path "
    "and label (--data-dir list.csv)"
)


def images() -> Kind:
    return Kind("image", readable_suffixes(), LAYOUT)


def open_images(root: Path, options: DataOptions) -> Dataset:
    """The description of the images in a folder or table: its classes are those of the training set.

    Classes that are whole numbers are ordered by value, other names alphabetically. Raises `InputError` if there
    are none, for images outside of class folders, and for options of other sets.
    """
    options.allow("images", "image_size", "in_channels", "resize", "test_split", "split_seed", "classes")
    options = replace(options, image_size=options.image_size or SIZE, in_channels=options.in_channels or CHANNELS)
    if not options.classes:
        options = replace(options, classes=classes_of(list_images(root), images(), options))
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


def find_images(options: DataOptions, root: Path, train: bool, _T: int, _sort_events: bool = False) -> Split:
    """The images of a part in the order of their classes and names; `options` has the classes and all sizes."""
    listing = list_images(root)
    part = choose_part(listing, images(), options, train)
    size, channels, resize = options.image_size, options.in_channels, options.resize
    sources = [Source(path, (label,), partial(load_image, path, size, channels, resize)) for label, path in part.files]
    name = f"images-{'train' if train else 'test'}"
    shape = (channels, size, size)
    return Split(listing.base, name, describe(options, listing, part.official), shape, "uint8", sources, part.missing)


def describe(options: DataOptions, listing: Listing, official: bool) -> str:
    """Everything on which the samples depend besides their files, as a part of a file's name."""
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
    """All images of a set. Raises `InputError` for images outside of class folders."""
    if root.is_file():
        return list_table(root)
    if not root.is_dir():
        raise MissingFileError(f"{root} is neither a folder nor a table; {LAYOUT}")
    return list_folder(root, images())


def list_table(table: Path) -> Listing:
    """The images in a table, and those of them that are missing."""
    if table.suffix.lower() not in SUFFIXES:
        raise InputError(f"{table}: is not a table of images; these end in {' or '.join(SUFFIXES)}; {LAYOUT}")
    parts: dict[str, Labelled] = {}
    missing: dict[str, list[str]] = {}
    for row in read_table(table):
        files = parts.setdefault(row.part, [])
        if os.path.isfile(row.path):  # unlike Path.is_file no error for a name that is too long
            files.append((row.label, row.path))
        else:
            missing.setdefault(row.part, []).append(
                f"{row.path}, which line {row.line} of {table.name} names, is missing"
            )
    if not any(parts.values()):
        raise MissingFileError(f"none of the images in {table} exists: {next(iter(missing.values()))[0]}")
    if set(parts) == {"train"}:
        parts, missing = {"": parts["train"]}, {"": missing.get("train", [])}
    return Listing(table.parent, table, parts, missing)
