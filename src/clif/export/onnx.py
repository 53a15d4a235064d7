"""Networks as ONNX files, for the runtimes of phones, browsers and edge devices."""

import contextlib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clif.deploy import Int8Conv2d
from clif.errors import InputError
from clif.export.program import BATCH, quiet, signature, to_program
from clif.extras import require
from clif.files import write_content
from clif.models.wrapped import as_network, layer_name

OPSET = 20


def to_onnx(
    net: nn.Module,
    path: str | os.PathLike[str],
    form: str = "image",
    input_shape: Sequence[int] | None = None,
    T: int | None = None,
) -> Path:
    """Write the network as an ONNX file of plain operations, with a dynamic axis named "batch"; returns its path.

    Forms are those of `to_program`: "image" and "sequence" unroll the T steps; "step" is one step with the states as
    inputs and outputs, for runtimes that follow a stream. Start it with zeros (with a hard reset, v_reset), or with
    `initial_state`. `signature` gives the names of inputs and outputs. The file contains the weights.

    Your own module needs `input_shape` and `T` as in `to_program`.

    Raises `InputError` for an unknown form, a missing package, int8 weights, and a path that cannot be written.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> clif.export.to_onnx(net, "network.onnx").name
    'network.onnx'
    """
    net = as_network(net, input_shape, T, images=form != "step")
    if (name := next((name for name, m in net.named_modules() if isinstance(m, Int8Conv2d)), None)) is not None:
        raise InputError(
            f"{layer_name(net, name)} has int8 weights for the library oneDNN, which ONNX cannot express; export the "
            "network as it was before quantize_weights"
        )
    for package in ("onnx", "onnxscript"):
        require(package)
    names = signature(net, form)
    program = to_program(net, form)
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        exported: Any = torch.onnx.export(
            program,
            dynamo=True,
            input_names=names.inputs,
            output_names=names.outputs,
            opset_version=OPSET,
            verbose=False,
        )
    model = exported.model_proto
    _name_batch_axis(model, axis=1 if form == "sequence" else 0)
    content = model.SerializeToString()
    try:
        write_content(Path(path), content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from error
    return Path(path)


def _name_batch_axis(model: Any, axis: int) -> None:
    """Name the symbol of the batch size, which PyTorch numbers, also in the sizes that are computed from it."""
    graph = model.graph
    symbol = graph.input[0].type.tensor_type.shape.dim[axis].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(rf"\b{re.escape(symbol)}\b", BATCH, dim.dim_param)
