"""Pictures of a data set before and after augmentation: a sheet, and for event data an animation."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from clif.data.base import Dataset
from clif.data.loader import Loader, create_loader
from clif.errors import InputError
from clif.files import write_atomically

Picture = NDArray[np.uint8]

BRIGHTER = (220, 50, 32)
DARKER = (0, 90, 181)
TILE = 96
GAP = 4
CAPTION = 14


@dataclass(frozen=True)
class Sample:
    """The pictures [H, W, 3] of one sample with and without augmentation; event data have several pictures."""

    name: str
    before: list[Picture]
    after: list[Picture]


def draw_gallery(
    name: str, root: Path | None, out: Path, T: int = 6, samples: int = 8, seed: int = 2022, **reading: Any
) -> list[Path]:
    """Write `out` (a .png) and for event data an animation beside it (.gif); returns the paths.

    `reading` are arguments of `create_loader`, such as cutupmix_auto and options. Raises `InputError` for another
    extension and if a file cannot be written.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"{out}: the picture must be a .png file")
    chosen = choose_samples(name, root, T, samples, seed, **reading)
    paths = [out]
    try:
        write_atomically(out, partial(make_sheet(chosen).save, format="PNG"))
        if len(chosen[0].before) > 1:
            first, *others = make_animation(chosen)
            paths.append(out.with_suffix(".gif"))
            save = partial(first.save, format="GIF", save_all=True, append_images=others, duration=200, loop=0)
            write_atomically(paths[1], save)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}); name another file") from error
    return paths


def choose_samples(name: str, root: Path | None, T: int, samples: int, seed: int, **reading: Any) -> list[Sample]:
    """Random training samples; both loaders shuffle with the same seed, so they return the same samples."""
    common: dict[str, Any] = {"batch_size": samples, "T": T, "seed": seed, **reading}
    plain = create_loader(name, root, augment=False, **common)
    augmented = create_loader(name, root, augment=True, **common)
    (before, labels), (after, _) = next(iter(plain)), next(iter(augmented))
    return [
        Sample(plain.dataset.classes[labels[i]], pictures(plain, before, i), pictures(augmented, after, i))
        for i in range(len(labels))
    ]


def pictures(loader: Loader, batch: Tensor, i: int) -> list[Picture]:
    """Sample i of a batch [N, C, H, W] or [T, N, 2, H, W]."""
    if batch.dim() == 5:
        brightest = max(float(np.quantile(batch[:, i].numpy(), 0.999)), 1.0)  # torch.quantile takes 2²⁴ values at most
        return [colour_events(frame / brightest) for frame in batch[:, i]]
    return [colour_image(loader.dataset, batch[i])]


def colour_image(dataset: Dataset, image: Tensor) -> Picture:
    """A normalised image [C, H, W] in its own colours, [H, W, 3]; C is 1 or 3."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (dataset.mean, dataset.std))
    pixels = ((image * std + mean) * 255).round().clamp(0, 255)
    return pixels.expand(3, -1, -1).permute(1, 2, 0).to(torch.uint8).numpy()


def colour_events(frame: Tensor) -> Picture:
    """Counts [2, H, W] on the scale 0–1: darker in blue, brighter in red, on white."""
    strength = frame.clamp(0, 1)[..., None]
    ink = 255 - torch.tensor([DARKER, BRIGHTER], dtype=torch.float32)[:, None, None]
    return (255 - (strength * ink).sum(0)).clamp(0, 255).to(torch.uint8).numpy()


def make_sheet(samples: list[Sample]) -> Image.Image:
    """One row per sample: its pictures before augmentation, then those after."""
    columns = len(samples[0].before) + len(samples[0].after)
    width, height = columns * (TILE + GAP) + 3 * GAP, len(samples) * (TILE + GAP + CAPTION) + GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for row, sample in enumerate(samples):
        top = row * (TILE + GAP + CAPTION) + CAPTION
        middle = GAP + len(sample.before) * (TILE + GAP) + 2 * GAP
        draw.text((GAP, top - CAPTION), sample.name, fill="black")
        draw.text((middle, top - CAPTION), "augmented", fill="gray")
        for left, tiles in ((GAP, sample.before), (middle, sample.after)):
            for column, tile in enumerate(tiles):
                sheet.paste(enlarge(tile), (left + column * (TILE + GAP), top))
    return sheet


def make_animation(samples: list[Sample]) -> list[Image.Image]:
    """One sheet for each time step."""
    steps = range(len(samples[0].before))
    return [make_sheet([Sample(s.name, [s.before[t]], [s.after[t]]) for s in samples]) for t in steps]


def enlarge(tile: Picture) -> Image.Image:
    """The picture in the largest size that fits a tile."""
    return ImageOps.contain(Image.fromarray(tile), (TILE, TILE), Image.Resampling.NEAREST)
