"""The figures of a benchmark: as a table for reading, as JSON for keeping."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clif.bench.machine import in_words
from clif.bench.measure import Timing
from clif.errors import InputError, MissingFileError
from clif.plain_files import read_json


@dataclass(frozen=True)
class Row:
    """One contestant under one setting.

    `timing` is None if no time is reported, and `note` gives the reason: not installed, or refused by the gate.
    Otherwise `note` has remarks on the time, such as how long kernels compile. `figures` are further numbers, such as
    bytes per element, and the settings that a sweep changes.
    """

    name: str
    dtype: str
    timing: Timing | None
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All rows of a benchmark with its settings and its machine (`machine.describe`)."""

    benchmark: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    rows: list[Row]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"


def read_report(path: Path) -> Report:
    """The report in a file of `Report.to_json`; raises `InputError` if it is none."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; write one with clif bench … --json {path}")
    try:
        values = read_json(path)
        rows = [
            Row(**{**row, "timing": None if row["timing"] is None else Timing(**row["timing"])})
            for row in values.pop("rows")
        ]
        return Report(rows=rows, **values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a report of clif bench ({error})") from error


def table(report: Report, columns: Sequence[str]) -> list[list[str]]:
    """Header and rows of a table: contestant, dtype, the median with its quartiles, and the named figures."""
    lines = [["", "dtype", "ms", "quartiles", *columns]]
    for row in report.rows:
        times = ["–", ""] if row.timing is None else [number(row.timing.median), quartiles(row.timing)]
        figures = [number(row.figures[name]) if name in row.figures else "" for name in columns]
        lines.append([row.name, row.dtype, *times, *figures])
    return lines


def notes(report: Report) -> list[str]:
    """The contestants' notes, each once."""
    said: dict[str, list[str]] = {}
    for row in report.rows:
        if row.note:
            label = f"{row.name} {row.dtype}".strip()
            if label not in said.setdefault(row.note, []):
                said[row.note].append(label)
    return [f"{', '.join(labels)}: {note}" for note, labels in said.items()]


def settings_in_words(report: Report) -> str:
    """The settings that are set, in one line."""
    words = []
    for name, value in report.settings.items():
        if value not in (None, [], ()):
            shown = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            words.append(f"{name} {shown}")
    return ", ".join(words)


def quartiles(timing: Timing) -> str:
    """The quartiles of the rounds in brackets."""
    return f"[{number(timing.low)}, {number(timing.high)}]"


def number(value: float) -> str:
    """Three significant digits, no exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_text(report: Report, columns: Sequence[str]) -> str:
    """The report for a terminal."""
    lines = table(report, columns)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [f"clif bench {report.benchmark}: {settings_in_words(report)}", in_words(report.machine), ""]
    for name, dtype, *rest in lines:
        cells = [name.ljust(widths[0]), dtype.ljust(widths[1])]
        text.append("  ".join(cells + [cell.rjust(width) for cell, width in zip(rest, widths[2:], strict=True)]))
    return "\n".join([*text, *(["", *notes(report)] if notes(report) else [])])


def as_markdown(header: Sequence[str], rows: Sequence[Sequence[str]], labels: int) -> str:
    """A table for a page; the first `labels` columns hold words, the others figures."""
    rule = ["---"] * labels + ["---:"] * (len(header) - labels)
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *rows))
