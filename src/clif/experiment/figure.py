"""The figure of an experiment: accuracy over what it varies, or, of an exchange, the loss over the epochs."""

import csv
import statistics
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clif.analysis.plotting import tidy
from clif.errors import InputError
from clif.experiment.plan import KINDS
from clif.experiment.results import ArmResult, Results

SUFFIXES = (".svg", ".pdf", ".png")
SIZE = (4.2, 3.0)


def plot(results: Results, ax: Axes | None = None) -> Axes:
    """Draw the experiment and return the Axes.

    A kind with an axis has a curve for each neuron, mean ± std over the seeds; an exchange has the training loss over
    the epochs instead. Raises `InputError` for a kind of neither sort.

    >>> plan = clif.experiment.make_plan("timesteps", neurons=["LIF"], values=[1, 2], seeds=[0])
    >>> arms = [clif.experiment.ArmResult(arm, [0], [0.5], [15], ["a"]) for arm in plan.arms]
    >>> clif.experiment.plot(clif.experiment.Results(plan, "test", arms)).get_xlabel()
    'time steps T'
    """
    axis = KINDS[results.plan.kind].axis
    if axis is None:
        raise InputError(f"an experiment {results.plan.kind} has no axis to draw its accuracies over")
    axes = Figure(figsize=SIZE, layout="constrained").subplots() if ax is None else ax
    if results.plan.kind == "exchange":
        _losses(results, axes)
    else:
        _accuracies(results, axis, axes)
    axes.legend(frameon=False)
    return axes


def save(results: Results, folder: Path) -> list[Path]:
    """Draw the experiment into `folder` as figure.svg, figure.pdf and figure.png, and return the paths."""
    figure = Figure(figsize=SIZE, layout="constrained")
    plot(results, figure.subplots())
    paths = [folder / f"figure{suffix}" for suffix in SUFFIXES]
    for path in paths:
        figure.savefig(path, dpi=200)
    return paths


def _accuracies(results: Results, axis: str, axes: Axes) -> None:
    for curve in dict.fromkeys(result.arm.curve for result in results.arms):
        points = sorted(
            (
                (result.arm.x, result)
                for result in results.arms
                if result.arm.curve == curve and result.arm.x is not None
            ),
            key=lambda point: point[0],
        )
        axes.errorbar(
            [x for x, _ in points],
            [100 * point.mean for _, point in points],
            [100 * (point.std or 0.0) for _, point in points],
            marker="o",
            markersize=4,
            capsize=2,
            label=curve,
        )
    tidy(axes, _seeds("mean ± std", results), axis, f"{results.part} accuracy (%)")


def _losses(results: Results, axes: Axes) -> None:
    for result in results.arms:
        losses = _mean_losses(result)
        axes.plot(range(1, len(losses) + 1), losses, label=result.arm.name)
        if result.arm.x is not None:
            axes.axvline(result.arm.x + 0.5, color="0.7", linewidth=0.8, linestyle=":")
    tidy(
        axes,
        f"mean of {len(results.plan.seeds)} seeds" if len(results.plan.seeds) > 1 else "one seed",
        "epoch",
        "train loss",
    )


def _seeds(what: str, results: Results) -> str:
    number = len(results.plan.seeds)
    return f"{what} of {number} seeds" if number > 1 else "one seed"


def _mean_losses(result: ArmResult) -> list[float]:
    """The training loss of every epoch, the mean over the seeds. Raises `InputError` for a file without it."""
    by_seed = [_column(Path(folder) / "metrics.csv", "train_loss") for folder in result.folders]
    return [statistics.fmean(losses) for losses in zip(*by_seed, strict=False)]


def _column(path: Path, name: str) -> list[float]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
        return [float(row[name]) for row in rows]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: the {name} of each epoch cannot be read ({error!r})") from error
