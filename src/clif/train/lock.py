"""A lock on a run's folder: one process trains in it at a time."""

import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from clif.errors import InputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".lock"
BEYOND = 2**30
"""The byte that is locked on Windows, where a locked byte cannot be read."""


def lock_folder(folder: Path) -> BinaryIO:
    """Lock an existing folder until `unlock_folder` for the returned file, or the process ends in any way.

    Raises `InputError` if another process has the lock. A file system without locks is accepted.
    """
    path = folder / LOCK
    while True:
        file = path.open("a+b")
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read(200).decode(errors="replace")
            file.close()
            raise InputError(
                f"{folder}: another process is training in this folder ({holder}); wait until it ends, or choose "
                "another --name or --out-dir"
            ) from None
        except OSError:
            pass
        if _is_at(file, path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}".encode())
            file.flush()
            return file
        file.close()  # the folder was renamed in the meantime


def unlock_folder(file: BinaryIO, owner: int) -> None:
    """Unlock a folder, also if forked processes, such as workers of a DataLoader, still hold the file open.

    In such a process, which is not the `owner` of the lock, the file is only closed.
    """
    if sys.platform != "win32" and os.getpid() == owner:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
    file.close()


def is_locked(folder: Path) -> bool:
    """Whether a process of this machine trains in the folder now. False if the file system does not support locks."""
    try:
        file = (folder / LOCK).open("r+b")
    except OSError:
        return False
    with file:
        try:
            _lock(file, shared=True)
        except (BlockingIOError, PermissionError):
            return True
        except OSError:
            pass
    return False


def _lock(file: BinaryIO, shared: bool = False) -> None:
    if sys.platform == "win32":
        file.seek(BEYOND)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
