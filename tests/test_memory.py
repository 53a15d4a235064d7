"""The allocator's settings, checked by the memory that the system reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clif import memory

PROGRAM = """
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
    with open("/proc/self/smaps_rollup") as file:
        huge = sum(int(line.split()[1]) for line in file if line.startswith("AnonHugePages"))
    del large
print(resident() - before > 2**24, huge > 2**13)
"""
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def run(lean: bool) -> list[str]:
    """Whether freed large tensors stay in memory, and whether they had huge pages."""
    environment = {name: value for name, value in os.environ.items() if name not in memory.ENVIRONMENT}
    command = [sys.executable, "-c", PROGRAM.format(lean=lean)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()


on_linux = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="not Linux")


@on_linux
def test_large_tensors_go_back_to_the_system():
    assert [run(lean)[0] for lean in (True, False)] == ["False", "True"]


@pytest.mark.slow
@on_linux
@pytest.mark.skipif(not HUGE_PAGES.exists() or "[madvise]" not in HUGE_PAGES.read_text(), reason="not on request")
def test_large_tensors_have_huge_pages():
    assert [run(lean)[1] for lean in (True, False)] == ["True", "False"]


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
