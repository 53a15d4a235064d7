"""`clif bench neuron`: one neuron layer, forward and backward, against the copy of the bytes it must move."""

import dataclasses
import functools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from clif import memory
from clif.bench import first_call, gate, machine
from clif.bench.definition import Contestant, Definition, Layer, UnavailableError
from clif.bench.measure import Run, bytes_kept, measure, threads
from clif.bench.neuron_contestants import factories
from clif.bench.report import Report, Row
from clif.bench.settings import NeuronSettings, select
from clif.devices import choose_device
from clif.errors import InputError
from clif.names import neuron_names
from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import options_of, spiking_neuron

COPY = "copy of the same bytes"
TRAFFIC = "its reads and writes only"
TENSORS_MOVED = 5  # read x, write s; read x, read the gradient of s, write that of x

SWEPT_T = (1, 2, 4, 6, 8, 16, 32, 64)
SWEPT_NEURONS = tuple(4**i for i in range(4, 11))

COLUMNS = ("over copy", "over float32", "bytes kept")
SWEEP_COLUMNS = ("T", "neurons", "ns/element", *COLUMNS)


def run(settings: NeuronSettings) -> Report:
    """Measure the neuron of `settings` and those of other packages, for the shape and all shapes of the sweeps.

    Raises `InputError` for a neuron that does not spike, has options without defaults, or needs more axes.
    """
    device = choose_device(settings.device)
    kind = spiking_neuron(settings.neuron)
    settings = dataclasses.replace(settings, neuron=str(kind.neuron))
    channels = _channels(kind, settings.shape)
    Definition(settings.neuron).node(Layer(settings.neuron, channels, torch.float32, torch.device("cpu")))
    count = settings.threads or torch.get_num_threads()
    described = machine.describe(device, count)
    memory.keep()  # otherwise it is chance which contestant's results need new pages, which take as long as the neuron
    try:
        with threads(count):
            rows = [row for shape in shapes(settings, channels) for row in _measure_shape(settings, shape, device)]
    finally:
        memory.usual()
    return Report("neuron", dataclasses.asdict(settings), described, rows)


def _channels(kind: type[SpikingNeuron], shape: tuple[int, ...]) -> int | None:
    """The channels of a shape [T, N, C, *] if the neuron depends on them; raises `InputError` if it has none."""
    by_channel = [name for name, of in kind.learnable.items() if of == "channel"]
    if not by_channel and "channels" not in options_of(kind):
        return None
    if len(shape) < 3:
        has = f"has {', '.join(by_channel)} by channel" if by_channel else "needs the channels of its layer"
        raise InputError(f"{kind.neuron} {has}: give --shape as T, N, C and the rest, got {list(shape)}")
    return shape[2]


def shapes(settings: NeuronSettings, channels: int | None = None) -> list[tuple[int, ...]]:
    """The shape asked for, and [T, neurons] of the sweeps, or [T, N, channels]."""
    T, elements = settings.shape[0], math.prod(settings.shape)
    swept = []
    if "T" in settings.sweep:
        swept += [(steps, max(1, elements // steps)) for steps in SWEPT_T]
    if "size" in settings.sweep:
        swept += [(T, neurons) for neurons in SWEPT_NEURONS]
    if channels is None:
        return [settings.shape, *swept]
    return [settings.shape, *((steps, max(1, neurons // channels), channels) for steps, neurons in swept)]


def _measure_shape(settings: NeuronSettings, shape: tuple[int, ...], device: torch.device) -> Iterator[Row]:
    elements = math.prod(shape)
    where = {"T": shape[0], "neurons": elements // shape[0]}
    runs: dict[tuple[str, str], Run] = {}
    kept: dict[tuple[str, str], float] = {}
    notes: dict[tuple[str, str], str] = {}
    refused: list[Row] = []
    known = factories(settings.neuron, device.type)
    for dtype_name in settings.dtypes:
        dtype = getattr(torch, dtype_name)
        layer = Layer(settings.neuron, shape[2] if len(shape) > 2 else None, dtype, device)
        torch.manual_seed(0)
        x_seq, d_spike = (torch.randn(shape).to(device, dtype) for _ in range(2))
        x_seq.requires_grad_()
        runs |= {(name, dtype_name): run for name, run in _limits(x_seq.detach(), d_spike).items()}
        for name in select(settings.contestants, known):
            try:
                contestant = known[name](layer)
                reason = gate.refuses(contestant, x_seq)
                note = None if reason is None else f"no time is reported: {reason}"
            except ImportError as error:
                note = f"not installed ({error})"
            except UnavailableError as error:
                note = f"cannot run: {error}"
            except InputError as error:
                note = str(error)
            if note is not None:
                refused.append(Row(name, dtype_name, None, note, dict(where)))
                continue
            runs[name, dtype_name] = forward_backward(contestant, x_seq, d_spike)
            kept[name, dtype_name] = bytes_kept(functools.partial(contestant.run, x_seq)) / elements
            if contestant.plan is not None and shape == settings.shape and settings.neuron not in neuron_names():
                notes[name, dtype_name] = first_call.describe(contestant.plan, name, dtype, device)
    timings = measure({f"{name}|{dtype}": run for (name, dtype), run in runs.items()}, settings.rounds, device)
    for name, dtype_name in runs:
        timing = timings[f"{name}|{dtype_name}"]
        figures = {
            **where,
            "ns/element": timing.median * 1e6 / elements,
            "over copy": timing.median / timings[f"{COPY}|{dtype_name}"].median,
        }
        if dtype_name != "float32" and (name, "float32") in runs:
            figures["over float32"] = timing.median / timings[f"{name}|float32"].median
        if (name, dtype_name) in kept:
            figures["bytes kept"] = kept[name, dtype_name]
        yield Row(name, dtype_name, timing, notes.get((name, dtype_name), ""), figures)
    yield from refused


def forward_backward(contestant: Contestant, x_seq: Tensor, d_spike: Tensor) -> Run:
    """The timed function; it includes the neuron's allocations."""
    wanted = (x_seq, *contestant.parameters)
    return lambda: torch.autograd.grad(contestant.run(x_seq), wanted, d_spike, allow_unused=True)


def _limits(x_seq: Tensor, d_spike: Tensor) -> dict[str, Run]:
    """The lower limits of a neuron: a copy of the same bytes, and plain operations on the same tensors."""
    source = torch.randn(x_seq.numel() * TENSORS_MOVED // 2).to(x_seq.device, x_seq.dtype)
    target = torch.empty_like(source)
    return {COPY: lambda: target.copy_(source), TRAFFIC: lambda: (x_seq.clone(), x_seq + d_spike)}
