"""Options that change during a run: time steps in stages, the one-cycle rate, and the test set at the end."""

import json

import pytest
import torch
from runs import LAST, StopAfter, assert_same_run, rows
from torch.testing import assert_close

import clif
import clif.train.loop as loop
from clif.data import create_loader
from clif.errors import InputError
from clif.train import Callback, evaluate, fit
from clif.train.checkpoint import read_checkpoint
from clif.train.config import resolve
from clif.train.interrupt import Interrupted

STAGES = {"T": 4, "T_stages": "1:1,2:1", "epochs": 3, "T_max": 3, "model": "snn7"}
FAST = {**STAGES, "opt": "Muon", "momentum": 0.6, "lr_scheduler": "OneCycle", "warmup_epochs": 1.0, "ema": 0.9}


class Watch(Callback):
    def __init__(self):
        self.steps, self.rates = [], []

    def on_step(self, trainer, loss):
        del loss
        self.steps.append((trainer.net.T, trainer.evaluated_net.T))
        self.rates.append(trainer.optimizer.param_groups[0]["lr"])


def test_a_checkpoint_has_the_time_steps_of_the_run_not_of_a_stage(config):
    assert clif.load(fit(config(**{**STAGES, "epochs": 1}), True).folder).T == 4
    net = clif.models.create_model("snn5_noAP", T=2)
    net.T = 3
    folder = fit(config(max_steps=1, T_stages="1:1"), True, net=net).folder
    assert (clif.load(folder).T, net.T) == (3, 3)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_time_steps_grow_by_epoch_and_end_with_T(config, ema):
    watch = Watch()
    result = fit(config(**STAGES, ema=ema), True, [watch])
    assert watch.steps == [(T, T) for T in (1, 2, 4) for _ in range(4)]
    net = clif.load(result.folder)
    assert net.T == net.config["T"] == 4


@pytest.mark.parametrize(
    ("text", "expected"), [("", [4, 4, 4]), ("1:2", [1, 1, 4]), ("2:1,3:5", [2, 3, 3]), (" 1:1, 2:1 ", [1, 2, 4])]
)
def test_the_stages_say_the_value_of_each_epoch(config, text, expected):
    stages = config(T=4, T_stages=text, size_stages=text, model="snn7")
    assert [stages.time_steps(epoch) for epoch in range(3)] == expected
    assert [stages.training_size(epoch) or 4 for epoch in range(3)] == expected


@pytest.mark.parametrize("name", ["T_stages", "size_stages"])
@pytest.mark.parametrize("text", ["1", "1:2:3", "a:1", "1:0", "0:1", "1:2,", "1.5:2", "-1:2"])
def test_stages_of_another_form_are_refused(name, text):
    with pytest.raises(InputError, match=rf"^{name} takes VALUE:EPOCHS, .*such as 1:12,2:6"):
        resolve(**{name: text})


def test_stages_of_recordings_are_refused(tmp_path, config):
    for options in ({"T_stages": "1:1"}, {"size_stages": "16:1"}):
        with pytest.raises(InputError, match=rf"{next(iter(options))} is for images; nmnist has recordings"):
            fit(config(dataset="nmnist", data_dir=str(tmp_path), **options), quiet=True)


def test_a_network_of_relu_has_one_step_in_every_epoch(config):
    assert config(neuron="ReLU", T_stages="2:1").time_steps(0) == 1


def test_the_training_images_grow_and_the_others_are_whole(config):
    seen = []

    class Sizes(Callback):
        def on_start(self, trainer):
            trainer.net.register_forward_pre_hook(lambda net, x: seen.append((net.training, x[0].shape[-1])))

    fit(config(model="snn7", size_stages="16:1,24:1", epochs=3, T_max=3), True, [Sizes()])
    assert [size for training, size in seen if training] == [16] * 4 + [24] * 4 + [32] * 4
    assert {size for training, size in seen if not training} == {32}


def test_a_network_of_one_size_is_refused_other_sizes(config):
    with pytest.raises(InputError, match="size_stages needs a network that takes images of any size; snn5_noAP does"):
        fit(config(size_stages="16:1"), quiet=True)


def test_one_cycle_rises_and_falls_in_a_line(config):
    watch = Watch()
    epochs, steps = 5, 4
    fit(config(epochs=epochs, T_max=epochs, lr=0.1, lr_scheduler="OneCycle", warmup_epochs=2.0), True, [watch])
    total, top = epochs * steps, 2 * steps - 1
    expected = [
        0.004 + (0.1 - 0.004) * i / top if i <= top else 0.1 + (4e-7 - 0.1) * (i - top) / (total - 1 - top)
        for i in range(1, total)
    ]
    assert_close(watch.rates, [*expected, expected[-1]], rtol=1e-6, atol=1e-9)


def test_one_cycle_whose_rise_is_one_step_begins_at_the_rate(config):
    watch = Watch()
    fit(config(epochs=2, T_max=2, lr=0.1, lr_scheduler="OneCycle", warmup_epochs=0.25), True, [watch])
    expected = [0.1 + (4e-7 - 0.1) * i / 7 for i in range(1, 8)]
    assert_close(watch.rates, [*expected, expected[-1]], rtol=1e-5, atol=1e-9)


def test_one_cycle_ends_with_the_epochs(config):
    with pytest.raises(InputError, match="epochs must be at most T_max = 2, where the cycle ends"):
        config(lr_scheduler="OneCycle", epochs=3, T_max=2)
    with pytest.raises(InputError, match="warmup_epochs must be less than T_max = 2"):
        config(lr_scheduler="OneCycle", epochs=2, T_max=2, warmup_epochs=2.0)


@pytest.fixture(scope="module")
def whole(short_run, tmp_path_factory):
    """The folder of an uninterrupted run with `FAST`."""
    return fit(resolve(**{**short_run, **FAST, "out_dir": str(tmp_path_factory.mktemp("whole"))}), quiet=True).folder


@pytest.mark.parametrize("checks", [6, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 14))])
def test_a_fast_run_stopped_anywhere_resumes_to_the_same_bits(train, config, whole, monkeypatch, checks):
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(checks))
        with pytest.raises(Interrupted):
            train(**FAST)
    folder = train(resume=str(config(**FAST).run_folder() / LAST), **FAST).folder
    assert_same_run(folder, whole)


@pytest.mark.slow
def test_a_run_resumes_with_another_rate_as_if_it_had_had_it_from_the_start(train, config, monkeypatch, tmp_path):
    options = {**FAST, "lr": 0.1}
    expected = read_checkpoint(train(**options, out_dir=str(tmp_path / "other")).folder / LAST)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(6))
        with pytest.raises(Interrupted):
            train(**FAST)
    folder = train(resume=str(config(**FAST).run_folder() / LAST), **options).folder
    found = read_checkpoint(folder / LAST)
    assert found["lr_scheduler"] == expected["lr_scheduler"]
    assert found["optimizer"]["param_groups"] == expected["optimizer"]["param_groups"]


@pytest.mark.parametrize(("val_split", "chosen_on"), [(0.2, "val"), (0.0, "")])
def test_the_test_set_is_evaluated_once_after_the_last_epoch(train, tiny_cifar10, val_split, chosen_on):
    result = train(test_at_end=True, val_split=val_split, epochs=3, T_max=3)
    tested = [bool(row.get("test_top1")) for row in rows(result.folder)]
    assert tested == [False, False, True]
    assert all(("val_top1" in row) == (val_split > 0) for row in rows(result.folder))
    loader = create_loader("cifar10", tiny_cifar10, train=False, batch_size=16)
    expected = evaluate(clif.load(result.folder / LAST), loader)
    assert result.summary["last"]["test_top1"] == expected.top1
    assert result.summary["best_chosen_on"] == chosen_on
    best = read_checkpoint(result.folder / "checkpoint_best.pth")
    assert best["epoch"] == (2 if not val_split else result.summary["best"]["epoch"])
    assert json.loads((result.folder / "summary.json").read_text())["last"] == result.summary["last"]


def test_a_run_that_a_limit_ends_leaves_the_test_set_alone(train):
    result = train(test_at_end=True, val_split=0.2, max_steps=3)
    assert "test_top1" not in result.summary["last"]
    assert "val_top1" in result.summary["last"]


def test_a_run_that_stops_early_is_tested_in_its_last_epoch(train):
    result = train(test_at_end=True, val_split=0.2, early_stop=1, epochs=9, lr=1e-12, weight_decay=0.0)
    assert len(result.history) < 9
    tested = [bool(row.get("test_top1")) for row in rows(result.folder)]
    assert tested == [False] * (len(tested) - 1) + [True]
    assert "test_top1" in result.summary["last"]


def test_stopping_early_needs_epochs_to_compare(config):
    with pytest.raises(InputError, match="early_stop with test_at_end needs a validation split: add --val-split"):
        fit(config(test_at_end=True, early_stop=2), quiet=True)


def test_the_weights_of_a_fast_run_move(train):
    folder = train(**FAST, save_init=True).folder
    first, last = (read_checkpoint(folder / name)["net"] for name in ("checkpoint_0.pth", LAST))
    moved = [name for name in first if first[name].is_floating_point() and not torch.equal(first[name], last[name])]
    assert len(moved) >= len(first) // 2
