"""Measurements of the trained networks: firing rates, energy, deployment as LIF, evaluation by class."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clif.report.charts import Chart, Line
from clif.report.groups import Group
from clif.report.results import PART_NAMES, judged
from clif.report.runs import Run
from clif.report.statistics import mean_of
from clif.report.tables import ABSENT, Cell, Table, mean, number, words

Rates = dict[str, float]


def value_of(content: object, *keys: str | int) -> float:
    """The number at a path in a JSON document; NaN if there is none."""
    for key in keys:
        try:
            content = content[key]  # type: ignore[index]
        except (LookupError, TypeError):
            return math.nan
    if not isinstance(content, int | float) or isinstance(content, bool):
        return math.nan
    try:
        return float(content)
    except OverflowError:
        return math.nan


def _rates(content: object) -> Rates:
    if not isinstance(content, Mapping):
        return {}
    return {str(layer): value_of(content, layer) for layer in content}


def _measured_rates(run: Run) -> Rates:
    return _rates(run.energy.get("firing_rates"))


def _deployed_rates(run: Run) -> Rates:
    for report in run.deployments.values():
        networks = report.get("networks")
        if isinstance(networks, list) and networks and isinstance(networks[0], dict):
            return _rates(networks[0].get("firing_rates"))
    return {}


def _training_rates(run: Run) -> Rates:
    return {name.removeprefix("rate_"): rate for name, rate in run.last.items() if name.startswith("rate_")}


RATES: tuple[tuple[str, Callable[[Run], Rates]], ...] = (
    ("on test images, as clif energy measured it", _measured_rates),
    ("on the test set, as clif deploy measured it", _deployed_rates),
    ("over the training steps of the newest epoch", _training_rates),
)


def firing_chart(groups: Sequence[Group], order: Sequence[Run]) -> Chart | None:
    """Spikes per neuron and step by layer, from the source that most groups have."""
    found = [(note, {id(run): rates for run in order if (rates := read(run))}) for note, read in RATES]
    covered = [sum(any(id(run) in rates for run in group.runs) for group in groups) for _, rates in found]
    if not max(covered):
        return None
    note, by_run = found[covered.index(max(covered))]
    values = {run: [100 * rate for rate in rates.values()] for run, rates in by_run.items()}
    layers = {tuple(rates) for rates in by_run.values()}
    chart = _by_layer(groups, order, values, next(iter(layers)) if len(layers) == 1 else ())
    return Chart(
        "firing_rates",
        "Firing rate by layer",
        "layer",
        "spikes per neuron and step (%)",
        *chart,
        note=f"Measured {note}.",
    )


def _by_layer(
    groups: Sequence[Group], order: Sequence[Run], values: Mapping[int, Sequence[float]], names: Sequence[str]
) -> tuple[list[float], list[Line], list[str]]:
    """x, lines and ticks of a chart over the layers, which are named if all runs have the same layers."""
    depth = max(map(len, values.values()))
    lines = []
    for i, group in enumerate(groups):
        padded = lambda run: [*values[id(run)], *[math.nan] * (depth - len(values[id(run)]))]  # noqa: E731
        runs = {order.index(run): padded(run) for run in group.runs if id(run) in values}
        if runs:
            lines.append(Line(i, group.name, runs))
    ticks = _short(names) if len(names) == depth else [str(i + 1) for i in range(depth)]
    return [float(i) for i in range(depth)], lines, ticks


def _short(names: Sequence[str]) -> list[str]:
    """Names of layers without their common first and last words; plain numbers if only numbers remain."""
    words_of = [name.split(".") for name in names]
    while len(names) > 1 and min(map(len, words_of)) > 1 and len({words[0] for words in words_of}) == 1:
        words_of = [words[1:] for words in words_of]
    while len(names) > 1 and min(map(len, words_of)) > 1 and len({words[-1] for words in words_of}) == 1:
        words_of = [words[:-1] for words in words_of]
    short = [".".join(words) for words in words_of]
    return [str(i + 1) for i in range(len(names))] if all(map(str.isdigit, short)) else short


ENERGY_COLUMNS = (
    ("ACs (M)", "acs", 1e-6, 2),
    ("MACs (M)", "macs", 1e-6, 2),
    ("Operations (µJ)", "microjoule", 1.0, 2),
    ("With memory (mJ)", "memory_millijoule", 1.0, 3),
    ("As published (mJ)", "published_mJ", 1.0, 3),
)


def energy_table(groups: Sequence[Group]) -> Table | None:
    """The energy of an inference by group, from the runs that have an energy.json."""
    rows, of_group = [], []
    for i, group in enumerate(groups):
        runs = [run for run in group.runs if run.energy]
        if runs:
            cells = [
                mean(mean_of([value_of(run.energy, key) for run in runs]), digits, scale)
                for _, key, scale, digits in ENERGY_COLUMNS
            ]
            same = [_same(runs, key) for key in ("images", "T")]
            rows.append([words(group.name), Cell(str(len(runs)), float(len(runs))), *same, *cells])
            of_group.append(i)
    if not rows:
        return None
    columns = ["Group", "Runs", "Images", "T", *(title for title, *_ in ENERGY_COLUMNS)]
    costs = list(dict.fromkeys(_costs(run) for group in groups for run in group.runs if run.energy))
    note = (
        f"A model of one inference on an idealised chip. Costs of an accumulation (AC) and of a multiplication with "
        f"accumulation (MAC): {'; '.join(costs)}."
    )
    if len(costs) > 1:
        note += " Energies at different costs cannot be compared."
    return Table("energy", "Energy of an inference", columns, rows, of_group, note=note)


def _same(runs: Sequence[Run], key: str) -> Cell:
    """A number of energy.json if it is that of all runs."""
    counted = {value_of(run.energy, key) for run in runs}
    return number(counted.pop(), ",.0f") if len(counted) == 1 else words("several numbers")


def _costs(run: Run) -> str:
    """The name of the costs in an energy.json."""
    costs = run.energy.get("costs")
    if not isinstance(costs, dict):
        return "not recorded"
    ac, mac = (number(value_of(costs, key), "g").text for key in ("ac_pj", "mac_pj"))
    return f"{ac} and {mac} pJ ({costs.get('name', 'unnamed')})"


def energy_chart(groups: Sequence[Group], order: Sequence[Run]) -> Chart | None:
    """The energy of the operations: at synapses, in neurons, and their sum."""
    values = {}
    for run in order:
        layers, neurons = run.energy.get("layers"), _measured_rates(run)
        if isinstance(layers, list) and layers and all(isinstance(layer, dict) for layer in layers):
            energies = [(str(layer.get("name")), value_of(layer, "operations") / 1e6) for layer in layers]
            parts = [
                sum(energy for name, energy in energies if (name in neurons) == wanted) for wanted in (False, True)
            ]
            values[id(run)] = [*parts, sum(parts)]
    if not values:
        return None
    x, lines, ticks = _by_layer(groups, order, values, ("synapses", "neurons", "both"))
    return Chart("energy", "Energy of the operations", "part of the network", "energy (µJ)", x, lines, ticks, bars=True)


def accuracy_energy_chart(groups: Sequence[Group], order: Sequence[Run], part: str) -> Chart | None:
    """The accuracy on a part of the data over the energy of the operations: one point per group."""
    lines, costs = [], set()
    for i, group in enumerate(groups):
        values = {}
        for run in judged(group):
            point = [value_of(run.energy, "microjoule"), 100 * _accuracy_of_measured(run, part)]
            if all(map(math.isfinite, point)):
                values[order.index(run)] = point
                costs.add(_costs(run))
        if values:
            lines.append(Line(i, group.name, values))
    if not lines:
        return None
    x_label, y_label = "energy of an inference (µJ)", f"{PART_NAMES[part]} accuracy (%)"
    note = "Energy of the operations. Accuracy of the epoch whose checkpoint was measured; of the last, if unknown."
    if len(costs) > 1:
        note += " Energies at different costs cannot be compared."
    title = "Accuracy against energy"
    return Chart("accuracy_energy", title, x_label, y_label, [0.0, 1.0], lines, [x_label, y_label], note, scatter=True)


def _accuracy_of_measured(run: Run, part: str) -> float:
    epoch, column = value_of(run.energy, "epoch"), f"{part}_top1"
    at_epoch = (row[column] for row in run.rows if row["epoch"] == epoch and column in row)
    return next(at_epoch, run.last.get(column, math.nan))


def energy_layers_table(groups: Sequence[Group]) -> Table | None:
    """Operations and energy of each layer; None if no run has an energy.json."""
    rows, of_group = [], []
    for i, group in enumerate(groups):
        listed = [run.energy["layers"] for run in group.runs if isinstance(run.energy.get("layers"), list)]
        names = [str(layer.get("name")) for layer in listed[0] if isinstance(layer, dict)] if listed else []
        for k, name in enumerate(names):
            figures = (
                ("spikes", 1.0, 0),
                ("acs", 1e-6, 3),
                ("macs", 1e-6, 3),
                ("operations", 1e-6, 3),
                ("memory", 1e-6, 2),
            )
            cells = [
                mean(mean_of([value_of(layers, k, key) for layers in listed]), digits, scale)
                for key, scale, digits in figures
            ]
            rows.append([words(group.name), words(name), *cells])
            of_group.append(i)
    columns = ["Group", "Layer", "Spikes", "ACs (M)", "MACs (M)", "Operations (µJ)", "With memory (µJ)"]
    return Table("energy_by_layer", "Energy by layer", columns, rows, of_group) if rows else None


def deployment_table(groups: Sequence[Group]) -> Table | None:
    """Accuracy as trained and as LIF by group and kind of deployment, over the runs that were deployed."""
    rows, of_group = [], []
    for i, group in enumerate(groups):
        for name, reports in _deployments(group).items():
            trained = [value_of(report, "source_top1") for report in reports]
            as_lif = [value_of(report, "networks", -1, "top1") for report in reports]
            fitted = {str(report.get("fitted_on", "")) for report in reports}
            rows.append(
                [
                    words(group.name),
                    words(name),
                    Cell(str(len(reports)), float(len(reports))),
                    mean(mean_of(trained), scale=100),
                    mean(mean_of(as_lif), scale=100),
                    mean(mean_of([b - a for a, b in zip(trained, as_lif, strict=True)]), scale=100, sign=True),
                    mean(mean_of([value_of(report, "networks", -1, "agreement") for report in reports]), scale=100),
                    words(", ".join(sorted({_reset(report) for report in reports} - {""})) or ABSENT),
                    words(fitted.pop() if len(fitted) == 1 else "several"),
                    mean(mean_of([value_of(report, "seconds") for report in reports]), digits=1),
                ]
            )
            of_group.append(i)
    if not rows:
        return None
    columns = ["Group", "Method", "Runs", "As trained (%)", "As LIF (%)", "Difference (points)", "Agreement (%)"]
    columns += ["Reset value", "Fitted on", "Fit (s)"]
    note = (
        "Test accuracy of the trained network and of the converted LIF network. Agreement: the share of test "
        "samples with the same prediction. No value was fitted or chosen on the test set."
    )
    return Table("deployment", "Deployment as LIF", columns, rows, of_group, note=note)


def _deployments(group: Group) -> dict[str, list[dict[str, Any]]]:
    """The reports of `clif deploy` by the name of the deployment, at most one of each run."""
    reports: dict[str, list[dict[str, Any]]] = {}
    for run in group.runs:
        for folder, report in run.deployments.items():
            reports.setdefault(_deployment_name(folder, report), []).append(report)
    return reports


def _deployment_name(folder: str, report: Mapping[str, Any]) -> str:
    """The method, with the folder if that is not the one which `clif deploy` gives the method."""
    method = str(report.get("method") or folder)
    usual = "deploy" if method == "sweep" else f"deploy_{method}"
    return method if folder in (usual, method) else f"{method} ({folder})"


def _reset(report: Mapping[str, Any]) -> str:
    """The reset value that a sweep chose."""
    if "chosen_v_reset" not in report:
        return ""
    return reset_name(report["chosen_v_reset"])


def reset_name(v_reset: object) -> str:
    return "soft" if v_reset is None else number(value_of([v_reset], 0), "g").text


def sweep_chart(groups: Sequence[Group], order: Sequence[Run]) -> Chart | None:
    """Test accuracy as LIF over the reset values, with the accuracy of the trained network."""
    swept: dict[str, dict[int, dict[str, float]]] = {}
    trained: dict[str, dict[int, float]] = {}
    for run in order:
        for folder, report in run.deployments.items():
            rows = report.get("rows")
            test = rows.get("test") if isinstance(rows, dict) else None
            if isinstance(test, list) and test and all(isinstance(row, dict) for row in test):
                name = _deployment_name(folder, report)
                by_reset = {reset_name(row.get("v_reset")): 100 * value_of(row, "top1") for row in test}
                swept.setdefault(name, {})[id(run)] = by_reset
                trained.setdefault(name, {})[id(run)] = 100 * value_of(report, "source_top1")
    ticks = list(dict.fromkeys(tick for runs in swept.values() for of_run in runs.values() for tick in of_run))
    if len(ticks) < 2:
        return None
    lines, others = [], []
    for i, group in enumerate(groups):
        names = [name for name, of_runs in swept.items() if any(id(run) in of_runs for run in group.runs)]
        for name in sorted(names, key=lambda name: name != "sweep")[:1]:
            label = group.name if name == "sweep" else f"{group.name}, {name}"
            runs = [run for run in group.runs if id(run) in swept[name]]
            values = {order.index(run): [swept[name][id(run)].get(tick, math.nan) for tick in ticks] for run in runs}
            as_trained = {order.index(run): [trained[name][id(run)]] * len(ticks) for run in runs}
            lines.append(Line(i, label, values))
            lines.append(Line(i, f"{label}, as trained", as_trained, is_reference=True))
            others += [f"{group.name}, {other}" for other in names if other != name]
    note = f"Not drawn: {'; '.join(others)}." if others else ""
    x = [float(i) for i in range(len(ticks))]
    title = "Run as LIF: test accuracy by reset value"
    return Chart("sweep", title, "reset value", "test accuracy (%)", x, lines, ticks, note)


def evaluation_table(groups: Sequence[Group], order: Sequence[Run]) -> Table | None:
    """The results of clif eval for each run."""
    rows, of_group, of_run = [], [], []
    for i, group in enumerate(groups):
        for run in group.runs:
            if run.evaluation:
                rows.append(
                    [
                        words(run.name),
                        words(run.evaluation.get("checkpoint", "")),
                        words(run.evaluation.get("dataset", "")),
                        number(value_of(run.evaluation, "T"), ".0f"),
                        *(number(value_of(run.evaluation, key), scale=100) for key in ("top1", "top5")),
                        number(value_of(run.evaluation, "loss"), ".4f"),
                        number(value_of(run.evaluation, "samples"), ",.0f"),
                        number(value_of(run.evaluation, "images_per_second"), ",.0f"),
                        words(run.evaluation.get("device", "")),
                    ]
                )
                of_group.append(i)
                of_run.append(order.index(run))
    if not rows:
        return None
    columns = ["Run", "Checkpoint", "Data set", "T", "Top-1 (%)", "Top-5 (%)", "Loss", "Samples", "Images/s", "Device"]
    return Table("evaluation", "Evaluated checkpoints", columns, rows, of_group, of_run)


def classes_table(groups: Sequence[Group]) -> Table | None:
    """The accuracy of each class as clif eval measured it, one column per group."""
    measured = [[run.evaluation.get("classes") for run in group.runs] for group in groups]
    by_group = [[classes for classes in of_group if isinstance(classes, dict) and classes] for of_group in measured]
    names = list(dict.fromkeys(name for of_group in by_group for classes in of_group for name in classes))
    if not names:
        return None
    rows = [
        [
            words(name),
            *(mean(mean_of([value_of(c, name, "top1") for c in of_group]), scale=100) for of_group in by_group),
        ]
        for name in names
    ]
    columns = ["Class", *(f"{group.name} (%)" for group in groups)]
    return Table("classes", "Test accuracy by class", columns, rows)
