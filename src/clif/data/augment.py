"""Augmentation of whole batches of uint8 images, on the device where they are.

The random numbers are drawn once for a whole epoch, one row a sample, and looked up by sample index: what happens to a
sample depends on the seed, the epoch and the sample only, not on the batch or the worker it falls to.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


@dataclass(frozen=True)
class Draws:
    """The random numbers of n samples: crop offsets dy, dx [n], flips [n], cutout boxes [n, 4] and fillings [n]."""

    dy: Tensor
    dx: Tensor
    flip: Tensor
    box: Tensor
    fill: Tensor

    def select(self, index: Tensor, device: torch.device) -> "Draws":
        """The rows of the samples `index`, on `device`."""
        return Draws(*(getattr(self, name)[index].to(device) for name in ("dy", "dx", "flip", "box", "fill")))


@dataclass(frozen=True)
class Augmentation:
    """Zero-padded random crop, horizontal flip with chance 1/2, and cutout with chance `cutout` (0 switches it off)."""

    padding: int = 4
    flip: bool = True
    cutout: float = 0.5

    def draw(self, n: int, height: int, width: int, generator: Generator) -> Draws:
        """The random numbers for n images of height × width."""
        offsets = torch.randint(0, 2 * self.padding + 1, (2, n), generator=generator)
        flip = (torch.rand(n, generator=generator) < 0.5) & self.flip
        box = draw_boxes(n, height, width, generator)
        box[torch.rand(n, generator=generator) >= self.cutout] = 0
        fill = torch.randint(0, 256, (n,), generator=generator, dtype=torch.uint8)
        return Draws(offsets[0], offsets[1], flip, box, fill)

    def apply(self, images: Tensor, draws: Draws) -> Tensor:
        """uint8 [N, C, H, W] -> uint8 [N, C, H, W]."""
        images = crop(images, draws.dy, draws.dx, self.padding)
        if self.cutout > 0:
            images = cut_out(images, draws.box, draws.fill)
        if self.flip:
            images = torch.where(draws.flip[:, None, None, None], images.flip(-1), images)
        return images


def draw_boxes(n: int, height: int, width: int, generator: Generator) -> Tensor:
    """n boxes (top, left, bottom, right) int64 [n, 4] inside the image.

    As the CLIF paper's cutout: area uniform in 2–40 % of the image, aspect (height over width) uniform in 0.4–2.5,
    corner uniform; what does not fit is drawn again.
    """
    boxes = torch.zeros(n, 4, dtype=torch.int64)
    pending = torch.arange(n)
    while len(pending):
        area, aspect, top, left = torch.rand(4, len(pending), generator=generator)
        area = (0.02 + 0.38 * area) * height * width
        aspect = 0.4 + 2.1 * aspect
        top, left = (top * height).long(), (left * width).long()
        bottom, right = top + (area * aspect).sqrt().long(), left + (area / aspect).sqrt().long()
        fits = (bottom <= height) & (right <= width)
        boxes[pending[fits]] = torch.stack([top, left, bottom, right], dim=1)[fits]
        pending = pending[~fits]
    return boxes


def crop(images: Tensor, dy: Tensor, dx: Tensor, padding: int) -> Tensor:
    """Pad each image [N, C, H, W] with zeros and cut the window of its old size at offset (dy, dx) in 0…2·padding."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(len(images), device=images.device), :, dy, dx]


def cut_out(images: Tensor, box: Tensor, fill: Tensor) -> Tensor:
    """Fill the box (top, left, bottom, right) [N, 4] of each image [N, C, H, W] with its one value `fill` [N]."""
    top, left, bottom, right = box[:, :, None].unbind(1)
    rows = torch.arange(images.shape[-2], device=images.device)
    columns = torch.arange(images.shape[-1], device=images.device)
    inside = ((rows >= top) & (rows < bottom))[:, None, :, None] & ((columns >= left) & (columns < right))[
        :, None, None
    ]
    return torch.where(inside, fill[:, None, None, None], images)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 [N, C, H, W] -> float32 (image/255 − mean)/std, with mean and std [C]."""
    scale = (1 / (255 * std))[:, None, None]
    return images.float().mul_(scale).sub_((mean / std)[:, None, None])
