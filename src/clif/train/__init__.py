"""Training: a typed configuration, the loop, the loss, checkpoints that survive an interruption."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clif.train.checkpoint import load as load
    from clif.train.config import TrainConfig as TrainConfig
    from clif.train.evaluation import evaluate as evaluate
    from clif.train.loop import fit as fit
    from clif.train.loss import SpikingLoss as SpikingLoss

_NAMES = {
    "SpikingLoss": "loss",
    "TrainConfig": "config",
    "evaluate": "evaluation",
    "fit": "loop",
    "load": "checkpoint",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"clif.train.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'clif.train' has no attribute {name!r}")
