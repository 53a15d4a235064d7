"""Neurons of other packages, if these are installed, and their definitions.

Each has the `Definition` of the equivalent neuron of clif, with which the gate compares it. LIF neurons are cheaper
than CLIF and show the scale. FlexSN is SpikingJelly's neuron for any step.
"""

import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clif import surrogate
from clif.bench.definition import Contestant, Definition, Factory, Layer, UnavailableError, parameters_of
from clif.ops.equations import compute_dtype

TAU = 2.0
FLEXSN = "SpikingJelly FlexSN"
SCALE = "LIF"


def _import(name: str) -> Any:
    """A module of another package, without the warnings that its import gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def flexsn(layer: Layer) -> Contestant:
    """The neuron's own step under FlexSN: a loop in Python on a CPU, generated Triton kernels on CUDA.

    FlexSN takes inputs, states and parameters of one dtype; a parameter by channel has one element for every neuron.
    """
    kind = _import("spikingjelly.activation_based.neuron.flexsn").FlexSN
    definition = Definition(layer.neuron)
    node = definition.node(layer)
    parameters = parameters_of(node)
    theirs = kind(node.step, num_states=len(node.states), static_inputs=parameters, step_mode="m")

    def run(x_seq: Tensor) -> Tensor:
        equations, first = node.equations(), x_seq[0]
        states = [state.to(x_seq.dtype).contiguous() for state in equations.start(first, None)]
        values = [
            value.to(x_seq.dtype).view(-1, *(1 for _ in first.shape[2:])).expand_as(first)
            if name in equations.by_channel
            else value.to(x_seq.dtype)
            for name, value in equations.learnables.items()
        ]
        (spikes,), _ = theirs.multi_step_functional_forward((x_seq,), states, static_inputs=tuple(values))
        return spikes

    return Contestant(run, definition, parameters)


def _spikingjelly(kind: str, their_surrogate: Callable[[Any], Any], definition: Definition, layer: Layer) -> Contestant:
    nodes = _import("spikingjelly.activation_based.neuron")
    reset_net = _import("spikingjelly.activation_based.functional").reset_net
    gradient = their_surrogate(_import("spikingjelly.activation_based.surrogate"))
    arguments: dict[str, Any] = {"surrogate_function": gradient, "step_mode": "m"}
    if kind != "ComplementaryLIFNode":
        arguments |= {"decay_input": False, "v_reset": None}
    node: nn.Module = getattr(nodes, kind)(TAU, **arguments).to(layer.device, compute_dtype(layer.dtype))

    def run(x_seq: Tensor) -> Tensor:
        reset_net(node)
        return node(x_seq)

    return Contestant(run, definition, tuple(node.parameters()))


def _spikingjelly_lif_kernels(definition: Definition, layer: Layer) -> Contestant:
    """LIFNode by its Triton kernels, or those in CUDA if they are built, with ATan as the surrogate."""
    if layer.device.type != "cuda":
        raise UnavailableError("SpikingJelly has kernels for CUDA only")
    functional = _import("spikingjelly.activation_based.functional")
    found = functional.neuron_implementation("lif", layer.device)
    if found["implementation"] not in ("triton", "cuda"):
        raise UnavailableError(f"SpikingJelly has no kernels here: {found['unavailable']}")
    return _spikingjelly("LIFNode", _atan, definition, layer)


def _rect(surrogates: Any) -> Any:
    return surrogates.Rect(alpha=1.0)


def _atan(surrogates: Any) -> Any:
    return surrogates.ATan(alpha=2.0)


def _snntorch(definition: Definition, layer: Layer) -> Contestant:
    """snnTorch's Leaky. It resets one step later, after the decay, without gradient: softly by v_threshold / β."""
    gradient = _import("snntorch.surrogate").atan(alpha=2.0)
    node = _import("snntorch").Leaky(beta=1 - 1 / TAU, spike_grad=gradient).to(layer.device)

    def run(x_seq: Tensor) -> Tensor:
        potential = torch.zeros_like(x_seq[0])
        spikes = []
        for x in x_seq:
            spike, potential = node(x, potential)
            spikes.append(spike)
        node.mem = node.mem.detach()  # its class keeps every instance and thus this graph
        return torch.stack(spikes).to(x_seq.dtype)

    return Contestant(run, definition)


def _norse(definition: Definition, layer: Layer) -> Contestant:
    """LIFBox, which is norse's LIF without a synaptic current; time steps of 1 ms."""
    lif_box = _import("norse.torch.functional.lif_box")
    options: dict[str, Any] = {"dtype": compute_dtype(layer.dtype), "device": layer.device}
    one, zero = torch.ones((), **options), torch.zeros((), **options)
    constants = lif_box.LIFBoxParameters(
        tau_mem_inv=one * 1000 / TAU, v_leak=zero, v_th=one, v_reset=zero, method="triangle", alpha=1.0
    )

    def run(x_seq: Tensor) -> Tensor:
        state = lif_box.LIFBoxFeedForwardState(v=torch.zeros_like(x_seq[0]))
        spikes = []
        for x in x_seq:
            spike, state = lif_box.lif_box_feed_forward_step(x, state, constants, dt=0.001)
            spikes.append(spike)
        return torch.stack(spikes)

    return Contestant(run, definition)


class Peer(NamedTuple):
    """Another package's neuron: its definition, the function that makes it, and its only type of device, if any."""

    definition: Definition
    make: Callable[[Definition, Layer], Contestant]
    device: str | None = None


PEERS = {
    "SpikingJelly ComplementaryLIFNode": Peer(
        Definition("CLIF", {"tau": TAU}), functools.partial(_spikingjelly, "ComplementaryLIFNode", _rect)
    ),
    "SpikingJelly ParametricLIFNode": Peer(
        Definition("PLIF", {"init_tau": TAU}), functools.partial(_spikingjelly, "ParametricLIFNode", _rect)
    ),
    "SpikingJelly LIFNode": Peer(Definition("LIF", {"tau": TAU}), functools.partial(_spikingjelly, "LIFNode", _rect)),
    "SpikingJelly LIFNode ATan": Peer(
        Definition("LIF", {"tau": TAU, "surrogate_function": surrogate.ATan()}), _spikingjelly_lif_kernels, "cuda"
    ),
    "snnTorch Leaky": Peer(
        Definition(
            "LIF",
            {
                "tau": TAU,
                "surrogate_function": surrogate.ATan(),
                "v_subtract": 1 / (1 - 1 / TAU),
                "detach_reset": True,
            },
        ),
        _snntorch,
    ),
    "norse LIFBox": Peer(
        Definition(
            "LIF", {"tau": TAU, "surrogate_function": surrogate.Triangle(), "decay_input": True, "v_reset": 0.0}
        ),
        _norse,
    ),
}


def peers_of(neuron: str, device: str) -> dict[str, Factory]:
    """The peers of a neuron of clif by name, with those for LIF to show the scale; none if it has no peer."""
    if all(peer.definition.neuron != neuron for peer in PEERS.values()):
        return {}
    return {
        name: functools.partial(peer.make, peer.definition)
        for name, peer in PEERS.items()
        if peer.definition.neuron in (neuron, SCALE) and peer.device in (None, device)
    }
