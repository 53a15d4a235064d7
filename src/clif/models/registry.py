"""Models by name: a model is a registered function that takes the arguments common to all of them."""

import fnmatch
from collections.abc import Callable
from typing import Any, TypeVar, overload

from clif.errors import InputError, unknown_name
from clif.models.head import keep_head
from clif.models.layer_options import LayerOptions, set_layer_options
from clif.models.network import SpikingNetwork, lay_out, neuron_factory, plain_constant, surrogate_name
from clif.models.pretrained import pretrained_for
from clif.neurons.registry import neuron_name
from clif.registration import check_arguments, decorator, put
from clif.sizes import Size, plain_count, plain_size
from clif.surrogate import Surrogate

Model = TypeVar("Model", bound=Callable[..., SpikingNetwork])

_MODELS: dict[str, Callable[..., SpikingNetwork]] = {}

DEFAULTS: dict[str, Any] = {
    "num_classes": 10,
    "in_channels": 3,
    "T": 6,
    "tau": 2.0,
    "surrogate": "rectangle",
    "drop_rate": 0.0,
    "image_size": 32,
}
"""The values of the arguments of `create_model` that are not given."""

ARGUMENTS = ("neuron", "num_classes", "in_channels", "T", "drop_rate", "image_size")
"""The arguments of a registered function."""


@overload
def register_model(name: Model) -> Model: ...
@overload
def register_model(name: str) -> Callable[[Model], Model]: ...
def register_model(name: Any) -> Any:
    """A function decorator: registers a network by name for `create_model` and `--model`.

    Without an argument the name is that of the function. A function of the same module and qualified name is replaced,
    as in a notebook. The function takes the arguments neuron (a factory of neuron modules), num_classes, in_channels,
    T, drop_rate and image_size by name and returns a `SpikingNetwork`. Raises `InputError` for a name that is taken
    and a function with other arguments.

    >>> @clif.models.register_model("small_net")
    ... def small(neuron, num_classes, in_channels, T, drop_rate, image_size):
    ...     first, last = nn.Linear(in_channels * image_size**2, 64), nn.Linear(64, num_classes)
    ...     layers = nn.Sequential(nn.Flatten(), first, neuron(), last)
    ...     return clif.wrap(layers, T=T, input_shape=(in_channels, image_size, image_size))
    >>> clif.models.create_model("small_net", T=2)(torch.rand(4, 3, 32, 32)).shape
    torch.Size([2, 4, 10])
    """
    return decorator("register_model", name, _register)


def _register(name: str, function: Any) -> Any:
    if not callable(function):
        raise InputError(f"register_model({name!r}) takes a function that returns a SpikingNetwork, got {function!r}")
    check_arguments("register_model", name, function, by_name=ARGUMENTS)
    return put(_MODELS, name, function)


def list_models(pattern: str = "*") -> list[str]:
    """The registered names that match a shell pattern such as "spiking_*", sorted.

    >>> clif.models.list_models("snn*")
    ['snn4', 'snn5', 'snn5_noAP', 'snn7', 'snn7_wide']
    """
    return sorted(fnmatch.filter(_MODELS, pattern))


def create_model(
    name: str,
    neuron: str = "CLIF",
    num_classes: int | None = None,
    in_channels: int | None = None,
    T: int | None = None,
    tau: float | None = None,
    surrogate: str | type[Surrogate] | Surrogate | None = None,
    drop_rate: float | None = None,
    image_size: Size | None = None,
    layer_options: LayerOptions | None = None,
    pretrained: str | None = None,
    **neuron_options: Any,
) -> SpikingNetwork:
    """A network by name, with fresh or pretrained weights, in multi-step and training mode.

    It computes in channels_last, the faster layout, for any input layout. Training, evaluation and deployment thus
    compute in the same order and agree to the last spike. Its weights are contiguous, as `torch.nn.utils.prune`,
    `parameters_to_vector` and LBFGS require. `net.to(memory_format=torch.channels_last)` changes the layout of the
    weights to that of the computation and avoids a copy of them in every step.

    Args:
        name: one of `list_models()`.
        neuron: a registered neuron such as "CLIF" (any case; see `clif.register_neuron`), or "ReLU", the baseline
            without time, which forces T = 1.
        num_classes, in_channels, image_size: those of the data (10, 3, 32). The size is a number of pixels, or (height,
            width) for images that are not square. Most plain stacks take only this size. The others take any size (VGGs
            at least 32); export and energy use this one.
        T: time steps for which a static image is repeated (6).
        tau: membrane time constant in steps, > 1, of neurons that have one (2); the initial value if it is learnt.
        surrogate: "rectangle" (the default), "sigmoid", "triangle" or "atan", with another α than the default as
            "triangle:0.5"; or a class or object of `clif.surrogate`.
        drop_rate: dropout, one mask for all steps (0).
        layer_options: options of single neurons by layer name, such as the fitted ones of a deployed network,
            {"features.0.act": {"v_subtract": 1.8}}. A surrogate is given by its name, "atan".
        pretrained: a data set, such as "cifar10", for which the package has weights of this network
            (`list_pretrained`). Arguments that are not given are then those of the training. With another
            `num_classes` the last layer has fresh weights.
        neuron_options: further arguments of the neuron, such as v_reset=-0.06, v_threshold, detach_reset.

    The arguments are kept in `net.config`. Raises `InputError` for an unknown name or option, with the nearest ones,
    for constants that are learnt (a Parameter belongs to one neuron, set it there), and for pretrained weights that do
    not exist or have other sizes than those given.

    >>> net = clif.models.create_model("spiking_resnet18", neuron="CLIF", num_classes=10, T=2)
    >>> net(torch.rand(2, 3, 32, 32)).shape  # images [N, C, H, W], shown at T steps -> logits [T, N, classes]
    torch.Size([2, 2, 10])
    """
    if name not in _MODELS:
        raise unknown_name("model", name, _MODELS)
    neuron = neuron_name(neuron)
    sizes = {"num_classes": num_classes, "in_channels": in_channels, "T": T, "image_size": image_size}
    given = {**sizes, "tau": tau, "surrogate": surrogate, "drop_rate": drop_rate, "layer_options": layer_options}
    given = {option: value for option, value in given.items() if value is not None} | neuron_options
    if pretrained is None:
        return _create(name, neuron, **{**DEFAULTS, **given})
    content = pretrained_for(name, pretrained, neuron).content()
    net = _create(**{**content["model"], **given})
    weights, _ = keep_head(content["net"], net.state_dict())
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"the weights of {name} for {pretrained} do not fit: {str(error).splitlines()[-1]}") from error
    return net


def _create(
    name: str,
    neuron: str,
    num_classes: int,
    in_channels: int,
    T: int,
    tau: float,
    surrogate: str | type[Surrogate] | Surrogate,
    drop_rate: float,
    image_size: Size,
    layer_options: LayerOptions | None = None,
    **neuron_options: Any,
) -> SpikingNetwork:
    surrogate = surrogate_name(surrogate)
    num_classes, in_channels = plain_count("num_classes", num_classes), plain_count("in_channels", in_channels)
    tau, drop_rate = plain_constant("tau", tau), plain_constant("drop_rate", drop_rate)
    image_size = plain_size(image_size)
    neuron_options = {option: plain_constant(option, value) for option, value in neuron_options.items()}
    if neuron == "ReLU":
        T = 1
    net = _MODELS[name](
        neuron=neuron_factory(neuron, tau, surrogate, **neuron_options),
        num_classes=num_classes,
        in_channels=in_channels,
        T=T,
        drop_rate=drop_rate,
        image_size=image_size,
    )
    if not isinstance(net, SpikingNetwork):
        raise InputError(
            f"the function of the model {name} must return a SpikingNetwork, got {type(net).__name__}; clif.wrap turns "
            "a module into one"
        )
    if net.T != T:
        raise InputError(
            f"the function of the model {name} got T={T}, but its network has T={net.T}; create the network with the T "
            "that the function gets"
        )
    if layer_options:
        set_layer_options(net, layer_options)
    lay_out(net)
    net.config = {
        "name": name,
        "neuron": neuron,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "T": net.T,
        "tau": tau,
        "surrogate": surrogate,
        "drop_rate": drop_rate,
        "image_size": image_size,
        **({"layer_options": layer_options} if layer_options else {}),
        **neuron_options,
    }
    return net
