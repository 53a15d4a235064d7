"""The loss of the CLIF paper, over the logits of every time step."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class SpikingLoss:
    """(1 − λ)·CE + λ·MSE, both averaged over all T·N logits.

    The MSE's target is the constant `means`, or with `one_hot` the label itself; λ = 0 leaves the cross-entropy only.
    Call it with logits [T, N, classes] and labels, int64 [N] or soft [N, classes]; it returns a float32 scalar
    (float64 for float64 logits).
    """

    mse_weight: float = 0.05
    means: float = 1.0
    one_hot: bool = False
    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        if logits.dtype != torch.float64:
            logits = logits.float()
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
