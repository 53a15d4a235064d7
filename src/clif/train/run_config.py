"""The configuration that a run's folder holds; without torch, so that it can be shown at once."""

from pathlib import Path
from typing import Any

import yaml

from clif.errors import InputError, MissingFileError
from clif.train.config import TrainConfig, resolve
from clif.train.launched import launched_processes

CONFIG = "config.yaml"


def read_run(folder: str, overrides: dict[str, Any]) -> TrainConfig:
    """The configuration with which the run in `folder` goes on, some options replaced. Raises `InputError`."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise MissingFileError(f"no run at {folder}: it has no {CONFIG}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a configuration: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a configuration: a mapping of options is expected")
    processes = {} if launched_processes() is None else {"devices": 1, "nodes": 1}
    return resolve(**{**values, **processes, "resume": folder, **overrides})
