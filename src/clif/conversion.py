"""Conversion of networks of PyTorch, SpikingJelly and snnTorch to neurons of clif, with a list of the differences."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from clif import surrogate as surrogates
from clif.errors import InputError, in_words, unknown_name
from clif.neurons import SpikingNeuron, set_step_mode
from clif.neurons.exchange import channels_for, description_of
from clif.neurons.learnt_tau import LearntTau
from clif.neurons.registry import create, options_of, spiking_neuron
from clif.private_torch import hand_over_hooks
from clif.sequence_layers import ELEMENTWISE, detached_copy, take_sequences
from clif.spikingjelly_layers import check_reads, is_of, step_mode_of, take_layers

ACTIVATIONS = (*ELEMENTWISE, nn.PReLU)
OTHER_ACTIVATIONS = tuple(
    kind
    for kind in vars(nn.modules.activation).values()
    if isinstance(kind, type)
    and issubclass(kind, nn.Module)
    and kind.__module__ == nn.modules.activation.__name__
    and kind not in (nn.MultiheadAttention, *ACTIVATIONS)
)
"""Activations that no neuron replaces."""

ACTIVATION_NAMES = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "prelu", "rrelu", "sigmoid"),
    *("logsigmoid", "hardsigmoid", "tanh", "hardtanh", "hardswish", "softplus", "softsign", "threshold"),
)
FUNCTIONS = {
    getattr(owner, name)
    for owner in (F, torch)
    for word in ACTIVATION_NAMES
    for name in (word, f"{word}_")
    if hasattr(owner, name)
}
METHODS = {name for word in ACTIVATION_NAMES for name in (word, f"{word}_") if hasattr(Tensor, name)}
"""Activations as functions of PyTorch and as methods of tensors."""

SPIKINGJELLY = {"LIFNode": "LIF", "IFNode": "IF", "ParametricLIFNode": "PLIF", "ComplementaryLIFNode": "CLIF"}
SURROGATES: dict[str, Callable[[float], surrogates.Surrogate]] = {
    "Sigmoid": surrogates.Sigmoid,
    "ATan": surrogates.ATan,
    "PiecewiseQuadratic": surrogates.Triangle,
    "Rect": lambda alpha: surrogates.Rectangle(1 / alpha),
}
SHOWN = ("tau", "decay_input", "v_threshold", "v_reset", "v_subtract", "detach_reset", "surrogate_function")


@dataclass(frozen=True)
class Replaced:
    """A replaced layer: its name, its old and new class, and how it differs from before and from clif's defaults."""

    name: str
    before: str
    after: str
    differences: tuple[str, ...]
    defaults: tuple[str, ...]


@dataclass(frozen=True)
class Converted:
    """The result of `convert`: the network, its replaced layers, and notes on the whole; `print` shows all of them."""

    net: Any
    layers: list[Replaced]
    notes: list[str]

    def __str__(self) -> str:
        lines = []
        for layer in self.layers:
            lines.append(f"{layer.name}: {layer.before} -> {layer.after}")
            lines += [f"    differs: {line}" for line in layer.differences]
            lines += [f"    kept: {line}" for line in layer.defaults]
        return "\n".join([*lines, *(f"note: {line}" for line in self.notes)])


@dataclass(frozen=True)
class _Source:
    """A neuron or activation before its conversion: clif's nearest neuron, its constants, and how that one differs.

    `w` is the parameter of a learnt time constant, 1/τ = σ(w).
    """

    nearest: str | None
    constants: dict[str, Any] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    w: nn.Parameter | None = None


def convert(net: nn.Module, neuron: str | None = "CLIF", **options: Any) -> Converted:
    """A copy of `net` whose neurons, or activations, are those of clif; all other weights, and all hooks, stay.

    It takes networks of SpikingJelly 2.0 (LIFNode, IFNode, ParametricLIFNode, ComplementaryLIFNode; its layers become
    those of clif, and its blocks keep their `forward`), of snnTorch (Leaky with init_hidden=True), and ANNs of PyTorch,
    whose activations (modules such as `torch.nn.ReLU`) become neurons. Constants of neurons keep their values instead
    of clif's defaults. The network of an ANN or of snnTorch takes one step at a time; `clif.wrap(converted.net, T=…)`
    makes a network of it.

    Args:
        neuron: a registered neuron, or None for the nearest one (LIF for an activation).
        options: constants of all neurons, such as tau=2.0 or v_reset=None, which replace the old ones.

    The result has the network in `net`; printed, it lists the differences layer by layer. Raises `InputError` for a
    network with nothing to replace, an unknown neuron or option, and names a layer that cannot be replaced.

    >>> ann = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> converted = clif.convert(ann, neuron="CLIF", tau=2.0)
    >>> print(converted)
    1: ReLU -> CLIFNode
        differs: it fires 0 or 1 over time; the weights were trained for values, so train on
    >>> net = clif.wrap(converted.net, T=6)
    """
    if not isinstance(net, nn.Module):
        raise InputError(f"convert takes a torch.nn.Module, got {net!r}")
    if description_of(net) is not None:
        raise InputError(
            f"a {type(net).__name__} is a network of clif; clif.neurons.exchange_neurons(net, neuron) replaces its "
            "neurons, and clif.models.create_model(name, neuron) creates one whose ReLUs are neurons"
        )
    if _read("the network", net) is not None:
        raise InputError(f"a {type(net).__name__} is a single neuron or activation; put it into a torch.nn.Sequential")
    copied = detached_copy(net)
    has_modes = any(is_of(m, "spikingjelly") and "_step_mode" in vars(m) for m in copied.modules())
    spiking = any(_is_neuron(module) for module in copied.modules())
    weight = next((p for p in copied.parameters() if p.is_floating_point()), torch.zeros(()))
    made: dict[nn.Module, nn.Module] = {}
    replaced = []
    staying: list[str] = []
    others: list[str] = []
    for prefix, parent in list(copied.named_modules()):
        for name, child in list(parent._modules.items()):
            full = f"{prefix}.{name}".lstrip(".")
            if spiking and isinstance(child, (*ACTIVATIONS, *OTHER_ACTIVATIONS)):
                staying.append(full)
                continue
            if isinstance(child, OTHER_ACTIVATIONS):
                others.append(f"{full}, a {type(child).__name__}, stays; no neuron replaces this activation")
            if child is None or (source := _read(full, child)) is None:
                continue
            if child not in made or isinstance(child, ACTIVATIONS):
                made[child], entry = _replace(full, child, source, neuron, options, weight)
                replaced.append(entry)
            parent._modules[name] = made[child]
    notes = _check_calls(copied, {entry.name for entry in replaced}) + others
    if not replaced:
        raise InputError(
            f"this {type(net).__name__} has no neuron of SpikingJelly or snnTorch, and no activation module that a "
            f"neuron replaces ({', '.join(kind.__name__ for kind in ACTIVATIONS)})"
            + "".join(f"; {note}" for note in notes)
        )
    if any(_derives(module, "snntorch") for module in net.modules()):
        notes.append(
            "utils.reset and backprop of snnTorch find no neurons of clif; call clif.reset_net(net) before each batch"
        )
    if staying:
        notes.append(f"{', '.join(staying)}: an activation in a network that has neurons, which stays")
    if has_modes:
        mode = step_mode_of(copied)
        layers = take_layers(copied)
        copied = take_sequences(copied, layers)
        check_reads(copied)
        notes += [
            f"{name}: in training a batch norm of clif has statistics of each step; SpikingJelly's in "
            "multi-step mode those of all steps together"
            for name, module in copied.named_modules()
            if module in layers and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
        ]
        set_step_mode(copied, mode)
    return Converted(copied, replaced, notes)


def _is_neuron(module: nn.Module) -> bool:
    """Whether a module is a neuron of SpikingJelly or snnTorch."""
    return _derives(module, "snntorch") or _is_of_spikingjelly(module)


def _is_of_spikingjelly(module: nn.Module) -> bool:
    """Whether a module is a neuron of SpikingJelly."""
    in_neurons = _derives(module, "spikingjelly.activation_based.neuron")
    return in_neurons or (is_of(module, "spikingjelly") and hasattr(module, "v_threshold"))


def _derives(module: nn.Module, package: str) -> bool:
    """Whether the class of a module, or one of its bases, belongs to a package."""
    return any(f"{kind.__module__}.".startswith(f"{package}.") for kind in type(module).__mro__)


def _read(name: str, module: nn.Module) -> _Source | None:
    """The neuron or activation that a module is, or None."""
    if isinstance(module, SpikingNeuron):
        return None
    if _is_of_spikingjelly(module):
        return _spikingjelly(name, module)
    if _derives(module, "snntorch"):
        return _snntorch(name, module)
    if isinstance(module, ACTIVATIONS):
        return _Source(None, {}, ["it fires 0 or 1 over time; the weights were trained for values, so train on"])
    return None


def _spikingjelly(name: str, node: Any) -> _Source:
    kind = type(node).__name__
    if not is_of(node, "spikingjelly"):
        raise InputError(
            f"{name} is a {kind} of your own, derived from a neuron of SpikingJelly; known are only "
            f"{', '.join(SPIKINGJELLY)} themselves"
        )
    if kind not in SPIKINGJELLY:
        raise InputError(f"{name} is a {kind} of SpikingJelly; known are {', '.join(SPIKINGJELLY)}")
    constants = {key: getattr(node, key) for key in ("v_threshold", "v_reset", "detach_reset", "step_mode")}
    constants |= {key: getattr(node, key) for key in ("tau", "decay_input", "store_v_seq") if hasattr(node, key)}
    w = node.w if kind == "ParametricLIFNode" else None
    if w is not None:
        constants["tau"] = 1 / torch.sigmoid(w.detach().double()).item()
    given = node.surrogate_function
    if not getattr(given, "spiking", True):
        raise InputError(f"the surrogate of {name} has spiking=False and gives no spikes; set spiking=True")
    of = " of SpikingJelly" if is_of(given, "spikingjelly") else ""
    if of and (known := SURROGATES.get(type(given).__name__)) is not None:
        return _Source(SPIKINGJELLY[kind], {**constants, "surrogate_function": known(float(given.alpha))}, w=w)
    slow = f"the surrogate {type(given).__name__}{of} is kept, with which neurons compute in PyTorch only"
    return _Source(SPIKINGJELLY[kind], {**constants, "surrogate_function": given}, [slow], w)


def _snntorch(name: str, node: Any) -> _Source:
    if not is_of(node, "snntorch"):
        raise InputError(
            f"{name} is a {type(node).__name__} of your own, derived from a neuron of snnTorch; supported is only "
            "Leaky itself"
        )
    if type(node).__name__ != "Leaky":
        raise InputError(f"{name} is a {type(node).__name__} of snnTorch; supported is Leaky")
    if not node.init_hidden:
        raise InputError(
            f"{name} passes its state through forward; create it with init_hidden=True and call it with its input only"
        )
    if node.inhibition or node.state_quant:
        raise InputError(f"{name} has inhibition or state_quant, which no neuron of clif has")
    beta, threshold = (_number(name, key, getattr(node, key)) for key in ("beta", "threshold"))
    beta = min(beta, 1.0)  # as snnTorch clips it
    if not beta > 0:
        raise InputError(f"{name} has beta={beta}; tau = 1/(1 - beta) needs 0 < beta < 1, and 1 for IF")
    factor = _number(name, "graded_spikes_factor", node.graded_spikes_factor)
    if factor != 1:
        raise InputError(f"{name} has graded_spikes_factor={factor}; neurons of clif fire 0 or 1")
    reset = node.reset_mechanism
    differences = ["it fires if v ≥ v_threshold; snnTorch if mem > threshold"]
    if reset == "none" and beta == 1:
        differences.append("it resets, by subtraction, after each spike; snnTorch's reset_mechanism is none")
    elif reset == "subtract" and node.reset_delay:
        differences.append(
            "it resets right after a spike, before the leak; snnTorch (reset_delay=True) a step later, after the leak"
        )
    elif reset != "none" and not node.reset_delay:
        differences.append("it resets once a spike; snnTorch again in the next step, if mem is still above threshold")
    if isinstance(node.beta, nn.Parameter) or isinstance(node.threshold, nn.Parameter):
        differences.append('beta or threshold was learnt and is a number now; neuron="PLIF" learns tau')
    if isinstance(node.graded_spikes_factor, nn.Parameter):
        differences.append("graded_spikes_factor was learnt and is gone; it was 1")
    if node.output:
        differences.append("it returns its spikes alone; with output=True snnTorch returns (spikes, mem)")
    differences.append(
        "the surrogate is clif's default, Rectangle(1), in place of spike_grad; or give surrogate_function="
    )
    constants = {"v_threshold": threshold, "v_reset": 0.0 if reset == "zero" else None, "detach_reset": True}
    if beta == 1:
        return _Source("IF", constants, differences)
    subtracted = {"v_subtract": 0.0} if reset == "none" else {}
    return _Source("LIF", {**constants, **subtracted, "tau": 1 / (1 - beta), "decay_input": False}, differences)


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, Tensor) and value.numel() != 1:
        raise InputError(f"{name} has a {key} for each neuron, {list(value.shape)}; neurons of clif have one per layer")
    # in float32 the shortest decimal: 0.9 and not 0.89999998
    exact = isinstance(value, Tensor) and value.dtype == torch.float64
    number = value.detach().item() if isinstance(value, Tensor) else value
    return float(number) if exact else float(f"{number:.7g}")


def _replace(
    name: str, module: nn.Module, source: _Source, neuron: str | None, options: dict[str, Any], weight: Tensor
) -> tuple[nn.Module, Replaced]:
    kind = spiking_neuron(source.nearest or "LIF" if neuron is None else neuron)
    known = options_of(kind)
    for option in options:
        if option not in known:
            raise unknown_name(f"option of the neuron {kind.neuron}", option, known)
    constants = dict(source.constants)
    if options.get("v_reset") is not None:
        constants.pop("v_subtract", None)
    if "tau" in constants and "tau" not in known and "init_tau" in known:
        constants["init_tau"] = constants.pop("tau")
    w = source.w if issubclass(kind, LearntTau) and "init_tau" not in options else None
    if w is not None:
        del constants["init_tau"]
    given = {key: value for key, value in constants.items() if key in known} | options
    try:
        if (
            "channels" in known
            and "channels" not in given
            and (channels := channels_for(kind, known, None)) is not None
        ):
            given["channels"] = channels
        new = create(kind, given).to(weight.device, weight.dtype).train(module.training)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    hand_over_hooks(module, new)
    if w is not None:
        new.w = nn.Parameter(w.detach().clone(), w.requires_grad)
    differences = list(source.differences)
    if source.nearest is not None and kind.neuron != source.nearest:
        differences.insert(0, f"the equations are those of {kind.neuron}, no longer of {source.nearest}")
    lost = {key: value for key, value in constants.items() if not (key in known or value is None or value is False)}
    differences += [f"{kind.neuron} has no {key}; {key}={value} is gone" for key, value in lost.items()]
    differences += [
        f"{key}={value!r} was {constants[key]!r}"
        for key, value in options.items()
        if key in constants and constants[key] != value
    ]
    entry = Replaced(name, type(module).__name__, type(new).__name__, tuple(differences), _not_defaults(new, known))
    return new, entry


def _not_defaults(node: SpikingNeuron, known: dict[str, Any]) -> tuple[str, ...]:
    found = []
    for key in SHOWN:
        option = known.get(key, known.get(f"init_{key}"))
        if option is None or key in node.learnable or not hasattr(node, key):
            continue
        default = surrogates.resolve(None) if key == "surrogate_function" else option.default
        value = getattr(node, key)
        close = isinstance(value, float) and isinstance(default, float) and abs(value - default) < 1e-6
        if value != default and not close:
            found.append(f"{key}={value!r} (clif's default: {default!r})")
    return tuple(found)


class _CallTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not m._modules or isinstance(m, SpikingNeuron) or super().is_leaf_module(m, module_qualified_name)


def _check_calls(net: nn.Module, names: set[str]) -> list[str]:
    """Notes on activations that are no modules; `InputError` for a neuron that a forward calls twice."""
    try:
        nodes = list(_CallTracer().trace(net).nodes)
    except Exception as error:  # a forward that branches on its data can raise anything
        missing = re.match(r"'(\w+)' object has no attribute '(\w+)'", str(error))
        if missing and missing[1] in {type(net.get_submodule(name)).__name__ for name in names}:
            raise InputError(
                f"the forward of {type(net).__name__} calls {missing[2]} of a neuron, which a {missing[1]} of clif "
                "lacks; leave it out (clif.reset_net(net) resets all neurons)"
            ) from error
        return [
            f"the calls of {type(net).__name__} could not be followed ({in_words(error)}): look whether its "
            "forward calls an activation twice, or as a function such as F.relu, which stays"
        ]
    called = [str(node.target) for node in nodes if node.op == "call_module"]
    if repeated := sorted(name for name in names if called.count(name) > 1):
        raise InputError(
            f"{repeated[0]} is called more than once, but has one state; use a separate module for each call, or, if "
            "forward loops over the time steps, let forward compute one step, and clif.wrap(net, "
            f"T={called.count(repeated[0])}) repeats it"
        )
    functions = {node.target.__name__ for node in nodes if node.op == "call_function" and node.target in FUNCTIONS}
    functions |= {str(node.target) for node in nodes if node.op == "call_method" and node.target in METHODS}
    return [f"{name} is called as a function and stays; make it a module to replace it" for name in sorted(functions)]
