"""Charts of a report as data, for the page, for a figure in a paper, and as CSV."""

import math
from dataclasses import dataclass, field
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clif.report.statistics import Mean, mean_of
from clif.report.tables import Cell, Table, csv_text, mean, words

COLOURS = ("#0b6e99", "#c9532f", "#4f7a28", "#8d4a9e", "#8f6800", "#3f57c4", "#b03060", "#555b63")
"""The colours of the groups in order, for print and a light page; dashes distinguish the groups too."""

DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_MARKED, MOST_SIGNS, MOST_TICKS = 20, 48, 12
MOST_INSIDE, LONGEST_LABEL, MOST_IN_TWO_COLUMNS = 4, 32, 22

STYLE: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.markersize": 3,
    "pdf.fonttype": 42,
    "svg.hashsalt": "clif",
    "text.parse_math": False,
}
"""The style for one column of a paper: 85 mm wide, fonts of 7 and 8 points, embedded as TrueType."""

COLUMN = (3.35, 2.3)


@dataclass(frozen=True)
class Line:
    """The values of a group's runs over the chart's x: run index -> values (NaN if there is none)."""

    group: int
    label: str
    runs: dict[int, list[float]]
    is_reference: bool = False

    def at(self, i: int) -> Mean | None:
        """Mean and std over the runs at the i-th x."""
        return mean_of([values[i] for values in self.runs.values()])


@dataclass(frozen=True)
class Chart:
    """Lines over x; with `ticks`, x are their indices 0, 1, …, otherwise numbers. A reference is the same at every x.

    With `bars` the values are bars side by side, one per group, because nothing is between the ticks. With `scatter`
    a line is a point: its values at the two ticks, which are the labels of the axes, are its x and its y.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    x: list[float]
    lines: list[Line]
    ticks: list[str] = field(default_factory=list)
    note: str = ""
    digits: int = 2
    bars: bool = False
    scatter: bool = False

    @property
    def row_label(self) -> str:
        """The meaning of the rows of the numbers."""
        return "figure" if self.scatter else self.x_label

    @property
    def places(self) -> list[str]:
        """The labels of the axis: the ticks, or their numbers if they are too long to fit side by side."""
        if sum(map(len, self.ticks)) <= MOST_SIGNS:
            return self.ticks
        return [str(i + 1) for i in range(len(self.ticks))]

    def as_json(self) -> dict[str, Any]:
        """The chart in plain values for the page; None for a missing number."""
        lines = [
            {
                "group": line.group,
                "label": line.label,
                "reference": line.is_reference,
                "runs": [{"run": run, "y": [_finite(value) for value in values]} for run, values in line.runs.items()],
            }
            for line in self.lines
        ]
        names = {"name": self.name, "title": self.title, "xLabel": self.x_label, "yLabel": self.y_label}
        return {
            **names,
            "x": self.x,
            "ticks": self.ticks,
            "places": self.places,
            "digits": self.digits,
            "bars": self.bars,
            "scatter": self.scatter,
            "lines": lines,
        }

    def describe(self) -> str:
        """The text alternative of the picture: the first and last value of each line, or the place of each point."""
        ends = []
        for line in self.lines:
            there = [i for i in range(len(self.x)) if line.at(i) is not None]
            if there:
                first, final = (mean(line.at(i), self.digits).text for i in (there[0], there[-1]))
                between = " and " if self.scatter else " to "
                ends.append(f"{line.label}: {first}" + (f"{between}{final}" if len(there) > 1 else ""))
        if self.scatter:
            return f"{self.title}: {' and '.join(self.ticks)}. {'; '.join(ends)}."
        return f"{self.title} by {self.x_label}. {'; '.join(ends)}."

    def table(self) -> Table:
        """The numbers as a table: one row per x and one column per line, as mean ± std over its runs."""
        x_cells = [words(tick) for tick in self.ticks] or [Cell(f"{x:g}", x) for x in self.x]
        rows = [[cell, *(mean(line.at(i), self.digits) for line in self.lines)] for i, cell in enumerate(x_cells)]
        columns = [self.row_label, *(line.label for line in self.lines)]
        title = self.title if self.scatter else f"{self.title}: {self.y_label}"
        return Table(f"{self.name}_numbers", title, columns, rows)


def chart_csv(chart: Chart, run_names: list[str]) -> str:
    """The numbers as CSV: one row per x, with mean, std and n of each line of the chart, then every run's value."""
    header: list[object] = [chart.row_label]
    for line in chart.lines:
        header += [f"{line.label} {what}" for what in ("mean", "std", "n")]
        header += [f"{line.label} {run_names[run]}" for run in line.runs]
    lines = [header]
    for i, x in enumerate(chart.x):
        cells: list[object] = [chart.ticks[i] if chart.ticks else x]
        for line in chart.lines:
            value = line.at(i)
            cells += [None, None, 0] if value is None else [value.mean, value.std, value.n]
            cells += [values[i] for values in line.runs.values()]
        lines.append(cells)
    return csv_text(lines)


def _finite(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None


def draw(chart: Chart) -> Figure:
    """The chart for a column of a paper: lines are means over the runs, bands one standard deviation to each side."""
    with rc_context(STYLE):
        figure = Figure(figsize=COLUMN, layout="constrained")
        axes = figure.subplots()
        for i, line in enumerate(chart.lines):
            if chart.bars:
                _draw_bars(axes, chart, line, i)
            elif chart.scatter:
                _draw_point(axes, line)
            else:
                _draw_line(axes, chart, line)
        axes.set_xlabel(chart.x_label)
        axes.set_ylabel(chart.y_label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.4, alpha=0.35)
        if chart.scatter:
            axes.margins(0.15)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        elif chart.ticks:
            every = 1 + (len(chart.x) - 1) // MOST_TICKS
            axes.set_xticks(chart.x[::every], chart.places[::every])
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        _add_legend(figure, axes, len(chart.lines))
    return figure


def _add_legend(figure: Figure, axes: Axes, lines: int) -> None:
    """Draw the legend inside the axes if it is short, else above them, in a figure that is higher by its height."""
    if not (handles := axes.get_legend_handles_labels()[0]):
        return
    if lines <= MOST_INSIDE:
        axes.legend(frameon=False, loc="best", handlelength=2.2)
        return
    columns = 2 if max(len(str(handle.get_label())) for handle in handles) <= MOST_IN_TWO_COLUMNS else 1
    figure.set_figheight(COLUMN[1] + 0.16 * math.ceil(len(handles) / columns))
    figure.legend(handles=handles, frameon=False, loc="outside upper center", ncols=columns, handlelength=2.2)


def _draw_bars(axes: Axes, chart: Chart, line: Line, nth: int) -> None:
    width = 0.8 / len(chart.lines)
    values = [line.at(i) for i in range(len(chart.x))]
    heights = [math.nan if value is None else value.mean for value in values]
    stds = [math.nan if value is None else value.std for value in values]
    n = max((value.n for value in values if value is not None), default=0)
    places = [x + (nth - (len(chart.lines) - 1) / 2) * width for x in chart.x]
    style: dict[str, Any] = {"color": COLOURS[line.group % len(COLOURS)], "label": _with_number(line.label, n)}
    axes.bar(places, heights, 0.92 * width, yerr=stds if n > 1 else None, error_kw={"linewidth": 0.8}, **style)


def _draw_point(axes: Axes, line: Line) -> None:
    """The mean of a group's runs with one standard deviation in both directions, and the runs, faint."""
    x, y = line.at(0), line.at(1)
    if x is None or y is None:
        return
    colour, marker = COLOURS[line.group % len(COLOURS)], MARKERS[line.group % len(MARKERS)]
    if y.n > 1:
        runs = list(line.runs.values())
        axes.plot([a for a, _ in runs], [b for _, b in runs], marker, color=colour, alpha=0.35, markersize=2)
    errors: dict[str, Any] = {"xerr": x.std, "yerr": y.std, "elinewidth": 0.8, "capsize": 1.5} if y.n > 1 else {}
    axes.errorbar(x.mean, y.mean, fmt=marker, color=colour, markersize=4, label=_with_number(line.label, y.n), **errors)


def _with_number(label: str, n: int) -> str:
    label = " ".join(label.split())
    label = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    return f"{label} (n = {n})" if n > 1 else label


def _draw_line(axes: Axes, chart: Chart, line: Line) -> None:
    colour = COLOURS[line.group % len(COLOURS)]
    there = [
        (x, value) for i, x in enumerate(chart.x) if (value := line.at(i)) is not None and math.isfinite(value.mean)
    ]
    if not there:
        return
    x, means = [place for place, _ in there], [value.mean for _, value in there]
    if line.is_reference:
        axes.plot(x, means, color=colour, linestyle=(0, (1, 1.5)), linewidth=1, label=_with_number(line.label, 1))
        return
    marker = MARKERS[line.group % len(MARKERS)] if len(x) <= MOST_MARKED else ""
    dash = DASHES[line.group % len(DASHES)]
    label = _with_number(line.label, max(value.n for _, value in there))
    axes.plot(x, means, color=colour, linestyle=dash, marker=marker, label=label, linewidth=1.3 if marker else 1.0)
    stds = [0.0 if math.isnan(value.std) else value.std for _, value in there]
    if any(stds):
        low, high = ([m + sign * s for m, s in zip(means, stds, strict=True)] for sign in (-1, 1))
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
