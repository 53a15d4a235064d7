"""Neurons that are exchanged during training: their parameters are trained, averaged, saved and loaded."""

import pytest
import torch
from runs import LAST, StopAfter, assert_same_run
from torch.testing import assert_close

import clif
from clif.train import Callback, loop
from clif.train.checkpoint import read_checkpoint
from clif.train.interrupt import Interrupted
from clif.train.loop import Trainer, fit

KINDS = [("LIF", "KLIF"), ("CLIF", "CLIFTau"), ("PLIF", "LIF"), ("IF", "LIF"), ("CLIF", "GLIF")]
OPTIONS = {"exchange_epoch": 1, "tau": 1.5, "surrogate": "sigmoid"}


def exchanged(config, **options):
    """A trainer after one step, the exchange and another step."""
    trainer = Trainer(config(**{**OPTIONS, **options}), quiet=True)
    trainer.train_step(trainer.loaders["train"].shares(0, 0))
    trainer.epoch = 1
    assert trainer.exchange_if_due()
    assert not trainer.exchange_if_due()
    return trainer


def step(trainer):
    trainer.train_step(trainer.loaders["train"].shares(1, 0))
    trainer.folder.release()


@pytest.mark.parametrize("opt", ["SGD", "AdamW"])
@pytest.mark.parametrize("no_decay_norm_bias", [False, True])
@pytest.mark.parametrize(("neuron", "exchange_neuron", "name"), [("LIF", "KLIF", "k"), ("PLIF", "CLIFTau", "w")])
def test_new_parameters_are_trained_and_averaged(config, neuron, exchange_neuron, name, no_decay_norm_bias, opt):
    kinds = {"neuron": neuron, "exchange_neuron": exchange_neuron, "opt": opt, "lr": 0.01}
    trainer = exchanged(config, ema=0.5, no_decay_norm_bias=no_decay_norm_bias, **kinds)
    groups = [group["params"] for group in trainer.optimizer.param_groups]
    found = [parameter for group in groups for parameter in group]
    assert len(found) == len({*found})
    assert {*found} == {*trainer.net.parameters()}
    assert {*trainer.optimizer.state} <= {*found}
    new, averaged = (getattr(net.features[0].act, name) for net in (trainer.net, trainer.average.net))
    assert any(new is parameter for parameter in groups[-1])
    if no_decay_norm_bias:
        assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [5e-4, 0.0]
    start = new.item()
    assert averaged.item() == start
    assert not averaged.requires_grad
    step(trainer)
    assert new.item() != start
    assert averaged.item() == pytest.approx((start + new.item()) / 2, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_new_parameters_have_the_dtype_of_the_weights(config, dtype):
    trainer = exchanged(config, neuron="LIF", exchange_neuron="KLIF", dtype=dtype)
    assert {parameter.dtype for parameter in trainer.net.parameters()} == {getattr(torch, dtype)}
    step(trainer)


@pytest.mark.parametrize(("neuron", "exchange_neuron"), KINDS, ids=map("-".join, KINDS))
def test_a_run_resumes_after_an_exchange_to_the_same_bits(train, tmp_path, monkeypatch, neuron, exchange_neuron):
    options = {**OPTIONS, "neuron": neuron, "exchange_neuron": exchange_neuron, "ema": 0.5, "no_decay_norm_bias": True}
    whole = train(out_dir=str(tmp_path / "whole"), **options)
    for checks in (4, 3):  # at the end of the first epoch, and during the second one
        with monkeypatch.context() as patch:
            patch.setattr(loop, "StopRequest", lambda checks=checks: StopAfter(checks))
            with pytest.raises(Interrupted):
                train(resume="auto", **options)
    resumed = train(resume="auto", **options)
    assert_same_run(resumed.folder, whole.folder)
    contents = [read_checkpoint(run.folder / LAST) for run in (resumed, whole)]
    assert contents[0]["model"] == contents[1]["model"]
    assert_close(*(content["net_raw"] for content in contents), rtol=0, atol=0)
    assert contents[0]["model"]["neuron"] == exchange_neuron


def test_a_learnt_time_constant_stays_at_its_present_value(config):
    trainers = []
    fit(
        config(**OPTIONS, neuron="PLIF", exchange_neuron="LIF", lr=0.5, ema=0.5),
        quiet=True,
        callbacks=[Keep(trainers)],
    )
    (trainer,) = trainers
    taus = [node.tau for node in trainer.net.modules() if isinstance(node, clif.LIFNode)]
    assert len({*taus}) == len(taus)
    loaded = clif.load(trainer.folder.path / LAST)
    for net in (trainer.average.net, loaded):
        assert [node.tau for node in net.modules() if isinstance(node, clif.LIFNode)] == taus
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(x), trainer.average.net(x))


class Keep(Callback):
    """Keeps the trainer of a run."""

    def __init__(self, found):
        self.found = found

    def on_end(self, trainer, result):
        del result
        self.found.append(trainer)
