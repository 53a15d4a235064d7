"""A separate program that reads files with libraries that may end their process, or never end, at a damaged file.

`python -P reader_process.py`: for each line of stdin, a JSON list of the kind of reading, a file and options, it gives
a line of JSON, {"error": …} or {"arrays": [[dtype, shape], …], …}, and then the bytes of the arrays. The kinds are the
keys of `READERS`. It ends if it is not asked for a while. It imports nothing of clif.
"""

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

if sys.platform != "win32":
    import resource

IDLE_SECONDS = 20
SOME_MEMORY, MEMORY_TIMES = 4 << 30, 64
"""The memory in bytes that any file may take, and the additional memory per byte of the file."""
SOME_SECONDS, SECONDS_PER_BYTE = 10, 1 / (1 << 20)
"""The processor time that any file may take, and the additional time per byte of the file."""
COLUMNS = {"t": "<u8", "x": "<u2", "y": "<u2", "on": "|u1"}
MOST_ITEMS = 100_000
"""The maximum number of groups and data sets in an HDF5 file."""

Answer = tuple[dict[str, Any], list[np.ndarray]]


def main() -> None:
    while line := next_line():
        kind, path, options = json.loads(line)
        try:
            limit(os.path.getsize(path))
            answer, arrays = READERS[kind](path, **options)
        except KeyboardInterrupt:
            return
        except BaseException as error:  # a panic of Rust is not an Exception
            answer, arrays = {"error": str(error).strip() or type(error).__name__}, []
        answer["arrays"] = [[array.dtype.str, array.shape] for array in arrays]
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        for array in arrays:
            sys.stdout.buffer.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        sys.stdout.buffer.flush()


def limit(size: int) -> None:
    """Limit what this process may take for a file of that size; more ends the process (not on Windows)."""
    if sys.platform != "win32":
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = used.ru_utime + used.ru_stime + SOME_SECONDS + SECONDS_PER_BYTE * size
        for what, most in (
            (resource.RLIMIT_AS, SOME_MEMORY + MEMORY_TIMES * size),
            (resource.RLIMIT_CPU, int(seconds) + 1),
        ):
            _, hard = resource.getrlimit(what)
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def next_line() -> str:
    """The next line of stdin, "" at its end."""
    timer = threading.Timer(IDLE_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()
    line = sys.stdin.readline()
    timer.cancel()
    return line


def read_events(path: str, file_type: str, **options: Any) -> Answer:
    """The sensor's size and the columns t, x, y and p of a recording that faery reads."""
    faery = importlib.import_module("faery")
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    stream = faery.events_stream_from_file(path, file_type=file_type, **options)
    events = stream.to_array()
    return {"size": stream.dimensions()}, [events[name].astype(dtype) for name, dtype in COLUMNS.items()]


def open_hdf5(path: str) -> Any:
    with suppress(ImportError):
        importlib.import_module("hdf5plugin")
    return importlib.import_module("h5py").File(path, "r")


def list_hdf5(path: str) -> Answer:
    """The groups and data sets of an HDF5 file by name, described; external links are left out."""
    h5py = importlib.import_module("h5py")
    with open_hdf5(path) as file:
        items = {"/": describe(file, path)}

        def add(name: str, item: Any) -> None:
            if len(items) >= MOST_ITEMS:
                raise ValueError(f"has more than {MOST_ITEMS} groups and data sets")
            if isinstance(item, h5py.Group | h5py.Dataset):
                items[f"/{name}"] = describe(item, path)

        file.visititems(add)
    return {"items": items}, []


def describe(item: Any, path: str) -> dict[str, Any]:
    """What there is to know of a data set, or of a group and the data sets [n] in it."""
    size = None
    if "width" in item.attrs and "height" in item.attrs:
        size = [int(np.asarray(item.attrs[name]).item()) for name in ("width", "height")]
    if hasattr(item, "dtype"):
        return {"size": size, **describe_data(item, path)}
    data_sets = {}
    for name in item:
        if not hasattr(item.get(name, getlink=True), "filename"):
            inside = item.get(name)
            if getattr(inside, "ndim", None) == 1:
                data_sets[name] = describe_data(inside, path)
    return {"size": size, "data_sets": data_sets}


def describe_data(item: Any, path: str) -> dict[str, Any]:
    """The type, shape and storage of a data set."""
    available = importlib.import_module("h5py").h5z.filter_avail
    applied = item.id.get_create_plist()
    filters = [applied.get_filter(i)[0] for i in range(applied.get_nfilters())]
    fields = item.dtype.names
    return {
        "dtype": str(item.dtype),
        "fields": fields,
        "kinds": [item.dtype[name].base.kind for name in fields or ()] or [item.dtype.base.kind],
        "shape": item.shape or (),
        "bytes": item.nbytes if item.shape is not None else 0,
        "stored": item.id.get_storage_size(),
        "elsewhere": bool(item.external or item.is_virtual or item.file.filename != path),
        "missing_filters": [number for number in filters if not available(number)],
    }


def read_hdf5(path: str, names: list[list[str]]) -> Answer:
    """Data sets by their names, each whole or a field of it; texts are in the answer in place of an array."""
    arrays, texts = [], {}
    with open_hdf5(path) as file:
        for name, field in names:
            item = file[name]
            values = np.asarray(item[field] if field else item[()])
            if values.dtype.kind in "OSU":
                texts[name] = text(values.tolist())
            else:
                arrays.append(values)
    return {"texts": texts}, arrays


def text(values: Any) -> Any:
    """Bytes as text, in lists as deep as given."""
    if isinstance(values, list):
        return [text(value) for value in values]
    if not isinstance(values, bytes | str):
        raise ValueError(f"has values of the type {type(values).__name__}")
    return values.decode() if isinstance(values, bytes) else values


READERS: dict[str, Callable[..., Answer]] = {"events": read_events, "hdf5-list": list_hdf5, "hdf5-read": read_hdf5}


if __name__ == "__main__":
    main()
