"""Losses that are not finite, and layers that never or always fire: noticed, named, and never saved."""

import json
import logging

import pytest
import torch
from torch import nn

import clif.train.loop as loop
from clif.errors import InputError
from clif.models import create_model
from clif.neurons import SpikingNeuron
from clif.train import Callback
from clif.train.checkpoint import read_checkpoint
from clif.train.ema import Average
from clif.train.monitor import EVERY, LayerMonitor, unhealthy
from clif.train.nonfinite import PATIENCE, FiniteGuard


class Spoil(Callback):
    """Calls `spoil(net)` after a step of the run."""

    def __init__(self, step, spoil):
        self.step, self.spoil = step, spoil

    def on_step(self, trainer, loss):  # noqa: ARG002
        if trainer.global_step == self.step:
            with torch.no_grad():
                self.spoil(trainer.net)


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda net: net.classifier.bias.fill_(float("inf")), r"the weight classifier\.bias"),
        (lambda net: net.classifier.weight.fill_(1e38), r"the output of classifier \(Linear\)"),
    ],
)
def test_the_step_the_layer_and_the_last_good_checkpoint_are_named(config, spoil, cause):
    options = config(checkpoint_every=1, drop_rate=0.2)
    folder = options.run_folder()
    with pytest.raises(InputError, match=rf"in epoch 2, step 3 of 4; first not finite: {cause}.*{folder.name}"):
        loop.fit(options, quiet=True, callbacks=[Spoil(6, spoil)])
    content = read_checkpoint(folder / "checkpoint_last.pth")
    assert (content["epoch"], content["progress"]["step"]) == (0, 2)
    assert all(value.isfinite().all() for value in content["net"].values())


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda net: net.features[3].fwd[1].weight.fill_(float("nan")), r"the weight features\.3\.fwd\.1\.weight"),
        (lambda net: net.features[0].fwd[0].weight[0].fill_(1e38), r"the (in|out)put of features\.0\.fwd\.[01]"),
    ],
)
def test_a_neuron_that_does_not_fire_hides_no_failure(config, spoil, cause):
    options = config(checkpoint_every=1)
    message = rf"the gradient became not finite in epoch 2, step 3 of 4; first not finite: {cause}"
    with pytest.raises(InputError, match=message):
        loop.fit(options, quiet=True, callbacks=[Spoil(6, spoil)])
    content = read_checkpoint(options.run_folder() / "checkpoint_last.pth")
    assert (content["epoch"], content["progress"]["step"]) == (0, 2)


def test_weights_that_are_not_finite_are_never_saved(config, monkeypatch):
    monkeypatch.setattr(loop.Trainer, "_check_gradient", lambda _trainer: None)
    spoiled = Spoil(6, lambda net: net.features[3].fwd[1].weight.fill_(float("nan")))
    with pytest.raises(
        InputError, match=r"weights became not finite in epoch 2, by step 3 of 4; first not finite: \w+"
    ):
        loop.fit(config(checkpoint_every=1), quiet=True, callbacks=[spoiled])
    content = read_checkpoint(config(checkpoint_every=1).run_folder() / "checkpoint_last.pth")
    assert all(value.isfinite().all() for value in content["net"].values())


def test_without_a_checkpoint_the_message_says_so(config):
    spoiled = Spoil(1, lambda net: net.classifier.bias.fill_(float("nan")))
    with pytest.raises(InputError, match=r"step 2 of 4.*there is no checkpoint before it; try a lower --lr"):
        loop.fit(config(), quiet=True, callbacks=[spoiled])


def test_the_guard_notes_the_first_failed_step_and_the_optimiser_then_stands_still():
    guard = FiniteGuard(torch.device("cpu"), patient=False)
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=1.0, fused=True)
    for step, loss in enumerate([1.0, float("nan"), 1.0, float("inf")]):
        weight.grad = torch.full((3,), loss)
        guard.note(torch.tensor(loss), step)
        guard.protect(optimizer)
        optimizer.step()
    assert guard.failed_step() == 1
    assert weight.tolist() == [0.0, 0.0, 0.0]


def test_with_a_scaler_steps_are_skipped_until_too_many_follow_one_another():
    guard = FiniteGuard(torch.device("cpu"), patient=True)
    nan, one = torch.tensor(float("nan")), torch.tensor(1.0)
    step = 0
    for _ in range(3):
        for loss in [nan] * PATIENCE + [one]:
            guard.note(loss, step)
            step += 1
    assert guard.failed_step() is None
    assert guard.skipped() == 3 * PATIENCE
    guard.begin_epoch()
    assert guard.skipped() == 0
    for _ in range(PATIENCE + 1):
        guard.note(nan, step)
        step += 1
    assert guard.failed_step() == step - 1


@pytest.mark.parametrize(("bias", "words"), [(-9.0, "did not fire once"), (9.0, "fired at 100.0% of all time steps")])
def test_layers_that_never_or_always_fire_are_named_once(config, caplog, bias, words):
    def spoil(net):
        net.features[1].fwd[1].weight.zero_()
        net.features[1].fwd[1].bias.fill_(bias)

    class Start(Callback):
        def __init__(self):
            self.warnings = []

        def on_start(self, trainer):
            with torch.no_grad():
                spoil(trainer.net)

        def on_warning(self, trainer, message):  # noqa: ARG002
            self.warnings.append(message)

    callback = Start()
    with caplog.at_level(logging.WARNING, "clif.train"):
        folder = loop.fit(config(lr=1e-6), True, [callback]).folder
    named = [message for message in caplog.messages if message.startswith("layer features.1.act")]
    assert named == [f"layer features.1.act {words} in epoch 1"]
    assert callback.warnings == caplog.messages
    assert [one["message"] for one in json.loads((folder / "warnings.json").read_text())] == caplog.messages


def test_a_layer_that_fires_in_one_step_of_an_epoch_is_not_dead():
    net = create_model("snn5_noAP", "CLIF", T=2)
    monitor = LayerMonitor(net, torch.device("cpu"), thorough=False)
    quiet, loud = torch.full((1, 3, 32, 32), 0.0), torch.randn(8, 3, 32, 32) * 9
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.fill_(-0.5)
    net.eval()
    for step in range(20):
        with monitor.watching(net, step):
            net(loud if step == 7 else quiet)
    rates = monitor.rates(monitor.counts)
    assert rates["features.0.act"] > 0
    assert "features.0.act" not in unhealthy(rates, net)
    monitor.reset()
    for step in range(3):
        with monitor.watching(net, step):
            net(quiet)
    assert unhealthy(monitor.rates(monitor.counts), net)["features.0.act"] == "did not fire once"


def test_layers_known_to_fire_are_watched_in_few_steps(monkeypatch):
    net = create_model("snn5_noAP", "CLIF", T=2).train()
    monitor = LayerMonitor(net, torch.device("cpu"), thorough=False)
    hooked = []
    original = SpikingNeuron.register_forward_hook

    def register(module, hook):
        hooked.append(module)
        return original(module, hook)

    monkeypatch.setattr(SpikingNeuron, "register_forward_hook", register)
    for step in range(2 * EVERY):
        with monitor.watching(net, step):
            net(torch.randn(8, 3, 32, 32))
    assert len(hooked) <= 2 * 5 + 5
    assert not any(module._forward_hooks for module in net.modules())


def test_firing_rates_are_those_of_all_steps(config):
    trainer = loop.Trainer(config(log_firing_rates=True, epochs=1), quiet=True)
    sums = {}

    def count(name):
        def hook(module, _inputs, spikes):
            if module.training:
                total, number = sums.get(name, (0, 0))
                sums[name] = total + spikes.sum().item(), number + spikes.numel()

        return hook

    for name, module in trainer.net.named_modules():
        if isinstance(module, SpikingNeuron):
            module.register_forward_hook(count(name))
    row = trainer.fit().history[0]
    assert len(sums) == 5
    for name, (total, number) in sums.items():
        assert row[f"rate_{name}"] == pytest.approx(total / number, rel=1e-12)


def test_an_average_copies_what_is_not_floating():
    net = create_model("snn5_noAP", "CLIF", T=1)
    average = Average(net, 0.5)
    before = average.net.classifier.bias.clone()
    with torch.no_grad():
        net.classifier.bias.add_(1)
        net.features[0].fwd[1].num_batches_tracked.fill_(7)
    average.update(net)
    assert average.net.features[0].fwd[1].num_batches_tracked == 7
    torch.testing.assert_close(average.net.classifier.bias, before + 0.5)
    assert not any(p.requires_grad for p in average.net.parameters())
