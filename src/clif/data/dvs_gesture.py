"""DVS128 Gesture (Amir et al., 2017): 11 hand gestures of 29 people in five lights, 128×128 pixels, with its own split.

The publisher's recordings hold many gestures each; a table tells from when to when. Cut so, as SpikingJelly does, they
make 1,176 training and 288 test samples; tonic ships a version of 1,077 and 264 with times in whole ms.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.base import Dataset, Source, Split
from clif.data.events import Events, read_aedat3
from clif.data.recordings import (
    FrameFormat,
    candidates,
    foreign,
    frames_folder,
    frames_of,
    naming,
    numbered_files,
    read_events_npz,
    read_text,
    sample_of,
)
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


def find_dvs_gesture(root: Path, train: bool, T: int) -> Split:
    """The gestures of a split in `root` or a folder just below it: the publisher's, SpikingJelly's or tonic's files."""
    form = FrameFormat(T, SENSOR)
    for base in candidates(root, "DVS128 Gesture"):
        for find in (find_trials, find_spikingjelly, find_tonic):
            if sources := find(base, train, form):
                name = f"dvs_gesture-{'train' if train else 'test'}"
                return Split(base, name, form.parameters, form.shape, form.dtype, sources)
        if (archive := base / "DvsGesture.tar.gz").is_file():
            raise MissingFileError(f"{archive} is still packed; unpack it there with: tar xzf {archive.name}")
    raise MissingFileError(
        f"no DVS128 Gesture {'training' if train else 'test'} set in {root} or one folder below (for T={T}); download "
        "DvsGesture.tar.gz from https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8 and unpack it in "
        f"{root}: DvsGesture/trials_to_train.txt, user01_fluorescent.aedat, user01_fluorescent_labels.csv …"
    )


def find_trials(base: Path, train: bool, form: FrameFormat) -> list[Source]:
    """The publisher's recordings that trials_to_train.txt or trials_to_test.txt names."""
    for folder in (base, base / "DvsGesture", base / "extract" / "DvsGesture"):
        trials = folder / f"trials_to_{'train' if train else 'test'}.txt"
        if trials.is_file():
            names = read_text(trials).split()
            if len(set(names)) < len(names):
                raise InputError(f"{trials}: names a recording twice")
            return [recording_source(trials, name, form) for name in names]
    return []


def recording_source(trials: Path, name: str, form: FrameFormat) -> Source:
    if Path(name).name != name:
        raise InputError(f"{trials}: {name!r} is not the plain name of a recording beside it")
    path = trials.parent / name
    table = path.with_name(f"{path.stem}_labels.csv")
    for file in (path, table):
        if not file.is_file():
            raise MissingFileError(f"{file}, which {trials.name} names, is missing; unpack DvsGesture.tar.gz again")
    gestures = read_gestures(table)
    return Source(path, tuple(label for label, _, _ in gestures), partial(gesture_samples, form, path, gestures))


def read_gestures(table: Path) -> list[tuple[int, int, int]]:
    """(label 0–10, start µs, end µs) of each gesture; the file counts classes from 1."""
    gestures = []
    header, *lines = read_text(table).splitlines() or [""]
    if not header.startswith("class"):
        raise InputError(f"{table}: must begin with the line class,startTime_usec,endTime_usec")
    for line, text in enumerate(lines, start=2):
        row = text.split(",")
        if not text.strip():
            continue
        try:
            label, start, end = (int(cell) for cell in row)
        except ValueError:
            raise InputError(f"{table}: line {line} must be class,startTime_usec,endTime_usec") from None
        if not (1 <= label <= len(CLASSES) and 0 <= start < end < MAX_MS * 1000):
            raise InputError(f"{table}: line {line}: no class of 1…{len(CLASSES)}, or no start before an end: {text}")
        gestures.append((label - 1, start, end))
    if not gestures:
        raise InputError(f"{table}: names no gesture")
    return gestures


def gesture_samples(form: FrameFormat, path: Path, gestures: list[tuple[int, int, int]]) -> NDArray[np.int16]:
    """The gestures of a recording, start ≤ t < end, as [n, T, 2, 128, 128]."""
    events = read_aedat3(path)
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
    part = "train" if train else "test"
    for folder, load in (
        (base / "events_np" / part, partial(sample_of, read=read_events_npz)),
        (frames_folder(base, form.T) / part, frames_of),
    ):
        files = [(label, path) for label in range(len(CLASSES)) for path in sorted((folder / str(label)).glob("*.npz"))]
        if files:
            return [Source(path, (label,), partial(load, form, path)) for label, path in files]
    return []


def find_tonic(base: Path, train: bool, form: FrameFormat) -> list[Source]:
    """tonic's ibmGestureTrain/user01_fluorescent/0.npy, where the file's name is the label."""
    sources = []
    for folder in sorted((base / f"ibmGesture{'Train' if train else 'Test'}").glob("*/")):
        for label, path in numbered_files(folder, ".npy"):
            if label >= len(CLASSES):
                raise InputError(f"{path}: the label {label} is outside 0…{len(CLASSES) - 1}")
            sources.append(Source(path, (label,), partial(sample_of, form, path, read_tonic)))
    return sources


def read_tonic(path: Path) -> Events:
    """An array [n, 4] of x, y, p and t in ms."""
    with foreign(path, "an .npy file"):
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "iuf":
        raise InputError(f"{path}: expected an array of numbers [n, 4]: x, y, p and t")
    if not (np.abs(rows) < MAX_MS).all():
        raise InputError(f"{path}: holds values that are no coordinates or times")
    x, y, p, t = rows.T.astype(np.int64)
    return {"t": 1000 * t, "x": x, "y": y, "p": p}


DVS_GESTURE = Dataset(
    name="dvs_gesture",
    find=find_dvs_gesture,
    classes=CLASSES,
    in_channels=2,
    image_size=SENSOR,
    published=(1_176, 288),
    augmentation=None,
)
