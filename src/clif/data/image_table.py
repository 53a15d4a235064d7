"""Tables of images: CSV or TSV files with a row `path,label` for each image, and optionally its part of the set."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clif.data.class_folders import PARTS
from clif.data.text import read_text
from clif.errors import InputError

SUFFIXES = (".csv", ".tsv")

OTHER_NAMES = {"category", "class", "file", "file_name", "filename", "filepath", "id", "image", "img", "name", "target"}
"""Names of columns in other tables, which are no images."""


@dataclass(frozen=True)
class Row:
    """An image of a table, with the number of its line, and its part: "train", "test", "val", or "" for none."""

    line: int
    path: Path
    label: str
    part: str


def read_table(table: Path) -> list[Row]:
    """The rows of a table of images.

    The first line names the columns path, label and optionally split, in any order and among others; without names the
    columns are path and label. Paths are relative to the table's folder and may have the separators of Windows. Columns
    are separated by tabs in a .tsv file, else by commas or, if the first line has no comma, by semicolons; cells may be
    quoted. Raises `InputError` with the number of a line that cannot be read, lacks a cell, has an unknown split, or
    names an image a second time.
    """
    text = read_text(table)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = "\t" if table.suffix.lower() == ".tsv" else "," if "," in first or ";" not in first else ";"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[Row] = []
    columns: dict[str, int] = {}
    named: dict[str, int] = {}
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                words = [cell.strip().lower() for cell in cells]
                columns = _columns(words, table)
                if "path" in words:
                    continue
            row = _row(cells, columns, reader.line_num, table)
            before = named.setdefault(os.path.abspath(row.path), row.line)
            if before != row.line:
                raise InputError(f"{table}: line {row.line} names {row.path} a second time, after line {before}")
            rows.append(row)
    except csv.Error as error:
        raise InputError(f"{table}: line {reader.line_num} cannot be read ({error})") from error
    if not rows:
        raise InputError(f"{table}: names no images; it needs a line path,label for each")
    return rows


def _columns(words: Sequence[str], table: Path) -> dict[str, int]:
    """The positions of the columns, from the words of the first line."""
    if "path" in words and "label" in words:
        return {name: words.index(name) for name in ("path", "label", "split") if name in words}
    if {"path", "label"} & set(words) or len(words) != 2 or set(words) <= OTHER_NAMES:
        raise InputError(f"{table}: the first line must name the columns path and label (and maybe split)")
    return {"path": 0, "label": 1}


def _row(cells: Sequence[str], columns: dict[str, int], line: int, table: Path) -> Row:
    if len(cells) <= max(columns.values()):
        raise InputError(f"{table}: line {line} has {len(cells)} columns, {max(columns.values()) + 1} are needed")
    path, label = (cells[columns[name]].strip() for name in ("path", "label"))
    if not path or not label:
        raise InputError(f"{table}: line {line} lacks its {'label' if path else 'path'}")
    word = cells[columns["split"]].strip() if "split" in columns else ""
    if word and word.lower() not in PARTS:
        raise InputError(f"{table}: line {line} has the split {word!r}; use train, test or val")
    if "split" in columns and not word:
        raise InputError(f"{table}: line {line} lacks its split; use train, test or val")
    return Row(line, _place(table, path), label, PARTS.get(word.lower(), ""))


def _place(table: Path, path: str) -> Path:
    """The path of an image; backslashes are separators if the file is there."""
    place, other = table.parent / path, table.parent / path.replace("\\", "/")
    return other if other != place and not os.path.exists(place) and os.path.exists(other) else place
