"""Clocks that wrap, events out of order, and words that are not events of pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from writers import aedat2, aedat3, make_events, nmnist

from clif.data.clock import in_order, unwrap
from clif.data.events import parse_aedat2, read_aedat3, read_nmnist
from clif.errors import InputError


@given(
    bits=st.sampled_from([23, 32]),
    start=st.integers(0, 2**32 - 1),
    gaps=st.lists(st.integers(0, 2**22 - 1), min_size=1, max_size=40),
)
def test_a_wrapped_clock_goes_on(bits, start, gaps):
    expected = np.cumsum([start % (1 << bits), *gaps])
    np.testing.assert_array_equal(unwrap(expected % (1 << bits), bits), expected)


@given(t=st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_any_times_stay_themselves_modulo_the_range(t):
    got = unwrap(np.array(t, dtype=np.uint32), 32)
    assert (got % 2**32).tolist() == t
    assert (got >= 0).all()


@pytest.mark.parametrize("start", [2**32 - 150_000, 2**31 - 150_000, 0])
def test_aedat2_wraps_after_71_minutes(start):
    expected = make_events(500, start=start)
    got = parse_aedat2(aedat2(expected | {"t": expected["t"] % 2**32}), "a.aedat")
    np.testing.assert_array_equal(got["t"], expected["t"])


def test_nmnist_wraps_after_8_seconds(tmp_path):
    expected = make_events(200, 34, start=2**23 - 150_000)
    (tmp_path / "a.bin").write_bytes(nmnist(expected | {"t": expected["t"] % 2**23}))
    np.testing.assert_array_equal(read_nmnist(tmp_path / "a.bin")["t"], expected["t"])


def test_overflow_events_of_nmnist(tmp_path):
    """An event with y = 240 adds 2¹³ µs to all later times and is not a pixel."""
    events = {
        "t": [8000, 8190, 0, 5, 0, 7],
        "x": [1, 2, 49, 3, 49, 9],
        "y": [3, 4, 240, 5, 240, 8],
        "p": [1, 0, 0, 1, 0, 0],
    }
    (tmp_path / "a.bin").write_bytes(nmnist({name: np.array(values) for name, values in events.items()}))
    got = read_nmnist(tmp_path / "a.bin")
    assert got["t"].tolist() == [8000, 8190, 8192 + 5, 2 * 8192 + 7]
    assert [got[name].tolist() for name in "xyp"] == [[1, 2, 3, 9], [3, 4, 5, 8], [1, 0, 1, 0]]
    (tmp_path / "a.bin").write_bytes(bytes([49, 240, 0, 0, 0]))
    with pytest.raises(InputError, match="no events"):
        read_nmnist(tmp_path / "a.bin")


def with_words(words: dict[int, int], n: int = 100) -> bytes:
    """AEDAT 2.0 with some addresses replaced."""
    content = bytearray(aedat2(make_events(n), b"#!AER-DAT2.0\n"))
    for index, word in words.items():
        content[13 + 8 * index : 17 + 8 * index] = word.to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("word", [0x8000, 0x8001, 0xFFFF, 0x80000000, 0xFFFF8000])
def test_special_events_of_aedat2_are_skipped(word):
    expected = make_events(100)
    got = parse_aedat2(with_words({0: word, 50: word, 99: word}), "a.aedat")
    for name in "txyp":
        np.testing.assert_array_equal(got[name], np.delete(expected[name], [0, 50, 99]))


def test_a_special_event_does_not_move_the_clock():
    content = bytearray(with_words({50: 0x8000}))
    content[13 + 8 * 50 + 4 : 13 + 8 * 50 + 8] = bytes(4)
    np.testing.assert_array_equal(parse_aedat2(bytes(content), "a")["t"], np.delete(make_events(100)["t"], 50))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({5: 0x00400000}, "event 5 has address 0x400000, .*such as a DAVIS"),
        ({5: 0x80400400}, "event 5 has address 0x80400400, .*such as a DAVIS"),
        (dict.fromkeys(range(100), 0x8000), "no events of pixels, only 100 special ones"),
    ],
)
def test_other_addresses_of_aedat2_are_refused(words, message):
    with pytest.raises(InputError, match=f"a.aedat: .*{message}"):
        parse_aedat2(with_words(words), "a.aedat")


def test_the_camera_that_a_header_names():
    content = aedat2(make_events(5), b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n")
    with pytest.raises(InputError, match=r"a\.aedat: is from a DAVIS240C"):
        parse_aedat2(content, "a.aedat")


def out_of_order(size: int) -> dict[str, np.ndarray]:
    events = make_events(100, size, start=1_000)
    events["t"] += 10 * np.arange(100)
    events["t"][[30, 60]] = events["t"][[29, 59]] - [3, 7]
    return events


@pytest.mark.parametrize("kind", ["aedat2", "aedat3", "nmnist"])
def test_events_out_of_order_are_refused_or_sorted(tmp_path, kind):
    path = tmp_path / "recording"
    events = out_of_order(34)
    path.write_bytes({"aedat2": aedat2, "aedat3": aedat3, "nmnist": nmnist}[kind](events))
    read = {"aedat2": lambda path, **o: parse_aedat2(path.read_bytes(), str(path), **o)}
    read |= {"aedat3": read_aedat3, "nmnist": read_nmnist}
    with pytest.raises(
        InputError, match=r"recording: .* after event 29 .* 2 of 100 events, by at most 7 µs.*sort=True"
    ):
        read[kind](path)
    got, order = read[kind](path, sort=True), np.argsort(events["t"], kind="stable")
    for name in "txyp":
        np.testing.assert_array_equal(got[name], events[name][order])


def test_equal_times_keep_their_order():
    events = {"t": np.array([5, 3, 5, 3]), "x": np.arange(4), "y": np.zeros(4), "p": np.zeros(4)}
    assert in_order(events, sort=True)["x"].tolist() == [1, 3, 0, 2]


def test_steps_back_around_the_wrap():
    events = make_events(100, start=2**32 - 150_000)
    events["t"][50] = events["t"][49] - 5
    content = aedat2(events | {"t": events["t"] % 2**32})
    with pytest.raises(InputError, match="by at most 5 µs"):
        parse_aedat2(content, "a.aedat")
    np.testing.assert_array_equal(parse_aedat2(content, "a.aedat", sort=True)["t"], np.sort(events["t"]))
