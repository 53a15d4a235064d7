"""The loss against its definition, written out with numpy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

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
