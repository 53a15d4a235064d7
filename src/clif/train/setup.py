"""What a run is built from: device, precision, optimiser, schedule, folder."""

import itertools
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR

from clif.errors import InputError
from clif.train.checkpoint import LAST, write_atomically
from clif.train.config import TrainConfig


def choose_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one. Raises `InputError` for a device that is unknown or not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device {name!r}; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise InputError(f"no device {name!r} here ({torch.cuda.device_count()} GPUs are visible); use -device cpu")
    return device


def autocast_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of mixed precision: "auto" is bfloat16 on a CPU and, as in the original, float16 on a GPU."""
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.bfloat16
    if name == "float16" and device.type == "cpu":
        raise InputError("float16 training needs a GPU for its loss scaling; use -amp_dtype bfloat16 on a CPU")
    return {"float16": torch.float16, "bfloat16": torch.bfloat16}[name]


def make_optimizer(config: TrainConfig, net: nn.Module) -> Optimizer:
    if config.opt == "AdamW":
        return AdamW(net.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    return SGD(net.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def make_scheduler(config: TrainConfig, optimizer: Optimizer) -> LRScheduler:
    if config.lr_scheduler == "StepLR":
        return StepLR(optimizer, step_size=int(config.step_size), gamma=config.gamma)
    return CosineAnnealingLR(optimizer, T_max=config.T_max)


def load_optimizer(optimizer: Optimizer, state: dict[str, Any], opt: str, where: str) -> None:
    """Load an optimiser's state. Raises `InputError` where it is another optimiser's or another network's."""
    groups = state.get("param_groups") or [{}]
    found = "AdamW" if "betas" in groups[0] else "SGD"
    if found != opt:
        raise InputError(f"{where}: was trained with {found}; resume with -opt {found}, or use -pre_train")
    try:
        optimizer.load_state_dict(state)
    except (ValueError, KeyError) as error:
        raise InputError(f"{where}: the optimiser's state does not fit this network: {error}") from error


def last_checkpoint(resume: str) -> Path:
    """The checkpoint from which to go on: the file itself, or a run folder's last one."""
    path = Path(resume)
    return path / LAST if path.is_dir() else path


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file so that `target` is whole or not there."""
    with source.open("rb") as content:
        write_atomically(target, partial(shutil.copyfileobj, content))


def set_aside(folder: Path) -> None:
    """Make room for a new run: an earlier one in `folder` is renamed to folder.1, folder.2, …"""
    if folder.is_dir() and any(folder.iterdir()):
        free = next(k for k in itertools.count(1) if not folder.with_name(f"{folder.name}.{k}").exists())
        folder.rename(folder.with_name(f"{folder.name}.{free}"))
