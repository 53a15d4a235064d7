"""Training on few images, from fresh weights and from those of CIFAR-10, as a table in Markdown.

    python benchmarks/few_images.py --data-dir data --work work
    python benchmarks/few_images.py --table

The images are those of nine classes of Tiny-ImageNet, copied into folders of images: the first ones of each class to
train, the 50 of its validation set to test. The network, `snn7` at 32 pixels, is trained by the recipe cifar10_fast
with batches of 50, and in the same number of steps for every number of images. For each start, one run for each of
`RATES` on `CHOICE` images of each class finds the learning rate with the best accuracy on a fifth of the training
images, which it holds out. With it, three seeds are trained for each number of images, and evaluated once on the test
images after the last epoch.

Each run writes its figures to `RESULT`. A run whose figures are there is not trained again.
"""

import argparse
import json
import shutil
import statistics
from pathlib import Path

from clif import memory
from clif.files import write_content
from clif.train import fit, resolve

RESULT = Path(__file__).parent / "results" / "few_images.json"
WEIGHTS = Path(__file__).parent / "weights" / "cifar10_fast_seed0.safetensors"
CLASSES = tuple(
    f"n{number:08}" for number in (1698640, 1910747, 1944390, 1983481, 3255030, 4149813, 4417672, 7615774, 7873807)
)
STARTS = {
    "fresh weights": {},
    "cifar10_fast weights": {"pre_train": str(WEIGHTS), "whiten": False},
}
RATES = (0.06, 0.015, 0.00375)
SGD_FACTOR = 0.8 / 0.06
"""The recipe's rate of SGD by that of Muon."""
NUMBERS = {20: 5, 100: 1}
"""The training images of each class, and the factor of the recipe's epochs that makes the steps the same."""
CHOICE, SPLIT = 100, 0.2
SEEDS = (0, 1, 2)

Results = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="the folder of tiny-imagenet-200")
    parser.add_argument("--work", type=Path, default=Path("work"), help="where the images are copied and the runs made")
    parser.add_argument("--table", action="store_true", help="print the table of the committed figures")
    given = parser.parse_args()
    results = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    if not given.table:
        memory.keep()
        for start in STARTS:
            for rate in RATES:
                train(start, rate, 0, CHOICE, given.data_dir, given.work, results, SPLIT)
            for number in NUMBERS:
                for seed in SEEDS:
                    train(start, best_rate(start, results), seed, number, given.data_dir, given.work, results)
    print(*table(results), sep="\n")


def train(
    start: str, rate: float, seed: int, number: int, data_dir: Path, work: Path, results: Results, split: float = 0.0
) -> None:
    """Train a run and write the accuracy of its last epoch, on the held-out images if there are some."""
    key = name_of(start, rate, seed, number, split)
    if key in results:
        return
    images = work / f"images{number}"
    copy_images(data_dir / "tiny-imagenet-200", images, number)
    factor, epochs = NUMBERS[number], 22 * NUMBERS[number]
    options = {"epochs": epochs, "T_stages": f"1:{16 * factor},2:{4 * factor}", "warmup_epochs": 2.0 * factor}
    options |= {"lr": rate, "sgd_lr": rate * SGD_FACTOR, "seed": seed, "val_split": split, "b": 50}
    if split:
        steps = -(-round(number * len(CLASSES) * (1 - split)) // 50) * epochs
        options["max_steps"] = steps - 1  # ends before the test images are read
    config = resolve("cifar10_fast", dataset="images", data_dir=str(images), **options, **STARTS[start])
    figures = fit(config, folder=work / key.replace(":", "_")).summary["last"]
    results[key] = figures["val_top1" if split else "test_top1"]
    write_content(RESULT, json.dumps(results, indent=1) + "\n")


def name_of(start: str, rate: float, seed: int, number: int, split: float = 0.0) -> str:
    return f"{start.split()[0]}_{rate:g}_{number}_{'choice' if split else f'seed{seed}'}"


def best_rate(start: str, results: Results) -> float:
    return max(RATES, key=lambda rate: results[name_of(start, rate, 0, CHOICE, SPLIT)])


def copy_images(source: Path, target: Path, number: int) -> None:
    """Copy the images of `CLASSES` into `target`, unless they are there: train/CLASS/* and test/CLASS/*."""
    if target.is_dir():
        return
    new = target.with_suffix(".part")
    shutil.rmtree(new, ignore_errors=True)
    for name in CLASSES:
        found = sorted((source / "train" / name / "images").iterdir(), key=lambda path: int(path.stem.split("_")[1]))
        _copy(found[:number], new / "train" / name)
    rows = [row.split("\t") for row in (source / "val" / "val_annotations.txt").read_text().splitlines()]
    for name in CLASSES:
        _copy([source / "val" / "images" / row[0] for row in rows if row[1] == name], new / "test" / name)
    new.rename(target)


def _copy(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)


def table(results: Results) -> list[str]:
    rows = [("training images of each class", *STARTS), ("---:", *("---:" for _ in STARTS))]
    for number in NUMBERS:
        cells = []
        for start in STARTS:
            rate = best_rate(start, results)
            scores = [100 * results[name_of(start, rate, seed, number)] for seed in SEEDS]
            cells.append(f"{statistics.fmean(scores):.1f} ± {statistics.stdev(scores):.1f}")
        rows.append((str(number), *cells))
    return [f"| {' | '.join(cells)} |" for cells in rows]


if __name__ == "__main__":
    main()
