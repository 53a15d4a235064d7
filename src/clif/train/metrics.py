"""The files of a run's figures: a table that is always complete, and TensorBoard."""

import csv
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from clif.evaluation import Scores
from clif.files import write_content
from clif.train.folder import writing
from clif.train.resume import METRICS

logger = logging.getLogger("clif.train")

Row = dict[str, float | int]


@dataclass(frozen=True)
class Result:
    """The result of a finished run: its folder, every epoch's figures, and the last and best of them (`summarise`)."""

    folder: Path
    history: list[Row]
    summary: dict[str, Any]


class MetricsLog:
    """One row per epoch, in `metrics.csv` and TensorBoard.

    The rows so far are part of every checkpoint, from which the file is written again: after a resume it has neither
    gaps nor duplicates. Raises `InputError` if the folder cannot be written.
    """

    def __init__(self, folder: Path, history: list[Row], resumed: bool) -> None:
        self.folder = folder
        with writing(folder):
            self._writer = _tensorboard(folder, len(history) if resumed else None)
        if resumed:
            self.write(history)

    def add(self, history: list[Row]) -> None:
        """Write the rows of a run, the last of which is new; its "epoch" is the step in TensorBoard."""
        self.write(history)
        row = history[-1]
        if self._writer is None:
            return
        with writing(self.folder):
            for key, value in row.items():
                if key != "epoch":
                    self._writer.add_scalar(key.replace("_", "/", 1), value, row["epoch"])
            self._writer.flush()

    def write(self, history: list[Row]) -> None:
        """Write `metrics.csv`."""
        text = io.StringIO()
        columns = list(dict.fromkeys(key for row in history for key in row))
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(history)
        with writing(self.folder):
            write_content(self.folder / METRICS, text.getvalue())

    def close(self) -> None:
        if self._writer is not None:
            with writing(self.folder):
                self._writer.close()


def _tensorboard(folder: Path, purged: int | None) -> SummaryWriter | None:
    """A writer of events from step `purged` on; None, with a warning, if TensorBoard cannot name the folder."""
    try:
        return SummaryWriter(str(folder / "tensorboard"), purge_step=purged)
    except UnicodeEncodeError:
        logger.warning(
            f"{folder}: TensorBoard needs a path in UTF-8 and writes nothing; {METRICS} has the same figures"
        )
        return None


def summarise(last: Row, epochs: list[Row], chosen_on: str) -> dict[str, Any]:
    """The last figures, and those of the best of the epochs by `<chosen_on>_top1` ("": of the last).

    Epochs from before a resume may lack that figure. If all do, the last is best.
    """
    scored = scored_epochs(epochs, chosen_on)
    best = max(scored, key=lambda row: row[f"{chosen_on}_top1"]) if scored else last
    return {"last": last, "best": best, "best_chosen_on": chosen_on if scored else ""}


def scored_epochs(epochs: list[Row], chosen_on: str) -> list[Row]:
    """The epochs that were evaluated on the part of the data that chooses the best one; [] if there is no such part."""
    return [row for row in epochs if f"{chosen_on}_top1" in row] if chosen_on else []


def columns(part: str, scores: Scores) -> Row:
    """The columns of one part of the data ("train", "val" or "test") in the row of an epoch."""
    return {
        f"{part}_loss": scores.loss,
        f"{part}_top1": scores.top1,
        f"{part}_top5": scores.top5,
        f"{part}_seconds": scores.seconds,
        f"{part}_images_per_second": scores.images_per_second,
    }


def describe(row: Row, epochs: int) -> str:
    """The row of an epoch on one line."""
    parts = [f"epoch {row['epoch'] + 1}/{epochs}", f"lr {row['lr']:.4g}"]
    for part in ("train", "val", "test"):
        if f"{part}_loss" in row:
            loss, top1, top5 = (row[f"{part}_{name}"] for name in ("loss", "top1", "top5"))
            parts.append(f"{part} loss {loss:.4f} top-1 {top1:.2%} top-5 {top5:.2%}")
    return "  ".join([*parts, f"{row['train_images_per_second']:.0f} img/s"])
