"""Top-1, top-5 and loss over a loader."""

import pytest
import torch
from torch import nn

import clif
from clif.errors import InputError
from clif.evaluation import RunningScores, evaluate
from clif.models import create_model
from clif.train import SpikingLoss

CLASSES = 7


class Echo(nn.Module):
    """Returns its input [N, T, classes] as the logits [T, N, classes] and records the mode in which it is called."""

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


@pytest.mark.parametrize("sizes", [(5,), (2, 3), (1, 1, 3)])
def test_hits_are_counted_by_class_where_that_is_asked_for(sizes):
    x, labels = ranked(*ORDERS), torch.tensor(LABELS)
    batches = list(zip(x.split(sizes), labels.split(sizes), strict=True))
    assert evaluate(Echo(), batches).by_class == ()
    by_class = evaluate(Echo(), batches, num_classes=CLASSES).by_class
    right = x.mean(1).argmax(-1) == labels
    assert by_class == tuple((int(right[labels == c].sum()), LABELS.count(c)) for c in range(CLASSES))


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


def test_a_layer_that_was_frozen_stays_frozen():
    net = create_model("snn5_noAP", T=1).train()
    frozen = next(module for module in net.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    evaluate(net, [(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))])
    assert (frozen.training, net.training) == (False, True)


def test_neurons_beside_a_network_of_clif_begin_each_batch_at_rest():
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.last = create_model("snn5_noAP", T=2), clif.IFNode(step_mode="m", v_threshold=50.0)

        def forward(self, x):
            return self.net(x) + self.last(x.new_ones(2, len(x), 10))

    net, batch = Beside(), (torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))
    evaluate(net, [batch, batch])
    assert net.last.v.unique().tolist() == [2.0]


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


X, LABEL = torch.randn(2, 3, CLASSES), torch.tensor([0, 6])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "the loader is empty; give at least one batch"),
        ([{"x": X, "y": LABEL}], r"the loader must give pairs of tensors \(x, y\), got dict"),
        ([(X, LABEL, 3)], r"pairs of tensors \(x, y\), got \(Tensor, Tensor, int\)"),
        ([(X, LABEL + 1)], "the labels of a network of 7 classes are 0 to 6, got 1 to 7"),
        ([(X, torch.rand(2, 4))], r"soft labels \[2, 4\] for a network of 7 classes"),
    ],
)
def test_what_cannot_be_evaluated_is_one_error(batches, message):
    with pytest.raises(InputError, match=message):
        evaluate(Echo(), batches)


def test_an_error_in_a_loss_stays_what_it_is():
    def broken(logits, _labels):
        return logits[0][99]

    with pytest.raises(IndexError, match="out of bounds"):
        evaluate(Echo(), [(X, LABEL)], broken)


def test_a_module_without_parameters_is_evaluated():
    scores = evaluate(nn.Identity(), [(ranked(*ORDERS).transpose(0, 1), torch.tensor(LABELS))])
    assert scores.top1 == 2 / 5


def test_the_package_gives_the_function_after_its_module_was_imported():
    assert clif.train.evaluate is evaluate


class Steps(nn.Sequential):
    """Loops over the steps itself."""

    def forward(self, x):
        return torch.stack([super(Steps, self).forward(step) for step in x])


def test_a_sequence_for_single_step_neurons_is_refused():
    layers = nn.Linear(4, 8), clif.LIFNode(), nn.Linear(8, 2)
    batches = [(torch.rand(3, 5, 4), torch.zeros(5, dtype=torch.int64))] * 2
    with pytest.raises(InputError, match=r'single-step mode .* clif\.set_step_mode\(net, "m"\)'):
        evaluate(nn.Sequential(*layers), batches)
    assert not layers[1]._forward_pre_hooks
    assert evaluate(Steps(*layers), batches).samples == 10
    clif.set_step_mode(layers[1], "m")
    assert evaluate(nn.Sequential(*layers), batches).samples == 10


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_images_get_the_dtype_of_the_weights(dtype):
    net = clif.wrap(nn.Sequential(nn.Linear(4, 8), clif.LIFNode(), nn.Linear(8, 2)).to(dtype), T=2)
    for given in (torch.float64, torch.float32):
        assert evaluate(net, [(torch.rand(5, 4, dtype=given), torch.zeros(5, dtype=torch.int64))]).samples == 5
