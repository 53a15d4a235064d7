"""Predict the classes of images or recordings, with probabilities at each time step.

The network is a checkpoint, a run folder, or pretrained:NAME for weights in the package (clif models --pretrained lists
them). An image may have any size: its shorter side is scaled to the image size of the data set, and the centre is
cropped. A recording must be in the format of its data set, your own recordings (events) in any supported format.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.data_options import OF_FILES
from clif.errors import InputError
from clif.names import flag
from clif.user_code import import_code

if TYPE_CHECKING:
    from clif.prediction import Prediction

OPTIONS = ("dataset", "model", "neuron", "T", "tau", "device", "sort_events", *OF_FILES)


def add_arguments(parser: Parser) -> None:
    parser.add_argument("checkpoint", help="a checkpoint, a run folder, or pretrained:NAME")
    parser.add_argument("files", nargs="+", metavar="FILE", help="images, or recordings of the data set's format")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes to show (default: 3)")
    parser.add_argument("--out", metavar="FILE", help="also draw a picture: .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="print one JSON object per file, with all probabilities")
    add_import_option(parser)
    add_config_options(parser, only=OPTIONS, default="the checkpoint's")


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    if arguments.top < 1:
        raise InputError(f"--top must be at least 1, got {arguments.top}")
    from clif.paths import expand_home
    from clif.prediction import predict_files
    from clif.report.prediction import check_format, prediction_figure, save_figure
    from clif.trained_network import open_checkpoint

    given = config_values(arguments)
    opened = open_checkpoint(arguments.checkpoint, given)
    if not opened.dataset.events and (unused := [name for name in ("sort_events", *OF_FILES) if given.get(name)]):
        raise InputError(f"{opened.dataset.name} has images instead of events; leave out {flag(unused[0])}")
    paths = [Path(expand_home(file)) for file in arguments.files]
    dataset = opened.dataset
    if arguments.out:
        check_format(Path(arguments.out))
    predictions = predict_files(opened.net, dataset, paths, opened.config.sort_events)
    for prediction in predictions:
        print(json.dumps(_as_dict(prediction)) if arguments.json else _describe(prediction, arguments.top))
    if arguments.out:
        save_figure(prediction_figure(dataset, predictions, arguments.top), Path(expand_home(arguments.out)))
    return 0


def _describe(prediction: "Prediction", top: int) -> str:
    """The file, then one line per step."""
    lines = [f"{prediction.path}: {prediction.best()[0][0]}"]
    for step in range(len(prediction.probabilities)):
        shown = "  ".join(f"{name} {p:.1%}" for name, p in prediction.best(step, top))
        lines.append(f"  step {step + 1}: {shown}")
    return "\n".join(lines)


def _as_dict(prediction: "Prediction") -> dict[str, Any]:
    rows = [dict(zip(prediction.classes, row, strict=True)) for row in prediction.probabilities.tolist()]
    return {"file": str(prediction.path), "class": prediction.best()[0][0], "probabilities": rows}
