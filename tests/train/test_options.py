"""The options of a trainer compared with their definitions, also after an interruption."""

from dataclasses import replace

import pytest
import torch
from runs import BEST, LAST, StopAfter
from torch import nn
from torch.testing import assert_close

import clif
import clif.train.loop as loop
from clif.data import create_loader
from clif.errors import InputError
from clif.layers import BatchNorm2d
from clif.train import Callback, evaluate, fit
from clif.train.checkpoint import read_checkpoint
from clif.train.interrupt import Interrupted
from clif.train.resume import read_run


class Note(Callback):
    """Calls a function after every step."""

    def __init__(self, note):
        self.note = note

    def on_step(self, trainer, loss):
        self.note(trainer, loss)


def weights(net):
    return [p.detach().clone() for p in net.parameters()]


def without_batch_norm(net):
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, BatchNorm2d):
                setattr(parent, name, nn.Identity())


def test_two_accumulated_batches_are_one_of_twice_the_size(config):
    nets = []
    for options in ({"b": 16}, {"b": 8, "accumulate": 2}):
        trainer = loop.Trainer(config(dtype="float64", epochs=1, lr=0.5, name=str(options["b"]), **options), quiet=True)
        without_batch_norm(trainer.net)
        before = weights(trainer.net)
        trainer.fit()
        assert trainer.global_step == 4
        assert all(not torch.equal(a, b) for a, b in zip(before[-2:], weights(trainer.net)[-2:], strict=True))
        nets.append(trainer.net)
    for first, second in zip(*map(weights, nets), strict=True):
        assert_close(first, second, rtol=1e-10, atol=1e-12)


def test_the_average_follows_its_formula_and_is_what_is_evaluated_and_saved(config, tiny_cifar10):
    options = config(ema=0.8, epochs=2)
    trainer = loop.Trainer(options, quiet=True)
    expected = [value.clone() for value in trainer.net.state_dict().values()]

    def follow(trainer, _loss):
        for i, value in enumerate(trainer.net.state_dict().values()):
            floating = value.is_floating_point()
            expected[i] = 0.8 * expected[i] + 0.2 * value if floating else value.clone()

    trainer.callbacks.append(Note(follow))
    result = trainer.fit()
    content = read_checkpoint(result.folder / LAST)
    for value, wanted in zip(content["net"].values(), expected, strict=True):
        assert_close(value, wanted, rtol=1e-5, atol=1e-7)
    assert_close(dict(content["net_raw"]), dict(trainer.net.state_dict()), rtol=0, atol=0)
    loader = create_loader("cifar10", tiny_cifar10, train=False, batch_size=16, T=2)
    assert evaluate(clif.load(result.folder / LAST), loader).loss == result.history[-1]["test_loss"]


def test_gradients_are_clipped_and_their_norms_logged(config):
    norms = {}
    for limit in (0.0, 0.05):
        found = norms[limit] = []

        def note(trainer, _loss, found=found):
            squares = [p.grad.double().pow(2).sum() for p in trainer.net.parameters()]
            found.append(torch.stack(squares).sum().sqrt().item())

        options = config(clip_grad_norm=limit, log_grad_norm=True, epochs=1)
        row = fit(options, quiet=True, callbacks=[Note(note)]).history[0]
        if limit == 0:
            assert row["train_grad_norm_max"] == pytest.approx(max(found), rel=1e-4)
            assert row["train_grad_norm_mean"] == pytest.approx(sum(found) / len(found), rel=1e-4)
    assert min(norms[0.0]) > 0.05
    assert norms[0.05] == pytest.approx([0.05] * 4, rel=1e-3)


def rates_used(trainer):
    used = []
    trainer.optimizer.register_step_pre_hook(lambda optimizer, *_: used.append(optimizer.param_groups[0]["lr"]))
    trainer.fit()
    return used


def test_the_rate_rises_step_by_step_and_then_follows_the_schedule(config):
    used = rates_used(loop.Trainer(config(epochs=3, T_max=3, warmup_epochs=1.5), quiet=True))
    scheduled = rates_used(loop.Trainer(config(epochs=3, T_max=3), quiet=True))
    factors = [min(1, (step + 1) / 6) for step in range(12)]
    assert used == pytest.approx([rate * factor for rate, factor in zip(scheduled, factors, strict=True)])
    assert used[6:] == scheduled[6:]


@pytest.mark.parametrize("opt", ["SGD", "AdamW"])
def test_weight_decay_can_spare_norms_and_biases(config, opt):
    trainer = loop.Trainer(config(no_decay_norm_bias=True, neuron="PLIF", opt=opt, weight_decay=0.1), quiet=True)
    names = {id(p): name for name, p in trainer.net.named_parameters()}
    decayed, spared = ({names[id(p)] for p in group["params"]} for group in trainer.optimizer.param_groups)
    modules = dict(trainer.net.named_modules())
    assert decayed == {
        name
        for name in names.values()
        if name.endswith("weight") and isinstance(modules[name.rpartition(".")[0]], nn.Conv2d | nn.Linear)
    }
    assert decayed | spared == set(names.values())
    assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [0.1, 0.0]


def scored(monkeypatch, *scores):
    left = iter(scores)
    monkeypatch.setattr(loop, "evaluate", lambda *_: loop.Scores(1.0, next(left), 1.0, 20, 1.0))


def test_a_run_stops_early_where_no_epoch_is_better(train, monkeypatch):
    scored(monkeypatch, 0.2, 0.4, 0.3, 0.4, 0.1, 0.9)
    result = train(epochs=6, early_stop=2)
    assert [row["test_top1"] for row in result.history] == [0.2, 0.4, 0.3, 0.4]
    assert result.summary["best"]["epoch"] == 1


def test_a_run_that_keeps_getting_better_does_not_stop_early(train, monkeypatch):
    scored(monkeypatch, 0.1, 0.2, 0.15, 0.3)
    assert len(train(epochs=4, early_stop=2).history) == 4


@pytest.mark.parametrize("limit", [1, 4, 6])
def test_max_steps_ends_anywhere_and_a_longer_run_resumes_from_there(train, config, tmp_path, limit):
    steps = []
    options = {"epochs": 2, "drop_rate": 0.3}
    config = config(max_steps=limit, **options)
    part = fit(config, quiet=True, callbacks=[Note(lambda trainer, _loss: steps.append(trainer.global_step))])
    assert steps == list(range(1, limit + 1))
    assert [row["epoch"] for row in part.history] == list(range(-(-limit // 4)))
    assert part.history[-1]["test_loss"] > 0
    again = fit(read_run(str(part.folder), {}), quiet=True, folder=part.folder)
    assert [row["test_loss"] for row in again.history] == [row["test_loss"] for row in part.history]
    longer = fit(read_run(str(part.folder), {"max_steps": 0}), quiet=True, folder=part.folder)
    whole = train(out_dir=str(tmp_path / "whole"), **options)
    assert_same(longer.folder, whole.folder)
    assert [row["train_loss"] for row in longer.history] == [row["train_loss"] for row in whole.history]


def test_max_time_ends_a_start_after_at_least_one_step(config, train, tmp_path):
    options = config(max_time=1e-6, epochs=2)
    folder = options.run_folder()
    part = fit(options, quiet=True)
    assert read_checkpoint(folder / LAST)["progress"]["step"] == 1
    assert [row["epoch"] for row in part.history] == [0]
    for _ in range(9):
        fit(read_run(str(folder), {}), quiet=True, folder=folder)
    assert_same(folder, train(epochs=2, out_dir=str(tmp_path / "whole")).folder)


def test_part_of_an_epoch_is_not_the_best_epoch(config, monkeypatch):
    top1 = iter((0.3, 0.9))
    evaluate_really = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", lambda *a, **k: replace(evaluate_really(*a, **k), top1=next(top1)))
    options = config(max_steps=5, epochs=2)
    part = fit(options, quiet=True)
    assert [row["test_top1"] for row in part.history] == [0.3, 0.9]
    assert part.summary["last"]["epoch"] == 1
    assert part.summary["best"]["epoch"] == 0
    assert read_checkpoint(part.folder / BEST)["epoch"] == 0


def assert_same(folder, whole):
    for name in (LAST, BEST):
        content, expected = (read_checkpoint(run / name) for run in (folder, whole))
        assert content["model"] == expected["model"]
        for key in ("net", "net_raw", "optimizer", "lr_scheduler", "epoch", "max_test_acc"):
            assert (key in content) == (key in expected)
            if key in content:
                assert_close(content[key], expected[key], rtol=0, atol=0)


COMBINATIONS = {
    "average": {"ema": 0.9, "warmup_epochs": 1.5, "clip_grad_norm": 0.5, "drop_rate": 0.2},
    "accumulation": {"accumulate": 2, "b": 8, "no_decay_norm_bias": True, "log_grad_norm": True},
    "exchange": {"neuron": "LIF", "exchange_neuron": "CLIF", "exchange_epoch": 1, "ema": 0.5},
    "window": {"gradient_window": 1, "neuron": "PLIF", "opt": "AdamW", "lr": 1e-3, "log_firing_rates": True},
    "limits": {"early_stop": 5, "max_steps": 7, "label_smoothing": 0.1, "cutupmix_auto": True},
}


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("options", COMBINATIONS.values(), ids=COMBINATIONS)
def test_every_option_resumes_after_an_interruption_to_the_same_bits(train, config, tmp_path, monkeypatch, options):
    whole = train(out_dir=str(tmp_path / "whole"), **options)
    folder = config(**options).run_folder()
    for checks in (3, 4):
        with monkeypatch.context() as patch:
            patch.setattr(loop, "StopRequest", lambda checks=checks: StopAfter(checks))
            with pytest.raises(Interrupted):
                train(resume="auto", **options)
    resumed = train(resume="auto", **options)
    assert resumed.folder == folder
    assert_same(folder, whole.folder)
    for row, expected in zip(resumed.history, whole.history, strict=True):
        same = {key for key in expected if not key.endswith(("seconds", "second"))}
        assert {key: row[key] for key in same} == {key: expected[key] for key in same}


def test_neurons_are_exchanged_at_the_start_of_the_epoch(config, train, tmp_path):
    seen = []
    options = {"neuron": "LIF", "epochs": 3, "tau": 1.5, "surrogate": "sigmoid"}
    exchanged = config(exchange_neuron="clif", exchange_epoch=2, **options)
    note = Note(lambda trainer, _loss: seen.append(type(trainer.net.features[0].act).__name__))
    result = fit(exchanged, quiet=True, callbacks=[note])
    assert seen == ["LIFNode"] * 8 + ["CLIFNode"] * 4
    plain = train(out_dir=str(tmp_path / "plain"), **options)
    losses, expected = ([row["train_loss"] for row in run.history] for run in (result, plain))
    assert losses[:2] == expected[:2]
    assert losses[2] != expected[2]
    net = clif.load(result.folder / LAST)
    assert (type(net.features[0].act), net.features[0].act.tau, net.config["neuron"]) == (clif.CLIFNode, 1.5, "CLIF")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exchange_epoch": 2}, "the new neuron"),
        ({"exchange_neuron": "CLIF"}, "exchange_epoch must be at least 1"),
        ({"exchange_neuron": "PLFI", "exchange_epoch": 1}, "unknown exchange_neuron 'PLFI'"),
        ({"neuron": "ReLU", "exchange_neuron": "CLIF", "exchange_epoch": 1}, "no spiking neurons to exchange"),
        ({"gradient_window": 2, "multiple_step": False}, "gradient_window"),
        ({"loggers": "wandbb"}, "did you mean wandb"),
    ],
)
def test_options_that_do_not_go_together_are_refused(config, options, message):
    with pytest.raises(InputError, match=message):
        config(**options)


def test_the_truncated_gradient_trains_another_network_with_the_same_spikes(config):
    trainers = [
        loop.Trainer(config(gradient_window=k, T=4, dtype="float64", name=str(k)), quiet=True) for k in (0, 1, 4)
    ]
    shares = [next(trainer.loaders["train"].shares(0)) for trainer in trainers]
    losses = [trainer._add_gradient(share, 16) for trainer, share in zip(trainers, shares, strict=True)]
    assert [loss.item() for loss in losses] == pytest.approx([losses[0].item()] * 3, rel=1e-12)
    whole, one, all_steps = (trainer.net.features[0].fwd[0].weight.grad for trainer in trainers)
    assert_close(whole, all_steps)
    assert not torch.allclose(whole, one)


def test_float64_trains_in_float64_without_mixed_precision(config):
    trainer = loop.Trainer(config(dtype="float64", amp=True, epochs=1), quiet=True)
    seen = []
    trainer.net.features[1].fwd[0].register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    trainer.fit()
    assert set(seen) == {torch.float64}
    assert {p.dtype for p in clif.load(trainer.folder.path / LAST).parameters()} == {torch.float64}


def test_a_surrogate_may_have_another_alpha(config):
    assert config(surrogate="Triangle:0.5").surrogate == "triangle:0.5"
    for alpha in ("", "x", "0", "nan"):
        with pytest.raises(InputError, match=r"surrogate: α must be a number > 0, such as triangle:0.5"):
            config(surrogate=f"triangle:{alpha}")
    with pytest.raises(InputError, match=r"unknown surrogate 'triangel'.*triangle"):
        config(surrogate="triangel:0.5")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"T_mult": 2}, "T_mult has no effect on --lr-scheduler CosALR; leave it at 1"),
        ({"teacher_weight": 0.9}, "teacher_weight has no effect without --teacher; leave it at 0.5"),
        ({"teacher_temperature": 4.0}, "teacher_temperature has no effect without --teacher; leave it at 2.0"),
    ],
)
def test_an_option_without_effect_is_refused_for_a_new_run_only(config, options, message):
    with pytest.raises(InputError, match=message):
        fit(config(resume="auto", **options), quiet=True)
    assert not config(**options).run_folder().exists()
    folder = fit(config(epochs=1), quiet=True).folder
    assert len(fit(config(resume=str(folder), **options), quiet=True).history) == 2


def test_stages_of_more_time_steps_than_T_are_refused(config):
    folder = fit(config(T=2, epochs=1), quiet=True).folder
    for options in ({}, {"resume": str(folder)}):
        with pytest.raises(InputError, match="T_stages has 4 time steps, but T is 2; set T_stages too"):
            fit(config(T=2, T_stages="1:1,4:1", **options), quiet=True)


def test_a_line_says_that_a_run_ends_before_the_exchange(config, caplog):
    fit(config(neuron="LIF", exchange_neuron="CLIF", exchange_epoch=3), quiet=True)
    assert "the run ends after 2 epochs, before the exchange after 3" in caplog.text
