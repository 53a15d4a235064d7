"""Recordings as text: columns in any order, with and without names, and errors with the line of the damage."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusing import read_or_refuse
from writers import make_events, text

from clif.data import read_recording
from clif.data.any_recording import read_raw
from clif.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("text")


def assert_same(got, expected):
    for name in "txyp":
        np.testing.assert_array_equal(got[name], expected[name])


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 60),
    names=st.permutations("xytp"),
    separator=st.sampled_from([",", ";", "\t", " ", ", "]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    named=st.booleans(),
)
def test_reads_what_was_written(folder, n, names, separator, end, mark, named):
    expected = make_events(n, seed=n)
    content = text(expected, "".join(names), separator, "" if named else None, end)
    path = folder / "written.csv"
    path.write_bytes(content.decode().encode(mark))
    assert_same(read_recording(path, columns="" if named else ",".join(names)), expected)


@pytest.mark.parametrize("names", ["xytp", "txyp", "pxyt", "tpyx"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cut_at_any_byte_it_is_an_error_or_a_prefix(folder, names, end):
    expected = make_events(9, start=995)
    content = text(expected, names, end=end)
    path = folder / "cut.csv"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if (got := read_or_refuse(partial(read_recording, sort=True), path)) is not None:
            assert_same(got, {name: expected[name][: len(got["t"])] for name in "txyp"})


def test_cut_within_a_column_that_is_not_read(folder):
    path = folder / "more.csv"
    path.write_text("x,y,t,p,id\n1,2,3,1,77\n4,5,1234,0,7")
    assert read_recording(path)["t"].tolist() == [3, 1234]
    path.write_text("x,y,p,t,id\n1,2,1,3,77\n4,5,0,123")
    with pytest.raises(InputError, match="no line end"):
        read_recording(path)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60))
def test_any_bytes_after_a_header_are_read_or_refused(folder, content):
    path = folder / "noise.txt"
    path.write_bytes(b"x,y,t,p\n1,2,3,1\n" + content)
    got = read_or_refuse(read_recording, path)
    assert got is None or len(got["t"]) >= 1


@pytest.mark.parametrize(
    "content",
    [
        "x,y,timestamp,polarity\n3,4,10,1\n5,6,20,0\n",
        "X;Y;TS;Pol\n3;4;10;1\n5;6;20;-1\n",
        ",x,y,t,p\n0,3,4,10,True\n1,5,6,20,False\n",
        'x,y,t,p,"a note"\n3,4,10,1,"one, two"\n5,6,20,0,three\n',
        "# t x y p\n10 3 4 1\n20 5 6 0\n",
        "% made by hand\n# x,y,t,p\n\n3,4,10,on\n\n5,6,20,off\n",
        "t\tx\ty\tp\n1e1\t3.0\t4\t1\n20\t5\t6\t0\n",
        "# columns: t x y p\n10 3 4 1 0\n20 5 6 0 0\n",
        "# Events as t, x, y, p: t, x, y, p\n10,3,4,1\n20,5,6,0\n",
        "# t x y p (p: 1 is brighter)\n10 3 4 1\n20 5 6 0\n",
    ],
)
def test_files_as_people_have_them(folder, content):
    path = folder / "people.csv"
    path.write_text(content)
    got = read_recording(path)
    assert [got[name].tolist() for name in "txyp"] == [[10, 20], [3, 5], [4, 6], [1, 0]]


def test_columns_without_names_are_asked_for(folder):
    path = folder / "plain.txt"
    path.write_text("10 3 4 1\n20 5 6 0\n")
    with pytest.raises(InputError, match=r"its 4 columns have no names; .* --columns x,y,t,p"):
        read_recording(path)
    assert read_recording(path, columns="t,x,y,p")["x"].tolist() == [3, 5]
    with pytest.raises(InputError, match="has 4 columns, --columns t,x,y,p,- names 5"):
        read_recording(path, columns="t,x,y,p,-")
    path.write_text("a,b,c,d\n3,4,10,1\n")
    with pytest.raises(InputError, match="are called a, b, c, d, which are not x, y, t and p"):
        read_recording(path)
    assert read_recording(path, columns="x,y,t,p")["t"].tolist() == [10]
    path.write_text("x,y,t,p\n3,4,10,1\n")
    with pytest.raises(InputError, match="has another order"):
        read_recording(path, columns="t,x,y,p")


def test_names_say_the_unit_and_the_size(folder):
    path = folder / "units.csv"
    for name, factor in (("t_us", 1), ("timestamp (ms)", 1_000), ("time[s]", 1_000_000)):
        path.write_text(f"x@346,y@260,{name},p\n3,4,1000,1\n5,6,2000,0\n")
        assert read_raw(path).size == (346, 260)
        assert read_recording(path)["t"].tolist() == [1_000 * factor, 2_000 * factor]
    with pytest.raises(InputError, match=r"times are in s according to its header, not in us \(--time-unit\)"):
        read_recording(path, time_unit="us")


@pytest.mark.parametrize("first", ["240 180", "240,180", "%geometry:240,180", "# geometry 240x180"])
@pytest.mark.parametrize("names", ["", "# t x y p\n"])
def test_a_first_line_may_be_the_size(folder, first, names):
    path = folder / "size.txt"
    path.write_text(f"{first}\n{names}0.5 3 179 1\n1.5 239 6 0\n")
    columns = "" if names else "t,x,y,p"
    assert read_raw(path, columns=columns).size == (240, 180)
    got = read_recording(path, columns=columns, time_unit="s")
    assert [got[name].tolist() for name in "txyp"] == [[500_000, 1_500_000], [3, 239], [179, 6], [1, 0]]
    with pytest.raises(InputError, match=r"240x180 pixels according to its header, not of 180x240"):
        read_recording(path, columns=columns, sensor_size=(180, 240))
    path.write_text("1 2\n3 4\n")
    with pytest.raises(InputError, match="its 2 columns have no names"):
        read_recording(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no events"),
        ("240 180\n", "has no events"),
        ("x,y,t,p\n", "has no events"),
        ("x,x,t,p\n1,2,3,1\n", "both name x"),
        ("x,y,t,p\nx,y,t,p\n1,2,3,1\n", "line 2 is not an event"),
        ("x,y,t,p\n1,2,3,1\n1,2,a,1\n", "line 3 is not an event with x, y, t and p: '1,2,a,1'"),
        ("x,y,t,p\n1,2,3,1\n\n1,2,3\n", "line 4 is not an event"),
        ("x,y,t,p\n1,2,3,1\n1,2,4,2\n", r"event 1 has the polarity 2\.0"),
        ("x,y,t,p\n1,2,3,1\n1,2,nan,0\n", "event 1 has the time nan"),
        ("x,y,t,p\n1,2,3,1\n1.5,2,4,0\n", r"event 1 has x 1\.5, which is not a whole number"),
        ("x,y,t,p\n1,2,3,-1\n1,2,4,0\n", "event 0 has the polarity -1 and event 1 the polarity 0"),
        ("x,y,t,p\n1,2,3,1\n-1,2,4,0\n", "event 1 is at x -1, y 2"),
        ("x,y,t,p\n1,2,3.5,1\n1,2,3.25,0\n", r"runs backwards after event 0 \(3\.5, then 3\.25\)"),
        ("x,y,t,p\n1,2,3,1\n1,2,3_4,0\n", "line 3 is not an event"),
        ("x,y,t,p\n1,2,3,1\n\0", "null characters"),
    ],
)
def test_damage_is_named(folder, content, message):
    path = folder / "damaged.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_recording(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("columns", ["", "t,x,y,p"])
def test_an_error_shows_a_part_of_long_names_only(folder, columns):
    path = folder / "a.csv"
    names = ["x", "y", "t", *([] if not columns else ["p"]), *(f"{number}{'z' * 5000}" for number in range(50))]
    path.write_text(f"{','.join(names)}\n{','.join('1' * len(names))}\n")
    with pytest.raises(InputError, match=r"its columns are called x, y, t.* and 3. more") as caught:
        read_recording(path, columns=columns)
    assert len(str(caught.value)) < 2000
