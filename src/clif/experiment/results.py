"""The results of an experiment: the last epoch's accuracy of each arm, and the differences of the arms seed by seed."""

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clif.errors import InputError
from clif.experiment.plan import Arm, Plan, PlannedRun
from clif.report.exports import table_files, write_files
from clif.report.runs import PARTS, open_run
from clif.report.statistics import Mean, holm, mean_of, paired_test
from clif.report.tables import Cell, Table, mean, p_value, words


@dataclass(frozen=True)
class ArmResult:
    """An arm with the accuracy (0 to 1), the training losses by epoch and the folder of each seed's run.

    >>> arm = clif.experiment.make_plan("neurons").arms[0]
    >>> clif.experiment.ArmResult(arm, [0, 1], [0.5, 0.75], [[2.0], [1.0]], ["a", "b"]).accuracy.mean
    0.625
    """

    arm: Arm
    seeds: list[int]
    accuracies: list[float]
    losses: list[list[float]]
    folders: list[str]

    @property
    def accuracy(self) -> Mean:
        """Mean and sample standard deviation over the seeds."""
        return _mean(self.accuracies)


@dataclass(frozen=True)
class Results:
    """An experiment's arms in order, evaluated on `part` ("test", "val" or "train") after the last epoch.

    >>> plan = clif.experiment.make_plan("neurons", neurons=["CLIF", "LIF"], seeds=[0, 1])
    >>> made = zip(plan.arms, ([0.5, 0.75], [0.25, 0.5]))
    >>> arms = [clif.experiment.ArmResult(arm, [0, 1], top1, [[1.0], [1.0]], ["a", "b"]) for arm, top1 in made]
    >>> results = clif.experiment.Results(plan, "test", arms)
    >>> results.differences(results.arms[1])
    [0.25, 0.25]
    """

    plan: Plan
    part: str
    arms: list[ArmResult]

    def compared_with(self, arm: ArmResult) -> ArmResult | None:
        """The arm with which `arm` is compared: the first, or on several curves that of the first curve at the same x.

        None for the arms with which others are compared.
        """
        first = self.arms[0]
        if not self._by_position():
            return None if arm is first else first
        same = (one for one in self.arms if one.arm.curve == first.arm.curve and one.arm.x == arm.arm.x)
        return None if arm.arm.curve == first.arm.curve else next(same)

    def differences(self, arm: ArmResult) -> list[float]:
        """The accuracies of the arm with which `arm` is compared minus those of `arm`, by seed. [] for None."""
        other = self.compared_with(arm)
        return [] if other is None else [a - b for a, b in zip(other.accuracies, arm.accuracies, strict=True)]

    def p_values(self) -> list[float]:
        """The p-value of each arm: t-test paired over the seeds, Holm's correction. NaN without a test."""
        return holm([self._p_value(result) for result in self.arms])

    def table(self) -> Table:
        """One row per arm: accuracy in % and the lead over it in points (`differences`), mean ± std over the seeds."""
        first = self.arms[0]
        columns = [self.plan.kind, "seeds", f"{self.part} accuracy (%)"]
        rows = [[words(one.arm.name), _count(one), mean(one.accuracy, scale=100)] for one in self.arms]
        if len(self.arms) == 1:
            return Table("results", "Results", columns, rows)
        for row, result, p in zip(rows, self.arms, self.p_values(), strict=True):
            leads = self.differences(result)
            row += [mean(_mean(leads), scale=100, sign=True), p_value(p)] if leads else [Cell(""), Cell("")]
        name = first.arm.curve if self._by_position() else first.arm.name
        return Table("results", "Results", [*columns, f"{name} leads by (points)", "p"], rows)

    def _by_position(self) -> bool:
        return all(one.arm.x is not None for one in self.arms) and len({one.arm.curve for one in self.arms}) > 1

    def _p_value(self, arm: ArmResult) -> float:
        other = self.compared_with(arm)
        if other is None:
            return math.nan
        one, two = (dict(zip(result.seeds, result.accuracies, strict=True)) for result in (arm, other))
        return paired_test(one, two).p

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; folders of runs are relative to the experiment's."""
        folder = os.path.realpath(self.plan.folder)
        return {
            "kind": self.plan.kind,
            "recipe": self.plan.recipe,
            "options": self.plan.options,
            "part": self.part,
            "arms": [
                {
                    **dataclasses.asdict(result),
                    "folders": [Path(os.path.relpath(run, folder)).as_posix() for run in result.folders],
                }
                for result in self.arms
            ],
        }

    def write(self) -> list[Path]:
        """Write results.json, .csv, .tex and .md into the experiment's folder, and return the paths."""
        return write_table(self.plan.folder, self.table(), self.as_dict())


def write_table(folder: Path, table: Table, content: object) -> list[Path]:
    """Write `content` as NAME.json and the table as NAME.csv, .tex and .md, and return the paths."""
    files = {"json": (json.dumps(content, indent=1) + "\n").encode(), **table_files(table)}
    write_files(folder, {table.name: files})
    return [folder / f"{table.name}.{ending}" for ending in files]


def collect(plan: Plan, runs: Sequence[PlannedRun]) -> Results:
    """The results of complete runs. Raises `InputError` if one is not complete, and names a file that is damaged.

    >>> plan = clif.experiment.make_plan("neurons", "digits", ["CLIF"], seeds=[0], T=1, max_steps=2)
    >>> results = clif.experiment.collect(plan, clif.experiment.train_all(plan, quiet=True))
    >>> results.part, results.arms[0].seeds, len(results.arms[0].losses[0])
    ('test', [0], 1)
    """
    missing = [run.label for run in runs if not run.is_complete()]
    if missing:
        raise InputError(f"{plan.folder}: not complete: {'; '.join(missing)}")
    made = {(run.arm.name, run.config.seed): open_run(run.folder) for run in runs}
    part = next((part for part in PARTS if all(f"{part}_top1" in run.last for run in made.values())), None)
    if part is None:
        raise InputError(f"{plan.folder}: the runs' last epochs have no common accuracy column in their metrics.csv")
    arms = []
    for arm in plan.arms:
        own = [made[arm.name, seed] for seed in plan.seeds]
        losses = [[row["train_loss"] for row in run.rows if "train_loss" in row] for run in own]
        accuracies = [run.last[f"{part}_top1"] for run in own]
        arms.append(ArmResult(arm, list(plan.seeds), accuracies, losses, [str(run.folder) for run in own]))
    return Results(plan, part, arms)


def _mean(values: Sequence[float]) -> Mean:
    found = mean_of(values)
    assert found is not None
    return found


def _count(result: ArmResult) -> Cell:
    return Cell(str(len(result.seeds)), float(len(result.seeds)))
