"""Files that others wrote: errors that name them, and how much they may unpack to."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clif.errors import InputError, MissingFileError, in_words

DEFLATE = 1032
"""How many times larger than its file what deflate unpacks can be."""


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
    """Name the file if a library fails to read it: damaged or other content can raise any exception."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except Exception as error:
        raise InputError(f"{path}: cannot be read as {what}, truncated or foreign ({in_words(error)})") from error


def check_zip(path: Path, most: int) -> None:
    """Raise `InputError` for a zip archive whose members are larger than `most` bytes in all, or than it can hold."""
    with foreign(path, "a zip archive"), zipfile.ZipFile(path) as archive:
        check_unpacked(sum(member.file_size for member in archive.infolist()), path.stat().st_size, most)


def check_unpacked(size: int, stored: int, most: int) -> None:
    """Raise `InputError` for `size` bytes if they are more than `most`, or than `stored` bytes can hold."""
    if size > most:
        raise InputError(f"unpacks to {size / 2**30:.1f} GiB, at most {most / 2**30:g} GiB are read")
    if size > DEFLATE * stored:
        raise InputError(f"says that its {stored} bytes unpack to {size}, which no file of this kind does")
