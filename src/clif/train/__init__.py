"""Training: a typed configuration, the loop, the loss, and checkpoints from which a run resumes."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clif.evaluation import evaluate as evaluate
    from clif.loss import SpikingLoss as SpikingLoss
    from clif.train.callbacks import Callback as Callback
    from clif.train.checkpoint import load as load
    from clif.train.config import TrainConfig as TrainConfig
    from clif.train.config import resolve as resolve
    from clif.train.loop import fit as fit
    from clif.train.losses import register_loss as register_loss
    from clif.train.optimizers import register_optimizer as register_optimizer
    from clif.train.schedules import register_scheduler as register_scheduler
    from clif.train.seeds import fit_seeds as fit_seeds
    from clif.train.sync_batch_norm import synchronise_batch_norms as synchronise_batch_norms

_NAMES = {
    "Callback": "clif.train.callbacks",
    "SpikingLoss": "clif.loss",
    "TrainConfig": "clif.train.config",
    "evaluate": "clif.evaluation",
    "fit": "clif.train.loop",
    "register_loss": "clif.train.losses",
    "register_optimizer": "clif.train.optimizers",
    "register_scheduler": "clif.train.schedules",
    "fit_seeds": "clif.train.seeds",
    "load": "clif.train.checkpoint",
    "resolve": "clif.train.config",
    "synchronise_batch_norms": "clif.train.sync_batch_norm",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'clif.train' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
