"""Shared parts of the tests of readers of untrusted files."""

from collections.abc import Callable
from pathlib import Path

from clif.data.events import Events
from clif.errors import InputError


def read_or_refuse(read: Callable[[Path], Events], path: Path) -> Events | None:
    """The content of the file, or None if it is refused by an error that names it."""
    try:
        return read(path)
    except InputError as error:
        if str(path) not in str(error):
            raise
        return None
