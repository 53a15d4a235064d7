"""The results of deploying a checkpoint, and their files: a report as JSON and CSV, and the LIF network."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clif.deploy.judge import Judged
from clif.deploy.methods import Conversion
from clif.deploy.sweep import SweepRow
from clif.errors import InputError
from clif.evaluation import Scores
from clif.files import write_content
from clif.precision import Precision
from clif.train.checkpoint import save_checkpoint


@dataclass(frozen=True)
class Deployment:
    """The results of deploying a checkpoint.

    `judged` has the test results of the network as trained, of a LIF network trained from scratch if one was given, and
    of the conversion. `conversion` holds the network and its cost. A sweep also has one row for every reset value:
    `choice` on training images (described by `choice_data`; `chosen` is the best on them) and `table` on the test set.
    `source` is the network as trained.

    >>> config = clif.train.resolve("digits", neuron="CLIF", max_steps=10, T=2)
    >>> run = clif.train.fit(config, quiet=True)
    >>> deployment = clif.deploy.deploy_checkpoint(run.folder, method="subtract", images=64)
    >>> deployment.neuron, deployment.dataset, deployment.conversion.method
    ('CLIF', 'digits', 'subtract')
    """

    neuron: str
    dataset: str
    source: Scores
    choice_data: str
    conversion: Conversion
    judged: list[Judged]
    checkpoint: Path
    folder: Path
    precision: Precision
    choice: list[SweepRow] = field(default_factory=list)
    table: list[SweepRow] = field(default_factory=list)
    chosen: float | None = None

    @property
    def chosen_on_test(self) -> SweepRow:
        """The test accuracy of the value that was chosen without the test set."""
        return next(row for row in self.table if row.v_reset == self.chosen)


def write_deployment(deployment: Deployment, content: dict[str, Any], measured: dict[str, Any]) -> None:
    """Write networks.csv, deploy.json, checkpoint_lif.pth and, for a sweep, deploy.csv.

    `content` is that of the deployed checkpoint, whose configuration, imports and epoch are copied. `measured` is the
    result of `clif.train.folder.describe_checkpoint` for it.
    """
    report = {**measured, **describe(deployment)}
    files = {"networks.csv": _networks(deployment), "deploy.json": json.dumps(report, indent=2)}
    if deployment.table:
        files["deploy.csv"] = _sweep(deployment)
    try:
        for name, text in files.items():
            write_content(deployment.folder / name, text)
    except OSError as error:
        raise InputError(
            f"{deployment.folder} cannot be written ({error}); choose another folder with --out"
        ) from error
    lif = deployment.conversion.net
    kept: dict[str, Any] = {
        key: content[key] for key in ("epoch", "max_test_acc", "config", "imports", "data") if key in content
    }
    save_checkpoint(deployment.checkpoint, {"net": lif.state_dict(), "model": lif.config, **kept, "deploy": report})


def describe(deployment: Deployment) -> dict[str, Any]:
    """The report as plain values."""
    conversion = deployment.conversion
    report = {
        "trained_neuron": deployment.neuron,
        "dataset": deployment.dataset,
        "method": conversion.method,
        "precision": deployment.precision.record(),
        "source_top1": deployment.source.top1,
        "source_top5": deployment.source.top5,
        "fitted_on": deployment.choice_data,
        "images_looked_at": conversion.images,
        "seconds": conversion.seconds,
        "fitted_values": conversion.values,
        "networks": [asdict(judged) for judged in deployment.judged],
    }
    if deployment.table:
        rows = {"test": deployment.table, "choice": deployment.choice}
        report |= {
            "chosen_v_reset": deployment.chosen,
            "chosen_on": deployment.choice_data,
            "rows": {part: [asdict(row) for row in part_rows] for part, part_rows in rows.items()},
        }
    return report


def _networks(deployment: Deployment) -> str:
    layers = list(deployment.judged[0].firing_rates)
    header = ["network", "top1", "top5", "agreement", "samples", *(f"rate {layer}" for layer in layers)]
    return _csv(
        [
            header,
            *(
                [row.name, row.top1, row.top5, row.agreement, row.samples, *map(row.firing_rates.get, layers)]
                for row in deployment.judged
            ),
        ]
    )


def _sweep(deployment: Deployment) -> str:
    lines: list[list[object]] = [["split", "reset", "v_reset", "top1", "top5", "samples"]]
    for part, rows in (("test", deployment.table), ("choice", deployment.choice)):
        for row in rows:
            reset = "soft" if row.v_reset is None else "hard"
            lines.append([part, reset, "" if row.v_reset is None else row.v_reset, row.top1, row.top5, row.samples])
    return _csv(lines)


def _csv(lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
