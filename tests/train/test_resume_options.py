"""Options for a resumed run: training uses them from there on, or they are refused."""

import math

import pytest
import torch
import yaml
from own_objects import CLASSES, FEATURES, data
from runs import LAST, assert_same_run, original_checkpoint
from torch.optim.lr_scheduler import LambdaLR, LinearLR, SequentialLR
from torch.testing import assert_close
from torch.utils.data import DataLoader

from clif.errors import InputError
from clif.train.callbacks import Callback
from clif.train.checkpoint import read_checkpoint
from clif.train.folder import last_checkpoint
from clif.train.loop import Trainer, fit
from clif.train.resume import read_run
from clif.train.schedules import SCHEDULERS


def said(caplog):
    """The messages of the trainer."""
    return [record.getMessage() for record in caplog.records if record.name == "clif.train"]


def resume(folder, **options):
    return fit(read_run(str(folder), options), quiet=True, folder=folder)


def group_of(folder):
    return read_checkpoint(folder / LAST)["optimizer"]["param_groups"][0]


def rates(result):
    return [row["lr"] for row in result.history]


def cosine(lr, epochs, T_max):
    return [lr * (1 + math.cos(math.pi * epoch / T_max)) / 2 for epoch in epochs]


def test_a_rate_a_schedule_a_decay_and_a_momentum_given_are_what_trains(train, caplog):
    folder = train().folder
    result = resume(folder, epochs=4, T_max=4, lr=0.01, weight_decay=0.1, momentum=0.5)
    assert rates(result) == pytest.approx([*cosine(0.05, (0, 1), 2), *cosine(0.01, (2, 3), 4)])
    group = group_of(folder)
    assert (group["initial_lr"], group["weight_decay"], group["momentum"]) == (0.01, 0.1, 0.5)
    schedule = read_checkpoint(folder / LAST)["lr_scheduler"]
    assert (schedule["base_lrs"], schedule["T_max"], schedule["last_epoch"]) == ([0.01], 4, 4)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert [config[k] for k in ("lr", "T_max", "weight_decay", "momentum", "epochs")] == [0.01, 4, 0.1, 0.5, 4]
    assert said(caplog) == [
        "the run continues with lr 0.01 (0.05 before), momentum 0.5 (0.9 before), weight_decay 0.1 (0.0005 before), "
        "T_max 4 (2 before)"
    ]


def test_resuming_again_without_options_keeps_those_given_before(train):
    folder = train().folder
    resume(folder, epochs=3, T_max=4, lr=0.01)
    assert rates(resume(folder, epochs=4)) == pytest.approx([*cosine(0.05, (0, 1), 2), *cosine(0.01, (2, 3), 4)])


def test_a_weight_decay_given_within_an_epoch_changes_its_next_step(config):
    folder = fit(config(max_steps=1), quiet=True).folder
    changed, same = (Trainer(read_run(str(folder), given), quiet=True) for given in ({"weight_decay": 0.5}, {}))
    before = {name: p.detach().clone() for name, p in same.net.named_parameters()}
    for trainer in (changed, same):
        trainer.train_step(trainer.loaders["train"].shares(0, 1))
        trainer.folder.release()
    for (name, one), other in zip(changed.net.named_parameters(), same.net.parameters(), strict=True):
        assert_close(one - other, -0.05 * (0.5 - 5e-4) * before[name], rtol=1e-3, atol=1e-7)


def test_another_schedule_is_that_of_a_run_that_always_had_it(train):
    folder = train().folder
    options = {"lr_scheduler": "StepLR", "step_size": 1, "gamma": 0.5}
    assert rates(resume(folder, epochs=4, **options)) == pytest.approx([*cosine(0.05, (0, 1), 2), 0.0125, 0.00625])
    assert rates(resume(folder, epochs=5, lr_scheduler="CosALR", T_max=8))[4] == pytest.approx(cosine(0.05, [4], 8)[0])


@pytest.mark.parametrize("schedule", [LinearLR, lambda o, *options: SequentialLR(o, [LinearLR(o, *options)], [])])
def test_a_registered_schedule_that_begins_below_the_rate_is_that_of_a_run_that_always_had_it(train, schedule):
    SCHEDULERS["Rising"] = lambda optimizer, _config, _per_epoch: schedule(optimizer, 0.2, 1.0, 4)
    try:
        result = resume(train().folder, epochs=4, lr_scheduler="Rising")
    finally:
        del SCHEDULERS["Rising"]
    assert rates(result)[2:] == pytest.approx([0.05 * 0.6, 0.05 * 0.8])


@pytest.mark.parametrize("opt", ["SGD", "AdamW"])
def test_a_checkpoint_named_with_other_options_resumes_with_them(train, opt):
    options = {"opt": opt, "no_decay_norm_bias": True}
    first = train(**options)
    second = train(resume=str(first.folder / LAST), epochs=3, T_max=3, lr=0.02, weight_decay=0.3, **options)
    assert second.folder != first.folder
    assert rates(second)[2] == pytest.approx(cosine(0.02, [2], 3)[0])
    decays = [g["weight_decay"] for g in read_checkpoint(second.folder / LAST)["optimizer"]["param_groups"]]
    assert decays == [0.3, 0.0]


def test_an_original_checkpoint_resumes_with_other_options(train, config, tmp_path, caplog):
    path = tmp_path / "checkpoint_latest.pth"
    original_checkpoint(config(epochs=7, T_max=10), path)
    result = train(epochs=7, T_max=20, lr=0.01, resume=str(path))
    assert rates(result) == pytest.approx(cosine(0.01, (5, 6), 20))
    assert "lr 0.01 (0.05 before), T_max 20 (10 before)" in caplog.text


def test_a_run_whose_cosine_ends_with_it_takes_the_cosine_along_to_more_epochs(train):
    folder = train(epochs=2, T_max=2).folder
    assert rates(resume(folder, epochs=4))[2:] == pytest.approx(cosine(0.05, (2, 3), 4))


def test_a_run_resumed_with_an_average_begins_it_there(train):
    folder = train().folder
    resume(folder, epochs=3, ema=0.9)
    content = read_checkpoint(folder / LAST)
    assert not torch.equal(content["net"]["classifier.weight"], content["net_raw"]["classifier.weight"])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("model", "snn5"),
        ("neuron", "LIF"),
        ("T", 3),
        ("tau", 1.5),
        ("surrogate", "atan"),
        ("seed", 1),
        ("dataset", "digits"),
        ("val_split", 0.1),
        ("opt", "AdamW"),
        ("no_decay_norm_bias", True),
    ],
)
def test_what_makes_the_run_this_run_is_refused_and_nothing_is_changed(train, option, value):
    folder = train(epochs=1).folder
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with pytest.raises(InputError, match=rf"its run has {option} .*, which cannot become {value} .* --pre-train"):
        resume(folder, epochs=2, **{option: value})
    with pytest.raises(InputError, match=rf"its run has {option} "):
        train(resume=str(folder / LAST), epochs=2, **{option: value})
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def test_an_exchange_that_took_place_cannot_be_taken_back(train):
    folder = train(neuron="LIF", exchange_neuron="CLIF", exchange_epoch=1).folder
    with pytest.raises(InputError, match="its run has exchange_epoch 1, which cannot become 5"):
        resume(folder, epochs=6, exchange_epoch=5)


@pytest.mark.parametrize("options", [{"max_steps": 6}, {"epochs": 2}])
def test_fewer_epochs_than_there_are_is_an_input_error(train, options):
    folder = train(**options).folder
    before = (folder / "config.yaml").read_bytes()
    with pytest.raises(InputError, match="already has all 1 epochs"):
        resume(folder, epochs=1)
    assert (folder / "config.yaml").read_bytes() == before


@pytest.mark.parametrize("limit", [{"max_steps": 3}, {"max_time": 1e-6}, {"epochs": 1}, {"early_stop": 1, "epochs": 1}])
def test_resume_auto_resumes_a_run_that_had_a_limit(train, tmp_path, limit, caplog):
    part = train(resume="auto", **limit)
    assert "starting a new run" in caplog.text
    caplog.clear()
    longer = train(resume="auto")
    assert longer.folder == part.folder
    assert said(caplog) == []
    assert_same_run(longer.folder, train(out_dir=str(tmp_path / "whole")).folder)


def test_resume_auto_that_begins_anew_says_so_once_and_names_the_run_that_is_near(train, caplog):
    first = train(epochs=1, resume="auto")
    assert said(caplog) == [f"no run to resume in {first.folder}: starting a new run"]
    caplog.clear()
    second = train(epochs=1, resume="auto", lr=0.01)
    (line,) = said(caplog)
    hint = f"starting a new run; the run in {first.folder} differs in lr: clif train --resume-run"
    assert line.startswith(f"no run to resume in {second.folder}: {hint}")
    resume(first.folder, epochs=2, lr=0.01)


def test_a_run_s_own_configuration_is_a_recipe_that_begins_it_again(train, config):
    from clif.train.config import resolve

    folder = train(epochs=1).folder
    resume(folder, epochs=2)
    assert resolve(str(folder / "config.yaml")) == config(epochs=2)


@pytest.mark.parametrize("option", ["out_dir", "name", "pre_train"])
def test_a_resumed_run_stays_in_its_folder_with_its_weights(train, option):
    folder = train(epochs=1).folder
    with pytest.raises(InputError, match=f"leave out -{option}"):
        read_run(str(folder), {option: "elsewhere"})


def test_a_checkpoint_whose_folder_is_closed_is_an_input_error(train, monkeypatch, tmp_path):
    from pathlib import Path

    def closed(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", closed)
    with pytest.raises(InputError, match=r"c\.pth: the checkpoint cannot be read: Permission denied"):
        last_checkpoint(str(tmp_path / "c.pth"))
    with pytest.raises(InputError, match="cannot be written"):
        train(epochs=1)


class Rates(Callback):
    """The rate of every step, with the warm-up."""

    def __init__(self):
        self.rates = []

    def on_step(self, trainer, loss):
        del loss
        self.rates.append(trainer.optimizer.param_groups[0]["lr"] * trainer._warmup_factor())


SHORTER = {"epochs": 3, "T_max": 3}


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"lr_scheduler": "OneCycle", "warmup_epochs": 1.0}, {"b": 8}),
        ({"lr_scheduler": "OneCycle", "warmup_epochs": 1.0}, {"accumulate": 2}),
        ({"lr_by_step": True}, {"b": 8}),
        ({"warmup_epochs": 2.0}, {"b": 8}),
        ({"lr_scheduler": "OneCycle", "warmup_epochs": 1.0}, {"warmup_epochs": 2.0}),
    ],
)
def test_the_rates_after_a_change_are_those_of_a_run_that_always_had_it(config, tmp_path, options, changed):
    whole, rest = Rates(), Rates()
    fit(config(**{**SHORTER, **options, **changed}, out_dir=str(tmp_path / "whole")), True, [whole])
    folder = fit(config(**{**SHORTER, **options, "epochs": 2}), True).folder
    fit(read_run(str(folder), {**SHORTER, **changed}), True, [rest], folder)
    assert rest.rates == pytest.approx(whole.rates[-len(rest.rates) :])
    assert len(rest.rates) == len(whole.rates) // 3


def test_a_registered_schedule_without_a_state_has_the_position_in_the_new_steps(config):
    SCHEDULERS["Steps"] = lambda optimizer, _config, per_epoch: LambdaLR(
        optimizer, lambda step: 1 / (1 + step / per_epoch)
    )
    options = {"lr_scheduler": "Steps", "lr_by_step": True}
    try:
        folder = fit(config(**options), True).folder
        rest = Rates()
        fit(read_run(str(folder), {"epochs": 3, "b": 8}), True, [rest], folder)
    finally:
        del SCHEDULERS["Steps"]
    assert rest.rates[-1] == pytest.approx(0.05 / 4)


@pytest.mark.parametrize("limit", [{"max_steps": 5}, {"epochs": 1}])
def test_a_run_that_was_not_evaluated_before_chooses_among_the_epochs_after(train, limit):
    folder = train(test_at_end=True, **limit).folder
    options = {"test_at_end": False, "max_steps": 0, "epochs": 3, "T_max": 3, "early_stop": 3}
    result = resume(folder, **options)
    assert ["test_top1" in row for row in result.history] == ["epochs" in limit, True, True]
    assert result.summary["best"]["test_top1"] == max(row.get("test_top1", 0) for row in result.history)
    assert result.summary["best_chosen_on"] == "test"


def test_a_finished_run_that_now_has_a_validation_set_is_reported_again(config):
    def objects(**more):
        net = torch.nn.Linear(FEATURES, CLASSES)
        return {"net": net, "loaders": {"train": DataLoader(data(), 6), **more}}

    folder = fit(config(epochs=1), quiet=True, **objects()).folder
    given = {"quiet": True, "folder": folder, **objects(val=DataLoader(data(1), 6))}
    again = fit(config(epochs=1, resume=str(folder)), **given)
    assert (again.summary["best"], again.summary["best_chosen_on"]) == (again.summary["last"], "")
    longer = fit(config(epochs=2, resume=str(folder)), **{**given, **objects(val=DataLoader(data(1), 6))})
    assert (longer.summary["best"]["epoch"], longer.summary["best_chosen_on"]) == (1, "val")
