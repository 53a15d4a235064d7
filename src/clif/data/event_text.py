"""Recordings as text: a line for each event, with columns x, y, t and p."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.event_columns import Named, Raw, find_columns, named_columns, place_columns
from clif.data.text import read_text
from clif.errors import InputError

COMMENTS = ("#", "%", "//")
SEPARATORS = (",", ";", "\t")
WORDS = {"true": 1.0, "false": 0.0, "on": 1.0, "off": 0.0}
"""Polarities in words."""

SIZE = re.compile(r"(?:[#%/]+\s*geometry\s*:?\s*)?(\d{1,5})[\s,;x]+(\d{1,5})", re.IGNORECASE)
"""A line with the sensor's width and height, such as 240 180 or %geometry:640,480."""

TAIL_BYTES = 4096


@dataclass(frozen=True)
class Head:
    """The head of a text before the events: the lines to skip, the separator (None: white space), the columns."""

    skipped: int
    separator: str | None
    columns: Named
    width: int


def read_text_events(path: Path, columns: str = "") -> Raw:
    """A text file in UTF-8, or in the encoding that its byte-order mark names, with a line for each event.

    The first line names the columns, in any order and among others, or the last comment before the events does (lines
    that begin with #, % or //); else `columns` gives their order. Before that a line may be the sensor's size (`SIZE`).
    Cells are separated by commas, semicolons, tabs or spaces and may be quoted; polarities may be words (true and
    false, on and off). Raises `InputError` with the number of a line that cannot be read, and for a last line that may
    be cut short: without a line end, and with the polarity not in the last column.
    """
    text = read_text(path, errors="strict")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    head = read_head(text, columns)
    _check_end(text, head)
    places = [head.columns.words[name] for name in "xytp"]
    try:
        cells = np.loadtxt(
            io.StringIO(text),
            dtype=np.float64,
            comments=None,
            delimiter=head.separator,
            skiprows=head.skipped,
            usecols=places,
            quotechar='"' if '"' in text else None,
            ndmin=2,
        )
    except ValueError:
        cells = read_lines(text, head, places)
    return Raw(dict(zip("xytp", cells.T, strict=True)), head.columns.size, head.columns.unit)


def read_head(text: str, columns: str) -> Head:
    """The head before the first event. Raises `InputError` if there is no event, or if its columns are not known."""
    named = size = None
    comment: list[str] = []
    for number, line in numbered_lines(text):
        if not size and not named and (found := SIZE.fullmatch(line)):
            size = int(found[1]), int(found[2])
            continue
        if line.startswith(COMMENTS):
            comment = _columns_of_comment(line) or comment
            continue
        separator = separator_of(line)
        cells = split_line(line, separator)
        if any(_is_number(cell) for cell in cells):
            if comment:
                named = named_columns(comment, columns)
            if named is None:
                named = Named(place_columns(columns, len(cells)))
            if len(cells) <= max(named.words.values()):
                raise InputError(f"line {number} has {len(cells)} columns: {line[:60]!r}")
            return Head(number - 1, separator, replace(named, size=size or named.size), len(cells))
        if named is not None:
            raise InputError(f"line {number} is not an event: {line[:60]!r}")
        comment, named = [], named_columns(cells, columns)
    raise InputError("the recording has no events")


def _columns_of_comment(line: str) -> list[str]:
    """The names of the columns in a comment, maybe after a colon as in "# columns: t x y p"; [] if it names none."""
    text = line.lstrip("#%/! ")
    parts = (split_line(part.strip(), separator_of(part)) for part in (text.partition(":")[2], text))
    return next(filter(_has_columns, parts), [])


def _has_columns(words: list[str]) -> bool:
    try:
        return find_columns(words) is not None
    except InputError:
        return False


def _check_end(text: str, head: Head) -> None:
    """Raise `InputError` if the last line lacks cells, or may be cut within its last cell."""
    tail = text[-TAIL_BYTES:].rstrip(" \t")
    if tail.endswith("\n"):
        return
    start = text.rfind("\n") + 1
    cells = split_line(text[start:].strip(), head.separator)
    last = max(head.columns.words.values())
    if len(cells) < head.width or (last == head.width - 1 and last != head.columns.words["p"]):
        raise InputError(
            f"its last line, {text[start:][:60]!r}, has no line end and may be cut short; if the file is whole, end "
            "the line"
        )


def read_lines(text: str, head: Head, places: list[int]) -> NDArray[np.float64]:
    """The cells in `places`, [n, 4], line by line. Raises `InputError` with a line that is not an event."""
    rows = []
    for number, line in numbered_lines(text):
        if number <= head.skipped:
            continue
        cells = split_line(line, head.separator)
        try:
            x, y, t, p = (cells[place] for place in places)
            rows.append((_number(x), _number(y), _number(t), WORDS[p.lower()] if p.lower() in WORDS else _number(p)))
        except (ValueError, IndexError):
            raise InputError(f"line {number} is not an event with x, y, t and p: {line[:60]!r}") from None
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    for number, line in enumerate(io.StringIO(text), start=1):
        if stripped := line.strip():
            yield number, stripped


def separator_of(line: str) -> str | None:
    """The separator in a line; None for white space."""
    return next((separator for separator in SEPARATORS if separator in line), None)


def split_line(line: str, separator: str | None) -> list[str]:
    """The cells of a line, without spaces and quotes around them."""
    if separator is None:
        return [cell.strip('"') for cell in line.split()]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    except (csv.Error, StopIteration):
        return [cell.strip() for cell in line.split(separator)]


def _number(cell: str) -> float:
    if "_" in cell:
        raise ValueError
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True
