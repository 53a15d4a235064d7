"""The results of a report: final accuracy and loss by group, their differences, single runs."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from clif.report.charts import Chart, Line
from clif.report.groups import Group, best, last, same_test_set
from clif.report.runs import PARTS, Run
from clif.report.statistics import Mean, PairedTest, holm, mean_of, paired_test
from clif.report.tables import ABSENT, Cell, Table, mean, number, p_value, words

MOST_VERDICTS = 3
PART_NAMES = {"test": "test", "val": "validation", "train": "training"}


@dataclass(frozen=True)
class Card:
    """A headline figure: its group, the mean as text, and the number of runs."""

    group: int
    name: str
    text: str
    note: str


def judged_part(groups: Sequence[Group]) -> str:
    """The part of the data on which the groups are compared: the first of test, val and train that all of them have.

    Groups whose runs have no epoch yet do not count.
    """
    begun = [group for group in groups if any(run.rows for run in judged(group))]
    for part in PARTS:
        if all(any(f"{part}_top1" in run.last for run in judged(group)) for group in begun):
            return part
    return "train"


def judged(group: Group) -> list[Run]:
    """The runs that have ended, or all runs if none of them has."""
    return group.complete or group.runs


def _mean(group: Group, column: str) -> Mean | None:
    figure = last(column)
    return mean_of([value for run in judged(group) if (value := figure(run)) is not None])


def _mean_of_best(group: Group, column: str) -> Mean | None:
    """The mean over the best epochs; None if nothing chooses them or one of them does not have the figure."""
    if not group.runs[0].chosen_on:
        return None
    values = [best(column)(run) for run in judged(group) if run.rows]
    found = [value for value in values if value is not None]
    return mean_of(found) if len(found) == len(values) else None


def cards(groups: Sequence[Group], part: str) -> list[Card]:
    """The accuracy in the last epoch of each group."""
    found = []
    for i, group in enumerate(groups):
        value = _mean(group, f"{part}_top1")
        text = mean(value, scale=100).text
        note = f"{PART_NAMES[part]} accuracy, last epoch; {_number_of_runs(group)}"
        found.append(Card(i, group.name, text if value is None else f"{text} %", note))
    return found


def _number_of_runs(group: Group) -> str:
    done, all_runs = len(group.complete), len(group.runs)
    if done == all_runs:
        return "1 seed" if done == 1 else f"{done} seeds"
    return f"{done} of {all_runs} ended" if done else "so far, not finished"


def final_table(groups: Sequence[Group], part: str) -> Table:
    """Mean ± std over the seeds of each group, of the last and of the best epoch."""
    name = PART_NAMES[part]
    has_gap = False
    chosen = {group.runs[0].chosen_on for group in groups} - {""}
    rows = []
    for group in groups:
        of_best = _mean_of_best(group, f"{part}_top1")
        has_gap |= of_best is None and bool(group.runs[0].chosen_on) and any(run.rows for run in judged(group))
        row = [
            words(group.name),
            Cell(_number_of_runs(group), float(len(judged(group)))),
            mean(_mean(group, f"{part}_top1"), scale=100),
            mean(_mean(group, f"{part}_loss"), digits=4),
            mean(of_best, scale=100),
            _epochs(judged(group)),
            mean(mean_of([training_seconds(run) / 60 for run in judged(group)]), digits=1),
        ]
        rows.append(row)
    columns = ["Group", "Runs", f"{name.capitalize()} accuracy (%)", f"{name.capitalize()} loss"]
    columns += ["Best epoch (%)", "Epochs", "Training (min)"]
    note = (
        f"Top-1 accuracy and loss of the last epoch: mean ± sample standard deviation over seeds. {_best(chosen, name)}"
    )
    if has_gap:
        note += f" {ABSENT}: a run was not evaluated on the {name} set in its best epoch."
    return Table("final", f"Final {name} results", columns, rows, list(range(len(groups))), note=note.strip())


def _epochs(runs: Sequence[Run]) -> Cell:
    numbers = sorted({len(run.rows) for run in runs})
    return Cell(f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}", float(numbers[-1]))


def _best(chosen: set[str], name: str) -> str:
    if not chosen:
        return ""
    parts = " or ".join(PART_NAMES.get(part, part) for part in sorted(chosen))
    text = f"Best epoch: the {name} accuracy of the epoch with the highest {parts} accuracy"
    return f"{text}; chosen on the test set, so it is optimistic." if "test" in chosen else f"{text}."


def training_seconds(run: Run) -> float:
    """The time of the training steps of all epochs, without evaluations."""
    return sum(row.get("train_seconds", 0.0) for row in run.rows)


@dataclass(frozen=True)
class Comparison:
    """Two groups (indices) on one figure: the paired test of a − b, with its p-value after Holm's correction."""

    a: int
    b: int
    figure: str
    test: PairedTest
    corrected: float


def compare(groups: Sequence[Group], part: str) -> list[Comparison]:
    """The tests of every two groups that are evaluated on the same images: accuracy and loss of the last epoch."""
    found = []
    pairs = [
        (a, b)
        for a, b in itertools.combinations(range(len(groups)), 2)
        if same_test_set(groups[a].config, groups[b].config)
    ]
    for figure in ("top1", "loss"):
        column = last(f"{part}_{figure}")
        tests = [paired_test(groups[b].figures(column), groups[a].figures(column)) for a, b in pairs]
        corrected = holm([test.p for test in tests])
        found += [
            Comparison(a, b, figure, *one)
            for (a, b), one in zip(pairs, zip(tests, corrected, strict=True), strict=True)
        ]
    return found


def difference_table(groups: Sequence[Group], comparisons: Sequence[Comparison], part: str) -> Table | None:
    """The tests of `compare`; None if nothing can be compared."""
    if not comparisons:
        return None
    several = len({(one.a, one.b) for one in comparisons}) > 1
    name = PART_NAMES[part]
    rows = []
    for one in comparisons:
        test, is_accuracy = one.test, one.figure == "top1"
        scale, digits = (100, 2) if is_accuracy else (1, 4)
        row = [
            words(f"{groups[one.a].name} − {groups[one.b].name}"),
            words(f"{name} accuracy (points)" if is_accuracy else f"{name} loss"),
            Cell(str(len(test.seeds)), float(len(test.seeds))),
            mean(test.difference, digits, scale, sign=True),
            _interval(test, digits, scale),
            number(test.t),
            p_value(test.p) if not test.why_not else Cell(test.why_not),
        ]
        rows.append([*row, p_value(one.corrected)] if several else row)
    columns = [
        "Difference",
        "Figure",
        "Seeds",
        "Mean ± std",
        "95 % interval",
        "t",
        "p",
        *(["p (Holm)"] if several else []),
    ]
    note = (
        "The last epoch, with a two-sided t-test, paired over the seeds that both groups have. It assumes normally "
        "distributed differences; with few seeds it finds only large differences."
    )
    return Table("differences", "Differences between groups", columns, rows, note=note)


def _interval(test: PairedTest, digits: int, scale: float) -> Cell:
    if math.isnan(test.low):
        return Cell(ABSENT)
    ends = [number(end, f"+.{digits}f", scale).text for end in (test.low, test.high)]
    return Cell(f"{ends[0]} to {ends[1]}")


def verdict(groups: Sequence[Group], comparisons: Sequence[Comparison]) -> list[str]:
    """One sentence per comparison of accuracies; only those with the best group if there are over `MOST_VERDICTS`."""
    pairs = [one for one in comparisons if one.figure == "top1" and one.test.difference is not None]
    if len(pairs) <= MOST_VERDICTS:
        return [_sentence(groups, one, one.a, len(pairs) > 1) for one in pairs]
    wins = Counter(one.a if one.test.difference.mean > 0 else one.b for one in pairs if one.test.difference)
    first = wins.most_common(1)[0][0]
    return [_sentence(groups, one, first, True) for one in pairs if first in (one.a, one.b)]


def _sentence(groups: Sequence[Group], one: Comparison, first: int, corrected: bool) -> str:
    """The sentence about the comparison of the group `first` with the other one."""
    test, n = one.test, len(one.test.seeds)
    second, sign = (one.b, 1) if first == one.a else (one.a, -1)
    assert test.difference is not None
    difference = Mean(sign * test.difference.mean, test.difference.std, n)
    text = f"{groups[first].name} − {groups[second].name}: {mean(difference, 2, 100, sign=True).text} points"
    if test.why_not:
        return f"{text}{f' over {n} seeds, ' if n > 1 else '; '}{test.why_not}."
    p = p_value(one.corrected if corrected else test.p).text
    how = "paired t-test, Holm's correction" if corrected else "paired t-test"
    return f"{text} over {n} seeds, p {p if p.startswith('<') else f'= {p}'} ({how})."


def runs_table(groups: Sequence[Group], part: str, order: Sequence[Run]) -> Table:
    """Every run, with its state and its figures."""
    rows, of_group, of_run = [], [], []
    for i, group in enumerate(groups):
        for run in group.runs:
            chosen = run.best if run.chosen_on else {}
            epoch = f" (epoch {chosen['epoch'] + 1:g})" if chosen else ""
            rows.append(
                [
                    words(run.name),
                    words(group.name),
                    Cell(str(run.seed), float(run.seed)),
                    words(run.state),
                    number(run.last.get(f"{part}_top1"), scale=100),
                    number(run.last.get(f"{part}_loss"), ".4f"),
                    number(chosen.get(f"{part}_top1"), scale=100, note=epoch),
                    number(run.last.get("train_loss"), ".4f"),
                    number(training_seconds(run) / 60, ".1f"),
                    number(run.last.get("train_images_per_second"), ",.0f"),
                ]
            )
            of_group.append(i)
            of_run.append(order.index(run))
    name = PART_NAMES[part].capitalize()
    columns = ["Run", "Group", "Seed", "State", f"{name} accuracy (%)", f"{name} loss", "Best epoch (%)"]
    columns += ["Training loss", "Training (min)", "Images/s"]
    return Table("runs", "Single runs", columns, rows, of_group, of_run, "The newest epoch of each run.")


CURVES = (
    ("{part}_top1", "{name} accuracy", "{name} accuracy (%)", 100.0, 2),
    ("{part}_loss", "{name} loss", "{name} loss", 1.0, 4),
)
OTHER_CURVES = (
    ("lr", "Learning rate", "learning rate", 1.0, 5),
    ("train_grad_norm_mean", "Gradient norm", "gradient norm, mean", 1.0, 3),
    ("firing_rate", "Firing rate in training, mean over layers", "mean firing rate over layers (%)", 100.0, 2),
)

NOTES = {"firing_rate": "Spikes per neuron and step of each layer, averaged over the layers, which count equally."}


def curves(groups: Sequence[Group], order: Sequence[Run]) -> list[Chart]:
    """The curves over two or more epochs: accuracy and loss of each part of the data, then the rest."""
    wanted = [
        (
            column.format(part=part),
            title.format(name=PART_NAMES[part]),
            label.format(name=PART_NAMES[part]),
            scale,
            digits,
        )
        for part in PARTS
        for column, title, label, scale, digits in CURVES
    ]
    charts = [_curve(groups, order, *one) for one in (*wanted, *OTHER_CURVES)]
    return [chart for chart in charts if len(chart.x) > 1]


def _curve(
    groups: Sequence[Group], order: Sequence[Run], column: str, title: str, label: str, scale: float, digits: int
) -> Chart:
    figure = _mean_rate if column == "firing_rate" else lambda row: row.get(column, math.nan)
    by_epoch = {
        id(run): {int(row["epoch"]): scale * figure(row) for row in run.rows if not math.isnan(figure(row))}
        for run in order
    }
    epochs = sorted({epoch for values in by_epoch.values() for epoch in values})
    lines = []
    for i, group in enumerate(groups):
        runs = {order.index(run): [by_epoch[id(run)].get(epoch, math.nan) for epoch in epochs] for run in group.runs}
        if any(not math.isnan(value) for values in runs.values() for value in values):
            lines.append(Line(i, group.name, runs))
    title = title[0].upper() + title[1:]
    x = [float(epoch + 1) for epoch in epochs]
    return Chart(column, title, "epoch", label, x, lines, note=NOTES.get(column, ""), digits=digits)


def _mean_rate(row: dict[str, float]) -> float:
    """The mean over the layers, which count equally whatever their numbers of neurons."""
    rates = [value for name, value in row.items() if name.startswith("rate_")]
    return sum(rates) / len(rates) if rates else math.nan
