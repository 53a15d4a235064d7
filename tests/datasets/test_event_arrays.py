"""Recordings as .npy, .npz and HDF5: fields and keys in any order, missing columns, and damage."""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusing import read_or_refuse
from writers import make_events, structured

from clif.data import read_recording, untrusted
from clif.data.any_recording import read_raw
from clif.errors import InputError

KEYS = (dict(zip("xytp", "xytp", strict=True)), {"x": "xs", "y": "ys", "t": "timestamps", "p": "polarity"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("arrays")


def write(path: Path, events, keys, names, **also) -> None:
    """`also` are further arrays or, for HDF5, attributes."""
    arrays = {keys[name]: events[name] for name in names}
    if path.suffix == ".npy":
        np.save(path, structured(events, names))
    elif path.suffix == ".npz":
        np.savez(path, **arrays, **also)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            group = file.create_group("left/events")
            for name, values in arrays.items():
                group[name] = values
            group.attrs.update(also)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".hdf5"])
@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 60), names=st.permutations("xytp"), keys=st.sampled_from(KEYS), data=st.data())
def test_reads_what_was_written(folder, suffix, n, names, keys, data):
    expected = make_events(n, seed=n)
    path = folder / f"written{suffix}"
    signed, order = data.draw(st.booleans(), "signed"), data.draw(st.sampled_from("<>"), "order")
    written = expected | ({"p": 2 * expected["p"] - 1} if signed else {})
    written = {name: values.astype(values.dtype.newbyteorder(order)) for name, values in written.items()}
    write(path, written, keys, "".join(names))
    got = read_recording(path)
    for name in "txyp":
        np.testing.assert_array_equal(got[name], expected[name])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_a_file_that_is_cut_is_an_error(folder, suffix):
    path = folder / f"cut{suffix}"
    write(path, make_events(9), KEYS[0], "xytp")
    content = path.read_bytes()
    for end in range(0, len(content), 1 if suffix == ".npy" else 13):
        path.write_bytes(content[:end])
        with pytest.raises(InputError) as error:
            read_recording(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_is_read_or_refused(folder, suffix, data):
    path = folder / f"flipped{suffix}"
    write(path, make_events(9), KEYS[0], "xytp")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    got = read_or_refuse(read_recording, path)
    assert got is None or set(got["p"]) <= {0, 1}


def test_arrays_without_names_are_asked_for(folder):
    expected = make_events(9)
    path = folder / "plain.npy"
    np.save(path, np.stack([expected[name] for name in "xypt"], axis=1))
    with pytest.raises(InputError, match="its 4 columns have no names"):
        read_recording(path)
    np.testing.assert_array_equal(read_recording(path, columns="x,y,p,t")["t"], expected["t"])
    np.savez(folder / "plain.npz", np.load(path))
    np.testing.assert_array_equal(read_recording(folder / "plain.npz", columns="x,y,p,t")["t"], expected["t"])
    other = structured(expected).astype([("f0", int), ("f1", int), ("f2", int), ("f3", int)])
    np.save(path, other)
    with pytest.raises(InputError, match="are called f0, f1, f2, f3"):
        read_recording(path)
    np.testing.assert_array_equal(read_recording(path, columns="x,y,t,p")["y"], expected["y"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sensor_size": 128}, "sensor_size must be WIDTHxHEIGHT in pixels, such as 346x260, got '128'"),
        ({"sensor_size": (128, 0)}, "sensor_size must be WIDTHxHEIGHT in pixels, .* got '128x0'"),
        ({"time_unit": "sec"}, "unknown time_unit 'sec'"),
        ({"columns": "x,y,t"}, "columns must name x, y, t and p once each"),
        ({"columns": ("x", "y", "t", "p")}, "columns must be a text"),
    ],
)
def test_options_that_make_no_sense_are_refused(folder, options, message):
    path = folder / "a.npz"
    path.write_bytes(arrays())
    with pytest.raises(InputError, match=message):
        read_recording(path, **options)


def test_the_size_may_be_written_as_for_data_sets(folder):
    path = folder / "a.npz"
    path.write_bytes(arrays())
    for size in ("128x128", (128, 128), [128, 128]):
        assert len(read_recording(path, sensor_size=size)["t"]) == 5
        with pytest.raises(InputError, match="outside the 1x1 pixels of the sensor"):
            read_recording(path, sensor_size=size.replace("128", "1") if isinstance(size, str) else (1, 1))


def test_booleans_and_seconds(folder):
    path = folder / "a.npz"
    np.savez(
        path, t=np.array([0.5, 1.5]), x=np.array([1.0, 2.0]), y=np.array([1, 2], np.uint8), p=np.array([True, False])
    )
    got = read_recording(path, time_unit="s")
    assert [got[name].tolist() for name in "txyp"] == [[500_000, 1_500_000], [1, 2], [1, 2], [1, 0]]
    assert read_recording(path)["t"].tolist() == [0.5, 1.5]


def test_hdf5_with_one_table_of_as_many_columns_as_are_named(folder):
    """v2e and MVSEC store events as numbers [n, 4] beside frames and other measurements."""
    h5py = pytest.importorskip("h5py")
    expected = make_events(9)
    path = folder / "table.h5"
    with h5py.File(path, "w") as file:
        file["davis/events"] = np.stack([expected[name] for name in "txyp"], axis=1)
        file["davis/frames"], file["davis/imu"], file["frame_ts"] = np.zeros((2, 8, 8)), np.zeros((5, 6)), np.arange(2)
    got = read_recording(path, columns="t,x,y,p")
    for name in "txyp":
        np.testing.assert_array_equal(got[name], expected[name])
    with pytest.raises(InputError, match=r"no structured one of them; .* \[n, 4\] .* --columns t,x,y,p"):
        read_recording(path)
    with h5py.File(path, "a") as file:
        file["more"] = np.zeros((3, 4))
    with pytest.raises(InputError, match=r"has several tables of 4 columns, /davis/events and /more; store each in"):
        read_recording(path, columns="t,x,y,p")


def test_hdf5_says_its_size_and_one_recording_only(folder):
    h5py = pytest.importorskip("h5py")
    path = folder / "size.h5"
    write(path, make_events(9), KEYS[0], "xytp", width=346, height=np.array([260]))
    assert read_raw(path).size == (346, 260)
    with h5py.File(path, "a") as file:
        file["CD/events"] = structured(make_events(9))
    with pytest.raises(InputError, match="holds several recordings, /CD/events and /left/events"):
        read_recording(path)
    with h5py.File(path, "a") as file:
        del file["left"]
    assert len(read_recording(path)["t"]) == 9


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (32001, r"filter 32001 \(blosc\), .*: pip install hdf5plugin"),
        (0x8ECF, r"filter 36559, whose plugin is not installed; .* store the values without it"),
    ],
)
def test_a_compression_that_h5py_does_not_have_is_named(folder, code, message):
    """DSEC's files are compressed by blosc, Prophesee's by ECF."""
    h5py = pytest.importorskip("h5py")
    path = folder / "compressed.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("events")
        for name in "xytp":
            options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            options.set_chunk((4,))
            options.set_filter(code, h5py.h5z.FLAG_OPTIONAL)
            kind, space = h5py.h5t.py_create(np.dtype("u2")), h5py.h5s.create_simple((4,))
            data_set = h5py.h5d.create(group.id, name.encode(), kind, space, dcpl=options)
            data_set.write_direct_chunk((0,), bytes(20))
    if h5py.h5z.filter_avail(code):
        pytest.skip("the plugin is installed")
    with pytest.raises(InputError, match=rf"compressed\.h5: /events/\w is compressed by HDF5's {message}"):
        read_recording(path)


def test_without_h5py_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (folder / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"needs the package h5py.*clif-snn\[events\]"):
        read_recording(folder / "a.h5")


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"x": 1}], dtype=object), allow_pickle=True)
    return file.getvalue()


def arrays(**changes) -> bytes:
    file = io.BytesIO()
    events = make_events(5) | changes
    np.savez(file, **{name: values for name, values in events.items() if values is not None})
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"", "cannot be read as an .npy file"),
        ("a.npy", pickled(), "cannot be read as an .npy file"),
        ("a.npz", arrays(t=np.arange(4)), "differ in length: 4 t, 5 x"),
        ("a.npz", arrays(t=None), "holds x, y, p, not the arrays x, y, t and p"),
        ("a.npz", arrays(x=np.array(list("abcde"))), r"x must be numbers \[n\], got <U1 \[5\]"),
        ("a.npz", arrays(x=np.array([1, 2, np.inf, 3, 4])), "event 2 has x inf"),
        ("a.npz", arrays(t=np.array([1, 2, 3, np.nan, 4])), "event 3 has the time nan"),
        ("a.npz", arrays(t=np.array([1, 2, 3, 2, 4])), r"backwards after event 2 \(3, then 2\)"),
        ("a.npz", arrays(t=np.array([1, 2, 3, 4, 2**64 - 1], np.uint64)), "event 4 has the time 18446744073709551615"),
        ("a.npz", arrays(p=np.array([1, 0, 255, 0, 1], np.uint8)), "event 2 has the polarity 255"),
        ("a.npz", arrays(y=np.array([1, 2, 3, 4, -1])), "event 4 is at"),
        ("a.npz", arrays(**{name: np.zeros(0) for name in "txyp"}), "has no events"),
    ],
)
def test_damage_is_named(folder, name, content, message):
    path = folder / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_recording(path)
    assert str(path) in str(error.value)


def test_events_outside_the_sensor_and_unknown_names(folder):
    path = folder / "a.npz"
    path.write_bytes(arrays(x=np.array([1, 2, 130, 140, 5]), y=np.arange(5)))
    with pytest.raises(InputError, match=r"event 2 is at x 130, y 2, outside the 128x100 pixels .* 2 of 5 events"):
        read_recording(path, sensor_size=(128, 100))
    path.rename(folder / "a.mat")
    with pytest.raises(InputError, match="is not a recording; the names of recordings end in"):
        read_recording(folder / "a.mat")


def header(shape: tuple[int, ...]) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|i1", "fortran_order": False, "shape": shape})
    return content.getvalue()


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(folder):
    """Like a large file, but with a lower limit."""
    path = folder / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "xytp":
            archive.writestr(f"{name}.npy", header((1 << 16,)) + bytes(1 << 16))
    assert len(read_recording(path)["t"]) == 1 << 16
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(untrusted, "ANY_SIZE", 1 << 16)
        with pytest.raises(InputError, match=r"bomb\.npz: unpacks to .* times its size"):
            read_recording(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_declare_more_than_there_is_are_refused(folder, suffix):
    path = folder / f"short{suffix}"
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            for name in "xytp":
                archive.writestr(f"{name}.npy", header((1 << 50,)))
    else:
        path.write_bytes(header((1 << 48, 4)))
    with pytest.raises(InputError, match=f"short{suffix}: cannot be read"):
        read_recording(path, columns="x,y,t,p" if suffix == ".npy" else "")


@pytest.mark.parametrize("options", [{}, {"chunks": (1024,), "compression": "gzip"}])
@pytest.mark.parametrize("length", [1 << 27, 1 << 40])
def test_hdf5_that_declares_more_than_there_is_is_refused(folder, options, length):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "bomb.h5", "w") as file:
        for name in "xytp":
            file.create_dataset(name, shape=(length,), dtype="i8", **options)
    with pytest.raises(InputError, match=r"bomb\.h5: unpacks to"):
        read_recording(folder / "bomb.h5")


def test_hdf5_reads_no_other_file(folder):
    h5py = pytest.importorskip("h5py")
    path, other = folder / "linked.h5", folder / "other.h5"
    write(other, make_events(4), KEYS[0], "xytp")
    (folder / "raw").write_bytes(bytes(32))
    columns = dict.fromkeys("xyt", np.zeros(4, int))
    layout = h5py.VirtualLayout(shape=(4,), dtype="i8")
    layout[:] = h5py.VirtualSource(other, "left/events/p", shape=(4,))
    for kind in ("raw", "virtual", "link", "object", "text"):
        with h5py.File(path, "w") as file:
            for name, values in columns.items():
                file[name] = values
            if kind == "raw":
                file.create_dataset("p", shape=(4,), dtype="i8", external=[(str(folder / "raw"), 0, 32)])
            elif kind == "virtual":
                file.create_virtual_dataset("p", layout)
            elif kind == "link":
                file["p"] = h5py.ExternalLink(str(other), "/left/events/p")
            else:
                file.create_dataset("p", (4,), h5py.string_dtype() if kind == "text" else h5py.ref_dtype)
        with pytest.raises(
            InputError, match=r"linked\.h5: (/p is stored in other files|has no data sets|/p must be numbers)"
        ):
            read_recording(path)


@pytest.mark.parametrize("size", [(1 << 40, 4), (0, 4), (-1, 4)])
def test_a_sensor_that_none_has_is_refused(folder, size):
    path = folder / "sensor.h5"
    pytest.importorskip("h5py")
    write(path, make_events(4), KEYS[0], "xytp", width=size[0], height=size[1])
    with pytest.raises(InputError, match=r"sensor\.h5: gives a sensor of .* pixels; each side must be 1 to"):
        read_recording(path)


def test_an_archive_by_the_name_of_an_array_is_refused(folder):
    for name, content in (("whole", {"x": np.zeros(3)}), ("cut", None)):
        path = folder / f"{name}.npy"
        with path.open("wb") as file:
            file.write(b"PK\3\4") if content is None else np.savez(file, **content)
        with pytest.raises(InputError, match=rf"{name}\.npy: cannot be read as an \.npy file"):
            read_recording(path, columns="x,y,t,p")


@pytest.mark.parametrize("size", [(8, 4), [8, 4], np.array([8, 4]), "8x4"])
def test_a_sensor_size_may_be_an_array(tmp_path, size):
    path = tmp_path / "events.npy"
    np.save(path, structured(make_events(20, size=4), "xytp"))
    assert len(read_recording(path, sensor_size=size)["t"]) == 20
    with pytest.raises(InputError, match="sensor_size must be WIDTHxHEIGHT"):
        read_recording(path, sensor_size=34)
