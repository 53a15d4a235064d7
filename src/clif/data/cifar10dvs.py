"""CIFAR10-DVS (Li et al., 2017): 10,000 recordings of CIFAR-10 images that move on a screen, 128×128 pixels.

It has no official split; recordings 0–899 of each class train and 900–999 test, as in the CLIF paper.
"""

import re
import zipfile
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from clif.data.augment import Augmentation, CutOut, Flip
from clif.data.base import Dataset, Source, Split
from clif.data.cifar import CIFAR10
from clif.data.complete import part_name
from clif.data.events import Events, parse_aedat2, read_aedat2
from clif.data.folders import (
    Rank,
    candidates,
    choose,
    class_files,
    file_number,
    is_hidden,
    nested,
    numbered_files,
)
from clif.data.recordings import (
    FrameFormat,
    frames_folder,
    frames_of,
    other_files,
    read_events_npz,
    recording_sample,
    sample_of,
)
from clif.data.untrusted import check_unpacked, foreign, naming
from clif.data.warp import OneOf, Roll, Rotate, Shear
from clif.errors import InputError, MissingFileError

SENSOR = 128
SIZE = 48
FIRST_TEST = 900
MAX_RECORDING_BYTES = 1 << 28


def mirrored(events: Events) -> Events:
    """x → 127 − x and p → 1 − p, which is applied to every recording of the set."""
    return events | {"x": SENSOR - 1 - events["x"], "p": 1 - events["p"]}


def read_recording(path: Path, sort: bool = False) -> Events:
    return mirrored(read_aedat2(path, sort=sort))


def find_cifar10dvs(root: Path, train: bool, T: int, sort_events: bool = False) -> Split:
    """The recordings of a split in `root` or a folder just below it.

    The files of each class: AEDAT 2.0 in its folder, its zip archive, or SpikingJelly's events or T frames, whichever
    is found first. SpikingJelly's events and frames are taken as it stored them.
    """
    form = FrameFormat(T, SENSOR, resized=SIZE, sort=sort_events)
    if base := choose(root, "CIFAR10-DVS", partial(rank, T=T)):
        classes = [find_class(base, name, label, form) for label, name in enumerate(CIFAR10.classes)]
        sources = [source for found in classes for number, source in found if (number < FIRST_TEST) == train]
        if not sources:
            numbers = f"0–{FIRST_TEST - 1}" if train else f"{FIRST_TEST}–999"
            raise MissingFileError(f"{base} has no CIFAR10-DVS recordings {numbers}, the {part_name(train)} split")
        return Split(base, f"cifar10dvs-{part_name(train)}", form.parameters, form.shape, form.dtype, sources)
    bases = chain(*candidates(root, "CIFAR10-DVS"))
    folders = (inner for base in bases for name in CIFAR10.classes for inner in nested(base / name))
    others = other_files(folders, "CIFAR10-DVS's .aedat files (AEDAT 2.0) are")
    raise MissingFileError(
        f"no CIFAR10-DVS in {root} or one folder below (for T={T});{others} download airplane.zip … truck.zip from "
        f"https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671 into {root}, packed or unpacked to "
        "airplane/cifar10_airplane_0.aedat …; or run clif data download"
    )


def rank(base: Path, T: int) -> Rank:
    """Rank by the number of classes with files of any form, then by those with the publisher's files."""
    published, found = 0, 0
    for name in CIFAR10.classes:
        folders, archives = [base / name, base / "extract" / name], archives_of(base, name)
        converted = [base / "events_np" / name, frames_folder(base, T) / name]
        here = any(class_files(folder, ".aedat") for folder in folders) or any(path.is_file() for path in archives)
        published += here
        found += here or any(class_files(folder, ".npz") for folder in converted)
    return (1, found, published) if found else ()


def archives_of(base: Path, name: str) -> list[Path]:
    return [base / f"{name}.zip", base / "download" / f"{name}.zip"]


def find_class(base: Path, name: str, label: int, form: FrameFormat) -> list[tuple[int, Source]]:
    """The recordings of one class with their numbers, in order."""
    read = partial(read_recording, sort=form.sort)
    for folder in (base / name, base / "extract" / name):
        if files := numbered_files(folder, ".aedat"):
            return [(i, Source(path, (label,), partial(sample_of, form, path, read))) for i, path in files]
    for archive in archives_of(base, name):
        if archive.is_file():
            members = zip_members(archive)
            return [(i, Source(archive, (label,), partial(zip_sample, form, archive, m))) for i, m in members]
    if files := numbered_files(base / "events_np" / name, ".npz"):
        return [(i, Source(path, (label,), partial(sample_of, form, path, read_events_npz))) for i, path in files]
    files = numbered_files(frames_folder(base, form.T) / name, ".npz")
    return [(i, Source(path, (label,), partial(frames_of, form, path))) for i, path in files]


def zip_members(archive: Path) -> list[tuple[int, str]]:
    """The recordings in an archive with their numbers, in order. Raises `InputError` if it has none or one twice."""
    with foreign(archive, "a zip archive"), zipfile.ZipFile(archive) as content:
        files = [info.filename for info in content.infolist() if not info.is_dir()]
    files = [name for name in files if not any(is_hidden(part) for part in re.split(r"[/\\]", name) if part.strip("."))]
    names = [name for name in files if name.lower().endswith(".aedat")]
    if not names:
        raise InputError(f"{archive}: holds no .aedat file, but {files[0] if files else 'nothing'}")
    members = {file_number(PurePosixPath(name).name, archive): name for name in names}
    if len(members) < len(names):
        raise InputError(f"{archive}: holds a recording twice")
    return sorted(members.items())


def zip_sample(form: FrameFormat, archive: Path, member: str) -> NDArray[np.float16]:
    """One sample from a member of an archive, read without unpacking it to disk."""
    name = f"{archive}/{member}"
    with naming(name), foreign(name, "a member of a zip archive"), zipfile.ZipFile(archive) as content:
        check_unpacked(content.getinfo(member).file_size, content.getinfo(member).compress_size, MAX_RECORDING_BYTES)
        raw = content.read(member)
    with naming(name):
        return form.sample(mirrored(parse_aedat2(raw, name, sort=form.sort)))


def read_one(path: Path, T: int, sort: bool = False) -> NDArray:
    """One recording as a sample of T frames [1, T, 2, H, W]."""
    return recording_sample(FrameFormat(T, SENSOR, resized=SIZE, sort=sort), path, ".aedat", read_recording)


CIFAR10_DVS = Dataset(
    name="cifar10dvs",
    find=find_cifar10dvs,
    read_recording=read_one,
    classes=CIFAR10.classes,
    in_channels=2,
    events=True,
    image_size=SIZE,
    published=(9_000, 1_000),
    augmentation=Augmentation(stored=(Flip(), Rotate(15))),
    strong=Augmentation(stored=(Flip(), OneOf((Roll(5), Rotate(15), CutOut(1.0, value=0), Shear(15))))),
)
