"""Run a trained CLIF network with plain LIF neurons.

--method chooses the conversion. sweep tries one reset value for all layers. calibrate fits a hard reset for each
channel, which becomes part of the batch norm before the neuron. subtract fits a larger soft reset for each layer.
finetune trains the LIF network for a short time with the CLIF network as its teacher. All methods fit on training
images (a sweep chooses by accuracy on the images that the run held out, if any) and report on the test set. The command
writes deploy.json, networks.csv, for a sweep deploy.csv, and the LIF network checkpoint_lif.pth to deploy/ or
deploy_METHOD/ beside the checkpoint. It also takes a LIF checkpoint, to show the effect of the reset on it. It computes
in float32, unless --amp-dtype sets mixed precision.
"""

import argparse
import math
from typing import TYPE_CHECKING, Any

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.errors import InputError
from clif.names import CONVERSIONS, flag
from clif.user_code import import_code

if TYPE_CHECKING:
    from clif.deploy import Deployment


OPTIONS = (
    *("dataset", "data_dir", "val_split", "allow_incomplete", "sort_events", "test_split", "split_seed", "j"),
    *("model", "neuron", "T", "tau", "surrogate", "b", "device"),
)


METHOD_OPTIONS = {
    "v_resets": ("v_resets", ("sweep",)),
    "per": ("per", ("calibrate", "subtract")),
    "images": ("images", ("calibrate", "subtract", "finetune")),
    "start": ("start", ("finetune",)),
    "epochs": ("passes", ("finetune",)),
    "lr": ("rate", ("finetune",)),
    "labels": ("labels", ("finetune",)),
}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("checkpoint", help="a checkpoint, a run folder (its best checkpoint), or pretrained:NAME")
    parser.add_argument(
        "--method",
        choices=CONVERSIONS,
        default="sweep",
        metavar="METHOD",
        help="sweep, calibrate, subtract or finetune (default: sweep)",
    )
    parser.add_argument("--v-resets", metavar="LIST", help="sweep: comma-separated; None or soft: soft reset")
    parser.add_argument("--per", metavar="UNIT", help="calibrate: channel or layer; subtract: layer or network")
    parser.add_argument("--images", type=int, metavar="N", help="training images to fit on (default: 512)")
    parser.add_argument("--start", metavar="METHOD", help="finetune: begin with subtract (default) or calibrate")
    parser.add_argument("--epochs", dest="passes", type=int, metavar="N", help="finetune: epochs (default: 1)")
    parser.add_argument(
        "--lr",
        dest="rate",
        type=float,
        metavar="X",
        help="finetune: learning rate (default: 3e-4, or 3e-5 from subtract without labels)",
    )
    parser.add_argument(
        "--labels", type=float, metavar="X", help="finetune: weight of the labels' loss; 0: no labels (default: 1)"
    )
    parser.add_argument("--lif", metavar="CHECKPOINT", help="a LIF network trained from scratch, to compare with")
    parser.add_argument("--out", metavar="FOLDER", help="output folder (default: deploy…/ by the checkpoint)")
    add_import_option(parser)
    add_config_options(parser, only=OPTIONS, default="the checkpoint's")
    add_config_options(parser, only=("amp_dtype",), default="float32 throughout")


def method_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of the method that were given; raises `InputError` for one of another method."""
    given: dict[str, Any] = {}
    for name, (destination, methods) in METHOD_OPTIONS.items():
        value = getattr(arguments, destination)
        if value is None:
            continue
        if arguments.method not in methods:
            raise InputError(f"{flag(name)} needs --method {' or '.join(methods)}, got {arguments.method}")
        given[name] = value
    if "v_resets" in given:
        given["v_resets"] = parse_resets(given["v_resets"])
    return given


def parse_resets(text: str) -> list[float | None]:
    """ "None,0,-0.02" -> [None, 0.0, -0.02]; raises `InputError` for a word that is not a number."""
    values: list[float | None] = []
    for word in text.split(","):
        try:
            value = None if word.strip().lower() in ("none", "soft") else float(word)
            if value is not None and not math.isfinite(value):
                raise ValueError
            values.append(value)
        except ValueError:
            raise InputError(f"--v-resets: {word!r} is no reset value; example: --v-resets None,0,-0.02") from None
    return values


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    from clif.deploy import deploy_checkpoint

    result = deploy_checkpoint(
        arguments.checkpoint,
        config_values(arguments),
        out=arguments.out,
        quiet=False,
        method=arguments.method,
        scratch=arguments.lif,
        **method_options(arguments),
    )
    print_table(result) if result.table else print_fit(result)
    print_networks(result)
    if "amp_dtype" in arguments:
        print(f"precision: {result.precision}")
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


def print_fit(result: "Deployment") -> None:
    """Print the fitted values (the mean of each layer), the data and the cost."""
    conversion = result.conversion
    print(f"{result.dataset}, {result.neuron}-trained, converted by {conversion.method} on {result.choice_data}")
    print(f"cost: {conversion.seconds:.1f} s, {conversion.images} images looked at")
    soft = conversion.net.config["v_reset"] is None
    what = "soft reset by v_threshold · (1 + c), c" if soft else "hard reset value"
    for layer, values in conversion.values.items():
        spread = "" if len(values) == 1 else f"  ({len(values)} channels, {min(values):.2f} to {max(values):.2f})"
        print(f"  {layer}: {what} = {sum(values) / len(values):.3f}{spread}")
    print(f"LIF network: {result.checkpoint}")


def print_networks(result: "Deployment") -> None:
    """Accuracy, agreement and mean firing rate of the networks on the test set."""
    width = max(len(judged.name) for judged in result.judged)
    print(f"{'test set':<{width}}  {'top-1':>7}  {'as trained':>10}  firing rate by layer")
    for judged in result.judged:
        rates = " ".join(f"{rate:.3f}" for rate in judged.firing_rates.values())
        print(f"{judged.name:<{width}}  {judged.top1:>7.2%}  {judged.agreement:>10.2%}  {rates}")
