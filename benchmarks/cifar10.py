"""Accuracy against time on CIFAR-10, as a table and a figure, from folders of runs.

    python benchmarks/cifar10.py RUN... --out benchmarks/results/cifar10_fast.json
    python benchmarks/cifar10.py benchmarks/results/cifar10_fast.json --figure docs/images/cifar10_fast.svg

A run folder adds the results in its metrics.csv, config.yaml and environment.json; a file that was written before adds
its runs. Runs with one recipe on one kind of processor are one row: the mean and the standard deviation over the seeds
of the test accuracy after the last epoch, and the minutes of the fastest run, including evaluations, because other work
may have slowed the others. The figure shows the same as a dot with its deviation. Its line is the fastest run's
accuracy by minute on the images held out, or on those of the training if there are none.
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

HEADER = ("runs", "processor", "epochs", "seeds", "minutes, fastest run", "test accuracy, last epoch (%)")
LEFT_OUT = {"seed", "data_dir", "out_dir", "name", "resume", "pre_train", "j", "keep_last", "checkpoint_every"}
PARTS = {"val": "images held out", "train": "training images"}

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
        "processor": f"{last['machine']['processor'].strip()} with {last['machine']['instructions']}",
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
        minutes = fastest(members)["points"][-1]["minutes"]
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


def fastest(runs: Iterable[Run]) -> Run:
    return min(runs, key=lambda run: run["points"][-1]["minutes"])


def draw(runs: Iterable[Run]) -> Figure:
    """Accuracy by minute of the fastest run of each group, and the mean test accuracy at the end; one colour each."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, ((label, machine), members) in enumerate(groups(runs).items()):
        colour, points = f"C{number}", fastest(members)["points"]
        part = "val" if "val" in points[0] else "train"
        lines = [(point["minutes"], 100 * point[part]) for point in points]
        name = f"{label} ({machine}): {PARTS[part]}"
        scores = [100 * run["points"][-1]["test"] for run in members if "test" in run["points"][-1]]
        if scores:
            deviation = statistics.stdev(scores) if len(scores) > 1 else 0.0
            axes.errorbar(lines[-1][0], statistics.fmean(scores), deviation, fmt="o", capsize=3, color=colour)
            name += f"; dot: test images, seeds: {len(scores)}"
        axes.plot(*zip(*lines, strict=True), color=colour, label=name)
    axes.set_xlabel("minutes on two cores")
    axes.set_ylabel("accuracy (%)")
    axes.grid(alpha=0.25)
    figure.legend(frameon=False, loc="outside lower center", fontsize="small")
    return figure


if __name__ == "__main__":
    main()
