"""Files that others wrote: errors that name them, and how much they may unpack to."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.formats import without_data
from clif.errors import InputError, MissingFileError, in_words

MOST_BYTES = 16 << 30
"""The maximum size of an unpacked recording or graph in bytes."""
ANY_SIZE = 256 << 20
MOST_TIMES = 64
"""The bytes to which any file may unpack, and the maximum ratio for larger files (deflate reaches 1032)."""


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """A context that puts the file's name before an error about its content."""
    try:
        yield
    except MissingFileError:
        raise
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


@contextmanager
def foreign(path: Path | str, what: str) -> Iterator[None]:
    """A context that names the file if a library fails to read it: damaged content can raise any exception."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except Exception as error:
        found = without_data(path)
        reason = f": it is {found}" if found else f", truncated or foreign ({in_words(error)})"
        raise InputError(f"{path}: cannot be read as {what}{reason}") from error


def load_array(path: Path) -> NDArray:
    """The array in an .npy file. `numpy.load` would also open archives. Damage can raise any exception."""
    with path.open("rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def check_zip(path: Path, most: int) -> None:
    """Raise `InputError` for a zip archive whose members together are larger than `check_unpacked` allows."""
    with zipfile.ZipFile(path) as archive:
        check_unpacked(sum(member.file_size for member in archive.infolist()), path.stat().st_size, most)


def check_unpacked(size: int, stored: int, most: int) -> None:
    """Raise `InputError` if `size` bytes are more than `most`, or far more than the `stored` bytes."""
    if size > most:
        raise InputError(f"unpacks to {size / 2**30:.1f} GiB; the limit is {most / 2**30:g} GiB")
    if size > max(ANY_SIZE, MOST_TIMES * stored):
        raise InputError(
            f"unpacks to {size / 2**30:.1f} GiB, {size // max(stored, 1)} times its size, as no valid file does"
        )
