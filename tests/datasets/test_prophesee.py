"""DAT files, and headers of EVT files."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusing import read_or_refuse
from writers import dat, make_events

from clif.data import read_recording
from clif.data.prophesee import evt_version, header_size
from clif.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("dat")


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 200),
    start=st.integers(0, 2**32 - 1),
    version=st.sampled_from([1, 2]),
    kind=st.sampled_from([0, 12]),
)
def test_reads_what_was_written(folder, n, start, version, kind):
    """The clock of 32 bits may wrap between two events."""
    expected = make_events(n, 240, start=start, seed=n)
    expected["t"] -= expected["t"][0] >> 32 << 32
    path = folder / "written.dat"
    path.write_bytes(dat(expected, version, kind=kind))
    got = read_recording(path)
    for name in "txyp":
        np.testing.assert_array_equal(got[name], expected[name])


def test_cut_at_any_byte_it_is_an_error_or_a_prefix(folder):
    expected = make_events(12, 240)
    content = dat(expected, size=(304, 240))
    path = folder / "cut.dat"
    whole = 0
    for end in range(len(content)):
        path.write_bytes(content[:end])
        if (got := read_or_refuse(read_recording, path)) is not None:
            whole += 1
            for name in "txyp":
                np.testing.assert_array_equal(got[name], expected[name][: len(got["t"])])
    assert whole == 11


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_is_read_or_refused(folder, data):
    content = bytearray(dat(make_events(30, 240)))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / "flipped.dat"
    path.write_bytes(content)
    got = read_or_refuse(read_recording, path)
    assert got is None or (np.diff(got["t"]) >= 0).all()


def test_damage_is_named(folder):
    path = folder / "a.dat"
    events = make_events(10, 240)
    for content, message in (
        (b"", "is empty, but a DAT recording is expected"),
        (b"#!AER-DAT2.0\r\n" + bytes(8), r"is an AEDAT 2\.0 recording .*, but a DAT .*; give it the extension"),
        (b"% evt 3.0\n" + bytes(8), r"is a Prophesee EVT 3\.0 recording \(\.raw\), but a DAT recording is expected"),
        (b"% Date 2026\n" + bytes(8), "names no version"),
        (dat(events).replace(b"Version 2", b"Version 3"), "names the version 3"),
        (dat(events, kind=0x0E), "type 0xe with 8 bytes"),
        (dat(events)[:-1], "not a whole number of 8-byte events"),
        (dat({name: values[:0] for name, values in events.items()}), "has no events"),
        (dat(events | {"p": events["p"] + 2}), "has the polarity"),
        (dat(events, size=(100, 240)), "outside the 100x240 pixels"),
        (dat(events | {"t": events["t"][::-1]}), "time runs backwards after event 0"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message) as error:
            read_recording(path)
        assert str(path) in str(error.value)


def test_the_header_says_the_size_and_the_version():
    assert header_size(["% Width 304", "% Height 240"]) == (304, 240)
    assert header_size(["% format EVT3;height=720;width=1280", "% evt 3.0"]) == (1280, 720)
    assert header_size(["% geometry 640x480"]) == (640, 480)
    assert header_size(["% Width 304", "% Date x"]) is None
    for line, version in (
        ("% evt 3.0", "3"),
        ("% format EVT21;height=1", "2.1"),
        ("% EVT 2.0", "2"),
        ("% Date 3.0", ""),
    ):
        assert evt_version(["% Date 2026", line]) == version


def test_the_shared_recording(shared_events):
    got = read_recording(shared_events / "ncars.dat")
    assert (len(got["t"]), int(got["t"][-1]), int(got["x"].max()), int(got["y"].max())) == (2009, 99952, 77, 41)
    assert [[int(got[name][i]) for name in "txyp"] for i in (0, 1, 2, -1)] == [
        [0, 25, 8, 0],
        [35, 67, 35, 0],
        [152, 56, 27, 1],
        [99952, 75, 28, 1],
    ]


@pytest.mark.parametrize(
    "header",
    [
        b"% format EVT3" + b" width=1" * 100_000,
        b"% geometry " + b"1" * 5000 + b"x1\n% Version 2",
        b"% width " + b"9" * 5000 + b"\n% height 1\n% Version 2",
        b"% Version " + b"2" * 5000,
        b"% geometry 99999x1\n% Version 2",
        b"% geometry 0x0\n% Version 2",
    ],
)
def test_odd_headers_are_refused_at_once(folder, header):
    path = folder / "odd.dat"
    path.write_bytes(header + b"\n\x0c\x08" + bytes(8))
    with contextlib.suppress(InputError):
        assert read_recording(path)["x"].tolist() == [0]
    assert header_size(header.decode().split("\n")) in (None, (99999, 1), (0, 0))


def test_the_sides_of_a_format_are_found_in_any_order():
    assert header_size(["% format EVT3;height=720;width=1280"]) == (1280, 720)
