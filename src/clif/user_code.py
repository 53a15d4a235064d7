"""The user's own code, which `--import FILE_OR_MODULE` loads, so that it can register networks and other objects.

A run and its checkpoints record what was imported. A record only serves to report missing and changed code: nothing
in it is ever imported. This module imports no torch.
"""

import hashlib
import importlib
import keyword
import os
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from clif.errors import InputError, UnknownNameError
from clif.paths import expand_home

Record = dict[str, Any]


@dataclass(frozen=True)
class Import:
    """What was imported: as given, the module's name, its file, and the SHA-256 of that file's content."""

    given: str
    module: str
    path: str | None
    sha256: str | None


_imported: dict[str, Import] = {}
"""Everything that this process imported by `import_code`, by the module's name."""


def import_code(given: Iterable[str]) -> None:
    """Import files and modules, each once. Raises `InputError` for code that is missing or fails.

    A file becomes the module of its name without the suffix, and its folder is the last one in which Python searches
    modules: the file can import its neighbours, and spawned processes find what they unpickle. A module is searched
    first in the current folder, as by `python -m`.
    """
    for one in given:
        path = Path(expand_home(one))
        is_file = one.endswith(".py") or path.is_file()
        done = _import_file(one, path) if is_file else _import_module(one)
        _imported.setdefault(done.module, done)


def imported() -> list[Record]:
    """A record of what this process imported, in plain values."""
    return [asdict(one) for one in _imported.values()]


def missing(recorded: object) -> str:
    """The options --import that would load the recorded code that is not loaded here; "" if nothing is missing.

    A file of the same content under another name counts as loaded.
    """
    here = [one.sha256 for one in _imported.values() if one.sha256 is not None]
    absent = [one for one in _readable(recorded) if one["module"] not in sys.modules and one.get("sha256") not in here]
    return " ".join(map(_option, absent))


def changed(recorded: object) -> list[str]:
    """A line for each loaded module whose file content differs from the recorded one."""
    lines = []
    for record in _readable(recorded):
        now, before = _digest_here(record["module"]), record.get("sha256")
        if now is not None and isinstance(before, str) and now != before:
            lines.append(
                f"{_option(record)}: the file has changed since (SHA-256 {now[:12]}…, {_shown(before[:12])}… before)"
            )
    return lines


def differences(recorded: object) -> list[str]:
    """A line with the result of `missing`, if there is any, and the lines of `changed`."""
    options = missing(recorded)
    return [*([f"made with code of yours that is not loaded here: {options}"] if options else []), *changed(recorded)]


def require(recorded: object, where: str) -> None:
    """Raise `InputError` if code recorded by the run or checkpoint `where` is not loaded."""
    if options := missing(recorded):
        raise InputError(f"{where} was made with your own code: add {options}")


@contextmanager
def needed_by(recorded: object, where: str) -> Iterator[None]:
    """A context in which the error for an unknown name says which recorded code is not loaded."""
    try:
        yield
    except UnknownNameError as error:
        if not (options := missing(recorded)):
            raise
        raise InputError(
            f"{where} was made with your own code: add {options} (in Python, import it first); without it: {error}"
        ) from error


def _import_file(given: str, path: Path) -> Import:
    name = path.stem
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        raise InputError(
            f"--import {given}: the file's name, {name!r}, cannot be the name of a module; rename the file"
        )
    try:
        path = path.resolve()
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"--import {given}: there is no such file") from None
    except OSError as error:
        raise InputError(f"--import {given}: the file cannot be read: {error.strerror}") from error
    if not _is_from(sys.modules.get(name), path):
        if other := _other_module(name, path):
            raise InputError(f"--import {given}: {name} is the name of another module, {other}; rename the file")
        _execute(given, name, path, content)
    return Import(given, name, str(path), hashlib.sha256(content).hexdigest())


def _execute(given: str, name: str, path: Path, content: bytes) -> None:
    """Create the module from exactly the bytes whose hash is recorded."""
    spec = spec_from_file_location(name, path, loader=SourceFileLoader(name, str(path)))
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        exec(compile(content, str(path), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failure(given, error, str(path)) from error


def _import_module(given: str) -> Import:
    if not all(part.isidentifier() for part in given.split(".")):
        raise InputError(f"--import {given}: there is no such file, and it is not the name of a module")
    if not sys.flags.safe_path and not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(given)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{given}.".startswith(f"{error.name}."):
            raise InputError(f"--import {given}: there is no such module, and no such file") from error
        raise _failure(given, error, given) from error
    path = _file_of(module)
    if path is None and hasattr(module, "__path__"):
        raise InputError(f"--import {given}: the folder has no __init__.py; give a file or a module in it")
    return Import(given, given, None if path is None else str(path.resolve()), _digest_here(given))


def _other_module(name: str, path: Path) -> str:
    """The origin of a module of that name which is not this file; "" if there is none."""
    if name in sys.modules:
        return str(getattr(sys.modules[name], "__file__", None) or "which is loaded")
    if name in sys.stdlib_module_names:
        return "of Python itself"
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != path.parent]
    for finder in sys.meta_path:
        found: ModuleSpec | None = finder.find_spec(name, elsewhere if finder is PathFinder else None)
        if found is not None and found.origin is not None and not _is_same(Path(found.origin), path):
            return found.origin
    return ""


def _is_from(module: ModuleType | None, path: Path) -> bool:
    file = None if module is None else _file_of(module)
    return file is not None and _is_same(file, path)


def _is_same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) else None


def _digest_here(name: str) -> str | None:
    """The SHA-256 of the file of a loaded module; None if there is no such module or file."""
    if name in _imported:
        return _imported[name].sha256
    path = _file_of(sys.modules[name]) if name in sys.modules else None
    with suppress(OSError):
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    return None


def _failure(given: str, error: BaseException, file: str) -> InputError:
    """An `InputError` with the file, the line and the words of an error in the user's code."""
    place, words = file, " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    bodies = [frame.filename for frame in frames if frame.name == "<module>"]
    if isinstance(error, SyntaxError) and error.filename:
        place, words = f"{error.filename}, line {error.lineno or 1}", error.msg
    elif bodies:
        line = next(frame.lineno for frame in reversed(frames) if frame.filename == bodies[-1])
        place = f"{bodies[-1]}, line {line}"
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return InputError(f"--import {given} failed in {place}: {kind}{words}")


def _readable(recorded: object) -> list[Record]:
    """The valid records in a file, which may be damaged."""
    entries = recorded if isinstance(recorded, list) else []
    named = [one for one in entries if isinstance(one, dict) and {"given", "module", "path"} <= one.keys()]
    return [one for one in named if all(isinstance(one[key], str) for key in ("given", "module"))]


def _option(record: Record) -> str:
    """The option that would import it again: as it was given, or with the whole path if it now means another file."""
    word, path = record["given"], record["path"]
    is_file = word != record["module"] and isinstance(path, str)
    return f"--import {_shown(path if is_file and os.path.abspath(word) != path else word)}"


def _shown(word: str) -> str:
    return shlex.quote(word) if word.isprintable() else ascii(word)
