"""List the networks with a description and their number of parameters for 10 classes of 32×32 colour images.

With --pretrained, list the weights in the package; every command takes them as pretrained:NAME.
"""

import argparse
import fnmatch
import re

from clif.cli.common import Parser, print_entry
from clif.errors import unknown_name
from clif.names import model_descriptions, pretrained_index

PARAMETERS = re.compile(r"([\d.]+ M) parameters")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", help='list only names that match, such as "spiking_vgg*"')
    parser.add_argument("--pretrained", action="store_true", help="list the weights that come with the package")


def run(arguments: argparse.Namespace) -> int:
    return _list_pretrained(arguments.pattern) if arguments.pretrained else _list_models(arguments.pattern)


def _list_pretrained(pattern: str) -> int:
    index = pretrained_index()
    if not index:
        print("no weights come with this version")
        return 0
    names = fnmatch.filter(index, pattern)
    if not names:
        raise unknown_name("pretrained weights", pattern, index)
    width = max(map(len, names))
    for name in names:
        one = index[name]
        label = f"{name:<{width}}  {one['dataset']} {one['test_top1']:.2%}  "
        print_entry(label, f"{one['description']} ({one['model']}, {one['neuron']}, T={one['T']})")
    return 0


def _list_models(pattern: str) -> int:
    descriptions = model_descriptions()
    names = fnmatch.filter(descriptions, pattern)
    if not names:
        raise unknown_name("model", pattern, descriptions)
    width = max(map(len, names))
    for name in names:
        size = PARAMETERS.search(descriptions[name])
        label = f"{name:<{width}}  {size.group(1) if size else '':>7}  "
        print_entry(label, descriptions[name].splitlines()[0])
    return 0
