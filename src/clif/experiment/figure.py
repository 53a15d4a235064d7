"""The figure of an experiment: accuracy over the varied option or, for an exchange, the loss over the epochs."""

import math
from pathlib import Path

from clif.errors import InputError
from clif.experiment.plan import KINDS
from clif.experiment.results import ArmResult, Results
from clif.report.charts import Chart, Line, chart_csv, draw
from clif.report.content import Picture
from clif.report.exports import figure_files, write_files


def chart_of(results: Results) -> Chart:
    """The chart of an experiment, as `clif.report` draws it: means over the seeds, bands of one standard deviation.

    A kind with an axis has one line for each neuron; an exchange shows the training loss over the epochs instead.
    Raises `InputError` for other kinds.

    >>> plan = clif.experiment.make_plan("timesteps", neurons=["LIF"], values=[1, 2], seeds=[0])
    >>> arms = [clif.experiment.ArmResult(arm, [0], [0.5], [[1.0]], ["a"]) for arm in plan.arms]
    >>> clif.experiment.chart_of(clif.experiment.Results(plan, "test", arms)).x_label
    'time steps T'
    """
    axis = KINDS[results.plan.kind].axis
    if axis is None:
        raise InputError(f"an experiment {results.plan.kind} has no values for the x-axis of a figure")
    if results.plan.kind == "exchange":
        epochs = max(len(losses) for result in results.arms for losses in result.losses)
        padded = [[[*of_run, *[math.nan] * (epochs - len(of_run))] for of_run in arm.losses] for arm in results.arms]
        lines = [Line(i, arm.arm.name, dict(enumerate(padded[i]))) for i, arm in enumerate(results.arms)]
        return Chart("figure", "Training loss", "epoch", "loss", [float(i + 1) for i in range(epochs)], lines)
    values = sorted({result.arm.x for result in results.arms if result.arm.x is not None})
    lines = [
        Line(i, curve, _by_seed([result for result in results.arms if result.arm.curve == curve]))
        for i, curve in enumerate(dict.fromkeys(result.arm.curve for result in results.arms))
    ]
    return Chart("figure", "Accuracy", axis, f"{results.part} accuracy (%)", list(values), lines)


def _by_seed(points: list[ArmResult]) -> dict[int, list[float]]:
    """The accuracies of each seed in %, in the order of x."""
    ordered = sorted(points, key=lambda result: result.arm.x or 0.0)
    return {k: [100 * point.accuracies[k] for point in ordered] for k in range(len(ordered[0].seeds))}


def picture_of(results: Results) -> Picture:
    """The chart as a picture of a page."""
    chart = chart_of(results)
    names = [f"seed {seed}" for seed in results.plan.seeds]
    caption = f"Mean ± sample standard deviation over {len(names)} seeds." if len(names) > 1 else "One seed."
    return Picture("figure", chart.title, chart.describe(), caption, draw(chart), chart_csv(chart, names))


def save(results: Results) -> list[Path]:
    """Write figure.svg, .pdf, .png and .csv into the experiment's folder, and return the paths."""
    picture, folder = picture_of(results), results.plan.folder
    files = {**figure_files(picture.figure), "csv": picture.csv.encode()}
    write_files(folder, {picture.name: files})
    return [folder / f"{picture.name}.{ending}" for ending in files]
