from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writers import make_events

from clif.data.events import Events, FrameStream, integrate, integrate_duration
from clif.errors import InputError

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "events.npz"


def part(events: Events, begin: int, end: int) -> Events:
    return {name: values[begin:end] for name, values in events.items()}


def count_one_by_one(events: Events, size: int) -> np.ndarray:
    frame = np.zeros((2, size, size), int)
    for x, y, p in zip(events["x"], events["y"], events["p"], strict=True):
        frame[p, y, x] += 1
    return frame


@pytest.mark.parametrize("split_by", ["number", "time"])
@pytest.mark.parametrize("stream", ["0", "1", "2"])
def test_golden_frames(stream, split_by):
    with np.load(GOLDEN) as golden:
        recording = {name: golden[f"{stream}/{name}"] for name in "txyp"}
        expected = golden[f"{stream}/{split_by}/frames"]
    np.testing.assert_array_equal(integrate(recording, T=len(expected), split_by=split_by), expected)


def test_fewer_events_than_frames_leave_frames_empty():
    frames = integrate(make_events(3), T=5)
    assert frames.sum((1, 2, 3)).tolist() == [0, 0, 0, 0, 3]


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 200), duration=st.integers(500, 200_000), seed=st.integers(0, 99))
def test_frames_of_equal_duration(n, duration, seed):
    recording = make_events(n, 8, start=2**32, seed=seed)
    frames = integrate_duration(recording, duration, 8, 8)
    number = (recording["t"] - recording["t"][0]) // duration
    assert len(frames) == number[-1] + 1
    for k, frame in enumerate(frames):
        chosen = {name: values[number == k] for name, values in recording.items()}
        np.testing.assert_array_equal(frame, count_one_by_one(chosen, 8))


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 200), max_size=6),
    by=st.sampled_from([{"duration": 9_000}, {"number": 17}, {"number": 1}]),
)
def test_a_stream_gives_the_same_frames_in_any_pieces(cuts, by):
    recording = make_events(200, 8)
    whole = FrameStream(8, 8, **by)
    expected = np.concatenate([whole.push(recording), whole.flush()])
    edges = [0, *sorted(cuts), 200]
    stream = FrameStream(8, 8, **by)
    pieces = [stream.push(part(recording, *edge)) for edge in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate([*pieces, stream.flush()]), expected)
    assert expected.sum() == 200
    if "number" in by:
        assert set(expected[:-1].sum((1, 2, 3)).tolist()) <= {by["number"]}


def test_a_stream_starts_anew_after_flush():
    stream = FrameStream(8, 8, number=10)
    assert len(stream.push(make_events(25, 8))) == 2
    assert stream.flush().sum() == 5
    assert len(stream.flush()) == 0
    assert len(stream.push(make_events(10, 8))) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, np.float32, np.float64])
@pytest.mark.parametrize("split_by", ["number", "time"])
def test_columns_of_any_type_give_the_same_frames(dtype, split_by):
    recording = make_events(60, 8)
    recording["t"] //= 2_000
    other = {name: values.astype(dtype) for name, values in recording.items()}
    np.testing.assert_array_equal(integrate(other, 4, 8, 8, split_by), integrate(recording, 4, 8, 8, split_by))
    np.testing.assert_array_equal(integrate_duration(other, 20, 8, 8), integrate_duration(recording, 20, 8, 8))


@pytest.mark.parametrize("t", [1.25, np.nan, np.inf])
def test_times_that_are_not_whole_are_refused(t):
    """Times in seconds would all be in the same frame."""
    recording = make_events(3) | {"t": np.array([0.0, 1.0, t])}
    for cut in (lambda: integrate(recording, 2, split_by="time"), lambda: integrate_duration(recording, 1)):
        with pytest.raises(InputError, match=r"event 2 has the time .*, which is not a whole number of µs"):
            cut()
    assert integrate(recording, 2).sum() == 3


def test_a_stream_by_number_compares_fractions_of_times():
    """Times may be seconds here, since no frame depends on them."""
    first, then, before = (make_events(3, 8) | {"t": np.full(3, t)} for t in (0.8, 0.9, 0.6))
    stream = FrameStream(8, 8, number=6)
    stream.push(first)
    with pytest.raises(InputError, match="must be sorted by time"):
        stream.push(before)
    assert stream.push(then).shape == (1, 2, 8, 8)
    negative = FrameStream(8, 8, number=6)
    negative.push(first | {"t": first["t"] - 1.3})
    assert negative.push(then | {"t": then["t"] - 1.3}).shape == (1, 2, 8, 8)


def test_a_whole_duration_may_be_a_float():
    recording = make_events(20)
    np.testing.assert_array_equal(integrate_duration(recording, 10.0), integrate_duration(recording, 10))


def test_mistakes():
    recording = make_events(20)
    for T in (0, 4.0, "4"):
        with pytest.raises(InputError, match=f"T must be a whole number of at least 1, got {T!r}"):
            integrate(recording, T=T)
    with pytest.raises(InputError, match='"number" or "time"'):
        integrate(recording, split_by="events")
    with pytest.raises(InputError, match="outside 0…33"):
        integrate(recording, height=34, width=34)
    with pytest.raises(InputError, match="no events"):
        integrate(part(recording, 0, 0))
    with pytest.raises(InputError, match="20 times for 19 x"):
        integrate(recording | {"x": recording["x"][1:]})
    with pytest.raises(InputError, match=r"event 0 has x 0\.5, which is not a whole number"):
        integrate(recording | {"x": np.full(20, 0.5)})
    with pytest.raises(InputError, match=r"polarities p go from -1 to 1; they must be 0 \(darker\) and 1"):
        integrate(recording | {"p": 2 * recording["p"] - 1})
    backwards = recording | {"t": recording["t"][::-1]}
    with pytest.raises(InputError, match="backwards"):
        integrate(backwards, split_by="time")
    with pytest.raises(InputError, match="must be sorted by time"):
        FrameStream(number=3).push(backwards)
    with pytest.raises(InputError, match="either a duration in µs or a number"):
        FrameStream()
    for by in ({"duration": 0}, {"duration": 10.5}, {"number": 3.5}, {"number": True}):
        with pytest.raises(
            InputError, match=f"a whole number of at least 1 µs or 1 event, got {next(iter(by.values()))}"
        ):
            FrameStream(**by)
    far = recording | {"t": recording["t"] + np.arange(20) * 2**33}
    with pytest.raises(InputError, match="do not fit in memory"):
        integrate_duration(far, 1)
