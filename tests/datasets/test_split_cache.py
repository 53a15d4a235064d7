import errno
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clif.data import split_cache
from clif.data.base import Source, Split
from clif.data.split_cache import FOLDER, load_split, skipped_files
from clif.errors import InputError


def load_number(path: Path, count: int, log: list[str] | None = None) -> np.ndarray:
    """`count` samples [2, 2] with the number in the file as values."""
    if log is not None:
        log.append(path.name)
    text = path.read_text()
    if not text.isdigit():
        raise InputError(f"{path}: no number")
    return np.full((count, 2, 2), int(text), dtype=np.int16)


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def split(tmp_path, log) -> Split:
    """30 files; file i has 1 + i % 2 samples with the values i."""
    sources = []
    for i in range(30):
        path = tmp_path / f"{i:02d}.txt"
        path.write_text(str(i))
        count = 1 + i % 2
        sources.append(Source(path, (i % 10,) * count, partial(load_number, path, count, log)))
    return Split(tmp_path, "numbers-train", "T4", (2, 2), "int16", sources)


def caches(root: Path) -> list[str]:
    return sorted(path.name for path in (root / FOLDER).iterdir())


def test_converts_once_in_file_order(split, log):
    expected = np.repeat(np.arange(30), 1 + np.arange(30) % 2)
    for _ in range(2):
        arrays = load_split(split)
        np.testing.assert_array_equal(arrays.images[:, 0, 0], expected)
        np.testing.assert_array_equal(arrays.labels, expected % 10)
        assert arrays.images.dtype == np.int16
    assert sorted(log) == [f"{i:02d}.txt" for i in range(30)]
    assert isinstance(arrays.images, np.memmap)


def test_parameters_and_files_that_change_make_another_cache(split, log):
    load_split(split)
    load_split(replace(split, parameters="T8"))
    assert len(log) == 60
    assert len(caches(split.root)) == 2
    split.sources[3].path.write_text("77")
    os.utime(split.sources[3].path, ns=(1, 1))
    assert 77 in load_split(split).images
    assert len(caches(split.root)) == 2, "the cache of the earlier files is gone"
    assert "numbers-train-T8" in caches(split.root)[1]


def test_a_variant_whose_name_begins_alike_stays(split, log):
    for _ in range(2):
        load_split(replace(split, parameters="T4-sorted"))
        load_split(split)
    assert len(log) == 60
    assert len(caches(split.root)) == 2


def test_an_interruption_leaves_nothing(split, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    interrupted = replace(
        split, sources=[*split.sources[:20], replace(split.sources[20], load=interrupt), *split.sources[21:]]
    )
    with pytest.raises(KeyboardInterrupt):
        load_split(interrupted)
    assert caches(split.root) == []
    monkeypatch.setattr(split_cache, "remove_stale", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_split(split)
    assert len(caches(split.root)) == 1, "complete before its name appeared"
    assert len(load_split(split).images) == 45


def test_a_killed_conversion_is_neither_used_nor_kept_for_good(split):
    old, recent = (split.root / FOLDER / f"{split_cache.PARTIAL}{name}" for name in ("old", "recent"))
    for folder in (old, recent):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    load_split(split)
    assert not old.exists()
    assert recent.exists()


@pytest.mark.parametrize("damage", ["meta.json", "images.npy", "labels.npy", "cut", "shape"])
def test_a_damaged_cache_is_made_again(split, log, damage):
    expected = load_split(split).images.copy()
    (folder,) = (split.root / FOLDER).iterdir()
    if damage == "cut":
        os.truncate(folder / "images.npy", 200)
    elif damage == "shape":
        meta = json.loads((folder / "meta.json").read_text())
        (folder / "meta.json").write_text(json.dumps(meta | {"samples": 44}))
    else:
        (folder / damage).write_bytes(b"")
    np.testing.assert_array_equal(load_split(split).images, expected)
    assert len(log) == 60


def test_a_damaged_file_is_named_or_left_out(split):
    split.sources[5].path.write_text("five")
    with pytest.raises(InputError, match=r"05.txt: no number .clif data prepare numbers --skip-damaged"):
        load_split(split)
    assert caches(split.root) == []
    arrays = load_split(split, skip_damaged=True)
    assert 5 not in arrays.images
    assert len(arrays.images) == len(arrays.labels) == 43
    assert len(load_split(split).images) == 43
    (skipped,) = skipped_files(split)
    assert "05.txt" in skipped


def test_all_files_damaged(split):
    for source in split.sources:
        source.path.write_text("x")
    with pytest.raises(InputError, match="every file of numbers-train"):
        load_split(split, skip_damaged=True)


def test_a_folder_that_cannot_be_written_is_cached_elsewhere(split, monkeypatch, tmp_path):
    (split.root / FOLDER).write_text("a file where the folder would be")
    assert len(load_split(split).images) == 45
    assert len(list(Path(os.environ["XDG_CACHE_HOME"], "clif").iterdir())) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "00.txt"))
    with pytest.raises(InputError, match=r"no folder can take the cache .* cannot be written .* by XDG_CACHE_HOME"):
        load_split(split)


@pytest.mark.skipif(sys.platform == "win32", reason="the home folder has other variables")
def test_no_home_folder_is_needed(split, monkeypatch):
    """A container may run as a user without an entry in /etc/passwd and without HOME."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert len(load_split(split).images) == 45
    (split.root / FOLDER).rename(split.root / "other")
    (split.root / FOLDER).write_text("a file where the folder would be")
    with pytest.raises(InputError, match="no folder can take the cache"):
        load_split(split)


def test_a_full_disk_is_told_before_writing(split, monkeypatch):
    monkeypatch.setattr(split_cache.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100})())
    with pytest.raises(InputError, match="GiB free"):
        load_split(split)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(
            ("meta.json", text)
            for text in (b"[" * 50_000, b"[]", b'{"samples": "30"}', b'{"samples": 45, "mean": ["x"]}')
        ),
        *(
            ("images.npy", text)
            for text in (b"", b"PK\3\4", b"PK\5\6" + bytes(18), b"\x93NUMPY\1\0\xff\xff" + b"(" * 65535)
        ),
        *(("labels.npy", text) for text in (b"\x80\2N.", b"PK\5\6" + bytes(18))),
    ],
)
def test_a_damaged_cache_is_made_anew(split, name, content):
    whole = load_split(split)
    (cache,) = (split.root / FOLDER).iterdir()
    (cache / name).write_bytes(content)
    assert split_cache.open_cache(cache, split) is None
    assert skipped_files(split) == []
    np.testing.assert_array_equal(load_split(split).labels, whole.labels)


@pytest.mark.parametrize("label", [-1, 10, 1 << 60])
def test_a_cache_with_labels_of_no_class_is_made_anew(split, label):
    load_split(split)
    (cache,) = (split.root / FOLDER).iterdir()
    np.save(cache / "labels.npy", np.full(45, label))
    assert load_split(split).labels.max() == 9


def test_another_spelling_of_the_folder_is_the_same_cache(split, log, monkeypatch):
    load_split(split)
    (split.root / "below").mkdir()
    (link := split.root / "link").symlink_to(split.root, target_is_directory=True)
    monkeypatch.chdir(split.root)
    for root in (Path(), Path("below", ".."), link):
        sources = [replace(source, path=root / source.path.name) for source in split.sources]
        load_split(replace(split, root=root, sources=sources))
    assert len(log) == 30
    assert len(caches(split.root)) == 1


def test_a_cache_that_another_process_completes_meanwhile_stays(split, monkeypatch):
    rename = Path.rename

    def late(building: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        load_split(split)
        (target / "first").touch()
        return rename(building, target)

    monkeypatch.setattr(Path, "rename", late)
    assert len(load_split(split).images) == 45
    (name,) = caches(split.root)
    assert (split.root / FOLDER / name / "first").exists()


def test_leftovers_that_vanish_while_they_are_listed_do_no_harm(split):
    (split.root / FOLDER).mkdir()
    (split.root / FOLDER / f"{split_cache.PARTIAL}gone").symlink_to("nowhere")
    assert len(load_split(split).images) == 45


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="space is reserved on Linux")
def test_a_disk_that_fills_up_is_an_error(split, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match=r"cannot be written: .*No space left on device"):
        load_split(split)
    assert caches(split.root) == []


@pytest.mark.parametrize(
    ("samples", "given"),
    [
        (np.full((1, 2, 2), 0.5), r"float64 \[1, 2, 2\]"),
        (np.zeros((2, 2), np.int16), r"int16 \[2, 2\]"),
        (np.zeros((3, 2, 2), np.int16), r"int16 \[3, 2, 2\]"),
        ([[[0, 0], [0, 0]]], "list"),
    ],
)
def test_samples_of_another_shape_or_type_are_refused(split, samples, given):
    wrong = replace(split.sources[0], load=lambda: samples)
    message = rf"00\.txt: its samples are {given}; those of numbers-train must be int16 \[1, 2, 2\]"
    with pytest.raises(InputError, match=message):
        load_split(replace(split, sources=[wrong, *split.sources[1:]]))
