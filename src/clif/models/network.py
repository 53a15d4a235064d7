"""The base of all networks: calls with a whole sequence or one step, streams, and the factory of their neurons."""

import numbers
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from clif import surrogate as surrogates
from clif.errors import InputError, unknown_name
from clif.layers import StepModule, is_repeated, repeat_image
from clif.models.gate import gate, is_exclusive
from clif.neurons import SpikingNeuron, reset_net, set_keep_state, set_step_mode
from clif.neurons.exchange import channels_for
from clif.neurons.registry import NEURONS, create, neuron_name, options_of
from clif.ops.constants import CONSTANTS, as_constant
from clif.ops.recomputing import in_backward, with_states
from clif.ops.registration import is_transformed
from clif.sizes import Size, height_width

SET_BY_NETWORK = frozenset(("tau", "init_tau", "surrogate_function", "step_mode", "channels"))


class NeuronFactory(Protocol):
    """Makes the neurons of a network: `neuron()`, or `neuron(channels)` with the channels of its layer."""

    def __call__(self, channels: int | None = None) -> nn.Module: ...


def surrogate_name(surrogate: Any) -> str:
    """The name of a surrogate given by name, class or object. Raises `InputError` if it has no name."""
    found = surrogates.resolve(surrogate)
    if (name := surrogates.name_of(found)) is None:
        raise InputError(
            f"a network stores its surrogate by name and α, which do not describe {found!r}. Use one of "
            f"{', '.join(surrogates.SURROGATES)}, and set surrogate_function of the network's neurons"
        )
    return name


def plain_constant(name: str, value: Any) -> Any:
    """`value`, with a tensor or NumPy scalar as a Python number. Raises `InputError` for a tensor that is learnt."""
    if isinstance(value, Tensor) and value.requires_grad:
        raise InputError(
            f"{name} of a network is a number for all its neurons, got a learnt tensor; set it for each "
            f'neuron, as in node.{name} = torch.nn.Parameter(...), or use neuron="PLIF" for a learnt time constant'
        )
    item = getattr(value, "item", None)
    return as_constant(name, value) if name in CONSTANTS and value is not None else item() if callable(item) else value


def neuron_factory(name: str, tau: float, surrogate: str, **options: Any) -> NeuronFactory:
    """A function that makes the neurons of a network, in multi-step mode. ReLU takes none of the arguments.

    Raises `InputError` for an option that the neuron does not have.
    """
    kind = NEURONS[neuron_name(name)]
    known = options_of(kind) if issubclass(kind, SpikingNeuron) else {}
    own = [option for option in known if option not in SET_BY_NETWORK]
    for option in options:
        if option == "surrogate_function":
            raise InputError("create_model takes the surrogate of all neurons as surrogate=, not surrogate_function=")
        if option not in own:
            raise unknown_name(f"option of the neuron {name}", option, own)
    if not issubclass(kind, SpikingNeuron):
        return lambda channels=None: kind()  # noqa: ARG005
    if "surrogate_function" not in known and surrogate != surrogates.name_of(surrogates.resolve(None)):
        raise InputError(
            f"the neuron {name} takes no surrogate_function, so {surrogate!r} has no effect; pass **options of "
            f"__init__ of {kind.__name__} to super().__init__"
        )
    shared: dict[str, Any] = {"tau": tau, "init_tau": tau, "surrogate_function": surrogates.get(surrogate)}
    given = {option: value for option, value in shared.items() if option in known} | options

    def make(channels: int | None = None) -> nn.Module:
        of_layer: dict[str, Any] = {}
        if "channels" in known and (found := channels_for(kind, known, channels)) is not None:
            of_layer["channels"] = found
        neuron = create(kind, {**given, **of_layer})
        neuron.step_mode, neuron.channels_made_for = "m", channels
        set_keep_state(neuron, False)
        return neuron

    return make


class SpikingNetwork(StepModule):
    """A spiking classifier; the subclasses define `logits(x)` for a step [N, C, H, W] or a sequence [T, N, C, H, W].

    In multi-step mode (the default) `net(x)` takes static images [N, C, H, W], repeated for `net.T` steps, or a
    sequence [T, N, C, H, W], starts from rest, and returns the logits of every step [T, N, classes]. In single-step
    mode (`clif.set_step_mode(net, "s")`) `net(x)` is one step: [N, C, H, W] -> [N, classes], and the state stays until
    `clif.reset_net(net)`. The prediction is the argmax of the mean logits over T.

    Calls for sequences may run in several threads at the same time. They wait for each other if a layer keeps a state
    while it computes: a recurrent container, or any layer after `clif.set_keep_state(net, True)`.

    It computes in the layout `memory_format` for any input layout: channels_last, the faster one, or
    `torch.preserve_format` for the layout of the input.

    Raises `InputError` for an input of another shape or of an integer dtype. `any_size` says whether the network takes
    other image sizes than the one for which it was created.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2)
    >>> isinstance(net, clif.models.SpikingNetwork), net.T
    (True, 2)
    """

    memory_format = torch.channels_last
    dims = 3
    """Axes of one sample: 3 for images, 1 for vectors."""

    def __init__(self, T: int, in_channels: int, image_size: Size, any_size: bool) -> None:
        super().__init__("m")
        if not isinstance(T, int | float | numbers.Integral) or not (T >= 1 and T % 1 == 0):
            raise InputError(f"T must be a whole number of at least 1 time step, got {T!r}")
        self.T = int(T)
        self.in_channels = in_channels
        self.image_size = image_size
        self.any_size = any_size
        self.config: dict[str, Any] = {}

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample at one step, [C, H, W], for export."""
        return self.in_channels, *height_width(self.image_size)

    def logits(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, classes] or [T, N, C, H, W] -> [T, N, classes], from the present state."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self._compute(x)
        with gate(self).alone() if is_exclusive(self) else gate(self).shared():
            return self._compute(x)

    def _compute(self, x: Tensor) -> Tensor:
        self._check_input(x)
        if self.memory_format == torch.channels_last:
            x = channels_last(x)
        if self.step_mode == "s":
            return self.logits(x)
        reset_net(self)
        return self.logits(repeat_image(x, self.T) if x.dim() == 4 else x)

    def stream(self) -> "Stream":
        """A callable that takes one step's input at a time and keeps its own state between the calls."""
        return Stream(self)

    def _check_input(self, x: Tensor) -> None:
        C, *size = self.sample_shape
        H, W = ("H", "W") if self.any_size else size
        shapes = f"[N, {C}, {H}, {W}]" + ("" if self.step_mode == "s" else f" or [T, N, {C}, {H}, {W}]")
        dims = (4,) if self.step_mode == "s" else (4, 5)
        if x.dim() not in dims or x.shape[-3] != C or not (self.any_size or list(x.shape[-2:]) == size):
            raise InputError(
                f"{type(self).__name__} takes an input {shapes}, got {list(x.shape)}; reshape the input or create the "
                "model with other in_channels or image_size"
            )
        if x.dim() == 5 and len(x) == 0:
            raise InputError(f"{type(self).__name__} got an empty sequence {list(x.shape)}; T must be at least 1")
        if not x.is_floating_point():
            raise InputError(f"{type(self).__name__} takes a floating-point input, got {x.dtype}; use x.float()")


class Stream:
    """Computes one step of a network per call, with its own state: other calls of the network do not change it.

    `stream(x)`: [N, C, H, W] -> this step's logits [N, classes], with autograd as usual. `reset()` resets the state.
    Streams of one network may run in several threads; their steps, and other calls of the network, wait for each other.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2).eval()
    >>> step = net.stream()
    >>> x = torch.rand(1, 3, 32, 32)
    >>> logits = torch.stack([step(x), step(x)])
    >>> torch.allclose(logits, net(x), atol=1e-4)
    True
    >>> step.reset()
    """

    def __init__(self, net: SpikingNetwork) -> None:
        self.net = net
        self.reset()

    def reset(self) -> None:
        """Back to rest."""
        self._states: dict[str, tuple[Tensor, ...] | None] = dict.fromkeys(self._modules())
        self._set_in_backward = in_backward()

    @property
    def state(self) -> dict[str, tuple[Tensor, ...] | None]:
        """The states of all layers by name, None at rest. You can assign it as a whole."""
        return dict(self._states)

    @state.setter
    def state(self, state: dict[str, tuple[Tensor, ...] | None]) -> None:
        self._check_layers(state)
        self._states = dict(state)
        self._set_in_backward = in_backward()

    def __call__(self, x: Tensor) -> Tensor:
        self._set_in_backward &= in_backward()
        if in_backward() and not self._set_in_backward:
            raise InputError(
                "activation checkpointing would recompute this step from the stream's state after its last one; use "
                "clif.set_checkpoint_blocks(net, True), or create the stream inside the checkpointed function"
            )
        with gate(self.net).alone(), with_states(None):
            self._check_layers(self._states)
            modules = self._modules()
            before = {name: module.memory for name, module in modules.items()}
            try:
                for name, module in modules.items():
                    module.step_mode, module.state = "s", self._states[name]
                logits: Tensor = self.net(x)
                self._states = {name: module.state for name, module in modules.items()}
            finally:
                for name, module in modules.items():
                    vars(module).update(before[name])
        return logits

    def _modules(self) -> dict[str, StepModule]:
        return {name: module for name, module in self.net.named_modules() if isinstance(module, StepModule)}

    def _check_layers(self, state: dict[str, tuple[Tensor, ...] | None]) -> None:
        if differing := sorted(self._modules().keys() ^ state.keys()):
            raise InputError(f"this is the state of another network: they differ in the layer {differing[0]}")


def channels_last(x: Tensor) -> Tensor:
    """Images [N, C, H, W] or [T, N, C, H, W] with the channels closest in memory, which convolutions pass on.

    That is the faster layout. A single channel is in both layouts; there the weights decide, see `lay_out`.
    """
    if x.dim() == 5:
        if is_repeated(x):
            return repeat_image(channels_last(x[0]), len(x))
        return channels_last(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    if is_transformed():  # the layout of a tensor is then unknown
        return x.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


def lay_out(net: nn.Module) -> None:
    """Make the convolutions of `net` with one input channel return channels_last."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 1:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def predict(logits: Tensor) -> Tensor:
    """Classes [N] from the logits [T, N, classes]: the argmax of their mean over the steps.

    >>> clif.models.predict(torch.tensor([[[0.2, 0.1]], [[0.0, 0.3]]]))
    tensor([1])
    """
    return logits.mean(0).argmax(-1)


def init_convolutions(net: nn.Module, zero_bias: bool = False) -> None:
    """Kaiming-normal weights (fan_out, relu) for every convolution; biases as torch draws them, or 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if zero_bias and module.bias is not None:
                nn.init.zeros_(module.bias)


def feature_size(features: nn.Module, in_channels: int, image_size: Size) -> int:
    """The number of values that `features` returns for one image; raises `InputError` if it is 0."""
    size, channels = height_width(image_size), in_channels
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            border, kernel, stride = int(module.padding[0]), module.kernel_size[0], module.stride[0]
            size = ((size[0] + 2 * border - kernel) // stride + 1, (size[1] + 2 * border - kernel) // stride + 1)
            channels = module.out_channels
        elif isinstance(module, nn.AvgPool2d):
            size = (size[0] // 2, size[1] // 2)
        if min(size) < 1:
            raise InputError(f"image_size={image_size} is too small for this network: no pixel is left")
    return channels * size[0] * size[1]


def step_by_step(net: SpikingNetwork, x: Tensor) -> Tensor:
    """`net(x)` computed as in the original, by one single-step call per time step; the same results, more slowly."""
    reset_net(net)
    set_step_mode(net, "s")
    try:
        return torch.stack([net(step) for step in (x if x.dim() == net.dims + 2 else repeat_image(x, net.T))])
    finally:
        set_step_mode(net, "m")
