"""Accuracy against time on CIFAR-10, as a table and a figure, from folders of runs.

    python benchmarks/cifar10.py RUN... --out benchmarks/results/cifar10_fast.json
    python benchmarks/cifar10.py benchmarks/results/cifar10_fast.json --figure docs/images/cifar10_fast.svg

A run folder adds the results in its metrics.csv, config.yaml and environment.json; a file that was written before adds
its runs. Runs with one recipe on one kind of processor are one row: the mean and the standard deviation over the seeds
of the test accuracy after the last epoch, and the minutes, including evaluations. A run with a validation split is a
line in the figure, its accuracy there by minute; a run without one is a point, its test accuracy at the end.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from clif.files import write_atomically, write_content

HEADER = ("runs", "processor", "epochs", "seeds", "minutes", "test accuracy, last epoch (%)")
LEFT_OUT = {"seed", "data_dir", "out_dir", "name", "resume", "pre_train", "j", "keep_last", "checkpoint_every"}

Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path, help="folders of runs, or files written by --out")
    parser.add_argument("--label", default="", help="what to call the runs of the folders given")
    parser.add_argument("--out", type=Path, help="write all runs, those of the files included")
    parser.add_argument("--figure", type=Path, help="draw accuracy against time (.svg, .png or .pdf)")
    given = parser.parse_args()
    runs: list[Run] = []
    for source in given.sources:
        runs += [read_run(source, given.label)] if source.is_dir() else json.loads(source.read_text())
    if given.out:
        write_content(given.out, json.dumps(runs, indent=1))
    print(*table(runs), sep="\n")
    if given.figure:
        save = partial(draw(runs).savefig, format=given.figure.suffix[1:])
        write_atomically(given.figure, save)


def read_run(folder: Path, label: str) -> Run:
    """The results of a run: its options, its machine, and the minutes and accuracies after each epoch."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    environments = json.loads((folder / "environment.json").read_text())
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    minutes, points = 0.0, []
    for row in rows:
        minutes += sum(float(value) for key, value in row.items() if key.endswith("_seconds") and value) / 60
        scores = {part: float(row[f"{part}_top1"]) for part in ("train", "val", "test") if row.get(f"{part}_top1")}
        points.append({"epoch": int(row["epoch"]) + 1, "minutes": round(minutes, 2), **scores})
    last = environments[-1]
    return {
        "label": label or config["name"] or folder.name,
        "seed": config["seed"],
        "config": {key: value for key, value in config.items() if key not in LEFT_OUT},
        "processor": last["machine"]["processor"].strip(),
        "precision": last["precision"]["computed_in"],
        "starts": len(environments),
        "commit": last["git"]["clif"],
        "points": points,
    }


def groups(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """Runs by label and machine."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run["label"], f"{run['processor']}, {run['precision']}"), []).append(run)
    return found


def table(runs: Iterable[Run]) -> list[str]:
    rows = []
    for (label, machine), members in groups(runs).items():
        ends = [run["points"][-1] for run in members]
        scores = [100 * end["test"] for end in ends if "test" in end]
        seeds = ", ".join(str(run["seed"]) for run in members)
        minutes = statistics.fmean(end["minutes"] for end in ends)
        shown = [mean_and_deviation(scores)] if scores else [validation(ends)]
        rows.append((label, machine, str(ends[0]["epoch"]), seeds, f"{minutes:.0f}", *shown))
    return [f"| {' | '.join(cells)} |" for cells in (HEADER, ["---"] * 4 + ["---:"] * 2, *rows)]


def mean_and_deviation(scores: list[float]) -> str:
    single = ", ".join(f"{score:.2f}" for score in scores)
    if len(scores) < 2:
        return single
    return f"{statistics.fmean(scores):.2f} ± {statistics.stdev(scores):.2f} ({single})"


def validation(ends: list[dict[str, float]]) -> str:
    return "validation " + ", ".join(f"{100 * end['val']:.2f}" for end in ends)


def draw(runs: Iterable[Run]) -> Figure:
    """Validation accuracy by minute as lines, test accuracy at the end as dots; one colour per group."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for number, ((label, machine), members) in enumerate(groups(runs).items()):
        colour, name = f"C{number}", f"{label} ({machine})"
        for run in members:
            lines = [(point["minutes"], 100 * point["val"]) for point in run["points"] if "val" in point]
            if lines:
                axes.plot(*zip(*lines, strict=True), color=colour, label=name)
                name = ""
            if "test" in (end := run["points"][-1]):
                axes.plot(end["minutes"], 100 * end["test"], "o", color=colour, label=name)
                name = ""
    axes.set_xlabel("minutes on two cores")
    axes.set_ylabel("accuracy (%)")
    axes.set_title("Lines: held-out images, dots: test images at the end", fontsize="medium")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    main()
