"""The shared part of the event-camera sets: from recordings, or SpikingJelly's files, to samples of T frames.

Everything read here is untrusted: arrays are loaded without pickles, archives are read member by member and never
unpacked to disk.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from clif.data.clock import in_order
from clif.data.events import Events, integrate, integrate_duration
from clif.data.folders import files_in
from clif.data.formats import describe
from clif.data.untrusted import check_zip, foreign, naming
from clif.errors import InputError
from clif.sizes import Size, height_width

MAX_ARRAY_BYTES = 1 << 30
HEADER_BYTES = 4096


@dataclass(frozen=True)
class FrameFormat:
    """T frames of a recording, split by number, by time or by duration (`clif.data.frames`).

    Frames keep their counts, as int16, in the size of the `sensor`; with `resized` they are bilinear averages of counts
    (antialiased) of so many pixels per side, as float16: with `resize` "stretch" both sides are scaled, with "crop" the
    shorter side is, and the centre is cropped. With frames of `duration` µs the first T are taken, and frames after the
    last event are empty. `sort` sorts a recording whose times run backwards, which is refused otherwise.
    """

    T: int
    sensor: Size
    resized: int | None = None
    sort: bool = False
    resize: str = "stretch"
    split_by: str = "number"
    duration: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.T, 2, *height_width(self.resized or self.sensor))

    @property
    def dtype(self) -> str:
        return "int16" if self.resized is None else "float16"

    @property
    def parameters(self) -> str:
        height, width = self.shape[-2:]
        words = [f"T{self.T}", f"{width}x{height}"]
        if self.split_by != "number":
            words.append(f"{self.split_by}{self.duration or ''}")
        return "-".join([*words, *(["sorted"] if self.sort else [])])

    def sample(self, events: Events) -> NDArray:
        """One recording as [1, T, 2, H, W]."""
        return self.store(self.frames(in_order(events, self.sort)))

    def frames(self, events: Events) -> NDArray:
        """The frames [T, 2, H, W] of a recording, in the size of the sensor."""
        height, width = height_width(self.sensor)
        if self.split_by != "duration":
            return integrate(events, self.T, height, width, self.split_by)
        t = events["t"]
        end = np.searchsorted(t, t[0] + self.T * self.duration)
        first = {name: values[:end] for name, values in events.items()}
        frames = np.zeros((self.T, 2, height, width), dtype=np.int32)
        found = integrate_duration(first, self.duration, height, width)
        frames[: len(found)] = found
        return frames

    def store(self, frames: NDArray) -> NDArray:
        """Frames [T, 2, H, W] in the size of the sensor as stored samples: [1, *shape]."""
        expected = (self.T, 2, *height_width(self.sensor))
        if frames.shape != expected or frames.dtype.kind not in "iuf":
            raise InputError(f"frames must be numbers {list(expected)}, got {frames.dtype} {list(frames.shape)}")
        if not (frames.min() >= 0 and frames.max() <= np.iinfo(np.int16).max):
            raise InputError(f"counts go from {frames.min()} to {frames.max()}, outside 0…{np.iinfo(np.int16).max}")
        if self.resized is None:
            counts = frames.astype(np.int16)
            if (counts != frames).any():
                raise InputError("frames must be counts of events, which are whole numbers, got fractions")
            return counts[None]
        return fit(torch.from_numpy(frames.astype(np.float32)), self.resized, self.resize).half().numpy()[None]


def fit(frames: torch.Tensor, size: int, resize: str) -> torch.Tensor:
    """Frames [T, 2, H, W] float32 scaled to [T, 2, size, size], as images are (`clif.data.images.read_fitted`)."""
    height, width = frames.shape[-2:]
    scaled = (size, size)
    if resize == "crop":
        shorter = min(height, width)
        scaled = (round(height * size / shorter), round(width * size / shorter))
    frames = F.interpolate(frames, scaled, mode="bilinear", antialias=True)
    top, left = ((side - size) // 2 for side in scaled)
    return frames[..., top : top + size, left : left + size]


def sample_of(format: FrameFormat, path: Path, read: Callable[[Path], Events]) -> NDArray:
    """One sample from the recording in a file."""
    with naming(path):
        return format.sample(read(path))


def frames_of(format: FrameFormat, path: Path) -> NDArray:
    """One sample from SpikingJelly's .npz of frames."""
    with naming(path):
        return format.store(read_arrays(path, "frames")["frames"])


def read_events_npz(path: Path) -> Events:
    """SpikingJelly's .npz of events: t, x, y, p."""
    events = read_arrays(path, "t", "x", "y", "p")
    if (
        any(values.ndim != 1 or values.dtype.kind not in "iub" for values in events.values())
        or events["t"].dtype == bool
    ):
        raise InputError(f"{path}: t, x, y and p must be whole numbers [n]")
    return events


def read_arrays(path: Path, *names: str) -> dict[str, NDArray]:
    """The named arrays of an .npz file."""
    with foreign(path, f"an .npz file with {', '.join(names)}"):
        check_zip(path, MAX_ARRAY_BYTES)
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in names}
    if wrong := [name for name, values in arrays.items() if not isinstance(values, np.ndarray)]:
        raise InputError(f"{path}: {wrong[0]} is not an array")
    return arrays


def recording_sample(format: FrameFormat, path: Path, suffix: str, read: Callable[..., Events]) -> NDArray:
    """One sample from a file of a set's own format, whose name ends with `suffix`, or SpikingJelly's .npz of events."""
    readers: dict[str, Callable[..., Events]] = {suffix: partial(read, sort=format.sort), ".npz": read_events_npz}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: a recording of this set must be a {suffix} or .npz file")
    return sample_of(format, path, readers[path.suffix.lower()])


def frames_folder(base: Path, T: int) -> Path:
    """The folder in which SpikingJelly stores T frames split by number."""
    return base / f"frames_number_{T}_split_by_number"


def other_files(folders: Iterable[Path], wanted: str) -> str:
    """The file found instead of a set's recordings, for its error: the first file and its format; "" if none."""
    for path in (path for folder in folders for path in files_in(folder)):
        with foreign(path, "a recording"), path.open("rb") as file:
            found = describe(file.read(HEADER_BYTES))
        return f" {path} is {found or 'there'}, but {wanted} expected;"
    return ""
