"""Image files as uint8 RGB, whatever their depth and channels are."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clif.data.folders import files_in
from clif.data.untrusted import foreign
from clif.errors import InputError

SUFFIXES = (".jpeg", ".jpg", ".png")
FORMATS = ("JPEG", "PNG")


def images_in(folder: Path) -> list[Path]:
    return files_in(folder, *SUFFIXES)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height."""
    with foreign(path, "an image"), Image.open(path, formats=FORMATS) as image:
        return image.size


def read_rgb(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """A JPEG or PNG image as uint8 [3, height, width].

    Grey images get three equal channels, 16 bits a channel become the upper 8, alpha is dropped, and an orientation in
    EXIF is not applied, all as torchvision's folders do, except that these turn 16-bit grey images white. Raises
    `InputError` for a file that is damaged, foreign or of another size.
    """
    with foreign(path, "an image"), Image.open(path, formats=FORMATS) as image:
        if image.size != (width, height):
            raise InputError(f"{path}: is {image.size[0]}×{image.size[1]}, images of this set are {width}×{height}")
        return np.ascontiguousarray(to_rgb(image).transpose(2, 0, 1))


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """An image of any mode as uint8 [height, width, 3]."""
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise InputError(f"grey values go from {grey.min()} to {grey.max()}, outside 16 bits")
        return np.repeat((grey.astype(np.uint16) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))
