"""A page that follows runs while they train."""

import shutil

import pytest
from run_folders import write_run

from clif.cli import main
from clif.errors import InputError
from clif.report.live import PATIENCE, POLL, follow
from clif.train.lock import lock_folder


def finish(folder, epochs):
    """Replace the files of a run by those of the same run with all its epochs."""
    ended = write_run(folder.with_name("ended"), epochs=epochs)
    for name in ("metrics.csv", "summary.json"):
        shutil.copy(ended / name, folder / name)


def test_the_page_follows_each_epoch_and_ends_with_the_run(tmp_path):
    folder, page = write_run(tmp_path / "run", epochs=3, done=1), tmp_path / "page.html"
    lock = lock_folder(folder)
    said, pages = [], []

    def sleep(_seconds):
        pages.append(page.read_text())
        if len(pages) == 1:
            more = write_run(tmp_path / "more", epochs=3, done=2)
            shutil.copy(more / "metrics.csv", folder / "metrics.csv")
        if len(pages) == 2:
            finish(folder, 3)
            lock.close()

    follow([folder], page, 5, files=False, say=said.append, sleep=sleep)
    assert said == ["run: training after 1 of 3 epochs", "run: training after 2 of 3 epochs"]
    assert 'class="live" data-seconds="5"' in pages[0]
    assert "training after 1 of 3 epochs" in pages[0]
    assert "training after 2 of 3 epochs" in pages[1]
    assert "data:application/pdf" not in pages[1]
    last = page.read_text()
    assert 'class="live"' not in last
    assert "http-equiv" not in last
    assert "data:application/pdf" in last


def test_a_run_whose_process_has_gone_ends_it_too(tmp_path):
    folder, page = write_run(tmp_path / "run", epochs=3, done=1), tmp_path / "page.html"
    lock, slept = lock_folder(folder), []

    def sleep(seconds):
        slept.append(seconds)
        lock.close()

    follow([folder], page, 5, files=False, say=lambda _text: None, sleep=sleep)
    assert sum(slept) == pytest.approx(PATIENCE, abs=POLL)
    assert "stopped after 1 of 3 epochs" in page.read_text()


def test_runs_that_have_ended_are_one_plain_page(tmp_path):
    page = tmp_path / "page.html"
    follow(
        [write_run(tmp_path / "run")], page, 5, files=False, sleep=lambda _seconds: pytest.fail("nothing to wait for")
    )
    assert 'class="live"' not in page.read_text()


def test_what_cannot_be_followed_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="at least 1 second"):
        follow([tmp_path], tmp_path / "page.html", 0)
    assert main(["report", "--live", str(tmp_path / "none"), "--out", str(tmp_path / "page.html")]) == 2
    assert "no run at" in capsys.readouterr().err


def test_the_next_run_of_a_folder_is_waited_for(tmp_path):
    first, page = write_run(tmp_path / "logs" / "a", epochs=1, done=0), tmp_path / "page.html"
    locks, said, slept = [lock_folder(first)], [], []

    def sleep(_seconds):
        slept.append(1)
        if len(slept) == 1:
            shutil.copy(write_run(tmp_path / "ended", epochs=1) / "summary.json", first)
            shutil.copy(tmp_path / "ended" / "metrics.csv", first)
            locks.pop().close()
        if len(slept) == 3:
            locks.append(lock_folder(write_run(tmp_path / "logs" / "b", seed=1, epochs=2, done=1)))
        if len(slept) == 5:
            locks.pop().close()

    follow([tmp_path / "logs"], page, 5, files=False, say=said.append, sleep=sleep)
    assert said == [
        "a: training after 0 of 1 epochs",
        "a: finished",
        "a: finished; b: training after 1 of 2 epochs",
    ]
    assert "stopped after 1 of 2 epochs" in page.read_text()


def test_an_interruption_leaves_a_page_that_stays(tmp_path):
    folder, page = write_run(tmp_path / "run", epochs=3, done=1), tmp_path / "page.html"

    def sleep(_seconds):
        raise KeyboardInterrupt

    with lock_folder(folder), pytest.raises(KeyboardInterrupt):
        follow([folder], page, 5, files=False, say=lambda _text: None, sleep=sleep)
    assert 'class="live"' not in page.read_text()
