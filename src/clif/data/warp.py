"""Geometric operations: rotation, shear and shift of images [N, C, H, W] as one batched affine map.

Frames of events are images whose T·2 channels move together, so that one angle serves all frames of a sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from clif.data.augment import Draws, Operation, select


def warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Bilinear sampling of each image at `matrix` [N, 2, 3] times its own pixel (x, y, 1) from the centre; 0 outside.

    Pixels are unit squares; the centre is the middle of the image. Integer images are rounded.
    """
    height, width = images.shape[-2:]
    matrix = matrix.to(images.device, torch.float32)
    size = torch.tensor([width, height], dtype=torch.float32, device=images.device)
    linear = matrix[:, :, :2] * (size / size[:, None])
    theta = torch.cat([linear, 2 * matrix[:, :, 2:] / size[:, None]], dim=2)
    grid = F.affine_grid(theta, [len(images), 1, height, width], align_corners=False)
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.to(images.dtype) if images.is_floating_point() else moved.round_().to(images.dtype)


def rotation(degrees: Tensor) -> Tensor:
    """Matrices [N, 2, 3] for `warp` that turn images counter-clockwise by `degrees` [N]."""
    angle = degrees * (math.pi / 180)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).unflatten(1, (2, 3))


def shear(slope_x: Tensor, slope_y: Tensor) -> Tensor:
    """Matrices [N, 2, 3] for `warp` that move each row by −slope_x·y pixels and each column by −slope_y·x."""
    one, zero = torch.ones_like(slope_x), torch.zeros_like(slope_x)
    return torch.stack([one, slope_x, zero, slope_y, one, zero], dim=1).unflatten(1, (2, 3))


def uniform(n: int, limit: float, generator: Generator) -> Tensor:
    return limit * (2 * torch.rand(n, generator=generator) - 1)


@dataclass(frozen=True)
class Rotate:
    """Rotation by up to `degrees` either way, at constant size."""

    degrees: float = 15.0

    def draw(self, n: int, _height: int, _width: int, generator: Generator) -> Draws:
        return (uniform(n, self.degrees, generator),)

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        return warp(images, rotation(draws[0]))


@dataclass(frozen=True)
class Shear:
    """Horizontal shear by up to `degrees` either way."""

    degrees: float = 15.0

    def draw(self, n: int, _height: int, _width: int, generator: Generator) -> Draws:
        return (uniform(n, self.degrees, generator),)

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        slope = (draws[0] * (math.pi / 180)).tan()
        return warp(images, shear(slope, torch.zeros_like(slope)))


@dataclass(frozen=True)
class Roll:
    """Shift by up to `pixels` along each axis; pixels that leave on one side enter on the other."""

    pixels: int = 5

    def draw(self, n: int, _height: int, _width: int, generator: Generator) -> Draws:
        dy, dx = torch.randint(-self.pixels, self.pixels + 1, (2, n), generator=generator)
        return dy, dx

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        dy, dx = (column.to(images.device)[:, None] for column in draws)
        height, width = images.shape[-2:]
        rows = (torch.arange(height, device=images.device) - dy) % height
        columns = (torch.arange(width, device=images.device) - dx) % width
        sample = torch.arange(len(images), device=images.device)[:, None, None]
        moved = images.movedim(1, -1)[sample, rows[:, :, None], columns[:, None, :]]
        return moved.movedim(-1, 1).contiguous()


@dataclass(frozen=True)
class OneOf:
    """One of several operations for each sample, with equal probability."""

    operations: Sequence[Operation]

    def draw(self, n: int, height: int, width: int, generator: Generator) -> Draws:
        choice = torch.randint(0, len(self.operations), (n,), generator=generator)
        return choice, *(operation.draw(n, height, width, generator) for operation in self.operations)

    def apply(self, images: Tensor, *draws: Any) -> Tensor:
        choice, *parts = draws
        images = images.clone()
        for number, (operation, part) in enumerate(zip(self.operations, parts, strict=True)):
            rows = (choice == number).nonzero().flatten()
            if len(rows):
                on_device = rows.to(images.device)
                images[on_device] = operation.apply(images[on_device], *select(part, rows))
        return images
