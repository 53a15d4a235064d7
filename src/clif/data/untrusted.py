"""Errors of files that others wrote: each names its file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clif.errors import InputError, MissingFileError


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
        raise InputError(f"{path}: cannot be read as {what}, truncated or foreign ({error})") from error
