import codecs

import pytest
from people import write_gesture, write_tiny

from clif.data import create_loader, get_dataset
from clif.data.check import check_part
from clif.data.dvs_gesture import read_gestures
from clif.data.text import read_lines, read_text
from clif.errors import InputError, MissingFileError

TEXT = "n01 über\nn02\n"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_marks_and_line_ends(tmp_path, mark, encoding, end):
    path = tmp_path / "list.txt"
    path.write_bytes(mark + f"n01 über{end}{end}n02 {end} {end}".encode(encoding))
    assert read_lines(path) == [(1, "n01 über"), (3, "n02")]
    path.write_bytes(mark + f"n01 über{end}n02".encode(encoding))
    assert read_lines(path) == [(1, "n01 über"), (2, "n02")]


def test_what_is_no_text_is_named(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("n01\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"list\.txt: is not UTF-8 text"):
        read_text(path)
    with pytest.raises(MissingFileError, match="none"):
        read_text(tmp_path / "none")
    path.write_bytes(b"\xfcber")
    assert read_text(path) == "�ber"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["wnids.txt", "val/val_annotations.txt"])
def test_lists_of_tiny_imagenet(tmp_path, name, encoding):
    write_tiny(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_text().rstrip("\n").replace("\n", "\r\n").encode(encoding))
    assert [create_loader("tiny_imagenet", tmp_path, train=train).num_samples for train in (True, False)] == [3, 6]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_lists_and_tables_of_dvs_gesture(tmp_path, separator):
    sizes = write_gesture(tmp_path, end="\r\n", mark=codecs.BOM_UTF8, separator=separator)
    reports = [check_part(get_dataset("dvs_gesture"), tmp_path, train, 2, True) for train in (True, False)]
    assert [report.samples for report in reports] == sizes


def test_quoted_and_empty_rows_of_a_table(tmp_path):
    path = tmp_path / "u_labels.csv"
    path.write_text('"class";"startTime_usec";"endTime_usec"\n"3";"10";"20"\n;;\n')
    assert read_gestures(path) == [(2, 10, 20)]
