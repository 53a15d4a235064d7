"""DVS128 Gesture (Amir et al., 2017): 11 hand gestures of 29 people in five lights, 128×128 pixels, with its own split.

The publisher's recordings hold many gestures each, with their start and end in a table. Split by it, as SpikingJelly
does, they give 1,176 training and 288 test samples; tonic ships a version of 1,077 and 264 with times in whole ms.
"""

import os
import re
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.base import Dataset, Source, Split
from clif.data.complete import part_name, shortened
from clif.data.events import Events, read_aedat3
from clif.data.folders import (
    Rank,
    candidates,
    child,
    choose,
    files_in,
    folders_in,
    labelled_files,
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
from clif.data.text import read_lines, read_text
from clif.data.untrusted import foreign, load_array, naming
from clif.errors import InputError, MissingFileError

SENSOR = 128
MAX_MS = 2**40
CLASSES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)


def find_dvs_gesture(root: Path, train: bool, T: int, sort_events: bool = False) -> Split:
    """The gestures of a split in `root` or a folder just below it: the publisher's, SpikingJelly's or tonic's files."""
    form = FrameFormat(T, SENSOR, sort=sort_events)
    name = f"dvs_gesture-{part_name(train)}"
    if base := choose(root, "DVS128 Gesture", partial(rank, train=train, form=form)):
        if trials := find_trials(base, train):
            sources, missing = read_trials(trials, form)
        else:
            sources, missing = find_spikingjelly(base, train, form) or find_tonic(base, train, form), []
        if not sources:
            raise MissingFileError(f"{trials or base} has no recording: {shortened(missing, '; ')}")
        return Split(base, name, form.parameters, form.shape, form.dtype, sources, tuple(missing))
    bases = list(chain(*candidates(root, "DVS128 Gesture")))
    for base in bases:
        if (archive := base / "DvsGesture.tar.gz").is_file():
            raise MissingFileError(f"{archive} is still packed; unpack it there with: tar xzf {archive.name}")
        if tables := files_in(base, "_labels.csv"):
            raise MissingFileError(
                f"{base / trials_file(train)} is missing beside {tables[0].name}; unpack the set again"
            )
    folders = (
        folder for base in bases for folder in (tonic_folder(base, train), base / "DvsGesture", base / "events_np")
    )
    others = other_files(folders, "DVS128 Gesture's recordings (AEDAT 3.1) with their lists are")
    raise MissingFileError(
        f"no DVS128 Gesture {'training' if train else 'test'} set in {root} or one folder below (for T={T});{others} "
        "download DvsGesture.tar.gz from https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8 and unpack it in "
        f"{root}: DvsGesture/trials_to_train.txt, user01_fluorescent.aedat, user01_fluorescent_labels.csv …"
    )


def rank(base: Path, train: bool, form: FrameFormat) -> Rank:
    """The certainty: high if both splits exist, lower in a parent folder or without the last class; then the layout."""

    def best(train: bool) -> Rank:
        if trials := find_trials(base, train):
            return (2 if trials.parent == base / "DvsGesture" else 3, 3)
        if sources := find_spikingjelly(base, train, form):
            return (3 if sources[-1].labels[0] == len(CLASSES) - 1 else 1, 2)
        return (3, 1) if folders_in(tonic_folder(base, train)) else ()

    here = best(train)
    return (here[0] + bool(best(not train)), *here[1:]) if here else ()


def trials_file(train: bool) -> str:
    return f"trials_to_{part_name(train)}.txt"


def find_trials(base: Path, train: bool) -> Path | None:
    """The publisher's list of the recordings of a split."""
    for folder in (base, base / "DvsGesture", base / "extract" / "DvsGesture"):
        if (trials := child(folder, trials_file(train))).is_file():
            return trials
    return None


def read_trials(trials: Path, form: FrameFormat) -> tuple[list[Source], list[str]]:
    """The recordings that a list names, and those of them that are missing."""
    names = read_text(trials).split()
    if len(set(names)) < len(names):
        raise InputError(f"{trials}: names a recording twice")
    sources, missing = [], []
    for name in names:
        if Path(name).name != name:
            raise InputError(f"{trials}: {name!r} is not the plain name of a recording beside it")
        path = child(trials.parent, name)
        table = child(trials.parent, f"{path.stem}_labels.csv")
        absent = [file for file in (path, table) if not os.path.isfile(file)]
        missing += [f"{file}, which {trials.name} names, is missing" for file in absent]
        if not absent:
            gestures = read_gestures(table)
            labels = tuple(label for label, _, _ in gestures)
            sources.append(Source(path, labels, partial(gesture_samples, form, path, gestures)))
    return sources, missing


def read_gestures(table: Path) -> list[tuple[int, int, int]]:
    """(label 0–10, start µs, end µs) of each gesture; the file counts classes from 1.

    Cells may be quoted and separated by commas, semicolons or tabs, as spreadsheet programs write them.
    """
    gestures = []
    (_, header), *lines = read_lines(table) or [(1, "")]
    if not header.lstrip('"').startswith("class"):
        raise InputError(f"{table}: must begin with the line class,startTime_usec,endTime_usec")
    for line, text in lines:
        row = [cell.strip(' "') for cell in re.split("[,;\t]", text)]
        if not any(row):
            continue
        try:
            label, start, end = (int(cell) for cell in row)
        except ValueError:
            raise InputError(f"{table}: line {line} must be class,startTime_usec,endTime_usec") from None
        if not (1 <= label <= len(CLASSES) and 0 <= start < end < MAX_MS * 1000):
            raise InputError(f"{table}: line {line}: the class must be 1…{len(CLASSES)}, start < end: {text}")
        gestures.append((label - 1, start, end))
    if not gestures:
        raise InputError(f"{table}: lists no gesture")
    return gestures


def gesture_samples(form: FrameFormat, path: Path, gestures: list[tuple[int, int, int]]) -> NDArray[np.int16]:
    """The gestures of a recording, start ≤ t < end, as [n, T, 2, 128, 128]."""
    events = read_aedat3(path, sort=form.sort)
    samples = []
    for number, (_, start, end) in enumerate(gestures, start=1):
        first, after = np.searchsorted(events["t"], (start, end))
        if first == after:
            raise InputError(f"{path}: has no events in gesture {number}, {start}–{end} µs; the file is cut short")
        with naming(path):
            samples.append(form.sample({name: values[first:after] for name, values in events.items()}))
    return np.concatenate(samples)


def find_spikingjelly(base: Path, train: bool, form: FrameFormat) -> list[Source]:
    """SpikingJelly's events_np/train/0/user01_fluorescent_0.npz or its T frames in the same folders."""
    names = [str(label) for label in range(len(CLASSES))]
    for folder, load in (
        (base / "events_np" / part_name(train), partial(sample_of, read=read_events_npz)),
        (frames_folder(base, form.T) / part_name(train), frames_of),
    ):
        if files := labelled_files(folder, names, ".npz"):
            return [Source(path, (label,), partial(load, form, path)) for label, path in files]
    return []


def tonic_folder(base: Path, train: bool) -> Path:
    """tonic's folder of a split, or the folder of the same name in it."""
    return list(nested(child(base, f"ibmGesture{part_name(train).title()}")))[-1]


def find_tonic(base: Path, train: bool, form: FrameFormat) -> list[Source]:
    """tonic's ibmGestureTrain/user01_fluorescent/0.npy; the file's name is the label."""
    sources = []
    for folder in folders_in(tonic_folder(base, train)):
        for label, path in numbered_files(folder, ".npy"):
            if label >= len(CLASSES):
                raise InputError(f"{path}: the label {label} is outside 0…{len(CLASSES) - 1}")
            sources.append(Source(path, (label,), partial(sample_of, form, path, read_tonic)))
    return sources


def read_tonic(path: Path) -> Events:
    """An array [n, 4] of x, y, p and t in ms."""
    with foreign(path, "an .npy file"):
        rows = load_array(path)
    if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "iuf":
        raise InputError(f"{path}: expected an array of numbers [n, 4]: x, y, p and t")
    if not ((rows > -MAX_MS) & (rows < MAX_MS)).all():
        raise InputError(f"{path}: has values that are not coordinates or times")
    x, y, p, t = rows.T.astype(np.int64)
    return {"t": 1000 * t, "x": x, "y": y, "p": p}


def read_one(path: Path, T: int, sort: bool = False) -> NDArray:
    """One recording as a sample of T frames [1, T, 2, H, W]."""
    return recording_sample(FrameFormat(T, SENSOR, sort=sort), path, ".aedat", read_aedat3)


DVS_GESTURE = Dataset(
    name="dvs_gesture",
    find=find_dvs_gesture,
    read_recording=read_one,
    classes=CLASSES,
    in_channels=2,
    events=True,
    image_size=SENSOR,
    published=(1_176, 288),
    augmentation=None,
)
