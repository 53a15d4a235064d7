"""Runs of the trainer: their files, repeatability, and refusals."""

import json
import math
from functools import partial

import pytest
import torch
import yaml
from runs import BEST, LAST, assert_same_run, numbers, rows, state
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.testing import assert_close

import clif
import clif.train.folder as run_folder
import clif.train.learner as learner
import clif.train.loop as loop
from clif.errors import InputError
from clif.train.checkpoint import read_checkpoint

ACCURACIES = [f"{part}_{name}" for part in ("train", "test") for name in ("top1", "top5", "loss")]


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


@pytest.mark.usefixtures("fast_bfloat16")
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


def test_save_init_keeps_the_weights_before_training(train, config):
    initial = dict(loop.Trainer(config(), quiet=True).net.state_dict())
    folder = train(save_init=True, epochs=1).folder
    content = read_checkpoint(folder / "checkpoint_0.pth")
    assert_close(dict(content["net"]), initial, rtol=0, atol=0)
    assert content["epoch"] == -1
    assert clif.load(folder / "checkpoint_0.pth").T == 2


def test_an_out_dir_that_is_a_file_is_an_input_error(train, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another --out-dir"):
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


def test_a_loss_that_is_not_finite_never_overwrites_a_checkpoint(train, config):
    with pytest.raises(InputError, match=r"the loss became (nan|inf) in epoch 1, step \d of 4"):
        train(lr=1e30, checkpoint_every=1)
    saved = config(lr=1e30, checkpoint_every=1).run_folder() / LAST
    assert not saved.exists() or read_checkpoint(saved)["progress"]["step"] == 1


def test_the_best_checkpoint_of_a_run_that_nothing_chooses_is_its_last_step(train):
    result = train(max_steps=6, test_at_end=True)
    assert result.summary["best"]["epoch"] == 1
    assert [read_checkpoint(result.folder / name)["progress"]["global_step"] for name in (BEST, LAST)] == [6, 6]
