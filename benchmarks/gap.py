"""The tables of docs/deployment.md from the results of `benchmarks/deployment.py`, as Markdown.

    python benchmarks/gap.py benchmarks/results/deployment.json...

A network's row is its accuracy and, in brackets, its agreement with the CLIF network, in %, and the closed part of the
gap between the best of the paper's reset values and the CLIF network. The last table combines all seeds of a data set:
the mean of both, and the sum of the gains divided by the sum of the gaps.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

SWEEP = "sweep, the paper's values"

Row = dict[str, Any]
Seeds = dict[int, dict[str, Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", help="files that benchmarks/deployment.py wrote")
    rows = chain.from_iterable(json.loads(Path(name).read_text()) for name in parser.parse_args().results)
    sets: dict[str, Seeds] = {}
    for row in rows:
        sets.setdefault(row["dataset"], {}).setdefault(row["seed"], {})[row["name"]] = row
    for dataset, seeds in sets.items():
        header = ["", *chain.from_iterable((f"{dataset}, seed {seed}", "gap closed") for seed in seeds)]
        columns = [{seed: networks} for seed, networks in seeds.items()]
        print(*table(header, rows_of(columns)), sep="\n", end="\n\n")
    header = ["", *chain.from_iterable((f"{name}, {len(seeds)} seeds", "gap closed") for name, seeds in sets.items())]
    print(*table(header, rows_of(list(sets.values()))), sep="\n")


def table(header: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    for cells in (header, ["---", *("---:" for _ in header[1:])], *rows):
        yield f"| {' | '.join(cells)} |"


def rows_of(columns: list[Seeds]) -> Iterator[list[str]]:
    """A row for every network: accuracy, agreement and closed gap of each column, which combines one or more seeds."""
    for name in names(list(chain.from_iterable(seeds.values() for seeds in columns))):
        cells = []
        for seeds in columns:
            cells += [score([rows[name] for rows in seeds.values()]), closed(name, seeds)]
        yield [name, *cells]


def names(seeds: list[dict[str, Row]]) -> list[str]:
    """The networks that every seed has."""
    first, *others = seeds
    return [name for name in first if all(name in rows for rows in others)]


def score(rows: list[Row]) -> str:
    top1, agreement = (100 * sum(row[key] for row in rows) / len(rows) for key in ("top1", "agreement"))
    return f"{top1:.2f} ({agreement:.1f})"


def closed(name: str, seeds: Seeds) -> str:
    gap = sum(rows["CLIF"]["top1"] - rows[SWEEP]["top1"] for rows in seeds.values())
    gained = sum(rows[name]["top1"] - rows[SWEEP]["top1"] for rows in seeds.values())
    return f"{gained / gap:.0%}" if gap > 0 else "no gap"


if __name__ == "__main__":
    main()
