"""List the training recipes, or print one whole."""

import argparse

from clif.cli.common import Parser


def add_arguments(parser: Parser) -> None:
    parser.add_argument("recipe", nargs="?", help="print this recipe's configuration")


def run(arguments: argparse.Namespace) -> int:
    import yaml

    from clif.train.config import list_recipes, read_recipe

    if arguments.recipe:
        print(yaml.safe_dump(read_recipe(arguments.recipe), sort_keys=False, allow_unicode=True), end="")
        return 0
    width = max(map(len, list_recipes()))
    for name in list_recipes():
        print(f"{name:<{width}}  {read_recipe(name)['description']}")
    return 0
