"""The run folder: its files, and that a full disk or a damaged file costs at most the newest state."""

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch
from runs import BEST, LAST

import clif
from clif.errors import InputError, MissingFileError
from clif.files import fingerprint
from clif.train.checkpoint import read_checkpoint
from clif.train.folder import RunFolder, find_start, git_revision, keep_measurement, last_checkpoint
from clif.train.loop import fit
from clif.train.resume import read_run


def names(folder):
    return sorted(p.name for p in folder.glob("*.pth"))


@contextmanager
def largest_file(size):
    """A context in which no file can grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_folder_says_with_what_each_start_was_made(train, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["clif", "train", "mine"])
    folder = train(epochs=1).folder
    fit(read_run(str(folder), {"epochs": 2}), quiet=True, folder=folder)
    first, second = json.loads((folder / "environment.json").read_text())
    assert first["command"] == ["clif", "train", "mine"]
    assert first["versions"]["torch"] == torch.__version__
    assert first["versions"]["clif"] == clif.__version__
    assert first["machine"]["threads"] == torch.get_num_threads()
    assert first["machine"]["cores"] >= 1
    assert second["started"] >= first["started"]


def test_a_measurement_names_what_was_measured(tmp_path):
    run, out = tmp_path / "run", tmp_path / "out.json"
    run.mkdir()
    (run / LAST).touch()
    assert keep_measurement(run, "eval.json", {}) is None  # a folder of no run, without a configuration
    (run / "config.yaml").touch()
    for path, name in ((run, LAST), (run / LAST, LAST), ("hf:someone/some/net.pth", "hf:someone/some/net.pth")):
        assert keep_measurement(path, "eval.json", {"top1": 0.5}, out) == out
        said = json.loads(out.read_text())
        assert ("checkpoint_file" in said) == (name == LAST)
        assert {**said, "checkpoint_file": None} == {"checkpoint": name, "checkpoint_file": None, "top1": 0.5}
    (run / BEST).write_bytes(b"weights")
    assert keep_measurement(run, "eval.json", {}) == run / "eval.json"
    said = json.loads((run / "eval.json").read_text())
    assert said == {"checkpoint": BEST, "checkpoint_file": fingerprint(run / BEST)}
    assert said["checkpoint_file"]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert keep_measurement("hf:someone/some/net.pth", "eval.json", {}) is None


def test_the_git_revision_is_that_of_the_folder(tmp_path):
    assert git_revision(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("1")
    for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    clean = git_revision(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{40}", clean)
    (tmp_path / "file").write_text("2")
    assert git_revision(tmp_path) == f"{clean}-dirty"


@pytest.mark.parametrize(("keep", "expected"), [(1, []), (2, [2]), (3, [1, 2]), (9, [1, 2])])
def test_the_newest_checkpoints_are_kept(train, keep, expected):
    folder = train(epochs=3, keep_last=keep).folder
    kept = [name for name in names(folder) if name not in (LAST, BEST)]
    assert kept == [f"checkpoint_epoch{epochs:04d}_step000000.pth" for epochs in expected]
    assert [read_checkpoint(folder / name)["epoch"] + 1 for name in kept] == expected


def test_an_older_checkpoint_resumes_to_the_same_bits(train, tmp_path):
    whole = train(epochs=3, keep_last=3, drop_rate=0.3)
    older = next(whole.folder.glob("checkpoint_epoch0001*.pth"))
    again = train(epochs=3, keep_last=3, drop_rate=0.3, resume=str(older), out_dir=str(tmp_path / "again"))
    first, second = (read_checkpoint(run.folder / LAST)["net"] for run in (whole, again))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_a_full_disk_is_one_clear_error_and_the_checkpoint_before_is_whole(train):
    folder = train(epochs=1).folder
    before = (folder / LAST).read_bytes()
    with largest_file(100_000), pytest.raises(InputError, match=r"checkpoint_\w+\.pth: the checkpoint could not be"):
        fit(read_run(str(folder), {"epochs": 2}), quiet=True, folder=folder)
    assert (folder / LAST).read_bytes() == before
    assert not list(folder.glob(".writing-*"))
    assert len(fit(read_run(str(folder), {"epochs": 2}), quiet=True, folder=folder).history) == 2


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_file_system_at_any_size_is_an_input_error(train, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = (train(epochs=1).folder / LAST).stat().st_size
    for room in (0.001, 0.5, 1.5, 2.5, 3.5):
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(room * size)}", "none", str(disk)])
        if mounted.returncode != 0:
            pytest.skip("may not mount")
        try:
            with pytest.raises(InputError, match=r"could not be written|cannot be written"):
                train(epochs=4, out_dir=str(disk / "logs"), checkpoint_every=2)
            for path in disk.rglob("*.pth"):
                assert read_checkpoint(path)["net"]
            assert not list(disk.rglob(".writing-*"))
        finally:
            subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_vanishes_is_an_input_error(train, monkeypatch):
    from clif.train import metrics

    def no_room(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics, "write_content", no_room)
    with pytest.raises(InputError, match=r"No space left on device.*make room"):
        train(epochs=1)


def test_a_damaged_last_checkpoint_names_the_whole_one_before_it(train):
    folder = train(epochs=2).folder
    content = (folder / LAST).read_bytes()
    (folder / LAST).unlink()
    (folder / LAST).write_bytes(content[: len(content) // 2])
    with pytest.raises(
        InputError, match=r"checkpoint_last\.pth: .*the one before it is whole: --resume (\S+)"
    ) as error:
        train(epochs=2, resume=str(folder))
    path = re.search(r"-resume (\S+)", str(error.value)).group(1)
    assert len(train(epochs=2, resume=path).history) == 2


def test_a_run_ended_before_its_first_checkpoint_begins_anew(train, config):
    folder = config(epochs=1).run_folder()
    opened = RunFolder(folder, 2)
    opened.open(config(epochs=1), None)
    opened.release()
    (folder / "notes.txt").write_text("mine")
    assert last_checkpoint(str(folder)) is last_checkpoint(str(folder / LAST)) is None
    result = train(epochs=1, resume=str(folder))
    assert result.folder == folder
    assert (folder / "notes.txt").exists()
    assert len(result.history) == 1


@pytest.mark.parametrize("started", [True, False])
def test_only_a_run_that_was_started_is_said_to_start_again(started, tmp_path):
    (tmp_path / "config.yaml").touch()  # an experiment writes it before the first start
    if started:
        (tmp_path / "environment.json").touch()
    for resume in (tmp_path, tmp_path / LAST):
        note = f"{resume} has no checkpoint yet: starting the run again" if started else ""
        assert find_start(str(resume), True) == (None, None, note)


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path):
    with pytest.raises(MissingFileError, match="no checkpoint"):
        last_checkpoint(str(tmp_path))
    with pytest.raises(MissingFileError, match=r"no run at .*: it has no config\.yaml"):
        read_run(str(tmp_path), {})


@pytest.mark.parametrize("text", [b"- 1", b"\xff\xfe", b"a: {", b"lr: fast", b"lrr: 1"])
def test_a_damaged_configuration_is_an_input_error(tmp_path, text):
    (tmp_path / "config.yaml").write_bytes(text)
    with pytest.raises(InputError):
        read_run(str(tmp_path), {})


def test_resume_run_takes_everything_from_the_folder_and_stays_in_it(train, tmp_path):
    whole = train(epochs=2, drop_rate=0.2, T_max=5)
    part = train(epochs=1, drop_rate=0.2, T_max=5, out_dir=str(tmp_path / "part"))
    moved = tmp_path / "moved"
    shutil.move(part.folder, moved)
    result = fit(read_run(str(moved), {"epochs": 2}), quiet=True, folder=moved)
    assert result.folder == moved
    first, second = (read_checkpoint(run.folder / LAST)["net"] for run in (whole, result))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_resume_run_resumes_from_the_checkpoint_that_is_named(train):
    whole = train(epochs=3, keep_last=3)
    earlier = whole.folder / "checkpoint_epoch0001_step000000.pth"
    result = fit(read_run(str(whole.folder), {"resume": str(earlier)}), quiet=True, folder=whole.folder)
    assert [row["epoch"] for row in result.history] == [0, 1, 2]
    assert result.history[0] == whole.history[0]
    assert result.folder == whole.folder


def test_resume_auto_begins_or_resumes(train):
    first = train(epochs=1, resume="auto")
    again = train(epochs=1, resume="auto")
    assert again.folder == first.folder
    assert again.history == first.history
    assert [p.name for p in first.folder.parent.iterdir()] == [first.folder.name]


def test_resuming_within_an_epoch_with_other_batches_is_refused(train):
    folder = train(max_steps=2).folder
    with pytest.raises(InputError, match="was written in the middle of an epoch with batch_size=16, which is 8 here"):
        train(resume=str(folder), b=8)
    with pytest.raises(InputError, match="with an --accumulate other than 2"):
        train(resume=str(folder), accumulate=2)


def test_left_temporary_files_are_cleared(train):
    folder = train(epochs=1).folder
    (folder / ".writing-x").write_text("half")
    train(epochs=1, resume=str(folder))
    assert not (folder / ".writing-x").exists()
