"""List the networks, with the parameters they have for 10 classes of 32×32 colour images."""

import argparse

from clif.cli.common import Parser


def add_arguments(parser: Parser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", help='only names that match, such as "spiking_vgg*"')


def run(arguments: argparse.Namespace) -> int:
    import torch

    from clif.errors import unknown_name
    from clif.models import create_model, list_models

    names = list_models(arguments.pattern)
    if not names:
        raise unknown_name("model", arguments.pattern, list_models())
    for name in names:
        with torch.device("meta"):
            parameters = sum(p.numel() for p in create_model(name).parameters())
        print(f"{name:<20} {parameters / 1e6:6.2f} M parameters")
    return 0
