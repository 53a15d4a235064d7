"""A network from its checkpoint, evaluated on the test set of its run."""

import copy

import pytest
import torch

import clif
from clif.data import Dataset, create_loader
from clif.data.description import record
from clif.errors import InputError
from clif.evaluation import evaluate
from clif.models import create_model
from clif.train import SpikingLoss, components
from clif.train.checkpoint import save_checkpoint
from clif.trained_network import evaluate_checkpoint, open_checkpoint


@pytest.fixture
def trained(tiny_cifar10, tmp_path):
    """A checkpoint in the trainer's form, and its network."""
    torch.manual_seed(4)
    net = create_model("snn5_noAP", "CLIF", T=2).eval()
    config = {"dataset": "cifar10", "data_dir": str(tiny_cifar10), "b": 16, "loss_lambda": 0.2}
    content = {"net": net.state_dict(), "model": net.config, "epoch": 0, "config": config}
    save_checkpoint(tmp_path / "checkpoint_last.pth", content)
    return tmp_path / "checkpoint_last.pth", net


def test_a_checkpoint_is_evaluated_on_its_own_test_set_with_its_own_loss(trained, tiny_cifar10):
    path, net = trained
    report = evaluate_checkpoint(path, {})
    loader = clif.data.create_loader("cifar10", tiny_cifar10, train=False, batch_size=16)
    expected = evaluate(net, loader, SpikingLoss(0.2))
    got = report.scores
    assert (got.loss, got.top1, got.top5, got.samples) == (expected.loss, expected.top1, expected.top5, 20)
    assert (report.net.config, report.config.dataset, report.device.type) == (net.config, "cifar10", "cpu")


def test_options_replace_what_the_checkpoint_says(trained):
    report = evaluate_checkpoint(trained[0], {"T": 3, "neuron": "LIF", "b": 7, "tau": 1.5})
    assert (report.net.T, report.net.config["neuron"], report.net.config["tau"], report.config.b) == (3, "LIF", 1.5, 7)


def test_an_original_checkpoint_is_evaluated_as_the_network_that_is_named(trained, tiny_cifar10, tmp_path):
    path, net = trained
    torch.save({"net": net.state_dict(), "epoch": 3, "max_test_acc": 0.5}, tmp_path / "checkpoint_max.pth")
    given = {"data_dir": str(tiny_cifar10), "model": "snn5_noAP", "neuron": "CLIF", "T": 2, "b": 16}
    got = evaluate_checkpoint(tmp_path / "checkpoint_max.pth", {**given, "loss_lambda": 0.2}).scores
    ours = evaluate_checkpoint(path, {}).scores
    assert (got.loss, got.top1, got.top5) == (ours.loss, ours.top1, ours.top5)


def test_another_split_than_that_of_the_training_is_warned_of(tmp_path, caplog):
    net = create_model("snn4", "LIF", T=1, num_classes=2, image_size=16)
    dataset = Dataset("images", ("a", "b"), 3, 16, mean=(0.5,) * 3, std=(0.5,) * 3)
    config = {"dataset": "images", "test_split": 0.2, "split_seed": 0}
    path = tmp_path / "checkpoint_last.pth"
    save_checkpoint(path, {"net": net.state_dict(), "model": net.config, "config": config, "data": record(dataset)})
    for same in ({}, config, {"split_seed": 3, "data_dir": "others"}):
        open_checkpoint(path, same)
    assert not caplog.records
    open_checkpoint(path, {"split_seed": 3})
    assert "was trained with --split-seed 0; with 3, images of its training are in the test set" in caplog.text


def test_a_checkpoint_in_float64_is_evaluated_in_float64(trained, tiny_cifar10, tmp_path):
    net = copy.deepcopy(trained[1]).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(1e-12)
    content = {
        "net": net.state_dict(),
        "model": net.config,
        "config": {"dataset": "cifar10", "data_dir": str(tiny_cifar10)},
    }
    save_checkpoint(tmp_path / "exact.pth", content)
    loaded = clif.load(tmp_path / "exact.pth")
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in net.state_dict().items())
    report = evaluate_checkpoint(tmp_path / "exact.pth", {})
    assert next(report.net.parameters()).dtype == torch.float64
    images, labels = next(iter(create_loader("cifar10", tiny_cifar10, train=False, batch_size=20)))
    assert report.scores.loss == pytest.approx(SpikingLoss()(net.eval()(images.double()), labels).item(), rel=1e-12)
    rounded = evaluate_checkpoint(tmp_path / "exact.pth", {"dtype": "float32"})
    assert next(rounded.net.parameters()).dtype == torch.float32


def test_one_step_at_a_time_gives_the_same(trained, monkeypatch):
    path, _ = trained
    whole = evaluate_checkpoint(path, {}).scores
    steps = []
    step_by_step = components.step_by_step
    monkeypatch.setattr(components, "step_by_step", lambda net, x: steps.append(len(x)) or step_by_step(net, x))
    single = evaluate_checkpoint(path, {"multiple_step": False}).scores
    assert steps
    assert (single.top1, single.top5) == (whole.top1, whole.top5)
    assert single.loss == pytest.approx(whole.loss, rel=1e-5)


def test_an_original_checkpoint_without_a_name_is_an_input_error(trained, tiny_cifar10, tmp_path):
    torch.save({"net": trained[1].state_dict()}, tmp_path / "checkpoint_max.pth")
    with pytest.raises(InputError, match="does not say which network"):
        evaluate_checkpoint(tmp_path / "checkpoint_max.pth", {"data_dir": str(tiny_cifar10)})
