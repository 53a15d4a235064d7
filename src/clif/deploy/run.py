"""Deploy a checkpoint: choose the reset value on training data, show the table on test data, keep the LIF network."""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clif.data import Loader, create_loader
from clif.deploy.convert import clif_to_lif
from clif.deploy.sweep import PAPER_RESETS, SweepRow, best_row, sweep
from clif.errors import InputError
from clif.models import SpikingNetwork
from clif.train.checkpoint import save_checkpoint, write_atomically
from clif.train.config import TrainConfig
from clif.train.evaluation import Scores, evaluate, open_checkpoint
from clif.train.setup import choose_device

CHOICE_IMAGES = 5000


@dataclass(frozen=True)
class Deployment:
    """What deploying a checkpoint gave.

    `chosen` is the reset value that did best on `choice` (training images described by `choice_data`); `table` shows
    every value on the test set, `source` the network as it was trained.
    """

    neuron: str
    dataset: str
    source: Scores
    choice_data: str
    choice: list[SweepRow]
    table: list[SweepRow]
    chosen: float | None
    checkpoint: Path
    folder: Path

    @property
    def chosen_on_test(self) -> SweepRow:
        """The test accuracy of the value that was chosen without looking at the test set."""
        return next(row for row in self.table if row.v_reset == self.chosen)


def deploy_checkpoint(
    path: str | os.PathLike[str],
    given: dict[str, Any] | None = None,
    v_resets: Sequence[float | None] = PAPER_RESETS,
    out: str | os.PathLike[str] | None = None,
    quiet: bool = True,
) -> Deployment:
    """Run a CLIF- or LIF-trained checkpoint as LIF with each reset value, and keep the best network.

    Writes deploy.csv, deploy.json and checkpoint_lif.pth to `out`, by default the folder "deploy" beside the
    checkpoint. `given` are options of `TrainConfig` that replace what the checkpoint says. Raises `InputError` for a
    file that cannot be read, a network that cannot be converted, and an empty list of values.
    """
    if not v_resets:
        raise InputError("give at least one reset value, for example: None,0,-0.02,-0.04,-0.06")
    opened = open_checkpoint(path, given or {})
    net, config = opened.net, opened.config
    clif_to_lif(net)  # refuses what cannot be converted before any data are read

    choice_data, choice_loader = _choice_loader(config, net.T)
    choice = sweep(net, choice_loader, v_resets, quiet)
    chosen = best_row(choice).v_reset
    test = _loader(config, net.T, train=False)
    source = evaluate(net, test, quiet=quiet)
    table = sweep(net, test, v_resets, quiet)

    folder = Path(out) if out is not None else _checkpoint_folder(Path(path)) / "deploy"
    deployment = Deployment(
        net.config["neuron"],
        config.dataset,
        source,
        choice_data,
        choice,
        table,
        chosen,
        folder / "checkpoint_lif.pth",
        folder,
    )
    _write(deployment, net, opened.content)
    return deployment


def _checkpoint_folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _loader(config: TrainConfig, T: int, **options: Any) -> Loader:
    device = choose_device(config.device)
    return create_loader(
        config.dataset, config.data_dir, batch_size=config.b, T=T, device=device, workers=config.j, **options
    )


def _choice_loader(config: TrainConfig, T: int) -> tuple[str, Loader]:
    """The images on which the reset value is chosen: the held-out ones of the run, else a part of its training set."""
    if config.val_split > 0:
        loader = _loader(config, T, train=True, val_split=config.val_split, validation=True)
        return f"{loader.num_samples} training images that the run held out", loader
    loader = _loader(config, T, train=True, shuffle=False, augment=False, limit=CHOICE_IMAGES)
    return f"{loader.num_samples} training images (the run held none out; it was trained on them)", loader


def _write(deployment: Deployment, net: SpikingNetwork, content: dict[str, Any]) -> None:
    lif = clif_to_lif(net, deployment.chosen)
    kept: dict[str, Any] = {key: content[key] for key in ("epoch", "max_test_acc", "config") if key in content}
    rows = {"test": deployment.table, "choice": deployment.choice}
    report = {
        "trained_neuron": deployment.neuron,
        "dataset": deployment.dataset,
        "source_top1": deployment.source.top1,
        "source_top5": deployment.source.top5,
        "chosen_v_reset": deployment.chosen,
        "chosen_on": deployment.choice_data,
        "rows": {part: [asdict(row) for row in part_rows] for part, part_rows in rows.items()},
    }
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["split", "reset", "v_reset", "top1", "top5", "samples"])
    for part, part_rows in rows.items():
        for row in part_rows:
            reset = "soft" if row.v_reset is None else "hard"
            table.writerow([part, reset, "" if row.v_reset is None else row.v_reset, row.top1, row.top5, row.samples])
    try:
        write_atomically(deployment.folder / "deploy.csv", lambda file: file.write(text.getvalue().encode()))
        write_atomically(
            deployment.folder / "deploy.json", lambda file: file.write(json.dumps(report, indent=2).encode())
        )
    except OSError as error:
        raise InputError(f"{deployment.folder} cannot be written ({error}); choose another folder with -out") from error
    save_checkpoint(deployment.checkpoint, {"net": lif.state_dict(), "model": lif.config, **kept, "deploy": report})
