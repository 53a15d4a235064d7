"""A recording of event data in any format that is known here, by the ending of its name and its first bytes."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from clif.data.event_arrays import read_h5, read_npy, read_npz
from clif.data.event_columns import Raw, to_events
from clif.data.event_text import read_text_events
from clif.data.events import NMNIST_SIZE, Events, read_aedat2, read_aedat3, read_nmnist
from clif.data.faery_events import read_aedat4, read_es, read_evt
from clif.data.formats import describe
from clif.data.prophesee import read_dat
from clif.data.untrusted import foreign, naming
from clif.data_options import DataOptions
from clif.errors import InputError, MissingFileError

DVS128 = (128, 128)
HEADER_BYTES = 4096

TABLES: dict[str, Callable[[Path, str], Raw]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".h5": read_h5,
    ".hdf5": read_h5,
    ".csv": read_text_events,
    ".tsv": read_text_events,
    ".txt": read_text_events,
}
"""Formats whose columns may need names."""

CAMERAS: dict[str, Callable[[Path], Raw]] = {".dat": read_dat, ".es": read_es, ".raw": read_evt}

SUFFIXES = (".aedat", ".aedat4", ".bin", *CAMERAS, *TABLES)
"""The file extensions of recordings, in lower case."""


def read_recording(
    path: str | os.PathLike[str],
    *,
    sensor_size: Iterable[int] | str | None = None,
    columns: str = "",
    time_unit: str = "",
    sort: bool = False,
) -> Events:
    """The events {"t", "x", "y", "p"} of a recording, in order; t in µs, p 0 (darker) or 1 (brighter).

    Formats, by file extension: .aedat (2.0, 3.1), .bin (N-MNIST), .dat, .npy, .npz, .h5, .csv, .tsv and .txt; with the
    package faery also .aedat4, .raw (EVT 2 and 3) and .es.

    Args:
        sensor_size: (width, height) or "346x260"; no event may lie outside. The default for .bin is 34×34.
        columns: the columns of a table without names, such as "x,y,t,p" ("-" for others).
        time_unit: "us", "ms" or "s", if the file does not store it; without a unit, times are as in the file.
        sort: sort events by time if the times run backwards, which is refused otherwise.

    Raises `InputError` with the file's name if the file is missing, damaged or of another format, and for a size or
    unit that contradicts the file.

    >>> np.savez("two.npz", t=[0, 150], x=[3, 4], y=[1, 1], p=[-1, 1])
    >>> {name: column.tolist() for name, column in clif.data.read_recording("two.npz").items()}
    {'t': [0, 150], 'x': [3, 4], 'y': [1, 1], 'p': [0, 1]}
    """
    path = Path(path)
    if isinstance(sensor_size, Iterable) and not isinstance(sensor_size, str):
        sensor_size = "x".join(map(str, sensor_size))
    said = "" if sensor_size is None else str(sensor_size)
    options = DataOptions(sensor_size=said, columns=columns, time_unit=time_unit, split_by="time")
    size = options.sensor() if said else None
    raw = read_raw(path, size, columns, sort)
    with naming(path):
        return to_events(raw, size, time_unit, sort)


def read_raw(path: Path, size: tuple[int, int] | None = None, columns: str = "", sort: bool = False) -> Raw:
    """A recording as it is in its file, with the sensor size and time unit that the file states."""
    suffix = path.suffix.lower()
    if not path.is_file():
        raise MissingFileError(f"{path}: no such recording")
    with naming(path):
        if suffix in TABLES:
            return TABLES[suffix](path, columns)
        if suffix in CAMERAS:
            return CAMERAS[suffix](path)
        if suffix == ".bin":
            size = size or NMNIST_SIZE
            return Raw(read_nmnist(path, sort=sort, size=size), size, "us")
        if suffix in (".aedat", ".aedat4"):
            return _read_aedat(path, sort)
    raise InputError(f"{path}: is not a recording; the names of recordings end in {', '.join(SUFFIXES)}")


def _read_aedat(path: Path, sort: bool) -> Raw:
    """A recording in AEDAT; the first bytes tell the version."""
    with foreign(path, "an AEDAT recording"), path.open("rb") as file:
        content = file.read(HEADER_BYTES)
    if content.startswith(b"#!AER-DAT2."):
        return Raw(read_aedat2(path, sort=sort), DVS128, "us")
    if content.startswith(b"#!AER-DAT3."):
        header = content.partition(b"#!END-HEADER")[0]
        return Raw(read_aedat3(path, sort=sort), DVS128 if b"DVS128" in header else None, "us")
    if content.startswith(b"#!AER-DAT4."):
        return read_aedat4(path)
    raise InputError(
        f"{path}: is {describe(content) or 'no AEDAT file by its first bytes'}, but AEDAT 2 to 4 is expected"
    )
