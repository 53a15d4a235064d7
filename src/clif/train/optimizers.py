"""Optimisers by name, for the option --opt, and the parameters by their treatment."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from clif.errors import InputError
from clif.precision import Precision
from clif.registration import register
from clif.train.config import TrainConfig
from clif.train.muon import Muon, hidden_weights

Groups = list[dict[str, Any]]

OPTIMIZERS: dict[str, Callable[[Groups, TrainConfig], Optimizer]] = {}
"""The functions that create an optimiser from parameter groups and a configuration, by name."""


def register_optimizer(name: Any) -> Any:
    """A decorator: registers a function that creates an optimiser by name for `--opt`.

    Without an argument the name is its own. The function takes the parameter groups, a list of dicts as for
    `torch.optim`, and the configuration, whose `lr`, `momentum` and `weight_decay` it may use. It returns a
    `torch.optim.Optimizer`. With `--no-decay-norm-bias` the last group has "weight_decay": 0. A function of the same
    module and qualified name is replaced.

    Raises `InputError` for a name that is taken.

    >>> @clif.train.register_optimizer("Adagrad")
    ... def adagrad(groups, config):
    ...     return torch.optim.Adagrad(groups, lr=config.lr, weight_decay=config.weight_decay)
    >>> config = clif.train.resolve("digits", opt="Adagrad")
    """
    return register(OPTIMIZERS, "register_optimizer", name, ("groups", "config"))


def _common(groups: Groups, config: TrainConfig) -> dict[str, Any]:
    """The rate and the decay; fused on a GPU, so that a step can be skipped without waiting for the host."""
    device = next(parameter for group in groups for parameter in group["params"]).device
    return {"lr": config.lr, "weight_decay": config.weight_decay, "fused": device.type == "cuda"}


@register_optimizer("SGD")
def _sgd(groups: Groups, config: TrainConfig) -> Optimizer:
    return SGD(groups, momentum=config.momentum, **_common(groups, config))


@register_optimizer("Adam")
def _adam(groups: Groups, config: TrainConfig) -> Optimizer:
    return Adam(groups, **_common(groups, config))


@register_optimizer("AdamW")
def _adamw(groups: Groups, config: TrainConfig) -> Optimizer:
    return AdamW(groups, **_common(groups, config))


@register_optimizer("Muon")
def _muon(groups: Groups, config: TrainConfig) -> Optimizer:
    return Muon(groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def make_optimizer(config: TrainConfig, net: nn.Module, precision: Precision) -> Optimizer:
    """The configured optimiser of the network. Raises `InputError` if a registered one gives something else."""
    groups: Groups = [{"params": params} for params in _groups(config, net)]
    if config.no_decay_norm_bias:
        groups[-1]["weight_decay"] = 0.0
    if config.opt == "Muon":
        groups[0]["orthogonal"] = True
        for group in groups[1:]:
            group["lr"] = config.sgd_lr or config.lr
    optimizer = OPTIMIZERS[config.opt](groups, config)
    check_optimizer(optimizer, f"the optimiser {config.opt}")
    if isinstance(optimizer, Muon) and precision.dtype in (torch.bfloat16, torch.float16):
        optimizer.dtype = torch.bfloat16
    return optimizer


def check_optimizer(optimizer: Any, what: str) -> None:
    """Raise `InputError` unless `optimizer` is an optimiser that needs no closure for its step, as LBFGS does."""
    if not isinstance(optimizer, Optimizer):
        given = optimizer.__name__ if isinstance(optimizer, type) else type(optimizer).__name__
        raise InputError(f"{what} must be a torch.optim.Optimizer, got {given}")
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise InputError(f"{type(optimizer).__name__} needs a closure for its step, which a run does not give it")


def _groups(config: TrainConfig, net: nn.Module) -> list[list[Tensor]]:
    """The parameters of a network by their treatment: those that Muon trains first, those without weight decay last."""
    rest: list[Tensor] = list(net.parameters())
    groups: list[list[Tensor]] = []
    if config.opt == "Muon":
        groups.append(hidden_weights(net))
        taken = set(groups[0])
        rest = [p for p in rest if p not in taken]
    if not config.no_decay_norm_bias:
        return [*groups, rest]
    return [*groups, [p for p in rest if p.dim() > 1], [p for p in rest if p.dim() <= 1]]


def follow_parameters(config: TrainConfig, optimizer: Optimizer, net: nn.Module) -> None:
    """Give an optimiser of `make_optimizer` the present parameters of `net`, and remove the state of all others."""
    present = set(net.parameters())
    for group, params in zip(optimizer.param_groups, _groups(config, net), strict=True):
        group["params"][:] = params
    for gone in [parameter for parameter in optimizer.state if parameter not in present]:
        del optimizer.state[gone]
