"""Callbacks of `clif.train.fit(config, callbacks=[...])`, which observe a run and can end it."""

import json
import sys
import uuid
from typing import Any, TextIO

from torch import Tensor

from clif.errors import InputError
from clif.train.learner import Learner
from clif.train.metrics import Result, Row


class Callback:
    """Base of callbacks: override the methods that you need. They are called only in the first process.

    `trainer` has `config`, `net`, `epoch`, `step`, `history` and more; `trainer.end("why")` in `on_step` or `on_epoch`
    ends the run after the present step or epoch. clif writes the checkpoint of an epoch before `on_epoch`; if that
    changes weights or rates, a run that resumes from this checkpoint lacks the change.

    >>> class Stop(clif.train.Callback):
    ...     def on_epoch(self, trainer, row):
    ...         if row["test_top1"] > 0.95:
    ...             trainer.end("good enough")
    """

    def on_start(self, trainer: Learner) -> None:
        """The run's folder exists; training starts or resumes."""

    def on_step(self, trainer: Learner, loss: Tensor) -> None:
        """A step of the optimiser is done; `loss` is this process's mean of the last batch, a tensor on the device."""

    def on_epoch(self, trainer: Learner, row: Row) -> None:
        """An epoch and its evaluations are done; `row` has its figures as in `metrics.csv`."""

    def on_warning(self, trainer: Learner, message: str) -> None:
        """A warning that does not end the run, such as a layer that never fires."""

    def on_end(self, trainer: Learner, result: Result) -> None:
        """The run has ended as planned."""


class JsonLines(Callback):
    """One JSON object per line for other programs: {"event": "start" | "epoch" | "warning" | "end" | "seeds", ...}."""

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = sys.stdout if file is None else file

    def write(self, event: str, **values: Any) -> None:
        """Print one line."""
        print(json.dumps({"event": event, **values}), file=self.file, flush=True)

    def on_start(self, trainer: Learner) -> None:
        place = {"epoch": trainer.epoch, "step": trainer.step}
        self.write("start", folder=str(trainer.folder.path), **place, precision=trainer.precision.name)

    def on_epoch(self, trainer: Learner, row: Row) -> None:  # noqa: ARG002
        self.write("epoch", **row)

    def on_warning(self, trainer: Learner, message: str) -> None:  # noqa: ARG002
        self.write("warning", message=message)

    def on_end(self, trainer: Learner, result: Result) -> None:
        self.write("end", folder=str(result.folder), ended=trainer.ended, **result.summary)


class WandbLogger(Callback):
    """Each epoch's figures to Weights & Biases; a resumed run continues as the same run there."""

    def __init__(self) -> None:
        self._wandb = _import("wandb")

    def on_start(self, trainer: Learner) -> None:
        folder, number = trainer.folder.path, uuid.uuid4().hex
        note = folder / "wandb_run.txt"
        if note.is_file():
            number = note.read_text().strip()
        elif (folder / "wandb").is_dir():  # of an earlier version
            number = folder.name[-64:]
        self._run = self._wandb.init(
            dir=str(folder), name=folder.name, id=number, resume="allow", config=vars(trainer.config)
        )
        trainer.folder.write_text(note.name, number)

    def on_epoch(self, trainer: Learner, row: Row) -> None:  # noqa: ARG002
        self._run.log(dict(row), step=row["epoch"])

    def on_end(self, trainer: Learner, result: Result) -> None:  # noqa: ARG002
        self._run.finish()


class MlflowLogger(Callback):
    """Each epoch's figures to MLflow; a resumed run continues as the same run there."""

    def __init__(self) -> None:
        self._mlflow = _import("mlflow")

    def on_start(self, trainer: Learner) -> None:
        note = trainer.folder.path / "mlflow_run.txt"
        earlier = note.read_text().strip() if note.is_file() else None
        run = self._mlflow.start_run(run_id=earlier, run_name=None if earlier else trainer.folder.path.name)
        if earlier is None:
            trainer.folder.write_text(note.name, run.info.run_id)
            self._mlflow.log_params({key: str(value)[:500] for key, value in vars(trainer.config).items()})

    def on_epoch(self, trainer: Learner, row: Row) -> None:  # noqa: ARG002
        self._mlflow.log_metrics({key: float(value) for key, value in row.items()}, step=int(row["epoch"]))

    def on_end(self, trainer: Learner, result: Result) -> None:  # noqa: ARG002
        self._mlflow.end_run()


LOGGERS: dict[str, type[WandbLogger] | type[MlflowLogger]] = {"wandb": WandbLogger, "mlflow": MlflowLogger}


def make_loggers(names: list[str]) -> list[Callback]:
    """The loggers of these names. Raises `InputError` if one is not installed."""
    return [LOGGERS[name]() for name in names]


def _import(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f'the logger {name} is not installed ({error}): pip install "clif-snn[{name}]"') from error
