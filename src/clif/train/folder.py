"""The folder of a run: its checkpoints, its configuration, and the place, time and circumstances of its starts."""

import dataclasses
import itertools
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any
from weakref import finalize

import torch
import yaml

from clif.devices import processor_name
from clif.errors import InputError, MissingFileError
from clif.files import fingerprint, write_atomically, write_content
from clif.paths import expand_home
from clif.precision import Precision
from clif.train.checkpoint import checkpoint_file, read_checkpoint, save_checkpoint
from clif.train.config import TrainConfig
from clif.train.lock import LOCK, lock_folder, unlock_folder
from clif.train.resume import BEST, CONFIG, ENVIRONMENT, LAST, WARNINGS, read_list
from clif.user_code import imported
from clif.version import __version__

logger = logging.getLogger("clif.train")

PACKAGES = ("torch", "numpy", "triton", "lightning-fabric", "scikit-learn", "tensorboard")


class RunFolder:
    """The checkpoints of a run: `checkpoint_last.pth`, earlier ones by epoch and step, and `checkpoint_best.pth`."""

    def __init__(self, path: Path, keep_last: int, begins_anywhere: bool = True) -> None:
        self.path = path
        self.keep_last = keep_last
        self.begins_anywhere = begins_anywhere
        self._last_place: tuple[int, int] | None = None
        self._unlock: finalize[[], RunFolder] | None = None

    def lock(self) -> None:
        """Lock the folder, if it exists, for this process until `release` or the end of the process.

        Raises `InputError` if another process trains in it.
        """
        with writing(self.path):
            if self._unlock is None and self.path.is_dir():
                self._unlock = finalize(self, partial(unlock_folder, lock_folder(self.path), os.getpid()))

    def release(self) -> None:
        """Unlock the folder."""
        if self._unlock is not None:
            self._unlock()
            self._unlock = None

    def is_begun(self) -> bool:
        """Whether the folder has a run that can be continued."""
        return (self.path / CONFIG).is_file()

    def open(
        self,
        config: TrainConfig,
        resumed_from: Path | None,
        precision: Precision | None = None,
        own: dict[str, Any] | None = None,
    ) -> None:
        """Create and lock the folder; an earlier run there is renamed unless it is continued (`resumed_from` in it).

        It gets the configuration and, for every start, `describe_start`, with the records `own` of the user's objects.
        Raises `InputError` if it cannot be written, or another process trains in it.
        """
        before = None if resumed_from is None else resumed_from.resolve().parent
        self.lock()
        with writing(self.path):
            if before != self.path.resolve():
                if os.name == "nt":  # Windows renames no folder with an open file
                    self.release()
                set_aside(self.path)
                self.release()
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock()
            for left in self.path.glob(".writing-*"):
                left.unlink()
            if before not in (None, self.path.resolve()) and (before / BEST).is_file():
                copy_atomically(before / BEST, self.path / BEST)
            values = dataclasses.asdict(config)
            if before == self.path.resolve():
                values["resume"] = None
            self.write_text(CONFIG, yaml.safe_dump(values, sort_keys=False))
            self._note_start({**describe_start(precision), **(own or {})})

    def set_later_best_aside(self, start: Path, epoch: int, best_epoch: int) -> None:
        """Rename a best checkpoint that is from after `start`, with `epoch` complete epochs, and say so.

        The checkpoint of the best epoch until then takes its place if it was kept.
        """
        best = self.path / BEST
        if start.name == LAST or not best.is_file():
            return
        try:
            epochs = int(read_checkpoint(best)["epoch"]) + 1
        except (InputError, KeyError):
            return
        if epochs <= epoch:
            return
        aside = best.with_name(f"checkpoint_best_epoch{epochs:04d}.pth")
        kept = start.with_name(kept_name(best_epoch + 1, 0))
        with writing(self.path):
            best.replace(aside)
            if kept.is_file():
                copy_atomically(kept, best)
        note = f"{best} is of epoch {epochs}, but the run goes on after epoch {epoch}: it is now {aside.name}"
        if best_epoch >= 0 and not best.is_file():
            note += f"; that of the best epoch until then, {best_epoch + 1}, was not kept"
        logger.warning(note)

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the folder completely or not at all. Raises `InputError` if it cannot be written."""
        with writing(self.path):
            write_content(self.path / name, text)

    def save(self, name: str, content: dict[str, Any]) -> None:
        """Write a checkpoint; earlier last checkpoints are kept under names with their epoch and step.

        If a run cannot begin anywhere, that of the last complete epoch is kept in any case, because it resumes there.
        Raises `InputError` if the checkpoint cannot be written.
        """
        if name != LAST:
            save_checkpoint(self.path / name, content)
            return
        last = self.path / LAST
        within = not self.begins_anywhere and content["progress"]["step"] > 0
        whole = self.path / kept_name(content["epoch"] + 1, 0)
        if (self.keep_last > 1 or within) and self._last_place is not None and last.is_file():
            with writing(self.path):
                epochs, step = self._last_place
                _link(last, self.path / kept_name(epochs, step))
        save_checkpoint(last, content)
        self.remember(content)
        for old in sorted(self.path.glob("checkpoint_epoch*.pth"))[: -(self.keep_last - 1) or None]:
            if not (within and old == whole):
                with suppress(OSError):
                    old.unlink()

    def remember(self, content: dict[str, Any]) -> None:
        """Remember the epoch and step of the checkpoint that is now the last one."""
        self._last_place = content["epoch"] + 1, content["progress"]["step"]

    def note_warning(self, epoch: int, message: str) -> None:
        """Write a warning of the trainer to the folder, unless it is already there."""
        earlier = read_list(self.path / WARNINGS)
        if message not in [one.get("message") for one in earlier if isinstance(one, dict)]:
            self.write_text(WARNINGS, json.dumps([*earlier, {"epoch": epoch, "message": message}], indent=2))

    def _note_start(self, start: dict[str, Any]) -> None:
        earlier = read_list(self.path / ENVIRONMENT)
        self.write_text(ENVIRONMENT, json.dumps([*earlier, start], indent=2))


def kept_name(epochs: int, step: int) -> str:
    """The name of an earlier last checkpoint, written after so many epochs and steps of the next one."""
    return f"checkpoint_epoch{epochs:04d}_step{step:06d}.pth"


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        copy_atomically(source, target)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A context in which errors of the file system become an `InputError` that names the folder."""
    try:
        yield
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the run's folder {folder} cannot be written ({error}); make room, or choose another --out-dir; "
            "checkpoints that were there are whole"
        ) from error


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file so that `target` is complete or does not exist."""
    with source.open("rb") as content:
        write_atomically(target, partial(shutil.copyfileobj, content))


def describe_checkpoint(checkpoint: str | os.PathLike[str]) -> dict[str, Any]:
    """The description of a measured checkpoint, which tells a report whether a measurement is still valid.

    `checkpoint` is an argument of `read_checkpoint`. "checkpoint" is its name (for a run folder, that of the file in
    it) and "checkpoint_file" its `clif.files.fingerprint`; an address, or weights of the package, have only the name.
    """
    file = checkpoint_file(Path(expand_home(checkpoint)))
    if not file.is_file():
        return {"checkpoint": os.fspath(checkpoint)}
    return {"checkpoint": file.name, "checkpoint_file": fingerprint(file)}


def keep_measurement(
    checkpoint: str | os.PathLike[str],
    name: str,
    values: dict[str, Any],
    out: str | os.PathLike[str] | None = None,
) -> Path | None:
    """Write a measurement of a checkpoint as JSON to `out`, by default to `name` in the folder of its run.

    `checkpoint` is an argument of `read_checkpoint`; the result of `describe_checkpoint` is added to the values.
    Returns the path, or None if the checkpoint belongs to no run or, with a warning, if the run's folder cannot be
    written. Raises `InputError` if `out` cannot be written.
    """
    file = checkpoint_file(Path(expand_home(checkpoint)))
    if out is None and not (file.is_file() and (file.parent / CONFIG).is_file()):
        return None
    target = file.parent / name if out is None else Path(out)
    text = json.dumps({**describe_checkpoint(checkpoint), **values}, indent=2)
    try:
        write_atomically(target, lambda stream: stream.write(text.encode()))
    except OSError as error:
        if out is not None:
            raise InputError(f"{target} cannot be written: {error}") from error
        logger.warning("%s is not written (%s); a report of the run will lack it", target, error.strerror)
        return None
    return target


def set_aside(folder: Path) -> None:
    """Make room for a new run: an earlier one in `folder` is renamed to folder.1, folder.2, …, and a line says so."""
    if folder.is_dir() and any(path.name != LOCK for path in folder.iterdir()):
        free = next(k for k in itertools.count(1) if not folder.with_name(f"{folder.name}.{k}").exists())
        aside = folder.with_name(f"{folder.name}.{free}")
        folder.rename(aside)
        logger.warning("the earlier run in %s is now %s", folder, aside)


def run_of(resume: str) -> Path:
    """The folder of the run of a checkpoint, or the folder itself."""
    path = Path(resume)
    return path if path.is_dir() else path.parent


def last_checkpoint(resume: str) -> Path | None:
    """The checkpoint from which to continue: the file itself, or the last one of a run folder.

    None stands for a run that was ended before its first checkpoint and so begins anew. Raises `InputError` for one
    that is missing or cannot be read.
    """
    path = Path(resume)
    try:
        if path.is_dir():
            path = path / LAST
        if path.is_file():
            return path
        if path.name == LAST and (path.parent / CONFIG).is_file():
            return None
    except OSError as error:
        raise InputError(f"{path}: the checkpoint cannot be read: {error.strerror}") from error
    raise MissingFileError(f"no checkpoint at {path}")


def find_start(resume: str | None, anywhere: bool) -> tuple[Path | None, dict[str, Any] | None, str]:
    """The checkpoint from which a run continues and its content, None for a run that begins, and a note.

    A training loader that cannot begin `anywhere` needs one from the end of an epoch. Raises `InputError` as
    `last_checkpoint` and `read_last` do.
    """
    if resume is None:
        return None, None, ""
    path = last_checkpoint(resume)
    if path is None:
        was_started = (run_of(resume) / ENVIRONMENT).is_file()
        return None, None, f"{resume} has no checkpoint yet: starting the run again" if was_started else ""
    content = read_last(path)
    step, epochs = content.get("progress", {}).get("step"), content.get("epoch", -1) + 1
    if anywhere or not isinstance(step, int) or step == 0:
        return path, content, ""
    where = f"{path} was written within an epoch, where this training loader cannot start"
    if epochs == 0:
        return None, None, f"{where}: starting the run again"
    before = path.with_name(kept_name(epochs, 0))
    if not before.is_file():
        return path, content, ""
    return before, read_last(before), f"{where}: resuming from {before.name}"


def read_last(path: Path) -> dict[str, Any]:
    """A checkpoint to continue from. Raises `InputError`, which for a damaged one names the one before it."""
    try:
        return read_checkpoint(path)
    except InputError as error:
        for other in sorted(path.parent.glob("checkpoint_epoch*.pth"), reverse=True):
            try:
                read_checkpoint(other)
            except InputError:
                continue
            raise InputError(f"{error}; the one before it is whole: --resume {other}") from error
        raise


def describe_start(precision: Precision | None = None) -> dict[str, Any]:
    """When, where and how this process runs: versions, git, command line, imports, machine, precision."""
    versions = {"clif": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "folder": os.getcwd(),
        "imports": imported(),
        "versions": versions,
        "git": {"clif": git_revision(Path(__file__).parent), "folder": git_revision(Path.cwd())},
        "machine": {
            "host": platform.node(),
            "system": platform.platform(),
            "processor": processor_name(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpus": gpus,
        },
        "precision": None if precision is None else precision.record(),
    }


def git_revision(folder: Path) -> str | None:
    """The commit checked out in `folder`, with "-dirty" if files differ from it; None outside a repository."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
