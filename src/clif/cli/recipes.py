"""List the training recipes with the paper's accuracy and their cost, or print one recipe."""

import argparse

from clif.cli.common import Parser, print_entry
from clif.cli.terminal import print_yaml

COLUMNS = ("CLIF", "LIF", "ReLU")
LEGEND = (
    "The accuracy in % that the paper reports for each neuron (-: none), and the floating-point operations of a whole\n"
    "training in EFLOP (10^18; a GPU that sustains 50 TFLOP/s does 0.18 in an hour).\n"
    "Any recipe runs with --neuron CLIF, LIF, PLIF or ReLU."
)


def add_arguments(parser: Parser) -> None:
    parser.add_argument("recipe", nargs="?", help="print this recipe's configuration")


def run(arguments: argparse.Namespace) -> int:
    from clif.train.config import list_recipes, read_recipe

    if arguments.recipe:
        print_yaml(read_recipe(arguments.recipe))
        return 0
    recipes = {name: read_recipe(name) for name in list_recipes()}
    names = max(map(len, recipes))
    print(f"{'recipe':<{names}}" + "".join(f"{word:>7}" for word in (*COLUMNS, "EFLOP")))
    for name, recipe in recipes.items():
        published = recipe.get("published", {})
        scores = "".join(f"{published[neuron]:7.2f}" if neuron in published else f"{'-':>7}" for neuron in COLUMNS)
        print_entry(f"{name:<{names}}{scores}{recipe['cost']:7.2g}  ", recipe["description"])
    print(f"\n{LEGEND}")
    return 0
