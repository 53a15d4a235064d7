"""The energy of a checkpoint's network on its own test images, kept beside it."""

import os
from pathlib import Path
from typing import Any

from clif.energy.costs import PAPER, Costs
from clif.energy.count import Energy, estimate
from clif.errors import InputError
from clif.train.folder import keep_measurement
from clif.train.resume import ENERGY
from clif.trained_network import Opened, open_checkpoint

IMAGES = 1000


def estimate_checkpoint(
    path: str | os.PathLike[str],
    given: dict[str, Any] | None = None,
    images: int = IMAGES,
    costs: Costs = PAPER,
    *,
    events: bool = False,
) -> tuple[Energy, Opened, Path | None]:
    """`estimate` for a checkpoint and so many of its test images, with the opened checkpoint and the file written.

    The file is energy.json in the run folder of the checkpoint, or None if it belongs to no run. `given` are options
    of `TrainConfig` that replace those of the checkpoint. Raises `InputError` as `open_checkpoint` and
    `estimate` do, and if the file cannot be written.
    """
    if images < 1:
        raise InputError(f"--images must be at least 1, got {images}")
    opened = open_checkpoint(path, given or {})
    energy = estimate(opened.net, opened.loader(train=False, limit=images), costs, events=events)
    about = {"dataset": opened.config.dataset, "model": opened.net.config["name"], "epoch": opened.content.get("epoch")}
    values = {**about, **energy.as_dict()}
    return energy, opened, keep_measurement(path, ENERGY, values)
