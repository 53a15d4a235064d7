"""Options of a training that do not fit each other, although each is valid by itself and a checkpoint may hold both."""

import dataclasses

from clif.errors import InputError
from clif.train.config import TrainConfig
from clif.train.stages import parse_stages


def check_stages(config: TrainConfig) -> None:
    """Raise `InputError` if an epoch would train with more time steps than T."""
    most = max((T for T, _ in parse_stages("T_stages", config.T_stages)), default=config.T)
    if most > config.T:
        raise InputError(f"T_stages has {most} time steps, but T is {config.T}; set T_stages too, or leave it empty")


def check_effect(config: TrainConfig, own: list[str]) -> None:
    """Raise `InputError` for an option that was changed but has no effect on a new run beside the others.

    `own` are the names of the user's objects in the run.
    """
    restarts = config.lr_scheduler not in ("CosALR", "StepLR", "OneCycle") or "scheduler" in own
    for name, has_effect, where in (
        ("T_mult", restarts, f"on --lr-scheduler {config.lr_scheduler}"),
        ("teacher_weight", config.teacher is not None, "without --teacher"),
        ("teacher_temperature", config.teacher is not None, "without --teacher"),
    ):
        default = next(field.default for field in dataclasses.fields(config) if field.name == name)
        if not has_effect and getattr(config, name) != default:
            raise InputError(f"{name} has no effect {where}; leave it at {default}")


def missed_exchange(config: TrainConfig) -> str:
    """A line if the run ends before its neurons are exchanged; "" if not."""
    if not config.exchange_neuron or config.exchange_epoch < config.epochs:
        return ""
    return f"the run ends after {config.epochs} epochs, before the exchange after {config.exchange_epoch}"
