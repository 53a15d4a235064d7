"""The user's own files in class folders, and their split into training and test set.

`ROOT/train/CLASS/…` with `ROOT/test/CLASS/…` or `ROOT/val/CLASS/…`; or `ROOT/CLASS/…` with a seeded stratified split.
Everything below a class folder belongs to the class.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clif.data.complete import say_once, shortened
from clif.data.folders import files_in, folders_in, walk
from clif.data.hold_out import hold_out
from clif.data_options import DataOptions
from clif.errors import InputError, MissingFileError

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}
"""The names of the parts of a set, as folders and in the column "split" of a table, and the part that each means."""

PART_IN_NAME = re.compile(rf"(?<![a-z])({'|'.join(PARTS)})(?=set(?![a-z])|(?![a-z]))")

Labelled = list[tuple[str, Path]]
"""(class, file) of each file."""


@dataclass(frozen=True)
class Kind:
    """The kind of files: the word for one file, the file extensions, and the possible layouts.

    Files with the extensions `beside` may also be beside the class folders; they are ignored.
    """

    one: str
    suffixes: tuple[str, ...]
    layout: str
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """The files of a set by part, "train", "test" and "val"; those without a part are under "".

    `base` is the set's folder, `source` names the origin of the list, and `missing` has the files that do not exist.
    """

    base: Path
    source: Path
    parts: dict[str, Labelled]
    missing: dict[str, list[str]] = field(default_factory=dict)

    def test_part(self) -> str:
        """The part that is the test set; "" if a split must make it."""
        if "test" in self.parts and "val" in self.parts:
            say_once(f"{self.source}: test is the test set, val is not read; --val-split holds a part of train out")
        return next((part for part in ("test", "val") if part in self.parts), "")

    def training(self) -> Labelled:
        """The files of the training set, or of the whole set if a split must make the test set."""
        return self.parts.get("train", self.parts.get("", []))

    def reason(self, part: str, kind: Kind) -> str:
        """Why a part may have no files: the first of its files that are missing, else the possible layouts."""
        return next(iter(self.missing.get(part, [])), kind.layout)


@dataclass(frozen=True)
class Part:
    """The training or test set: (label, file) in the order of classes and names, and the missing files.

    `official` is whether the set defines the part; otherwise a split did.
    """

    files: list[tuple[int, Path]]
    missing: tuple[str, ...]
    official: bool


def classes_of(listing: Listing, kind: Kind, options: DataOptions) -> tuple[str, ...]:
    """The classes of the training set. Raises `InputError` for none, one only, or a test_split without effect."""
    if options.test_split != DataOptions.test_split and listing.test_part():
        raise InputError(f"{listing.source} has a test set of its own; leave test_split out")
    named = {name for name, _ in listing.training()}
    if not named:
        raise MissingFileError(f"{listing.source} has no training {kind.one}s; {listing.reason('train', kind)}")
    if len(named) < 2:
        reason = listing.reason("train" if "train" in listing.parts else "", kind)
        raise InputError(f"{listing.source} has {kind.one}s of one class only, {named.pop()}; {reason}")
    return sort_classes(named)


def sort_classes(names: set[str]) -> tuple[str, ...]:
    """Class names in the order of their labels: whole numbers by value, other names alphabetically."""
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (len(name.lstrip("0")), name.lstrip("0"), name)))
    return tuple(sorted(names))


def choose_part(listing: Listing, kind: Kind, options: DataOptions, train: bool) -> Part:
    """The training or test set; `options` has the classes. Raises `InputError` for an unknown class, or no file."""
    index = {name: label for label, name in enumerate(options.classes)}
    test = listing.test_part()
    part = ("train" if train else test) if test else ""
    files = listing.parts.get(part, [])
    if not files:
        word = "training" if train else "test"
        raise MissingFileError(f"{listing.source} has no {word} {kind.one}s; {listing.reason(part, kind)}")
    if unknown := sorted({name for name, _ in files} - index.keys()):
        raise InputError(
            f"{listing.source}: the {part or 'set'} has the class {unknown[0]}, which the training set does not have; "
            f"its classes are {shortened(options.classes, ', ')}"
        )
    labelled = sorted(((index[name], path) for name, path in files), key=lambda one: (one[0], str(one[1])))
    missing = list(listing.missing.get(part, []))
    if not test:
        held_out = hold_out(
            [name_in(listing.base, path) for _, path in labelled],
            [label for label, _ in labelled],
            options.test_split,
            options.split_seed,
            options.classes,
            str(listing.source),
        )
        labelled = [one for one, out in zip(labelled, held_out, strict=True) if out != train]
    present = {label for label, _ in labelled}
    if absent := [name for name, label in index.items() if label not in present]:
        missing.append(f"no {kind.one} of {shortened(absent, ', ')}")
    return Part(labelled, tuple(missing), bool(test))


def name_in(base: Path, path: Path) -> str:
    """The path of a file in the folder of its set, the same on every machine; the whole path of a file elsewhere."""
    return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()


def list_folder(root: Path, kind: Kind) -> Listing:
    """All files of a set in a folder. Raises `InputError` for files outside of class folders."""
    base = without_wrapping(root, kind)
    parts = part_folders(base)
    if not parts:
        files = class_files(base, kind)
        names = sorted({name for name, _ in files})
        if are_parts(names):
            raise InputError(f"{base} has {kind.one}s of no class in {' and '.join(names)}; {kind.layout}")
        if (classes := folders_in(base)) and all(map(has_parts, classes)):
            say_once(
                f"{base}: the parts within the classes, such as {classes[0].name}/train, are read as one set, of which "
                "a fraction (test_split) is the test set; to keep the parts, arrange them as train/CLASS and test/CLASS"
            )
        return Listing(base, base, {"": files})
    others = [folder for folder in folders_in(base) if folder not in parts.values()]
    if beside := [folder.name for folder in others if holds(folder, kind)]:
        read = " and ".join(folder.name for folder in parts.values())
        say_once(f"{base}: the {kind.one}s in {shortened(beside, ', ')} are not read, only those in {read}")
    found = {part: class_files(without_double(folder, kind), kind) for part, folder in parts.items()}
    if set(found) == {"train"}:
        return Listing(base, base, {"": found["train"]})
    return Listing(base, base, found)


def without_wrapping(root: Path, kind: Kind) -> Path:
    """The folder itself or, twice at most, the one folder in it if there is nothing else, as packed sets have it."""
    for _ in range(2):
        inner = folders_in(root)
        if len(inner) != 1 or is_part(inner[0]) or files_in(root, *kind.suffixes) or not folders_in(inner[0]):
            break
        root = inner[0]
    return root


def without_double(part: Path, kind: Kind) -> Path:
    """The folder of a part or, if there is nothing else in it, the folder of the same name in it."""
    inner = folders_in(part)
    double = len(inner) == 1 and inner[0].name.lower() == part.name.lower() and folders_in(inner[0])
    return inner[0] if double and not files_in(part, *kind.suffixes) else part


def part_folders(base: Path) -> dict[str, Path]:
    """The folders of the parts of a set, by part.

    Their names are those of `PARTS` or, if there is no such folder, have the same letters around these words, as in
    n-cars_train and n-cars_test. Raises `InputError` if two folders are the same part.
    """
    groups: dict[str, Labelled] = {}
    for folder in folders_in(base):
        if (found := PART_IN_NAME.search(folder.name.lower())) and folders_in(folder):
            groups.setdefault(around(found), []).append((PARTS[found[1]], folder))
    named = groups.get("*") or [one for group in groups.values() if {"train"} < dict(group).keys() for one in group]
    parts: dict[str, Path] = {}
    for part, folder in named:
        if part in parts:
            raise InputError(f"{parts[part]} and {folder} are both the {part} part of the set; rename one of them")
        parts[part] = folder
    return parts


def are_parts(names: list[str]) -> bool:
    """Whether the names of folders without class folders mean different parts, such as train and test1."""
    found = [PART_IN_NAME.search(name.lower()) for name in names]
    parts = {PARTS[one[1]] for one in found if one}
    rests = {around(one) for one in found if one}
    alike = len(rests) == 1 or not any(map(str.isalpha, "".join(rests)))
    return bool(names) and all(found) and alike and (len(parts) > 1 or rests == {"*"})


def around(found: re.Match[str]) -> str:
    """A name with * for the part in it."""
    return f"{found.string[: found.start()]}*{found.string[found.end() :]}"


def has_parts(folder: Path) -> bool:
    """Whether there are a training set and another part in the folder of a class."""
    return {"train"} < {PARTS[inner.name.lower()] for inner in folders_in(folder) if inner.name.lower() in PARTS}


def is_part(folder: Path) -> bool:
    """Whether a folder is a part of a set, not a class of trains."""
    return folder.name.lower() in PARTS and bool(folders_in(folder))


def holds(folder: Path, kind: Kind) -> bool:
    """Whether there are files of the kind in a folder or below."""
    suffixes = [suffix for suffix in kind.suffixes if suffix not in kind.beside]
    return any(files_in(inner, *suffixes) for inner in walk(folder))


def class_files(folder: Path, kind: Kind) -> Labelled:
    """(class, file) of all files of the kind below the class folders in a folder."""
    strays = [path for path in files_in(folder, *kind.suffixes) if path.suffix.lower() not in kind.beside]
    if strays:
        layout = f"{kind.layout[0].upper()}{kind.layout[1:]}"
        raise InputError(f"{strays[0]}: is not in the folder of a class; move it into one. {layout}")
    files: Labelled = []
    others: list[str] = []
    for inner in folders_in(folder):
        found = []
        for path in files_below(inner):
            if path.name.lower().endswith(kind.suffixes):
                found.append((inner.name, path))
            else:
                others.append(str(path))
        if not found:
            raise MissingFileError(
                f"{inner} has no {kind.one} that can be read; remove it, or put the {kind.one}s of the class there"
            )
        files += found
    if others:
        number = f"{len(others)} file is" if len(others) == 1 else f"{len(others)} files are"
        say_once(f"{folder}: {number} left out, {kind.one}s have other extensions: {shortened(others, ', ')}")
    return files


def files_below(folder: Path) -> Iterator[Path]:
    for inner in walk(folder):
        yield from files_in(inner)
