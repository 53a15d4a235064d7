"""Integration of events into frames: how often each pixel fired, for each polarity.

Frames are int32 [T, 2, height, width]; channel 0 counts p = 0 and channel 1 counts p = 1.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clif.errors import InputError
from clif.sizes import is_count

Frames = NDArray[np.int32]

MAX_BYTES = 4 << 30


def integrate(
    events: Mapping[str, NDArray], T: int = 10, height: int = 128, width: int = 128, split_by: str = "number"
) -> Frames:
    """T frames int32 [T, 2, height, width] of a recording {"t" µs, "x", "y", "p"}, split as SpikingJelly does.

    - "number": each frame has n // T events; the last frame also has the rest.
    - "time": each frame lasts (t[-1] − t[0]) // T µs; the last frame also has the rest. A frame may have no event.

    Raises `InputError` for a recording without events or with events outside height × width, for times that run
    backwards or are not whole ("time" only), for T < 1 and for another `split_by`.

    >>> ev = {"t": np.array([0, 5, 9, 12]), "x": np.arange(4), "y": np.arange(4), "p": np.array([0, 1, 1, 0])}
    >>> frames = clif.data.events.integrate(ev, T=2, height=8, width=8)
    >>> frames.shape, frames.sum(axis=(1, 2, 3)).tolist()
    ((2, 2, 8, 8), [2, 2])
    """
    if not is_count(T):
        raise InputError(f"T must be a whole number of at least 1, got {T!r}")
    pixel = pixel_index(events, height, width)
    n = len(pixel)
    if n == 0:
        raise InputError("the recording has no events to integrate")
    if split_by == "number":
        inner = np.arange(1, T) * (n // T)
    elif split_by == "time":
        t = whole_times(events)
        if (t[1:] < t[:-1]).any():
            raise InputError("the events' times run backwards; sort them first, or split by number")
        start, stop = int(t[0]), int(t[-1])
        inner = np.searchsorted(t, start + np.arange(1, T) * ((stop - start) // T))
    else:
        raise InputError(f'split_by must be "number" or "time", got {split_by!r}')
    return count_slices(pixel, np.array([0, *inner, n]), height, width)


def integrate_duration(events: Mapping[str, NDArray], duration: float, height: int = 128, width: int = 128) -> Frames:
    """Frames of `duration` µs each, from the first event to the last.

    int32 [k, 2, height, width]; without events k = 0. Raises `InputError` as `FrameStream` does.

    >>> ev = {"t": np.array([0, 5, 9, 12]), "x": np.arange(4), "y": np.arange(4), "p": np.array([0, 1, 1, 0])}
    >>> clif.data.events.integrate_duration(ev, duration=5, height=8, width=8).shape  # 5 µs each
    (3, 2, 8, 8)
    """
    stream = FrameStream(height, width, duration=duration)
    return np.concatenate([stream.push(events), stream.flush()])


def _whole(span: Any) -> int:
    """A span as a whole number; 10.0 is one too. Raises `InputError` for another."""
    whole = int(span) if isinstance(span, float) and span.is_integer() else span
    if not is_count(whole):
        raise InputError(f"a frame must span a whole number of at least 1 µs or 1 event, got {span!r}")
    return int(whole)


class FrameStream:
    """Integrates a stream of events to frames of `duration` µs each, from the first event on, or of `number` events.

    `push` takes the next events in order and returns the frames [k, 2, height, width] that they complete. A frame of a
    duration is complete when an event after its end arrives. `flush` returns the unfinished frame, [1, …] or [0, …],
    and starts a new stream. Frames are int32.

    Raises `InputError` unless one of `duration` and `number` is given, at least 1. `push` raises it for events outside
    height × width or earlier than those before them, for times that are not whole µs (with a duration), and if the
    frames that it would return exceed 4 GiB.

    >>> ev = {"t": np.array([0, 5, 9, 12]), "x": np.arange(4), "y": np.arange(4), "p": np.array([0, 1, 1, 0])}
    >>> stream = clif.data.events.FrameStream(8, 8, number=3)
    >>> stream.push(ev).shape  # one frame is complete
    (1, 2, 8, 8)
    >>> int(stream.flush().sum())  # the fourth event
    1
    """

    def __init__(
        self, height: int = 128, width: int = 128, *, duration: float | None = None, number: float | None = None
    ) -> None:
        if (duration is None) == (number is None):
            raise InputError("a frame stream needs either a duration in µs or a number of events")
        self.height = height
        self.width = width
        self.duration = None if duration is None else _whole(duration)
        self.number = None if number is None else _whole(number)
        self.reset()

    def reset(self) -> None:
        """Forget the unfinished frame; the next event begins a new stream."""
        self.frame: Frames = np.zeros((1, 2, self.height, self.width), dtype=np.int32)
        self.pending = 0
        self.start: int | None = None
        self.last: float = 0

    def push(self, events: Mapping[str, NDArray]) -> Frames:
        pixel = pixel_index(events, self.height, self.width)
        t = whole_times(events) if self.duration is not None else np.asarray(events["t"])
        if len(pixel) == 0:
            return self.frame[:0].copy()
        if (self.start is not None and t[0] < self.last) or (t[1:] < t[:-1]).any():
            raise InputError("the events of a stream must be sorted by time")
        self.start = int(t[0]) if self.start is None else self.start
        self.last = t[-1].item()
        edges = self._edges(t)
        if (len(edges) - 1) * self.frame.nbytes > MAX_BYTES:
            raise InputError(f"{len(edges) - 2} frames between two pushes do not fit in memory; take longer frames")
        frames = count_slices(pixel, edges, self.height, self.width)
        frames[0] += self.frame[0]
        self.frame = frames[-1:].copy()
        return frames[:-1]

    def flush(self) -> Frames:
        frame = self.frame[: int(self.pending > 0)].copy()
        self.reset()
        return frame

    def _edges(self, t: NDArray) -> NDArray:
        """Where frames start and end in these events; the first and the last frame may be unfinished."""
        n = len(t)
        if self.number is not None:
            completed, rest = divmod(self.pending + n, self.number)
            inner = np.arange(1, completed + 1) * self.number - self.pending
            self.pending = rest
        else:
            assert self.duration is not None
            assert self.start is not None
            completed = (int(self.last) - self.start) // self.duration
            if completed * self.frame.nbytes > MAX_BYTES:
                raise InputError(f"{completed} frames of {self.duration} µs do not fit in memory; take longer frames")
            self.start += completed * self.duration
            inner = np.searchsorted(t, self.start - np.arange(completed)[::-1] * self.duration)
            self.pending = 1
        return np.array([0, *inner, n])


def whole_times(events: Mapping[str, NDArray]) -> NDArray:
    """The times of events, which may have the type of floating-point numbers. Raises `InputError` for a fraction."""
    t = np.asarray(events["t"])
    if (first := first_fraction(t)) is not None:
        raise InputError(
            f"event {first} has the time {t[first]}, which is not a whole number of µs; multiply times in seconds by "
            "10⁶, or give their time_unit to read_recording"
        )
    return t


def first_fraction(values: NDArray) -> int | None:
    """The first value that is not a whole number."""
    if values.dtype.kind != "f":
        return None
    fractions = ~np.isfinite(values) | (values != np.floor(values))
    return int(fractions.argmax()) if fractions.any() else None


def pixel_index(events: Mapping[str, NDArray], height: int, width: int) -> NDArray[np.int64]:
    """The position of each event in a flat frame [2, height, width].

    Raises `InputError` for an event that lies outside or between pixels.
    """
    x, y, p = (np.asarray(events[name]) for name in "xyp")
    if not len(x) == len(y) == len(p) == len(events["t"]):
        raise InputError(f"{len(events['t'])} times for {len(x)} x, {len(y)} y and {len(p)} polarities")
    if len(p) and not (p.min() >= 0 and p.max() <= 1):
        raise InputError(f"the polarities p go from {p.min()} to {p.max()}; they must be 0 (darker) and 1 (brighter)")
    for name, values, size in (("x", x, width), ("y", y, height)):
        if len(values) and not (values.min() >= 0 and values.max() < size):
            raise InputError(
                f"{name} goes from {values.min()} to {values.max()}, outside 0…{size - 1}; "
                f"integrate with the sensor's height and width (now {height}×{width})"
            )
    for name, values in (("x", x), ("y", y), ("p", p)):
        if (first := first_fraction(values)) is not None:
            raise InputError(f"event {first} has {name} {values[first]}, which is not a whole number")
    x, y, p = (values.astype(np.int64) for values in (x, y, p))
    return (p * height + y) * width + x


def count_slices(pixel: NDArray, edges: NDArray, height: int, width: int) -> Frames:
    """One frame for the events between each two neighbouring edges."""
    frames = np.empty((len(edges) - 1, 2 * height * width), dtype=np.int32)
    for frame, (begin, end) in zip(frames, pairwise(edges), strict=True):
        frame[:] = np.bincount(pixel[begin:end], minlength=frame.size)
    return frames.reshape(-1, 2, height, width)
