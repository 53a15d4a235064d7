"""Times of events: clocks that wrap, and events that are not in the order of their times."""

import numpy as np
from numpy.typing import NDArray

from clif.errors import InputError


def unwrap(t: NDArray, bits: int) -> NDArray[np.int64]:
    """The times of a clock with so many bits, continued when the clock wraps.

    Two neighbours are less than half of the clock's range apart: a larger step means that the clock wrapped.
    """
    t = t.astype(np.int64)
    half = 1 << (bits - 1)
    steps = np.diff(t)
    if not (np.abs(steps) >= half).any():
        return t
    steps = (steps + half) % (2 * half) - half
    t[1:] = t[0] + np.cumsum(steps)
    return t - 2 * half * min(0, int(t.min()) // (2 * half))


def in_order(events: dict[str, NDArray], sort: bool = False, unit: str = "µs") -> dict[str, NDArray]:
    """The recording {"t", "x", "y", "p"}, sorted by time if `sort`; equal times keep their order.

    Raises `InputError`, with the times in their `unit`, if they run backwards and `sort` is False.
    """
    t = events["t"]
    backwards = t[1:] < t[:-1]
    if not backwards.any():
        return events
    if sort and all(len(values) == len(t) for values in events.values()):
        order = np.argsort(t, kind="stable")
        return {name: values[order] for name, values in events.items()}
    first = int(backwards.argmax())
    largest = (t[:-1][backwards] - t[1:][backwards]).max()
    unit = f" {unit}" if unit else ""
    raise InputError(
        f"time runs backwards after event {first} ({t[first]}{unit}, then {t[first + 1]}{unit}), "
        f"at {int(backwards.sum())} of {len(t)} events, by at most {largest}{unit}; the file is damaged, or its "
        "camera wrote events out of order: sort them by --sort-events (in Python sort_events=True, for one recording "
        "sort=True)"
    )
