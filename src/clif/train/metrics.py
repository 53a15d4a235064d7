"""Where a run's figures go: a table that is always whole, and TensorBoard."""

import csv
import io
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from clif.train.checkpoint import write_atomically

Row = dict[str, float | int]


class MetricsLog:
    """One row an epoch, in `metrics.csv` and TensorBoard.

    The rows so far are part of every checkpoint, and the file is written anew from them: after a resume it has neither
    gaps nor duplicates.
    """

    def __init__(self, folder: Path, history: list[Row]) -> None:
        self.folder = folder
        self.history = history
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=len(history) or None)

    def add(self, row: Row) -> None:
        """Append the row of an epoch; its "epoch" is the step in TensorBoard."""
        self.history.append(row)
        self.write()
        for key, value in row.items():
            if key != "epoch":
                self._writer.add_scalar(key.replace("_", "/", 1), value, row["epoch"])
        self._writer.flush()

    def write(self) -> None:
        """Write `metrics.csv` from the history."""
        text = io.StringIO()
        columns = list(dict.fromkeys(key for row in self.history for key in row))
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(self.history)
        write_atomically(self.folder / "metrics.csv", lambda file: file.write(text.getvalue().encode()))

    def close(self) -> None:
        self._writer.close()


def summarise(history: list[Row], chosen_on: str) -> dict[str, Any]:
    """The last epoch and the best one by `<chosen_on>_top1` ("test" or "val"), with all their figures."""
    best = max(history, key=lambda row: row[f"{chosen_on}_top1"])
    return {"last": history[-1], "best": best, "best_chosen_on": chosen_on}
