"""Train CLIF and LIF on scikit-learn's digits, deploy both as LIF, and write a page about them. Needs no files."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from clif.cli.common import Parser, add_config_options, quiet_matplotlib
from clif.train.interrupt import Interrupted, last_words

if TYPE_CHECKING:
    from clif.report.demo import Demo

OVERRIDES = ("epochs", "seed", "amp", "amp_dtype")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--out", metavar="FOLDER", default="clif-demo", help="output folder (default: ./clif-demo)")
    parser.add_argument("--epochs", metavar="N", type=int, help="epochs of each run (default: the recipe's)")
    parser.add_argument("--seed", metavar="N", type=int, help="seed of both runs (default: 2022)")
    parser.add_argument("--resume", action="store_true", help="resume the demo in OUT")
    parser.add_argument("--quiet", action="store_true", help="print only the result")
    add_config_options(parser, only=("amp", "amp_dtype"))


def run(arguments: argparse.Namespace) -> int:
    quiet_matplotlib()
    from clif.report import run_demo

    overrides = {name: value for name, value in vars(arguments).items() if name in OVERRIDES and value is not None}
    out = Path(arguments.out)
    try:
        demo = run_demo(out, quiet=arguments.quiet, resume=arguments.resume, **overrides)
    except (Interrupted, KeyboardInterrupt, BrokenPipeError) as stopped:
        words = ["clif", "demo", f"--out={out}", *(f"--{name}={value}" for name, value in overrides.items())]
        words += ["--quiet"] if arguments.quiet else []
        raise Interrupted.by(stopped, f": {shlex.join([*words, '--resume'])}") from stopped
    with last_words(f"the page {demo.page.resolve()}"):
        print_demo(demo)
    return 0


def print_demo(demo: "Demo") -> None:
    """Print the deployments, the accuracies, the path of the page, and further commands."""
    from clif.cli.deploy import print_table

    print()
    for deployment in demo.deployments.values():
        print_table(deployment)
        print()
    for neuron, result in demo.runs.items():
        last = result.history[-1]
        print(f"{neuron}-trained: {last['test_top1']:.2%} of the test images, test loss {last['test_loss']:.3f}")
    fitted = demo.fitted.judged[-1]
    print("CLIF-trained, as LIF with a soft reset fitted to the CLIF network (clif deploy --method subtract):")
    print(f"  {fitted.top1:.2%} on the test set; {fitted.agreement:.2%} of its predictions are the CLIF network's")
    print()
    print(f"The page: {demo.page.resolve()}")
    folder = shlex.quote(str(demo.runs["CLIF"].folder))
    print("Try next:")
    print(f"  clif eval {folder}")
    print(f"  clif deploy {folder} --method calibrate")
    print("  clif train cifar10_fast --data-dir FOLDER_WITH_CIFAR10")
