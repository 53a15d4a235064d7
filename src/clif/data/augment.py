"""Augmentation of whole batches of images [N, C, H, W], on their device.

Every operation has `draw(n, height, width, generator)`, which returns the random numbers of n samples as tensors with
one row per sample, and `apply(images, *draws)`. The numbers are drawn once for a whole epoch and looked up by sample
index, so they depend on the seed, the epoch and the sample only, not on the batch or the worker. Mixing
(`clif.data.mix`) is done by batch: all its samples have the same share, and each is mixed with its neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from clif.data.mix import Mix

Draws = tuple[Any, ...]
"""Tensors with one row per sample, or tuples of such."""


class Operation(Protocol):
    def draw(self, n: int, height: int, width: int, generator: Generator, /) -> Draws: ...

    def apply(self, images: Tensor, *draws: Any) -> Tensor: ...


@dataclass(frozen=True)
class Augmentation:
    """Augmentation: operations on the stored images, then on the normalised ones, then mixing within a batch.

    >>> plain = clif.data.Augmentation()  # no operation
    >>> loader = clif.data.create_loader("digits", train=True, augmentation="crop:2,flip")  # or by name
    """

    stored: Sequence[Operation] = ()
    normalised: Sequence[Operation] = ()
    mix: Mix | None = None

    def draw(self, n: int, height: int, width: int, generator: Generator) -> list[Draws]:
        """The random numbers for n images of height × width, one item per operation."""
        return [operation.draw(n, height, width, generator) for operation in (*self.stored, *self.normalised)]

    def apply_stored(self, images: Tensor, draws: Sequence[Draws], index: Tensor) -> Tensor:
        """The operations on the images as stored; `index` holds the batch's rows of `draws`."""
        return _apply(self.stored, images, draws[: len(self.stored)], index)

    def apply_normalised(self, images: Tensor, draws: Sequence[Draws], index: Tensor) -> Tensor:
        return _apply(self.normalised, images, draws[len(self.stored) :], index)


def _apply(operations: Sequence[Operation], images: Tensor, draws: Sequence[Draws], index: Tensor) -> Tensor:
    for operation, columns in zip(operations, draws, strict=True):
        images = operation.apply(images, *select(columns, index))
    return images


def select(draws: Draws, index: Tensor) -> Draws:
    """The rows `index` of every tensor."""
    return tuple(draw[index] if isinstance(draw, Tensor) else select(draw, index) for draw in draws)


@dataclass(frozen=True)
class Crop:
    """Zero-padding on every side, then a window of the old size at a random place."""

    padding: int = 4

    def draw(self, n: int, _height: int, _width: int, generator: Generator) -> Draws:
        dy, dx = torch.randint(0, 2 * self.padding + 1, (2, n), generator=generator)
        return dy, dx

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        dy, dx = (column.to(images.device) for column in draws)
        return crop(images, dy, dx, self.padding)


@dataclass(frozen=True)
class Flip:
    """Horizontal flip with probability 1/2."""

    def draw(self, n: int, _height: int, _width: int, generator: Generator) -> Draws:
        return (torch.rand(n, generator=generator) < 0.5,)

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        flipped = draws[0].to(images.device)[:, None, None, None]
        return torch.where(flipped, images.flip(-1), images)


@dataclass(frozen=True)
class CutOut:
    """With probability `chance`, a box of 2–40 % of the area gets one random value of 0–255, or `value` if given."""

    chance: float = 0.5
    value: int | None = None

    def draw(self, n: int, height: int, width: int, generator: Generator) -> Draws:
        box = draw_boxes(n, height, width, generator)
        fill = torch.randint(0, 256, (n,), generator=generator, dtype=torch.uint8)
        box[torch.rand(n, generator=generator) >= self.chance] = 0
        return box, fill if self.value is None else torch.full_like(fill, self.value)

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        box, fill = (column.to(images.device) for column in draws)
        return cut_out(images, box, fill.to(images.dtype))


@dataclass(frozen=True)
class RandomErasing:
    """With probability `chance`, one box of 2–33 % of the area is set to 0, as in torchvision with its defaults.

    On normalised images 0 is the mean colour. The aspect is uniform in its logarithm, 0.3–3.3.
    """

    chance: float = 0.1

    def draw(self, n: int, height: int, width: int, generator: Generator) -> Draws:
        area, aspect = torch.rand(2, n, generator=generator)
        area = (0.02 + 0.31 * area) * height * width
        aspect = torch.exp(torch.log(torch.tensor(0.3)) * (1 - aspect) + torch.log(torch.tensor(3.3)) * aspect)
        rows = (area * aspect).sqrt().round().clamp(1, height - 1)
        columns = (area / aspect).sqrt().round().clamp(1, width - 1)
        place = torch.rand(2, n, generator=generator)
        top, left = (place[0] * (height - rows + 1)).floor(), (place[1] * (width - columns + 1)).floor()
        box = torch.stack([top, left, top + rows, left + columns], dim=1).long()
        box[torch.rand(n, generator=generator) >= self.chance] = 0
        return (box,)

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        box = draws[0].to(images.device)
        return cut_out(images, box, torch.zeros(len(box), dtype=images.dtype, device=images.device))


def draw_boxes(n: int, height: int, width: int, generator: Generator) -> Tensor:
    """n boxes (top, left, bottom, right) int64 [n, 4] inside the image.

    As in the CLIF paper's cutout: area uniform in 2–40 % of the image, aspect (height over width) uniform in 0.4–2.5,
    corner uniform. A box that does not fit is drawn again.
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
    inside = inside_boxes(box, images.shape[-2], images.shape[-1])
    return torch.where(inside[:, None], fill[:, None, None, None], images)


def inside_boxes(box: Tensor, height: int, width: int) -> Tensor:
    """Which pixels [N, height, width] lie in each box (top, left, bottom, right) [N, 4]."""
    top, left, bottom, right = box[:, :, None].unbind(1)
    rows = torch.arange(height, device=box.device)
    columns = torch.arange(width, device=box.device)
    return ((rows >= top) & (rows < bottom))[:, :, None] & ((columns >= left) & (columns < right))[:, None]


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 [N, C, H, W] -> float32 (image/255 − mean)/std, with mean and std [C]."""
    scale = (1 / (255 * std))[:, None, None]
    return images.float().mul_(scale).sub_((mean / std)[:, None, None])
