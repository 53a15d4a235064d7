"""The loss against its definition, written out with numpy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from clif.loss import CrossEntropy, Distillation, RateMSE, TETLoss
from clif.train import SpikingLoss

T, N, CLASSES = 3, 4, 5
LABELS = [0, 3, 3, 4]


@pytest.fixture
def logits():
    return torch.randn(T, N, CLASSES, dtype=torch.float64) * 3


def soft_labels():
    return torch.softmax(torch.randn(N, CLASSES, dtype=torch.float64), -1)


def by_hand(logits, probabilities, mse_target, weight):
    """(1 − λ)·mean over T·N of −Σ p·log softmax + λ·mean over T·N·classes of (logit − target)²."""
    z = logits.numpy()
    log_softmax = z - np.log(np.exp(z).sum(-1, keepdims=True))
    cross_entropy = -(np.asarray(probabilities) * log_softmax).sum(-1).mean()
    return (1 - weight) * cross_entropy + weight * np.mean((z - np.asarray(mse_target)) ** 2)


@pytest.mark.parametrize("weight", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("means", [1.0, 0.25])
def test_the_target_is_a_constant_by_default(logits, weight, means):
    got = SpikingLoss(weight, means)(logits, torch.tensor(LABELS))
    assert got.item() == pytest.approx(by_hand(logits, np.eye(CLASSES)[LABELS], means, weight), abs=1e-12)


def test_the_default_is_that_of_the_paper(logits):
    expected = by_hand(logits, np.eye(CLASSES)[LABELS], 1.0, 0.05)
    assert SpikingLoss()(logits, torch.tensor(LABELS)).item() == pytest.approx(expected, abs=1e-12)


def test_one_hot_takes_the_label_as_the_target(logits):
    one_hot = np.eye(CLASSES)[LABELS]
    got = SpikingLoss(0.05, one_hot=True)(logits, torch.tensor(LABELS))
    assert got.item() == pytest.approx(by_hand(logits, one_hot, one_hot, 0.05), abs=1e-12)


def test_weight_0_leaves_the_cross_entropy_even_with_endless_means(logits):
    got = SpikingLoss(0, means=float("inf"))(logits, torch.tensor(LABELS))
    assert got.item() == pytest.approx(by_hand(logits, np.eye(CLASSES)[LABELS], 0, 0), abs=1e-12)


@pytest.mark.parametrize("one_hot", [False, True])
def test_soft_labels_are_the_probabilities_and_the_one_hot_target(logits, one_hot):
    soft = soft_labels()
    got = SpikingLoss(0.05, one_hot=one_hot)(logits, soft)
    assert got.item() == pytest.approx(by_hand(logits, soft, soft if one_hot else 1.0, 0.05), abs=1e-12)


@pytest.mark.parametrize("one_hot", [False, True])
def test_one_hot_soft_labels_equal_hard_labels(logits, one_hot):
    loss = SpikingLoss(0.05, one_hot=one_hot)
    labels = torch.tensor(LABELS)
    assert_close(loss(logits, F.one_hot(labels, CLASSES).double()), loss(logits, labels), rtol=0, atol=1e-12)


def test_label_smoothing_concerns_the_cross_entropy_only(logits):
    one_hot = np.eye(CLASSES)[LABELS]
    got = SpikingLoss(0.05, one_hot=True, label_smoothing=0.2)(logits, torch.tensor(LABELS))
    assert got.item() == pytest.approx(by_hand(logits, 0.8 * one_hot + 0.2 / CLASSES, one_hot, 0.05), abs=1e-12)


def test_steps_are_paired_with_the_labels_of_their_samples():
    logits = torch.full((T, N, CLASSES), -20.0)
    logits[:, range(N), LABELS] = 20.0
    assert SpikingLoss(0)(logits, torch.tensor(LABELS)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.float64, torch.float64), (torch.float32, torch.float32)]
    + [(dtype, torch.float32) for dtype in (torch.float16, torch.bfloat16)],
)
@pytest.mark.parametrize("soft", [False, True])
def test_reduced_precision_becomes_float32_and_float64_stays(logits, given, expected, soft):
    labels = soft_labels().float() if soft else torch.tensor(LABELS)
    logits = logits.to(given)
    got = SpikingLoss(0.05, one_hot=True)(logits, labels)
    assert got.dtype == expected
    reference = SpikingLoss(0.05, one_hot=True)(logits.double(), labels)
    assert got.item() == pytest.approx(reference.item(), rel=1e-5)


def test_float16_logits_whose_squares_overflow_have_a_finite_loss_and_gradient():
    logits = torch.full((T, N, CLASSES), 1000.0, dtype=torch.float16, requires_grad=True)
    loss = SpikingLoss()(logits, torch.tensor(LABELS))
    loss.backward()
    assert loss.item() == pytest.approx(0.95 * np.log(CLASSES) + 0.05 * 999**2, rel=1e-5)
    assert logits.grad.isfinite().all()


LOSSES = [SpikingLoss(), CrossEntropy(), CrossEntropy(0.1), TETLoss(), TETLoss(0.1), RateMSE()]


def test_tet_is_the_mean_of_the_cross_entropies_of_the_steps(logits):
    labels = torch.tensor(LABELS)
    expected = torch.stack([F.cross_entropy(step, labels, label_smoothing=0.2) for step in logits]).mean()
    assert_close(TETLoss(0.2)(logits, labels), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_cross_entropy_is_that_of_the_mean_logits(logits, smoothing):
    smooth = (1 - smoothing) * np.eye(CLASSES)[LABELS] + smoothing / CLASSES
    expected = by_hand(logits.mean(0, keepdim=True), smooth, 0, 0)
    assert CrossEntropy(smoothing)(logits, torch.tensor(LABELS)).item() == pytest.approx(expected, abs=1e-12)


def test_the_rate_mse_is_that_of_the_mean_logits_to_the_one_hot_label(logits):
    expected = np.mean((logits.numpy().mean(0) - np.eye(CLASSES)[LABELS]) ** 2)
    assert RateMSE()(logits, torch.tensor(LABELS)).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_one_hot_soft_labels_are_the_hard_ones_for_every_loss(logits, loss):
    labels = torch.tensor(LABELS)
    assert_close(loss(logits, F.one_hot(labels, CLASSES).float()), loss(logits, labels), rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_every_loss_is_a_mean_over_samples_in_float32_and_float64_stays(logits, loss):
    labels = torch.tensor(LABELS)
    whole = loss(logits, labels)
    assert_close(torch.stack([loss(logits[:, :2], labels[:2]), loss(logits[:, 2:], labels[2:])]).mean(), whole)
    assert whole.dtype == torch.float64
    assert loss(logits.bfloat16(), labels).dtype == torch.float32


@pytest.mark.parametrize(("weight", "temperature"), [(0.5, 2.0), (1.0, 1.0), (0.0, 4.0)])
def test_distillation_is_its_formula(logits, weight, temperature):
    labels, teacher = torch.tensor(LABELS), torch.randn(1, N, CLASSES, dtype=torch.float64) * 2
    p, q = (torch.softmax(part.mean(0) / temperature, -1).numpy() for part in (teacher, logits))
    divergence = np.mean((p * (np.log(p) - np.log(q))).sum(-1))
    expected = (1 - weight) * CrossEntropy()(logits, labels).item() + weight * temperature**2 * divergence
    got = Distillation(CrossEntropy(), weight, temperature)(logits, labels, teacher)
    assert got.item() == pytest.approx(expected, abs=1e-12)
