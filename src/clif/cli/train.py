"""Train a network. Options override the recipe; without one the defaults are those of the original code."""

import argparse

from clif.cli.common import Parser, add_config_options, config_values


def add_arguments(parser: Parser) -> None:
    parser.add_argument("recipe", nargs="?", help="a recipe's name (see: clif recipes) or a YAML file")
    parser.add_argument("-quiet", "--quiet", action="store_true", help="print the result only")
    add_config_options(parser)


def run(arguments: argparse.Namespace) -> int:
    from clif.train.config import resolve
    from clif.train.loop import fit

    config = resolve(arguments.recipe, **config_values(arguments))
    result = fit(config, arguments.quiet)
    for which in ("last", "best"):
        row = result.summary[which]
        chosen = f", chosen on {result.summary['best_chosen_on']}" if which == "best" else ""
        scores = f"test top-1 {row['test_top1']:.2%} top-5 {row['test_top5']:.2%}"
        print(f"{which} epoch ({row['epoch'] + 1}{chosen}): {scores}")
    print(f"run folder: {result.folder}")
    return 0
