"""Recordings as columns x, y, t and p under any usual names, and their conversion to events.

Errors do not name the file; `clif.data.untrusted.naming` adds its name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clif.data.clock import in_order
from clif.data.complete import shortened
from clif.data.events import Events
from clif.data.frames import first_fraction
from clif.data_options import TIME_UNITS, column_names
from clif.errors import InputError

NAMES = {
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on"),
}
"""The names of the columns, in lower case; t with its unit as in t_us and t [ms], x and y as x@346, y@260."""

MEANING = {name: column for column, names in NAMES.items() for name in names}
WORD = re.compile(r"([a-z]+)(?:@(\d{1,5})|_(us|ms|s)| ?[\[(](us|µs|ms|s)[\])])?")
MICROSECONDS = dict(zip(TIME_UNITS, (1, 1_000, 1_000_000), strict=True))
LARGEST_TIME = 1 << 62
LARGEST_SIDE = 1 << 15
LONGEST_WORD = 40
"""The letters of a column's name that an error shows."""


@dataclass(frozen=True)
class Raw:
    """A recording as it is in its file: columns "x", "y", "t", "p" [n] of any type.

    `size` is the sensor's (width, height) and `unit` that of the times, one of `TIME_UNITS`, if the file has it.
    """

    columns: Mapping[str, NDArray]
    size: tuple[int, int] | None = None
    unit: str = ""


@dataclass(frozen=True)
class Named:
    """The words that name the columns x, y, t and p, and the sensor size and time unit in these words."""

    words: dict[str, int]
    size: tuple[int, int] | None = None
    unit: str = ""


def find_columns(words: Sequence[str]) -> Named | None:
    """The columns that some words name, in any order and case, with other words among them; None if one is missing.

    Raises `InputError` if two words name the same column.
    """
    found: dict[str, int] = {}
    sizes: dict[str, int] = {}
    unit = ""
    for index, word in enumerate(words):
        parts = WORD.fullmatch(word.strip().lower())
        column = MEANING.get(parts[1]) if parts else None
        if parts is None or column is None:
            continue
        word_unit = parts[3] or parts[4]
        if (parts[2] and column not in "xy") or (word_unit and column != "t"):
            continue
        if column in found:
            raise InputError(f"{words[found[column]]!r} and {word!r} both name {column}; rename one of them")
        found[column] = index
        if parts[2]:
            sizes[column] = int(parts[2])
        unit = unit or (word_unit or "").replace("µ", "u")
    if len(found) < len(NAMES):
        return None
    return Named(found, (sizes["x"], sizes["y"]) if len(sizes) == 2 else None, unit)


def place_columns(columns: str, number: int) -> dict[str, int]:
    """The positions of the columns among `number` without names, from `columns` ("x,y,t,p", "-" for others).

    Raises `InputError` if `columns` is empty, or names another number of columns.
    """
    if not columns:
        raise InputError(
            f"its {number} columns have no names; give them in order, such as --columns x,y,t,p (and - for others)"
        )
    names = column_names(columns)
    if len(names) != number:
        raise InputError(f"has {number} columns, --columns {columns} names {len(names)}; write - for others")
    return {name: index for index, name in enumerate(names) if name != "-"}


def _listed(words: Sequence[str]) -> str:
    return shortened([word[:LONGEST_WORD] for word in words], ", ")


def named_columns(words: Sequence[str], columns: str) -> Named:
    """The positions of the columns with these names, or from `columns` if the names do not include all four.

    Raises `InputError` if neither gives the positions, or if they contradict each other.
    """
    found = find_columns(words)
    if found is None and columns:
        return Named(place_columns(columns, len(words)))
    if found is None:
        raise InputError(
            f"its columns are called {_listed(words)}, which are not x, y, t and p; give them in order, such as "
            "--columns x,y,t,p (and - for others)"
        )
    if columns and any(column_names(columns)[i : i + 1] != [name] for name, i in found.words.items()):
        raise InputError(
            f"its columns are called {_listed(words)}, --columns {columns} has another order; leave it out"
        )
    return found


def to_events(raw: Raw, size: tuple[int, int] | None = None, time_unit: str = "", sort: bool = False) -> Events:
    """The events of a recording: times int64 in µs, or unchanged without a unit; polarities 0 and 1.

    `size` is the sensor's (width, height) and `time_unit` that of the times, if the file does not have them. Raises
    `InputError` for columns of other types or lengths, none at all, NaN, pixels that are not whole or lie outside the
    sensor, polarities that are not 0 and 1, −1 and 1 or booleans, times that run backwards unless `sort`, and a size or
    unit that contradicts the file's. Events are counted from 0.
    """
    columns = {name: np.asarray(raw.columns[name]) for name in "txyp"}
    for name, values in columns.items():
        if values.ndim != 1 or values.dtype.kind not in "iufb":
            raise InputError(f"{name} must be numbers [n], got {values.dtype} {list(values.shape)}")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"its columns differ in length: {', '.join(f'{n} {name}' for name, n in lengths.items())}")
    if not lengths["t"]:
        raise InputError("the recording has no events")
    x, y = (_whole(name, columns[name]) for name in "xy")
    _check_inside(x, y, common_size(raw.size, size))
    unit = common_unit(raw.unit, time_unit)
    events = {
        "t": _times(columns["t"], unit),
        "x": x.astype(np.int32),
        "y": y.astype(np.int32),
        "p": _polarities(columns["p"]),
    }
    return in_order(events, sort, "µs" if unit else "")


def common_size(said: tuple[int, int] | None, given: tuple[int, int] | None) -> tuple[int, int] | None:
    """The sensor's size, from the file or as given. Raises `InputError` if they differ, or for an impossible size."""
    if said and not all(1 <= side <= LARGEST_SIDE for side in said):
        raise InputError(f"gives a sensor of {said[0]}x{said[1]} pixels; each side must be 1 to {LARGEST_SIDE}")
    if said and given and said != given:
        raise InputError(
            f"is from a sensor of {said[0]}x{said[1]} pixels according to its header, not of {given[0]}x{given[1]} "
            "(--sensor-size)"
        )
    return said or given


def common_unit(said: str, given: str) -> str:
    """The unit of the times, from the file or as given. Raises `InputError` if they differ."""
    if said and given and said != given:
        raise InputError(f"its times are in {said} according to its header, not in {given} (--time-unit)")
    return said or given


def _whole(name: str, values: NDArray) -> NDArray:
    if values.dtype.kind == "b":
        raise InputError(f"{name} must be whole numbers, got bool")
    if (first := first_fraction(values)) is not None:
        raise InputError(f"event {first} has {name} {values[first]}, which is not a whole number")
    return values


def _check_inside(x: NDArray, y: NDArray, size: tuple[int, int] | None) -> None:
    width, height = size or (LARGEST_SIDE, LARGEST_SIDE)
    outside = (x < 0) | (y < 0) | (x >= width) | (y >= height)
    if outside.any():
        first = int(outside.argmax())
        known = f"the {width}x{height} pixels of the sensor" if size else "any sensor"
        raise InputError(
            f"event {first} is at x {x[first]:.0f}, y {y[first]:.0f}, outside {known}, as {int(outside.sum())} of "
            f"{len(x)} events do; the file is damaged, or the sensor is another (--sensor-size)"
        )


def _polarities(p: NDArray) -> NDArray[np.int32]:
    if p.dtype.kind == "b":
        return p.astype(np.int32)
    positive, negative, zero = p == 1, p == -1, p == 0
    if not (known := positive | negative | zero).all():
        first = int((~known).argmax())
        raise InputError(f"event {first} has the polarity {p[first]}; they must be 0 and 1, or -1 and 1")
    if negative.any() and zero.any():
        raise InputError(
            f"event {int(negative.argmax())} has the polarity -1 and event {int(zero.argmax())} the polarity 0; they "
            "must be 0 and 1, or -1 and 1"
        )
    return positive.astype(np.int32)


def _times(t: NDArray, unit: str) -> NDArray:
    if t.dtype.kind == "b":
        raise InputError("t must be numbers, got bool")
    factor = MICROSECONDS[unit] if unit else 1
    largest = LARGEST_TIME // factor
    bad = ~((t > -largest) & (t < largest))
    if bad.any():
        first = int(bad.argmax())
        raise InputError(f"event {first} has the time {t[first]}, which is not a time")
    if t.dtype.kind != "f":
        return t.astype(np.int64) * factor
    return np.rint(t.astype(np.float64) * factor).astype(np.int64) if unit else t
