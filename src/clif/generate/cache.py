"""The cache folder of units, compiled or in Triton, which are written completely or not at all."""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple, TextIO

from clif.errors import InputError
from clif.paths import expand_home

if sys.platform != "win32":
    import fcntl

SUFFIX, TRITON_SUFFIX = ".unit", ".py"
"""The suffixes of a compiled unit and of one in Triton."""

OURS = re.compile(r"((?:[0-9a-f]{32}){1,2})(\.unit|\.py|\.sha256|\.lock|-\w{8}\.new)")
"""The names of the files that `get` writes for a key of 32 or 64 hexadecimal digits."""


class Stored(NamedTuple):
    """A unit in the folder: when it was compiled, in seconds since 1970, and whether its SHA-256 is the one noted."""

    path: Path
    size: int
    compiled: float
    whole: bool


class Cleared(NamedTuple):
    """What `clear` deleted, and how many units it left because another process was compiling them."""

    files: int
    size: int
    left: int


def chosen_folder() -> Path:
    """`$CLIF_CACHE`, or clif's folder among the user's caches, which need not exist. Raises `InputError`."""
    given = os.environ.get("CLIF_CACHE")
    return Path(expand_home(given)) if given else _user_caches() / "clif"


@cache
def folder() -> Path:
    """`chosen_folder()`, created if necessary; a temporary folder of this process if that one is not private.

    A private folder belongs to this user, and no other user can write to it. Its files run in this process.
    """
    with suppress(OSError, InputError):
        place = chosen_folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_private(place):
            return place
    return Path(tempfile.mkdtemp(prefix="clif-"))


def _user_caches() -> Path:
    if sys.platform == "darwin":
        return Path(expand_home("~/Library/Caches"))
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given or expand_home("~/.cache"))


def is_private(place: Path) -> bool:
    """Whether this user, and no other, can write to an existing folder."""
    status = place.stat()
    if sys.platform == "win32":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(place, os.W_OK)


def get(key: str, make: Callable[[Path], None], suffix: str = SUFFIX) -> Path:
    """The file of that key; `make(path)` writes it if there is none, while other processes wait.

    If the SHA-256 of a file differs from the one noted when it was written, it is made again.
    """
    place = folder() / f"{key}{suffix}"
    if _is_whole(place):
        return place
    with _locked(place):
        if not _is_whole(place):
            handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f"{key}-", suffix=".new")
            os.close(handle)
            try:
                make(Path(temporary))
                _note(place).write_text(_digest(Path(temporary)), encoding="ascii")
                os.replace(temporary, place)
            finally:
                Path(temporary).unlink(missing_ok=True)
    return place


def files(place: Path) -> dict[str, list[Path]]:
    """The files in a folder that `get` wrote, by key: units, the files of a unit, and files left by a failed write."""
    found: dict[str, list[Path]] = {}
    for path in sorted(place.iterdir()):
        if (match := OURS.fullmatch(path.name)) and path.is_file():
            found.setdefault(match[1], []).append(path)
    return found


def units(place: Path) -> list[Stored]:
    """The units in a folder, the newest first."""
    found = []
    for path in (path for paths in files(place).values() for path in paths if path.suffix in (SUFFIX, TRITON_SUFFIX)):
        with suppress(FileNotFoundError):
            status = path.stat()
            found.append(Stored(path, status.st_size, status.st_mtime, _is_whole(path)))
    return sorted(found, key=lambda unit: unit.compiled, reverse=True)


def clear(place: Path) -> Cleared:
    """Delete the `files` in a folder, except for those of a unit that another process is compiling.

    A process that has loaded a unit continues with it.
    """
    number = size = left = 0
    for key, paths in files(place).items():
        unit = place / f"{key}{SUFFIX}"
        with _locked(unit, wait=False) as locked:
            if not locked:
                left += 1
                continue
            lock = _lock(unit)
            for path in [*(path for path in paths if path != lock), lock]:  # the lock last: it is still held
                with suppress(FileNotFoundError):
                    size += path.stat().st_size
                    path.unlink()
                    number += path in paths
    return Cleared(number, size, left)


def _is_whole(place: Path) -> bool:
    try:
        return _note(place).read_text(encoding="ascii") == _digest(place)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _note(place: Path) -> Path:
    return place.with_suffix(".sha256")


def _lock(place: Path) -> Path:
    return place.with_suffix(".lock")


@contextmanager
def _locked(place: Path, wait: bool = True) -> Iterator[bool]:
    """A context in which no other process makes or deletes that unit. Gives False if one does and `wait` is False."""
    if sys.platform == "win32":
        yield True
    elif (file := _acquire(_lock(place), wait)) is None:
        yield False
    else:
        with file:
            yield True


def _acquire(path: Path, wait: bool) -> TextIO | None:
    """The lock at `path`, held until the file is closed; None if another process holds it and `wait` is False."""
    while True:
        file = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.close()
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # `clear` deleted it meanwhile
