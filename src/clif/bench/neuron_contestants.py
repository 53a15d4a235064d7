"""The neurons that `clif bench neuron` times: ours, and those of other packages where they are installed.

Each comes with its `Definition`: the neuron of ours that computes the same, against which the gate holds it. The
others' LIF neurons are cheaper than CLIF and stand there for scale.
"""

import functools
import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import clif
from clif import functional, surrogate
from clif.bench.compiled import compiled
from clif.ops.equations import compute_dtype

TAU = 2.0


@dataclass(frozen=True)
class Definition:
    """A neuron of `clif.functional` and its constants."""

    neuron: str
    surrogate_function: surrogate.Surrogate
    changes: tuple[tuple[str, Any], ...] = ()

    def __call__(self, x_seq: Tensor, w: Tensor | None = None, backend: str = "torch", **options: Any) -> Tensor:
        """Spikes [T, N, *] of x_seq from rest; w where the neuron is PLIF."""
        time_constant = {"tau": TAU} if w is None else {"w": w}
        arguments = {"surrogate_function": self.surrogate_function, **dict(self.changes), **options}
        multi_step = getattr(functional, f"{self.neuron.lower()}_multi_step")
        return multi_step(x_seq, None, **time_constant, backend=backend, **arguments)[0]

    def __str__(self) -> str:
        changes = "".join(f", {name}={value}" for name, value in self.changes)
        return f"{self.neuron}, τ={TAU:g}, {type(self.surrogate_function).__name__} surrogate{changes}"


@dataclass(frozen=True)
class Contestant:
    """`run(x_seq)` gives the spikes of x_seq from rest; `parameters` get a gradient too (PLIF's w)."""

    run: Callable[[Tensor], Tensor]
    definition: Definition
    parameters: tuple[Tensor, ...] = ()


Factory = Callable[[str, torch.dtype, torch.device], Contestant]
"""Makes the contestant for a neuron of ours ("CLIF", …), a dtype and a device; `ImportError` where it is not there."""


def _definition(neuron: str) -> Definition:
    return Definition(neuron, surrogate.Rectangle())


def _w(dtype: torch.dtype, device: torch.device) -> Tensor:
    """PLIF's parameter at τ = 2."""
    return torch.zeros((), dtype=compute_dtype(dtype), device=device, requires_grad=True)


def _ours(backend: str, neuron: str, dtype: torch.dtype, device: torch.device) -> Contestant:
    definition = _definition(neuron)
    if neuron != "PLIF":
        return Contestant(functools.partial(definition, backend=backend), definition)
    w = _w(dtype, device)
    return Contestant(lambda x_seq: definition(x_seq, w, backend=backend), definition, (w,))


def _compiled(neuron: str, dtype: torch.dtype, device: torch.device) -> Contestant:
    plain = _ours("torch", neuron, dtype, device)
    return Contestant(compiled(plain.run), plain.definition, plain.parameters)


def _import(name: str) -> Any:
    """A module of another package, without the warnings that its import gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def _spikingjelly(kind: str, neuron: str, dtype: torch.dtype, device: torch.device) -> Contestant:
    nodes = _import("spikingjelly.activation_based.neuron")
    theirs = _import("spikingjelly.activation_based.surrogate")
    reset_net = _import("spikingjelly.activation_based.functional").reset_net
    arguments: dict[str, Any] = {"surrogate_function": theirs.Rect(alpha=1.0), "step_mode": "m"}
    if kind != "ComplementaryLIFNode":
        arguments |= {"decay_input": False, "v_reset": None}
    node: nn.Module = getattr(nodes, kind)(TAU, **arguments).to(device, compute_dtype(dtype))

    def run(x_seq: Tensor) -> Tensor:
        reset_net(node)
        return node(x_seq)

    return Contestant(run, _definition(neuron), tuple(node.parameters()))


def _snntorch(dtype: torch.dtype, device: torch.device) -> Contestant:
    """Its reset arrives a step later, after the decay, and carries no gradient: a soft reset by v_threshold / β."""
    beta = 1 - 1 / TAU
    gradient = _import("snntorch.surrogate").atan(alpha=2.0)
    node = _import("snntorch").Leaky(beta=beta, spike_grad=gradient).to(device)
    changes = (("v_subtract", 1 / beta), ("detach_reset", True))

    def run(x_seq: Tensor) -> Tensor:
        potential = torch.zeros_like(x_seq[0])
        spikes = []
        for x in x_seq:
            spike, potential = node(x, potential)
            spikes.append(spike)
        node.mem = node.mem.detach()  # its class keeps every instance, and with it this graph
        return torch.stack(spikes).to(x_seq.dtype)

    del dtype
    return Contestant(run, Definition("LIF", surrogate.ATan(), changes))


def _norse(dtype: torch.dtype, device: torch.device) -> Contestant:
    """LIFBox, which is norse's LIF without a synaptic current; time steps of 1 ms."""
    lif_box = _import("norse.torch.functional.lif_box")
    kind = compute_dtype(dtype)
    one, zero = torch.ones((), dtype=kind, device=device), torch.zeros((), dtype=kind, device=device)
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

    return Contestant(run, Definition("LIF", surrogate.Triangle(), (("decay_input", True), ("v_reset", 0.0))))


SPIKINGJELLY = {"CLIF": "ComplementaryLIFNode", "PLIF": "ParametricLIFNode", "LIF": "LIFNode"}


def factories(neuron: str) -> dict[str, Factory]:
    """All contestants by name for a neuron of ours."""
    found: dict[str, Factory] = {name: functools.partial(_ours, name) for name in clif.backends()}
    found["torch.compile"] = _compiled
    for computed, kind in SPIKINGJELLY.items():
        if computed in (neuron, "LIF"):
            found[f"SpikingJelly {kind}"] = _of(computed, functools.partial(_spikingjelly, kind))
    found["snnTorch Leaky"] = lambda _, dtype, device: _snntorch(dtype, device)
    found["norse LIFBox"] = lambda _, dtype, device: _norse(dtype, device)
    return found


def _of(computed: str, factory: Factory) -> Factory:
    return lambda _, dtype, device: factory(computed, dtype, device)
