"""AEDAT 4, EVT and Event Stream, as faery writes and reads them."""

import sys

import numpy as np
import pytest
from refusing import read_or_refuse
from writers import make_events

from clif.data import read_recording
from clif.data.any_recording import read_raw
from clif.errors import InputError

ENDINGS = (".aedat4", ".es", "_evt2.raw", "_evt3.raw")


@pytest.fixture
def faery():
    return pytest.importorskip("faery")


def write(faery, path, events, size=(64, 48)):
    array = np.zeros(len(events["t"]), faery.EVENTS_DTYPE)
    for name, column in zip("txyp", ("t", "x", "y", "on"), strict=True):
        array[column] = events[name]
    version = path.stem.rpartition("_")[2] if path.suffix == ".raw" else None
    faery.events_stream_from_array(array, size).to_file(path, version=version)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_reads_what_faery_wrote(faery, tmp_path, ending):
    expected = make_events(300, 48)
    path = write(faery, tmp_path / f"a{ending}", expected)
    raw, got = read_raw(path), read_recording(path)
    assert (raw.size, raw.unit) == ((64, 48), "us")
    start = expected["t"][0] if ending == ".es" else 0  # times begin at 0 in this format
    np.testing.assert_array_equal(got["t"], expected["t"] - start)
    for name in "xyp":
        np.testing.assert_array_equal(got[name], expected[name])


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_cut_is_an_error_or_a_prefix(faery, tmp_path, ending):
    expected = make_events(60, 48)
    expected["t"] -= expected["t"][0]
    path = write(faery, tmp_path / f"a{ending}", expected)
    content = path.read_bytes()
    cut = tmp_path / f"cut{ending}"
    for end in range(0, len(content), 7):
        cut.write_bytes(content[:end])
        if (got := read_or_refuse(read_recording, cut)) is not None:
            for name in "txyp":
                np.testing.assert_array_equal(got[name], expected[name][: len(got["t"])])


def test_damage_is_named(faery, tmp_path):
    good = write(faery, tmp_path / "a_evt3.raw", make_events(20, 48)).read_bytes()
    path = tmp_path / "b.raw"
    for content, message in (
        (b"", "does not name the version"),
        (good.replace(b"% evt 3.0\n", b"").replace(b"% format EVT3;", b"% "), "does not name the version"),
        (good.replace(b"% evt 3.0", b"% evt 9.0").replace(b"EVT3", b"EVT9"), "cannot be read as an EVT recording"),
        (good.replace(b"64x48", b"16x48").replace(b"width=64", b"width=16"), "must be strictly smaller than width=16"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message) as error:
            read_recording(path)
        assert str(path) in str(error.value)
    with pytest.raises(InputError, match="is from a sensor of 64x48 pixels according to its header, not of 346x260"):
        read_recording(tmp_path / "a_evt3.raw", sensor_size=(346, 260))


def test_without_faery_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faery", None)
    path = tmp_path / "a.aedat4"
    path.write_bytes(b"#!AER-DAT4.0\r\n")
    with pytest.raises(InputError, match=r"needs the package faery.*pip install 'clif-snn\[events\]'") as error:
        read_recording(path)
    assert str(path) in str(error.value)


@pytest.mark.usefixtures("faery")
@pytest.mark.parametrize(("name", "truth"), [("davis240.aedat4", "davis240"), ("evt3.raw", "evt3")])
def test_the_shared_recordings(shared_events, name, truth):
    got = read_recording(shared_events / name)
    with np.load(shared_events / f"{truth}_truth.npz") as expected:
        for column in "txyp":
            np.testing.assert_array_equal(got[column], expected[column])
