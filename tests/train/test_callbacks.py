"""Callbacks, loggers, JSON lines and several seeds."""

import json
import statistics
import sys
from types import SimpleNamespace

import pytest

from clif.cli import main
from clif.errors import InputError
from clif.train import Callback, fit, fit_seeds
from clif.train import seeds as seeds_module
from clif.train.interrupt import Interrupted


class Recorder(Callback):
    def __init__(self, end_at=None):
        self.calls, self.end_at = [], end_at

    def on_start(self, trainer):
        self.calls.append(("start", trainer.epoch))

    def on_step(self, trainer, loss):
        self.calls.append(("step", trainer.global_step))
        assert loss.dim() == 0
        if trainer.global_step == self.end_at:
            trainer.end("enough")

    def on_epoch(self, trainer, row):
        self.calls.append(("epoch", row["epoch"]))
        if row["epoch"] == self.end_at:
            trainer.end("enough")

    def on_end(self, trainer, result):
        self.calls.append(("end", trainer.ended))
        assert (result.folder / "summary.json").exists()


def test_callbacks_are_called_in_order(config):
    recorder = Recorder()
    fit(config(epochs=1), quiet=True, callbacks=[recorder])
    steps = [("step", number) for number in (1, 2, 3, 4)]
    assert recorder.calls == [("start", 0), *steps, ("epoch", 0), ("end", "all epochs are done")]


@pytest.mark.parametrize(("end_at", "steps", "epochs"), [(2, 2, 1), (0, 4, 1), (5, 5, 2)])
def test_a_callback_ends_the_run(config, end_at, steps, epochs):
    recorder = Recorder(end_at)
    result = fit(config(epochs=3), quiet=True, callbacks=[recorder])
    assert recorder.calls[-1] == ("end", "enough")
    assert sum(name == "step" for name, _ in recorder.calls) == steps
    assert len(result.history) == epochs


def test_json_lines_are_all_that_is_printed(short_run, tmp_path, capsys):
    arguments = [f"--{key}={value}" for key, value in {**short_run, "out_dir": tmp_path}.items()]
    assert main(["train", *arguments, "--json-lines"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    events = [line["event"] for line in lines if line["event"] != "warning"]
    assert events == ["start", "epoch", "epoch", "end"]
    end = lines[-1]
    assert end["last"]["test_top1"] == [line for line in lines if line["event"] == "epoch"][-1]["test_top1"]
    assert end["folder"] == lines[0]["folder"]


class FakeWandb:
    def __init__(self):
        self.rows, self.inits, self.finished = [], [], 0

    def init(self, **options):
        self.inits.append(options)
        return SimpleNamespace(log=lambda row, step: self.rows.append((step, row)), finish=self.finish)

    def finish(self):
        self.finished += 1


class FakeMlflow:
    def __init__(self):
        self.rows, self.starts, self.params, self.finished = [], [], {}, 0

    def start_run(self, run_id=None, run_name=None):
        self.starts.append((run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "new"))

    def log_params(self, params):
        self.params |= params

    def log_metrics(self, row, step):
        self.rows.append((step, row))

    def end_run(self):
        self.finished += 1


def test_loggers_get_every_epoch_and_a_resumed_run_stays_one_run(config, monkeypatch):
    wandb, mlflow = FakeWandb(), FakeMlflow()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    options = config(loggers="wandb, mlflow", max_steps=4)
    folder = fit(options, quiet=True).folder
    fit(config(loggers="wandb,mlflow", resume=str(folder), max_steps=4), quiet=True)
    from clif.train.resume import read_run

    fit(read_run(str(folder), {"max_steps": 0}), quiet=True, folder=folder)
    assert [step for step, _ in wandb.rows] == [step for step, _ in mlflow.rows] == [0, 1]
    assert {"train_loss", "test_top1"} <= wandb.rows[0][1].keys()
    assert len({options["id"] for options in wandb.inits}) == 1
    assert mlflow.starts == [(None, folder.name), ("new", None), ("new", None)]
    assert mlflow.params["model"] == "snn5_noAP"
    assert wandb.finished == mlflow.finished == 3


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_that_is_missing_says_how_to_install_it(config, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf'pip install "clif-snn\[{name}\]"'):
        fit(config(loggers=name), quiet=True)


def test_several_seeds_give_mean_and_standard_deviation(config):
    options = config(epochs=1)
    done = fit_seeds(options, [3, 1], quiet=True)
    assert list(done.runs) == [3, 1]
    assert len({run.folder for run in done.runs.values()}) == 2
    scores = [run.history[0]["test_top1"] for run in done.runs.values()]
    assert json.loads(done.path.read_text()) == done.summary
    assert done.summary["last"]["test_top1"]["by_seed"] == scores
    assert done.summary["last"]["test_top1"]["mean"] == statistics.fmean(scores)
    assert done.summary["last"]["test_top1"]["std"] == statistics.stdev(scores)
    steps = Recorder()
    again = fit_seeds(config(epochs=1, resume="auto"), [3, 1], quiet=True, callbacks=[steps])
    assert not any(name == "step" for name, _ in steps.calls)
    assert again.summary == done.summary


def test_stopped_seeds_say_how_to_resume(config, monkeypatch):
    fit_one = seeds_module.fit

    def stopped_at_the_second(one, *arguments):
        if one.seed == 1:
            raise Interrupted(15, "stopped")
        return fit_one(one, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(seeds_module, "fit", stopped_at_the_second)
        with pytest.raises(Interrupted, match="seed 1 stopped; to continue, add to the same command: --resume auto"):
            fit_seeds(config(epochs=1), [3, 1], quiet=True)
    assert list(fit_seeds(config(epochs=1, resume="auto"), [3, 1], quiet=True).runs) == [3, 1]


@pytest.mark.parametrize("seeds", [[], [1], [1, 1], [1, -2]])
def test_seeds_that_are_no_sample_are_refused(config, seeds):
    with pytest.raises(InputError, match="seed"):
        fit_seeds(config(), seeds, quiet=True)


def test_seeds_do_not_resume_from_one_checkpoint(config):
    with pytest.raises(InputError, match="--resume auto"):
        fit_seeds(config(resume="x.pth"), [1, 2], quiet=True)


def test_a_new_run_is_a_new_one_in_wandb_and_a_folder_of_an_earlier_version_keeps_its_own(train, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for resume in (None, None, "auto"):
        folder = train(loggers="wandb", max_steps=1, resume=resume).folder
    (folder / "wandb_run.txt").unlink()
    (folder / "wandb").mkdir()
    train(loggers="wandb", max_steps=1, resume="auto")
    first, second, third, fourth = (options["id"] for options in wandb.inits)
    assert first != second == third
    assert fourth == folder.name[-64:]
