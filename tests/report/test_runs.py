"""Reading the folder of a run, and refusals."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import write_deployment, write_energy, write_pair, write_run

from clif.errors import InputError, MissingFileError
from clif.report.runs import find_runs, open_run
from clif.train.lock import is_locked, lock_folder


def test_a_run_is_what_its_folder_says(tmp_path):
    folder = write_run(tmp_path / "run", seed=3, epochs=2)
    write_deployment(folder)
    write_energy(folder)
    (folder / "warnings.json").write_text('[{"epoch": 1, "message": "layer a did not fire once"}]')
    run = open_run(folder)
    assert (run.name, run.seed, run.state, len(run.rows)) == ("run", 3, "finished", 2)
    assert run.last["test_top1"] == pytest.approx(0.81)
    assert run.best["epoch"] == 1
    assert run.warnings == ["layer a did not fire once"]
    assert run.deployments["deploy"]["method"] == "sweep"
    assert run.energy["microjoule"] == 20


def test_the_best_epoch_is_chosen_by_what_the_run_says_and_never_silently_by_the_test_set(tmp_path):
    rows = [
        {"epoch": e, "val_top1": v, "test_top1": t} for e, (v, t) in enumerate([(0.9, 0.5), (0.8, 0.7), (0.7, 0.9)])
    ]
    assert open_run(write_run(tmp_path / "a", rows=rows)).best["epoch"] == 0
    without = [{key: value for key, value in row.items() if key != "val_top1"} for row in rows]
    run = open_run(write_run(tmp_path / "b", rows=without, done=3))
    assert (run.chosen_on, run.best["epoch"]) == ("test", 2)


def test_after_its_end_the_best_epoch_is_that_of_the_summary(tmp_path):
    """An epoch that --max-steps or --max-time cut short has a row, but is never the best one."""
    rows = [{"epoch": e, "val_top1": v, "test_top1": v} for e, v in enumerate([0.5, 0.7, 0.9])]
    folder = write_run(tmp_path / "a", rows=rows)
    (folder / "summary.json").write_text(json.dumps({"last": rows[2], "best": rows[1], "best_chosen_on": "val"}))
    assert open_run(folder).best["epoch"] == 1
    (folder / "summary.json").write_text(json.dumps({"last": rows[1], "best": rows[0], "best_chosen_on": "val"}))
    assert open_run(folder).best["epoch"] == 2  # the run went on
    for damaged in (3, {}, {"epoch": [1]}, {"epoch": 7}):
        (folder / "summary.json").write_text(json.dumps({"last": rows[2], "best": damaged}))
        assert open_run(folder).best["epoch"] == 2


@pytest.mark.parametrize(("done", "state"), [(0, "stopped after 0 of 5 epochs"), (2, "stopped after 2 of 5 epochs")])
def test_a_run_that_has_not_ended_says_so(tmp_path, done, state):
    run = open_run(write_run(tmp_path / "run", epochs=5, done=done))
    assert (run.is_finished, run.state) == (False, state)


def test_a_run_that_ended_early_has_ended(tmp_path):
    folder = write_run(tmp_path / "run", epochs=3)
    text = (folder / "config.yaml").read_text().replace("epochs: 3", "epochs: 9")
    (folder / "config.yaml").write_text(text)
    assert open_run(folder).state == "ended after 3 of 9 epochs"


def test_the_summary_of_an_earlier_end_does_not_finish_a_run_that_goes_on(tmp_path):
    folder = write_run(tmp_path / "run", epochs=3)
    with (folder / "metrics.csv").open("a") as file:
        file.write("3" + "," * (len((folder / "metrics.csv").read_text().split("\n")[0].split(",")) - 1) + "\n")
    assert not open_run(folder).is_finished


def test_a_run_that_is_continued_after_its_end_is_in_training(tmp_path):
    folder = write_run(tmp_path / "run", epochs=3)
    with lock_folder(folder):
        run = open_run(folder)
        assert (run.is_finished, run.state) == (False, "training after 3 of 3 epochs")
    assert open_run(folder).is_finished


def test_a_run_in_training_is_known_by_its_lock_and_not_disturbed(tmp_path):
    folder = write_run(tmp_path / "run", epochs=5, done=1)
    lock = lock_folder(folder)
    before = (folder / ".lock").read_text()
    run = open_run(folder)
    assert (run.is_training, run.state) == (True, "training after 1 of 5 epochs")
    assert (folder / ".lock").read_text() == before
    lock.close()
    assert not is_locked(folder)
    lock_folder(folder).close()


def test_runs_are_found_in_folders_and_summaries_of_seeds_once(tmp_path):
    folders = write_pair(tmp_path / "logs", seeds=(0, 1))
    summary = tmp_path / "logs" / "seeds.json"
    summary.write_text(json.dumps({"folders": [f"elsewhere/{folder.name}" for folder in folders[:2]]}))
    assert [run.folder for run in find_runs([tmp_path / "logs"])] == sorted(folders)
    assert [run.folder for run in find_runs([summary])] == folders[:2]
    assert len(find_runs([folders[0], summary, tmp_path / "logs"])) == 4


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", "- a list"),
        ("config.yaml", "seed: none\n"),
        ("metrics.csv", "no,epochs\n1,2\n"),
        ("metrics.csv", "epoch,test_top1\n0,high\n"),
        ("metrics.csv", "epoch,test_top1\n0,0.5,0.7\n"),
        ("metrics.csv", b"\xff\xfe"),
        ("metrics.csv", "epoch\n" + "9" * 200_000),
        ("summary.json", "[]"),
        ("summary.json", "{"),
        ("environment.json", "{}"),
        ("warnings.json", '["text"]'),
        ("energy.json", "null"),
    ],
)
def test_a_damaged_file_is_one_error_that_names_it(tmp_path, file, content):
    folder = write_run(tmp_path / "run")
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match="run") as error:
        open_run(folder)
    assert str(folder / file) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(MissingFileError, match="no run at"):
            find_runs([path])
    (tmp_path / "page.html").write_text("")
    with pytest.raises(InputError, match="is a file"):
        find_runs([tmp_path / "page.html"])


@given(text=st.text(max_size=60))
def test_any_table_is_read_or_refused(tmp_path_factory, text):
    folder = write_run(tmp_path_factory.mktemp("any") / "run")
    (folder / "metrics.csv").write_text(f"epoch,test_top1\n{text}", encoding="utf-8", errors="replace", newline="")
    with suppress(InputError):
        assert all(isinstance(row["epoch"], int) for row in open_run(folder).rows)
