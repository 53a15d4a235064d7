"""Networks as `torch.export` programs: the source of ONNX files, and the format of other PyTorch runtimes."""

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

from clif.errors import InputError, in_words
from clif.files import write_content
from clif.layers import Dropout, Recurrent, StepModule
from clif.models import SpikingNetwork
from clif.models.wrapped import as_network, layer_name
from clif.names import FORMS
from clif.neurons import reset_net, set_backend, set_step_mode
from clif.sequence_layers import detached_copy

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
        layers = list(layers_with_states(self.net).values())
        left = iter(states)
        for layer in layers:
            layer.state = tuple(next(left) for _ in layer.named_memories())
        logits = self.net(x)
        after = [value for layer in layers for value in layer.state or ()]
        reset_net(self.net)
        return (logits, *after)


def layers_with_states(net: nn.Module) -> dict[str, StepModule]:
    """The layers that keep states between steps in eval mode, by name: neurons, integrators, recurrent containers."""
    modules = {name: m for name, m in net.named_modules() if isinstance(m, StepModule) and not isinstance(m, Dropout)}
    return {layer_name(net, name): m for name, m in modules.items() if any(True for _ in m.named_memories())}


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
    unknown form, if these arguments are missing, and for samples that the network cannot take.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> program = clif.export.to_program(net, form="image")
    >>> program.module()(torch.rand(4, 3, 16, 16)).shape
    torch.Size([2, 4, 10])
    """
    if form not in FORMS:
        raise InputError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    net = as_network(net, input_shape, T, images=form != "step")
    prepared = detached_copy(net).eval().requires_grad_(False)
    reset_net(prepared)
    set_backend(prepared, "torch")
    set_step_mode(prepared, "s" if form == "step" else "m")
    parameter = next(prepared.parameters(), torch.empty(0))
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
        try_out(prepared, example)
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
    """The names of a program's inputs and outputs; states are "LAYER.v", "LAYER.m" …, afterwards "LAYER.v.next" ….

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> clif.export.signature(net, "image")
    Signature(inputs=['x'], outputs=['logits'])
    """
    layers = layers_with_states(net) if form == "step" else {}
    states = [f"{name}.{state}" for name, layer in layers.items() for state, _ in layer.named_memories()]
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
    probe = detached_copy(net).eval()
    reset_net(probe)
    layers = layers_with_states(probe)
    memories = [(f"{name}.{state}", value) for name, layer in layers.items() for state, value in layer.named_memories()]
    at_rest = {name: 0.0 if value is None else float(value) for name, value in memories}
    parameter = next(probe.parameters(), torch.empty(0))
    set_step_mode(probe, "s")
    try_out(probe, parameter.new_zeros(batch_size, *net.sample_shape))
    for name, layer in layers.items():
        if layer.state is None:
            raise InputError(f"a step does not call {name}, a {type(layer).__name__}, which has a state; remove it")
        if isinstance(layer, Recurrent) and layer.y is not None and layer.feedback(torch.zeros_like(layer.y)).any():
            raise InputError(
                f"the first step of {name}, a Recurrent, has no feedback, but a state of zeros would feed back a bias; "
                "use a feedback without a bias, or export whole sequences"
            )
    shaped = [value for layer in layers.values() for value in layer.state or ()]
    return {
        name: torch.full(value.shape, rest, dtype=value.dtype, device=value.device)
        for (name, rest), value in zip(at_rest.items(), shaped, strict=True)
    }


def try_out(net: SpikingNetwork, x: Tensor) -> None:
    """Compute `net(x)` for an example of the shape `net.sample_shape`; raises `InputError` if it cannot take it."""
    try:
        net(x)
    except RuntimeError as error:
        raise InputError(
            f"the network cannot take samples of the shape {list(net.sample_shape)}: {in_words(error)}"
        ) from error


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
