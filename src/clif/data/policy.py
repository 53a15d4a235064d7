"""TrivialAugmentWide (Müller & Hutter, 2021) and AutoAugment (Cubuk et al., 2019) for batches of uint8 RGB images.

Every sample gets one of 15 operations with one magnitude. There are three kinds of batched arithmetic: an affine map,
a blend with a plainer image, and a table of new values for each channel. Names, ranges and rounding are those of
torchvision and Pillow.
"""

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Generator, Tensor

from clif.data.augment import Draws
from clif.data.warp import rotation, shear, warp


class Kind(IntEnum):
    """The operations, grouped by their arithmetic."""

    Identity = 0
    ShearX = 1
    ShearY = 2
    TranslateX = 3
    TranslateY = 4
    Rotate = 5
    Brightness = 6
    Color = 7
    Contrast = 8
    Sharpness = 9
    Posterize = 10
    Solarize = 11
    AutoContrast = 12
    Equalize = 13
    Invert = 14


SIGNED = torch.tensor([Kind.ShearX <= kind <= Kind.Sharpness for kind in Kind])


def operate(images: Tensor, kind: Tensor, magnitude: Tensor) -> Tensor:
    """Apply to each image, uint8 [N, 3, H, W], its operation `kind` [N] (of `Kind`) with `magnitude` [N].

    Both are on the CPU, so that choosing the images of each kind does not wait for a GPU.
    """
    images = images.clone()
    for first, last, operation in (
        (Kind.ShearX, Kind.Rotate, affine),
        (Kind.Brightness, Kind.Sharpness, blend),
        (Kind.Posterize, Kind.Invert, remap),
    ):
        rows = ((kind >= first) & (kind <= last)).nonzero().flatten()
        if len(rows):
            on_device = rows.to(images.device)
            images[on_device] = operation(images[on_device], kind[rows], magnitude[rows])
    return images


def affine(images: Tensor, kind: Tensor, magnitude: Tensor) -> Tensor:
    """Shear by a slope about the upper left corner, translation by whole pixels, rotation by degrees."""
    height, width = images.shape[-2:]
    slope_x, slope_y = magnitude * (kind == Kind.ShearX), magnitude * (kind == Kind.ShearY)
    turn = rotation(magnitude * (kind == Kind.Rotate))
    matrix = turn + shear(slope_x, slope_y) - torch.eye(2, 3)
    matrix[:, 0, 2] = slope_x * height / 2 - magnitude.trunc() * (kind == Kind.TranslateX)
    matrix[:, 1, 2] = slope_y * width / 2 - magnitude.trunc() * (kind == Kind.TranslateY)
    return warp(images, matrix)


def blend(images: Tensor, kind: Tensor, magnitude: Tensor) -> Tensor:
    """plain + (1 + magnitude)·(image − plain): plain is black, grey, the mean grey, or the smoothed image."""
    grey = luminance(images)
    mean = grey.float().mean((1, 2)).add(0.5).floor()[:, None, None, None]
    plain = torch.zeros_like(images, dtype=torch.float32)
    kind = kind.to(images.device)[:, None, None, None]
    plain = torch.where(kind == Kind.Color, grey[:, None].float(), plain)
    plain = torch.where(kind == Kind.Contrast, mean, plain)
    plain = torch.where(kind == Kind.Sharpness, smooth(images), plain)
    factor = 1 + magnitude.to(images.device)[:, None, None, None]
    return (plain + factor * (images.float() - plain)).clamp_(0, 255).to(torch.uint8)


def luminance(images: Tensor) -> Tensor:
    """Pillow's integer grey: (19595·R + 38470·G + 7471·B + 2¹⁵) / 2¹⁶, as uint8 [N, H, W]."""
    red, green, blue = images.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(torch.uint8)


def smooth(images: Tensor) -> Tensor:
    """Pillow's SMOOTH: the 3×3 mean with weight 5 in the middle, rounded; the border stays."""
    result = images.float()
    rows = result[:, :, :-2] + result[:, :, 1:-1] + result[:, :, 2:]
    square = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    inner = ((square + 4 * result[:, :, 1:-1, 1:-1]) / 13).add_(0.5).floor_()
    result[:, :, 1:-1, 1:-1] = inner
    return result


def remap(images: Tensor, kind: Tensor, magnitude: Tensor) -> Tensor:
    """Posterize to bits, solarize from a threshold on, autocontrast, equalize or invert, by one table per channel."""
    N, C, height, width = images.shape
    device = images.device
    kind, magnitude = kind.to(device)[:, None, None], magnitude.to(device)[:, None, None]
    value = torch.arange(256, device=device).expand(N, C, 256)
    flat = images.flatten(2).long()
    histogram = torch.zeros(N, C, 256, dtype=torch.int64, device=device)
    histogram.scatter_add_(2, flat, torch.ones_like(flat))
    bits = (8 - magnitude).clamp(0, 8).long()
    table = torch.where(kind == Kind.Posterize, (value >> bits) << bits, 255 - value)
    table = torch.where((kind == Kind.Solarize) & (value < magnitude), value, table)
    table = torch.where(kind == Kind.AutoContrast, autocontrast_table(histogram, value), table)
    table = torch.where(kind == Kind.Equalize, equalize_table(histogram, value), table)
    return table.gather(2, flat).to(torch.uint8).unflatten(2, (height, width))


def autocontrast_table(histogram: Tensor, value: Tensor) -> Tensor:
    """Stretch the values of a channel to 0…255; a channel with only one value does not change."""
    present = histogram > 0
    low = torch.where(present, value, 255).amin(2, keepdim=True)
    high = torch.where(present, value, 0).amax(2, keepdim=True)
    scale = 255 / (high - low).clamp(min=1).double()
    stretched = (value * scale - low * scale).trunc().clamp(0, 255).long()
    return torch.where(high > low, stretched, value)


def equalize_table(histogram: Tensor, value: Tensor) -> Tensor:
    """Spread the values to equal counts; a channel with only one value does not change."""
    last_value = torch.where(histogram > 0, value, 0).amax(2, keepdim=True)
    last = histogram.gather(2, last_value)
    step = (histogram.sum(2, keepdim=True) - last) // 255
    before = histogram.cumsum(2) - histogram
    spread = ((before + step // 2) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step > 0, spread, value)


@dataclass(frozen=True)
class TrivialAugmentWide:
    """One of 14 operations per sample, with one of 31 magnitudes and a random sign."""

    def draw(self, n: int, _height: int, _width: int, generator: Generator) -> Draws:
        kind = torch.randint(Kind.Identity, Kind.Invert, (n,), generator=generator)
        strength = torch.randint(0, 31, (n,), generator=generator)
        sign = torch.randint(0, 2, (n,), generator=generator) * 2 - 1
        ranges = [0, 0.99, 0.99, 32, 32, 135, 0.99, 0.99, 0.99, 0.99, 0, 0, 0, 0]
        magnitude = torch.tensor(ranges)[kind] * strength / 30
        magnitude = torch.where(SIGNED[kind], sign * magnitude, magnitude)
        magnitude = torch.where(kind == Kind.Posterize, (8 - (strength / 5).round()).float(), magnitude)
        magnitude = torch.where(kind == Kind.Solarize, 255 * (1 - strength / 30), magnitude)
        return kind, magnitude

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        kind, magnitude = draws
        return operate(images, kind, magnitude)


IMAGENET_POLICY = """
Posterize 0.4 8, Rotate 0.6 9 | Solarize 0.6 5, AutoContrast 0.6 0 | Equalize 0.8 0, Equalize 0.6 0
Posterize 0.6 7, Posterize 0.6 6 | Equalize 0.4 0, Solarize 0.2 4 | Equalize 0.4 0, Rotate 0.8 8
Solarize 0.6 3, Equalize 0.6 0 | Posterize 0.8 5, Equalize 1.0 0 | Rotate 0.2 3, Solarize 0.6 8
Equalize 0.6 0, Posterize 0.4 6 | Rotate 0.8 8, Color 0.4 0 | Rotate 0.4 9, Equalize 0.6 0
Equalize 0.0 0, Equalize 0.8 0 | Invert 0.6 0, Equalize 1.0 0 | Color 0.6 4, Contrast 1.0 8
Rotate 0.8 8, Color 1.0 2 | Color 0.8 8, Solarize 0.8 7 | Sharpness 0.4 7, Invert 0.6 0
ShearX 0.6 5, Equalize 1.0 0 | Color 0.4 0, Equalize 0.6 0 | Equalize 0.4 0, Solarize 0.2 4
Solarize 0.6 5, AutoContrast 0.6 0 | Invert 0.6 0, Equalize 1.0 0 | Color 0.6 4, Contrast 1.0 8
Equalize 0.8 0, Equalize 0.6 0
"""


def parse_policy(text: str) -> tuple[Tensor, Tensor, Tensor]:
    """Sub-policies of two operations, each a name, a probability and a strength 0–9: three tensors [policies, 2]."""
    pairs = [[step.split() for step in pair.split(",")] for pair in text.strip().replace("\n", "|").split("|")]
    kind = torch.tensor([[Kind[name] for name, _, _ in pair] for pair in pairs])
    chance = torch.tensor([[float(chance) for _, chance, _ in pair] for pair in pairs])
    return kind, chance, torch.tensor([[int(strength) for _, _, strength in pair] for pair in pairs])


@dataclass(frozen=True)
class AutoAugment:
    """One of the 25 sub-policies found on ImageNet for each sample: two operations, each with its probability."""

    def draw(self, n: int, height: int, width: int, generator: Generator) -> Draws:
        kinds, chances, strengths = parse_policy(IMAGENET_POLICY)
        policy = torch.randint(0, len(kinds), (n,), generator=generator)
        happens = torch.rand(n, 2, generator=generator) < chances[policy]
        sign = torch.randint(0, 2, (n, 2), generator=generator) * 2 - 1
        kind, strength = kinds[policy] * happens, strengths[policy]
        shift_x, shift_y = 150 / 331 * width, 150 / 331 * height
        ranges = torch.tensor([0, 0.3, 0.3, shift_x, shift_y, 30, 0.9, 0.9, 0.9, 0.9, 0, 0, 0, 0, 0])
        magnitude = ranges[kind] * strength / 9
        magnitude = torch.where(SIGNED[kind], sign * magnitude, magnitude)
        magnitude = torch.where(kind == Kind.Posterize, (8 - (strength / 2.25).round()).float(), magnitude)
        return kind, torch.where(kind == Kind.Solarize, 255 * (1 - strength / 9), magnitude)

    def apply(self, images: Tensor, *draws: Tensor) -> Tensor:
        kind, magnitude = draws
        return operate(operate(images, kind[:, 0], magnitude[:, 0]), kind[:, 1], magnitude[:, 1])
