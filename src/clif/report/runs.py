"""The folder of a run for a report: only text files are read, and their content is not trusted."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clif.errors import InputError, MissingFileError
from clif.files import is_unchanged
from clif.paths import expand_home
from clif.plain_files import read_json
from clif.train.lock import is_locked
from clif.train.recipe import read_yaml
from clif.train.resume import BEST, CONFIG, ENERGY, ENVIRONMENT, EVAL, LAST, METRICS, SUMMARY, WARNINGS

Row = dict[str, float]
"""The figures of an epoch by column; "epoch" counts from 0."""

DEPLOY = "deploy.json"
PARTS = ("test", "val", "train")

REPLACED = ("model", "neuron", "dataset", "opt", "lr_scheduler", "loss")
"""The options that objects of the user replace."""


@dataclass(frozen=True)
class Run:
    """A run as read from its folder.

    `config` names the objects that were passed to `fit` in place of the options; `rows` are the epochs of
    metrics.csv, `starts` those of environment.json, `warnings` the trainer's warnings; `deployments` are the reports
    of `clif deploy` by folder name, `energy` and `evaluation` those of `clif energy` and `clif eval`, or {}; `stale`
    tells which of these belong to no checkpoint in the folder. `is_training` tells whether a process of this machine
    trains in it now.
    """

    folder: Path
    config: dict[str, Any]
    rows: list[Row]
    summary: dict[str, Any] = field(default_factory=dict)
    starts: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    energy: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    is_training: bool = False

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def last(self) -> Row:
        """The newest epoch; {} before the first."""
        return self.rows[-1] if self.rows else {}

    @property
    def epochs_planned(self) -> int:
        epochs = self.config.get("epochs")
        return epochs if isinstance(epochs, int) else 0

    @property
    def has_checkpoint(self) -> bool:
        """Whether the folder has the best or the last checkpoint."""
        return any((self.folder / file).is_file() for file in (BEST, LAST))

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended as planned: its summary is that of its newest epoch, and nothing continues it."""
        return self._is_summarised and not self.is_training

    @property
    def _is_summarised(self) -> bool:
        last = self.summary.get("last")
        return isinstance(last, dict) and bool(self.rows) and last.get("epoch") == self.last.get("epoch")

    @property
    def state(self) -> str:
        """ "finished", "training" or "stopped", with the epoch if that is before the last planned one."""
        done, planned = len(self.rows), self.epochs_planned
        word = "finished" if self.is_finished else "training" if self.is_training else "stopped"
        if word == "finished" and done >= planned:
            return word
        return f"{'ended' if word == 'finished' else word} after {done} of {planned} epochs"

    @property
    def chosen_on(self) -> str:
        """The part of the data that names the best epoch: "val" if there is any, else "test", or "" for none."""
        said = self.summary.get("best_chosen_on")
        if isinstance(said, str):
            return said
        parts = ("val", "test") if self.rows else ()
        return next((part for part in parts if all(f"{part}_top1" in row for row in self.rows)), "")

    @property
    def best(self) -> Row:
        """The best epoch by the accuracy on `chosen_on`; the newest one if nothing chooses.

        After the end of a run it is that of its summary, for which an epoch that was cut short does not count.
        """
        said = self.summary.get("best") if self._is_summarised else None
        epoch = said.get("epoch") if isinstance(said, dict) else None
        if found := [row for row in self.rows if row["epoch"] == epoch]:
            return found[0]
        column = f"{self.chosen_on}_top1"
        rows = [row for row in self.rows if not math.isnan(row.get(column, math.nan))]
        return max(rows, key=lambda row: row[column]) if rows else self.last


def find_runs(paths: Sequence[str | Path]) -> list[Run]:
    """The runs that `paths` name: run folders, folders of run folders, and summary files of `--seeds`.

    A repeated run is in the result once. Raises `InputError` for any other path and for a damaged folder.

    >>> _ = clif.train.fit(clif.train.resolve("digits", T=1, max_steps=2), quiet=True)
    >>> [run.state for run in clif.report.find_runs(["logs"])]
    ['ended after 1 of 6 epochs']
    """
    found: dict[Path, Path] = {}
    for path in paths:
        for folder in _folders(Path(expand_home(path))):
            found.setdefault(folder.resolve(), folder)
    return [open_run(folder) for folder in found.values()]


def _folders(path: Path) -> Iterator[Path]:
    if path.is_file() and path.suffix == ".json":
        yield from _folders_of_seeds(path)
    elif path.is_file():
        raise InputError(f"{path} is a file; name a run's folder, or a folder with runs in it")
    elif not path.is_dir():
        raise MissingFileError(f"no run at {path}: there is no such folder")
    elif (path / CONFIG).is_file():
        yield path
    else:
        inside = sorted(child.parent for child in path.glob(f"*/{CONFIG}"))
        if not inside:
            raise MissingFileError(f"no run at {path}: neither the folder nor a folder in it has a {CONFIG}")
        yield from inside


def _folders_of_seeds(path: Path) -> Iterator[Path]:
    folders = read_mapping(path).get("folders")
    if not isinstance(folders, list) or not all(isinstance(folder, str) for folder in folders):
        raise InputError(f'{path}: not a summary of seeds: it has no "folders"')
    for folder in map(Path, folders):
        beside = path.parent / folder.name
        yield folder if (folder / CONFIG).is_file() else beside


def open_run(folder: Path) -> Run:
    """Read the folder of a run. Raises `InputError` that names the file which is missing or damaged."""
    if not (folder / CONFIG).is_file():
        raise MissingFileError(f"no run at {folder}: it has no {CONFIG}")
    folder = folder.resolve()
    starts = _starts(folder / ENVIRONMENT)
    run = Run(
        folder,
        _read_config(folder / CONFIG) | _own(starts),
        _read_metrics(folder / METRICS),
        _optional(folder / SUMMARY),
        starts,
        _warnings(folder / WARNINGS),
        {path.parent.name: read_mapping(path) for path in sorted(folder.glob(f"deploy*/{DEPLOY}"))},
        _optional(folder / ENERGY),
        _optional(folder / EVAL),
    )
    deployed = {f"{name}/{DEPLOY}": report for name, report in run.deployments.items()}
    measured = {ENERGY: run.energy, EVAL: run.evaluation, **deployed}
    stale = [why for name, said in measured.items() if said and (why := _stale(folder, name, said))]
    return replace(run, stale=stale, is_training=is_locked(folder))


def _stale(folder: Path, name: str, said: dict[str, Any]) -> str:
    """Why the measurement in the file `name` may not belong to a checkpoint in the folder, in words, or "".

    Files of former versions do not name the measured checkpoint; they are compared by their times.
    """
    called, before = said.get("checkpoint"), said.get("checkpoint_file")
    again = f"measure again with clif {name.rpartition('/')[2].removesuffix('.json')}"
    there = [file for file in (BEST, LAST) if (folder / file).is_file()]
    try:
        if called is not None and (not isinstance(called, str) or Path(called).name != called or ":" in called):
            return f"{name} was measured of {called}, which is no checkpoint of this run; {again}"
        if isinstance(called, str) and not (folder / called).is_file():
            return f"{name} was measured of {called}, which is not in the folder any more; {again}" if there else ""
        if isinstance(called, str) and isinstance(before, dict):
            if is_unchanged(folder / called, before):
                return ""
            return f"{name} was measured of another {called} than the one that is there now; {again}"
        checkpoint = called or next(iter(there), None)
        if checkpoint and (folder / checkpoint).stat().st_mtime > (folder / name).stat().st_mtime:
            return f"{name} is older than {checkpoint}; {again}"
    except OSError:  # the file is being replaced or cannot be read, so nothing is known about it
        return ""
    return ""


def _read_config(path: Path) -> dict[str, Any]:
    """The configuration with the option names of its version; only the seed must have its present form."""
    config = {str(name): value for name, value in read_yaml(path).items()}
    if type(config.get("seed")) is not int:
        raise InputError(f"{path}: the seed of a run must be a whole number, got {config.get('seed')!r}")
    return config


def _read_metrics(path: Path) -> list[Row]:
    """The rows of metrics.csv without empty cells; none before the end of the first epoch."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    try:
        table = csv.DictReader(text.splitlines())
        lines = list(enumerate(table, start=2))
    except csv.Error as error:
        raise InputError(f"{path}: not a table of epochs: {error}") from error
    if "epoch" not in (table.fieldnames or ()):
        raise InputError(f'{path}: not a table of epochs: its first line has no column "epoch"')
    rows = []
    for line, cells in lines:
        try:
            row = {str(key): float(value) for key, value in cells.items() if value not in (None, "")}
            row["epoch"] = int(row["epoch"])
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise InputError(f"{path}, line {line}: a row must have a number in each column ({error})") from error
        rows.append(row)
    return rows


def _starts(path: Path) -> list[dict[str, Any]]:
    content = read_json(path) if path.is_file() else []
    if not isinstance(content, list) or not all(isinstance(start, dict) for start in content):
        raise InputError(f"{path}: expected a list of the run's starts")
    return content


def _own(starts: list[dict[str, Any]]) -> dict[str, str]:
    """The objects that the user passed to `fit`, by the option that they replaced."""
    own = starts[-1].get("own") if starts else None
    if not isinstance(own, dict):
        return {}
    return {name: value for name, value in own.items() if name in REPLACED and isinstance(value, str)}


def _warnings(path: Path) -> list[str]:
    content = read_json(path) if path.is_file() else []
    if not isinstance(content, list) or not all(isinstance(one, dict) and "message" in one for one in content):
        raise InputError(f'{path}: a list of warnings, each with a "message", is expected')
    return [str(one["message"]) for one in content]


def _optional(path: Path) -> dict[str, Any]:
    return read_mapping(path) if path.is_file() else {}


def read_mapping(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises `InputError` that names the file."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: a JSON object is expected")
    return content
