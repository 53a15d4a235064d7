"""The same run with several seeds, and its summary: mean ± standard deviation."""

import dataclasses
import hashlib
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clif.errors import InputError
from clif.files import write_content
from clif.train.callbacks import Callback
from clif.train.config import TrainConfig
from clif.train.engine import is_first_process
from clif.train.folder import writing
from clif.train.interrupt import GONE, SIGPIPE, Interrupted
from clif.train.loop import fit
from clif.train.metrics import Result

FIGURES = tuple(f"{part}_{name}" for part in ("train", "val", "test") for name in ("top1", "top5", "loss"))


@dataclass(frozen=True)
class SeedsResult:
    """The path of the summary, the summary, and each seed's run."""

    path: Path
    summary: dict[str, Any]
    runs: dict[int, Result]


def fit_seeds(
    config: TrainConfig, seeds: Sequence[int], quiet: bool = False, callbacks: Sequence[Callback] = ()
) -> SeedsResult:
    """Train `config` once with each seed, each in its own folder, and write a summary beside them (`SeedsResult.path`).

    With `config.resume` "auto" finished seeds are not trained again and interrupted ones resume. Raises `InputError`
    and `Interrupted` as `fit` does.

    >>> config = clif.train.resolve("digits", neuron="CLIF", max_steps=5, T=2)
    >>> len(clif.train.fit_seeds(config, [0, 1], quiet=True).runs)
    2
    """
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise InputError(f"name at least two different seeds, got {', '.join(map(str, seeds)) or 'none'}")
    if config.resume not in (None, "auto"):
        raise InputError('several seeds resume with "--resume auto": each from its own folder')
    configs = [dataclasses.replace(config, seed=seed) for seed in seeds]
    for one in configs:
        one.check()
    runs = {}
    for one in configs:
        try:
            if not quiet and is_first_process():
                print(f"\nseed {one.seed}", flush=True)
            runs[one.seed] = fit(one, quiet, callbacks)
        except (Interrupted, BrokenPipeError) as error:
            signum = error.signum if isinstance(error, Interrupted) else SIGPIPE
            what = f"{GONE}; " * (signum == SIGPIPE) + f"seed {one.seed} stopped"
            raise Interrupted(signum, what, ", add to the same command: --resume auto") from error
    summary = summarise_seeds(runs)
    digest = hashlib.sha256(os.fsencode(" ".join(str(run.folder) for run in runs.values()))).hexdigest()[:8]
    words = [config.name, config.dataset, config.model, config.neuron, f"T{config.T}", f"seeds{len(seeds)}", digest]
    path = Path(config.out_dir) / ("_".join(word for word in words if word) + ".json")
    if is_first_process():
        with writing(path.parent):
            write_content(path, json.dumps(summary, indent=2))
    return SeedsResult(path, summary, runs)


def summarise_seeds(runs: dict[int, Result]) -> dict[str, Any]:
    """The figures by seed, their mean and sample standard deviation, for the last and the best epoch of each run."""
    summary: dict[str, Any] = {"seeds": list(runs), "folders": [str(run.folder) for run in runs.values()]}
    for which in ("last", "best"):
        rows = [run.summary[which] for run in runs.values()]
        summary[which] = {
            name: {
                "mean": statistics.fmean(row[name] for row in rows),
                "std": statistics.stdev(row[name] for row in rows),
                "by_seed": [row[name] for row in rows],
            }
            for name in FIGURES
            if all(name in row for row in rows)
        }
    summary["best_chosen_on"] = next(iter(runs.values())).summary["best_chosen_on"]
    return summary
