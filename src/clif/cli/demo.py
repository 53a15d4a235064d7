"""Train CLIF and LIF on scikit-learn's digits, deploy both as LIF, and write a page about it. Needs no files."""

import argparse
from pathlib import Path
from typing import Any

from clif.cli.common import Parser, add_config_options, config_values


def add_arguments(parser: Parser) -> None:
    parser.add_argument("-out", "--out", metavar="FOLDER", default="clif-demo", help="where to write (./clif-demo)")
    parser.add_argument("-epochs", "--epochs", metavar="N", type=int, help="epochs of each run (default: the recipe's)")
    parser.add_argument("-seed", "--seed", metavar="N", type=int, help="seed of both runs (default: 2022)")
    parser.add_argument("-quiet", "--quiet", action="store_true", help="print the result only")
    add_config_options(parser, only=("amp", "amp_dtype"))


def run(arguments: argparse.Namespace) -> int:
    from clif.cli.deploy import print_table
    from clif.report import run_demo

    overrides: dict[str, Any] = {key: value for key, value in config_values(arguments).items() if key.startswith("amp")}
    if arguments.epochs is not None:
        overrides |= {"epochs": arguments.epochs, "T_max": arguments.epochs}
    if arguments.seed is not None:
        overrides["seed"] = arguments.seed
    demo = run_demo(Path(arguments.out), quiet=arguments.quiet, **overrides)
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
    print("Try next:")
    print(f"  clif eval {demo.runs['CLIF'].folder}")
    print(f"  clif deploy {demo.runs['CLIF'].folder} --method calibrate")
    print("  clif train cifar10_snn5 -neuron CLIF -data_dir FOLDER_WITH_CIFAR10")
    return 0
