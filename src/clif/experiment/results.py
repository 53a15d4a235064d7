"""What an experiment gave: the last epoch's accuracy of each arm with the differences between arms, seed by seed."""

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from clif.errors import InputError
from clif.experiment.plan import Arm, Plan, Run
from clif.files import write_atomically
from clif.report.statistics import holm, paired_test

PARTS = ("test", "val", "train")


@dataclass(frozen=True)
class ArmResult:
    """An arm: its accuracies (0 to 1) in the order of `seeds`, and the epochs that each run had.

    >>> arm = clif.experiment.make_plan("neurons").arms[0]
    >>> result = clif.experiment.ArmResult(arm, [0, 1], [0.5, 0.75], [15, 15], ["a", "b"])
    >>> result.mean, round(result.std, 4)
    (0.625, 0.1768)
    """

    arm: Arm
    seeds: list[int]
    accuracies: list[float]
    epochs: list[int]
    folders: list[str]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracies)

    @property
    def std(self) -> float | None:
        """The sample standard deviation over the seeds; None for one seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None


@dataclass(frozen=True)
class Results:
    """An experiment's arms in their order, judged on `part` ("test", "val" or "train") after the last epoch.

    >>> plan = clif.experiment.make_plan("neurons", neurons=["CLIF", "LIF"], seeds=[0, 1])
    >>> made = zip(plan.arms, ([0.5, 0.75], [0.25, 0.5]))
    >>> arms = [clif.experiment.ArmResult(arm, [0, 1], top1, [15, 15], ["a", "b"]) for arm, top1 in made]
    >>> results = clif.experiment.Results(plan, "test", arms)
    >>> results.differences(results.arms[1])
    [0.25, 0.25]
    """

    plan: Plan
    part: str
    arms: list[ArmResult]

    def differences(self, arm: ArmResult) -> list[float]:
        """The accuracies of the first arm less those of `arm`, by seed."""
        return [first - other for first, other in zip(self.arms[0].accuracies, arm.accuracies, strict=True)]

    def p_values(self) -> list[float]:
        """Of each arm but the first by a t-test paired over the seeds, after Holm's correction; NaN without a test."""
        first, *others = (dict(zip(result.seeds, result.accuracies, strict=True)) for result in self.arms)
        return holm([paired_test(other, first).p for other in others])

    def rows(self) -> list[list[str]]:
        """The table, its header first; accuracies and differences in % and points, mean ± std over the seeds."""
        first, *others = self.arms
        header = [self.plan.kind, "seeds", f"{self.part} accuracy (%)"]
        row = [first.arm.name, str(len(first.seeds)), spread(first.accuracies)]
        if not others:
            return [header, row]
        rows = [[*header, f"{first.arm.name} leads by (points)", "p"], [*row, "", ""]]
        for result, p in zip(others, self.p_values(), strict=True):
            row = [result.arm.name, str(len(result.seeds)), spread(result.accuracies)]
            rows.append([*row, spread(self.differences(result)), "" if math.isnan(p) else f"{p:.2g}"])
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "kind": self.plan.kind,
            "recipe": self.plan.recipe,
            "options": self.plan.values,
            "part": self.part,
            "arms": [
                {**dataclasses.asdict(result), "mean": result.mean, "std": result.std, "arm": result.arm.name}
                | {"curve": result.arm.curve, "x": result.arm.x, "options": result.arm.options}
                for result in self.arms
            ],
        }

    def write(self) -> list[Path]:
        """Write results.json and results.md into the experiment's folder."""
        return write_table(self.plan.folder, "results", self.as_dict(), self.rows())


def write_table(folder: Path, name: str, content: object, rows: list[list[str]]) -> list[Path]:
    """Write `content` as NAME.json and `rows` as NAME.md, and return both paths."""
    texts = {folder / f"{name}.json": json.dumps(content, indent=1) + "\n", folder / f"{name}.md": markdown(rows)}
    for path, text in texts.items():
        write_atomically(path, partial(_write, text))
    return list(texts)


def _write(text: str, file: BinaryIO) -> None:
    file.write(text.encode())


def spread(values: Sequence[float]) -> str:
    """Fractions as "91.23 ± 0.12", in %, with the sample standard deviation where there are two or more."""
    mean = f"{100 * statistics.fmean(values):.2f}"
    return mean if len(values) < 2 else f"{mean} ± {100 * statistics.stdev(values):.2f}"


def markdown(rows: list[list[str]]) -> str:
    """A table, its header first, in Markdown."""
    lines = [rows[0], ["---"] + ["---:"] * (len(rows[0]) - 1), *rows[1:]]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def collect(plan: Plan, runs: Sequence[Run]) -> Results:
    """The results of complete runs. Raises `InputError` if one is not complete or they were judged on other parts.

    >>> plan = clif.experiment.make_plan("neurons", "digits", ["CLIF"], seeds=[0], T=1, max_steps=2)
    >>> results = clif.experiment.collect(plan, clif.experiment.train_all(plan, quiet=True))
    >>> results.part, results.arms[0].seeds, results.arms[0].epochs
    ('test', [0], [1])
    """
    missing = [run.label for run in runs if not run.is_complete()]
    if missing:
        raise InputError(f"{plan.folder}: not complete: {'; '.join(missing)}")
    last = {(run.arm.name, run.config.seed): run.summary()["last"] for run in runs}
    part = next(part for part in PARTS if all(f"{part}_top1" in figures for figures in last.values()))
    folders = {(run.arm.name, run.config.seed): str(run.folder) for run in runs}
    arms = []
    for arm in plan.arms:
        keys = [(arm.name, seed) for seed in plan.seeds]
        arms.append(
            ArmResult(
                arm,
                list(plan.seeds),
                [last[key][f"{part}_top1"] for key in keys],
                [last[key]["epoch"] + 1 for key in keys],
                [folders[key] for key in keys],
            )
        )
    return Results(plan, part, arms)
