"""Run a trained CLIF network as plain LIF: soft reset, and a sweep of hard reset values.

The value is chosen on training images (those that the run held out, where it held some out); the table is shown on the
test set. A LIF-trained checkpoint may be given as well, to see what the reset does to it. Writes deploy.csv,
deploy.json and the LIF network of the chosen value.
"""

import argparse
import math
from typing import TYPE_CHECKING

from clif.cli.common import Parser, add_config_options, config_values
from clif.errors import InputError

if TYPE_CHECKING:
    from clif.deploy import Deployment


OPTIONS = ("dataset", "data_dir", "val_split", "j", "model", "neuron", "T", "tau", "surrogate", "b", "device")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("checkpoint", help="a checkpoint, or a run folder (its best checkpoint)")
    parser.add_argument(
        "-v_resets", "--v_resets", "--v-resets", metavar="LIST", help="comma-separated; None or soft is the soft reset"
    )
    parser.add_argument("-out", "--out", metavar="FOLDER", help="where to write (default: deploy/ by the checkpoint)")
    add_config_options(parser, only=OPTIONS)


def parse_resets(text: str) -> list[float | None]:
    """ "None,0,-0.02" -> [None, 0.0, -0.02]; raises `InputError` for a word that is no number."""
    values: list[float | None] = []
    for word in text.split(","):
        try:
            value = None if word.strip().lower() in ("none", "soft") else float(word)
            if value is not None and not math.isfinite(value):
                raise ValueError
            values.append(value)
        except ValueError:
            raise InputError(f"-v_resets: {word!r} is no reset value; example: -v_resets None,0,-0.02") from None
    return values


def run(arguments: argparse.Namespace) -> int:
    from clif.deploy import PAPER_RESETS, deploy_checkpoint

    resets = parse_resets(arguments.v_resets) if arguments.v_resets else PAPER_RESETS
    result = deploy_checkpoint(arguments.checkpoint, config_values(arguments), resets, arguments.out, quiet=False)
    print_table(result)
    return 0


def print_table(result: "Deployment") -> None:
    """The paper's Table 8 for this network."""
    names = ["soft" if row.v_reset is None else f"{row.v_reset:g}" for row in result.table]
    width = max(8, *map(len, names))
    source = f"{result.neuron}-trained {result.source.top1:.2%}"
    label = f"{result.dataset}, {result.source.samples} test images, as LIF"
    left = max(len(source), len(label))
    print(f"{label:<{left}}  " + "  ".join(f"{name:>{width}}" for name in names))
    print(f"{source:<{left}}  " + "  ".join(f"{row.top1:>{width}.2%}" for row in result.table))
    name = "soft reset" if result.chosen is None else f"hard reset to {result.chosen:g}"
    print(f"chosen: {name}, on {result.choice_data}")
    print(f"with it on the test set: {result.chosen_on_test.top1:.2%} as LIF, {result.source.top1:.2%} as trained")
    print(f"LIF network: {result.checkpoint}")
