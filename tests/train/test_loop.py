"""Runs of the trainer: what they leave, that they repeat, and that an interruption changes no bit."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.testing import assert_close

import clif
import clif.train.folder as run_folder
import clif.train.learner as learner
import clif.train.loop as loop
from clif.errors import InputError, MissingFileError
from clif.models import create_model
from clif.train.checkpoint import read_checkpoint, save_checkpoint
from clif.train.config import resolve
from clif.train.interrupt import Interrupted, StopRequest

LAST, BEST = "checkpoint_last.pth", "checkpoint_best.pth"
ACCURACIES = [f"{part}_{name}" for part in ("train", "test") for name in ("top1", "top5", "loss")]


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def numbers(history):
    """The figures of every epoch without the times, which no run repeats."""
    return [{k: float(v) for k, v in row.items() if not k.endswith(("seconds", "_second"))} for row in history]


def state(folder, name=LAST):
    content = read_checkpoint(folder / name)
    return {key: content[key] for key in ("net", "optimizer", "lr_scheduler", "epoch", "max_test_acc")}


def assert_same_run(folder, other):
    assert_close(state(folder), state(other), rtol=0, atol=0)
    assert numbers(rows(folder)) == numbers(rows(other))


class StopAfter:
    """A `StopRequest` whose signal comes at the n-th time that the loop asks for it."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    @property
    def signum(self):
        self.left -= 1
        return signal.SIGTERM if self.left <= 0 else None


def test_a_run_leaves_its_configuration_figures_and_checkpoints(train, config):
    result = train(epochs=3)
    folder = result.folder
    assert folder == config(epochs=3).run_folder()
    assert {p.name for p in folder.iterdir()} >= {"config.yaml", "metrics.csv", "summary.json", LAST, "tensorboard"}
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    assert (stored["dataset"], stored["neuron"], stored["epochs"]) == ("cifar10", "CLIF", 3)
    table = rows(folder)
    assert [row["epoch"] for row in table] == ["0", "1", "2"]
    assert set(ACCURACIES) <= table[0].keys()
    assert numbers(table) == numbers(result.history)


def test_tensorboard_holds_every_epoch(train):
    folder = train().folder
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    for name in ("train_loss", "test_top1"):
        scalars = events.Scalars(name.replace("_", "/"))
        assert [event.step for event in scalars] == [0, 1]
        expected = [float(row[name]) for row in rows(folder)]
        assert [event.value for event in scalars] == pytest.approx(expected)


def test_the_last_and_the_best_epoch_are_both_reported(train):
    result = train(epochs=4)
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary == result.summary
    assert summary["last"]["epoch"] == 3
    assert summary["best"]["test_top1"] == max(row["test_top1"] for row in result.history)
    assert summary["best_chosen_on"] == "test"
    best, last = read_checkpoint(result.folder / BEST), read_checkpoint(result.folder / LAST)
    assert (best["epoch"], last["epoch"]) == (summary["best"]["epoch"], 3)
    assert best["max_test_acc"] == last["max_test_acc"] == summary["best"]["test_top1"]


def test_the_first_of_equal_epochs_is_the_best(train, monkeypatch):
    scores = iter([0.3, 0.5, 0.5])
    fake = loop.Scores(loss=1.0, top1=0.0, top5=1.0, samples=20, seconds=1.0)
    monkeypatch.setattr(loop, "evaluate", lambda *_: type(fake)(1.0, next(scores), 1.0, 20, 1.0))
    result = train(epochs=3)
    assert result.summary["best"]["epoch"] == 1
    assert read_checkpoint(result.folder / BEST)["epoch"] == 1


@pytest.mark.parametrize("which", [LAST, BEST])
def test_a_checkpoint_of_a_run_loads_as_its_network(train, which):
    folder = train().folder
    net = clif.load(folder / which)
    assert (net.config["name"], net.config["neuron"], net.T) == ("snn5_noAP", "CLIF", 2)
    assert not any(p.is_symlink() for p in folder.iterdir())


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(train, tmp_path):
    options = {"drop_rate": 0.3, "epochs": 1}
    first, second = (train(out_dir=str(tmp_path / name), **options) for name in "ab")
    assert_same_run(first.folder, second.folder)
    other = train(out_dir=str(tmp_path / "c"), seed=1, **options)
    first_weights, other_weights = (state(run.folder)["net"]["classifier.weight"] for run in (first, other))
    assert not torch.equal(first_weights, other_weights)


def test_threads_that_prepare_batches_change_no_bit(train, tmp_path):
    folders = [train(j=j, out_dir=str(tmp_path / str(j))).folder for j in (0, 2)]
    assert_same_run(*folders)


DROPOUT = {"drop_rate": 0.4, "lr_scheduler": "StepLR", "step_size": 1}


@pytest.fixture(scope="module")
def whole(short_run, tmp_path_factory):
    """The folder of an uninterrupted run with `DROPOUT`: 2 epochs of 4 steps and 2 test batches."""
    values = {**short_run, **DROPOUT, "out_dir": str(tmp_path_factory.mktemp("whole"))}
    return loop.fit(resolve(**values), quiet=True).folder


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("checks", [1, 4, 5, 7, 11])
def test_a_run_stopped_anywhere_goes_on_to_the_same_bits(train, config, whole, monkeypatch, checks):
    folder = config(**DROPOUT).run_folder()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(checks))
        with pytest.raises(Interrupted) as stopped:
            train(**DROPOUT)
    assert stopped.value.signum == signal.SIGTERM
    assert str(stopped.value).endswith(f"-resume {folder / LAST}")
    (folder / "notes.txt").write_text("mine")
    resumed = train(resume=str(folder / LAST), **DROPOUT)
    assert resumed.folder == folder
    assert_same_run(folder, whole)
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_run_stopped_in_its_evaluation_goes_on_without_a_warning(train, config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(5))
        with pytest.raises(Interrupted):
            train(epochs=1)
    train(epochs=1, resume=str(config(epochs=1).run_folder() / LAST))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_request_notes_the_first_signal_and_puts_the_handlers_back(signum):
    before = signal.getsignal(signum)
    with StopRequest() as stop:
        assert stop.signum is None
        signal.raise_signal(signum)
        assert stop.signum == signum
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signum) == before


def test_a_run_killed_between_checkpoints_goes_on_from_the_last_one_to_the_same_bits(train, config, whole, monkeypatch):
    options = {**DROPOUT, "checkpoint_every": 3}
    original = loop.Trainer._stop_if_asked

    def die_in_the_second_epoch(trainer, *arguments):
        original(trainer, *arguments)
        if (trainer.epoch, trainer.step) == (1, 4):
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_stop_if_asked", die_in_the_second_epoch)
        with pytest.raises(MemoryError):
            train(**options)
    path = config(**options).run_folder() / LAST
    content = read_checkpoint(path)
    assert (content["epoch"], content["progress"]["step"]) == (0, 3)
    assert_same_run(train(resume=str(path), **options).folder, whole)


def test_resume_after_an_epoch_goes_on_to_the_same_bits(train, tmp_path, monkeypatch):
    options = {"drop_rate": 0.4, "opt": "AdamW", "lr": 1e-3}
    kept = tmp_path / "kept.pth"

    def keep_first(path, content):
        save_checkpoint(path, content)
        if content["epoch"] == 0 and path.name == LAST:
            save_checkpoint(kept, content)

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "save_checkpoint", keep_first)
        uninterrupted = train(out_dir=str(tmp_path / "whole"), **options)
    assert_same_run(train(resume=str(kept), **options).folder, uninterrupted.folder)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(config):
    options = config(epochs=10_000)
    script = (
        "import sys; from clif.cli import main; from clif.train import loop; "
        "original = loop.Trainer._train_epoch\n"
        "def announced(self, *a):\n    print('training', flush=True); original(self, *a)\n"
        "loop.Trainer._train_epoch = announced; sys.exit(main(sys.argv[1:]))"
    )
    given = {"dataset", "data_dir", "model", "neuron", "T", "b", "epochs", "T_max", "lr", "amp", "out_dir"}
    arguments = [f"--{key}={getattr(options, key)}" for key in sorted(given)]
    process = subprocess.Popen(
        [sys.executable, "-c", script, "train", "--quiet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert f"-resume {options.run_folder() / LAST}" in error
    assert "Traceback" not in error
    content = read_checkpoint(options.run_folder() / LAST)
    assert content["progress"]["step"] > 0 or content["epoch"] >= 0


@pytest.mark.parametrize("options", [{}, {"drop_rate": 0.3, "neuron": "LIF"}, {"neuron": "PLIF", "mse_n_reg": True}])
def test_one_step_a_call_gives_the_numbers_of_the_whole_sequence(train, options):
    options = {"dtype": "float64", "epochs": 1, "b": 50, **options}
    at_once, by_step = (train(multiple_step=flag, **options) for flag in (True, False))
    assert at_once.folder != by_step.folder
    assert_close(state(by_step.folder)["net"], state(at_once.folder)["net"], rtol=1e-8, atol=1e-10)
    assert by_step.history[0]["train_loss"] == pytest.approx(at_once.history[0]["train_loss"], rel=1e-10)


@pytest.mark.parametrize(("amp", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
@pytest.mark.parametrize("multiple_step", [True, False])
def test_amp_is_a_true_switch(config, monkeypatch, amp, expected, multiple_step):
    monkeypatch.setattr(learner, "create_loader", partial(learner.create_loader, limit=4))
    trainer = loop.Trainer(config(amp=amp, b=4, epochs=1, multiple_step=multiple_step), quiet=True)
    seen = []

    def note(module, _inputs, output):
        if module.training:
            seen.append(output.dtype)

    trainer.net.features[1].fwd[0].register_forward_hook(note)
    trainer.fit()
    assert set(seen) == {expected}
    assert {p.dtype for p in trainer.net.parameters()} == {torch.float32}


def test_a_validation_split_chooses_the_best_epoch(train, monkeypatch):
    scores = {10: iter([0.9, 0.1, 0.2]), 20: iter([0.1, 0.2, 0.9])}

    def fake(_net, loader, *_arguments):
        return loop.Scores(1.0, next(scores[loader.num_samples]), 1.0, loader.num_samples, 1.0)

    monkeypatch.setattr(loop, "evaluate", fake)
    result = train(epochs=3, val_split=0.2)
    assert result.summary["best_chosen_on"] == "val"
    assert (result.summary["best"]["epoch"], result.summary["best"]["test_top1"]) == (0, 0.1)
    assert read_checkpoint(result.folder / BEST)["epoch"] == 0
    assert result.summary["last"]["test_top1"] == 0.9


def test_validation_images_are_not_trained_on(config):
    loaders = loop.Trainer(config(val_split=0.2), quiet=True).loaders
    assert [loaders[part].num_samples for part in ("train", "val", "test")] == [40, 10, 20]
    train_images, val_images = (
        {image.numpy().tobytes() for image in loader.images[loader.chosen]}
        for loader in (loaders["train"], loaders["val"])
    )
    assert (len(train_images), len(val_images)) == (40, 10)
    assert not train_images & val_images
    assert loaders["val"].augmentation is None


def test_an_earlier_run_is_set_aside_whole(train):
    first = train(epochs=1)
    before = {p.name: p.read_bytes() for p in first.folder.iterdir() if p.is_file()}
    for k in (1, 2):
        assert train(epochs=1).folder == first.folder
        aside = first.folder.with_name(f"{first.folder.name}.{k}")
        assert {p.name for p in aside.iterdir()} == {p.name for p in first.folder.iterdir()}
    aside = first.folder.with_name(f"{first.folder.name}.1")
    assert {p.name: p.read_bytes() for p in aside.iterdir() if p.is_file()} == before


def original_checkpoint(config, path, **changed):
    """A checkpoint as the original writes it after its fifth epoch."""
    torch.manual_seed(7)
    net = create_model(config.model, config.neuron, T=config.T)
    optimizer = torch.optim.SGD(net.parameters(), lr=config.lr, momentum=0.9, weight_decay=config.weight_decay)
    net(torch.randn(2, 3, 32, 32)).square().sum().backward()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=config.T_max)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    content = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "lr_scheduler": scheduler.state_dict()}
    content |= {"epoch": 4, "max_test_acc": np.float64(0.01), **changed}
    torch.save({key: value for key, value in content.items() if value is not ...}, path)
    return content


def test_an_original_checkpoint_goes_on_at_its_next_epoch(train, config, tmp_path):
    options = {"epochs": 7, "T_max": 10}
    path = tmp_path / "checkpoint_latest.pth"
    content = original_checkpoint(config(**options), path)
    result = train(resume=str(path), **options)
    assert [row["epoch"] for row in result.history] == [5, 6]
    lrs = [0.05 * (1 + math.cos(math.pi * epoch / 10)) / 2 for epoch in (5, 6)]
    assert [row["lr"] for row in result.history] == pytest.approx(lrs)
    assert read_checkpoint(result.folder / LAST)["epoch"] == 6
    assert not torch.equal(state(result.folder)["net"]["classifier.weight"], content["net"]["classifier.weight"])


def test_resume_takes_the_weights_and_momenta_of_an_original_checkpoint(config, tmp_path):
    path = tmp_path / "checkpoint_max.pth"
    content = original_checkpoint(config(), path)
    trainer = loop.Trainer(config(epochs=9, resume=str(path)), quiet=True)
    assert_close(dict(trainer.net.state_dict()), dict(content["net"]), rtol=0, atol=0)
    momentum = [entry["momentum_buffer"] for entry in trainer.optimizer.state_dict()["state"].values()]
    expected = [entry["momentum_buffer"] for entry in content["optimizer"]["state"].values()]
    assert_close(momentum, expected, rtol=0, atol=0)
    assert (trainer.epoch, trainer.step, trainer.inherited_best) == (5, 0, 0.01)


def test_resume_with_another_optimiser_is_an_input_error(train, config, tmp_path):
    original_checkpoint(config(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="was trained with SGD; resume with -opt SGD"):
        train(resume=str(tmp_path / "c.pth"), opt="AdamW", epochs=9)


@pytest.mark.parametrize("progress", [{"step": 3}, {"step": "x", "loader": 3}, {"loader": {}, "step": 0}])
def test_a_place_that_cannot_be_read_is_an_input_error(train, config, tmp_path, progress):
    content = original_checkpoint(config(), tmp_path / "c.pth")
    save_checkpoint(tmp_path / "c.pth", {**content, "progress": progress})
    with pytest.raises(InputError, match=r"c\.pth: its place within the epoch cannot be read"):
        train(resume=str(tmp_path / "c.pth"), epochs=9)


@pytest.mark.parametrize("key", ["optimizer", "lr_scheduler", "epoch"])
def test_resume_without_what_it_needs_is_an_input_error(train, config, tmp_path, key):
    original_checkpoint(config(), tmp_path / "c.pth", **{key: ...})
    with pytest.raises(InputError, match=f"it has no '{key}'; -pre_train"):
        train(resume=str(tmp_path / "c.pth"), epochs=9)


def test_resume_with_another_network_is_an_input_error(train, config, tmp_path):
    original_checkpoint(config(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="does not fit snn5 with CLIF neurons"):
        train(resume=str(tmp_path / "c.pth"), model="snn5", epochs=9)


@pytest.mark.parametrize("option", ["resume", "pre_train"])
def test_a_missing_checkpoint_is_named_before_any_folder_is_made(train, tmp_path, option):
    with pytest.raises(MissingFileError, match=r"none\.pth"):
        train(**{option: str(tmp_path / "none.pth")})
    assert not (tmp_path / "logs").exists()


def test_nothing_left_to_train_is_an_input_error_when_there_is_no_history(train, config, tmp_path):
    original_checkpoint(config(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="has all 2 epochs already"):
        train(resume=str(tmp_path / "c.pth"), epochs=2)


def test_resuming_a_finished_run_reports_it_again(train):
    first = train()
    again = train(resume=str(first.folder / LAST))
    assert again.summary == first.summary
    assert again.folder == first.folder


@pytest.mark.parametrize("b", [7, 49])
def test_a_last_batch_of_one_sample_does_not_stop_a_run(train, b):
    result = train(b=b, epochs=1)
    assert math.isfinite(result.history[0]["train_loss"])
    assert read_checkpoint(result.folder / LAST)["lr_scheduler"]["last_epoch"] == 1


def test_every_sample_counts_once_in_the_training_figures(config):
    trainer = loop.Trainer(config(b=7, epochs=1), quiet=True)
    trainer.fit()
    row = trainer.history[0]
    assert row["train_images_per_second"] * row["train_seconds"] == pytest.approx(50)
    assert (row["train_top1"] * 50) % 1 == pytest.approx(0, abs=1e-9)


def test_cosine_decay_is_stepped_once_an_epoch(train):
    lrs = [row["lr"] for row in train(epochs=4, T_max=4).history]
    assert lrs == pytest.approx([0.05 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)])


def test_step_decay_is_stepped_once_an_epoch(train):
    lrs = [row["lr"] for row in train(epochs=5, lr_scheduler="StepLR", step_size=2, gamma=0.5).history]
    assert lrs == pytest.approx([0.05, 0.05, 0.025, 0.025, 0.0125])


def test_adamw_trains(config):
    trainer = loop.Trainer(config(opt="AdamW", lr=1e-3, weight_decay=0.01, epochs=1), quiet=True)
    assert isinstance(trainer.optimizer, torch.optim.AdamW)
    before = trainer.net.classifier.weight.detach().clone()
    trainer.fit()
    assert trainer.optimizer.defaults["weight_decay"] == 0.01
    assert (trainer.net.classifier.weight - before).abs().max() > 1e-4


def test_sgd_has_the_momentum_and_weight_decay_of_the_configuration(config):
    defaults = loop.Trainer(config(momentum=0.8, weight_decay=1e-3), quiet=True).optimizer.defaults
    assert (defaults["lr"], defaults["momentum"], defaults["weight_decay"]) == (0.05, 0.8, 1e-3)


def test_pre_train_starts_a_new_run_from_the_weights(config, tmp_path):
    content = original_checkpoint(config(), tmp_path / "c.pth")
    trainer = loop.Trainer(config(pre_train=str(tmp_path / "c.pth")), quiet=True)
    assert_close(dict(trainer.net.state_dict()), dict(content["net"]), rtol=0, atol=0)
    assert trainer.epoch == 0
    assert [row["epoch"] for row in trainer.fit().history] == [0, 1]


def test_pre_train_takes_clif_weights_into_a_lif_network(config, tmp_path):
    original_checkpoint(config(), tmp_path / "c.pth")
    trainer = loop.Trainer(config(pre_train=str(tmp_path / "c.pth"), neuron="LIF"), quiet=True)
    assert type(trainer.net.features[0].act) is clif.LIFNode


def test_save_init_keeps_the_weights_before_training(train, config):
    initial = dict(loop.Trainer(config(), quiet=True).net.state_dict())
    folder = train(save_init=True, epochs=1).folder
    content = read_checkpoint(folder / "checkpoint_0.pth")
    assert_close(dict(content["net"]), initial, rtol=0, atol=0)
    assert content["epoch"] == -1
    assert clif.load(folder / "checkpoint_0.pth").T == 2


def test_resuming_the_initial_checkpoint_is_the_run_itself(train, tmp_path):
    whole = train(save_init=True, drop_rate=0.3)
    resumed = train(resume=str(whole.folder / "checkpoint_0.pth"), drop_rate=0.3, out_dir=str(tmp_path / "again"))
    assert_same_run(resumed.folder, whole.folder)


def test_an_out_dir_that_is_a_file_is_an_input_error(train, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another -out_dir"):
        train(out_dir=str(tmp_path / "file"))


def test_soft_labels_train(config):
    trainer = loop.Trainer(config(cutupmix_auto=True, mse_n_reg=True, label_smoothing=0.1, epochs=1), quiet=True)
    _, labels = next(trainer.loaders["train"].batches(0))
    assert labels.shape == (16, 10)
    before = trainer.net.classifier.weight.detach().clone()
    row = trainer.fit().history[0]
    assert math.isfinite(row["train_loss"])
    assert 0 <= row["train_top1"] <= 1
    assert not torch.equal(before, trainer.net.classifier.weight)


@pytest.mark.slow
def test_training_learns_real_digits(train, monkeypatch):
    monkeypatch.setattr(learner, "create_loader", partial(learner.create_loader, limit=240))
    history = train(dataset="digits", epochs=4, T_max=4, loss_lambda=0).history
    losses = [row["train_loss"] for row in history]
    assert losses == sorted(losses, reverse=True)
    assert history[-1]["test_top1"] > 0.4
    assert history[-1]["test_top5"] > 0.8


def test_checkpoint_every_writes_between_the_epochs(train, monkeypatch):
    steps = []
    monkeypatch.setattr(
        run_folder, "save_checkpoint", lambda path, content: steps.append((path.name, content["progress"]))
    )
    train(epochs=1, checkpoint_every=1)
    assert [progress["step"] for name, progress in steps if name == LAST] == [1, 2, 3, 4, 0]


def test_a_loss_that_is_not_finite_is_an_input_error(train):
    with pytest.raises(InputError, match=r"the loss became (nan|inf)"):
        train(lr=1e30)


def test_the_command_line_sees_progress_unless_quiet(config, capsys):
    loop.fit(config(epochs=1), quiet=False)
    shown = capsys.readouterr()
    assert "run folder" in shown.out
    assert "test loss" in shown.out
    loop.fit(config(epochs=1), quiet=True)
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


def test_a_run_with_more_epochs_holds_its_best_checkpoint_even_if_an_earlier_one_was_best(train, monkeypatch):
    scores = iter([0.9, 0.1, 0.1])
    monkeypatch.setattr(loop, "evaluate", lambda *_: loop.Scores(1.0, next(scores), 1.0, 20, 1.0))
    first = train(epochs=2)
    longer = train(epochs=3, resume=str(first.folder / LAST))
    assert longer.summary["best"]["epoch"] == 0
    assert read_checkpoint(longer.folder / BEST)["epoch"] == 0


def test_resuming_a_run_folder_goes_on_from_its_last_checkpoint_in_it(train, monkeypatch):
    scores = iter([0.9, 0.1, 0.1])
    monkeypatch.setattr(loop, "evaluate", lambda *_: loop.Scores(1.0, next(scores), 1.0, 20, 1.0))
    folder = train().folder
    again = train(resume=str(folder))
    assert [p.name for p in folder.parent.iterdir()] == [again.folder.name]
    assert len(again.history) == 2


def test_a_loss_that_is_not_finite_never_overwrites_a_checkpoint(train, config):
    with pytest.raises(InputError, match=r"the loss became (nan|inf) in epoch 1, step \d of 4"):
        train(lr=1e30, checkpoint_every=1)
    saved = config(lr=1e30, checkpoint_every=1).run_folder() / LAST
    assert not saved.exists() or read_checkpoint(saved)["progress"]["step"] == 1
