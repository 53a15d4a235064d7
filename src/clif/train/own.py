"""Objects of the user's own in a run: a network, loaders, an optimiser, a schedule, a loss."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from clif.errors import InputError, unknown_name
from clif.loss import Loss
from clif.models import SpikingNetwork
from clif.neurons import SpikingNeuron, set_checkpoint_blocks
from clif.neurons.checkpointing import is_checkpointed
from clif.neurons.gradient_window import set_gradient_window
from clif.train.config import TrainConfig
from clif.train.engine import Engine
from clif.train.losses import check_loss
from clif.train.optimizers import check_optimizer
from clif.train.own_description import (
    describe_loader,
    describe_loss,
    describe_net,
    describe_optimizer,
    describe_schedule,
    digest,
)
from clif.train.own_loaders import is_positioned, likeness, place
from clif.train.resume import last_start
from clif.train.schedules import check_scheduler

PARTS = ("train", "test", "val")
SHOWN = 3
"""The number of changed modules that a resumed run names."""


@dataclass(frozen=True)
class Own:
    """The user's objects in `clif.train.fit`, which replace those that the configuration would create."""

    net: nn.Module | None = None
    loaders: Mapping[str, Iterable[tuple[Tensor, Tensor]]] | None = None
    optimizer: Optimizer | None = None
    scheduler: LRScheduler | None = None
    loss: Loss | None = None

    def names(self) -> list[str]:
        """The names of the objects that were given."""
        return [field.name for field in dataclasses.fields(self) if getattr(self, field.name) is not None]

    def described(self) -> dict[str, str]:
        """What the given objects are, by the option of the configuration that they replace, for a report."""
        nodes = [] if self.net is None else [m for m in self.net.modules() if isinstance(m, SpikingNeuron)]
        neurons = sorted({node.neuron or type(node).__name__ for node in nodes})
        words = self._words() | ({"neuron": "+".join(neurons)} if neurons else {})
        for option, given in (("opt", self.optimizer), ("lr_scheduler", self.scheduler), ("loss", self.loss)):
            if given is not None:
                words[option] = getattr(given, "__name__", type(given).__name__)
        return words

    @cached_property
    def descriptions(self) -> dict[str, Any]:
        """What the given objects are, by name, as they were at the first call (`note`)."""
        found: dict[str, Any] = {}
        if self.net is not None:
            found["net"] = describe_net(self.net)
        if self.loaders is not None:
            found["loaders"] = describe_loader(self.loaders["train"])
        if self.optimizer is not None:
            found["optimizer"] = describe_optimizer(self.optimizer, self.scheduler)
        if self.scheduler is not None:
            found["scheduler"] = describe_schedule(self.scheduler)
        if self.loss is not None:
            found["loss"] = describe_loss(self.loss)
        return found

    def note(self) -> None:
        """Describe the given objects as they are now, before the run changes them."""
        _ = self.descriptions

    def digests(self) -> dict[str, str]:
        """A short name for the description of each given object."""
        return {f"{name}=": digest(description) for name, description in self.descriptions.items()}

    @property
    def begins_anywhere(self) -> bool:
        """Whether the training loader can begin within an epoch."""
        return self.loaders is None or is_positioned(self.loaders["train"])

    def adapt(self, config: TrainConfig) -> TrainConfig:
        """The configuration with the T of the network, if it has one. Raises `InputError` if the objects do not fit."""
        self._check_net(config)
        self._check_loaders(config)
        if self.optimizer is not None and self.net is None:
            raise InputError("an optimizer of your own needs your own network: also pass net=")
        if self.optimizer is not None:
            check_optimizer(self.optimizer, "optimizer=")
        if self.scheduler is not None:
            if self.optimizer is None:
                raise InputError("a scheduler of your own needs your own optimizer: also pass optimizer=")
            check_scheduler(self.scheduler, self.optimizer, "scheduler=")
        if self.loss is not None:
            check_loss(self.loss, "loss=")
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
        if any(map(is_lazy, self.net.parameters())):
            raise InputError("net= has lazy layers, whose parameters have no shape yet; call net(x) once before fit")
        self._check_dtype(config)
        for name in ("whiten", "exchange_neuron"):
            if getattr(config, name):
                raise InputError(f"{name} is for networks that the configuration creates; leave it out with net=")
        if other := [name for name, value in self.net.state_dict().items() if not isinstance(value, Tensor)]:
            raise InputError(f"the state dict of net= holds {other[0]}, which is no tensor; fit saves tensors only")
        nodes = [module for module in self.net.modules() if isinstance(module, SpikingNeuron)]
        if config.gradient_window and any(node.step_mode == "s" for node in nodes):
            raise InputError('gradient_window needs neurons that take sequences: clif.set_step_mode(net, "m")')
        if not isinstance(self.net, SpikingNetwork):
            if config.T_stages:
                raise InputError("T_stages is for a clif.models.SpikingNetwork, whose T can be set")
            if not config.multiple_step:
                raise InputError("multiple_step=False is for a clif.models.SpikingNetwork; leave it out with net=")

    def _check_dtype(self, config: TrainConfig) -> None:
        assert self.net is not None
        dtypes = {p.dtype for p in self.net.parameters() if p.is_floating_point()}
        if config.dtype == "float32" and dtypes and torch.float32 not in dtypes:
            name = str(min(dtypes, key=str)).removeprefix("torch.")
            hint = ', or dtype="float64"' if name == "float64" else "; amp=True computes in a lower precision"
            raise InputError(f"the weights of net= are {name}, and the run is in float32: pass net.float(){hint}")

    def _check_loaders(self, config: TrainConfig) -> None:
        if self.loaders is None:
            if config.early_stop and config.test_at_end and not config.val_split:
                raise InputError("early_stop with test_at_end needs a validation split: add --val-split 0.1")
            return
        given: Any = self.loaders
        if not isinstance(given, Mapping):
            raise InputError(f'loaders= takes a dict, {{"train": …, "test": …}}, got {type(given).__name__}')
        for name in self.loaders:
            if name not in PARTS:
                raise unknown_name("part of loaders=", name, PARTS)
        if "train" not in self.loaders:
            raise InputError('loaders= needs at least loaders["train"], an iterable of (x, y)')
        if config.val_split:
            raise InputError('val_split needs the data of the configuration; set val_split=0 and pass loaders["val"]')
        for name in ("cutupmix_auto", "whiten"):
            if getattr(config, name):
                raise InputError(f"{name} is for the data of the configuration; leave it out with loaders=")
        chosen_on = {"val"} if config.test_at_end else {"val", "test"}
        if config.early_stop and not chosen_on & self.loaders.keys():
            raise InputError('early_stop needs a validation set: pass loaders["val"]')
        if config.checkpoint_every and not is_positioned(self.loaders["train"]):
            raise InputError(
                "checkpoint_every writes within an epoch, and this training loader cannot begin there; leave it out"
            )

    def run_folder(self, config: TrainConfig) -> Path:
        """The folder of the run: that of the same configuration and objects.

        With `resume="auto"` it is that of an earlier version, whose name did not depend on the objects, if these are
        the objects of its run.
        """
        folder = config.run_folder(**self._words(), **({"objects": digest(self.digests())} if self.names() else {}))
        if config.resume == "auto" and self.names() and not folder.is_dir():
            earlier = config.run_folder(**self._words())
            start = last_start(earlier)
            if start.get("own") == self.described() and start.get("objects") in (None, self.digests()):
                return earlier
        return folder

    def _words(self) -> dict[str, str]:
        """The words for the network and the data in the name of the run's folder."""
        net = {} if self.net is None else {"model": type(self.net).__name__, "neuron": ""}
        return net | ({} if self.loaders is None else {"dataset": "own"})

    def place(self, config: TrainConfig, engine: Engine) -> nn.Module:
        """The network on the device, in float64 if that is configured, with the first process's weights in all.

        torch's generator gets the seed.

        Raises `InputError` for an optimiser of another network.
        """
        assert self.net is not None
        torch.manual_seed(config.seed)
        self.net.to(engine.device)
        if config.dtype == "float64":
            self.net.double()
        if config.checkpoint_blocks and not any(map(is_checkpointed, self.net.modules())):
            set_checkpoint_blocks(self.net, True)
        if config.gradient_window:
            set_gradient_window(self.net, config.gradient_window)
        if self.optimizer is not None:
            optimised = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
            if not optimised & {id(p) for p in self.net.parameters()}:
                raise InputError("the optimizer has none of the network's parameters; create it from net.parameters()")
        shapes = [(name, value.shape, value.dtype) for name, value in self.net.state_dict().items()]
        engine.require_alike(shapes, "net= differs between the processes; create the same network in all")
        engine.share_state(self.net)
        return self.net

    def give_back(self, config: TrainConfig) -> None:
        """Undo the options of the run in its network: the stages of T, the gradient window."""
        assert self.net is not None
        if isinstance(self.net, SpikingNetwork):
            self.net.T = config.T
        if config.gradient_window:
            set_gradient_window(self.net, None)

    def place_loaders(self, engine: Engine) -> dict[str, Any]:
        """The loaders, in a form that gives this process its shares on its device; all processes call it."""
        loaders = self.loaders
        assert loaders is not None
        placed = engine.everywhere(lambda: {part: place(loader, part, engine) for part, loader in loaders.items()})
        for part, loader in placed.items():
            engine.require_alike(
                likeness(loader),
                f"loaders[{part!r}] has other samples or batches in another process; create the same in all (from a "
                "seed, if they are random): each takes its part",
            )
        return placed

    def check_same(self, content: dict[str, Any], where: str) -> str:
        """The changes of the user's objects in the run of a checkpoint, in words; "" if there are none.

        Raises `InputError` if it had another network, another optimiser, or objects that are not given now.
        """
        if (names := content.get("own", [])) != self.names():
            had = ", ".join(f"{name}=" for name in names) or "nothing of your own"
            has = ", ".join(f"{name}=" for name in self.names()) or "nothing"
            raise InputError(f"{where}: its run was given {had}, but this one {has}; pass the same to clif.train.fit")
        before, now = content.get("objects", {}), self.descriptions
        _require_same_net(before.get("net"), now.get("net"), where)
        given = {name: (before[name], now[name]) for name in now if name != "net" and name in before}
        changed = {name: pair for name, pair in given.items() if pair[0] != pair[1]}
        if "optimizer" in changed:
            had, has = (str(one).partition("(")[0] for one in changed["optimizer"])
            if had != has:
                raise InputError(
                    f"{where}: its run has optimizer= {had}, which cannot become {has} when it resumes; start a new run"
                )
        words = _changed_modules(before.get("net"), now.get("net"))
        return ", ".join(words + [f"{name}= {new} ({old} before)" for name, (old, new) in changed.items()])


def _changed_modules(before: Any, now: dict[str, str] | None) -> list[str]:
    """The modules of a network whose constants changed, in words."""
    if not isinstance(before, dict) or now is None:
        return []
    changed = [name for name in now if before[name] != now[name]]
    words = [f"{_module_path(name)} {now[name]} ({before[name]} before)" for name in changed[:SHOWN]]
    return words + ([f"{len(changed) - SHOWN} more modules of net"] if len(changed) > SHOWN else [])


def _module_path(name: str) -> str:
    return f"net.{name}" if name else "net"


def _require_same_net(before: Any, now: dict[str, str] | None, where: str) -> None:
    """Raise `InputError` if two networks have other modules; None stands for one that is not known.

    Their constants may differ, and the weights are refused where they are loaded if their shapes differ.
    """
    if not isinstance(before, dict) or now is None:
        return
    kinds = [{name: str(text).partition("(")[0] for name, text in net.items()} for net in (before, now)]
    name = next((name for name in (*now, *before) if kinds[0].get(name) != kinds[1].get(name)), None)
    if name is None:
        return
    had, has = (modules.get(name, "nothing") for modules in (before, now))
    raise InputError(
        f"{where}: its run trained another network, whose {_module_path(name)} is {had} instead of {has}; pass the "
        "same network, or start a new run"
    )
