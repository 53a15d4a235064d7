"""Neurons compared on CIFAR-10, as a table in Markdown.

    python benchmarks/cifar10_neurons.py --data-dir data --runs runs --out benchmarks/results/cifar10_neurons.json
    python benchmarks/cifar10_neurons.py --table benchmarks/results/cifar10_neurons.json

Every neuron is trained by the recipe cifar10_fast, shortened to `EPOCHS` with fewer time steps at first. One run for
each of `RATES`, without the test set, finds the learning rate with the best accuracy on the validation split. With it,
three seeds are trained on all training images, and evaluated once on the test set after the last epoch. Interrupted
runs continue, complete runs are read. Firing rates and energy are those of `clif energy` on 1,000 test images.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import clif
from clif import memory
from clif.data import create_loader
from clif.energy import estimate
from clif.files import write_content
from clif.train import fit, resolve

NEURONS = ("CLIF", "LIF", "PLIF", "ALIF", "ReLU")
RATES = (0.015, 0.03, 0.06)
SEEDS = (0, 1, 2)
EPOCHS, STAGES = 6, "1:4,2:1"
SPLIT, RATED = 0.1, 1000
HEADER = ("neuron", "rate", "test accuracy (%)", "CLIF leads by (points)", "firing rate (%)", "µJ an image")

Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are made, and found again")
    parser.add_argument("--out", type=Path, help="write what was measured")
    parser.add_argument("--table", type=Path, help="print the table of a file that was written before, train nothing")
    given = parser.parse_args()
    if given.table:
        results = json.loads(given.table.read_text())
    else:
        memory.keep()
        results = [measure(neuron, given.data_dir, given.runs) for neuron in NEURONS]
    if given.out:
        write_content(given.out, json.dumps(results, indent=1))
    print(*table(results), sep="\n")


def measure(neuron: str, data_dir: str, runs: Path) -> Result:
    """The rates that were tried and, at the best one, accuracies by seed, firing rate and energy."""
    tried = {rate: train(neuron, rate, 0, data_dir, runs, SPLIT)["val_top1"] for rate in RATES}
    best = max(tried, key=lambda rate: tried[rate])
    ends = [train(neuron, best, seed, data_dir, runs) for seed in SEEDS]
    loader = create_loader("cifar10", data_dir, train=False, batch_size=250, limit=RATED)
    energies = [estimate(clif.load(folder_of(neuron, best, seed, runs)), loader) for seed in SEEDS]
    return {
        "neuron": neuron,
        "validation": {str(rate): score for rate, score in tried.items()},
        "rate": best,
        "test_top1": [end["test_top1"] for end in ends],
        "firing_rates": [energy.firing_rates for energy in energies],
        "microjoule": [energy.microjoule for energy in energies],
    }


def folder_of(neuron: str, rate: float, seed: int, runs: Path, split: float = 0.0) -> Path:
    return runs / f"{neuron}_{rate:g}_{'choice' if split else f'seed{seed}'}"


def train(neuron: str, rate: float, seed: int, data_dir: str, runs: Path, split: float = 0.0) -> dict[str, float]:
    """The figures of the last epoch of a run; with a validation split it ends before the test set is read."""
    folder = folder_of(neuron, rate, seed, runs, split)
    if (folder / "summary.json").is_file():
        return json.loads((folder / "summary.json").read_text())["last"]
    options: dict[str, Any] = {"neuron": neuron, "T_stages": STAGES, "epochs": EPOCHS, "seed": seed, "lr": rate}
    options |= {"warmup_epochs": 1.0, "data_dir": data_dir, "val_split": split}
    config = resolve("cifar10_fast", **options)
    if split:
        steps = -(-round(50_000 * (1 - split)) // config.b) * EPOCHS
        config = resolve("cifar10_fast", **options, max_steps=steps - 1)
    if (folder / "checkpoint_last.pth").is_file():
        config.resume = str(folder)
    print(f"{neuron}, rate {rate:g}, {'choice' if split else f'seed {seed}'}", flush=True)
    return fit(config, folder=folder).summary["last"]


def table(results: list[Result]) -> list[str]:
    ours = next(result for result in results if result["neuron"] == "CLIF")["test_top1"]
    rows = []
    for result in results:
        scores = [100 * score for score in result["test_top1"]]
        ahead = [100 * (a - b) for a, b in zip(ours, result["test_top1"], strict=True)]
        rates = [statistics.fmean(by_layer.values()) for by_layer in result["firing_rates"] if by_layer]
        rows.append(
            (
                result["neuron"],
                f"{result['rate']:g}",
                spread(scores),
                "" if result["neuron"] == "CLIF" else spread(ahead),
                f"{100 * statistics.fmean(rates):.1f}" if rates else "–",
                f"{statistics.fmean(result['microjoule']):.0f}",
            )
        )
    return [f"| {' | '.join(cells)} |" for cells in (HEADER, ["---"] + ["---:"] * 5, *rows)]


def spread(values: list[float]) -> str:
    single = ", ".join(f"{value:.2f}" for value in values)
    return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f} ({single})"


if __name__ == "__main__":
    main()
