"""Image files as uint8, for any format, depth and channels."""

from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from clif.data.folders import files_in
from clif.data.untrusted import foreign, naming
from clif.errors import InputError
from clif.sizes import Size, height_width

SUFFIXES = (".jpeg", ".jpg", ".png")
FORMATS = ("JPEG", "PNG")

NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow only recognises, or reads by running another program."""


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats of pictures that Pillow reads here."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NO_PICTURES))


@cache
def readable_suffixes() -> tuple[str, ...]:
    """The file extensions of those formats, in lower case."""
    formats = readable_formats()
    return tuple(sorted(suffix for suffix, kind in Image.registered_extensions().items() if kind in formats))


def images_in(folder: Path) -> list[Path]:
    return files_in(folder, *SUFFIXES)


def image_size(path: Path) -> tuple[int, int]:
    """The width and height of an image."""
    with foreign(path, "an image"), Image.open(path, formats=FORMATS) as image:
        return image.size


def read_rgb(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """A JPEG or PNG image as uint8 [3, height, width].

    Grey images get three equal channels, 16 bits become the upper 8, alpha is dropped, and an orientation in EXIF is
    not applied, all as in torchvision's folders, except that these turn 16-bit grey images white. Raises `InputError`
    for a file that is damaged, of another format or of another size.
    """
    with naming(path), foreign(path, "an image"), Image.open(path, formats=FORMATS) as image:
        if image.size != (width, height):
            raise InputError(f"{path}: is {image.size[0]}×{image.size[1]}, images of this set are {width}×{height}")
        return np.ascontiguousarray(np.asarray(to_rgb(image)).transpose(2, 0, 1))


def read_fitted(path: Path, size: Size, channels: int, resize: str) -> NDArray[np.uint8]:
    """An image in any format and of any size as uint8 [channels, *size]; of a file with several, the first.

    It is rotated as its EXIF data says, if these can be read. With `resize` "crop" it is scaled to cover `size` and its
    centre cropped, with "stretch" both sides are scaled. Raises `InputError` for a file that is damaged or not an
    image, and for `channels` other than 1 and 3.
    """
    height, width = height_width(size)
    if channels not in (1, 3):
        raise InputError(f"{path}: images are read with 1 channel (grey) or 3 (RGB), not with {channels}")
    with naming(path), foreign(path, "an image"), Image.open(path, formats=readable_formats()) as opened:
        opened.draft(None, (2 * max(width, height),) * 2)
        image = to_rgb(upright(opened))
        if resize == "stretch":
            fitted = image.resize((width, height), Image.Resampling.BILINEAR)
        else:
            fitted = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(fitted.convert("L" if channels == 1 else "RGB"))
        return np.array(pixels.reshape(height, width, channels).transpose(2, 0, 1), order="C")


def upright(image: Image.Image) -> Image.Image:
    """The image rotated as its EXIF data says, or as it is stored if these are damaged."""
    image.load()
    with suppress(Exception):  # damage can raise anything
        ImageOps.exif_transpose(image, in_place=True)
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode with three channels of 8 bits."""
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise InputError(f"grey values go from {grey.min()} to {grey.max()}, outside 16 bits")
        if 0 < grey.max() <= 0xFF:
            raise InputError(
                f"its grey values are at most {grey.max()}, so that the upper 8 of its 16 bits are all 0; save it with "
                "8 bits a channel"
            )
        return Image.fromarray((grey.astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise InputError("its values are floating-point numbers; save it with 8 or 16 bits a channel")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")
