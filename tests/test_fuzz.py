"""The targets of the fuzzer: each reads its own seeds and keeps the contract, and violations are noticed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clif.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.__main__ import main
from fuzz.contract import Broken, check, warm_up
from fuzz.targets import TARGETS


@pytest.fixture
def here(tmp_path) -> Path:
    (tmp_path / "deep" / "here").mkdir(parents=True)
    return tmp_path / "deep" / "here"


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_reads_its_seeds(name, tmp_path):
    for module in {"h5": ["h5py"], "nir": ["nir"]}.get(name, []):
        pytest.importorskip(module)
    target = TARGETS[name]
    said = []
    for number, seed in enumerate(target.seeds()):
        place = tmp_path / str(number) / "here"
        place.mkdir(parents=True)
        warm_up(target, seed, place)
        said.append(check(target, seed, place))
        check(target, seed[: len(seed) // 2], place)
    assert name in ("image_table", "tables", "safetensors", "safetensors_header") or "" in said


def test_a_target_that_cannot_start_is_a_failure(monkeypatch, tmp_path, capsys):
    ended = subprocess.CompletedProcess([], 1, stderr="TypeError: no such argument")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    monkeypatch.setattr(sys, "argv", ["fuzz", "text", "--seconds", "9", "--out", str(tmp_path)])
    assert main() == 1
    assert "TypeError: no such argument" in capsys.readouterr().out


def outside(path):
    (path.parents[2] / "outside").write_text("")


def unnamed(_path):
    raise InputError("something is wrong")


def other(_path):
    raise KeyError("x")


def started(_path):
    os.system("true")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (outside, "did what no file may do: open .*outside"),
        (started, "did what no file may do: os.system"),
        (unnamed, "an error that does not name the file"),
    ],
)
def test_what_breaks_the_contract_is_noticed(here, read, message):
    with pytest.raises(Broken, match=message):
        check(replace(TARGETS["dat"], read=read), b"", here)
    with pytest.raises(KeyError):
        check(replace(TARGETS["dat"], read=other), b"", here)


def test_a_reader_may_give_a_process_no_output(here):
    """The separate process of a recording in AEDAT 4 has none."""
    check(replace(TARGETS["dat"], read=lambda _: open(os.devnull, "r+b").close()), b"", here)


LARGE = """
import sys
from dataclasses import replace
from pathlib import Path
from fuzz.contract import check
from fuzz.targets import TARGETS

def read(path):
    bytearray(256 << 20)[::4096] = bytes(65536)

check(replace(TARGETS["dat"], read=read, most_bytes=32 << 20), b"", Path(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak of memory")
def test_too_much_memory_is_noticed(here):
    # In a separate process: memory that earlier tests freed could hide the reader's use of memory.
    root = Path(__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", LARGE, here], cwd=root, capture_output=True, text=True)
    assert "Broken: took 25" in ran.stderr
