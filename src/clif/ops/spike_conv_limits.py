"""The limits up to which sums of spikes are faster than PyTorch's convolution, by instruction set and dtype.

`benchmarks/spike_conv.py` measures them and writes the table from its measurements,
`benchmarks/results/*/spike_conv.json`. Nothing is timed when a network runs, so the same run makes the same choice
every time.
"""

from typing import NamedTuple

import torch

from clif import precision
from clif.ops import isa


class Limits(NamedTuple):
    """The maximum share of spikes, and the minimum of input and output channels and of output pixels of all images."""

    rate: float
    channels: int
    pixels: int


NEVER = Limits(0.0, 0, 0)

FALLBACK = "bfloat16 by fallback"
"""The name for bfloat16 on processors and instruction sets without instructions of PyTorch that multiply it."""

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
"""The limits by the kernels' instruction set."""

TILES = NEVER
"""The name for bfloat16 on processors that multiply it in tiles, such as AMX."""


def limits(dtype: torch.dtype) -> Limits:
    """The limits for inputs of `dtype` with the present instruction set; if it was not measured, the narrowest ones."""
    if dtype == torch.bfloat16 and precision.pytorch_uses_bfloat16() and isa.PROCESSOR_BFLOAT16 == "tiles":
        return TILES
    kind = kind_of(dtype)
    known = TABLE.get(isa.NAMES[isa.current()], {}).get(kind)
    if known is not None:
        return known
    others = [row[kind] for row in TABLE.values() if kind in row]
    return Limits(min(o.rate for o in others), max(o.channels for o in others), max(o.pixels for o in others))


def kind_of(dtype: torch.dtype) -> str:
    """The name of a dtype in the table; for bfloat16 it depends on whether PyTorch uses a slow fallback."""
    if dtype == torch.bfloat16 and not (isa.bfloat16_unit() != "none" and precision.pytorch_uses_bfloat16()):
        return FALLBACK
    return str(dtype).removeprefix("torch.")
