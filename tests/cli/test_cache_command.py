"""`clif cache` shows and deletes clif's files in the cache folder, and no others."""

import hashlib
import os
import threading

import pytest
from refusals import fails

from clif.cli import main
from clif.generate import cache

ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of compiled units, with two of 2000 and 3000 bytes."""
    monkeypatch.setenv("CLIF_CACHE", str(tmp_path / "units"))
    cache.folder.cache_clear()
    cache.get(ONE, lambda path: path.write_bytes(bytes(2000)))
    cache.get(TWO, lambda path: path.write_bytes(bytes(3000)))
    yield tmp_path / "units"
    cache.folder.cache_clear()


def shown(capsys, *words):
    assert main(["cache", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_units_are_shown_with_size_age_and_state(folder, capsys):
    hours_ago = (folder / f"{ONE}.unit").stat().st_mtime - 7300
    os.utime(folder / f"{ONE}.unit", (hours_ago, hours_ago))
    (folder / f"{TWO}.unit").write_bytes(bytes(1234567))
    size = sum(path.stat().st_size for path in folder.iterdir())
    head, newest, oldest = shown(capsys)
    assert head == f"{folder}: 2 units, 6 files, {size / 1e6:.1f} MB"
    assert newest.split()[:3] == [f"{TWO}.unit", "1.2", "MB"]
    assert newest.endswith("damaged")
    assert oldest.split() == [f"{ONE}.unit", "2.0", "kB", "2", "hours", "old", "intact"]


def test_clear_deletes_what_clif_wrote_and_nothing_else(folder, capsys):
    others = [folder / name for name in ("notes.txt", "mine.unit", f"{ONE}.unit.bak", f"{ONE}-notes.new", "x.lock")]
    for path in others:
        path.write_text("mine")
    (folder / f"{'3' * 32}.unit").mkdir()
    (folder / f"{ONE}-a1_b2c3d.new").write_bytes(b"of a process that was killed")
    (folder / f"{'4' * 32}.lock").touch()
    bytes_before = 2000 + 3000 + 2 * len(hashlib.sha256().hexdigest()) + 28
    assert shown(capsys, "--clear") == [f"{folder}: deleted 8 files, {bytes_before / 1e3:.1f} kB"]
    assert set(folder.iterdir()) == {*others, folder / f"{'3' * 32}.unit"}
    assert shown(capsys) == [f"{folder}: 0 units, 0 files, 0.0 kB"]


@pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
def test_clear_leaves_what_is_being_compiled(folder, capsys):
    key, begun, go_on = "5" * 32, threading.Event(), threading.Event()

    def make(path):
        begun.set()
        go_on.wait(60)
        path.write_bytes(b"unit")

    compiling = threading.Thread(target=cache.get, args=(key, make))
    compiling.start()
    begun.wait(60)
    try:
        assert shown(capsys, "--clear")[1] == "1 unit left, which another process is compiling"
    finally:
        go_on.set()
        compiling.join()
    assert [unit.path.name for unit in cache.units(folder) if unit.whole] == [f"{key}.unit"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CLIF_CACHE", str(tmp_path / "none"))
    assert shown(capsys) == shown(capsys, "--clear") == [f"{tmp_path / 'none'}: nothing is kept yet"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_folder_that_is_not_used_is_one_line(tmp_path, monkeypatch, capsys):
    place = tmp_path / "units"
    monkeypatch.setenv("CLIF_CACHE", str(place))
    place.write_text("")
    assert f"{place} is not a folder" in fails(capsys, "cache")
    place.unlink()
    place.mkdir()
    place.chmod(0o777)
    assert f"{place} is not used" in fails(capsys, "cache")


def test_a_home_that_is_not_known_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("CLIF_CACHE", "~nobody-of-that-name/x")
    assert "there is no home folder" in fails(capsys, "cache")
