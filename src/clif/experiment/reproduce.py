"""The rows of the paper's tables, and existing runs that repeat them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clif.errors import InputError, unknown_name
from clif.experiment.plan import KINDS
from clif.plain_files import read_json
from clif.report.runs import PARTS, Run, open_run
from clif.report.statistics import mean_of
from clif.report.tables import mean
from clif.train.config import TrainConfig, resolve
from clif.train.recipe import list_recipes, read_recipe, read_yaml
from clif.train.resume import CONFIG, SUMMARY

PUBLISHED = Path(__file__).parent / "published.yaml"

GROUPS = ("network", "optimisation", "loss")
OTHERS = ("dataset", "augmentation", "cutupmix_auto", "allow_incomplete", "pre_train")
SAME = frozenset(
    field.name for field in dataclasses.fields(TrainConfig) if field.metadata["group"] in GROUPS or field.name in OTHERS
) - {"T_max"}
"""Options that a run must share with the recipe to repeat its row; length, seed, validation and machine may differ."""


@dataclass(frozen=True)
class Row:
    """A row of the paper: its accuracies in % by column, in `epochs` epochs with so many seeds.

    `original` is the command line of the original repository ("" if it gives none), `ours` that of clif. Runs that
    repeat the row are found by its configuration, a row of an experiment (`kind`) by that of all its arms.
    """

    name: str
    title: str
    paper: dict[str, list[float]]
    columns: list[str]
    epochs: int
    ours: str
    config: TrainConfig
    original: str = ""
    source: str = "Tables 1, 2 and 5"
    kind: str = ""


@dataclass(frozen=True)
class Repeated:
    """Runs that repeat a row: the last epoch's accuracy (0 to 1) of each seed on `part`, after so many epochs."""

    part: str
    accuracies: dict[int, float]
    epochs: int
    folders: list[Path]

    def describe(self, row: Row) -> str:
        """The result in one line, which says if the runs are shorter than the paper's."""
        seeds = f"seed {next(iter(self.accuracies))}" if len(self.accuracies) == 1 else f"{len(self.accuracies)} seeds"
        accuracy = mean(mean_of(list(self.accuracies.values())), scale=100).text
        text = f"{accuracy} % ({self.part}, last epoch, {seeds}, {self.epochs} epochs)"
        if self.epochs < row.epochs:
            text += f": a shorter run, {self.epochs} of the paper's {row.epochs} epochs"
        return text


def list_rows() -> dict[str, Row]:
    """Every row by name: RECIPE:NEURON for accuracies, tableN_… for the tables of experiments."""
    rows = {}
    for recipe in list_recipes():
        content = read_recipe(recipe)
        for neuron, accuracy in content.get("published", {}).items():
            config = resolve(recipe, neuron=neuron)
            name = f"{recipe}:{neuron}"
            original = content.get("original", "").replace("-neuron CLIF", f"-neuron {neuron}")
            rows[name] = Row(
                name,
                f"{content['description']}, {neuron}",
                {neuron: [accuracy]},
                ["test accuracy"],
                config.epochs,
                f"clif train {recipe} --neuron {neuron} --data-dir data",
                config,
                original if neuron != "ReLU" else "",
            )
    for name, content in read_yaml(PUBLISHED).items():
        rows[name] = Row(
            name,
            content["title"],
            content["paper"],
            content["columns"],
            content["epochs"],
            content["ours"],
            resolve(content["recipe"], **content["options"]),
            content["original"],
            content["source"],
            content["kind"],
        )
    return rows


def find_row(name: str) -> Row:
    """The row of that name. Raises `InputError` for an unknown one."""
    rows = list_rows()
    if name not in rows:
        raise unknown_name("row", name, rows)
    return rows[name]


def find_runs(row: Row, folders: Sequence[str | Path]) -> list[Repeated]:
    """The complete runs at or below the folders that repeat a recipe's row, the longest first.

    A run counts if its options are the recipe's, except for its length, seed, validation split and machine. Runs of one
    length and part are one result, with the last run of each seed. Raises `InputError` for a row of an experiment.
    """
    if row.kind:
        raise InputError(f"{row.name} is a row of an experiment; use find_experiments")
    results: dict[tuple[int, str], dict[int, Run]] = {}
    for run in _runs(folders):
        part = next((part for part in PARTS if f"{part}_top1" in run.last), None)
        if part is not None and _same(run.config, row.config):
            results.setdefault((len(run.rows), part), {})[run.seed] = run
    return [
        Repeated(
            part,
            {seed: found[seed].last[f"{part}_top1"] for seed in sorted(found)},
            epochs,
            [run.folder for run in found.values()],
        )
        for (epochs, part), found in sorted(results.items(), reverse=True)
    ]


def find_experiments(row: Row, folders: Sequence[str | Path]) -> list[Path]:
    """The folders of experiments, at or below `folders`, that repeat the row of an experiment."""
    found = []
    for path in sorted(path for folder in folders for path in Path(folder).rglob("results.json")):
        config = _config_of(path, row.kind)
        if config is not None and _same(vars(config), row.config, KINDS[row.kind].varies):
            found.append(path.parent)
    return found


def _config_of(path: Path, kind: str) -> TrainConfig | None:
    """The configuration of an experiment of a kind from its results.json.

    None for other files of that name, and for experiments with names that are not registered here.
    """
    try:
        results = read_json(path)
    except InputError:
        return None
    if not isinstance(results, dict) or results.get("kind") != kind:
        return None
    recipe, options = results.get("recipe"), results.get("options")
    if not isinstance(recipe, str | None) or not isinstance(options, dict) or "recipe" in options:
        return None
    try:
        return resolve(recipe, **options)
    except InputError:
        return None


def _runs(folders: Sequence[str | Path]) -> list[Run]:
    """Every complete run, the oldest first."""
    found = {path for folder in folders for path in Path(folder).rglob(SUMMARY) if path.with_name(CONFIG).is_file()}
    return [open_run(path.parent) for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def _same(values: dict[str, Any], config: TrainConfig, varied: Sequence[str] = ()) -> bool:
    kept = {key: value for key, value in vars(config).items() if key in SAME.difference(varied)}
    return all(values.get(key, value) == value for key, value in kept.items())
