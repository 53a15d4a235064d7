"""Accuracy of a network over a loader, and the running sums that training and evaluation share."""

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clif.data import create_loader, get_dataset
from clif.devices import choose_device
from clif.models import SpikingNetwork
from clif.precision import Precision, asked_for, common, warn_if_slow
from clif.progress import progress_bar
from clif.train.checkpoint import build_network, read_checkpoint
from clif.train.config import TrainConfig, resolve
from clif.train.engine import Engine, with_processes
from clif.train.late import Late
from clif.train.loss import SpikingLoss
from clif.train.setup import Computation


@dataclass(frozen=True)
class Scores:
    """What a pass over a data set gave: mean loss, top-1 and top-5 accuracy in 0–1, and the time it took."""

    loss: float
    top1: float
    top5: float
    samples: int
    seconds: float

    @property
    def images_per_second(self) -> float:
        return self.samples / self.seconds if self.seconds > 0 else 0.0


class RunningScores:
    """Sums over batches that stay on the device; reading them costs a synchronisation, adding to them does not."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        """Loss, hits and hits among the first five, summed over this process's samples."""
        self.samples = 0
        self.seconds = 0.0
        self._late = Late()

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

    def scores(self, reduce: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> Scores:
        """What was counted; `reduce` sums a tensor over all processes."""
        *sums, samples = reduce(torch.cat([self.sums, self.sums.new_tensor([self.samples])])).tolist()
        loss, top1, top5 = (value / max(samples, 1) for value in sums)
        return Scores(loss, top1, top5, int(samples), self.seconds)

    def glance(self) -> tuple[float, float]:
        """Loss and top-1 of this process so far, or a little before: a GPU does not wait."""
        sums = self._late.read(self.sums / max(self.samples, 1))
        return (math.nan, math.nan) if sums is None else (sums[0].item(), sums[1].item())


@torch.no_grad()
def evaluate(
    net: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss: SpikingLoss | None = None,
    quiet: bool = True,
    check_stop: Callable[[], None] = lambda: None,
    reduce: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> Scores:
    """Scores of `net` in eval mode over the loader's batches; the mode it was in comes back.

    The network must return logits [T, N, classes]. `check_stop` is called after every batch and may raise; `reduce`
    sums a tensor over the processes, where each has its part of the loader's batches.
    """
    loss = SpikingLoss() if loss is None else loss
    was_training = net.training
    weight = next(net.parameters())
    device = weight.device
    running = RunningScores(device)
    start = time.perf_counter()
    net.eval()
    try:
        with progress_bar(getattr(loader, "num_samples", 0), "test", quiet) as bar:
            for images, labels in loader:
                logits = net(images.to(weight.dtype) if weight.dtype == torch.float64 else images)
                running.add(loss(logits, labels), logits, labels)
                bar.update(len(labels))
                check_stop()
    finally:
        net.train(was_training)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    running.seconds = time.perf_counter() - start
    return running.scores(reduce)


NETWORK_OPTIONS = ("model", "neuron", "T", "tau", "surrogate", "drop_rate")


@dataclass(frozen=True)
class Opened:
    """A checkpoint at work: its network on the device, its configuration with what was given, and all its content."""

    net: SpikingNetwork
    config: TrainConfig
    device: torch.device
    content: dict[str, Any]


def open_checkpoint(path: str | os.PathLike[str], given: dict[str, Any], exact: bool = False) -> Opened:
    """Read a checkpoint, ours or the original's; `given` are options of `TrainConfig` that replace what it says.

    The network is in float32 or, with `exact`, in the `dtype` given or else that of its weights.
    """
    content = read_checkpoint(path)
    config = resolve(**{**content.get("config", {}), "devices": 1, "nodes": 1, **given})
    device = choose_device(config.device)
    network: dict[str, Any] = {key: value for key, value in given.items() if key in NETWORK_OPTIONS}
    if "model" not in content:
        network |= {"T": config.T, "tau": config.tau, "image_size": get_dataset(config.dataset).image_size}
    net = build_network(content, str(path), **network)
    dtype = torch.float32
    if exact:
        dtype = getattr(torch, given["dtype"]) if "dtype" in given else next(net.parameters()).dtype
    return Opened(net.to(device, dtype), config, device, content)


@dataclass(frozen=True)
class Report:
    """Scores of a checkpoint on a test set, with what was evaluated, how, where and in which precision."""

    scores: Scores
    net: SpikingNetwork
    config: TrainConfig
    device: torch.device
    precision: Precision


def evaluate_checkpoint(path: str | os.PathLike[str], given: dict[str, Any], quiet: bool = True) -> Report:
    """Evaluate a checkpoint on its test set; `given` are options of `TrainConfig` that replace what it says.

    It computes in the dtype of the weights, unless `given` has "amp_dtype" (`clif.precision`). Raises `InputError` as
    `clif.load` and `create_loader` do.
    """
    opened = open_checkpoint(path, given, exact=True)
    net, config = opened.net, opened.config
    with_processes(config)
    engine = Engine(config)
    dtype = str(next(net.parameters()).dtype).removeprefix("torch.")
    precision = common(asked_for(given, engine.device, dtype), engine.gather_object)
    if engine.is_first:
        warn_if_slow(precision)
    loader = engine.first(
        lambda: create_loader(
            config.dataset,
            config.data_dir,
            train=False,
            batch_size=config.b,
            T=net.T,
            device=engine.device,
            workers=config.j,
            rank=engine.rank,
            world_size=engine.world_size,
            **config.reading(),
        )
    )
    loss = SpikingLoss(config.loss_lambda, config.loss_means, config.mse_n_reg, config.label_smoothing)
    computation = Computation(net.to(engine.device), config.multiple_step)
    with precision.autocast():
        scores = evaluate(computation, loader, loss, quiet or not engine.is_first, reduce=engine.sum)
    return Report(scores, net, config, engine.device, precision)
