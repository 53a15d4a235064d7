"""The experiments of docs/small_experiments.md: train what is missing, keep the results, write the page's tables.

    python benchmarks/experiments.py --data-dir data --runs experiments [--only digits_neurons,nmnist_T]
    python benchmarks/experiments.py --render

Each experiment is one command of `clif experiment`, which continues after an interruption. Its results.json and table
go to benchmarks/results/experiments/NAME, its figure to docs/images/NAME.svg. --render trains nothing and writes the
tables from the stored results.
"""

import argparse
import json
import re
import shutil
from pathlib import Path

import torch

from clif.bench import machine
from clif.cli import main as clif
from clif.files import write_content

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "experiments"
PAGE = ROOT / "docs" / "small_experiments.md"
IMAGES = ROOT / "docs" / "images"
NEURONS = "--neurons CLIF,LIF,PLIF,ALIF,CLIFTau --seeds 0,1,2,3,4"
NMNIST = "nmnist_snn5 -b 32 --epochs 15 --T-max 15"
SWEEP = "nmnist_snn5 -b 32 --epochs 8 --T-max 8 --neurons CLIF,LIF --seeds 0,1,2"
EXPERIMENTS = {
    "digits_neurons": f"neurons digits {NEURONS}",
    "nmnist_neurons": f"neurons {NMNIST} {NEURONS}",
    "nmnist_window": f"bptt {SWEEP} --values 1,2,4,10",
    "nmnist_T": f"timesteps {SWEEP} --values 2,4,8,16",
    "cifar10_exchange": "exchange cifar10_snn5 --model snn4 --amp True -T 4 --epochs 6 --T-max 6 --values 3",
}
"""The arguments of `clif experiment` by name."""


def run(name: str, data_dir: str, runs: Path) -> None:
    """Train the missing runs of an experiment, and store its results."""
    code = clif(["experiment", *EXPERIMENTS[name].split(), "--data-dir", data_dir, "--out", str(runs / name)])
    if code:
        raise SystemExit(code)
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("results.json", "results.md"):
        shutil.copyfile(runs / name / file, folder / file)
    if (figure := runs / name / "figure.svg").is_file():
        shutil.copyfile(figure, IMAGES / f"{name}.svg")
    described = machine.describe(torch.device("cpu"), torch.get_num_threads())
    (folder / "machine.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def render() -> None:
    """Write the tables of the stored experiments into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, words in EXPERIMENTS.items():
        table = RESULTS / name / "results.md"
        if table.is_file():
            block = f"```\nclif experiment {words}\n```\n\n{table.read_text(encoding='utf-8').strip()}"
            begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
            new = f"{begin}\n{block}\n{end}"
            text, found = re.subn(f"{begin}.*?{end}", lambda _, new=new: new, text, flags=re.DOTALL)
            if found != 1:
                raise SystemExit(f"{PAGE}: the markers {begin} … {end} must be there once")
    write_content(PAGE, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--runs", type=Path, default=Path("experiments"), help="where the runs are made, and found")
    parser.add_argument("--only", default=",".join(EXPERIMENTS), metavar="NAME,…")
    parser.add_argument("--render", action="store_true", help="train nothing")
    given = parser.parse_args()
    if not given.render:
        for name in given.only.split(","):
            if name not in EXPERIMENTS:
                parser.error(f"unknown experiment {name}; there are {', '.join(EXPERIMENTS)}")
            run(name, given.data_dir, given.runs)
    render()


if __name__ == "__main__":
    main()
