"""Measure speed and memory on this machine: a neuron layer, a training step or inference, computed in several ways.

neuron times forward and backward of one layer of any registered neuron, or of your own with --import: the backends of
clif, torch.compile of the reference, the same step under SpikingJelly's FlexSN, similar neurons of SpikingJelly,
snnTorch and norse if they are installed, and a copy of the same bytes. step times a training step of a network and
measures its peak memory: clif, under bfloat16 autocast, with checkpointed blocks or SpikingJelly's memopt, and the
plain way (T calls, neurons in PyTorch operations). infer times inference on a CPU in float32, bfloat16 and with int8
weights, and compares the predictions. A contestant that computes wrong results gets no time. Networks in bfloat16 are
left out if PyTorch computes them by a slow fallback, unless --contestants names them.
"""

import argparse
from typing import TYPE_CHECKING, Any

from clif import memory
from clif.bench.settings import InferSettings, NeuronSettings, Settings, StepSettings
from clif.cli.common import Parser, add_import_option
from clif.errors import InputError
from clif.names import flag, neuron_names
from clif.user_code import import_code

if TYPE_CHECKING:
    from clif.bench.report import Report

NEURON, STEP, INFER = NeuronSettings(), StepSettings(), InferSettings()
OPTIONS = {
    "shape": ("neuron",),
    "dtype": ("neuron",),
    "sweep": ("neuron",),
    "model": ("step", "infer"),
    "T": ("step", "infer"),
    "batch": ("step", "infer"),
    "checkpoint": ("infer",),
    "data_dir": ("infer",),
    "images": ("infer",),
}
"""Options that only one benchmark takes."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("benchmark", choices=("neuron", "step", "infer"), help="what to measure")
    names = ", ".join(neuron_names())
    parser.add_argument("--neuron", help=f"{names}, or one of your own (default: {NEURON.neuron})")
    add_import_option(parser)
    rounds = f"neuron {NEURON.rounds}, step {STEP.rounds}, infer {INFER.rounds}"
    parser.add_argument("--rounds", type=int, help=f"rounds (default: {rounds})")
    parser.add_argument("--threads", type=int, help="threads of the CPU (default: torch's number)")
    parser.add_argument("--device", default="cpu", help="neuron, step: cpu, cuda or auto (default: cpu); infer: cpu")
    parser.add_argument(
        "--contestants",
        metavar="LIST",
        help="comma-separated names from the table (default: neuron all, step plain, ours, "
        "ours-dense, ours-blocks and two in bfloat16, infer all but ours-compiled and onnxruntime)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON; -: print JSON, not the table")
    shape = " ".join(map(str, NEURON.shape))
    parser.add_argument(
        "--shape", type=int, nargs="+", metavar="N", help=f"neuron: T, N and the rest (default: {shape})"
    )
    parser.add_argument("--dtype", metavar="LIST", help=f"neuron: comma-separated (default: {','.join(NEURON.dtypes)})")
    parser.add_argument("--sweep", metavar="LIST", help="neuron: also over T, over size, or T,size")
    parser.add_argument("--model", help=f"step, infer: the network (default: {STEP.model})")
    parser.add_argument("-T", type=int, help=f"step, infer: time steps (default: {STEP.T})")
    parser.add_argument(
        "--batch",
        type=int,
        nargs="+",
        metavar="N",
        help=f"step: images (default: {STEP.batch}); infer: one or more numbers (default: 1 64)",
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="infer: a trained network, to measure the accuracy too")
    parser.add_argument("--data-dir", metavar="FOLDER", help="infer: folder of the checkpoint's data")
    parser.add_argument(
        "--images", type=int, metavar="N", help=f"infer: images for accuracy and agreement (default: {INFER.images})"
    )


def settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the chosen benchmark; raises `InputError` for an option of another one."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    benchmark = given.pop("benchmark")
    for name in ("json", "imports"):
        given.pop(name, None)
    for name, benchmarks in OPTIONS.items():
        if name in given and benchmark not in benchmarks:
            raise InputError(f"{flag(name)} is an option of clif bench {' and '.join(benchmarks)}")
    if benchmark == "infer":
        _check_network(given)
    for name in ("contestants", "dtype", "sweep"):
        if name in given:
            given[name] = tuple(word.strip() for word in given[name].split(","))
    if benchmark == "infer":
        if "batch" in given:
            given["batches"] = tuple(given.pop("batch"))
        return InferSettings(**given)
    if benchmark == "step":
        if len(given.get("batch", [0])) > 1:
            raise InputError("clif bench step takes a single --batch")
        return StepSettings(**{**given, **({"batch": given["batch"][0]} if "batch" in given else {})})
    if "dtype" in given:
        given["dtypes"] = given.pop("dtype")
    if "shape" in given:
        given["shape"] = tuple(given["shape"])
    return NeuronSettings(**given)


def _check_network(given: dict[str, Any]) -> None:
    """Check that the network of an inference is given by a checkpoint or by options, not by both."""
    if "checkpoint" not in given and "data_dir" in given:
        raise InputError("--data-dir is the folder of a checkpoint's data; it needs --checkpoint")
    described = [flag(name) for name in ("model", "neuron", "T") if name in given]
    if "checkpoint" in given and described:
        raise InputError(f"{', '.join(described)}: the checkpoint defines its network; leave this out")


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    chosen = settings(arguments)
    if isinstance(chosen, NeuronSettings):
        from clif.bench import neuron

        report = neuron.run(chosen)
        show(report, neuron.SWEEP_COLUMNS if chosen.sweep else neuron.COLUMNS, arguments.json)
    elif isinstance(chosen, StepSettings):
        memory.lean()
        from clif.bench import step

        report = step.run(chosen)
        show(report, step.COLUMNS, arguments.json)
    elif isinstance(chosen, InferSettings):
        from clif.bench import infer

        report = infer.run(chosen)
        show(report, infer.COLUMNS, arguments.json)
    return 0


def show(report: "Report", columns: tuple[str, ...], json_path: str | None) -> None:
    """Print the table, or the JSON for "-"; write the JSON file if one is named."""
    from pathlib import Path

    from clif.bench.report import as_text
    from clif.files import write_content

    if json_path == "-":
        print(report.to_json(), end="")
        return
    print(as_text(report, columns))
    if json_path is not None:
        write_content(Path(json_path), report.to_json())
