"""Losses over the logits of every time step.

Each is called with logits [T, N, classes] and labels, int64 [N] or soft [N, classes], and returns a float32 scalar
(float64 for float64 logits).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits [T, N, classes] and labels, int64 [N] or soft [N, classes], to a scalar, the mean over the samples."""


@dataclass(frozen=True)
class SpikingLoss:
    """(1 − λ)·CE + λ·MSE, both averaged over all T·N logits; the loss of the CLIF paper.

    The target of the MSE is the constant `means`, or the one-hot label with `one_hot`. With λ = 0 only the
    cross-entropy remains.

    >>> round(clif.train.SpikingLoss(mse_weight=0.05)(torch.zeros(6, 8, 10), torch.arange(8)).item(), 4)
    2.2375
    """

    mse_weight: float = 0.05
    means: float = 1.0
    one_hot: bool = False
    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = _wide(logits)
        T, N, classes = logits.shape
        soft = labels.is_floating_point()
        labels = labels.to(logits.dtype) if soft else labels
        repeated = labels.expand(T, *labels.shape).flatten(0, 1)
        loss = F.cross_entropy(logits.flatten(0, 1), repeated, label_smoothing=self.label_smoothing)
        if self.mse_weight == 0:
            return loss
        if self.one_hot:
            target = labels if soft else F.one_hot(labels, classes).to(logits.dtype)
        else:
            target = torch.full((N, classes), self.means, dtype=logits.dtype, device=logits.device)
        return (1 - self.mse_weight) * loss + self.mse_weight * F.mse_loss(logits, target.expand_as(logits))


@dataclass(frozen=True)
class CrossEntropy:
    """The cross-entropy of the mean logits: CE((1/T)·Σ logits[t], label).

    >>> round(clif.loss.CrossEntropy()(torch.zeros(6, 8, 10), torch.arange(8)).item(), 4)  # log 10
    2.3026
    """

    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = _wide(logits).mean(0)
        labels = labels.to(logits.dtype) if labels.is_floating_point() else labels
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)


@dataclass(frozen=True)
class TETLoss:
    """Temporal efficient training (Deng et al., 2022): (1/T)·Σ CE(logits[t], label).

    Their loss with the regularising term is `SpikingLoss`, whose `means` is their φ.

    >>> round(clif.loss.TETLoss()(torch.zeros(6, 8, 10), torch.arange(8)).item(), 4)
    2.3026
    """

    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return SpikingLoss(0.0, label_smoothing=self.label_smoothing)(logits, labels)


@dataclass(frozen=True)
class RateMSE:
    """The mean squared error of the mean logits: MSE((1/T)·Σ logits[t], one-hot label), averaged over the classes.

    For networks that end with spikes the mean is the firing rate: the target of the label's neuron is to fire at every
    step, and that of the others is never to fire.

    >>> round(clif.loss.RateMSE()(torch.zeros(6, 8, 10), torch.arange(8)).item(), 4)
    0.1
    """

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        mean = _wide(logits).mean(0)
        target = labels if labels.is_floating_point() else F.one_hot(labels, mean.shape[-1])
        return F.mse_loss(mean, target.to(mean.dtype))


@dataclass(frozen=True)
class Distillation:
    """Knowledge distillation (Hinton et al., 2015): (1 − w)·loss + w·K²·KL(softmax(t/K) ‖ softmax(s/K)).

    s and t are the mean logits over time of the network and of its teacher, [N, classes]; K is the temperature and w
    the weight. The teacher may have another number of time steps, and need not spike.

    >>> loss = clif.loss.Distillation(clif.loss.CrossEntropy(), weight=0.5)
    """

    loss: Loss
    weight: float = 0.5
    temperature: float = 2.0

    def __call__(self, logits: Tensor, labels: Tensor, teacher_logits: Tensor) -> Tensor:
        """The loss of logits [T, N, classes] beside those of the teacher, [T', N, classes]."""
        student = F.log_softmax(_wide(logits).mean(0) / self.temperature, -1)
        teacher = F.log_softmax(_wide(teacher_logits).mean(0) / self.temperature, -1).to(student.dtype)
        divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return (1 - self.weight) * self.loss(logits, labels) + self.weight * self.temperature**2 * divergence


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
