"""One sample from a file of your own, in the form that the network of a data set takes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clif.data.augment import normalise
from clif.data.base import Dataset
from clif.data.images import read_fitted
from clif.data.untrusted import naming
from clif.errors import InputError, MissingFileError


def read_sample(dataset: Dataset, path: Path, T: int, sort: bool = False) -> Tensor:
    """The image or recording in a file: float32 [C, H, W], normalised, or frames [T, 2, H, W] of a recording.

    An image may have any size and format that Pillow reads, and is fitted like those of the data set (`read_fitted`). A
    recording is in the data set's own format; your own recordings may be in any format of `read_recording`. With `sort`
    its events are sorted if their times run backwards. Raises `InputError` for a file that is missing, damaged or of
    another format, and for images of a data set whose mean and std are not known.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the files in it")
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    if not dataset.events:
        if not dataset.mean:
            raise InputError(
                f"the mean and std of {dataset.name} are not known here; give the run folder or a checkpoint of clif "
                "train, which keep them, or set them in the Dataset"
            )
        pixels = torch.from_numpy(read_fitted(path, dataset.image_size, dataset.in_channels, dataset.resize))
        return normalise(pixels[None], torch.tensor(dataset.mean), torch.tensor(dataset.std))[0]
    if dataset.read_recording is None:
        raise InputError(f"{dataset.name} has no reader of single recordings")
    sorting = {"sort": True} if sort else {}
    with naming(path):
        return torch.from_numpy(dataset.read_recording(path, T, **sorting)[0].astype(np.float32))
