"""Recordings as arrays: .npy and .npz files of NumPy, and HDF5.

The columns are fields of a structured array, as in tonic's files, arrays with these names, as in SpikingJelly's, or
the columns of an array [n, k] in a given order.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clif.data import hdf5
from clif.data.event_columns import Raw, find_columns, named_columns, place_columns
from clif.data.untrusted import MOST_BYTES, check_zip, foreign, load_array
from clif.data_options import column_names
from clif.errors import InputError

WHAT = "an HDF5 file"


def read_npy(path: Path, columns: str = "") -> Raw:
    """A structured array with fields for x, y, t and p, or numbers [n, k] in the order of `columns`."""
    with foreign(path, "an .npy file"):
        array = load_array(path)
    return from_array(array, columns)


def read_npz(path: Path, columns: str = "") -> Raw:
    """Arrays x, y, t and p by these names, or one array as `read_npy` takes it."""
    with foreign(path, "an .npz file"):
        check_zip(path, MOST_BYTES)
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
    items = hdf5.list_items(path, WHAT)
    found = {name: named for name, item in items.items() if (named := find_columns(_columns(item)))}
    if len(found) > 1:
        raise InputError(f"holds several recordings, {' and '.join(found)}; store each in its own file")
    if not found:
        table = _only_table(items, columns)
        _check(table)
        return from_array(hdf5.read_values(path, WHAT, [(table.name, "")])[0], columns)
    ((place, named),) = found.items()
    item = items[place]
    names = _columns(item)
    wanted = {column: names[i] for column, i in named.words.items()}
    if isinstance(item, hdf5.DataSet):
        _check(item)
        places = [(item.name, field) for field in wanted.values()]
    else:
        for name in wanted.values():
            _check(item.data_sets[name])
        places = [(item.data_sets[name].name, "") for name in wanted.values()]
    arrays = dict(zip(wanted, hdf5.read_values(path, WHAT, places), strict=True))
    owners = (item, items.get(place.rpartition("/")[0]), items["/"])
    return Raw(arrays, next((owner.size for owner in owners if owner and owner.size), None), named.unit)


def _columns(item: hdf5.Group | hdf5.DataSet) -> list[str]:
    """The data sets [n] in a group, or the fields of a structured data set."""
    return list(item.fields if isinstance(item, hdf5.DataSet) else item.data_sets)


def _only_table(items: Mapping[str, Any], columns: str) -> hdf5.DataSet:
    """The only data set without fields in an HDF5 file, or the only one [n, k] with as many columns as are named."""
    plain = [item for item in items.values() if isinstance(item, hdf5.DataSet) and not item.fields]
    if len(plain) == 1:
        return plain[0]
    number = len(column_names(columns)) if columns else 0
    tables = [item for item in plain if len(item.shape) == 2 and item.shape[1] == number]
    if len(tables) > 1:
        names = " and ".join(table.name for table in tables)
        raise InputError(f"has several tables of {number} columns, {names}; store each in its own file")
    if not tables:
        raise InputError(
            "has no data sets x, y, t and p in one group, and no structured one of them; if one is a table [n, 4] or "
            "more, name its columns, such as --columns t,x,y,p"
        )
    return tables[0]


def _check(data_set: hdf5.DataSet) -> None:
    """Raise `InputError` unless a data set holds numbers that can be read."""
    if any(kind not in "iufb" for kind in data_set.kinds):
        raise InputError(f"{data_set.name} must be numbers, got {data_set.dtype}")
    hdf5.check_readable(data_set)


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
