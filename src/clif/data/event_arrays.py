"""Recordings as arrays: .npy and .npz files of NumPy, and HDF5.

The columns are fields of a structured array, as in tonic's files, arrays with these names, as in SpikingJelly's, or
the columns of an array [n, k] in a given order.
"""

import importlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clif.data.event_columns import Raw, find_columns, named_columns, place_columns
from clif.data.untrusted import check_unpacked, check_zip, foreign, load_array
from clif.data_options import column_names
from clif.errors import InputError
from clif.extras import require

MAX_BYTES = 16 << 30
"""The maximum size of an unpacked .npz or HDF5 file in bytes."""

HDF5PLUGIN = {307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2"}
"""Compressions of HDF5 that the package hdf5plugin adds when it is imported, by the number of their filter."""


def read_npy(path: Path, columns: str = "") -> Raw:
    """A structured array with fields for x, y, t and p, or numbers [n, k] in the order of `columns`."""
    with foreign(path, "an .npy file"):
        array = load_array(path)
    return from_array(array, columns)


def read_npz(path: Path, columns: str = "") -> Raw:
    """Arrays x, y, t and p by these names, or one array as `read_npy` takes it."""
    with foreign(path, "an .npz file"):
        check_zip(path, MAX_BYTES)
        with np.load(path, allow_pickle=False) as content:
            names = list(content)
            if found := find_columns(names):
                arrays = {name: content[names[i]] for name, i in found.words.items()}
                return Raw(arrays, found.size, found.unit)
            if len(names) != 1:
                raise InputError(f"holds {', '.join(names) or 'nothing'}, not the arrays x, y, t and p or a single one")
            return from_array(content[names[0]], columns)


def read_h5(path: Path, columns: str = "") -> Raw:
    """Data sets x, y, t and p in one group, or one structured data set, anywhere in the file.

    Without such, the only data set of numbers [n, k], or the only one with as many columns as `columns` names.
    The attributes `width` and `height` of the group, the data set or the file are the sensor's size.
    """
    h5py = require("h5py", f"{path}")
    with suppress(ImportError):
        importlib.import_module("hdf5plugin")
    with foreign(path, "an HDF5 file"), h5py.File(path, "r") as file:
        places = {"/": file}
        file.visititems(lambda name, item: places.update({f"/{name}": item}))
        found = {name: named for name, item in places.items() if (named := _named(item))}
        if len(found) > 1:
            raise InputError(f"holds several recordings, {' and '.join(found)}; store each in its own file")
        if not found:
            return from_array(_read(_only_table(places, columns), path), columns)
        ((place, named),) = found.items()
        item = places[place]
        names = _names(item)
        if isinstance(item, h5py.Dataset):
            whole = _read(item, path)
            arrays = {name: whole[names[i]] for name, i in named.words.items()}
        else:
            arrays = {name: _read(item[names[i]], path) for name, i in named.words.items()}
        size = next((size for owner in (item, item.parent, file) if (size := _size(owner.attrs))), None)
        return Raw(arrays, size, named.unit)


def _only_table(places: Mapping[str, Any], columns: str) -> Any:
    """The only data set without names in an HDF5 file, or the only one [n, k] with as many columns as are named."""
    plain = {name: item for name, item in places.items() if hasattr(item, "dtype") and not item.dtype.names}
    if len(plain) == 1:
        return next(iter(plain.values()))
    number = len(column_names(columns)) if columns else 0
    tables = [name for name, item in plain.items() if item.ndim == 2 and item.shape[1] == number]
    if len(tables) > 1:
        raise InputError(f"has several tables of {number} columns, {' and '.join(tables)}; store each in its own file")
    if not tables:
        raise InputError(
            "has no data sets x, y, t and p in one group, and no structured one of them; if one is a table [n, 4] or "
            "more, name its columns, such as --columns t,x,y,p"
        )
    return plain[tables[0]]


def from_array(array: NDArray, columns: str) -> Raw:
    """The columns of a structured array [n] or, in the order of `columns`, of an array [n, k]."""
    if array.dtype.names:
        fields = array.dtype.names
        named = named_columns(fields, columns)
        return Raw({name: array[fields[i]] for name, i in named.words.items()}, named.size, named.unit)
    if array.ndim != 2 or array.dtype.kind not in "iuf":
        raise InputError(f"must be a structured array [n] or numbers [n, 4], got {array.dtype} {list(array.shape)}")
    if array.shape[1] < 4:
        raise InputError(f"must be numbers [n, 4] or more, got {list(array.shape)}; each row is an event")
    return Raw({name: array[:, i] for name, i in place_columns(columns, array.shape[1]).items()})


def _read(data_set: Any, path: Path) -> NDArray:
    """All values of a data set of numbers that is stored in the file itself, and not larger than its stored bytes."""
    kinds = [data_set.dtype[name] for name in data_set.dtype.names or ()] or [data_set.dtype]
    if any(kind.base.kind not in "iufb" for kind in kinds):
        raise InputError(f"{data_set.name} must be numbers, got {data_set.dtype}")
    if data_set.external or data_set.is_virtual or data_set.file.filename != str(path):
        raise InputError(f"{data_set.name} is stored in other files; copy it into this one")
    check_unpacked(data_set.nbytes, data_set.id.get_storage_size(), MAX_BYTES)
    _check_compression(data_set)
    return data_set[()]


def _check_compression(data_set: Any) -> None:
    """Raise `InputError` for a compression that h5py does not have here."""
    available = require("h5py").h5z.filter_avail
    applied = data_set.id.get_create_plist()
    for number in (applied.get_filter(i)[0] for i in range(applied.get_nfilters())):
        if number in HDF5PLUGIN and not available(number):
            raise InputError(
                f"{data_set.name} is compressed by HDF5's filter {number} ({HDF5PLUGIN[number]}), which the package "
                "hdf5plugin reads: pip install hdf5plugin"
            )
        if not available(number):
            raise InputError(
                f"{data_set.name} is compressed by HDF5's filter {number}, whose plugin is not installed; install it, "
                "or store the events without it"
            )


def _names(item: Any) -> list[str]:
    """The data sets [n] in a group, or the fields of a structured data set."""
    if hasattr(item, "dtype"):
        return list(item.dtype.names or ())
    links = {name: item.get(name, getlink=True) for name in item}
    inside = [name for name, link in links.items() if not hasattr(link, "filename")]
    return [name for name in inside if hasattr(item[name], "dtype") and item[name].ndim == 1]


def _named(item: Any) -> Any:
    return find_columns(_names(item))


def _size(attributes: Mapping[str, Any]) -> tuple[int, int] | None:
    if "width" in attributes and "height" in attributes:
        width, height = (int(np.asarray(attributes[name]).item()) for name in ("width", "height"))
        return width, height
    return None
