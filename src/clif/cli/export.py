"""Write a trained network for other tools.

nir: a graph for neuromorphic hardware and other simulators (LIF with a hard reset; convert a CLIF network first). onnx:
for ONNX runtimes. torch: a torch.export program (.pt2). For these two --form sets the computation of the file: image
and sequence compute all T steps at once, step computes one step with the states as inputs and outputs. With --exact the
results of convolutions do not depend on the order of their sums, which differs between runtimes. safetensors: the
weights alone, with the name of their network, to share; clif reads the file as a checkpoint.
"""

import argparse
from pathlib import Path

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.errors import InputError
from clif.names import FORMS
from clif.user_code import import_code

FORMATS = {"nir": ".nir", "onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
OPTIONS = ("dataset", "model", "neuron", "T", "tau")
DTYPES = ("float16", "bfloat16", "int8")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("checkpoint", help="a checkpoint, a run folder (its best checkpoint), or pretrained:NAME")
    parser.add_argument(
        "--format", required=True, choices=tuple(FORMATS), metavar="FORMAT", help="nir, onnx, torch or safetensors"
    )
    parser.add_argument("--form", choices=FORMS, metavar="FORM", help="onnx, torch: image (default), sequence or step")
    parser.add_argument(
        "--exact",
        action="store_true",
        help="onnx, torch: round weights to a grid for equal spikes on all machines (CLIF: up to rounding of sigmoids)",
    )
    parser.add_argument("--dt", type=float, metavar="SECONDS", help="nir: length of a time step (default: 1e-4)")
    parser.add_argument(
        "--weight-dtype",
        choices=DTYPES,
        metavar="DTYPE",
        help="safetensors: float16 or bfloat16, half the size, or int8, a quarter",
    )
    parser.add_argument("--out", metavar="FILE", help="output file (default: network.nir, .onnx … by the checkpoint)")
    add_import_option(parser)
    add_config_options(parser, only=OPTIONS, default="the checkpoint's")


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    given = config_values(arguments)
    if arguments.format == "nir" and arguments.form is not None:
        raise InputError("--form needs --format onnx or torch; a NIR graph always computes one step")
    if arguments.format != "nir" and arguments.dt is not None:
        raise InputError("--dt needs --format nir")
    if arguments.format == "safetensors" and (arguments.form is not None or arguments.exact):
        raise InputError("--form and --exact need --format onnx or torch; a safetensors file contains weights only")
    if arguments.format != "safetensors" and arguments.weight_dtype is not None:
        raise InputError("--weight-dtype needs --format safetensors")
    if arguments.format == "nir" and arguments.exact:
        raise InputError("--exact needs --format onnx or torch; the weights of a NIR graph include τ and the threshold")
    if "T" in given and (arguments.format == "nir" or arguments.form == "step"):
        raise InputError("-T needs --form image or sequence; this form computes a single step")

    import torch

    from clif import export
    from clif.deploy import EVENT_GRID, exact_sums
    from clif.train.checkpoint import outputs_folder
    from clif.trained_network import open_checkpoint

    opened = open_checkpoint(arguments.checkpoint, given, exact=arguments.format == "safetensors")
    net = opened.net.cpu().eval()
    if arguments.exact:
        net = exact_sums(net, **(EVENT_GRID if opened.dataset.events else {}))
    default = outputs_folder(arguments.checkpoint) / f"network{FORMATS[arguments.format]}"
    out = Path(arguments.out) if arguments.out else default
    if arguments.format == "nir":
        export.to_nir(net, out, **({} if arguments.dt is None else {"dt": arguments.dt}))
    elif arguments.format == "safetensors":
        dtype = None if arguments.weight_dtype is None else getattr(torch, arguments.weight_dtype)
        export.to_safetensors(net, out, opened.content.get("config"), dtype, opened.content.get("data"))
    elif arguments.format == "onnx":
        export.to_onnx(net, out, arguments.form or "image")
    else:
        export.save_program(net, out, arguments.form or "image")
    print(f"{net.config['name']}, {net.config['neuron']}, T={net.T}: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    return 0
