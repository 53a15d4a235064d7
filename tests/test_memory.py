"""The allocator's settings, seen from the system's side."""

import subprocess
import sys
from pathlib import Path

import pytest

from clif import memory

PROGRAM = """
import sys
import clif.memory
if {lean}:
    clif.memory.lean()
import torch

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

before = resident()
for _ in range(3):  # glibc itself keeps what is freed from the second time on
    large, small = torch.ones(2**20 * 5), torch.ones(1000)
    kept = resident() - before
    del large
print(resident() - before > 2**24)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="not Linux")
@pytest.mark.parametrize(("lean", "keeps"), [(True, "False"), (False, "True")])
def test_large_tensors_go_back_to_the_system(lean, keeps):
    program = PROGRAM.format(lean=lean)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == keeps


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "1")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda *_: object())
    memory.lean()
    memory.usual()


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    monkeypatch.setattr(memory, "_set", lambda *_: None)
    memory.lean()
    assert memory.os.environ["THP_MEM_ALLOC_ENABLE"] == "0"
