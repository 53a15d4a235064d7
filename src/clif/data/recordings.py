"""What the event-camera sets share: from recordings, or what SpikingJelly made of them, to one sample of T frames.

Everything read here is untrusted: arrays are loaded without pickles, archives are read member by member and never
unpacked to disk.
"""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from clif.data.events import Events, integrate
from clif.errors import InputError, MissingFileError

MAX_ARRAY_BYTES = 1 << 30


@dataclass(frozen=True)
class FrameFormat:
    """T frames by number of events of a square sensor; `resized` is the size of the image they are scaled to.

    Frames keep their counts, as int16; resized ones are bilinear averages of counts (antialiased), as float16.
    """

    T: int
    sensor: int
    resized: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.T, 2, self.resized or self.sensor, self.resized or self.sensor)

    @property
    def dtype(self) -> str:
        return "int16" if self.resized is None else "float16"

    @property
    def parameters(self) -> str:
        return f"T{self.T}-{self.shape[-1]}x{self.shape[-1]}"

    def sample(self, events: Events) -> NDArray:
        """One recording as [1, T, 2, H, W]."""
        if (events["t"][1:] < events["t"][:-1]).any():
            raise InputError("time runs backwards; the file is damaged")
        return self.store(integrate(events, self.T, self.sensor, self.sensor))

    def store(self, frames: NDArray) -> NDArray:
        """Frames [T, 2, sensor, sensor] as they are kept: [1, *shape]."""
        expected = (self.T, 2, self.sensor, self.sensor)
        if frames.shape != expected or frames.dtype.kind not in "iuf":
            raise InputError(f"frames must be numbers {list(expected)}, they are {frames.dtype} {list(frames.shape)}")
        if not (frames.min() >= 0 and frames.max() <= np.iinfo(np.int16).max):
            raise InputError(f"counts go from {frames.min()} to {frames.max()}, outside 0…{np.iinfo(np.int16).max}")
        if self.resized is None:
            return frames[None].astype(np.int16)
        size = (self.resized, self.resized)
        smaller = F.interpolate(torch.from_numpy(frames.astype(np.float32)), size, mode="bilinear", antialias=True)
        return smaller.half().numpy()[None]


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Put the file's name before what is wrong with its content."""
    try:
        yield
    except MissingFileError:
        raise
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


@contextmanager
def foreign(path: Path | str, what: str) -> Iterator[None]:
    """Name the file where a library fails to read it: damaged or foreign content can raise anything."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except Exception as error:
        raise InputError(f"{path}: cannot be read as {what}, truncated or foreign ({error})") from error


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
    if any(values.ndim != 1 or values.dtype.kind not in "iub" for values in events.values()):
        raise InputError(f"{path}: t, x, y and p must be whole numbers [n]")
    return events


def read_arrays(path: Path, *names: str) -> dict[str, NDArray]:
    """The named arrays of an .npz file."""
    with foreign(path, f"an .npz file with {', '.join(names)}"):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_ARRAY_BYTES:
            raise InputError(f"{path}: unpacks to {size / 2**30:.1f} GiB, no recording is that large")
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in names}


def read_text(path: Path) -> str:
    """A list or table; bytes that are no UTF-8 are replaced, so that what they spoil is reported where it is used."""
    with foreign(path, "text"):
        return path.read_text(encoding="utf-8", errors="replace")


def candidates(root: Path, what: str) -> list[Path]:
    """`root` and the folders in it, where a data set may lie."""
    if not root.is_dir():
        raise MissingFileError(f"{root} is not a folder; give the folder that holds {what} (-data_dir)")
    try:
        return [root, *sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))]
    except OSError as error:
        raise InputError(f"{root} cannot be read ({error.strerror})") from error


def frames_folder(base: Path, T: int) -> Path:
    """Where SpikingJelly keeps T frames split by number."""
    return base / f"frames_number_{T}_split_by_number"


def numbered_files(folder: Path, suffix: str) -> list[tuple[int, Path]]:
    """The files of a folder with the number their names end in, in its order."""
    numbered: dict[int, Path] = {}
    for path in sorted(folder.glob(f"*{suffix}")):
        number = file_number(path.name, folder)
        if number in numbered:
            raise InputError(f"{numbered[number]} and {path.name} have the same number; remove one of them")
        numbered[number] = path
    return sorted(numbered.items())


def file_number(name: str, where: Path) -> int:
    digits = Path(name).stem.rsplit("_", 1)[-1]
    if not (digits.isascii() and digits.isdigit()):
        raise InputError(f"{where}: the name {name} does not end in the recording's number; it does not belong here")
    return int(digits)
