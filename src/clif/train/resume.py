"""The resumption of a run: the configuration in its folder, options that it keeps, and options that may be replaced.

This module imports no torch, so that the configuration can be shown at once.
"""

import dataclasses
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from clif.errors import InputError, MissingFileError
from clif.names import RENAMED
from clif.paths import expand_home
from clif.plain_files import read_json
from clif.train.config import LIMITS, TrainConfig, resolve
from clif.train.launcher_environment import launched_processes
from clif.train.recipe import read_yaml
from clif.user_code import needed_by

CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
"""The files with a run's configuration, and with the circumstances of each start."""

METRICS, SUMMARY, WARNINGS = "metrics.csv", "summary.json", "warnings.json"
"""The files with the figures of each epoch, with those of the last and the best one, and with warnings."""

ENERGY, EVAL = "energy.json", "eval.json"
"""The measurements of a run's checkpoint by `clif energy` and `clif eval`."""

LAST, BEST = "checkpoint_last.pth", "checkpoint_best.pth"
"""The checkpoints of a run's folder."""

KEPT = ("dataset", "val_split", "model", "neuron", "T", "tau", "surrogate", "seed", "opt", "no_decay_norm_bias")
"""The options that identify a run: its data, network, seed and optimiser."""

Plain = str | int | float | None
"""The types of options."""

SILENT = {*LIMITS, "data_dir", "j"}


def read_run(folder: str, overrides: dict[str, Any]) -> TrainConfig:
    """The configuration with which the run in `folder` continues, with some options replaced. Raises `InputError`.

    If the run's cosine ends with its last epoch, `T_max` follows an `epochs` that is given without it.
    """
    for name in ("out_dir", "name", "pre_train"):
        if overrides.get(name) is not None:
            raise InputError(f"a resumed run keeps its folder and its weights; leave out -{name}")
    path = Path(expand_home(folder)) / CONFIG
    try:
        values = read_yaml(path)
    except MissingFileError:
        raise MissingFileError(f"no run at {folder}: it has no {CONFIG}") from None
    values_here: dict[str, Any] = {} if launched_processes() is None else {"devices": 1, "nodes": 1}
    if "epochs" in overrides and values.get("T_max") == values.get("epochs"):
        values_here["T_max"] = overrides["epochs"]
    with needed_by(imports_of_run(folder), folder):
        return resolve(**{**values, **values_here, "resume": folder, **overrides})


def imports_of_run(folder: str) -> list[Any]:
    """The records of the user's code that the run in `folder` imported at its last start, for `clif.user_code`."""
    imports = last_start(Path(expand_home(folder))).get("imports")
    return imports if isinstance(imports, list) else []


def last_start(folder: Path) -> dict[str, Any]:
    """The description of the last start of the run in a folder; {} if there is none."""
    start = (read_list(folder / ENVIRONMENT) or [{}])[-1]
    return start if isinstance(start, dict) else {}


def read_list(path: Path) -> list[Any]:
    """The list in a JSON file; [] if there is none, or if it cannot be read."""
    with suppress(InputError):
        content = read_json(path)
        return content if isinstance(content, list) else []
    return []


@contextmanager
def needed_by_runs(*files: str | None) -> Iterator[None]:
    """A context in which the error for an unknown name says which code of the runs of `files` is not loaded.

    `files` are folders of runs, or files in them; missing ones are ignored.
    """
    with ExitStack() as stack:
        for file in files:
            path = Path(expand_home(file or ""))
            if file and path.exists():
                folder = path if path.is_dir() else path.parent
                stack.enter_context(needed_by(imports_of_run(str(folder)), file))
        yield


def stored_options(content: dict[str, Any]) -> dict[str, Any]:
    """The options with which a checkpoint was trained, if it has them; the original's has the optimiser's."""
    groups, schedule = content.get("optimizer", {}).get("param_groups"), content.get("lr_scheduler", {})
    group = groups[0] if isinstance(groups, list) and groups and isinstance(groups[0], dict) else {}
    said = {
        "lr": group.get("max_lr", group.get("initial_lr")),
        "weight_decay": group.get("weight_decay"),
        "momentum": group.get("momentum"),
    }
    said |= {name: schedule.get(name) for name in ("T_max", "step_size", "gamma")}
    if schedule:
        said["lr_scheduler"] = _schedule(schedule)
    config = {name: value for name, value in content.get("config", {}).items() if isinstance(value, Plain)}
    options = {RENAMED.get(name, name): value for name, value in config.items()}
    return {**{name: value for name, value in said.items() if value is not None}, **options}


def _schedule(state: dict[str, Any]) -> str:
    return "StepLR" if "step_size" in state else "OneCycle" if "total_steps" in state else "CosALR"


def check_options(config: TrainConfig, content: dict[str, Any], where: str) -> str:
    """The changes of `config` in the run of a checkpoint, in words; "" if there are none.

    Raises `InputError` if it changes an option that a run keeps.
    """
    before = stored_options(content)
    exchanged = content.get("model", {}).get("neuron") not in (None, before.get("neuron"))
    kept = (*KEPT, "exchange_neuron", "exchange_epoch") if exchanged else KEPT
    changed = []
    for field in dataclasses.fields(TrainConfig):
        name = field.name
        if name not in before or before[name] == getattr(config, name):
            continue
        new, old = getattr(config, name), before[name]
        if name in kept:
            raise InputError(
                f"{where}: its run has {name} {_word(old)}, which cannot become {_word(new)} when it resumes; start "
                f"a new run from its weights: --pre-train {shlex.quote(where)} in place of --resume"
            )
        if field.metadata["group"] in ("data", "network", "optimisation", "loss") and name not in SILENT:
            changed.append(f"{name} {_word(new)} ({_word(old)} before)")
    return ", ".join(changed)


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(str(value)) if value == "" else str(value)


def other_run(folder: Path, config: TrainConfig, own: dict[str, str]) -> str:
    """A hint about the newest run beside `folder` with the same network and data set; "" if there is none.

    `own` are the digests of the user's objects in this run.
    """
    stem = folder.name.rpartition("_")[0]
    others = [path for path in folder.parent.glob(f"*/{CONFIG}") if path.parent.name.rpartition("_")[0] == stem]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            values = read_yaml(path)
        except InputError:
            continue
        ignored = {"out_dir", "resume", "name", *LIMITS}
        differing = [k for k, v in dataclasses.asdict(config).items() if k not in ignored and values.get(k) != v]
        noted = last_start(path.parent).get("objects")
        objects = noted if isinstance(noted, dict) else {}
        differing += [name for name in dict.fromkeys((*own, *objects)) if own.get(name) != objects.get(name)]
        if differing:
            how = f"clif train --resume-run {shlex.quote(str(path.parent))}"
            if own or objects:
                how = f'resume="{path.parent}" with the same objects'
            return f"; the run in {path.parent} differs in {', '.join(differing)}: {how} resumes that one"
    return ""
