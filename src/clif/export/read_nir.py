"""Graphs of NIR, from another tool or from `to_nir`, as networks that run step by step."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clif.data.hdf5 import DataSet, check_readable, list_items, read_values
from clif.data.untrusted import MOST_BYTES, check_unpacked, naming
from clif.errors import InputError, MissingFileError, in_words
from clif.extras import require

WHAT = "a NIR graph"


class NIRNetwork(nn.Module):
    """A NIR graph of one input and one output, computed in float32 by Euler steps of `dt`.

    `net(x_seq)`: [T, N, *] -> [T, N, *], from rest. `spikes` then holds the spikes of each LIF node, [T, N, *] by name.
    Raises `InputError` for an input that the nodes cannot take.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> lif = clif.deploy.clif_to_lif(net, v_reset=0.0)
    >>> graph = clif.export.to_nir(lif, "network.nir", dt=1e-4)
    >>> read = clif.export.from_nir("network.nir")
    >>> logits = read(torch.rand(2, 1, 3, 16, 16))
    >>> len(read.spikes)  # layers of neurons
    5
    """

    def __init__(self, graph: Any, dt: float) -> None:
        super().__init__()
        self.dt = dt
        self.sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            if source not in graph.nodes or target not in graph.nodes:
                raise InputError(f"the edge from {source!r} to {target!r} must connect nodes of the graph")
            self.sources[target].append(source)
        self.order = _sorted(self.sources)
        kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
        self.input, self.output = (_only(kinds, kind) for kind in ("Input", "Output"))
        for name, feeding in self.sources.items():
            if (name == self.input) == bool(feeding):
                raise InputError(
                    f"the node {name} has {len(feeding)} inputs; the input node must have none, other nodes at least 1"
                )
        self.layers: dict[str, Callable[[Tensor], Tensor]] = {}
        self.neurons: dict[str, _LIF] = {}
        for name, node in graph.nodes.items():
            if kinds[name] == "LIF":
                self.neurons[name] = _LIF(name, node, dt)
            elif name not in (self.input, self.output):
                if kinds[name] not in _LAYERS:
                    raise InputError(f"the node {name} is a {kinds[name]}; supported are LIF, {', '.join(_LAYERS)}")
                self.layers[name] = _LAYERS[kinds[name]](node)
        self.spikes: dict[str, Tensor] = {}

    def forward(self, x_seq: Tensor) -> Tensor:
        if x_seq.dim() < 3 or len(x_seq) == 0:
            raise InputError(f"a NIRNetwork takes a sequence [T, N, *] with T ≥ 1, got {list(x_seq.shape)}")
        states: dict[str, Tensor] = {}
        fired: dict[str, list[Tensor]] = {name: [] for name in self.neurons}
        outputs = []
        for x in x_seq.float().unbind(0):
            values = {self.input: x}
            for name in self.order:
                if name == self.input:
                    continue
                arriving = sum((values[source] for source in self.sources[name][1:]), values[self.sources[name][0]])
                if name in self.neurons:
                    values[name], states[name] = self.neurons[name].step(arriving, states.get(name))
                    fired[name].append(values[name])
                else:
                    values[name] = self._layer(name, arriving)
            outputs.append(values[self.output])
        self.spikes = {name: torch.stack(steps) for name, steps in fired.items()}
        return torch.stack(outputs)

    def _layer(self, name: str, x: Tensor) -> Tensor:
        try:
            return self.layers[name](x) if name in self.layers else x
        except RuntimeError as error:
            raise InputError(f"the node {name} cannot take {list(x.shape)}: {in_words(error)}") from error


class _LIF:
    def __init__(self, name: str, node: Any, dt: float) -> None:
        self.name = name
        tau, self.r, self.v_leak, self.threshold, self.v_reset = (
            torch.as_tensor(np.asarray(getattr(node, key)), dtype=torch.float32)
            for key in ("tau", "r", "v_leak", "v_threshold", "v_reset")
        )
        self.leak = dt / tau
        if not bool(((self.leak > 0) & (self.leak < 1)).all()):
            raise InputError(f"the node {name} has no tau, or one below dt={dt:g} s; give the dt of the graph")

    def step(self, x: Tensor, v: Tensor | None) -> tuple[Tensor, Tensor]:
        v = torch.zeros_like(x) if v is None else v
        u = v + self.leak * (self.v_leak - v + self.r * x)
        if u.shape != x.shape:
            raise InputError(
                f"the node {self.name} has neurons {list(self.leak.shape)}, but its input is {list(x.shape)}"
            )
        spike = (u > self.threshold).to(x.dtype)
        return spike, torch.where(spike > 0, self.v_reset, u)


def from_nir(path: str | os.PathLike[str], dt: float | None = None) -> NIRNetwork:
    """Read a NIR file. `dt` is the time step in seconds, by default the one in the graph's metadata.

    It reads Input, Output, Affine, Linear, Conv2d, AvgPool2d, SumPool2d, Flatten, Scale and LIF nodes without
    recurrence. Raises `InputError` for a file that is missing, damaged, not a NIR graph, or has other nodes. It
    executes no code from the file.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> lif = clif.deploy.clif_to_lif(net, v_reset=0.0)
    >>> graph = clif.export.to_nir(lif, "network.nir", dt=1e-4)
    >>> clif.export.from_nir("network.nir")(torch.rand(2, 1, 3, 16, 16)).shape  # [T, N, C, H, W] -> [T, N, classes]
    torch.Size([2, 1, 10])
    """
    nir = require("nir")
    if not Path(path).is_file():
        raise MissingFileError(f"no NIR file at {path}")
    try:
        with naming(Path(path)):
            content = _content(Path(path))
        graph = nir.dict2NIRNode(content | {"type_check": False})
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise any exception
        raise InputError(f"{path}: not a NIR graph, or damaged: {error}") from error
    try:
        metadata = graph.metadata if isinstance(graph.metadata, dict) else {}
        step = float(metadata.get("dt", 0.0)) if dt is None else dt
        if not (np.isfinite(step) and step > 0):
            raise InputError("it does not contain its time step; give dt in seconds")
        return NIRNetwork(graph, step)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # the file may contain arrays of any shape and type
        raise InputError(f"{path}: damaged: {type(error).__name__}: {error}") from error


def _content(path: Path) -> dict[str, Any]:
    """The node in a NIR file as NIR's dictionary: groups are dictionaries, and data sets arrays, numbers or text.

    Raises `InputError` if a data set cannot be read, or all together are declared far larger than the file.
    """
    data_sets = [item for item in list_items(path, WHAT).values() if isinstance(item, DataSet)]
    check_unpacked(sum(item.bytes for item in data_sets), path.stat().st_size, MOST_BYTES)
    for item in data_sets:
        check_readable(item)
    root: dict[str, Any] = {}
    for item, values in zip(data_sets, read_values(path, WHAT, [(item.name, "") for item in data_sets]), strict=True):
        *groups, name = item.name.strip("/").split("/")
        place = root
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = values[()] if isinstance(values, np.ndarray) else values
    return root["node"]


def _sorted(sources: dict[str, list[str]]) -> list[str]:
    """The nodes in an order in which each comes after its inputs; raises `InputError` for a cycle."""
    order: list[str] = []
    left = dict(sources)
    while left:
        ready = [name for name, feeding in left.items() if not any(source in left for source in feeding)]
        if not ready:
            raise InputError(f"the graph has a cycle through {min(left)}; recurrent graphs are not supported")
        order += ready
        left = {name: feeding for name, feeding in left.items() if name not in ready}
    return order


def _only(kinds: dict[str, str], kind: str) -> str:
    found = [name for name, its in kinds.items() if its == kind]
    if len(found) != 1:
        raise InputError(f"the graph has {len(found)} nodes of the type {kind}, not one")
    return found[0]


def _tensor(value: Any) -> Tensor:
    return torch.from_numpy(np.array(value, dtype=np.float32))


def _ints(value: Any) -> Any:
    values = np.asarray(value)
    return (
        value if isinstance(value, str) else tuple(int(v) for v in values.reshape(-1)) if values.ndim else int(values)
    )


def _affine(node: Any) -> Callable[[Tensor], Tensor]:
    weight, bias = _tensor(node.weight), _tensor(node.bias) if hasattr(node, "bias") else None
    return lambda x: F.linear(x, weight, bias)


def _convolution(node: Any) -> Callable[[Tensor], Tensor]:
    weight, bias = _tensor(node.weight), _tensor(node.bias)
    geometry = (_ints(node.stride), _ints(node.padding), _ints(node.dilation), int(node.groups))
    return lambda x: F.conv2d(x, weight, bias, *geometry)


def _average(node: Any) -> Callable[[Tensor], Tensor]:
    kernel_size, stride, padding = (_ints(value) for value in (node.kernel_size, node.stride, node.padding))
    return lambda x: F.avg_pool2d(x, kernel_size, stride, padding)


def _total(node: Any) -> Callable[[Tensor], Tensor]:
    kernel_size, stride, padding = (_ints(value) for value in (node.kernel_size, node.stride, node.padding))
    return lambda x: F.avg_pool2d(x, kernel_size, stride, padding, divisor_override=1)


def _flatten(node: Any) -> Callable[[Tensor], Tensor]:
    start, end = (int(d) if d < 0 else int(d) + 1 for d in (node.start_dim, node.end_dim))
    return lambda x: x.flatten(start, end)


def _scale(node: Any) -> Callable[[Tensor], Tensor]:
    scale = _tensor(node.scale)
    return lambda x: x * scale


_LAYERS: dict[str, Callable[[Any], Callable[[Tensor], Tensor]]] = {
    "Affine": _affine,
    "Linear": _affine,
    "Conv2d": _convolution,
    "AvgPool2d": _average,
    "SumPool2d": _total,
    "Flatten": _flatten,
    "Scale": _scale,
}
