"""The folder of compiled units: only complete files, each made once, in a private folder."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from clif.generate import cache

ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of units."""
    monkeypatch.setenv("CLIF_CACHE", str(tmp_path / "units"))
    cache.folder.cache_clear()
    yield cache.folder()
    cache.folder.cache_clear()


def test_a_unit_is_made_once(folder):
    made = []

    def make(path):
        made.append(path)
        path.write_bytes(b"unit")

    assert cache.get(ONE, make) == cache.get(ONE, make)
    assert cache.get(ONE, make).read_bytes() == b"unit"
    assert len(made) == 1
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("folder")
def test_a_damaged_unit_is_made_again():
    path = cache.get(ONE, lambda path: path.write_bytes(b"unit"))
    path.write_bytes(b"other")
    assert cache.get(ONE, lambda path: path.write_bytes(b"unit")).read_bytes() == b"unit"


def test_nothing_is_left_of_a_unit_that_could_not_be_made(folder):
    def fail(path):
        path.write_bytes(b"half")
        raise RuntimeError("the compiler failed")

    with pytest.raises(RuntimeError, match="the compiler failed"):
        cache.get(ONE, fail)
    assert cache.units(folder) == []
    assert not list(folder.glob("*.new"))


def test_units_are_listed_and_cleared(folder):
    paths = {cache.get(key, lambda path: path.write_bytes(b"unit")) for key in (ONE, TWO)}
    assert {unit.path for unit in cache.units(folder)} == paths
    assert cache.clear(folder) == (6, 2 * (4 + 64), 0)
    assert list(folder.iterdir()) == []


def test_units_are_made_by_one_at_a_time_while_they_are_cleared(folder):
    making, ends = threading.Lock(), time.monotonic() + 0.5

    def make(path):
        assert making.acquire(blocking=False)
        path.write_bytes(b"unit")
        making.release()

    def use():
        while time.monotonic() < ends:
            cache.get(ONE, make)

    with ThreadPoolExecutor(4) as threads:
        users = [threads.submit(use) for _ in range(4)]
        cleared = 0
        while time.monotonic() < ends:
            cleared += cache.clear(folder).files
    assert [user.result() for user in users] == [None] * 4
    assert cleared > 0


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("CLIF_CACHE", str(shared))
    cache.folder.cache_clear()
    try:
        assert cache.folder() != shared
    finally:
        cache.folder.cache_clear()


@pytest.mark.multiprocess
@pytest.mark.usefixtures("folder")
def test_processes_wait_for_one_that_makes_it(tmp_path):
    script = (
        "import time, sys; from pathlib import Path; from clif.generate import cache\n"
        "def make(path):\n    time.sleep(0.3); path.write_bytes(b'unit')\n"
        f"    Path({str(tmp_path / 'made')!r}).open('a').write('x')\n"
        "cache.get('one', make)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    assert (tmp_path / "made").read_text() == "x"
