"""JSON and YAML files from others: plain values, or one error that names the file, in bounded time and memory."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clif.errors import InputError, MissingFileError
from clif.plain_files import read_json, read_yaml
from clif.train.config import resolve

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.fixture
def write(tmp_path):
    def write(text, name):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


@pytest.mark.parametrize("text", [LAUGHS, MERGES, "&a [*a]", "&a {x: {y: *a}}", "a: [" + "x," * 5_000 + "]"])
def test_aliases_that_stand_for_too_much_are_refused(write, text):
    with pytest.raises(InputError, match=r"x\.yaml: holds too many values"):
        read_yaml(write(text, "x.yaml"))


def test_a_large_yaml_file_is_refused_unread(write):
    with pytest.raises(InputError, match=r"x\.yaml: 68 KiB is too large"):
        read_yaml(write("#" * 70_000, "x.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2001-99-99",
            "!!timestamp x",
            "!!int x",
            '!!int ""',
            "!!bool x",
            "!!float x",
            "!!binary abc",
            "2001-01-01T99:00:00",
        ),
        *(
            "[" * 900,
            "{a: " * 500,
            "- " * 900,
            "!!python/object/apply:os.getcwd []",
            "!!python/name:os.system",
            "? [x]\n: y",
        ),
        *(b"\xff\xfe\0", b"\x80", "a: *b", "a: %", "--- a\n--- b", "\0"),
    ],
)
def test_what_is_no_yaml_is_one_error(write, text):
    with pytest.raises(InputError, match=r"x\.yaml: not a YAML file") as error:
        read_yaml(write(text, "x.yaml"))
    assert len(str(error.value)) < 1000


def test_aliases_and_merges_are_read(write):
    text = "base: &base {lr: 0.1, T: 4}\nrun: {<<: *base, T: 6}\nagain: *base\n"
    assert read_yaml(write(text, "x.yaml"))["run"] == {"lr": 0.1, "T": 6}
    assert read_yaml(write("", "x.yaml")) is None


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, b"\xff", "{", "", '{"a": \n}'])
def test_what_is_no_json_is_one_error(write, text):
    with pytest.raises(InputError, match=r"x\.json cannot be read"):
        read_json(write(text, "x.json"))


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_no_file(tmp_path, read):
    with pytest.raises(InputError, match="none"):
        read(tmp_path / "none")
    with pytest.raises(InputError, match=tmp_path.name):
        read(tmp_path)
    with pytest.raises(MissingFileError, match=r"no recipe at .*none"):
        read_yaml(tmp_path / "none", "recipe")


@pytest.mark.parametrize("value", ["[" + "aaaaaaaaaa, " * 900 + "]", '"' + "x" * 9000 + '"'])
@pytest.mark.parametrize("key", ["lr", "dataset", "neuron", "surrogate"])
def test_an_error_shows_the_beginning_of_a_long_value(write, key, value):
    path = write(f"dataset: digits\n{key}: {value}\n" if key != "dataset" else f"dataset: {value}\n", "x.yaml")
    with pytest.raises(InputError) as error:
        resolve(str(path))
    assert len(str(error.value)) < 2000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("abx01-: []{},&*<!?|>'\"\n#%.\\"), max_size=60))
def test_any_text_is_read_or_refused(write, text):
    with contextlib.suppress(InputError):
        read_yaml(write(text, "x.yaml"))
