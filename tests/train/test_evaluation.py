"""Top-1, top-5 and loss over a loader, and of a checkpoint."""

import copy

import pytest
import torch
from torch import nn

import clif
from clif.data import create_loader
from clif.errors import InputError
from clif.models import create_model
from clif.train import SpikingLoss, setup
from clif.train.checkpoint import save_checkpoint
from clif.train.evaluation import RunningScores, evaluate, evaluate_checkpoint

CLASSES = 7


class Echo(nn.Module):
    """Gives its input [N, T, classes] as the logits [T, N, classes] and notes the mode it is called in."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.modes = []

    def forward(self, x):
        self.modes.append((self.training, torch.is_grad_enabled()))
        return x.transpose(0, 1)


def ranked(*orders):
    """Logits [N, 2, classes] whose mean over the two steps ranks the classes in these orders, and neither step does."""
    mean = torch.zeros(len(orders), CLASSES)
    for n, order in enumerate(orders):
        mean[n, list(order)] = torch.arange(CLASSES, 0, -1.0)
    noise = torch.randn(len(orders), CLASSES) * 20
    return torch.stack([mean + noise, mean - noise], 1)


ORDERS = [
    (0, 1, 2, 3, 4, 5, 6),
    (1, 0, 2, 3, 4, 5, 6),
    (6, 5, 4, 3, 2, 1, 0),
    (3, 2, 1, 0, 6, 5, 4),
    (5, 6, 0, 1, 2, 3, 4),
]
LABELS = [0, 0, 1, 6, 5]
"""Ranks 0, 1, 5, 4, 0: two right, four among the first five."""


def test_top_1_and_top_5_are_of_the_mean_over_the_steps():
    scores = evaluate(Echo(), [(ranked(*ORDERS), torch.tensor(LABELS))])
    assert (scores.top1, scores.top5, scores.samples) == (2 / 5, 4 / 5, 5)


@pytest.mark.parametrize("sizes", [[5], [4, 1], [1, 1, 3], [2, 3]])
def test_batches_count_by_their_size(sizes):
    x, labels, loss = ranked(*ORDERS), torch.tensor(LABELS), SpikingLoss()
    scores = evaluate(Echo(), list(zip(x.split(sizes), labels.split(sizes), strict=True)), loss)
    assert (scores.top1, scores.top5) == (2 / 5, 4 / 5)
    assert scores.loss == pytest.approx(loss(x.transpose(0, 1), labels).item(), rel=1e-5)


def test_the_loss_is_the_one_that_is_given():
    x, labels = ranked(*ORDERS), torch.tensor(LABELS)
    scores = evaluate(Echo(), [(x, labels)], SpikingLoss(0, label_smoothing=0.1))
    assert scores.loss == pytest.approx(SpikingLoss(0, label_smoothing=0.1)(x.transpose(0, 1), labels).item(), rel=1e-5)


def test_fewer_than_five_classes_are_all_among_the_first_five():
    scores = evaluate(Echo(), [(torch.randn(6, 2, 3), torch.tensor([0, 1, 2, 0, 1, 2]))])
    assert scores.top5 == 1


def test_soft_labels_count_by_their_largest_share():
    running = RunningScores(torch.device("cpu"))
    soft = torch.full((5, CLASSES), 0.1)
    soft[range(5), LABELS] = 0.4
    running.add(torch.tensor(1.0), ranked(*ORDERS).transpose(0, 1), soft)
    assert (running.scores().top1, running.scores().top5) == (pytest.approx(2 / 5), pytest.approx(4 / 5))


@pytest.mark.parametrize("training", [True, False])
def test_it_runs_in_evaluation_mode_without_gradients_and_the_mode_comes_back(training):
    net = Echo().train(training)
    evaluate(net, [(ranked(*ORDERS), torch.tensor(LABELS))] * 2)
    assert net.modes == [(False, False)] * 2
    assert net.training is training


def test_the_mode_comes_back_after_an_error():
    def stop():
        raise KeyboardInterrupt

    net = Echo().train()
    with pytest.raises(KeyboardInterrupt):
        evaluate(net, [(ranked(*ORDERS), torch.tensor(LABELS))], check_stop=stop)
    assert net.training


def test_running_statistics_do_not_move():
    net = create_model("snn5_noAP", T=1).train()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    evaluate(net, [(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))])
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())


def test_an_empty_loader_has_zero_scores():
    scores = evaluate(Echo(), [])
    assert (scores.top1, scores.samples, scores.images_per_second >= 0) == (0, 0, True)


@pytest.fixture
def trained(short_run, tmp_path):
    """A checkpoint as the trainer writes it, and its network."""
    torch.manual_seed(4)
    net = create_model("snn5_noAP", "CLIF", T=2).eval()
    content = {"net": net.state_dict(), "model": net.config, "epoch": 0, "config": {**short_run, "loss_lambda": 0.2}}
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
    step_by_step = setup.step_by_step
    monkeypatch.setattr(setup, "step_by_step", lambda net, x: steps.append(len(x)) or step_by_step(net, x))
    single = evaluate_checkpoint(path, {"multiple_step": False}).scores
    assert steps
    assert (single.top1, single.top5) == (whole.top1, whole.top5)
    assert single.loss == pytest.approx(whole.loss, rel=1e-5)


def test_an_original_checkpoint_without_a_name_is_an_input_error(trained, tiny_cifar10, tmp_path):
    torch.save({"net": trained[1].state_dict()}, tmp_path / "checkpoint_max.pth")
    with pytest.raises(InputError, match="does not say which network"):
        evaluate_checkpoint(tmp_path / "checkpoint_max.pth", {"data_dir": str(tiny_cifar10)})


def test_the_package_gives_the_function_after_its_module_was_imported():
    assert clif.train.evaluate is evaluate
