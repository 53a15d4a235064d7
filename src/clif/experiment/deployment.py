"""The runs of an experiment deployed as LIF networks by each method: the paper's Table 8, and what fitting adds."""

import statistics
from collections.abc import Sequence
from typing import Any

from clif.deploy import METHODS, deploy_checkpoint
from clif.experiment.plan import Plan, Run, read_json
from clif.experiment.results import spread, write_table
from clif.train.checkpoint import LAST

Report = dict[str, Any]


def deploy_all(plan: Plan, runs: Sequence[Run], quiet: bool = False) -> list[list[str]]:
    """Deploy the last checkpoint of every run and return the table, which is also written as deployment.json and .md.

    A CLIF network is converted by every method of `clif.deploy.METHODS`, a LIF network is only run with other resets.
    A deployment that is complete is read. Raises `InputError` for networks that cannot be deployed.

    >>> plan = clif.experiment.make_plan("deployment", "digits", ["LIF"], seeds=[0], T=1, max_steps=2)
    >>> rows = clif.experiment.deploy_all(plan, clif.experiment.train_all(plan, quiet=True), quiet=True)
    >>> rows[1][:2]
    ['LIF', 'as trained']
    """
    reports: dict[str, dict[str, list[Report]]] = {}
    for run in runs:
        methods = METHODS if run.config.neuron == "CLIF" else ("sweep",)
        for method in methods:
            report = _deploy(run, method, quiet)
            reports.setdefault(run.arm.name, {}).setdefault(method, []).append(report)
    rows = table(reports)
    write_table(plan.folder, "deployment", reports, rows)
    return rows


def _deploy(run: Run, method: str, quiet: bool) -> Report:
    folder = run.folder / ("deploy" if method == "sweep" else f"deploy_{method}")
    if not (folder / "checkpoint_lif.pth").is_file():
        if not quiet:
            print(f"{run.label}: {method}", flush=True)
        deploy_checkpoint(run.folder / LAST, {"data_dir": run.config.data_dir}, out=folder, method=method)
    return read_json(folder / "deploy.json")


def table(reports: dict[str, dict[str, list[Report]]]) -> list[list[str]]:
    """Test accuracy in % of each network: as trained, as LIF with each reset, and converted by each method.

    The gap is what the paper's choice of a reset loses; a method closes the part of it that it gives back.
    """
    rows = [["network", "deployed", "test accuracy (%)", "loses (points)", "closes of the gap (%)"]]
    for name, methods in reports.items():
        sweeps = methods["sweep"]
        trained = [report["source_top1"] for report in sweeps]
        rows.append([name, "as trained", spread(trained), "", ""])
        for i, row in enumerate(sweeps[0]["rows"]["test"]):
            reset = "soft reset" if row["v_reset"] is None else f"hard reset {row['v_reset']:g}"
            rows.append(_row(name, reset, trained, [report["rows"]["test"][i]["top1"] for report in sweeps]))
        chosen = [_converted(report) for report in sweeps]
        rows.append(_row(name, "reset chosen on training images", trained, chosen))
        for method, fitted in methods.items():
            if method != "sweep":
                rows.append(_row(name, method, trained, [_converted(report) for report in fitted], chosen))
    return rows


def _converted(report: Report) -> float:
    """The accuracy of the network that was converted, which is the last one judged."""
    accuracy: float = report["networks"][-1]["top1"]
    return accuracy


def _row(
    name: str, deployed: str, trained: list[float], accuracies: list[float], chosen: list[float] | None = None
) -> list[str]:
    lost = [before - after for before, after in zip(trained, accuracies, strict=True)]
    closed = ""
    if chosen is not None:
        gap = statistics.fmean(trained) - statistics.fmean(chosen)
        if gap > 0:
            closed = f"{100 * (statistics.fmean(accuracies) - statistics.fmean(chosen)) / gap:.0f}"
    return [name, deployed, spread(accuracies), spread(lost), closed]
