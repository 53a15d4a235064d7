"""The configuration that a run's folder holds; without torch, so that it can be shown at once."""

from pathlib import Path
from typing import Any

from clif.errors import InputError, MissingFileError
from clif.paths import expand_home
from clif.train.config import TrainConfig, resolve
from clif.train.launched import launched_processes
from clif.train.recipe import read_yaml

CONFIG = "config.yaml"


def read_run(folder: str, overrides: dict[str, Any]) -> TrainConfig:
    """The configuration with which the run in `folder` goes on, some options replaced. Raises `InputError`.

    Where the run's cosine ends with its last epoch, `T_max` follows an `epochs` that is given without it.
    """
    for name in ("out_dir", "name", "pre_train"):
        if overrides.get(name) is not None:
            raise InputError(f"a run that goes on stays in its folder, with its weights; leave out -{name}")
    path = Path(expand_home(folder)) / CONFIG
    try:
        values = read_yaml(path)
    except MissingFileError:
        raise MissingFileError(f"no run at {folder}: it has no {CONFIG}") from None
    values_here: dict[str, Any] = {} if launched_processes() is None else {"devices": 1, "nodes": 1}
    if "epochs" in overrides and values.get("T_max") == values.get("epochs"):
        values_here["T_max"] = overrides["epochs"]
    return resolve(**{**values, **values_here, "resume": folder, **overrides})
