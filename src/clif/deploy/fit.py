"""The shared parts of the fitted conversions: unlabelled images, and a comparison of two networks layer by layer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from clif.analysis.activity import samples_of
from clif.errors import InputError
from clif.models import SpikingNetwork
from clif.neurons import SpikingNeuron
from clif.sizes import is_count

SpikesFor = Callable[[SpikingNeuron, Tensor, float], Tensor]


def take_images(loader: Iterable[Any], count: int, dims: int = 3) -> list[Tensor]:
    """The first `count` samples of a loader as batches [N, *] or [T, N, *]; the loader may give them without labels.

    A sample has `dims` axes, 3 for images. Raises `InputError` if the loader is empty or `count` is less than 1.
    """
    if not is_count(count):
        raise InputError(f"a fit needs a whole number of images, at least 1, got images={count!r}")
    batches: list[Tensor] = []
    left = count
    for images in map(samples_of, loader):
        batch_axis = images.dim() - 1 - dims
        batches.append(images.narrow(batch_axis, 0, min(left, images.shape[batch_axis])))
        left -= batches[-1].shape[batch_axis]
        if left <= 0:
            break
    if left == count:
        raise InputError("the loader is empty; a fit needs training images")
    return batches


def count_images(batches: Sequence[Tensor], dims: int = 3) -> int:
    return sum(batch.shape[batch.dim() - 1 - dims] for batch in batches)


@contextmanager
def watched(net: SpikingNetwork, layer: str, see: Callable[[Tensor], None]) -> Iterator[None]:
    """Call `see(spike_seq)` whenever the spiking layer has computed."""
    handle = net.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: see(output))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def arriving(net: SpikingNetwork, layer: str, see: Callable[[Tensor], None]) -> Iterator[None]:
    """Call `see(x_seq)` with the input of the spiking layer before it charges: after the batch norm, if it gets one."""

    def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        x, *norm = inputs
        see(norm[0](x) if norm and norm[0] is not None else x)

    handle = net.get_submodule(layer).register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def count_errors(
    net: SpikingNetwork,
    lif: SpikingNetwork,
    layer: str,
    batches: Iterable[Tensor],
    candidates: Sequence[float],
    spikes_for: SpikesFor,
) -> Tensor:
    """The difference of a layer of `lif` from the same layer of `net`, for each candidate and channel: [candidates, C].

    It is the squared difference of the numbers of spikes over the sequence, summed over neurons and images. Each
    network computes its own way up to the layer; `spikes_for(node, x_seq, candidate)` are the spikes [T, N, C, *] that
    the layer's neuron would fire on what arrives there.
    """
    wanted: list[Tensor] = []
    charging: list[Tensor] = []
    node = lif.get_submodule(layer)
    assert isinstance(node, SpikingNeuron)
    total: Tensor | None = None
    for batch in batches:
        with watched(net, layer, lambda spikes: wanted.append(spikes.sum(0))):
            net(batch)
        with arriving(lif, layer, charging.append):
            lif(batch)
        target, x_seq = wanted.pop(), charging.pop()
        errors = [_per_channel((spikes_for(node, x_seq, value).sum(0) - target).square()) for value in candidates]
        total = torch.stack(errors) + (0 if total is None else total)
    assert total is not None
    return total


def _per_channel(error: Tensor) -> Tensor:
    """[N, C, *] summed to [C], in float64."""
    return error.transpose(0, 1).flatten(1).sum(1, dtype=torch.float64)


@dataclass(frozen=True)
class Response:
    """The output of a network for a batch: logits [T, N, classes], and each neuron's spike count by layer, [N, *]."""

    logits: Tensor
    counts: dict[str, Tensor]


def respond(
    net: SpikingNetwork, layers: Iterable[str], x: Tensor, parameters: Mapping[str, Tensor] | None = None
) -> Response:
    """The network's response to a batch, at its spiking `layers`; `parameters` replace its own by name."""
    counts: dict[str, Tensor] = {}

    def count(layer: str, spikes: Tensor) -> None:
        counts[layer] = spikes.sum(0, dtype=torch.float32)

    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(watched(net, layer, partial(count, layer)))
        logits = functional_call(net, dict(parameters or {}), (x,))
    return Response(logits, counts)


def distance(student: Response, teacher: Response) -> Tensor:
    """The distance of a network from its teacher, a scalar.

    It is the divergence of the predictions plus, for every layer, the mean squared difference of a neuron's number of
    spikes over the sequence, so each layer is corrected itself, not by the layers after it.
    """
    apart = kl_divergence(student.logits, teacher.logits)
    for layer, count in student.counts.items():
        apart = apart + (count - teacher.counts[layer]).square().mean()
    return apart


def kl_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher ‖ student), mean over N, of the predictions that the logits [T, N, classes] give: a scalar."""
    predicted, wanted = (logits.mean(0).log_softmax(-1) for logits in (student, teacher))
    return F.kl_div(predicted, wanted, log_target=True, reduction="batchmean")


@torch.no_grad()
def divergence(lif: SpikingNetwork, batches: Sequence[Tensor], answers: Sequence[Tensor]) -> float:
    """The mean over all images of `kl_divergence` from its teacher's `answers`, logits [T, N, classes] by batch.

    It tells better which of two networks is nearer than the share of equal predictions does, which depends on a few
    images between two classes.
    """
    apart = 0.0
    for x, wanted in zip(batches, answers, strict=True):
        apart += kl_divergence(lif(x), wanted).item() * count_images([x], lif.dims)
    return apart / count_images(batches, lif.dims)
