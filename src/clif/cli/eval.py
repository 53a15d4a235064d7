"""Measure accuracy and throughput of a checkpoint on the test set.

Give the checkpoint as the argument or, as in the original's inference script, by --resume. A checkpoint of clif
describes its network and data set; options replace these values. A checkpoint in the original's format needs --model
and --neuron. The command accepts the original's training options, which have no effect here, so the original's command
lines work. It computes in the dtype of the weights, unless --amp-dtype sets mixed precision.
"""

import argparse

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.data_options import OF_FILES
from clif.errors import InputError
from clif.user_code import import_code

NETWORK = ("model", "neuron", "T", "tau")
DATA = ("dataset", "data_dir", "allow_incomplete", "sort_events", *OF_FILES, "test_split", "split_seed", "b", "j")
LOSS = ("loss_lambda", "loss_means", "mse_n_reg", "label_smoothing")
MACHINE = ("device", "devices", "nodes", "dtype", "amp_dtype", "multiple_step")
OPTIONS = (*DATA, *NETWORK, *LOSS, *MACHINE, "resume")

SHOWN = 20
"""The number of classes of your own data whose accuracy is shown."""

OPTIMISER = ("opt", "lr", "momentum", "weight_decay", "lr_scheduler", "T_max", "step_size", "gamma", "epochs", "amp")
OTHERS = ("cutupmix_auto", "surrogate", "drop_rate", "seed", "name", "out_dir", "pre_train", "save_init")
ORIGINAL = (*OPTIMISER, *OTHERS)
"""Options of the original's command lines that an evaluation does not use."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "checkpoint", nargs="?", help="a checkpoint, a run folder (its best checkpoint), or pretrained:NAME"
    )
    parser.add_argument(
        "--out", metavar="FILE", help="JSON file of the result (default: eval.json in the run's folder)"
    )
    add_import_option(parser)
    add_config_options(parser, OPTIONS, "the checkpoint's", hidden=ORIGINAL)


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    from clif.train.engine import is_first_process
    from clif.train.folder import keep_measurement
    from clif.train.resume import EVAL
    from clif.trained_network import evaluate_checkpoint

    given = config_values(arguments)
    resume = given.pop("resume", None)
    if arguments.checkpoint is not None and resume is not None:
        raise InputError(f"two checkpoints are given, {arguments.checkpoint} and --resume {resume}; give one")
    path = arguments.checkpoint or resume
    if path is None:
        raise InputError("name a checkpoint: clif eval CHECKPOINT, or --resume CHECKPOINT")
    report = evaluate_checkpoint(path, given, quiet=False)
    scores = report.scores
    if not is_first_process():
        return 0
    print(
        f"{report.config.dataset} test: top-1 {scores.top1:.2%}  top-5 {scores.top5:.2%}  loss {scores.loss:.4f}  "
        f"({scores.samples} images, {report.net.config['name']}, {report.net.config['neuron']}, T={report.net.T})"
    )
    if not any(report.dataset.published):
        _print_by_class(report.dataset.classes, scores.by_class)
    print(f"throughput: {scores.images_per_second:.1f} images/s on {report.device}, batch {report.config.b}")
    if "amp_dtype" in given:
        print(f"precision: {report.precision}")
    values = {"options": given, **report.as_dict()}
    file = keep_measurement(path, EVAL, values, arguments.out)
    if file is not None:
        print(f"written: {file}")
    return 0


def _print_by_class(classes: tuple[str, ...], counts: tuple[tuple[int, int], ...]) -> None:
    """Print one line per class; of many classes only those with the lowest accuracy."""
    rows = [(hits / n, name, n) for name, (hits, n) in zip(classes, counts, strict=True) if n]
    if len(rows) > SHOWN:
        print(f"the {SHOWN} of {len(rows)} classes with the lowest accuracy:")
        rows = sorted(rows)[:SHOWN]
    width = max((len(name) for _, name, _ in rows), default=0)
    for accuracy, name, n in rows:
        print(f"  {name:<{width}}  {accuracy:7.2%} of {n}")
    if absent := [name for name, (_, n) in zip(classes, counts, strict=True) if not n]:
        print(f"  no test sample of {', '.join(absent)}")
