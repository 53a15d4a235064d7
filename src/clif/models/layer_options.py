"""Constants of single neurons in the description of a network: to set them, and to find those that were set by hand."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clif import surrogate as surrogates
from clif.errors import InputError, unknown_name
from clif.models.network import SET_BY_NETWORK, SpikingNetwork, neuron_factory
from clif.names import model_descriptions
from clif.neurons import SpikingNeuron
from clif.neurons.exchange import add_layer_options, description_of
from clif.neurons.registry import create, options_of
from clif.ops.constants import CONSTANTS

LayerOptions = Mapping[str, Mapping[str, Any]]
"""Layer name -> {option of its neuron: number, bool, string or None}; a surrogate is given by its name."""

OPTIONAL = ("v_reset", "v_subtract")
OF_COMPUTATION = frozenset(("step_mode", "backend", "store_v_seq", "channels"))
"""Options of neurons that do not belong to the equations, or that the layer determines."""


def set_layer_options(net: nn.Module, options: LayerOptions) -> None:
    """Set options of single neurons: layer name -> {option: value}.

    Raises `InputError` for an unknown layer or option, and for values of another type or out of range.
    """
    neurons = dict(_neurons(net))
    for layer, constants in options.items():
        if layer not in neurons:
            raise unknown_name("spiking layer", layer, neurons)
        node = neurons[layer]
        present = _options(node)
        for name, value in constants.items():
            if name not in present:
                raise unknown_name(f"constant of the neuron {layer}", name, present)
            setattr(node, name, _checked(layer, node, name, value, present[name]))
        node.check()
        node.reset()


def take_options(net: nn.Module, model: Mapping[str, Any], kept: Collection[str] = ()) -> None:
    """Set the options of all and of single neurons of the network that `model` describes, where `net` has them.

    τ and the surrogate of all neurons stay, and the options named in `kept` those of single neurons too. Raises
    `InputError` for values of another type or out of range.
    """
    layers = model.get("layer_options", {})
    taken = {}
    for layer, node in _neurons(net):
        shared = {name: value for name, value in model.items() if name not in SET_BY_NETWORK}
        present = _options(node)
        described = {**shared, **layers.get(layer, {})}
        taken[layer] = {name: described[name] for name in described if name in present and name not in kept}
    set_layer_options(net, taken)


def _checked(layer: str, node: SpikingNeuron, name: str, value: Any, present: Any) -> Any:
    """`value` in the type of the option's `present` value. Raises `InputError` if it has another type.

    An option of your own neuron whose present value or default is a string or None takes all plain values.
    """
    what = f"{name} of the neuron {layer}"
    if name == "surrogate_function":
        if not isinstance(value, str):
            raise InputError(f"{what} must be the name of a surrogate, got {value!r}")
        return surrogates.get(value)
    if value is None and name in OPTIONAL:
        return None
    known = (present, options_of(type(node))[name].default)
    if name not in CONSTANTS and any(one is None or isinstance(one, str) for one in known):
        if value is not None and not isinstance(value, str | int | float):
            raise InputError(f"{what} must be a number, a string, True, False or None, got {value!r}")
        return value
    if isinstance(present, bool):
        if not isinstance(value, bool):
            raise InputError(f"{what} must be True or False, got {value!r}")
        return value
    if not isinstance(value, int | float):
        raise InputError(f"{what} must be a number, got {value!r}")
    return float(value) if name in CONSTANTS or isinstance(present, float) else value


def described(net: nn.Module) -> dict[str, Any] | None:
    """The description of a network to write to a file, with its present T and the options set on its neurons by hand.

    None for a module without a description. Raises `InputError` for a network of clif in which another neuron replaced
    one of its own, and for options that cannot be read again.
    """
    config = description_of(net)
    if not config:
        return config
    found = {**config, **({"T": net.T} if "T" in config and isinstance(net, SpikingNetwork) else {})}
    if "tau" not in config:  # a wrapped network, or a class of your own
        return found
    if config["name"] in model_descriptions():
        for layer, node in _neurons(net):
            _check_not_replaced(layer, node, config)
    options = {}
    for layer, node, hand in _set_by_hand(net, config):
        for name, value in hand.stored.items():
            _checked(layer, node, name, value, hand.created[name])
        if hand.stored:
            options[layer] = hand.stored
    add_layer_options(found, options)
    return found


def unnamed_surrogates(net: nn.Module) -> list[str]:
    """A line for each surrogate that was set on neurons of a network of clif and that its description cannot name."""
    config = description_of(net)
    if not config or "tau" not in config:
        return []
    layers: dict[str, list[str]] = {}
    for layer, _, found in _set_by_hand(net, config):
        if (surrogate := found.unnamed) is not None:
            layers.setdefault(getattr(surrogate, "__name__", repr(surrogate)), []).append(layer)
    return [
        f"the surrogate {surrogate} of {names[0]}{f' and {len(names) - 1} more layers' * (len(names) > 1)} has no "
        f"name, so the file stores {config['surrogate']}; register it with clif.surrogate.register_surrogate, or set "
        "surrogate_function again after clif.load"
        for surrogate, names in layers.items()
    ]


def undescribed(net: nn.Module) -> list[str]:
    """A line for each property of a network that its checkpoints will not describe."""
    lines = unnamed_surrogates(net)
    try:
        described(net)
    except InputError as error:
        lines.append(str(error))
    return lines


def _neurons(net: nn.Module) -> Iterator[tuple[str, SpikingNeuron]]:
    return ((name, module) for name, module in net.named_modules() if isinstance(module, SpikingNeuron))


def _options(node: SpikingNeuron) -> dict[str, Any]:
    """The options of a neuron that are constants of its equations now, by name; learnt ones are weights."""
    known = options_of(type(node)).keys() - OF_COMPUTATION
    return {name: value for name, value in node.constants().items() if name in known and name in vars(node)}


class _Found(NamedTuple):
    """Options of a neuron: those to store, a surrogate without a name or None, and all as the neuron is created."""

    stored: dict[str, Any]
    unnamed: Any
    created: dict[str, Any]


def _set_by_hand(net: nn.Module, config: dict[str, Any]) -> Iterator[tuple[str, SpikingNeuron, _Found]]:
    """Each layer with its neuron and the options that differ from the network's description."""
    made: dict[tuple[type, int | None], dict[str, Any]] = {}
    for layer, node in _neurons(net):
        key = (type(node), node.channels_made_for)
        if key not in made:
            made[key] = _as_created(node, config)
        expected = made[key] | config.get("layer_options", {}).get(layer, {})
        stored, unnamed = {}, None
        for name, value in _options(node).items():
            if name not in expected or _plain(value) == _plain(expected[name]):
                continue
            if name == "surrogate_function" and surrogates.name_of(value) is None:
                unnamed = value
            else:
                stored[name] = _plain(value)
        yield layer, node, _Found(stored, unnamed, made[key])


def _check_not_replaced(layer: str, node: SpikingNeuron, config: dict[str, Any]) -> None:
    redefined = node.redefined - ({"forward"} & vars(node).keys())  # a call that is wrapped, such as by a profiler
    if node.neuron == config["neuron"] and not redefined:
        return
    own = f" with {min(redefined)} of its own" if redefined else ""
    raise InputError(
        f"the network was created with {config['neuron']} neurons, and {layer} is now {type(node).__name__}{own}; a "
        "file cannot describe it. Write the weights alone, torch.save(net.state_dict(), path), and load them by "
        "clif.load(path, net=...), or register a function that creates it with clif.models.register_model"
    )


def _as_created(node: SpikingNeuron, config: dict[str, Any]) -> dict[str, Any]:
    """The options of `node` as the description creates it; those of its class if the network created it itself."""
    kind: Any = type(node)
    known = options_of(kind)
    with torch.random.fork_rng(devices=[]):  # a neuron of your own may draw its parameters
        try:
            if node.neuron == config["neuron"]:
                own = {name: value for name, value in config.items() if name in known and name not in SET_BY_NETWORK}
                create_node = neuron_factory(config["neuron"], config["tau"], config["surrogate"], **own)
                made = create_node(node.channels_made_for)
            else:
                has_channels = "channels" in known and node.channels_made_for
                made = create(kind, {"channels": node.channels_made_for} if has_channels else {})
        except Exception:  # only the network knows the options that its neuron needs
            return {}
    return _options(made) if isinstance(made, SpikingNeuron) else {}


def _plain(value: Any) -> Any:
    """A constant as a plain value: a surrogate by its name, a tensor or NumPy scalar as a number."""
    if isinstance(value, surrogates.Surrogate):
        return surrogates.name_of(value) or value
    if isinstance(value, Tensor):
        return value if value.is_meta else value.detach().item()
    item = getattr(value, "item", None)
    return item() if callable(item) else value
