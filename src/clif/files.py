"""Files that are written completely or not at all, and whether a file has changed; without torch."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: a reader sees the old or the new file.

    Raises `IsADirectoryError` for a folder, also if `path` is a link to it, which the renaming would replace, and
    `NotADirectoryError` if the parent is a file.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path.parent)) from error
    handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_content(path: Path, content: str | bytes) -> None:
    """Write a text (in UTF-8) or bytes to a file by `write_atomically`."""
    write_atomically(path, lambda file: file.write(content.encode() if isinstance(content, str) else content))


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, on systems that support it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    """The process's mask for new files, which can be read only by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def fingerprint(path: Path) -> dict[str, Any]:
    """Size in bytes, time of the last change in ns, and SHA-256 of a file, to notice a later file of the same name."""
    status = path.stat()
    return {"size": status.st_size, "modified": status.st_mtime_ns, "sha256": _sha256(path)}


def is_unchanged(path: Path, before: Mapping[str, Any]) -> bool:
    """Whether a file has this `fingerprint`; its content is read only if its times differ, as those of copies do."""
    status = path.stat()
    if status.st_size != before.get("size"):
        return False
    return status.st_mtime_ns == before.get("modified") or _sha256(path) == before.get("sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
