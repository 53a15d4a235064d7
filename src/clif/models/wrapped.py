"""A module of your own as a network of clif: `wrap` repeats images, resets at each call, streams and loads."""

import operator
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import InputError, in_words
from clif.layers import LeakyIntegrator, repeat_image
from clif.models.network import SpikingNetwork, channels_last
from clif.neurons import SpikingNeuron, reset_net, set_keep_state, set_step_mode
from clif.neurons.net import is_foreign, like_weights, visiting
from clif.sequence_layers import (
    CONTAINERS,
    detached_copy,
    has_own_forward,
    parametrizations,
    sharing_copy,
    take_sequences,
)
from clif.sizes import plain_size

WRAPPED = "wrapped"
"""The name in the description of a wrapped network; no model is registered under it."""

OF_IMAGES = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.AvgPool2d, nn.MaxPool2d)


USE_LAYERS = "use layers in its forward, such as torch.nn.Flatten() instead of x.flatten(1) or x.view(len(x), -1)"


class Wrapped(SpikingNetwork):
    """The return type of `wrap`: your own module in `net` as a network.

    In multi-step mode it takes samples [N, *], repeated for `T` steps, or a sequence [T, N, *], starts from rest, and
    returns the logits of every step [T, N, classes]; in single-step mode it takes and returns one step.

    >>> net = clif.wrap(nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(), nn.Linear(8, 2)), T=6)
    >>> step = net.stream()
    >>> step(torch.rand(5, 4)).shape  # the logits of one step
    torch.Size([5, 2])
    """

    def __init__(self, net: nn.Module, T: int | None, input_shape: Sequence[int] | None = None) -> None:
        shape = None if input_shape is None else _shape(input_shape)
        dims = _sample_dims(net) if shape is None else len(shape)
        in_channels, size = (shape[0], plain_size(shape[1:])) if shape is not None and dims == 3 else (0, 0)
        super().__init__(1 if T is None else T, in_channels, size, any_size=True)
        self.net = net
        self.input_shape = shape
        self.dims = dims
        self.repeats = T is not None
        nodes = {module for module in net.modules() if isinstance(module, SpikingNeuron)}
        kinds = sorted({node.neuron or type(node).__name__ for node in nodes})
        self.config = {
            "name": WRAPPED,
            "class": type(net).__name__,
            "neuron": ", ".join(kinds),
            "T": self.T,
            "input_shape": None if shape is None else list(shape),
        }

    @property
    def sample_shape(self) -> tuple[int, ...]:
        if self.input_shape is None:
            raise InputError(
                f"the shape of one sample of this {type(self.net).__name__} is not known; give input_shape=(C, H, W), "
                "or (F,) for vectors, here or to clif.wrap"
            )
        return self.input_shape

    def logits(self, x: Tensor) -> Tensor:
        result: Tensor = self.net(x)
        return result

    def unwrapped(self, source: nn.Module) -> nn.Module:
        """The module inside, whose neurons and dropouts are in the step mode and keep their states as in `source`."""
        nodes = [module for module in source.modules() if isinstance(module, SpikingNeuron)]
        set_step_mode(self.net, nodes[0].step_mode)
        set_keep_state(self.net, nodes[0].keep_state)
        return self.net

    def with_shape(self, input_shape: Sequence[int]) -> "Wrapped":
        """The same network, which shares the module inside, for samples of this shape."""
        shaped = Wrapped(self.net, self.T if self.repeats else None, input_shape)
        shaped.step_mode, shaped.training = self.step_mode, self.training
        return shaped

    def _compute(self, x: Tensor) -> Tensor:
        self._check_input(x)
        if self.dims == 3 and self.memory_format == torch.channels_last and x.shape[-3] > 1:
            x = channels_last(x)
        if self.step_mode == "s":
            return self.logits(x)
        reset_net(self)
        return self.logits(repeat_image(x, self.T) if x.dim() == self.dims + 1 else x)

    def _check_input(self, x: Tensor) -> None:
        sample = list(self.input_shape or [("C", "H", "W"), ("F",)][self.dims == 1])
        names = ", ".join(map(str, sample))
        static, sequence = f"[N, {names}]", f"[T, N, {names}]"
        dims = [self.dims + 1] if self.step_mode == "s" else [self.dims + 1, self.dims + 2][not self.repeats :]
        fits = self.input_shape is None or tuple(x.shape[-self.dims :]) == self.input_shape
        if x.dim() not in dims or not fits:
            takes = static if self.step_mode == "s" else f"{static} or {sequence}" if self.repeats else sequence
            hint = "" if self.repeats else "; clif.wrap(net, T=…) shows samples at each of T steps"
            raise InputError(f"this {type(self.net).__name__} takes an input {takes}, got {list(x.shape)}{hint}")
        if x.dim() == self.dims + 2 and len(x) == 0:
            raise InputError(f"got an empty sequence {list(x.shape)}; T must be at least 1")
        if not x.is_floating_point():
            raise InputError(f"networks take a floating-point input, got {x.dtype}; use x.float()")


def wrap(net: nn.Module, T: int, input_shape: Sequence[int] | None = None) -> Wrapped:
    """A module with spiking neurons as a network of clif that shares the parameters of `net`.

    The network repeats a sample [N, *] for `T` steps or takes a sequence [T, N, *], begins every call at rest, returns
    the logits [T, N, classes], and has `stream()`. All functions for networks of `clif.models` take it. Load its
    checkpoints by `clif.load(path, net=clif.wrap(net, T=…))`.

    Layers of clif that take sequences replace PyTorch's layers in the network: batch norms then use the statistics of
    each step, and dropout keeps one mask for all steps. `net` itself does not change. The network shares its parameters
    and buffers, so training one trains the other. State-dict names have the prefix "net.".

    Args:
        net: a `torch.nn.Sequential`, or any module whose `forward` computes a sequence at once as it computes its steps
            one by one.
        T: time steps for which a sample is shown.
        input_shape: the shape of one sample, (C, H, W) or (F,): needed for export, and for a module with its own
            `forward`, which clif then checks. Without it the first layer decides between images and vectors.

    Raises `InputError` for a module without neurons of clif, and names a layer that cannot take sequences.

    >>> net = clif.wrap(nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(), nn.Linear(8, 2)), T=6)
    >>> net(torch.rand(5, 4)).shape  # samples [N, features], shown at 6 steps -> [T, N, classes]
    torch.Size([6, 5, 2])
    """
    return _wrap(net, T, input_shape)


def as_network(
    net: nn.Module, input_shape: Sequence[int] | None = None, T: int | None = None, images: bool = False
) -> SpikingNetwork:
    """`net` itself if it is a network of clif, else wrapped; `InputError` if it must take samples and T is None."""
    if isinstance(net, SpikingNetwork):
        if isinstance(net, Wrapped) and net.input_shape is None and input_shape is not None and T is None:
            return net.with_shape(input_shape)
        if input_shape is not None or T is not None:
            raise InputError(f"a {type(net).__name__} already has its T and the shape of its input; leave them out")
        return net
    if images and T is None:
        raise InputError(
            f"a {type(net).__name__} does not define the number of steps; give T=…, or clif.wrap(net, T=…)"
        )
    return _wrap(net, T, input_shape)


def layer_name(net: nn.Module, name: str) -> str:
    """The name of a layer in the user's own module, without the prefix that `wrap` adds."""
    return name.removeprefix("net.") if isinstance(net, Wrapped) else name


def class_name(net: nn.Module) -> str:
    """The name of a network's class, of a wrapped network that of the user's own module."""
    return type(net.net if isinstance(net, Wrapped) else net).__name__


def own_forwards(net: nn.Module) -> list[nn.Module]:
    """The modules in `net` that call their children in a forward of their own."""
    parts = [module for module in net.modules() if has_own_forward(module) and not _is_plain(module)]
    computing = parametrizations(net)
    return [module for module in parts if not (isinstance(module, SpikingNeuron) or module in computing)]


def _wrap(net: nn.Module, T: int | None, input_shape: Sequence[int] | None) -> Wrapped:
    if isinstance(net, SpikingNetwork):
        raise InputError(f"a {type(net).__name__} is a network of clif already; use it directly")
    if foreign := next((f"{name} is a {type(m).__name__}" for name, m in net.named_modules() if is_foreign(m)), None):
        raise InputError(f"{foreign} of SpikingJelly; clif.convert(net, neuron=None).net converts the network first")
    if not any(isinstance(module, SpikingNeuron) for module in net.modules()):
        raise InputError(
            f"this {type(net).__name__} has no spiking neuron of clif; clif.convert(net) replaces its activations "
            "by neurons"
        )
    wrapped = Wrapped(take_sequences(sharing_copy(net)), T, input_shape)
    wrapped.training = net.training
    set_keep_state(wrapped, False)
    set_step_mode(wrapped, "m")
    reset_net(wrapped)
    if own := own_forwards(wrapped.net):
        _try_out(wrapped, type(own[0]).__name__)
    else:  # all modules are called once for each of their places
        _check_calls(Counter(module for _, module in wrapped.named_modules(remove_duplicate=False)), wrapped)
    return wrapped


def _is_plain(container: nn.Module) -> bool:
    """Whether a module is one of PyTorch's containers, without a `forward` of its own."""
    return isinstance(container, CONTAINERS) and type(container).forward in {kind.forward for kind in CONTAINERS}


def _check_calls(calls: Counter[nn.Module], wrapped: Wrapped) -> None:
    """Raise `InputError` if a layer with a state is called more than once in a step."""
    for name, module in wrapped.net.named_modules():
        if isinstance(module, SpikingNeuron | LeakyIntegrator) and calls[module] > 1:
            raise InputError(
                f"{name}, a {type(module).__name__}, is called {calls[module]} times in a step, but has one state; use "
                "a separate module for each call"
            )


def _try_out(wrapped: Wrapped, name: str) -> None:
    """Raise `InputError` if computing a sequence at once gives other numbers than computing it step by step."""
    if wrapped.input_shape is None:
        raise InputError(
            f"{name} has its own forward, which clif checks on a sequence; give the shape of one sample: "
            "clif.wrap(net, T=…, input_shape=(C, H, W)), or (F,) for vectors"
        )
    try:
        try:  # in float64, rounding changes no spike
            same, in_a_step, probe = _compare(detached_copy(wrapped).cpu().double(), 1e-6)
        except RuntimeError:  # its forward may need the present dtype
            same, in_a_step, probe = _compare(detached_copy(wrapped).cpu(), 1e-4)
    except (RuntimeError, IndexError, TypeError, ValueError, AssertionError) as error:
        raise InputError(
            f"{name} cannot take a sequence of samples {list(wrapped.input_shape)}: {in_words(error)}"
            + (f"; {USE_LAYERS}" if isinstance(error, RuntimeError) else "")
        ) from error
    _check_calls(in_a_step, probe)
    if not same:
        raise InputError(
            f"{name} does not compute the same for a sequence [T, N, *] as for its single steps; {USE_LAYERS}"
        )


def _compare(probe: Wrapped, tolerance: float) -> tuple[bool, Counter[nn.Module], Wrapped]:
    """The results of `_by_steps_and_whole`, also compared without silent neurons.

    Many neurons of an untrained network are silent, and the layers after them would not show a difference.
    """
    same, in_a_step, _ = _by_steps_and_whole(probe, tolerance)
    for module in probe.modules():
        if isinstance(module, SpikingNeuron):
            module.register_forward_hook(_pass_input)
    with suppress(Exception):  # its forward may take spikes only
        same = same and _by_steps_and_whole(probe, tolerance)[0]
    return same, in_a_step, probe


def _pass_input(_module: nn.Module, inputs: tuple[Tensor, ...], spikes: Tensor) -> Tensor:
    """A forward hook: instead of spikes a smooth function of the input, so that rounding changes the output little."""
    x = inputs[0] if inputs else spikes
    return x.sigmoid().to(spikes) if x.shape == spikes.shape else spikes


def _by_steps_and_whole(probe: Wrapped, tolerance: float) -> tuple[bool, Counter[nn.Module], Wrapped]:
    """Whether a sequence and its single steps give the same numbers, and how often a step calls each module."""
    generator = torch.Generator().manual_seed(0)
    x_seq = like_weights(probe, torch.randn(2, 3, *probe.sample_shape, generator=generator).double() * 3)
    calls: Counter[nn.Module] = Counter()
    for module in probe.modules():
        module.register_forward_pre_hook(lambda module, _inputs: calls.update([module]))
    with visiting(probe, "s"):
        results = [probe(x) for x in x_seq]
    if not isinstance(results[0], Tensor):
        raise TypeError(f"its forward returns a {type(results[0]).__name__}, but must return the logits alone")
    steps = torch.stack(results)
    in_a_step = Counter({module: count // len(x_seq) for module, count in calls.items()})
    with visiting(probe, "m"):
        whole = probe(x_seq)
    same = whole.shape == steps.shape and torch.allclose(whole, steps, rtol=tolerance, atol=tolerance)
    return same, in_a_step, probe


def _shape(input_shape: Any) -> tuple[int, ...]:
    try:
        shape = tuple(map(operator.index, input_shape))
    except TypeError:
        shape = ()
    if not shape or min(shape) < 1:
        got = "a tensor" if isinstance(input_shape, Tensor) else repr(input_shape)
        raise InputError(
            f"input_shape is that of one sample, such as (3, 32, 32), (64,) or x.shape[1:] of a batch x, got {got}"
        )
    return shape


def _sample_dims(net: nn.Module) -> int:
    """3 for a network whose first layer takes images, 1 for vectors."""
    for module in net.modules():
        if isinstance(module, OF_IMAGES):
            return 3
        if isinstance(module, nn.Linear | nn.BatchNorm1d):
            return 1
        if not has_own_forward(module) and not isinstance(module, SpikingNeuron | nn.Identity):
            break
    raise InputError(
        f"the first layer of this {type(net).__name__} does not define whether it takes images or vectors; give the "
        "shape of one sample: clif.wrap(net, T=…, input_shape=(C, H, W)), or (F,) for vectors"
    )
