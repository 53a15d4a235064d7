"""Training: a typed configuration, the loop, the loss, checkpoints that survive an interruption."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clif.train.callbacks import Callback as Callback
    from clif.train.checkpoint import load as load
    from clif.train.config import TrainConfig as TrainConfig
    from clif.train.config import resolve as resolve
    from clif.train.evaluation import evaluate as evaluate
    from clif.train.loop import fit as fit
    from clif.train.loss import SpikingLoss as SpikingLoss
    from clif.train.seeds import fit_seeds as fit_seeds

_NAMES = {
    "Callback": "callbacks",
    "SpikingLoss": "loss",
    "TrainConfig": "config",
    "evaluate": "evaluation",
    "fit": "loop",
    "fit_seeds": "seeds",
    "load": "checkpoint",
    "resolve": "config",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"clif.train.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'clif.train' has no attribute {name!r}")
