"""Analyse networks on test images: prints a table; --out draws a picture, and --json writes all numbers.

rates: spikes per neuron and step by layer, channel or step. channels: those that never fire or almost always fire.
raster, traces: the spikes, and all states of chosen neurons, for one test image. histograms: v, m and other states.
trains: intervals between spikes, Fano factors, synchrony. similarity: agreement of two networks' spikes, and CKA.
gradient: how much of dL/du[t] comes from later steps, by distance, as in Eq. 20 of the CLIF paper.

Each NETWORK is a checkpoint, a run folder, or pretrained:NAME. Without a NETWORK the networks are untrained, one for
each --neuron, with the same weights: clif analyze gradient --out gradient.svg draws CLIF beside LIF on digits. The
batch norms of untrained networks first get the statistics of training images. gradient computes as in training, with
the statistics of the batch.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.cli.terminal import print_columns
from clif.errors import InputError
from clif.names import ANALYSES, flag
from clif.user_code import import_code

if TYPE_CHECKING:
    from clif.analysis import Result

CONFIG = (
    *("dataset", "data_dir", "allow_incomplete", "sort_events", "test_split", "split_seed", "j"),
    *("model", "T", "tau", "surrogate", "device"),
)
OVER_DATA = ("rates", "channels", "histograms", "trains", "similarity", "gradient")
OPTIONS = {
    "images": OVER_DATA,
    "b": OVER_DATA,
    "sample": ("raster", "traces"),
    "layer": ("raster", "traces"),
    "neurons": ("traces",),
    "by": ("rates",),
    "state": ("histograms",),
}
"""Options that only some analyses take."""

DRAWN = ("by", "state")
"""Options of the drawing."""

BATCH = 32


def add_arguments(parser: Parser) -> None:
    parser.add_argument("analysis", choices=ANALYSES, metavar="ANALYSIS", help=", ".join(ANALYSES))
    parser.add_argument(
        "networks", nargs="*", default=[], metavar="NETWORK", help="checkpoints, run folders or pretrained:NAME"
    )
    parser.add_argument("--untrained", action="store_true", help="also analyse each network with fresh weights")
    parser.add_argument("--neuron", metavar="LIST", help="untrained networks: comma-separated (default: CLIF,LIF)")
    parser.add_argument("--out", metavar="FILE", help="draw the result: .png, .svg or .pdf")
    parser.add_argument("--json", metavar="FILE", help="write all numbers")
    parser.add_argument("--images", type=int, metavar="N", help="all but raster, traces: test images (default: 256)")
    parser.add_argument("-b", type=int, metavar="N", help=f"all but raster, traces: batch size (default: {BATCH})")
    parser.add_argument("--sample", type=int, metavar="N", help="raster, traces: which test image (default: 0)")
    parser.add_argument(
        "--layer", metavar="NAME", help="raster, traces: the layer (default: raster all, traces the second)"
    )
    parser.add_argument(
        "--neurons", metavar="LIST", help="traces: comma-separated indices (default: three with rates near 1/2)"
    )
    parser.add_argument(
        "--by",
        choices=("layer", "channel", "step"),
        metavar="AXIS",
        help="rates: drawn by layer (the default), channel or step",
    )
    parser.add_argument("--state", metavar="NAME", help="histograms: the state to draw (default: v, or the first)")
    parser.add_argument("--seed", type=int, metavar="N", help="untrained networks: the seed (default: 2022)")
    add_import_option(parser)
    add_config_options(parser, CONFIG, "the network's, or the recipe digits'")


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    settings, given = _settings(arguments), _given(arguments)
    from clif.files import write_content
    from clif.network_analysis import Settings, analyse, fresh, trained
    from clif.report.prediction import check_format, save_figure

    if arguments.out:
        check_format(Path(arguments.out))
    if arguments.networks:
        subjects = trained(arguments.networks, given, arguments.untrained)
    else:
        neurons = given.pop("neuron", "CLIF,LIF").split(",")
        subjects = fresh([name.strip() for name in neurons], given)
    results, figure = analyse(arguments.analysis, subjects, Settings(**settings))
    for name, result in results.items():
        print_table(name, result)
    if arguments.json:
        content = json.dumps({name: result.to_dict() for name, result in results.items()}).encode()
        try:
            write_content(Path(arguments.json), content)
        except OSError as error:
            raise InputError(f"{arguments.json} cannot be written: {error}") from error
    if arguments.out:
        save_figure(figure, Path(arguments.out))
        print(arguments.out)
    return 0


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of the analysis; raises `InputError` for an option of another one."""
    given = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name) is not None}
    for name in given:
        if arguments.analysis not in OPTIONS[name]:
            raise InputError(f"{flag(name)} is an option of clif analyze {', '.join(OPTIONS[name])}")
        if name in DRAWN and not arguments.out:
            raise InputError(f"{flag(name)} changes the figure only; add --out FILE")
    given.pop("b", None)
    if given.get("images", 1) < 1:
        raise InputError(f"--images must be at least 1, got {given['images']}")
    if "neurons" in given:
        try:
            given["neurons"] = tuple(int(word) for word in given["neurons"].split(","))
        except ValueError:
            raise InputError(f"--neurons must be whole numbers separated by commas, got {given['neurons']!r}") from None
    return given


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of the networks and the data."""
    if arguments.networks and arguments.seed is not None and not arguments.untrained:
        raise InputError("--seed has no effect on the weights of checkpoints; leave it out or add --untrained")
    if not arguments.networks and arguments.untrained:
        raise InputError("--untrained needs checkpoints; without them all networks are untrained")
    if arguments.networks and "," in (arguments.neuron or ""):
        raise InputError("with checkpoints, --neuron takes one name, for checkpoints in the original's format")
    return {name: value for name, value in {"b": BATCH, **config_values(arguments)}.items() if value is not None}


def print_table(name: str, result: "Result") -> None:
    """A title and the rows of a result, in columns."""
    rows = result.table()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [columns, *([_shown(row.get(column)) for column in columns] for row in rows)]
    words = [any(isinstance(row.get(column), str) for row in rows) for column in columns]
    print(name)
    print_columns(lines, words, indent="  ")


def _shown(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
