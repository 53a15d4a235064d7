"""The state of a run in a checkpoint, and its restoration."""

import copy
import dataclasses
import math
import operator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from clif.data.description import record
from clif.errors import InputError, in_words
from clif.models.layer_options import described, set_layer_options
from clif.train.checkpoint import load_weights, take_constants
from clif.train.learner import Learner
from clif.train.metrics import scored_epochs
from clif.train.muon import Muon
from clif.train.own_loaders import generators
from clif.train.schedules import POSITIONS, advance, finish_epoch
from clif.user_code import imported


def capture(trainer: Learner) -> dict[str, Any]:
    """The checkpoint of the present state; its "epoch" is the last complete one, as in the original.

    All processes must call it, because it gathers values that only one of them has.
    """
    net, gather = trainer.net, trainer.engine.gather
    content: dict[str, Any] = {
        "net": trainer.evaluated_net.state_dict(),
        "model": _description(trainer),
        "optimizer": trainer.optimizer.state_dict(),
        "lr_scheduler": trainer.scheduler.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "precision": trainer.precision.name,
        "epoch": trainer.epoch - 1,
        "max_test_acc": max(trainer.best, trainer.inherited_best),
        "config": dataclasses.asdict(trainer.config),
        "imports": imported(),
        "own": trainer.own.names(),
        "objects": trainer.own.descriptions,
        "history": trainer.history,
        "progress": {
            "step": trainer.step,
            "global_step": trainer.global_step,
            "loader": trainer.loaders["train"].position(trainer.epoch, trainer.step * trainer.config.accumulate),
            "sums": gather(trainer.running.sums).tolist(),
            "samples": gather(torch.tensor(trainer.running.samples, device=trainer.device)).tolist(),
            "seconds": trainer.running.seconds,
            "firing": gather(trainer.monitor.counts).cpu(),
            "norms": trainer.norms.sums.tolist(),
            "guard": trainer.guard.notes.tolist(),
        },
        "rng": random_state(trainer),
    }
    if (dataset := trainer.dataset) is not None:
        content["data"] = record(dataset)
    if trainer.average is not None:
        content["net_raw"] = net.state_dict()
    if isinstance(trainer.loss, nn.Module):
        content["loss_state"] = trainer.loss.state_dict()
    return content


def _description(trainer: Learner) -> dict[str, Any]:
    """The description of the network with the T of the run, not of a stage; empty if only the user can create it."""
    try:
        model = described(trainer.net) or {}
    except InputError:
        return {}
    return {**model, "T": trainer.config.T} if trainer.config.T_stages and "T" in model else model


def restore(trainer: Learner, content: dict[str, Any], where: str) -> None:
    """Restore the state of a checkpoint, ours or the original's, in a new trainer; `where` names it in errors."""
    try:
        _restore(trainer, content, where)
    except InputError:
        raise
    except Exception as error:  # values of any kind can stand in the file
        raise InputError(
            f"{where}: its state of the training is damaged ({type(error).__name__}: {in_words(error)}); --pre-train "
            "starts from its weights"
        ) from error


def _restore(trainer: Learner, content: dict[str, Any], where: str) -> None:
    parts = {key: content.get(key) for key in ("optimizer", "lr_scheduler", "epoch")}
    if missing := [key for key, value in parts.items() if value is None or value == {}]:
        raise InputError(f"{where}: cannot be resumed, it has no {missing[0]!r}; --pre-train starts from its weights")
    _require_same_classes(trainer, content.get("data") or {}, where)
    _follow_exchange(trainer, content.get("model") or {})
    if trainer.own.net is None:
        for net in {trainer.net, trainer.evaluated_net}:
            take_constants(net, content, where)
    raw = content.get("net_raw", content["net"])
    load_weights(trainer.net, raw, where)
    if trainer.average is not None:
        load_weights(trainer.average.net, content["net"], where)
    if isinstance(trainer.loss, nn.Module) and "loss_state" in content:
        load_weights(trainer.loss, content["loss_state"], where)
    rates = [{name: group[name] for name in RATES if name in group} for group in trainer.optimizer.param_groups]
    load_optimizer(trainer.optimizer, content["optimizer"], where, getattr(trainer.scheduler, "cycle_momentum", False))
    trainer.epoch = int(content["epoch"]) + 1
    trainer.history = list(content.get("history", []))
    step = content.get("progress", {}).get("step")
    trainer.step = step if isinstance(step, int) else 0
    if trainer.epoch < 0 or trainer.step < 0:
        raise ValueError(f"epoch {content['epoch']}, step {trainer.step}")
    position, end = trainer.epoch, trainer.config.epochs
    if trainer.by_step:
        position, end = trainer.steps_of_run, end * trainer.steps_per_epoch
    if is_same_schedule(trainer.scheduler.state_dict(), content["lr_scheduler"]) and (
        trainer.own.scheduler is not None or _is_at(trainer, position, content)
    ):
        _load_schedule(trainer.scheduler, content["lr_scheduler"])
    else:
        begin_schedule(trainer, rates, min(position, end))
    trainer.global_step = trainer.epoch * trainer.steps_per_epoch
    trainer.inherited_best = float(content.get("max_test_acc", 0.0))
    scored = scored_epochs(trainer.history, trainer.chosen_on)
    trainer.best = max((row[f"{trainer.chosen_on}_top1"] for row in scored), default=-math.inf)
    if content.get("scaler"):
        trainer.scaler.load_state_dict(content["scaler"])
    if progress := content.get("progress"):
        try:
            _restore_progress(trainer, progress, where)
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise InputError(
                f"{where}: its position within the epoch cannot be read ({error!r}); --pre-train starts from its "
                "weights"
            ) from error
    if rng := content.get("rng"):
        restore_random_state(trainer, rng)


def random_state(trainer: Learner) -> dict[str, Any]:
    """The states of the generators of all processes, which all of them must call."""
    gather = trainer.engine.gather_object
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if trainer.device.type == "cuda" else [],
        "others": gather(_of_this_process(trainer))[1:],
        "loaders": gather([generator.get_state() for generator in generators(trainer.loaders.values())]),
    }


def _of_this_process(trainer: Learner) -> list[Tensor]:
    """The states of PyTorch's own generators in this process, that of its GPU last."""
    return [
        torch.get_rng_state(),
        *([torch.cuda.get_rng_state(trainer.device)] if trainer.device.type == "cuda" else []),
    ]


def restore_random_state(trainer: Learner, rng: dict[str, Any]) -> None:
    """Restore the state of every process; if their number changed, only that of the first one."""
    others, of_loaders = rng.get("others", []), rng.get("loaders", [])
    if len(of_loaders) == trainer.engine.world_size or (of_loaders and trainer.engine.is_first):
        own = generators(trainer.loaders.values())
        for generator, state in zip(own, of_loaders[trainer.engine.rank], strict=False):
            generator.set_state(state)
    if trainer.engine.is_first:
        torch.set_rng_state(rng["cpu"])
        if rng["cuda"] and trainer.device.type == "cuda":
            torch.cuda.set_rng_state_all(rng["cuda"])
    elif len(others) == trainer.engine.world_size - 1:
        cpu, *gpu = others[trainer.engine.rank - 1]
        torch.set_rng_state(cpu)
        if gpu and trainer.device.type == "cuda":
            torch.cuda.set_rng_state(gpu[0], trainer.device)


def _require_same_classes(trainer: Learner, data: dict[str, Any], where: str) -> None:
    """Raise `InputError` if labels would stand for other classes than before."""
    if (dataset := trainer.dataset) is None:
        return
    if data.get("name") == dataset.name and tuple(data["classes"]) != dataset.classes:
        raise InputError(f"{where}: was trained on classes other than those of {dataset.name}; start a new run")


def _follow_exchange(trainer: Learner, model: dict[str, Any]) -> None:
    """Exchange the neurons as in the run before its checkpoint, whose network is `model`."""
    if not trainer.config.exchange_neuron or model.get("neuron") != trainer.config.exchange_neuron:
        return
    if trainer.net.config["neuron"] != trainer.config.exchange_neuron:
        trainer.exchange()
    for net in {trainer.net, trainer.evaluated_net}:
        set_layer_options(net, model.get("layer_options", {}))
        net.config = copy.deepcopy(model)


def precision_of(content: dict[str, Any]) -> str | None:
    """The name of the precision in which a checkpoint's run was computed; None for one in the original's format.

    Older checkpoints do not name it: those with mixed precision without loss scaling used bfloat16.
    """
    config = content.get("config")
    if "precision" in content or config is None:
        return content.get("precision")
    if content.get("scaler"):
        return "float16"
    dtype = config.get("dtype", "float32")
    return "bfloat16" if config.get("amp", True) and dtype == "float32" else dtype


def _restore_progress(trainer: Learner, progress: dict[str, Any], where: str) -> None:
    trainer.loaders["train"].check_position(progress["loader"], where)
    accumulate = trainer.config.accumulate
    if progress["loader"]["batch"] != progress["step"] * accumulate:
        raise InputError(
            f"{where}: was written within an epoch that began with an --accumulate other than {accumulate}"
        )
    trainer.step, trainer.global_step = (operator.index(progress[name]) for name in ("step", "global_step"))
    trainer.running.sums.copy_(_own(trainer, torch.tensor(progress["sums"], dtype=torch.float64)))
    trainer.running.samples = int(_own(trainer, torch.tensor(progress["samples"])))
    trainer.running.seconds = float(progress["seconds"])
    firing = progress["firing"]
    if firing.shape[1:] == trainer.monitor.counts.shape:
        trainer.monitor.load(_own(trainer, firing).to(trainer.device))
    trainer.norms.sums.copy_(torch.tensor(progress["norms"], dtype=torch.float64))
    trainer.guard.notes.copy_(torch.tensor(progress["guard"]))


def _own(trainer: Learner, parts: Tensor) -> Tensor:
    """This process's row of sums by process; if their number changed, the first process takes all of them."""
    engine = trainer.engine
    if len(parts) == engine.world_size:
        return parts[engine.rank]
    return parts.sum(0) if engine.is_first else torch.zeros_like(parts[0])


MEMORIES = ("momentum_buffer", "exp_avg", "exp_avg_sq")
"""The state of SGD, Adam and Muon for a parameter that has its shape."""

RATES = ("lr", "initial_lr")
"""The learning rates in a group of parameters."""

MOMENTA = ("momentum", "betas")
"""The options of a group that a schedule can cycle."""

CONFIGURED = ("momentum", "weight_decay")
"""The options of `TrainConfig` in a group of parameters of any optimiser, besides the rate."""


def load_optimizer(optimizer: Optimizer, state: dict[str, Any], where: str, is_cycled: bool = False) -> None:
    """Load an optimiser's state and its rates; its other options, such as weight decay, keep their present values.

    A momentum that the schedule cycles (`is_cycled`) is loaded too. An optimiser that is not PyTorch's may store
    numbers of its state beside its options, so only the options of the configuration keep theirs. Raises `InputError`
    if the state is another optimiser's or another network's.
    """
    groups = state.get("param_groups") or [{}]
    found = _family(groups[0])
    if found != _family(optimizer.param_groups[0]):
        raise InputError(f"{where}: was trained with {found}; resume with --opt {found}, or use --pre-train")
    is_known = isinstance(optimizer, Muon) or type(optimizer).__module__.startswith("torch.optim.")
    loaded = ("params", *RATES, *(MOMENTA if is_cycled else ()))
    kept = [name for name in (optimizer.param_groups[0] if is_known else CONFIGURED) if name not in loaded]
    own = [{name: group[name] for name in kept if name in group} for group in optimizer.param_groups]
    if len(own) == len(groups):
        groups = [{**group, **options} for group, options in zip(groups, own, strict=True)]
    try:
        optimizer.load_state_dict({**state, "param_groups": groups})
        for parameter, memory in optimizer.state.items():
            shapes = [memory[name].shape for name in MEMORIES if memory.get(name) is not None]
            if any(shape != parameter.shape for shape in shapes):
                raise ValueError(f"{list(shapes[0])} values for a parameter {list(parameter.shape)}")
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{where}: the optimiser's state does not fit this network: {in_words(error)}") from error


def _family(group: dict[str, Any]) -> str:
    """The kind of an optimiser by the options of its groups."""
    if "orthogonal" in group:
        return "Muon"
    return "AdamW" if "betas" in group else "SGD" if "nesterov" in group else "its optimiser"


INTERNAL = ("_milestones", "_schedule_phases", "_anneal_func_type")
"""The internal values of a schedule that do not change as it advances."""


def is_same_schedule(state: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two states of schedulers, and of the schedulers in them, differ in nothing but the position."""
    inner, others = state.get("_schedulers", []), other.get("_schedulers", [])
    if len(inner) != len(others) or any(state.get(key) != other.get(key) for key in INTERNAL):
        return False
    if not all(map(is_same_schedule, inner, others)):
        return False
    return all(other.get(key) == value for key, value in state.items() if key not in POSITIONS and key[0] != "_")


def _is_at(trainer: Learner, position: int, content: dict[str, Any]) -> bool:
    """Whether the schedule of a checkpoint of clif is at this position; other steps per epoch lead to another one."""
    state = content["lr_scheduler"]
    if "progress" not in content or "last_epoch" not in state:
        return True
    return operator.index(state["last_epoch"]) == trainer.scheduler.last_epoch + position


def _load_schedule(scheduler: LRScheduler, state: dict[str, Any]) -> None:
    """Load a scheduler's state. Raises an exception if the state would replace a method, or has no position."""
    if methods := [key for key in state if callable(getattr(type(scheduler), key, None))]:
        raise ValueError(f"a value in place of the scheduler's {methods[0]}")
    if "last_epoch" in scheduler.state_dict():
        operator.index(state["last_epoch"])
    scheduler.load_state_dict(state)


def begin_schedule(trainer: Learner, rates: list[dict[str, Any]], position: int) -> None:
    """Set a new schedule, which began with `rates`, and the optimiser to the state after `position` epochs or steps.

    A schedule that needs the figures of the epochs gets those of the history.
    """
    for group, rate in zip(trainer.optimizer.param_groups, rates, strict=True):
        group.update(rate)
    if isinstance(trainer.scheduler, ReduceLROnPlateau):
        for row in trainer.history:
            finish_epoch(trainer.scheduler, row)
        return
    for _ in range(position):
        advance(trainer.scheduler)
