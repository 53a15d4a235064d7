"""Losses by name, for the option --loss."""

import logging
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from torch import nn
from torch.optim import Optimizer

from clif.errors import InputError
from clif.loss import CrossEntropy, Loss, RateMSE, SpikingLoss, TETLoss
from clif.registration import register
from clif.train.config import TrainConfig
from clif.train.engine import Engine

logger = logging.getLogger("clif.train")

OF_PYTORCH = ("torch.nn.modules.loss", "torch.nn.functional")

LOSSES: dict[str, Callable[[TrainConfig], Loss]] = {}
"""The functions that create a loss from a configuration, by name."""


def register_loss(name: Any) -> Any:
    """A decorator: registers a function that creates a loss by name for `--loss`.

    Without an argument the name is its own. The function takes the configuration and returns the loss: a function from
    logits [T, N, classes] and labels, int64 [N] or soft [N, classes], to a scalar, the mean over the samples. Logits
    are float32, also under mixed precision. A callable class whose `__init__` takes the configuration also works. A
    function of the same module and qualified name is replaced.

    Raises `InputError` for a name that is taken.

    >>> @clif.train.register_loss
    ... def last_step(config):
    ...     return lambda logits, labels: nn.functional.cross_entropy(logits[-1], labels)
    >>> config = clif.train.resolve("digits", loss="last_step")
    """
    return register(LOSSES, "register_loss", name, ("config",))


@register_loss("paper")
def _paper(config: TrainConfig) -> Loss:
    return SpikingLoss(config.loss_lambda, config.loss_means, config.mse_n_reg, config.label_smoothing)


OF_THE_PAPER = ("loss_lambda", "loss_means", "mse_n_reg")


def _refuse(config: TrainConfig, *names: str) -> None:
    """Raise `InputError` for an option that was changed and that the loss does not have."""
    for field in fields(config):
        if field.name in names and getattr(config, field.name) != field.default:
            raise InputError(f"{field.name} has no effect on --loss {config.loss}; leave it at {field.default}")


@register_loss("CE")
def _cross_entropy(config: TrainConfig) -> Loss:
    _refuse(config, *OF_THE_PAPER)
    return CrossEntropy(config.label_smoothing)


@register_loss("TET")
def _tet(config: TrainConfig) -> Loss:
    _refuse(config, *OF_THE_PAPER)
    return TETLoss(config.label_smoothing)


@register_loss("MSE")
def _rate_mse(config: TrainConfig) -> Loss:
    _refuse(config, *OF_THE_PAPER, "label_smoothing")
    return RateMSE()


def make_loss(config: TrainConfig) -> Loss:
    """The configured loss. Raises `InputError` if a registered one cannot be called."""
    loss = LOSSES[config.loss](config)
    check_loss(loss, f"the loss {config.loss}")
    return loss


def place_loss(loss: nn.Module, config: TrainConfig, net: nn.Module, optimizer: Optimizer, engine: Engine) -> None:
    """Move a loss with parameters or buffers to the device, and warn if the optimiser does not train its parameters.

    Raises `InputError` if they would have to be trained in several processes.
    """
    loss.to(engine.device)
    if config.dtype == "float64":
        loss.double()
    others = {*net.parameters(), *(p for p in loss.parameters() if not p.requires_grad)}
    own = {name: p for name, p in loss.named_parameters() if p not in others}
    if own and engine.world_size > 1:
        raise InputError(
            f"the loss {type(loss).__name__} has parameters ({next(iter(own))}), whose gradients several processes do "
            "not share; put them into the network, or train in one process"
        )
    trained = {p for group in optimizer.param_groups for p in group["params"]}
    if untrained := [name for name, p in own.items() if p not in trained]:
        logger.warning(
            "the loss %s has parameters that the optimiser does not train (%s); give it them in optimizer=, put them "
            "into the network, or freeze them: requires_grad_(False)",
            type(loss).__name__,
            untrained[0],
        )


def check_loss(loss: Any, what: str) -> None:
    """Raise `InputError` unless `loss` can be called, and for one of PyTorch, which takes logits without time."""
    if not callable(loss):
        raise InputError(f"{what} must be a function of logits and labels, got {type(loss).__name__}")
    if getattr(loss, "__module__", None) in OF_PYTORCH:
        name = getattr(loss, "__name__", type(loss).__name__)
        raise InputError(
            f"{what} gets logits [T, N, classes], but PyTorch's {name} takes [N, classes]; use one of clif.loss, such "
            "as CrossEntropy(), or a function, such as lambda logits, labels: F.cross_entropy(logits.mean(0), labels)"
        )
