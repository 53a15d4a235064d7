"""The parts of a run: its network, how a step calls it, its optimiser and learning-rate schedule."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, StepLR

from clif.data import Dataset, open_dataset
from clif.errors import InputError
from clif.models import SpikingNetwork, create_model
from clif.models.network import step_by_step
from clif.neurons.gradient_window import set_gradient_window
from clif.precision import Precision
from clif.train.config import TrainConfig
from clif.train.muon import Muon, hidden_weights


def data_of(config: TrainConfig) -> Dataset:
    """The configured data set, as its name or its folder describes it."""
    return open_dataset(config.dataset, config.data_dir, config.data_options())


def check_images(config: TrainConfig) -> None:
    """Raise `InputError` if options for images are given for recordings."""
    for name in ("T_stages", "size_stages", "whiten"):
        if getattr(config, name) and data_of(config).events:
            raise InputError(f"{name} is for images; {config.dataset} has recordings of T frames")


def make_net(config: TrainConfig) -> SpikingNetwork:
    """The configured network for the configured data, with weights drawn from the seed."""
    torch.manual_seed(config.seed)
    dataset = data_of(config)
    net = create_model(
        config.model,
        neuron=config.neuron,
        num_classes=dataset.num_classes,
        in_channels=dataset.in_channels,
        T=config.T,
        tau=config.tau,
        surrogate=config.surrogate,
        drop_rate=config.drop_rate,
        image_size=dataset.image_size,
    ).to(getattr(torch, config.dtype))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as its layers compute
    set_gradient_window(net, config.gradient_window or None)
    return net


class Computation(nn.Module):
    """How a training step calls the network: images [N, C, H, W] or [T, N, C, H, W] -> logits [T, N, classes]."""

    def __init__(self, net: SpikingNetwork, multiple_step: bool) -> None:
        super().__init__()
        self.net = net
        self.multiple_step = multiple_step

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images) if self.multiple_step else step_by_step(self.net, images)


def make_optimizer(config: TrainConfig, net: nn.Module, precision: Precision) -> Optimizer:
    """SGD or AdamW, fused on a GPU, where a step can then be skipped without waiting for the host; or Muon."""
    device = next(net.parameters()).device
    groups: Any = [{"params": params} for params in _groups(config, net)]
    if config.no_decay_norm_bias:
        groups[-1]["weight_decay"] = 0.0
    if config.opt == "Muon":
        groups[0]["orthogonal"] = True
        dtype = torch.bfloat16 if precision.dtype in (torch.bfloat16, torch.float16) else None
        options: dict[str, Any] = {"momentum": config.momentum, "weight_decay": config.weight_decay, "dtype": dtype}
        return Muon(groups, lr=config.lr, **options)
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay, "fused": device.type == "cuda"}
    return AdamW(groups, **common) if config.opt == "AdamW" else SGD(groups, momentum=config.momentum, **common)


def _groups(config: TrainConfig, net: nn.Module) -> list[list[Tensor]]:
    """The parameters of a network by their treatment: those that Muon turns first, those without weight decay last."""
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
    """Let an optimiser of `make_optimizer` have the parameters that `net` has now, and forget all others."""
    present = set(net.parameters())
    for group, params in zip(optimizer.param_groups, _groups(config, net), strict=True):
        group["params"][:] = params
    for gone in [parameter for parameter in optimizer.state if parameter not in present]:
        del optimizer.state[gone]


def make_scheduler(config: TrainConfig, optimizer: Optimizer, steps_per_epoch: int) -> LRScheduler:
    """The learning rate by epoch: times `gamma` every `step_size` epochs, or a cosine to 0 over `T_max` of them.

    Or by step: in a line up to the rate over `warmup_epochs` and in a line down to 0 at the end of `T_max` epochs.
    """
    if config.lr_scheduler == "OneCycle":
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=config.T_max * steps_per_epoch,
            pct_start=config.warmup_epochs / config.T_max or 0.3,
            anneal_strategy="linear",
            cycle_momentum=False,
        )
    if config.lr_scheduler == "StepLR":
        return StepLR(optimizer, step_size=int(config.step_size), gamma=config.gamma)
    return CosineAnnealingLR(optimizer, T_max=config.T_max)


def advance(scheduler: LRScheduler) -> None:
    """One epoch or step further; torch does not see that the optimiser stepped before a resume, and would warn.

    A cycle stays at its end.
    """
    if isinstance(scheduler, OneCycleLR) and scheduler.last_epoch >= scheduler.total_steps - 1:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        scheduler.step()


def is_by_step(scheduler: LRScheduler) -> bool:
    """Whether a schedule goes on with every step of the optimiser, not with every epoch."""
    return isinstance(scheduler, OneCycleLR)


@contextmanager
def scaled_rate(optimizer: Optimizer, factor: float) -> Iterator[None]:
    """Within it the learning rates are `factor` times what the schedule says."""
    rates = [group["lr"] for group in optimizer.param_groups]
    try:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor if factor != 1 else rate
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
