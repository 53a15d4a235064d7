import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusing import read_or_refuse
from writers import aedat2, aedat3, make_events, nmnist

from clif.data import events
from clif.errors import InputError, MissingFileError

REAL = os.environ.get("CLIF_TEST_DATA")
needs_real_data = pytest.mark.skipif(REAL is None, reason="CLIF_TEST_DATA names no folder with the unpacked data")

FORMATS = {
    "aedat2": (events.read_aedat2, aedat2, 128, 2**32 - 300_000, 8),
    "aedat3": (events.read_aedat3, aedat3, 128, 2**31 - 150_000, None),
    "nmnist": (events.read_nmnist, nmnist, 34, 2**23 - 300_000, 5),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


def assert_same(got: events.Events, expected: events.Events) -> None:
    for name in "txyp":
        np.testing.assert_array_equal(got[name], expected[name])


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_reads_what_was_written(folder, kind, n, seed):
    read, write, size, latest_start, _ = FORMATS[kind]
    expected = make_events(n, size, start=seed % (latest_start + 1), seed=seed)
    path = folder / f"written.{kind}"
    path.write_bytes(write(expected))
    got = read(path)
    assert_same(got, expected)
    assert got["t"].dtype == np.int64


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_truncated_file_is_an_error_or_a_prefix(folder, kind, data):
    """A file cut between two events (AEDAT 3.1: two packets) cannot be told from a shorter recording."""
    read, write, size, _, _ = FORMATS[kind]
    expected = make_events(40, size)
    content = write(expected) if kind != "aedat3" else aedat3(expected, packet=7)
    path = folder / f"cut.{kind}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    got = read_or_refuse(read, path)
    if got is not None:
        assert_same(got, {name: expected[name][: len(got["t"])] for name in "txyp"})


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_never_crashes(folder, kind, data):
    read, write, size, _, _ = FORMATS[kind]
    content = bytearray(write(make_events(30, size)))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / f"flipped.{kind}"
    path.write_bytes(content)
    got = read_or_refuse(read, path)
    if got is not None:
        assert (np.diff(got["t"]) >= 0).all()


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=100, deadline=None)
@given(tail=st.binary(max_size=400))
def test_any_bytes_after_a_header_are_read_or_refused(folder, kind, tail):
    header = {"aedat2": b"#!AER-DAT2.0\r\n", "aedat3": b"#!AER-DAT3.1\r\n#!END-HEADER\r\n", "nmnist": b""}[kind]
    path = folder / f"noise.{kind}"
    path.write_bytes(header + tail)
    read_or_refuse(FORMATS[kind][0], path)


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_is_named(tmp_path, kind):
    read, write, size, _, _ = FORMATS[kind]
    path = tmp_path / "recording"
    with pytest.raises(MissingFileError, match="recording"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="recording"):
        read(path)
    backwards = make_events(10, size, start=5)
    backwards["t"][6] = 0
    path.write_bytes(write(backwards))
    with pytest.raises(InputError, match="backwards after event 5"):
        read(path)
    with pytest.raises(InputError, match=str(tmp_path)):
        read(tmp_path)


def test_aedat2_refuses_what_is_not_dvs128(tmp_path):
    path = tmp_path / "a.aedat"
    path.write_bytes(b"#!AER-DAT2.0\n" + struct.pack(">II", 1 << 16, 0))
    with pytest.raises(InputError, match="event 0 has address 0x10000"):
        events.read_aedat2(path)
    path.write_bytes(aedat3(make_events(5)))
    with pytest.raises(InputError, match="AER-DAT3"):
        events.read_aedat2(path)
    path.write_bytes(aedat2({name: np.zeros(0, int) for name in "txyp"}))
    with pytest.raises(InputError, match="no events"):
        events.read_aedat2(path)


def test_aedat2_with_end_of_header_may_start_with_a_hash_byte():
    content = b"#!AER-DAT2.0\n#End Of ASCII Header\n" + struct.pack(">II", 0x23000000, 0)
    with pytest.raises(InputError, match="0x23000000"):
        events.parse_aedat2(content, "a.aedat")


def test_aedat3_overflows_invalid_and_foreign_events(tmp_path):
    path = tmp_path / "a.aedat"
    expected = make_events(500, start=2**31 - 100_000)
    path.write_bytes(aedat3(expected, packet=64, invalid=frozenset({0, 77, 499})))
    keep = np.setdiff1d(np.arange(500), [0, 77, 499])
    assert_same(events.read_aedat3(path), {name: expected[name][keep] for name in "txyp"})


def test_aedat3_ignores_what_invalid_events_hold(tmp_path):
    path = tmp_path / "a.aedat"
    packet = struct.pack("<HHiiiiii", 1, 0, 8, 4, 2, 3, 3, 2)
    words = [(3 << 17 | 4 << 2 | 3, 7), (0xFFFFFFFE, -5), (5 << 17 | 6 << 2 | 1, 9)]
    path.write_bytes(b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + packet + b"".join(struct.pack("<Ii", *w) for w in words))
    expected = {"t": 2 * 2**31 + np.array([7, 9]), "x": np.array([3, 5]), "y": np.array([4, 6]), "p": np.array([1, 0])}
    assert_same(events.read_aedat3(path), expected)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ((1, 0, 8, 4, 0, 2**31 - 1, 2**31 - 1, 0), "goes past the end"),
        ((1, 0, 8, 4, 0, 1, 2, 1), "is not valid"),
        ((1, 0, 8, 4, 0, 1, -1, 0), "is not valid"),
        ((1, 0, 0, 4, 0, 1, 1, 1), "is not valid"),
        ((1, 0, 16, 4, 0, 1, 1, 1), "is not valid"),
        ((0x8001, 0, 8, 4, 0, 1, 1, 1), "compressed"),
    ],
)
def test_aedat3_refuses_a_bad_packet_header(tmp_path, header, message):
    path = tmp_path / "a.aedat"
    path.write_bytes(b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack("<HHiiiiii", *header) + bytes(8))
    with pytest.raises(InputError, match=message):
        events.read_aedat3(path)


def test_aedat3_refuses_negative_times_and_no_polarity_at_all(tmp_path):
    path = tmp_path / "a.aedat"
    head = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n"
    path.write_bytes(head + struct.pack("<HHiiiiii", 1, 0, 8, 4, 0, 1, 1, 1) + struct.pack("<Ii", 1, -5))
    with pytest.raises(InputError, match="event 0 has a negative time"):
        events.read_aedat3(path)
    path.write_bytes(head + struct.pack("<HHiiiiii", 0, 0, 8, 4, 0, 1, 1, 1) + bytes(8))
    with pytest.raises(InputError, match="no events"):
        events.read_aedat3(path)
    path.write_bytes(b"#!AER-DAT3.1\r\n#Format: PNGFrames\r\n#!END-HEADER\r\n")
    with pytest.raises(InputError, match="PNGFrames"):
        events.read_aedat3(path)


def test_aedat3_keeps_to_the_sensor_its_header_names(tmp_path):
    path = tmp_path / "a.aedat"
    large = make_events(50, 300)
    path.write_bytes(aedat3(large).replace(b"DVS128", b"DAVIS346"))
    assert_same(events.read_aedat3(path), large)
    path.write_bytes(aedat3(large))
    with pytest.raises(InputError, match="outside the 128×128 pixels"):
        events.read_aedat3(path)


def test_nmnist_refuses_another_sensor(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes([34, 0, 0, 0, 0]))
    with pytest.raises(InputError, match="x 34, y 0"):
        events.read_nmnist(path)


@needs_real_data
def test_real_recordings():
    assert REAL is not None
    starts = {}
    for path in Path(REAL, "aedat2").glob("*.aedat"):
        recording = events.read_aedat2(path)
        starts[path.stem] = int(recording["t"][0])
        assert events.integrate(recording).sum() == len(recording["t"])
    assert starts == {"box": 3151642323, "pencil": 3799644735, "scissors": 2890272251}
    for path in Path(REAL, "NMNIST", "Test").rglob("*.bin"):
        recording = events.read_nmnist(path)
        assert 1_000 < len(recording["t"]) < 10_000
        assert recording["t"][-1] < 400_000
