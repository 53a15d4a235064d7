"""N-MNIST (Orchard et al., 2015): MNIST's digits recorded by a moving event camera, 34×34 pixels, MNIST's split."""

from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path

from numpy.typing import NDArray

from clif.data.base import Dataset, Source, Split
from clif.data.events import read_nmnist
from clif.data.folders import Rank, candidates, child, choose, folders_in, labelled_files, nested
from clif.data.recordings import (
    FrameFormat,
    frames_folder,
    frames_of,
    other_files,
    read_events_npz,
    recording_sample,
    sample_of,
)
from clif.errors import MissingFileError

SENSOR = 34
CLASSES = tuple("0123456789")


def find_nmnist(root: Path, train: bool, T: int, sort_events: bool = False) -> Split:
    """Recordings Train/5/00001.bin in `root` or a folder just below it, or SpikingJelly's events or T frames."""
    form = FrameFormat(T, SENSOR, sort=sort_events)
    upper, lower = ("Train", "train") if train else ("Test", "test")
    if base := choose(root, "N-MNIST", partial(rank, train=train, form=form)):
        for folder, suffix, load in layouts(base, train, form):
            if files := labelled_files(folder, CLASSES, suffix):
                sources = [Source(path, (label,), partial(load, form, path)) for label, path in files]
                return Split(base, f"nmnist-{lower}", form.parameters, form.shape, form.dtype, sources)
    bases = list(chain(*candidates(root, "N-MNIST")))
    for archive in (child(base, f"{upper}.zip") for base in bases):
        if archive.is_file():
            raise MissingFileError(f"{archive} is still packed; unpack it there with: unzip {archive.name}")
    folders = chain(*(nested(folder) for base in bases for folder, suffix, _ in layouts(base, train, form)))
    others = other_files((folder / name for folder in folders for name in CLASSES), "N-MNIST's .bin files are")
    raise MissingFileError(
        f"no N-MNIST {upper} folder in {root} or one folder below (for T={T});{others} download Train.zip and Test.zip "
        f"from https://www.garrickorchard.com/datasets/n-mnist and unpack them in {root}: Train/5/00001.bin …"
    )


def layouts(
    base: Path, train: bool, form: FrameFormat
) -> list[tuple[Path, str, Callable[[FrameFormat, Path], NDArray]]]:
    """Folders of class folders, the endings of their files, and the functions to load one; the publisher's first."""
    upper, lower = ("Train", "train") if train else ("Test", "test")
    recording = partial(sample_of, read=partial(read_nmnist, sort=form.sort))
    return [
        (child(base, upper), ".bin", recording),
        (base / "extract" / upper, ".bin", recording),
        (base / "events_np" / lower, ".npz", partial(sample_of, read=read_events_npz)),
        (frames_folder(base, form.T) / lower, ".npz", frames_of),
    ]


def rank(base: Path, train: bool, form: FrameFormat) -> Rank:
    """The certainty: higher if both splits exist, then by the number of classes and the layout.

    Class folders with numbers from 10 belong to another set.
    """

    def best(train: bool) -> Rank:
        found: list[Rank] = []
        for number, (folder, suffix, _) in enumerate(layouts(base, train, form)):
            labels = {label for label, _ in labelled_files(folder, CLASSES, suffix)}
            if labels and not any(path.name.isdigit() and path.name not in CLASSES for path in folders_in(folder)):
                found.append((len(labels), -number))
        return max(found, default=())

    here = best(train)
    return (2 if best(not train) else 1, *here) if here else ()


def read_one(path: Path, T: int, sort: bool = False) -> NDArray:
    """One recording as a sample of T frames [1, T, 2, H, W]."""
    return recording_sample(FrameFormat(T, SENSOR, sort=sort), path, ".bin", read_nmnist)


NMNIST = Dataset(
    name="nmnist",
    find=find_nmnist,
    read_recording=read_one,
    classes=CLASSES,
    in_channels=2,
    events=True,
    image_size=SENSOR,
    published=(60_000, 10_000),
    augmentation=None,
)
