"""Learning-rate schedules by name, for the option --lr-scheduler."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from clif.errors import InputError
from clif.registration import register
from clif.train.config import TrainConfig

SCHEDULERS: dict[str, Callable[[Optimizer, TrainConfig, int], LRScheduler]] = {}
"""The functions that create a schedule from an optimiser, a configuration and its steps per epoch, by name."""

BY_STEP = ("OneCycle",)
"""The schedules that advance with every step of the optimiser, even without --lr-by-step."""

POSITIONS = ("last_epoch", "T_cur", "T_i", "best", "num_bad_epochs", "cooldown_counter")
"""The values of a schedule that change as it advances."""


def register_scheduler(name: Any) -> Any:
    """A decorator: registers a function that creates a learning-rate schedule by name for `--lr-scheduler`.

    Without an argument the name is its own. The function takes the optimiser, the configuration and the number of the
    schedule's steps per epoch, and returns a schedule of `torch.optim.lr_scheduler`. The number is 1 because schedules
    advance with every epoch; with `--lr-by-step` they advance with every step of the optimiser. A function of the same
    module and qualified name is replaced.

    Raises `InputError` for a name that is taken.

    >>> @clif.train.register_scheduler("Exponential")
    ... def exponential(optimizer, config, per_epoch):
    ...     return torch.optim.lr_scheduler.ExponentialLR(optimizer, config.gamma ** (1 / per_epoch))
    >>> config = clif.train.resolve("digits", lr_scheduler="Exponential")
    """
    return register(SCHEDULERS, "register_scheduler", name, ("optimizer", "config", "per_epoch"))


@register_scheduler("CosALR")
def _cosine(optimizer: Optimizer, config: TrainConfig, per_epoch: int) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=config.T_max * per_epoch)


@register_scheduler("CosRestarts")
def _cosine_with_restarts(optimizer: Optimizer, config: TrainConfig, per_epoch: int) -> LRScheduler:
    return CosineAnnealingWarmRestarts(optimizer, T_0=config.T_max * per_epoch, T_mult=config.T_mult)


@register_scheduler("StepLR")
def _steps(optimizer: Optimizer, config: TrainConfig, per_epoch: int) -> LRScheduler:
    return StepLR(optimizer, step_size=int(config.step_size) * per_epoch, gamma=config.gamma)


@register_scheduler("OneCycle")
def _one_cycle(optimizer: Optimizer, config: TrainConfig, per_epoch: int) -> LRScheduler:
    """Linearly up to the rate over `warmup_epochs` and linearly down to 0 at the end of `T_max` epochs."""
    total = config.T_max * per_epoch
    rise = config.warmup_epochs / config.T_max or 0.3
    if math.isclose(rise * total, 1):  # PyTorch would divide by the 0 steps between the first and the last of the rise
        rise = (1 - 1e-6) / total
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total,
        pct_start=rise,
        anneal_strategy="linear",
        cycle_momentum=False,
    )


def make_scheduler(config: TrainConfig, optimizer: Optimizer, steps_per_epoch: int) -> LRScheduler:
    """The configured schedule.

    Raises `InputError` for a registered function that returns no schedule, or one that advances with every step of the
    optimiser although it was made for epochs.
    """
    by_step = config.lr_by_step or config.lr_scheduler in BY_STEP
    made = SCHEDULERS[config.lr_scheduler](optimizer, config, steps_per_epoch if by_step else 1)
    scheduler = check_scheduler(made, optimizer, f"the schedule {config.lr_scheduler}")
    if is_by_step(config, scheduler) and not by_step:
        kind = type(scheduler).__name__
        raise InputError(f"the schedule {config.lr_scheduler} is a {kind}, which advances by step: add --lr-by-step")
    return scheduler


def check_scheduler(scheduler: Any, optimizer: Optimizer, what: str) -> LRScheduler:
    """The schedule itself. Raises `InputError` unless it is a schedule of `optimizer`."""
    if not isinstance(scheduler, LRScheduler):
        kind = type(scheduler).__name__
        raise InputError(f"{what} must be a schedule of torch.optim.lr_scheduler, got {kind}")
    if scheduler.optimizer is not optimizer:
        raise InputError(f"{what} must be created for the run's own optimiser; pass both")
    return scheduler


def advance(scheduler: LRScheduler) -> None:
    """Advance by one step or epoch; torch does not know that the optimiser stepped before a resume, and would warn.

    A cycle stays at its end.
    """
    if isinstance(scheduler, OneCycleLR) and scheduler.last_epoch >= scheduler.total_steps - 1:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        scheduler.step()


def finish_epoch(scheduler: LRScheduler, row: dict[str, float]) -> None:
    """Advance by the epoch of this row.

    ReduceLROnPlateau gets its loss, or its accuracy if the mode is "max": that of the validation set if there is one,
    else that of the training set.
    """
    if isinstance(scheduler, ReduceLROnPlateau):
        part, measure = "val" if "val_loss" in row else "train", "top1" if scheduler.mode == "max" else "loss"
        scheduler.step(row[f"{part}_{measure}"])
    else:
        advance(scheduler)


def is_by_step(config: TrainConfig, scheduler: LRScheduler) -> bool:
    """Whether a schedule advances with every step of the optimiser, not with every epoch.

    Raises `InputError` for ReduceLROnPlateau with `lr_by_step`, because it needs the figures of an epoch.
    """
    if config.lr_by_step and isinstance(scheduler, ReduceLROnPlateau):
        raise InputError("ReduceLROnPlateau advances with every epoch; leave lr_by_step (--lr-by-step) out")
    return config.lr_by_step or isinstance(scheduler, OneCycleLR | CyclicLR)


@contextmanager
def scaled_rate(optimizer: Optimizer, factor: float) -> Iterator[None]:
    """A context in which the learning rates are `factor` times those of the schedule."""
    rates = [group["lr"] for group in optimizer.param_groups]
    try:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor if factor != 1 else rate
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
