"""The user's own code: imported once and only on request, errors on one line, records that execute nothing."""

import hashlib
import multiprocessing
import re
import sys

import pytest

from clif.errors import InputError, unknown_name
from clif.user_code import changed, differences, import_code, imported, missing, needed_by, require


def refused(*given):
    """The error of a refusal, which must be one line."""
    with pytest.raises(InputError) as caught:
        import_code(given)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_file_becomes_the_module_of_its_name_once(own_code):
    path = own_code.write("code/mine.py", "import pathlib\nwith open('ran', 'a') as file:\n    file.write('x')\n")
    import_code(["code/mine.py", str(path), "code/../code/mine.py"])
    assert sys.modules["mine"].__file__ == str(path)
    assert (own_code.folder / "ran").read_text() == "x"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert imported() == [{"given": "code/mine.py", "module": "mine", "path": str(path), "sha256": digest}]
    assert [p.name for p in path.parent.iterdir()] == ["mine.py"]


def test_a_module_is_found_in_the_current_folder(own_code):
    path = own_code.write("parts/mine.py", "")
    import_code(["parts.mine", "json"])
    first, second = imported()
    assert first == {"given": "parts.mine", "module": "parts.mine", "path": str(path), "sha256": first["sha256"]}
    assert first["sha256"] == hashlib.sha256(b"").hexdigest()
    assert second["path"].endswith("__init__.py")


def test_a_file_imports_its_neighbours_and_any_suffix_will_do(own_code):
    own_code.write("code/neighbour.py", "value = 3")
    own_code.write("code/mine", "import neighbour\nvalue = neighbour.value + 1")
    import_code(["code/mine"])
    assert sys.modules["mine"].value == 4


def test_a_neighbour_hides_no_module_of_another_place(own_code):
    own_code.write("code/json.py", "")
    own_code.write("code/mine.py", "import json\nvalue = json.dumps(1)")
    import_code(["code/mine.py"])
    assert sys.modules["mine"].value == "1"


def test_the_home_folder_is_meant_by_a_tilde(own_code, monkeypatch):
    monkeypatch.setenv("HOME", str(own_code.folder / "home"))
    path = own_code.write("home/mine.py", "")
    import_code(["~/mine.py"])
    assert missing([{**imported()[0], "module": "unknown", "sha256": "0"}]) == f"--import {path}"


@pytest.mark.parametrize(
    "name", ["torch.py", "json.py", "this.py", "pytest.py", "1x.py", "my-net.py", "class.py", "__init__.py"]
)
def test_a_file_whose_name_is_not_its_own_is_refused(own_code, name):
    own_code.write(name, "raise AssertionError")
    sys.path.insert(0, str(own_code.folder))
    assert re.match(rf"--import {name}: .*; rename the file$", refused(name))


def test_two_files_of_one_name_are_refused(own_code):
    first = own_code.write("one/mine.py", "")
    own_code.write("two/mine.py", "")
    assert f"mine is the name of another module, {first}; rename" in refused("one/mine.py", "two/mine.py")


def test_a_folder_without_modules_is_no_other_module(own_code):
    own_code.write("mine/data.txt", "")
    own_code.write("code/mine.py", "")
    sys.path.insert(0, str(own_code.folder))
    import_code(["code/mine.py"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none.py", "there is no such file"),
        ("folder.py", "cannot be read"),
        ("none", "no such module, and no such file"),
        ("json.none", "no such module, and no such file"),
        ("json.decoder.none", "no such module, and no such file"),
        ("no/where", "no such file, and it is not the name of a module"),
        ("folder", "the folder has no __init__.py; give a file or a module in it"),
        ("", "there is no such file"),
    ],
)
def test_what_is_not_there_is_one_line(own_code, given, message):
    own_code.write("folder/data.txt", "")
    (own_code.folder / "folder.py").mkdir()
    assert message in refused(given)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nx = 1 / 0\n", "failed in {path}, line 2: ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('a')\n\n\nf()\n", "failed in {path}, line 2: KeyError: 'a'"),
        ("import json\njson.loads('{')\n", "failed in {path}, line 2: JSONDecodeError: Expecting"),
        ("\n\ndef f(:\n", "failed in {path}, line 3: SyntaxError: "),
        ("import sys\nsys.exit('no')\n", "failed in {path}, line 2: SystemExit: no"),
        ("import not_there\n", "failed in {path}, line 1: ModuleNotFoundError: No module named 'not_there'"),
        ("import broken\n", "failed in {folder}/broken.py, line 1: ValueError: two lines"),
        ("from clif.errors import InputError\nraise InputError('mend it')\n", "failed in {path}, line 2: mend it"),
    ],
)
@pytest.mark.parametrize("given", ["mine.py", "mine"])
def test_an_error_in_the_code_is_one_line_with_its_place(own_code, given, text, message):
    path = own_code.write("mine.py", text)
    own_code.write("broken.py", "raise ValueError('two\\nlines')\n")
    with pytest.raises(InputError) as caught:
        import_code([given])
    expected = message.format(path=path, folder=own_code.folder)
    assert str(caught.value).startswith(f"--import {given} {expected}")
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.__cause__ is not None
    assert "mine" not in sys.modules
    assert imported() == []


def test_a_file_that_is_no_text_is_one_line(own_code):
    path = own_code.folder / "mine.py"
    path.write_bytes(b"x = '\xff'\n")
    assert f"--import mine.py failed in {path}, line " in refused("mine.py")
    path.write_bytes(b"x = 0\0")
    assert f"--import mine.py failed in {path}" in refused("mine.py")


def test_a_record_says_what_is_missing_and_what_has_changed(own_code):
    path = own_code.write("my code/mine.py", "")
    own_code.write("other.py", "")
    import_code(["my code/mine.py", "other"])
    records = imported()
    assert missing(records) == ""
    assert differences(records) == []
    require(records, "RUN")

    own_code.new_process()
    assert missing(records) == "--import 'my code/mine.py' --import other"
    with pytest.raises(
        InputError, match=r"^RUN was made with your own code: add --import 'my code/mine\.py' --import other$"
    ):
        require(records, "RUN")
    (line,) = differences(records)
    assert "is not loaded here: --import" in line

    path.write_text("# changed")
    import_code([str(path)])
    assert missing(records) == "--import other"
    (line,) = changed(records)
    before, now = records[0]["sha256"], hashlib.sha256(b"# changed").hexdigest()
    assert line.endswith(f"the file has changed since (SHA-256 {now[:12]}…, {before[:12]}… before)")


def test_code_imported_in_python_is_not_missing(own_code):
    own_code.write("mine.py", "")
    import_code(["mine.py"])
    records = imported()
    own_code.new_process()
    own_code.write("mine.py", "# changed")
    sys.path.insert(0, str(own_code.folder))
    __import__("mine")
    assert missing(records) == ""
    assert len(changed(records)) == 1


def test_an_unknown_name_says_which_code_it_needs(own_code):
    own_code.write("mine.py", "")
    import_code(["mine.py"])
    records = imported()

    def fail(error):
        with needed_by(records, "RUN"):
            raise error

    with pytest.raises(InputError, match=r"^unknown model 'x'; known: a, b$"):
        fail(unknown_name("model", "x", ["a", "b"]))
    own_code.new_process()
    with pytest.raises(InputError, match=r"^RUN .* add --import mine\.py .*: unknown model 'x'; known: a, b$"):
        fail(unknown_name("model", "x", ["a", "b"]))
    with pytest.raises(InputError, match=r"^another mistake$"):
        fail(InputError("another mistake"))


@pytest.mark.parametrize(
    "records",
    [None, 3, "mine.py", [None], [{}], [{"given": 1, "module": "m", "path": None}], [{"given": "m", "module": "m"}]],
)
def test_damaged_records_say_nothing(records):
    assert missing(records) == ""
    assert differences(records) == []


def test_what_a_record_says_is_printed_on_one_line():
    record = {"given": "a\n\x1b[31m.py", "module": "none", "path": "/b\0.py", "sha256": "0"}
    assert missing([record]).isprintable()
    assert len(missing([record]).splitlines()) == 1


@pytest.mark.multiprocess
def test_a_spawned_process_finds_what_it_unpickles(own_code):
    own_code.write("code/mine.py", "class Thing:\n    value = 5\n\n\ndef value_of(thing):\n    return thing.value\n")
    import_code(["code/mine.py"])
    mine = sys.modules["mine"]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(mine.value_of, (mine.Thing(),)) == 5
