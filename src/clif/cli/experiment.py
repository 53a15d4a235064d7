"""Train the arms of an experiment over several seeds, and compare them.

Every run has its own folder. After an interruption the same command continues; it also trains new seeds or values. At
the end it writes a table, a figure if the experiment varies a number, and a page of all runs.
"""

import argparse
from typing import TYPE_CHECKING

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.cli.terminal import print_columns
from clif.errors import InputError
from clif.experiment.plan import BY_RUN, KINDS, make_plan
from clif.train.config import field_types
from clif.train.resume import imports_of_run, needed_by_runs
from clif.user_code import import_code, require

if TYPE_CHECKING:
    from clif.report.tables import Table


def add_arguments(parser: Parser) -> None:
    kinds = "; ".join(f"{name}: {kind.text}" for name, kind in KINDS.items())
    parser.add_argument("kind", help=kinds, choices=list(KINDS), metavar="KIND")
    parser.add_argument("recipe", nargs="?", default="digits", help="a recipe's name or YAML file (default: digits)")
    parser.add_argument("--neurons", metavar="NAME,…", help="the neurons to compare, the first with all others")
    parser.add_argument("--values", metavar="X,…", help="values of T, k, τ or the epoch, by kind")
    parser.add_argument("--seeds", metavar="N,N,…", default="0,1,2", help="the seeds of each arm (default: 0,1,2)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="runs at a time (default: 1)")
    parser.add_argument("--out", metavar="FOLDER", help="output folder (default: experiments/KIND_DATASET_MODEL)")
    parser.add_argument("--quiet", action="store_true", help="print only the result")
    add_import_option(parser)
    add_config_options(
        parser,
        only=[name for name in field_types() if name not in BY_RUN],
        default="the recipe's",
    )


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    values = config_values(arguments)
    with needed_by_runs(arguments.recipe, values.get("pre_train")):
        plan = make_plan(
            arguments.kind,
            arguments.recipe,
            [word.strip() for word in arguments.neurons.split(",")] if arguments.neurons else (),
            numbers("--values", arguments.values) if arguments.values else (),
            [int(seed) for seed in numbers("--seeds", arguments.seeds, whole=True)],
            arguments.out,
            **values,
        )
        for run in plan.runs():
            require(imports_of_run(str(run.folder)), str(run.folder))
    from clif.experiment.figure import save
    from clif.experiment.report import write_report
    from clif.experiment.results import collect
    from clif.experiment.runs import train_all

    runs = train_all(plan, arguments.processes, arguments.imports, arguments.quiet)
    results = collect(plan, runs)
    written = results.write()
    print_rows(results.table())
    if KINDS[plan.kind].axis is not None:
        written += save(results)
    deployment = None
    if plan.kind == "deployment":
        from clif.experiment.deployment import deploy_all

        deployment = deploy_all(plan, runs, arguments.quiet)
        print_rows(deployment)
    written.append(write_report(results, deployment))
    print("written: " + ", ".join(map(str, written)))
    return 0


def numbers(option: str, text: str, whole: bool = False) -> list[float]:
    """ "1,2.5" -> [1.0, 2.5]. Raises `InputError` for a word that is not a number, or not a whole number if `whole`."""
    try:
        return [int(word) if whole else float(word) for word in text.split(",")]
    except ValueError:
        kind = "whole numbers" if whole else "numbers"
        raise InputError(f"{option} takes {kind} separated by commas, got {text!r}") from None


def print_rows(table: "Table") -> None:
    """The table of a report, in columns."""
    lines = [table.columns, *([cell.text for cell in row] for row in table.rows)]
    print_columns(lines, [not table.is_numeric(i) for i in range(len(table.columns))])
