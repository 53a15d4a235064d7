"""Objects of the user's own in a run: a network, loaders, an optimiser, a schedule, a loss."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from clif.data.loader import Share
from clif.errors import InputError, unknown_name
from clif.loss import Loss
from clif.models import SpikingNetwork
from clif.neurons import set_checkpoint_blocks
from clif.neurons.checkpointing import is_checkpointed
from clif.train.config import TrainConfig
from clif.train.schedules import check_scheduler

PARTS = ("train", "test", "val")
POSITIONED = ("shares", "position", "check_position", "num_samples", "batch_size", "__len__")
"""What a loader has that can begin in the middle of an epoch, as `clif.data.Loader` can."""


@dataclass(frozen=True)
class Own:
    """What `clif.train.fit` was given in place of what the configuration would make."""

    net: nn.Module | None = None
    loaders: Mapping[str, Iterable[tuple[Tensor, Tensor]]] | None = None
    optimizer: Optimizer | None = None
    scheduler: LRScheduler | None = None
    loss: Loss | None = None

    def names(self) -> list[str]:
        """What there is of them."""
        return [field.name for field in dataclasses.fields(self) if getattr(self, field.name) is not None]

    def adapt(self, config: TrainConfig) -> TrainConfig:
        """The configuration with the T of the network, where it has one. Raises `InputError` for what does not fit."""
        self._check_net(config)
        self._check_loaders(config)
        if self.optimizer is not None and self.net is None:
            raise InputError("an optimizer of your own is that of a network of your own: pass net= too")
        if self.scheduler is not None:
            if self.optimizer is None:
                raise InputError("a scheduler of your own is that of an optimizer of your own: pass optimizer= too")
            check_scheduler(self.scheduler, self.optimizer, "scheduler=")
        if self.loss is not None and not callable(self.loss):
            raise InputError(f"loss= takes a function of logits and labels, got {type(self.loss).__name__}")
        if isinstance(self.net, SpikingNetwork):
            return dataclasses.replace(config, T=self.net.T)
        return dataclasses.replace(config)

    def _check_net(self, config: TrainConfig) -> None:
        if self.net is None:
            return
        if not isinstance(self.net, nn.Module):
            raise InputError(f"net= takes a torch.nn.Module, got {type(self.net).__name__}")
        if next(self.net.parameters(), None) is None:
            raise InputError("the network has no parameters to train")
        for name in ("whiten", "exchange_neuron"):
            if getattr(config, name):
                raise InputError(f"{name} is for networks that the configuration makes; leave it out with net=")
        if not isinstance(self.net, SpikingNetwork):
            if config.T_stages:
                raise InputError("T_stages is for a clif.models.SpikingNetwork, whose T can be set")
            if not config.multiple_step:
                raise InputError("multiple_step=False is for a clif.models.SpikingNetwork; leave it out with net=")

    def _check_loaders(self, config: TrainConfig) -> None:
        if self.loaders is None:
            return
        for name in self.loaders:
            if name not in PARTS:
                raise unknown_name("part of loaders=", name, PARTS)
        if "train" not in self.loaders:
            raise InputError('loaders= needs at least loaders["train"], an iterable of (x, y)')
        if config.val_split:
            raise InputError('val_split is for the data of the configuration; pass loaders["val"]')
        for name in ("cutupmix_auto", "whiten"):
            if getattr(config, name):
                raise InputError(f"{name} is for the data of the configuration; leave it out with loaders=")
        if config.devices * config.nodes > 1:
            raise InputError("loaders of your own train in one process; leave out devices and nodes")
        if config.early_stop and not {"val", "test"} & self.loaders.keys():
            raise InputError('early_stop needs epochs to compare: pass loaders["val"]')
        if config.checkpoint_every and not is_positioned(self.loaders["train"]):
            raise InputError(
                "checkpoint_every writes within an epoch, and this training loader cannot begin there; leave it out"
            )

    def words(self) -> dict[str, str]:
        """What stands in the run folder's name for the network and the data."""
        net = {} if self.net is None else {"model": type(self.net).__name__, "neuron": ""}
        return net | ({} if self.loaders is None else {"dataset": "own"})

    def place(self, config: TrainConfig, device: torch.device) -> nn.Module:
        """The network on the device, in float64 if that is configured; torch's generator gets the seed.

        Raises `InputError` for an optimiser of another network.
        """
        assert self.net is not None
        torch.manual_seed(config.seed)
        self.net.to(device)
        if config.dtype == "float64":
            self.net.double()
        if config.checkpoint_blocks and not any(map(is_checkpointed, self.net.modules())):
            set_checkpoint_blocks(self.net, True)
        if self.optimizer is not None:
            optimised = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
            if not optimised & {id(p) for p in self.net.parameters()}:
                raise InputError("the optimizer has none of the network's parameters; make it of net.parameters()")
        return self.net

    def place_loaders(self, device: torch.device) -> dict[str, Any]:
        """The loaders, in a form that gives shares on the device."""
        assert self.loaders is not None
        return {
            part: loader if is_positioned(loader) else Batches(loader, part, device)
            for part, loader in self.loaders.items()
        }

    def check_same(self, content: dict[str, Any], where: str) -> None:
        """Raise `InputError` where the run of a checkpoint had other objects of the user's own."""
        before = content.get("own", [])
        if before == self.names():
            return
        had = ", ".join(f"{name}=" for name in before) or "nothing of your own"
        has = ", ".join(f"{name}=" for name in self.names()) or "nothing"
        raise InputError(f"{where}: its run was given {had}, this one is given {has}; pass the same to clif.train.fit")


def is_positioned(loader: Any) -> bool:
    """Whether a loader can begin in the middle of an epoch."""
    return all(hasattr(loader, name) for name in POSITIONED)


class Batches:
    """Any iterable of (x, y) with a length as a loader of training: every epoch is one pass over it, from its start.

    x is [N, …] or [T, N, …], y int64 [N] or soft labels [N, classes]; both are moved to the device.
    """

    def __init__(self, batches: Iterable[Any], part: str, device: torch.device) -> None:
        self.batches = batches
        self.part = part
        self.device = device
        if not isinstance(batches, Iterable):
            raise InputError(f"loaders[{part!r}] must be an iterable of (x, y), got {type(batches).__name__}")
        if isinstance(batches, Iterator):
            raise InputError(f"loaders[{part!r}] gives its batches only once; pass a list or a DataLoader")
        if part == "train" and not isinstance(batches, Sized):
            raise InputError("loaders['train'] needs a length, the number of its batches: define __len__")
        if isinstance(batches, Sized) and len(batches) == 0:
            raise InputError(f"loaders[{part!r}] is empty")

    @property
    def num_samples(self) -> int:
        """The samples of an epoch, 0 where no one knows."""
        dataset = getattr(self.batches, "dataset", None)
        return len(dataset) if isinstance(dataset, Sized) else 0

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(self._moved, self.batches)

    def shares(self, epoch: int, start: int = 0) -> Iterator[Share]:
        """The batches of an epoch."""
        assert start == 0
        for x, y in self:
            yield Share(x, y, None, len(y))
        raise InputError(f"loaders['train'] has the length {len(self)} but gave fewer batches in epoch {epoch + 1}")

    def position(self, epoch: int, batch: int) -> dict[str, int]:
        """What a checkpoint keeps."""
        return {"epoch": epoch, "batch": batch}

    def check_position(self, position: dict[str, int], where: str) -> None:
        """Raise `InputError` for a place within an epoch."""
        if position["batch"]:
            raise InputError(
                f"{where}: stops within an epoch, where this training loader cannot begin; go on from the checkpoint "
                "of the last whole epoch beside it (checkpoint_epoch…_step000000.pth)"
            )

    def _moved(self, batch: Any) -> tuple[Tensor, Tensor]:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(isinstance(b, Tensor) for b in batch):
            raise InputError(f"loaders[{self.part!r}] must give pairs of tensors (x, y), got {type(batch).__name__}")
        x, y = (one.to(self.device, non_blocking=True) for one in batch)
        if y.dim() != (2 if y.is_floating_point() else 1) or len(y) == 0 or len(y) not in x.shape[:2]:
            raise InputError(
                f"loaders[{self.part!r}] must give x [N, …] or [T, N, …] with y int64 [N] or soft labels [N, classes], "
                f"got x {list(x.shape)} and y {y.dtype} {list(y.shape)}"
            )
        return x, y if y.is_floating_point() else y.long()
