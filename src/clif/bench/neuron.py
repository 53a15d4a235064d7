"""`clif bench neuron`: one neuron layer, forward and backward, against the copy of the bytes it must move."""

import dataclasses
import functools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from clif import memory
from clif.bench import gate, machine
from clif.bench.measure import Run, bytes_kept, measure, threads
from clif.bench.neuron_contestants import Contestant, factories
from clif.bench.report import Report, Row
from clif.bench.settings import NeuronSettings, select
from clif.devices import choose_device
from clif.ops.dispatch import BACKENDS

COPY = "copy of the same bytes"
TRAFFIC = "its reads and writes only"
TENSORS_MOVED = 5  # read x, write s; read x, read the gradient of s, write that of x

SWEPT_T = (1, 2, 4, 6, 8, 16, 32, 64)
SWEPT_NEURONS = tuple(4**i for i in range(4, 11))

COLUMNS = ("over copy", "over float32", "bytes kept")
SWEEP_COLUMNS = ("T", "neurons", "ns/element", *COLUMNS)


def run(settings: NeuronSettings) -> Report:
    """Measure the neuron of `settings` and those of other packages, for the shape and all shapes of the sweeps."""
    device = choose_device(settings.device)
    count = settings.threads or torch.get_num_threads()
    described = machine.describe(device, count)
    memory.keep()  # else it is left to chance whose results need new pages, which take as long as the neuron
    with threads(count):
        rows = [row for shape in shapes(settings) for row in _measure_shape(settings, shape, device)]
    memory.usual()
    return Report("neuron", dataclasses.asdict(settings), described, rows)


def shapes(settings: NeuronSettings) -> list[tuple[int, ...]]:
    """The shape asked for, and [T, neurons] of the sweeps."""
    T, elements = settings.shape[0], math.prod(settings.shape)
    found = [settings.shape]
    if "T" in settings.sweep:
        found += [(steps, max(1, elements // steps)) for steps in SWEPT_T]
    if "size" in settings.sweep:
        found += [(T, neurons) for neurons in SWEPT_NEURONS]
    return found


def _measure_shape(settings: NeuronSettings, shape: tuple[int, ...], device: torch.device) -> Iterator[Row]:
    elements = math.prod(shape)
    where = {"T": shape[0], "neurons": elements // shape[0]}
    runs: dict[tuple[str, str], Run] = {}
    kept: dict[tuple[str, str], float] = {}
    refused: list[Row] = []
    known = factories(settings.neuron)
    for dtype_name in settings.dtypes:
        dtype = getattr(torch, dtype_name)
        torch.manual_seed(0)
        x_seq, d_spike = (torch.randn(shape).to(device, dtype) for _ in range(2))
        x_seq.requires_grad_()
        runs |= {(name, dtype_name): run for name, run in _limits(x_seq.detach(), d_spike).items()}
        for name in select(settings.contestants, known):
            try:
                contestant = known[name](settings.neuron, dtype, device)
                note = _refusal(name, contestant, x_seq)
            except ImportError as error:
                note = f"not installed ({error})"
            if note is not None:
                refused.append(Row(name, dtype_name, None, note, dict(where)))
                continue
            runs[name, dtype_name] = _forward_backward(contestant, x_seq, d_spike)
            kept[name, dtype_name] = bytes_kept(functools.partial(contestant.run, x_seq)) / elements
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
        yield Row(name, dtype_name, timing, "", figures)
    yield from refused


def _refusal(name: str, contestant: Contestant, x_seq: Tensor) -> str | None:
    if name in BACKENDS:
        reason = BACKENDS[name].unavailable()
        if reason is not None:
            return f"cannot run: {reason}"
    reason = gate.refuses(contestant, x_seq)
    return None if reason is None else f"no time is reported: {reason}"


def _forward_backward(contestant: Contestant, x_seq: Tensor, d_spike: Tensor) -> Run:
    """What is timed; what the neuron allocates and frees is its time."""
    wanted = (x_seq, *contestant.parameters)
    return lambda: torch.autograd.grad(contestant.run(x_seq), wanted, d_spike)


def _limits(x_seq: Tensor, d_spike: Tensor) -> dict[str, Run]:
    """What bounds a neuron: a copy of as many bytes, and plain operations on the same tensors into new memory."""
    source = torch.randn(x_seq.numel() * TENSORS_MOVED // 2).to(x_seq.device, x_seq.dtype)
    target = torch.empty_like(source)
    return {COPY: lambda: target.copy_(source), TRAFFIC: lambda: (x_seq.clone(), x_seq + d_spike)}
