"""HDF5 files, which a separate process reads, because HDF5 itself may crash or never end at a damaged file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from clif.data.separate_process import ask
from clif.data.untrusted import MOST_BYTES, check_unpacked
from clif.errors import InputError
from clif.extras import require

HDF5PLUGIN = {307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2"}
"""Compressions of HDF5 that the package hdf5plugin adds when it is imported, by the number of their filter."""


@dataclass(frozen=True)
class DataSet:
    """A data set as its file describes it; `kinds` are those of NumPy's types, of all fields if there are `fields`."""

    name: str
    dtype: str
    fields: tuple[str, ...]
    kinds: tuple[str, ...]
    shape: tuple[int, ...]
    bytes: int
    stored: int
    elsewhere: bool
    missing_filters: tuple[int, ...]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Group:
    """A group, with the data sets [n] in it; `size` is (width, height) by its attributes."""

    data_sets: dict[str, DataSet]
    size: tuple[int, int] | None


def list_items(path: Path, what: str) -> dict[str, Group | DataSet]:
    """The groups and data sets of a file by name, "/" first; those that are links to other files are left out.

    Raises `InputError` for a file that cannot be read as `what`, and if h5py is missing.
    """
    require("h5py", f"{path}")
    answer, _ = ask(path, what, "hdf5-list")
    return {name: _item(name, about) for name, about in answer["items"].items()}


def _item(name: str, about: dict[str, Any]) -> Group | DataSet:
    size = tuple(about["size"]) if about["size"] else None
    if "data_sets" not in about:
        return _data_set(name, about, size)
    inside = about["data_sets"].items()
    return Group({key: _data_set(f"{name.rstrip('/')}/{key}", value, None) for key, value in inside}, size)


def _data_set(name: str, about: dict[str, Any], size: tuple[int, int] | None) -> DataSet:
    values = {key: tuple(value or ()) for key, value in about.items() if key in ("fields", "kinds", "shape")}
    return DataSet(
        name,
        dtype=about["dtype"],
        bytes=about["bytes"],
        stored=about["stored"],
        elsewhere=about["elsewhere"],
        missing_filters=tuple(about["missing_filters"]),
        size=size,
        **values,
    )


def check_readable(data_set: DataSet) -> None:
    """Raise `InputError` unless a data set is stored in the file itself, in a compression that is installed."""
    if data_set.elsewhere:
        raise InputError(f"{data_set.name} is stored in other files; copy it into this one")
    check_unpacked(data_set.bytes, data_set.stored, MOST_BYTES)
    for number in data_set.missing_filters:
        if number in HDF5PLUGIN:
            raise InputError(
                f"{data_set.name} is compressed by HDF5's filter {number} ({HDF5PLUGIN[number]}), which the package "
                "hdf5plugin reads: pip install hdf5plugin"
            )
        raise InputError(
            f"{data_set.name} is compressed by HDF5's filter {number}, whose plugin is not installed; install it, or "
            "store the values without it"
        )


def read_values(path: Path, what: str, names: list[tuple[str, str]]) -> list[NDArray | Any]:
    """The values of data sets, each by its name and "" or one of its fields; texts as `str`, in lists of their shape.

    Raises `InputError` for a file that cannot be read as `what`.
    """
    answer, arrays = ask(path, what, "hdf5-read", names=names)
    numbers, texts = iter(arrays), answer["texts"]
    return [texts[name] if name in texts else next(numbers) for name, _ in names]
