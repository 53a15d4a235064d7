"""The parser of a command, as the program makes it."""

import importlib

from clif.cli.common import Parser


def parser_of(command):
    module = importlib.import_module(f"clif.cli.{command}")
    parser = Parser(prog=f"clif {command}", description=module.__doc__)
    module.add_arguments(parser)
    return parser
