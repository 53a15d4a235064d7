"""The runs of an experiment deployed as LIF networks by each method: the paper's Table 8, and fitted methods."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from clif.deploy import METHODS, deploy_checkpoint
from clif.experiment.plan import Plan, PlannedRun
from clif.experiment.results import write_table
from clif.report.runs import DEPLOY, read_mapping
from clif.report.statistics import mean_of
from clif.report.tables import Cell, Table, mean, number, words
from clif.train.resume import LAST

Report = dict[str, Any]


def deploy_all(plan: Plan, runs: Sequence[PlannedRun], quiet: bool = False) -> Table:
    """Deploy the last checkpoint of every run and return the table, also written as deployment.json, .csv, .tex, .md.

    It converts a CLIF network by every method of `clif.deploy.METHODS` and runs a LIF network with other resets only.
    It reads deployments that are already complete. Raises `InputError` for networks that cannot be deployed.

    >>> plan = clif.experiment.make_plan("deployment", "digits", ["LIF"], seeds=[0], T=1, max_steps=2)
    >>> table = clif.experiment.deploy_all(plan, clif.experiment.train_all(plan, quiet=True), quiet=True)
    >>> [cell.text for cell in table.rows[0]][:2]
    ['LIF', 'as trained']
    """
    reports: dict[str, dict[str, list[Report]]] = {}
    for run in runs:
        for method in METHODS if run.config.neuron == "CLIF" else ("sweep",):
            reports.setdefault(run.arm.name, {}).setdefault(method, []).append(_deploy(run, method, quiet))
    table = deployment_table(reports)
    write_table(plan.folder, dataclasses.replace(table, name="deployment"), reports)
    return table


def _deploy(run: PlannedRun, method: str, quiet: bool) -> Report:
    folder = run.folder / ("deploy" if method == "sweep" else f"deploy_{method}")
    if not (folder / "checkpoint_lif.pth").is_file():
        if not quiet:
            print(f"{run.label}: {method}", flush=True)
        deploy_checkpoint(run.folder / LAST, {"data_dir": run.config.data_dir}, out=folder, method=method)
    return read_mapping(folder / DEPLOY)


def deployment_table(reports: dict[str, dict[str, list[Report]]]) -> Table:
    """Test accuracy of each network, by arm: as trained, as LIF with each reset, and converted by each method.

    `reports` are those of `clif deploy` by arm and method, one per seed. The gap is the accuracy that is lost with the
    paper's choice of a reset; a method closes the part of it that it regains.
    """
    rows = []
    for name, methods in reports.items():
        sweeps = methods["sweep"]
        trained = [report["source_top1"] for report in sweeps]
        rows.append([words(name), words("as trained"), _accuracy(trained), Cell(""), Cell("")])
        for i, row in enumerate(sweeps[0]["rows"]["test"]):
            reset = "soft reset" if row["v_reset"] is None else f"hard reset {row['v_reset']:g}"
            rows.append(_row(name, reset, trained, [report["rows"]["test"][i]["top1"] for report in sweeps]))
        chosen = [_converted(report) for report in sweeps]
        rows.append(_row(name, "reset chosen on training images", trained, chosen))
        for method, fitted in methods.items():
            if method != "sweep":
                rows.append(_row(name, method, trained, [_converted(report) for report in fitted], chosen))
    columns = ["network", "deployed", "test accuracy (%)", "loses (points)", "closes of the gap (%)"]
    return Table("experiment_deployment", "Run as LIF", columns, rows)


def _converted(report: Report) -> float:
    """The accuracy of the network that was converted, which is the last one judged."""
    accuracy: float = report["networks"][-1]["top1"]
    return accuracy


def _row(
    name: str, deployed: str, trained: list[float], accuracies: list[float], chosen: list[float] | None = None
) -> list[Cell]:
    lost = [before - after for before, after in zip(trained, accuracies, strict=True)]
    closed = Cell("")
    if chosen is not None:
        gap = statistics.fmean(trained) - statistics.fmean(chosen)
        if gap > 0:
            closed = number((statistics.fmean(accuracies) - statistics.fmean(chosen)) / gap, ".0f", 100)
    return [words(name), words(deployed), _accuracy(accuracies), mean(mean_of(lost), scale=100), closed]


def _accuracy(accuracies: list[float]) -> Cell:
    return mean(mean_of(accuracies), scale=100)
