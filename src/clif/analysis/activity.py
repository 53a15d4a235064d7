"""The calls of the spiking neurons of a network, batch by batch, recorded by hooks without changing the network."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clif.errors import InputError, unknown_name
from clif.layers import repeat_image
from clif.models import SpikingNetwork
from clif.models.wrapped import layer_name
from clif.neurons import SpikingNeuron, reset_net
from clif.neurons.net import is_foreign, like_weights, visiting
from clif.ops.equations import State, stack_steps

Forward = Callable[[nn.Module, Tensor], Any]
"""The function by which a network computes a batch, `net(x)` by default."""


class Sequence(NamedTuple):
    """The result of a layer of neurons: spike_seq [T, N, *] from x_seq [T, N, *] (None if not requested).

    `start` is the state before, None at rest. `steps_before` is not 0 if it continues a sequence of the same batch, of
    which the network has computed so many steps.
    """

    name: str
    module: nn.Module
    x_seq: Tensor | None
    spike_seq: Tensor
    start: State | None
    steps_before: int = 0


def spiking_layers(net: nn.Module) -> dict[str, SpikingNeuron]:
    """The spiking neurons of `net` by name, in the order of the modules.

    The names are those of the modules, in a network from `clif.wrap` those in your own module.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> len(clif.analysis.spiking_layers(net))
    5
    """
    return {layer_name(net, name): module for name, module in spiking_modules(net).items()}


def spiking_modules(net: nn.Module) -> dict[str, SpikingNeuron]:
    """The spiking neurons of `net` by module name, also if it is wrapped."""
    return {name: module for name, module in net.named_modules() if isinstance(module, SpikingNeuron)}


def firing_layers(net: nn.Module, names: Iterable[str] | None = None) -> dict[str, nn.Module]:
    """The modules of `net` that fire: clif's neurons and SpikingJelly's; or those of these `names`.

    The names are those of `spiking_layers`.

    Raises `InputError` if there are none and for an unknown name.
    """
    found = {layer_name(net, name): module for name, module in net.named_modules() if _fires(module)}
    if not found:
        raise InputError(f"{type(net).__name__} has no spiking neuron of clif or SpikingJelly")
    if names is None:
        return found
    for name in (names := [names] if isinstance(names, str) else list(names)):
        if name not in found:
            raise unknown_name("spiking layer", name, found)
    return {name: module for name, module in found.items() if name in names}


def _fires(module: nn.Module) -> bool:
    return isinstance(module, SpikingNeuron) or (is_foreign(module) and hasattr(module, "v_threshold"))


def count_spikes(spikes: Tensor) -> Tensor:
    """The number of spikes in [T, N, *] or [N, *], as a float64 scalar.

    Each step (or sample) is summed in float32, exactly up to 2^24 spikes, because on a CPU PyTorch takes many times as
    long to sum in another dtype than the tensor's.

    >>> clif.analysis.count_spikes(torch.ones(6, 2, 3))
    tensor(36., dtype=torch.float64)
    """
    dtype = torch.promote_types(spikes.dtype, torch.float32)
    return spikes.sum(tuple(range(1, spikes.dim())), dtype=dtype).sum(dtype=torch.float64)


def observe(
    net: nn.Module,
    loader: Iterable[Any],
    take: Callable[[Sequence], None],
    layers: Mapping[str, nn.Module],
    forward: Forward | None = None,
    inputs: bool = False,
) -> int:
    """Call `take` with every `Sequence` of the `layers`, batch by batch, in eval mode; returns the number of batches.

    A call in multi-step mode is a sequence, and so are all calls in single-step mode during one batch. The network
    begins every batch at rest and is unchanged afterwards.
    """
    batches = 0
    with visiting(net, step_mode_of(net)):
        for batch in batches_of(loader):
            batches += 1
            reset_net(net)
            with sequences(layers, take, inputs):
                see(net, input_of(net, batch), forward)
    return batches


def observe_some(
    net: nn.Module, loader: Iterable[Any], take: Callable[[Sequence], None], *arguments: Any, **options: Any
) -> None:
    """`observe`; raises `InputError` for an empty loader, and if no layer was called."""
    called = False

    def note(sequence: Sequence) -> None:
        nonlocal called
        called = True
        take(sequence)

    if not observe(net, loader, note, *arguments, **options):
        raise InputError("the loader is empty; give at least one batch")
    if not called:
        raise never_called(net)


def never_called(net: nn.Module) -> InputError:
    """The error for a network that computes without calling the layers to observe."""
    return InputError(f"{type(net).__name__} called none of these spiking neurons; does its forward use them?")


def see(net: nn.Module, x: Tensor, forward: Forward | None) -> Any:
    """The output of a network for a batch, by `forward` if it is given."""
    return net(x) if forward is None else forward(net, x)


def input_of(net: nn.Module, batch: Any) -> Tensor:
    """The input of a batch (`samples_of`) on the network's device and in its precision."""
    x = samples_of(batch)
    weight = next((p for p in net.parameters() if p.is_floating_point()), None)
    if weight is None:
        return x
    return like_weights(net, x.to(weight.device))


def batches_of(loader: Iterable[Any]) -> Iterable[Any]:
    """The loader itself. Raises `InputError` for a tensor, whose rows would be taken for batches."""
    if isinstance(loader, Tensor):
        raise InputError(f"the loader must be an iterable of batches, got a tensor {list(loader.shape)}; give [x]")
    return loader


def samples_of(batch: Any) -> Tensor:
    """A batch, or what a tuple begins with. Raises `InputError` unless it is a tensor."""
    x = batch[0] if isinstance(batch, tuple | list) and batch else batch
    if not isinstance(x, Tensor):
        raise InputError(f"a batch is a tensor, or a tuple that begins with one, got a {type(x).__name__}")
    return x


def step_mode_of(net: nn.Module) -> str | None:
    """The step mode in which a network takes whole samples; a network that is not clif's keeps its own."""
    return "m" if isinstance(net, SpikingNetwork) else None


class Call(NamedTuple):
    """One call of a layer: its input and the state before it, None at rest, and its spikes.

    The input is None if not requested. `of_steps` tells whether it was a sequence [T, N, *]; containers may call a
    layer in another step mode than the one that they leave it in. `goes_on` tells whether it was not at rest.
    """

    x: Tensor | None
    start: State | None
    spikes: Tensor
    of_steps: bool
    goes_on: bool


@contextmanager
def sequences(
    layers: Mapping[str, nn.Module], take: Callable[[Sequence], None], inputs: bool = False
) -> Iterator[None]:
    """Call `take` for every sequence that one of the `layers` computes; see `observe`."""
    steps: dict[str, list[Call]] = {name: [] for name in layers}
    done = dict.fromkeys(layers, 0)

    def gather(name: str, call: Call) -> None:
        if call.of_steps:
            before = done[name] if call.goes_on else 0
            done[name] = before + len(call.spikes)
            take(Sequence(name, layers[name], call.x, call.spikes, call.start, before))
        else:
            steps[name].append(call)

    with calls(layers, gather, inputs):
        yield
    for name, module in layers.items():
        if run := steps[name]:
            x_seq = stack_steps([call.x for call in run if call.x is not None]) if inputs else None
            take(Sequence(name, module, x_seq, stack_steps([call.spikes for call in run]), run[0].start))


@contextmanager
def calls(
    layers: Mapping[str, nn.Module], take: Callable[[str, Call], None], inputs: bool = False, with_grad: bool = False
) -> Iterator[None]:
    """Call `take(name, call)` for every call of one of the `layers`.

    With `inputs`, a batch norm that the neuron would compute in its own kernel is computed before the call. With
    `with_grad`, the inputs require gradients. A call that `take` may keep, of a single step or with gradients, has its
    own tensors, which the network cannot change in place.
    """

    def is_kept(module: Any) -> bool:
        return with_grad or module.step_mode == "s"

    begun: dict[str, tuple[Tensor, State | None]] = {}
    resumed: dict[str, bool] = {}

    def arrive(name: str) -> Any:
        def hook(module: Any, _args: Any) -> None:
            resumed[name] = _keeps_a_state(module)

        return hook

    def before(name: str) -> Any:
        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            begun[name] = x, _ = _begin(module, is_kept(module), with_grad, *args, **kwargs)
            return (x,), {}

        return hook

    def after(name: str) -> Any:
        def hook(module: Any, _args: Any, spikes: Tensor) -> Tensor | None:
            x, start = begun.pop(name, (None, None))
            take(name, Call(x, start, spikes, module.step_mode == "m", resumed[name]))
            return spikes.clone() if is_kept(module) else None

        return hook

    handles = [module.register_forward_hook(after(name)) for name, module in layers.items()]
    handles += [module.register_forward_pre_hook(arrive(name)) for name, module in layers.items()]
    if inputs:
        handles += [m.register_forward_pre_hook(before(name), with_kwargs=True) for name, m in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keeps_a_state(module: Any) -> bool:
    """Whether the next call of a neuron begins in the state in which its last one ended."""
    if isinstance(module, SpikingNeuron):
        return module.keep_state and module.state is not None
    return isinstance(getattr(module, "v", None), Tensor)


def _begin(
    module: Any, is_kept: bool, with_grad: bool, x: Tensor, norm: nn.Module | None = None
) -> tuple[Tensor, State | None]:
    """The input of a neuron's call, after the batch norm and as a copy if it is kept, and the state before it."""
    if not isinstance(module, SpikingNeuron):
        raise InputError(
            f"the states of a {type(module).__name__} of SpikingJelly cannot be recorded; clif.convert(net, "
            "neuron=None).net converts it to a neuron of clif"
        )
    if module.overrides("single_step_forward") or module.overrides("multi_step_forward"):
        raise InputError(
            f"the states of {type(module).__name__} cannot be recorded, because it defines its own forward; define "
            "step(self, x, v) instead"
        )
    x = x if norm is None else norm(x)
    x = x.clone() if is_kept else x
    if with_grad and not x.requires_grad:
        x.requires_grad_()
    if module.step_mode == "s":
        return x, module.start_state(x)
    return x, module.start_state(x[0]) if module.keep_state else None


def follow(sequence: Sequence) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """The spikes and, by name, the states after each step of a sequence with its input, as PyTorch computes `step`."""
    node, x_seq = sequence.module, sequence.x_seq
    assert isinstance(node, SpikingNeuron)
    assert x_seq is not None
    equations = node.equations()
    one_step, state = equations.one_step(x_seq[0]), equations.start(x_seq[0], sequence.start)
    for x in x_seq.unbind(0):
        spikes, state = one_step(x, state)
        yield spikes, dict(zip(node.state_names, state, strict=True))


def measure_rates(net: nn.Module, loader: Iterable[Any], layers: Mapping[str, nn.Module]) -> dict[str, float] | None:
    """Spikes per neuron and time step of these layers, over all batches; None for an empty loader."""
    spikes_of, steps_of = dict.fromkeys(layers, 0.0), dict.fromkeys(layers, 0)

    def count(sequence: Sequence) -> None:
        spikes_of[sequence.name] += count_spikes(sequence.spike_seq).item()
        steps_of[sequence.name] += sequence.spike_seq.numel()

    empty = observe(net, loader, count, layers) == 0
    return None if empty else {name: spikes_of[name] / max(steps_of[name], 1) for name in layers}


def one_sample(net: nn.Module, x: Tensor, steps: int | None = None) -> Tensor:
    """The input of a network for one sample, [T, 1, *]; a module that is not a network of clif gets `x` unchanged.

    Raises `InputError` for anything but a single sample.
    """
    if not isinstance(net, SpikingNetwork):
        if steps is not None:
            raise InputError("steps is for networks of clif; for your own module set the steps by forward=…")
        return x
    sample = "C, H, W" if net.dims == 3 else "F"
    if x.dim() == net.dims:
        return repeat_image(x[None], steps or net.T)
    frames = x[:, None] if x.dim() == net.dims + 1 else x
    if frames.dim() != net.dims + 2 or len(frames) < 2 or frames.shape[1] != 1:
        raise InputError(
            f"give one sample, an image [{sample}] or frames [T, {sample}] with T > 1, got {list(x.shape)}; "
            "from a batch select one, such as x[0] (images) or x[:, 0] (frames)"
        )
    if steps is not None and steps > len(frames):
        raise InputError(f"steps must be at most the number of frames, {len(frames)}, got {steps}")
    return frames[:steps]
