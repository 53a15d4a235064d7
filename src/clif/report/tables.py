"""Tables of a report, and the same as CSV, LaTeX and Markdown."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from clif.markup import escape_latex, escape_markdown
from clif.report.statistics import Mean

MINUS = "−"
ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """The text of a cell, its value for sorting and CSV, and the standard deviation of a mean."""

    text: str
    value: float | str | None = None
    std: float | None = None


@dataclass(frozen=True)
class Table:
    """A table with a header line; `groups` and `runs` give the group and run of each row (an index, None: all)."""

    name: str
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    groups: Sequence[int | None] = ()
    runs: Sequence[int | None] = ()
    note: str = ""

    def is_numeric(self, column: int) -> bool:
        """Whether all cells of a column that have a value are numbers."""
        values = [row[column].value for row in self.rows]
        return any(isinstance(value, float) for value in values) and not any(isinstance(v, str) for v in values)

    def group_of(self, row: int) -> int | None:
        return self.groups[row] if self.groups else None

    def run_of(self, row: int) -> int | None:
        return self.runs[row] if self.runs else None


def words(text: object) -> Cell:
    """A cell of text."""
    return Cell(str(text), str(text))


def number(value: float | None, form: str = ".2f", scale: float = 1.0, note: str = "") -> Cell:
    """A cell with a number, ABSENT for None and NaN; `note` is shown after it."""
    if value is None or math.isnan(value):
        return Cell(ABSENT)
    return Cell(_signs(f"{scale * value:{form}}") + note, float(scale * value))


def mean(value: Mean | None, digits: int = 2, scale: float = 1.0, sign: bool = False) -> Cell:
    """A cell with mean ± std; without ± for a single value."""
    if value is None:
        return Cell(ABSENT)
    text = _signs(f"{scale * value.mean:{'+' if sign else ''},.{digits}f}")
    if math.isnan(value.std):
        return Cell(text, scale * value.mean)
    return Cell(f"{text} ± {scale * value.std:,.{digits}f}", scale * value.mean, scale * value.std)


def p_value(value: float) -> Cell:
    """A cell with a p-value to three digits, very small ones as a bound."""
    if math.isnan(value):
        return Cell(ABSENT)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value)


def _signs(text: str) -> str:
    return text.replace("-", MINUS)


def to_csv(table: Table) -> str:
    """The cells in full precision; a column of means is followed by one of their standard deviations."""
    with_std = [any(row[i].std is not None for row in table.rows) for i in range(len(table.columns))]
    header: list[object] = []
    for column, wide in zip(table.columns, with_std, strict=True):
        header += [column, f"{column}, std"] if wide else [column]
    lines = [header]
    for row in table.rows:
        line: list[object] = []
        for cell, wide in zip(row, with_std, strict=True):
            value = cell.text if cell.value is None and cell.text != ABSENT else cell.value
            line += [value, cell.std] if wide else [value]
        lines.append(line)
    return csv_text(lines)


def csv_text(lines: Sequence[Sequence[object]]) -> str:
    """Lines as CSV, numbers with ten digits; None and NaN are empty cells."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_csv_cell(value) for value in line] for line in lines])
    return text.getvalue()


def _csv_cell(value: object) -> object:
    if not isinstance(value, float):
        return "" if value is None else value
    return "" if math.isnan(value) else f"{value:.10g}"


def to_markdown(table: Table) -> str:
    """A table of GitHub's Markdown."""
    lines = [[escape_markdown(column) for column in table.columns]]
    lines.append(["---:" if table.is_numeric(i) else "---" for i in range(len(table.columns))])
    lines += [[escape_markdown(cell.text) for cell in row] for row in table.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(table: Table) -> str:
    """A table environment in the style of booktabs; its label is tab:NAME."""
    columns = "".join("r" if table.is_numeric(i) else "l" for i in range(len(table.columns)))
    body = "".join(f"    {' & '.join(escape_latex(cell.text) for cell in row)} \\\\\n" for row in table.rows)
    note = f" {table.note}" if table.note else ""
    return (
        "% \\usepackage{booktabs}\n"
        "\\begin{table}\n"
        "  \\centering\n"
        f"  \\caption{{{escape_latex(table.caption + '.' + note)}}}\n"
        f"  \\label{{tab:{table.name}}}\n"
        f"  \\begin{{tabular}}{{{columns}}}\n"
        "    \\toprule\n"
        f"    {' & '.join(map(escape_latex, table.columns))} \\\\\n"
        "    \\midrule\n"
        f"{body}"
        "    \\bottomrule\n"
        "  \\end{tabular}\n"
        "\\end{table}\n"
    )
