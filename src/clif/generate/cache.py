"""The folder in which compiled units are kept, and how they come there whole or not at all."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

if sys.platform != "win32":
    import fcntl

SUFFIX = ".unit"


@cache
def folder() -> Path:
    """`$CLIF_CACHE`, or clif's folder among the user's caches; one of this process alone if that is not private.

    Private means: a folder of this user, to which no other user can write. What is in it runs in this process.
    """
    chosen = os.environ.get("CLIF_CACHE")
    place = Path(chosen).expanduser() if chosen else _user_caches() / "clif"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_private(place):
            return place
    except (OSError, RuntimeError):
        pass
    return Path(tempfile.mkdtemp(prefix="clif-"))


def _user_caches() -> Path:
    if sys.platform == "darwin":
        return Path("~/Library/Caches").expanduser()
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else Path("~/.cache").expanduser()


def _is_private(place: Path) -> bool:
    status = place.stat()
    if sys.platform == "win32":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(place, os.W_OK)


def get(key: str, make: Callable[[Path], None]) -> Path:
    """The file of that key; `make(path)` writes it if there is none, while other processes wait.

    A file whose SHA-256 is not the one noted when it was written is made again.
    """
    place = folder() / f"{key}{SUFFIX}"
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


def units() -> list[Path]:
    """The units in the folder, the newest first."""
    return sorted(folder().glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)


def clear() -> int:
    """Delete all units; returns how many there were. A process that has loaded one goes on with it."""
    found = units()
    for path in found:
        for file in (path, _note(path), _lock(path)):
            file.unlink(missing_ok=True)
    return len(found)


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
def _locked(place: Path) -> Iterator[None]:
    with _lock(place).open("a") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
