"""Mixing of the samples of a batch into soft labels: MixUp (Zhang et al., 2018) and CutMix (Yun et al., 2019)."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor


@dataclass(frozen=True)
class Mix:
    """MixUp or CutMix with equal probability, with one share λ for a whole batch; each sample mixes with the next.

    MixUp: λ ~ Beta(0.2, 0.2), images λ·x + (1 − λ)·x′. CutMix: λ ~ Beta(1, 1), a box of the share 1 − λ of the area
    around a uniform centre, clipped to the image, comes from x′; λ is then the share that is left. Labels are
    λ·y + (1 − λ)·y′.
    """

    mixup_alpha: float = 0.2
    cutmix_alpha: float = 1.0

    def draw(self, batches: int, generator: Generator) -> Tensor:
        """For each batch: whether it is CutMix, λ, and the centre of its box as shares of height and width; [·, 4]."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        rng = np.random.default_rng(seed)
        cutmix = rng.random(batches) < 0.5
        share = np.where(
            cutmix,
            rng.beta(self.cutmix_alpha, self.cutmix_alpha, batches),
            rng.beta(self.mixup_alpha, self.mixup_alpha, batches),
        )
        return torch.from_numpy(np.stack([cutmix, share, rng.random(batches), rng.random(batches)], axis=1))

    def apply(self, images: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Images [N, …, H, W] and one-hot labels [N, classes], mixed with their neighbours by a row of `draw`."""
        return self.apply_with(images, labels, images.roll(1, 0), labels.roll(1, 0), draws)

    def apply_with(
        self, images: Tensor, labels: Tensor, partners: Tensor, partner_labels: Tensor, draws: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Like `apply`, with given partners: for a part of a batch, whose first neighbour is outside of it."""
        cutmix, share, *centre = draws.tolist()
        height, width = images.shape[-2:]
        if cutmix:
            top, left, bottom, right = cutmix_box(height, width, share, centre[0], centre[1])
            images = images.clone()
            images[..., top:bottom, left:right] = partners[..., top:bottom, left:right]
            share = 1 - (bottom - top) * (right - left) / (height * width)
        else:
            images = torch.lerp(partners, images, share)
        return images, torch.lerp(partner_labels, labels, share)


def cutmix_box(height: int, width: int, share: float, row: float, column: float) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of a box of area 1 − `share` around the pixel at these shares, inside the image."""
    half = 0.5 * (1 - share) ** 0.5
    y, x = int(row * height), int(column * width)
    rows, columns = int(half * height), int(half * width)
    return max(y - rows, 0), max(x - columns, 0), min(y + rows, height), min(x + columns, width)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    return F.one_hot(labels, classes).float()
