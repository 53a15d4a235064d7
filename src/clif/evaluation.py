"""Scores of a network on a data set, and their running sums over batches, which training also uses."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.loss import Loss, SpikingLoss
from clif.neurons import SpikingNeuron, reset_net
from clif.neurons.net import evaluating, like_weights
from clif.nonblocking import NonblockingReader
from clif.progress import progress_bar


@dataclass(frozen=True)
class Scores:
    """The results of a pass over a data set: mean loss, top-1 and top-5 accuracy in 0–1, and the time.

    `by_class` has, if requested, the number of correct predictions and of samples of each class.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=1, image_size=16)
    >>> scores = clif.evaluation.evaluate(net, [(torch.rand(8, 3, 16, 16), torch.arange(8))])
    >>> 0 <= scores.top1 <= scores.top5 <= 1
    True
    """

    loss: float
    top1: float
    top5: float
    samples: int
    seconds: float
    by_class: tuple[tuple[int, int], ...] = ()

    @property
    def images_per_second(self) -> float:
        return self.samples / self.seconds if self.seconds > 0 else 0.0


class RunningScores:
    """Sums over batches that stay on the device; reading them costs a synchronisation, adding to them does not."""

    def __init__(self, device: torch.device, num_classes: int = 0) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        """Loss, hits and hits among the first five, summed over this process's samples."""
        self.by_class = torch.zeros(num_classes, 2, dtype=torch.float64, device=device)
        """Hits and samples of each class, or of none."""
        self.samples = 0
        self.seconds = 0.0
        self._reader = NonblockingReader()

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: its mean loss, logits [T, N, classes], labels [N] or soft [N, classes]."""
        if labels.is_floating_point():
            labels = labels.argmax(-1)
        ranked = logits.float().mean(0).topk(min(5, logits.shape[-1])).indices
        hits = ranked == labels[:, None]
        N = len(labels)
        self.sums += torch.stack([loss.detach() * N, hits[:, 0].sum(), hits.sum()]).to(self.sums)
        self.samples += N
        if len(self.by_class):
            counts = torch.stack([hits[:, 0].to(self.by_class), self.by_class.new_ones(N)], dim=1)
            self.by_class.index_add_(0, labels, counts)

    def scores(self, reduce: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> Scores:
        """The scores of all batches so far; `reduce` sums a tensor over all processes."""
        *sums, samples = reduce(torch.cat([self.sums, self.sums.new_tensor([self.samples])])).tolist()
        loss, top1, top5 = (value / max(samples, 1) for value in sums)
        by_class = reduce(self.by_class).long().tolist() if len(self.by_class) else []
        return Scores(loss, top1, top5, int(samples), self.seconds, tuple((hits, n) for hits, n in by_class))

    def glance(self) -> tuple[float, float]:
        """Loss and top-1 of this process so far, or a little before: a GPU does not wait."""
        sums = self._reader.read(self.sums / max(self.samples, 1))
        return (math.nan, math.nan) if sums is None else (sums[0].item(), sums[1].item())


def loss_of(loss: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    """`loss(logits, labels)`; raises `InputError` if it fails because the labels do not fit the network's classes."""
    try:
        return loss(logits, labels)
    except (IndexError, RuntimeError, ValueError) as error:
        classes = logits.shape[-1]
        if len(labels) != logits.shape[1]:
            raise InputError(f"{len(labels)} labels for a batch of {logits.shape[1]} samples") from error
        if labels.is_floating_point() and labels.shape[-1] != classes:
            raise InputError(f"soft labels {list(labels.shape)} for a network of {classes} classes") from error
        if not labels.is_floating_point() and not 0 <= labels.min() <= labels.max() < classes:
            raise InputError(
                f"the labels of a network of {classes} classes are 0 to {classes - 1}, got {labels.min()} to "
                f"{labels.max()}"
            ) from error
        if not labels.is_floating_point() and labels.dtype not in (torch.int64, torch.uint8):
            raise InputError(f"labels must be int64, got {labels.dtype}; use y.long()") from error
        raise


def pair_of(batch: Any, whose: str = "the loader") -> tuple[Tensor, Tensor]:
    """A batch (x, y). Raises `InputError` that says what `whose` loader gives instead."""
    if isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch):
        return batch[0], batch[1]
    given = type(batch).__name__
    if isinstance(batch, tuple | list):
        given = f"({', '.join(type(part).__name__ for part in batch)})"
    raise InputError(f"{whose} must give pairs of tensors (x, y), got {given}")


def _check_logits(net: nn.Module, images: Tensor, logits: Tensor, labels: Tensor) -> None:
    if logits.dim() != 3 or logits.shape[1] != len(labels):
        raise InputError(
            f"{type(net).__name__} gives {list(logits.shape)} for an input {list(images.shape)} and {len(labels)} "
            "labels; logits are [T, N, classes]. clif.wrap(net, T=…) shows samples at each of T steps"
        )


@contextmanager
def by_steps(net: nn.Module) -> Iterator[Callable[[Tensor], None]]:
    """A context with a function that raises `InputError` if logits [T, N, classes] come from single-step neurons.

    A network that loops over the steps itself calls its neurons T times.
    """
    calls: Counter[nn.Module] = Counter()
    nodes = [m for m in net.modules() if isinstance(m, SpikingNeuron) and m.step_mode == "s"]
    handles = [node.register_forward_pre_hook(lambda node, _inputs: calls.update([node])) for node in nodes]

    def check(logits: Tensor) -> None:
        if len(logits) > 1 and set(calls.values()) == {1}:
            raise InputError(
                f"the neurons of {type(net).__name__} are in single-step mode and took a sequence for one step; use "
                'clif.set_step_mode(net, "m"), or clif.wrap(net, T=…)'
            )

    try:
        yield check
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def evaluate(
    net: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss: Loss | None = None,
    quiet: bool = True,
    check_stop: Callable[[], None] = lambda: None,
    reduce: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    num_classes: int = 0,
) -> Scores:
    """Scores of `net` in eval mode over the loader's batches; its modules keep their modes.

    `net` is a network of clif or any module that returns logits [T, N, classes]; each batch begins at rest.
    `check_stop` is called after every batch and may raise; `reduce` sums a tensor over the processes if each has a part
    of the loader's batches. With `num_classes`, that of the data, the scores also have counts by class. Raises
    `InputError` for an empty loader, and for batches and labels that do not fit.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=1, image_size=16)
    >>> batches = [(torch.rand(8, 3, 16, 16), torch.arange(8))]
    >>> clif.train.evaluate(net, batches).samples
    8
    """
    loss = SpikingLoss() if loss is None else loss
    device = next(net.parameters(), torch.zeros(())).device
    running = RunningScores(device, num_classes)
    start = time.perf_counter()
    with (
        evaluating(net),
        by_steps(net) as check_steps,
        progress_bar(getattr(loader, "num_samples", 0), "test", quiet) as bar,
    ):
        for images, labels in map(pair_of, loader):
            images, labels = like_weights(net, images.to(device)), labels.to(device)
            reset_net(net)
            logits = net(images)
            _check_logits(net, images, logits, labels)
            if running.samples == 0:
                check_steps(logits)
            running.add(loss_of(loss, logits, labels), logits, labels)
            bar.update(len(labels))
            check_stop()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    running.seconds = time.perf_counter() - start
    scores = running.scores(reduce)
    if not scores.samples:
        raise InputError("the loader is empty; give at least one batch")
    return scores
