"""One process at a time trains in a run's folder; the lock ends with its process."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from clif.cli import main
from clif.errors import InputError
from clif.train.folder import RunFolder
from clif.train.lock import LOCK, is_locked, lock_folder

HOLD = "import sys, time; from pathlib import Path; from clif.train.lock import lock_folder\n"
HOLD += "held = lock_folder(Path(sys.argv[1])); print('locked', flush=True); time.sleep(100)"


def test_a_second_run_in_a_folder_is_refused_and_changes_nothing(train, capsys):
    folder = train(epochs=1).folder
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.name != LOCK}
    with lock_folder(folder):
        for resume in ({}, {"resume": "auto"}, {"resume": str(folder)}):
            with pytest.raises(InputError, match=r"another process is training in this folder \(process \d+ on .*\)"):
                train(epochs=2, **resume)
        assert main(["train", "--resume-run", str(folder), "-epochs", "2"]) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.name != LOCK} == before
    assert len(train(epochs=2, resume=str(folder)).history) == 2


def test_a_run_holds_the_lock_from_its_start_to_its_end(config):
    from clif.train.callbacks import Callback
    from clif.train.loop import fit

    refused = []

    class Second(Callback):
        def on_step(self, trainer, loss):  # noqa: ARG002
            with pytest.raises(InputError, match="another process"):
                lock_folder(trainer.folder.path)
            refused.append(trainer.step)

    folder = fit(config(epochs=1), quiet=True, callbacks=[Second()]).folder
    assert len(refused) == 4
    lock_folder(folder).close()


def test_a_run_that_fails_gives_the_folder_back(train):
    folder = train(epochs=1).folder
    with pytest.raises(InputError, match="its run has T 2"):
        train(resume=str(folder), T=3)
    lock_folder(folder).close()


@pytest.mark.multiprocess
def test_the_lock_of_a_killed_process_is_gone(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"process {process.pid} on"):
            lock_folder(tmp_path)
    finally:
        process.kill()
        process.communicate()
    lock_folder(tmp_path).close()


def test_a_folder_that_is_renamed_while_it_is_being_locked_is_not_taken_for_the_new_one(tmp_path, monkeypatch):
    from clif.train import lock

    folder = tmp_path / "run"
    folder.mkdir()
    really = lock._lock

    def rename_first(file):
        monkeypatch.setattr(lock, "_lock", really)
        folder.rename(tmp_path / "run.1")
        folder.mkdir()
        really(file)

    monkeypatch.setattr(lock, "_lock", rename_first)
    with lock_folder(folder), pytest.raises(InputError, match="another process"):
        lock_folder(folder)
    lock_folder(tmp_path / "run.1").close()


def test_a_file_system_without_locks_is_taken_as_it_is(tmp_path, monkeypatch):
    from clif.train import lock

    def unsupported(_file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock, "_lock", unsupported)
    lock_folder(tmp_path).close()


@pytest.mark.multiprocess
@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_a_process_that_was_forked_meanwhile_does_not_hold_the_lock(tmp_path):
    folder = RunFolder(tmp_path, 2)
    folder.lock()
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
    ended = multiprocessing.get_context("fork").Process(target=folder.release)
    ended.start()
    ended.join()
    try:
        assert is_locked(tmp_path)
        folder.release()
        assert not is_locked(tmp_path)
        lock_folder(tmp_path).close()
    finally:
        worker.terminate()
        worker.join()
