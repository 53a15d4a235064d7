"""Up to where adding up spikes is faster than PyTorch's convolution, by instruction set and dtype.

`benchmarks/spike_conv.py` measures it; what it measured is in `benchmarks/results/*/spike_conv.json`, and `limits_of`
makes the table of that. Nothing is timed when a network runs, so that the same run takes the same way every time.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

import torch

from clif import precision
from clif.ops import isa


class Limits(NamedTuple):
    """The highest share of spikes, the fewest input and output channels, and the fewest output pixels of all images."""

    rate: float
    channels: int
    pixels: int


NEVER = Limits(0.0, 0, 0)

FALLBACK = "bfloat16 by fallback"
"""bfloat16 that PyTorch does not multiply with instructions for it, but one number at a time."""

TABLE: dict[str, dict[str, Limits]] = {
    "baseline": {
        "float32": Limits(0.4, 32, 128),
        FALLBACK: Limits(0.4, 16, 36),
        "float64": Limits(0.4, 32, 1024),
    },
    "avx2": {
        "float32": Limits(0.4, 64, 128),
        FALLBACK: Limits(0.4, 16, 36),
        "float64": Limits(0.4, 16, 36),
    },
    "avx512": {
        "float32": Limits(0.4, 64, 128),
        FALLBACK: Limits(0.4, 32, 36),
        "float64": Limits(0.4, 16, 128),
    },
    "avx512_bf16": {
        "float32": Limits(0.4, 64, 128),
        "bfloat16": Limits(0.15, 64, 384),
        "float64": Limits(0.4, 16, 128),
    },
}
"""By the kernels' instruction set."""

TILES = NEVER
"""In bfloat16 if the processor multiplies it in tiles, as AMX does."""


def limits(dtype: torch.dtype) -> Limits:
    """The limits for inputs of `dtype` with the present instruction set; without measurements the narrowest of all."""
    if dtype == torch.bfloat16 and precision.pytorch_uses_bfloat16() and isa.PROCESSOR_BFLOAT16 == "tiles":
        return TILES
    kind = kind_of(dtype)
    known = TABLE.get(isa.NAMES[isa.current()], {}).get(kind)
    if known is not None:
        return known
    others = [row[kind] for row in TABLE.values() if kind in row]
    return Limits(min(o.rate for o in others), max(o.channels for o in others), max(o.pixels for o in others))


def kind_of(dtype: torch.dtype) -> str:
    """What the table calls a dtype: its name, and for bfloat16 whether PyTorch only falls back to it."""
    if dtype == torch.bfloat16 and not (isa.bfloat16_unit() != "none" and precision.pytorch_uses_bfloat16()):
        return FALLBACK
    return str(dtype).removeprefix("torch.")


SLOWER, SELDOM = 1.1, 0.05
"""A measurement counts as slower beyond so many times PyTorch's time; so many of them may be."""


def limits_of(rows: Iterable[Mapping[str, Any]]) -> Limits:
    """The limits by measurements: dicts of "rate", "channels", "pixels" and "ratio", our time by PyTorch's.

    Of the limits within which adding is seldom slower they are those that save most: the sum of −log(ratio) over the
    measurements within is the greatest.
    """
    found = list(rows)
    best, most = NEVER, 0.0
    values = ({row[name] for row in found} for name in ("rate", "channels", "pixels"))
    for one in sorted(Limits(*each) for each in product(*values)):
        inside = [row["ratio"] for row in found if _is_within(row, one)]
        slower = sum(ratio > SLOWER for ratio in inside)
        saved = -sum(math.log(ratio) for ratio in inside)
        if saved > most and slower <= SELDOM * len(inside):
            best, most = one, saved
    return best


def _is_within(row: Mapping[str, Any], limits: Limits) -> bool:
    return row["rate"] <= limits.rate and row["channels"] >= limits.channels and row["pixels"] >= limits.pixels
