"""N-MNIST (Orchard et al., 2015): MNIST's digits recorded by a moving event camera, 34×34 pixels, MNIST's split."""

from functools import partial
from pathlib import Path

from clif.data.base import Dataset, Source, Split
from clif.data.events import read_nmnist
from clif.data.recordings import (
    FrameFormat,
    candidates,
    frames_folder,
    frames_of,
    read_events_npz,
    sample_of,
)
from clif.errors import MissingFileError

SENSOR = 34


def find_nmnist(root: Path, train: bool, T: int) -> Split:
    """Recordings Train/5/00001.bin in `root` or a folder just below it, or SpikingJelly's events or T frames."""
    form = FrameFormat(T, SENSOR)
    upper, lower = ("Train", "train") if train else ("Test", "test")
    for base in candidates(root, "N-MNIST"):
        for folder, suffix, load in (
            (base / upper, ".bin", partial(sample_of, read=read_nmnist)),
            (base / "extract" / upper, ".bin", partial(sample_of, read=read_nmnist)),
            (base / "events_np" / lower, ".npz", partial(sample_of, read=read_events_npz)),
            (frames_folder(base, T) / lower, ".npz", frames_of),
        ):
            files = [(label, path) for label in range(10) for path in sorted((folder / str(label)).glob(f"*{suffix}"))]
            if files:
                sources = [Source(path, (label,), partial(load, form, path)) for label, path in files]
                return Split(base, f"nmnist-{lower}", form.parameters, form.shape, form.dtype, sources)
        if (archive := base / f"{upper}.zip").is_file():
            raise MissingFileError(f"{archive} is still packed; unpack it there with: unzip {archive.name}")
    raise MissingFileError(
        f"no N-MNIST {upper} folder in {root} or one folder below (for T={T}); download Train.zip and Test.zip from "
        f"https://www.garrickorchard.com/datasets/n-mnist and unpack them in {root}: Train/5/00001.bin …"
    )


NMNIST = Dataset(
    name="nmnist",
    find=find_nmnist,
    classes=tuple("0123456789"),
    in_channels=2,
    image_size=SENSOR,
    published=(60_000, 10_000),
    augmentation=None,
)
