"""Networks as graphs of NIR, the Neuromorphic Intermediate Representation (Pedersen et al., 2024; package `nir`).

NIR's LIF is τ·dv/dt = (v_leak − v) + r·I, fires if v > v_threshold (strictly), then v = v_reset, and starts at 0.
One Euler step of dt is v + (dt/τ)·(v_leak − v + r·I), so ours, v·(1 − 1/τ) + x with a hard reset to v_reset, becomes

    τ_NIR = τ·dt,   I = τ·x (with decay_input: x),   r = 1,   v_leak = v_reset = 0,
    v_threshold one unit in the last place below v_threshold − v_reset (ours fires if v ≥ v_threshold)

with all potentials counted from v_reset. The factor τ is multiplied into the weights before the neuron; one that has no
weights of its own there, as after a sum or a pool, gets I = x and r = τ (with decay_input: 1).
"""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from clif.deploy import ChannelAffine, fold_batch_norm
from clif.deploy.graph import FLATTENS, is_addition, layer_graph, layer_of
from clif.errors import InputError, in_words
from clif.export.program import try_out
from clif.extras import require
from clif.files import write_content
from clif.layers import AdaptiveAvgPool2d, AvgPool2d, Conv2d, Dropout
from clif.models import SpikingNetwork
from clif.models.wrapped import as_network, class_name, layer_name
from clif.neurons import CLIFNode, LIFNode, PLIFNode, SpikingNeuron, reset_net, set_step_mode

UNCHANGING = (nn.Identity, nn.Dropout, Dropout)  # in eval mode


def to_nir(
    net: nn.Module,
    path: str | os.PathLike[str] | None = None,
    dt: float = 1e-4,
    depthwise: bool = False,
    input_shape: Sequence[int] | None = None,
) -> Any:
    """The network as a flat `nir.NIRGraph`, written to `path` if one is given.

    `dt` is the length of a time step in seconds, which the graph's metadata contain. The graph is that of one step in
    eval mode: input [C, H, W], output the logits of the step [classes]. Batch norms are folded into the convolutions
    before them, or written as 1×1 convolutions of each channel with itself if folding is not exact. Adaptive pools are
    folded into the linear layer after them. Additions are nodes with several incoming edges, which NIR sums.

    The 1×1 convolutions have diagonal weights [C, C, 1, 1], or with `depthwise` weights [C, 1, 1, 1] in C groups. Those
    are smaller, but `nir` 1.0.8 reads them with `nir.read(path, type_check=False)` only, and snnTorch not at all.

    Your own module (`clif.wrap` says which are possible) needs `input_shape`, (C, H, W) or (F,) of one sample.

    Raises `InputError` for networks that NIR cannot express: CLIF neurons, soft resets, layers without a NIR node.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> lif = clif.deploy.clif_to_lif(net, v_reset=0.0)
    >>> graph = clif.export.to_nir(lif, "network.nir", dt=1e-4)
    """
    net = as_network(net, input_shape)
    nir = require("nir")
    if not (np.isfinite(dt) and dt > 0):
        raise InputError(f"dt must be a number of seconds above 0, got {dt}")
    _check_neurons(net)
    prepared = fold_batch_norm(net, rest="affine").float().cpu()
    graph = _Writer(nir, prepared, dt, depthwise).write()
    if path is not None:
        content = io.BytesIO()
        nir.write(content, graph)
        try:
            write_content(Path(path), content.getvalue())
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error}") from error
    return graph


def _check_neurons(net: SpikingNetwork) -> None:
    nodes = {name: module for name, module in net.named_modules() if isinstance(module, SpikingNeuron)}
    neurons = {layer_name(net, name): node for name, node in nodes.items()}
    if not neurons:
        raise InputError(f"{class_name(net)} has no spiking neuron; NIR is for spiking networks")
    for name, node in neurons.items():
        if isinstance(node, CLIFNode) and not node.redefined:
            raise InputError(
                f"NIR has no CLIF neuron ({name}); convert the network first: "
                'clif.deploy.clif_to_lif(net, method="calibrate", loader=...)'
            )
        if node.redefined or not isinstance(node, LIFNode | PLIFNode):
            raise InputError(
                f"NIR has no such neuron: {name} is a {type(node).__name__}, which overrides the neuron's "
                "computation; train with LIF or PLIF, or with CLIF and convert it"
            )
        if node.v_reset is None:
            raise InputError(
                f"NIR's LIF has a hard reset, {name} a soft one (v_reset=None); use a hard reset: "
                'clif.deploy.clif_to_lif(net, v_reset=0.0) or method="calibrate"'
            )


@dataclass
class _Value:
    """What a node of the network computes: the sum of these NIR nodes, and a pool that is still to be applied to it."""

    sources: list[str]
    shape: tuple[int, ...]
    pool: AdaptiveAvgPool2d | None = None


@dataclass
class _Writer:
    nir: Any
    net: SpikingNetwork
    dt: float
    depthwise: bool
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def write(self) -> Any:
        self.graph = layer_graph(self.net)
        shapes = _shapes(self.graph, self.net)
        self.in_r = self._scale_weights()
        values: dict[fx.Node, _Value] = {}
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                self.nodes["input"] = self.nir.Input({"input": np.array(shapes[node])})
                values[node] = _Value(["input"], shapes[node])
            elif node.op == "output":
                result = values[node.args[0]]
                self._add("output", self.nir.Output({"output": np.array(result.shape)}), result)
            elif is_addition(node):
                values[node] = self._sum([values[argument] for argument in node.all_input_nodes], node, shapes[node])
            elif (layer := layer_of(self.graph, node)) is not None:
                values[node] = self._layer(str(node.target), layer, values[node.all_input_nodes[0]], shapes[node])
            else:
                name = getattr(node.target, "__name__", node.target)
                raise InputError(f"NIR export does not support the operation {name} in {class_name(self.net)}")
        try:
            return self.nir.NIRGraph(
                nodes=self.nodes, edges=self.edges, metadata={"dt": self.dt}, type_check=not self.depthwise
            )
        except ValueError as error:
            raise InputError(
                f"nir refuses the shapes of {class_name(self.net)} ({in_words(error)}); grouped convolutions need "
                "depthwise=True"
            ) from error

    def _scale_weights(self) -> dict[str, float]:
        """Multiply τ into the weights before each neuron; if there are none of its own, into its r: name -> r."""
        in_r = {}
        for node in self.graph.graph.nodes:
            neuron = layer_of(self.graph, node)
            if not isinstance(neuron, SpikingNeuron) or neuron.decay_input:
                continue
            before = node.all_input_nodes[0]
            while isinstance(layer_of(self.graph, before), UNCHANGING) and len(before.users) == 1:
                before = before.all_input_nodes[0]
            weights = layer_of(self.graph, before)
            if isinstance(weights, Conv2d | ChannelAffine | nn.Linear) and len(before.users) == 1:
                _multiply(weights, time_constant(neuron))
            else:
                in_r[str(node.target)] = time_constant(neuron)
        return in_r

    def _new_name(self, name: str) -> str:
        while name in self.nodes or name == "output":
            name += "_"
        return name

    def _add(self, name: str, node: Any, value: _Value) -> None:
        if value.pool is not None:
            raise InputError(
                f"the adaptive pool before {name} is not followed by a linear layer; NIR cannot express it"
            )
        self.nodes[name] = node
        self.edges += [(source, name) for source in value.sources]

    def _sum(self, values: list[_Value], node: fx.Node, shape: tuple[int, ...]) -> _Value:
        sources = [source for value in values for source in value.sources]
        if len(values) < 2 or len(set(sources)) < len(sources) or any(value.pool for value in values):
            raise InputError(
                f"NIR cannot express the addition {node.name}: it adds a result to itself or to a constant"
            )
        return _Value(sources, shape)

    def _layer(self, full_name: str, layer: nn.Module, value: _Value, shape: tuple[int, ...]) -> _Value:
        if isinstance(layer, UNCHANGING):
            return value
        own_name = layer_name(self.net, full_name)
        if isinstance(layer, AdaptiveAvgPool2d):
            if value.pool is not None:
                raise InputError(f"NIR cannot express {own_name}: it pools the result of another adaptive pool")
            return value if shape == value.shape else _Value(value.sources, value.shape, layer)
        name = self._new_name(own_name.replace(".", "_"))
        pool, value = value.pool, _Value(value.sources, value.shape)
        if isinstance(layer, FLATTENS):
            whole = {"input": np.array(value.shape)}
            self._add(name, self.nir.Flatten(start_dim=0, end_dim=-1, input_type=whole), value)
            return _Value([name], value.shape if pool else shape, pool)
        if isinstance(layer, nn.Linear):
            if len(shape) > 1:
                raise InputError(f"NIR cannot express {own_name}: it acts on a map; put a Flatten before it")
            self._add(name, self._linear(layer, value, pool), value)
            return _Value([name], shape)
        self._add(name, self._node(full_name, layer, value, shape), _Value(value.sources, value.shape, pool))
        return _Value([name], shape)

    def _node(self, full_name: str, layer: nn.Module, value: _Value, shape: tuple[int, ...]) -> Any:
        name = layer_name(self.net, full_name)
        if isinstance(layer, Conv2d):
            if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
                raise InputError(f"NIR cannot express the padding of {name}: {layer.padding_mode} {layer.padding}")
            bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias
            return self._convolution(
                layer.weight, bias, value, layer.stride, layer.padding, layer.dilation, layer.groups
            )
        if isinstance(layer, ChannelAffine):
            weight = layer.scale[:, None] if self.depthwise else layer.scale.diag()
            groups = len(weight) if self.depthwise else 1
            return self._convolution(weight[..., None, None], layer.shift, value, (1, 1), (0, 0), (1, 1), groups)
        if isinstance(layer, AvgPool2d):
            sizes = (layer.kernel_size, layer.stride, layer.padding)
            if layer.ceil_mode or not layer.count_include_pad or layer.divisor_override:
                raise InputError(f"NIR cannot express ceil_mode, count_include_pad or divisor_override of {name}")
            kernel_size, stride, padding = (np.array(_pair(size)) for size in sizes)
            return self.nir.AvgPool2d(kernel_size=kernel_size, stride=stride, padding=padding)
        if isinstance(layer, LIFNode | PLIFNode):
            return self._neuron(full_name, layer, shape)
        raise InputError(f"NIR export does not support the layer {name}, a {type(layer).__name__}")

    def _convolution(self, weight: Tensor, bias: Tensor, value: _Value, *geometry: Any) -> Any:
        stride, padding, dilation, groups = geometry
        return self.nir.Conv2d(
            input_shape=value.shape[-2:],
            weight=_numpy(weight),
            stride=tuple(stride),
            padding=tuple(padding),
            dilation=tuple(dilation),
            groups=groups,
            bias=_numpy(bias),
        )

    def _linear(self, layer: nn.Linear, value: _Value, pool: AdaptiveAvgPool2d | None) -> Any:
        weight = layer.weight.detach()
        if pool is not None:
            weight = _behind_pool(weight, pool, value.shape)
        bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
        return self.nir.Affine(weight=_numpy(weight), bias=_numpy(bias))

    @torch.no_grad()
    def _neuron(self, name: str, node: LIFNode | PLIFNode, shape: tuple[int, ...]) -> Any:
        threshold = float(node.v_threshold) - float(node.v_reset or 0.0)
        threshold = np.nextafter(np.float32(threshold), np.float32(-np.inf))
        constants = {
            "tau": time_constant(node) * self.dt,
            "r": self.in_r.get(name, 1.0),
            "v_leak": 0.0,
            "v_threshold": threshold,
            "v_reset": 0.0,
        }
        return self.nir.LIF(**{key: np.full(shape, value, np.float32) for key, value in constants.items()})


def _multiply(layer: nn.Module, factor: float) -> None:
    """Multiply the parameters of a layer, but not those of another layer that shares them."""
    for name in ("weight", "bias", "scale", "shift"):
        if (value := getattr(layer, name, None)) is not None:
            setattr(layer, name, nn.Parameter(value.detach() * factor))


@torch.no_grad()
def time_constant(node: SpikingNeuron) -> float:
    """τ in steps; that of PLIF is 1/σ(w)."""
    return 1 / torch.sigmoid(node.w.detach().double()).item() if isinstance(node, PLIFNode) else float(node.tau)


def _behind_pool(weight: Tensor, pool: AdaptiveAvgPool2d, shape: tuple[int, ...]) -> Tensor:
    """The weights [out, C·H·W] that act on the map [C, H, W] as `weight` acts on the pooled, flattened map."""
    map_of_each = torch.zeros(len(weight), *shape, requires_grad=True)
    with torch.enable_grad():
        pooled = F.adaptive_avg_pool2d(map_of_each, pool.output_size)
    (folded,) = torch.autograd.grad(pooled, map_of_each, weight.view_as(pooled))
    return folded.flatten(1)


def _shapes(graph: fx.GraphModule, net: SpikingNetwork) -> dict[fx.Node, tuple[int, ...]]:
    """The shape of every result for one image and one step, without the batch axis."""
    shapes: dict[fx.Node, tuple[int, ...]] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if isinstance(result, Tensor):
                shapes[n] = tuple(result.shape[1:])
            return result

    set_step_mode(net, "s")
    with torch.no_grad():
        try_out(net, x := torch.zeros(1, *net.sample_shape))
        reset_net(net)
        Recorder(graph).run(x)
    reset_net(net)
    return shapes


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _numpy(value: Tensor) -> np.ndarray:
    return value.detach().float().cpu().contiguous().numpy()
