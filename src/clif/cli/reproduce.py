"""Show a row of the paper: its numbers, its command, and your runs that repeat it.

Without a row it lists all rows. It looks for runs in ./logs and ./experiments, or in the folders of --runs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clif.cli.common import Parser, print_entry
from clif.errors import MissingFileError

if TYPE_CHECKING:
    from clif.experiment.reproduce import Row

PLACES = ("logs", "experiments")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("row", nargs="?", help="the name of a row; without it list the rows")
    parser.add_argument("--runs", nargs="+", metavar="FOLDER", help="folders with runs (default: logs experiments)")


def run(arguments: argparse.Namespace) -> int:
    from clif.experiment.reproduce import find_row, list_rows

    if arguments.row is None:
        rows = list_rows()
        width = max(map(len, rows))
        for name, row in rows.items():
            print_entry(f"{name:<{width}}  ", row.title)
        return 0
    row = find_row(arguments.row)
    places = arguments.runs if arguments.runs is not None else [place for place in PLACES if Path(place).is_dir()]
    for place in places:
        if not Path(place).is_dir():
            raise MissingFileError(f"no folder at {place}")
    print(row.title)
    for neuron, accuracies in row.paper.items():
        figures = ", ".join(f"{name} {value:.2f} %" for name, value in zip(row.columns, accuracies, strict=True))
        print(
            f"paper ({row.source}), {neuron}: {figures}; {row.epochs} epochs, one seed, the best epoch on the test set"
        )
    print(f"the original's command: {row.original or 'none is given'}")
    print(f"ours: {row.ours}")
    for line in found(row, places):
        print(line)
    return 0


def found(row: "Row", places: Sequence[str]) -> list[str]:
    """One line for each result found."""
    from clif.experiment.reproduce import find_experiments, find_runs

    if row.kind:
        lines = []
        name = "deployment.md" if row.kind == "deployment" else "results.md"
        for path in (folder / name for folder in find_experiments(row, places)):
            if path.is_file():  # it is missing after an interruption
                lines += [f"{path.parent}:", path.read_text(encoding="utf-8").rstrip()]
    else:
        lines = [f"our number: {result.describe(row)}" for result in find_runs(row, places)]
    return lines or [f"our number: none; no complete run of it in {', '.join(map(str, places)) or 'logs, experiments'}"]
