"""Networks as `torch.export` programs: the source of ONNX files, and the format of other PyTorch runtimes."""

import copy
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from clif.errors import InputError
from clif.files import write_content
from clif.models import SpikingNetwork
from clif.models.wrapped import as_network, layer_name
from clif.names import FORMS
from clif.neurons import SpikingNeuron, reset_net, set_backend, set_step_mode

BATCH = "batch"
"""The name of the axis of the images."""

EXPORTERS = ("torch", "onnx_ir", "onnxscript")
"""The loggers that write messages during an export."""


@dataclass(frozen=True)
class Signature:
    """The names of the inputs and outputs in order; the first input is x, the first output the logits.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> clif.export.signature(net, "step").inputs[:3]
    ['x', 'features.0.act.v', 'features.0.act.m']
    """

    inputs: list[str]
    outputs: list[str]


class _Whole(nn.Module):
    """[N, C, H, W] or [T, N, C, H, W] -> [T, N, classes]."""

    def __init__(self, net: SpikingNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class _Step(nn.Module):
    """One step: x and the states before -> the logits [N, classes] and the states after."""

    def __init__(self, net: SpikingNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        neurons = list(spiking_neurons(self.net).values())
        left = iter(states)
        for node in neurons:
            node.state = tuple(next(left) for _ in node.state_names)
        logits = self.net(x)
        after = [value for node in neurons for value in node.state or ()]
        reset_net(self.net)
        return (logits, *after)


def spiking_neurons(net: nn.Module) -> dict[str, SpikingNeuron]:
    found = {name: module for name, module in net.named_modules() if isinstance(module, SpikingNeuron)}
    return {layer_name(net, name): module for name, module in found.items()}


def to_program(
    net: nn.Module, form: str = "image", input_shape: Sequence[int] | None = None, T: int | None = None
) -> ExportedProgram:
    """The network in eval mode as a `torch.export` program of plain PyTorch operations, for any batch size N.

    Forms, none of which needs a sample input:
    - "image": x [N, C, H, W], repeated for T steps -> logits [T, N, classes], from rest.
    - "sequence": x [T, N, C, H, W] with T = `net.T` -> logits [T, N, classes], from rest.
    - "step": x [N, C, H, W] and the list of states -> the logits of the step [N, classes] and the states after it. The
      states are those of `signature`, each of the shape that `initial_state` gives.

    The image size is `net.image_size`. Your own module (`clif.wrap` says which are possible) needs `input_shape`, (C,
    H, W) or (F,) of one sample, and `T` for the first two forms; its samples may be vectors. Raises `InputError` for an
    unknown form, and if these arguments are missing.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> program = clif.export.to_program(net, form="image")
    >>> program.module()(torch.rand(4, 3, 16, 16)).shape
    torch.Size([2, 4, 10])
    """
    if form not in FORMS:
        raise InputError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    net = as_network(net, input_shape, T, images=form != "step")
    prepared = copy.deepcopy(net).eval().requires_grad_(False)
    reset_net(prepared)
    set_backend(prepared, "torch")
    set_step_mode(prepared, "s" if form == "step" else "m")
    parameter = next(prepared.parameters())
    batch = Dim(BATCH, min=1)
    # An example of size 2, because torch.export treats a size of 1 as a constant.
    x = parameter.new_zeros(2, *net.sample_shape)
    with torch.no_grad(), quiet():
        if form == "step":
            states = list(initial_state(net, 2).values())
            shapes = ({0: batch}, [{0: batch} for _ in states])
            return torch.export.export(_Step(prepared), (x, states), dynamic_shapes=shapes, strict=False)
        axis = 0 if form == "image" else 1
        example = x if form == "image" else x.expand(net.T, *x.shape).contiguous()
        return torch.export.export(_Whole(prepared), (example,), dynamic_shapes=({axis: batch},), strict=False)


def save_program(
    net: nn.Module,
    path: str | os.PathLike[str],
    form: str = "image",
    input_shape: Sequence[int] | None = None,
    T: int | None = None,
) -> Path:
    """Write `to_program`'s program for `torch.export.load`; returns its path.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> path = clif.export.save_program(net, "network.pt2")
    >>> torch.export.load(path).module()(torch.rand(4, 3, 16, 16)).shape
    torch.Size([2, 4, 10])
    """
    content = io.BytesIO()
    with quiet():
        torch.export.save(to_program(net, form, input_shape, T), content)
    try:
        write_content(Path(path), content.getvalue())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from error
    return Path(path)


def signature(net: nn.Module, form: str) -> Signature:
    """The names of a program's inputs and outputs; states are "LAYER.v" and "LAYER.m", afterwards "LAYER.v.next".

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> clif.export.signature(net, "image")
    Signature(inputs=['x'], outputs=['logits'])
    """
    states = [f"{name}.{state}" for name, node in spiking_neurons(net).items() for state in node.state_names]
    if form != "step":
        states = []
    return Signature(["x", *states], ["logits", *(f"{state}.next" for state in states)])


@torch.no_grad()
def initial_state(net: nn.Module, batch_size: int, input_shape: Sequence[int] | None = None) -> dict[str, Tensor]:
    """The states at rest by the names of `signature`, for a batch of samples of the shape that is exported.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> state = clif.export.initial_state(net, batch_size=1)
    >>> state["features.0.act.m"].shape
    torch.Size([1, 16, 16, 16])
    """
    net = as_network(net, input_shape)
    probe = copy.deepcopy(net).eval()
    reset_net(probe)
    set_step_mode(probe, "s")
    neurons = spiking_neurons(probe)
    at_rest = {f"{name}.{s}": float(getattr(node, s)) for name, node in neurons.items() for s in node.state_names}
    parameter = next(probe.parameters())
    probe(parameter.new_zeros(batch_size, *net.sample_shape))
    shaped = [value for node in neurons.values() for value in node.state or ()]
    return {
        name: torch.full(value.shape, rest, dtype=value.dtype, device=value.device)
        for (name, rest), value in zip(at_rest.items(), shaped, strict=True)
    }


@contextmanager
def quiet() -> Iterator[None]:
    """A context without the exporters' warnings and logs that the caller cannot change; errors are logged as usual."""
    loggers = [logging.getLogger(name) for name in EXPORTERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
