"""The separate processes that read files of libraries that may crash."""

import signal
import subprocess
import sys

import pytest

from clif.data import read_recording, separate_process
from clif.errors import InputError


@pytest.fixture(autouse=True)
def faery():
    return pytest.importorskip("faery")


PROGRAM = """
import json, os, sys
for line in sys.stdin:
    path = json.loads(line)[1]
    if "bad" in path:
        os.abort()
    arrays = [[kind, [1]] for kind in ("<u8", "<u2", "<u2", "|u1")]
    sys.stdout.buffer.write(json.dumps({"size": [9, 8], "arrays": arrays}).encode() + b"\\n")
    sys.stdout.buffer.write((7).to_bytes(8, "little") + bytes([1, 0, 2, 0, 1]))
    sys.stdout.buffer.flush()
"""


def test_a_file_that_ends_the_process_is_named_and_the_next_is_read(tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setattr(separate_process, "PROGRAM", tmp_path / "program.py")
    monkeypatch.setattr(separate_process, "_idle", idle := [])
    for name in ("a.es", "bad.es", "b.es", "c.es"):
        (tmp_path / name).write_bytes(b"")
        if name == "bad.es":
            with pytest.raises(InputError, match=r"bad\.es: cannot be read as an Event Stream recording, damaged"):
                read_recording(tmp_path / name)
        else:
            got = read_recording(tmp_path / name)
            assert [got[column].tolist() for column in "txyp"] == [[7], [1], [2], [1]]
            assert len(idle) == 1
    idle[0].kill()
    idle[0].wait()
    assert read_recording(tmp_path / "c.es")["t"].tolist() == [7]
    separate_process._end(idle.pop())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is none")
def test_a_file_takes_a_bounded_amount_of_memory():
    assert limited("bytes(5 << 30)").stderr.splitlines()[-1] == "MemoryError"


@pytest.mark.skipif(sys.platform == "win32", reason="elsewhere the limit is none")
def test_a_file_takes_a_bounded_amount_of_time():
    assert limited("while True: pass", SOME_SECONDS=0).returncode == -signal.SIGXCPU


def limited(work, **constants):
    """The end of a process that does some work within the limits for a file of 1000 bytes."""
    program = (
        f"import runpy; limit = runpy.run_path({str(separate_process.PROGRAM)!r})['limit']\n"
        f"limit.__globals__.update({constants})\nlimit(1000)\n{work}"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
