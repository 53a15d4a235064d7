"""One sample from a file of one's own, as the network of a data set takes it."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from clif.data.augment import normalise
from clif.data.base import Dataset
from clif.data.images import to_rgb
from clif.data.untrusted import foreign, naming
from clif.errors import InputError, MissingFileError


def read_sample(dataset: Dataset, path: Path, T: int) -> Tensor:
    """The image or recording in a file: float32 [3, H, W], normalised, or frames [T, 2, H, W] of a recording.

    An image may have any size and format that Pillow reads: it is turned as its EXIF says, its shorter side is scaled
    to the data set's size, and its centre is cut out. A recording is in the data set's own format. Raises `InputError`
    for a file that is missing, damaged or of another format.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    if dataset.mean:
        return _read_image(dataset, path)
    if dataset.read_recording is None:
        raise InputError(f"{dataset.name} has no reader of single recordings")
    with naming(path):
        return torch.from_numpy(dataset.read_recording(path, T)[0].astype(np.float32))


def _read_image(dataset: Dataset, path: Path) -> Tensor:
    size = dataset.image_size
    with foreign(path, "an image"), Image.open(path) as opened:
        image = Image.fromarray(to_rgb(ImageOps.exif_transpose(opened)))
        square = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(square).transpose(2, 0, 1).copy())
    return normalise(pixels[None], torch.tensor(dataset.mean), torch.tensor(dataset.std))[0]
