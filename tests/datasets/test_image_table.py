"""Tables of images: accepted forms, refusals, and that no other exception than InputError is raised."""

import contextlib
import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clif.data.image_table import read_table
from clif.errors import InputError, MissingFileError

CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8)


@pytest.fixture
def table(tmp_path):
    """Writes a table and returns its path."""

    def write(text, name="list.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def rows(path):
    return [(row.path.relative_to(path.parent).as_posix(), row.label, row.part) for row in read_table(path)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "path,label\na.png,cat\nb/c d.jpg,dog\n"),
        ("list.csv", "a.png,cat\r\nb/c d.jpg,dog"),
        ("list.csv", "\n a.png , cat \n\n,\nb/c d.jpg,dog\n\n"),
        ("list.csv", "Label,width,PATH\ncat,3,a.png\ndog,4,b/c d.jpg\n"),
        ("list.csv", "path;label\na.png;cat\nb/c d.jpg;dog\n"),
        ("list.csv", '"path","label"\n"a.png","cat"\n"b/c d.jpg","dog"\n'),
        ("list.csv", "path,label\na.png,cat\nb/c d.jpg,dog\n".encode("utf-8-sig")),
        ("list.csv", "path,label\na.png,cat\nb/c d.jpg,dog\n".encode("utf-16")),
        ("LIST.TSV", "path\tlabel\na.png\tcat\nb/c d.jpg\tdog\n"),
    ],
)
def test_tables_as_people_write_them(table, name, text):
    assert rows(table(text, name)) == [("a.png", "cat", ""), ("b/c d.jpg", "dog", "")]


def test_a_column_may_say_the_part(table):
    path = table("path,label,split\na,x,train\nb,x,TEST\nc,x,valid\n")
    assert rows(path) == [("a", "x", "train"), ("b", "x", "test"), ("c", "x", "val")]


def test_paths_of_windows_are_read_where_they_name_a_file(table, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.png").write_bytes(b"")
    path = table("b\\a.png,cat\nb\\c.png,dog\n")
    assert rows(path) == [("b/a.png", "cat", ""), ("b\\c.png", "dog", "")]


def test_whole_paths_are_taken_as_they_are(table, tmp_path):
    (row,) = read_table(table(f"{tmp_path}/other/a.png,cat\n"))
    assert row.path == tmp_path / "other" / "a.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no images"),
        ("path,label\n", "names no images"),
        ("a.png,cat\na.png,dog\n", r"line 2 names .*a\.png a second time, after line 1"),
        ("a.png,cat\nb/../a.png,dog\n", r"line 2 names .*a\.png a second time, after line 1"),
        ("path,label\na.png\n", "line 2 has 1 columns, 2 are needed"),
        ("path,label\n\na.png,\n", "line 3 lacks its label"),
        ("a.png,cat\n,dog\n", "line 2 lacks its path"),
        ("path,label,split\na,x,later\n", "line 2 has the split 'later'; use train, test or val"),
        ("path,label,split\na,x,\n", "line 2 lacks its split"),
        ("path,class\na,x\n", "the first line must name the columns path and label"),
        ("image,label\na,x\n", "the first line must name the columns path and label"),
        ("filename,class\na.png,x\n", "the first line must name the columns path and label"),
        ("file,class,size\na,x,3\n", "the first line must name the columns path and label"),
        ('a,"x\n', "cannot be read"),
        (b"a\0,x\n", "null characters"),
    ],
)
def test_mistakes_name_the_file_and_the_line(table, text, message):
    with pytest.raises(InputError, match=rf"list\.csv: .*{message}"):
        read_table(table(text))


def test_an_image_by_its_relative_and_its_whole_path_is_there_twice(table, tmp_path, monkeypatch):
    table(f"a.png,cat\n{tmp_path}/a.png,cat\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"line 2 names .*a\.png a second time, after line 1"):
        read_table(Path("list.csv"))


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(MissingFileError, match="no such file"):
        read_table(tmp_path / "list.csv")


@given(st.dictionaries(CELLS, CELLS, min_size=1, max_size=6), st.sampled_from([",", ";", "\t"]))
def test_what_is_written_is_read_again(tmp_path_factory, images, separator):
    folder = tmp_path_factory.mktemp("table")
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([("path", "label"), *images.items()])
    path = folder / ("list.tsv" if separator == "\t" else "list.csv")
    path.write_text(text.getvalue(), newline="", encoding="utf-8")
    expected = {folder / name: label for name, label in images.items()}
    if len(expected) < len(images):
        with pytest.raises(InputError, match="a second time"):
            read_table(path)
    else:
        assert {row.path: row.label for row in read_table(path)} == expected


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_rows_or_an_input_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("table") / "list.csv"
    path.write_bytes(content.encode(errors="replace") if isinstance(content, str) else content)
    with contextlib.suppress(InputError):
        assert all(row.label and row.path != path.parent for row in read_table(path))
