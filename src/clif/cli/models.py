"""List the networks: what they are, and their parameters for 10 classes of 32×32 colour images."""

import argparse
import fnmatch
import re

from clif.cli.common import Parser, print_entry
from clif.errors import unknown_name
from clif.names import model_descriptions

PARAMETERS = re.compile(r"([\d.]+ M) parameters")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", help='only names that match, such as "spiking_vgg*"')


def run(arguments: argparse.Namespace) -> int:
    descriptions = model_descriptions()
    names = fnmatch.filter(descriptions, arguments.pattern)
    if not names:
        raise unknown_name("model", arguments.pattern, descriptions)
    width = max(map(len, names))
    for name in names:
        size = PARAMETERS.search(descriptions[name])
        label = f"{name:<{width}}  {size.group(1) if size else '':>7}  "
        print_entry(label, descriptions[name].splitlines()[0])
    return 0
