"""Folders with common variations: hidden files, folders of the same name inside, other data sets beside."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from clif.errors import InputError, MissingFileError, cut

CLUTTER = {
    "__macosx",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "@eadir",
    "lost+found",
    "$recycle.bin",
    "system volume information",
    "icon\r",
}
"""Names, in lower case, of files that operating systems leave in folders, besides names that begin with a dot."""

Rank = tuple[int, ...]
"""The fit of a folder to a set: its certainty, then the order among equally certain folders; () for no fit."""


def walk(folder: Path, _seen: set[str] | None = None) -> Iterator[Path]:
    """The folder and all below, depth first; each once, also if links lead to it again."""
    seen = set() if _seen is None else _seen
    if (place := os.path.realpath(folder)) in seen:
        return
    seen.add(place)
    yield folder
    for inner in folders_in(folder):
        yield from walk(inner, seen)


def is_hidden(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in CLUTTER


def scan(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, sorted by name, without hidden files and folders; nothing if it is not a folder."""
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror})") from error


def folders_in(folder: Path) -> list[Path]:
    return [folder / entry.name for entry in scan(folder) if entry.is_dir()]


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """The files of a folder whose names end with one of the suffixes, in any case; all files if there is no suffix."""
    return [
        folder / entry.name
        for entry in scan(folder)
        if (not suffixes or entry.name.lower().endswith(suffixes)) and not entry.is_dir()
    ]


def child(folder: Path, name: str) -> Path:
    """`folder`/`name`; if there is none, the entry with that name in another case."""
    path = folder / name
    if os.path.exists(path):  # unlike Path.exists no error for a name that is too long
        return path
    return next((folder / entry.name for entry in scan(folder) if entry.name.lower() == name.lower()), path)


def nested(folder: Path) -> Iterator[Path]:
    """The folder, then the folder of the same name in it: unpacking often makes airplane/airplane."""
    yield folder
    inner = child(folder, folder.name)
    if inner.is_dir():
        yield inner


def class_files(folder: Path, *suffixes: str) -> list[Path]:
    """The files of a class in its folder, or in the folder of the same name in it. Raises `InputError` for both."""
    found = {inner: files for inner in nested(folder) if (files := files_in(inner, *suffixes))}
    if len(found) > 1:
        raise InputError(f"{' and '.join(map(str, found))} both hold files of the class; remove one of them")
    return next(iter(found.values()), [])


def labelled_files(folder: Path, classes: Sequence[str], *suffixes: str) -> list[tuple[int, Path]]:
    """(label, file) from a folder of class folders; the label is the index of the class in `classes`."""
    for base in nested(folder):
        files = [(label, path) for label, name in enumerate(classes) for path in class_files(base / name, *suffixes)]
        if files:
            return files
    return []


def numbered_files(folder: Path, suffix: str) -> list[tuple[int, Path]]:
    """The files of a class with the number at the end of their names, in its order."""
    numbered: dict[int, Path] = {}
    for path in class_files(folder, suffix):
        number = file_number(path.name, path.parent)
        if number in numbered:
            raise InputError(f"{numbered[number]} and {path.name} have the same number; remove one of them")
        numbered[number] = path
    return sorted(numbered.items())


def file_number(name: str, where: Path) -> int:
    digits = Path(name).stem.rsplit("_", 1)[-1]
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise InputError(
            f"{where}: the name {cut(name)} does not end in the recording's number; it does not belong here"
        )
    return int(digits)


def candidates(root: Path, what: str) -> list[list[Path]]:
    """The possible folders of a data set: `root`, its folders, and twice in these a single or equally named folder."""
    if not root.is_dir():
        raise MissingFileError(f"{root} is not a folder; give the folder that holds {what} (--data-dir)")
    levels = [[root], folders_in(root)]
    for _ in range(2):
        inner = []
        for folder in levels[-1]:
            with suppress(InputError):
                below = folders_in(folder)
                inner += [path for path in below if len(below) == 1 or path.name.lower() == folder.name.lower()]
        levels.append(inner)
    return levels


def choose(root: Path, what: str, rank: Callable[[Path], Rank]) -> Path | None:
    """The folder that fits best, and the nearer to `root` if two are equally certain; None if no folder fits.

    Raises `InputError` that names both if two fit equally well.
    """
    best: Rank = ()
    chosen: dict[Path, Path] = {}
    for level, folders in enumerate(candidates(root, what)):
        for folder in folders:
            if not (found := rank(folder)):
                continue
            key = (found[0], -level, *found[1:])
            if key > best:
                best, chosen = key, {}
            if key == best:
                chosen.setdefault(folder.resolve(), folder)
    first, *others = chosen.values() or [None]
    if others:
        raise InputError(f"{first} and {others[0]} both look like {what}; name one of them by --data-dir")
    return first
