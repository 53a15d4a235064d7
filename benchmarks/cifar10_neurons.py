"""Neurons compared on CIFAR-10, as a table in Markdown.

    python benchmarks/cifar10_neurons.py --data-dir data --runs runs [--neurons CLIF,LIF]
    python benchmarks/cifar10_neurons.py --table

Every neuron is trained by the recipe cifar10_fast, shortened to the epochs of `STAGES`. One run for each of `RATES`,
without the epoch of most time steps and without the test set, finds the learning rate with the best accuracy on the
validation split. With it, three seeds are trained on all training images, and evaluated once on the test set after the
last epoch. ReLU has no state, so its outputs are the same at every step, and one step is enough. Firing rates and
energy are those of `clif energy` on 1,000 test images.

Each run writes its figures to a file of `RESULTS`. A run whose file is there is not trained again, and an interrupted
run continues. Several processes may train different neurons.
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

RESULTS = Path(__file__).parent / "results" / "cifar10_neurons"
NEURONS = ("CLIF", "LIF", "PLIF", "ALIF", "ReLU")
RATES = (0.06, 0.12, 0.24)
SEEDS = (0, 1, 2)
STAGES = ((1, 2), (2, 1), (4, 1))
SPLIT, RATED = 0.1, 1000
HEADER = ("neuron", "rate", "test accuracy (%)", "CLIF leads by (points)", "firing rate (%)", "µJ an image")

Result = dict[str, Any]
Stages = tuple[tuple[int, int], ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are made, and found again")
    parser.add_argument("--neurons", default=",".join(NEURONS), metavar="NAME,…", help="the neurons to train")
    parser.add_argument("--table", action="store_true", help="print the table of the neurons with all runs")
    given = parser.parse_args()
    if not given.table:
        unknown = set(given.neurons.split(",")) - set(NEURONS)
        if unknown:
            parser.error(f"unknown neurons {', '.join(sorted(unknown))}; there are {', '.join(NEURONS)}")
        memory.keep()
        for neuron in given.neurons.split(","):
            measure(neuron, given.data_dir, given.runs)
    print(*table(results()), sep="\n")


def measure(neuron: str, data_dir: str, runs: Path) -> None:
    """Train the missing runs of a neuron: one for each rate, then every seed at the best rate."""
    for rate in RATES:
        train(neuron, rate, 0, data_dir, runs, SPLIT)
    for seed in SEEDS:
        train(neuron, best_rate(neuron), seed, data_dir, runs)


def best_rate(neuron: str) -> float:
    return max(RATES, key=lambda rate: read(neuron, rate, 0, SPLIT)["val_top1"])


def name_of(neuron: str, rate: float, seed: int, split: float = 0.0) -> str:
    return f"{neuron}_{rate:g}_{'choice' if split else f'seed{seed}'}"


def read(neuron: str, rate: float, seed: int, split: float = 0.0) -> Result:
    """The figures of a complete run. Raises FileNotFoundError if there are none."""
    return json.loads((RESULTS / f"{name_of(neuron, rate, seed, split)}.json").read_text())


def train(neuron: str, rate: float, seed: int, data_dir: str, runs: Path, split: float = 0.0) -> None:
    """Train a run and write its figures; with a validation split it ends before the test set is read."""
    name = name_of(neuron, rate, seed, split)
    if (RESULTS / f"{name}.json").is_file():
        return
    options = schedule(neuron, STAGES[:-1] if split else STAGES)
    options |= {"neuron": neuron, "seed": seed, "lr": rate, "data_dir": data_dir, "val_split": split}
    config = resolve("cifar10_fast", **options)
    if split:
        steps = -(-round(50_000 * (1 - split)) // config.b) * config.epochs
        config = resolve("cifar10_fast", **options, max_steps=steps - 1)
    if (runs / name / "checkpoint_last.pth").is_file():
        config.resume = str(runs / name)
    print(name, flush=True)
    figures = fit(config, folder=runs / name).summary["last"]
    if not split:
        loader = create_loader("cifar10", data_dir, train=False, batch_size=250, limit=RATED)
        energy = estimate(clif.load(runs / name), loader)
        figures |= {"firing_rates": energy.firing_rates, "microjoule": energy.microjoule}
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_content(RESULTS / f"{name}.json", json.dumps(figures, indent=1) + "\n")


def schedule(neuron: str, stages: Stages) -> dict[str, Any]:
    """The options that train for these pairs of time steps and epochs."""
    epochs = sum(length for _, length in stages)
    steps = ",".join(f"{T}:{length}" for T, length in stages[:-1])
    growing = {"T": 1, "T_stages": ""} if neuron == "ReLU" else {"T": stages[-1][0], "T_stages": steps}
    return {"epochs": epochs, "warmup_epochs": 1.0} | growing


def results() -> list[Result]:
    """The test accuracies, firing rates and energies of the neurons with all runs."""
    complete = []
    for neuron in NEURONS:
        try:
            rate = best_rate(neuron)
            ends = [read(neuron, rate, seed) for seed in SEEDS]
        except FileNotFoundError:
            continue
        columns = {key: [end[key] for end in ends] for key in ("test_top1", "firing_rates", "microjoule")}
        complete.append({"neuron": neuron, "rate": rate} | columns)
    return complete


def table(results: list[Result]) -> list[str]:
    ours = next((result["test_top1"] for result in results if result["neuron"] == "CLIF"), [])
    rows = []
    for result in results:
        scores = [100 * score for score in result["test_top1"]]
        ahead = [100 * (a - b) for a, b in zip(ours, result["test_top1"], strict=True)] if ours else []
        rates = [statistics.fmean(by_layer.values()) for by_layer in result["firing_rates"] if by_layer]
        rows.append(
            (
                result["neuron"],
                f"{result['rate']:g}",
                spread(scores),
                spread(ahead) if ahead and result["neuron"] != "CLIF" else "",
                f"{100 * statistics.fmean(rates):.1f}" if rates else "–",
                f"{statistics.fmean(result['microjoule']):.0f}",
            )
        )
    return [f"| {' | '.join(cells)} |" for cells in (HEADER, ["---"] + ["---:"] * 5, *rows)]


def spread(values: list[float]) -> str:
    single = ", ".join(f"{value:.2f}" for value in values)
    return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f} ({single})".replace("-", "−")


if __name__ == "__main__":
    main()
